//! `countersign man`: writes the manual pages.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use super::exit::Usage;
use super::output;

/// The arguments of `countersign man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory for the pages, created if it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args, command: clap::Command) -> anyhow::Result<ExitCode> {
    // Without commit and date, so that the pages depend on the version alone.
    let command = command.version(env!("CARGO_PKG_VERSION"));
    let directory = &args.directory;
    let written =
        fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(command, directory));
    written.map_err(|error| {
        let directory = directory.display();
        Usage(format!("cannot write manual pages to {directory}: {error}"))
    })?;
    output::line(&format!(
        "wrote countersign.1 and a page for each command to {}",
        directory.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

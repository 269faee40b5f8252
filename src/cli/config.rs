//! `countersign config`: checks a configuration file, or prints the default.

use std::path::PathBuf;
use std::process::ExitCode;

use countersign::config::{self, Config, Sources};

use super::{Usage, environment};

/// The arguments of `countersign config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Lists every mistake in a file and in COUNTERSIGN_* variables
    Check {
        /// The file; without one, only the environment is checked
        file: Option<PathBuf>,
    },
    /// Prints the default file: every key, commented
    Default,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Check { file } => check(file.clone())?,
        Command::Default => print(Config::DEFAULT_FILE.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(file: Option<PathBuf>) -> anyhow::Result<()> {
    let sources = Sources {
        file,
        env: environment(),
        ..Sources::default()
    };
    let config = config::load(&sources).map_err(|error| Usage(error.to_string()))?;
    for warning in config.warnings() {
        print(&format!("warning: {warning}"));
    }
    print("no mistakes");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "it is what the command was asked for")]
fn print(text: &str) {
    println!("{text}");
}

//! `countersign config`: checks a configuration file, or prints the default.

use std::path::PathBuf;
use std::process::ExitCode;

use countersign::config::{self, Config, Sources};

use super::exit::Usage;
use super::input::environment;
use super::output;

/// The arguments of `countersign config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List every mistake in a file and in COUNTERSIGN_* variables
    Check {
        /// TOML file to check [default: none, to check only the variables]
        file: Option<PathBuf>,
    },
    /// Print the default file: every key with its meaning, unit, default and reason
    Default,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check { file } => check(file)?,
        Command::Default => output::line(Config::DEFAULT_FILE.trim_end())?,
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
        output::line(&format!("warning: {warning}"))?;
    }
    output::line("no mistakes")
}

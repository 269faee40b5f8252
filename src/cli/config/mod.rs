//! `countersign config`: checks a configuration, or prints the effective one, the default one or the schema.

mod check;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use countersign::config::{Config, schema};

use super::output;
use super::service_flags::ServiceFlags;

/// The arguments of `countersign config`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List every mistake in a file, in COUNTERSIGN_* variables and in the files that they name
    ///
    /// Reads certificates, keys and tokens as a start does, but creates nothing, and contacts neither
    /// the store nor a user directory.
    Check(check::Args),
    /// Print the value of every key, and its source: default, file, variable or flag
    ///
    /// Credentials in addresses are redacted.
    Show(show::Args),
    /// Print the default file: every key with its meaning, unit, default and reason
    Default,
    /// Print the JSON Schema of the file, for editors
    Schema,
}

/// The sources of a configuration, as `serve` takes them.
#[derive(Debug, clap::Args)]
struct SourceArgs {
    /// TOML file [default: none, only the variables and the flags]
    #[arg(value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    file: Option<PathBuf>,
    #[command(flatten)]
    flags: ServiceFlags,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Check(args) => check::run(args)?,
        Command::Show(args) => show::run(args)?,
        Command::Default => output::line(Config::DEFAULT_FILE.trim_end())?,
        Command::Schema => output::line(&format!("{:#}", schema()))?,
    }
    Ok(ExitCode::SUCCESS)
}

//! `countersign keygen`: prints one line, exactly the content of a master key file.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use countersign::clock::SystemEntropy;
use countersign::store::new_master_key;

/// The arguments of `countersign keygen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
#[expect(clippy::unused_async, reason = "every command is run the same way")]
pub(crate) async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    let line = new_master_key(&SystemEntropy);
    writeln!(std::io::stdout().lock(), "{}", *line).context("printing the master key")?;
    Ok(ExitCode::SUCCESS)
}

//! `countersign keygen`: prints one line, the content of a master key file.

use std::process::ExitCode;

use countersign::clock::SystemEntropy;
use countersign::store::new_master_key;

use super::output;

/// The arguments of `countersign keygen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    output::line(&new_master_key(&SystemEntropy))?;
    Ok(ExitCode::SUCCESS)
}

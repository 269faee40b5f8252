//! `countersign sign`.

use std::process::ExitCode;

/// The arguments of `countersign sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the command.
pub(crate) async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    todo!()
}

//! `countersign completion`: prints the completion script of a shell.

use std::io::Write as _;
use std::process::ExitCode;

use clap_complete::Shell;

use super::output;

/// The arguments of `countersign completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = INSTALLATION)]
pub(crate) struct Args {
    /// Shell that reads the script
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(args: &Args, mut command: clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "countersign", &mut script);
    output::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// A package installs the scripts into these directories too.
const INSTALLATION: &str = "\
Examples:
  countersign completion bash > /usr/share/bash-completion/completions/countersign
  countersign completion zsh > /usr/share/zsh/site-functions/_countersign
  countersign completion fish > /usr/share/fish/vendor_completions.d/countersign.fish
  countersign completion powershell > countersign.ps1";

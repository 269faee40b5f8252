//! From the command line to an exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Every call allocates and frees buffers of some kilobytes on one thread, which glibc gives back to the system and takes again.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => cli.run().unwrap_or_else(|error| failure(&error)),
        Err(error) => usage(&error),
    }
}

#[expect(clippy::print_stderr, reason = "a command tells people why it failed")]
fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    match error.downcast_ref::<cli::Usage>() {
        Some(_) => ExitCode::from(cli::Usage::EXIT_CODE),
        None => ExitCode::FAILURE,
    }
}

/// Help and version are no mistakes; everything else is exit code 64 instead of clap's 2.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() || printed.is_err() {
        ExitCode::from(cli::Usage::EXIT_CODE)
    } else {
        ExitCode::SUCCESS
    }
}

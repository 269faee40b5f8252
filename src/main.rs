//! Runs the command line, and ends with its exit status.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Each call allocates and frees buffers of some kilobytes on one thread; glibc returns them to the
/// system each time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::Cli::from_arguments() {
        Ok(cli) => cli.run().unwrap_or_else(|error| cli::failure(&error)),
        Err(reason) => cli::not_run(reason),
    }
}

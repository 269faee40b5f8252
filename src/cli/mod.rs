//! The command line: one file per command.
//!
//! Exit codes: 0 done, 1 it failed, 64 bad usage or configuration. Only this folder and `main.rs` print.

mod client;
mod config;
mod consumer;
mod explain;
mod healthcheck;
mod keygen;
mod output;
mod secret_input;
mod serve;
mod sign;
mod token;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Verifies OAuth 1.0a (RFC 5849) signatures for Envoy and Istio.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service
    Serve(serve::Args),
    /// Administers consumers
    Consumer(consumer::Args),
    /// Administers access tokens
    Token(token::Args),
    /// Signs a request
    Sign(sign::Args),
    /// Verifies a captured request offline and shows its base string
    Explain(explain::Args),
    /// Checks a configuration file or prints the default
    Config(config::Args),
    /// Asks a running service how it is
    Healthcheck(healthcheck::Args),
    /// Prints a new master key
    Keygen(keygen::Args),
}

impl Cli {
    /// Runs the command.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Consumer(args) => consumer::run(args).await,
            Command::Token(args) => token::run(args).await,
            Command::Sign(args) => sign::run(args).await,
            Command::Explain(args) => explain::run(args).await,
            Command::Config(args) => config::run(args).await,
            Command::Healthcheck(args) => healthcheck::run(args).await,
            Command::Keygen(args) => keygen::run(args).await,
        }
    }
}

/// A mistake in how the command was called, or in the configuration: exit code [`Usage::EXIT_CODE`].
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl Usage {
    /// `EX_USAGE` of sysexits.h.
    pub(crate) const EXIT_CODE: u8 = 64;
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

//! The command line: one file or folder per command.
//!
//! Exit codes: 0 done, 1 it failed, 64 bad usage or configuration. Only this folder and `main.rs` print.

mod client;
mod config;
mod consumer;
mod denials;
mod difference;
mod explain;
mod healthcheck;
mod import;
mod keygen;
mod output;
mod paging;
mod raw_request;
mod report;
mod request_token;
mod secret_input;
mod serve;
mod shared_secrets;
mod sign;
mod token;
mod user;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Verifies OAuth 1.0a (RFC 5849) signatures for Envoy and Istio, and issues what callers sign with.
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
    /// Administers users
    User(user::Args),
    /// Issues, shows and revokes access tokens
    Token(token::Args),
    /// Issues temporary credentials, and decides about them for a user
    RequestToken(request_token::Args),
    /// Brings in consumers and tokens from files, or from the Redis of the 2013 provider
    Import(import::Args),
    /// Shows which requests were refused, and why
    Denials(denials::Args),
    /// Counts what was let through and refused of each consumer
    Report(report::Args),
    /// Signs a request
    Sign(sign::Args),
    /// Verifies a captured request offline, and says why it is refused
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
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(args),
            Command::Consumer(args) => block_on(consumer::run(args)),
            Command::User(args) => block_on(user::run(args)),
            Command::Token(args) => block_on(token::run(args)),
            Command::RequestToken(args) => block_on(request_token::run(args)),
            Command::Import(args) => block_on(import::run(args)),
            Command::Denials(args) => block_on(denials::run(args)),
            Command::Report(args) => block_on(report::run(args)),
            Command::Sign(args) => sign::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Config(args) => config::run(&args),
            Command::Healthcheck(args) => block_on(healthcheck::run(args)),
            Command::Keygen(args) => block_on(keygen::run(args)),
        }
    }
}

/// Runs a command that asks one thing after another: one thread is enough.
fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .context("the runtime can not start")?
        .block_on(command)
}

/// A duration as the API takes it.
fn duration(
    given: Option<Duration>,
    option: &str,
) -> anyhow::Result<Option<prost_types::Duration>> {
    let given = given.map(prost_types::Duration::try_from).transpose();
    given.map_err(|_| Usage(format!("{option} is too long")).into())
}

/// The environment as far as text can hold it.
fn environment() -> Vec<(String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
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

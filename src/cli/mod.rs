//! The command line: one file or folder for each command.
//!
//! Only this folder and `main.rs` print. The other files are shared: `client` (connection to a
//! server), `replicas` and `resolution` (connections to every replica), `refusal` (errors of calls),
//! `confirm` (`--yes`), `moment` (times), `input` and `secret_input` (files and secrets),
//! `private_file` (output with secrets), `output` and `paging` (records and lists), `examples` (of
//! `--help`), `stop_signal` (of a command that finishes its files), and `exit` (exit statuses).

mod apply;
mod capture;
mod client;
mod completion;
mod config;
mod confirm;
mod consumer;
mod denials;
mod difference;
mod examples;
mod exit;
mod explain;
mod export;
mod healthcheck;
mod import;
mod input;
mod keygen;
mod man;
mod moment;
mod output;
mod paging;
mod private_file;
mod refusal;
mod rekey;
mod replicas;
mod report;
mod request_token;
mod resolution;
mod secret_input;
mod serve;
mod service_flags;
mod shared_secrets;
mod sign;
mod stop_signal;
mod token;
mod user;
mod would_pass;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::exit::Usage;
pub(crate) use self::exit::{failure, not_run};
use self::input::duration;

/// Verifies OAuth 1.0a (RFC 5849) signatures for Envoy and Istio, and issues credentials.
#[derive(Debug, Parser)]
#[command(version = VERSION, propagate_version = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service
    ///
    /// SIGHUP and changed contents (reload.interval) reload the configuration file and the files
    /// that it names, all or nothing. SIGTERM and SIGINT finish the requests in flight and end the
    /// process; a second one ends it at once.
    ///
    /// Each flag overrides its COUNTERSIGN_* variable, which overrides the file.
    Serve(serve::Args),
    /// Manage consumers, the applications that sign requests
    Consumer(consumer::Args),
    /// Manage the built-in users
    User(user::Args),
    /// Create, show and revoke access tokens
    Token(token::Args),
    /// Create temporary credentials, and authorize or refuse them for a user
    RequestToken(request_token::Args),
    /// Make consumers and tokens equal to a YAML file: create, change, and with --prune delete
    Apply(apply::Args),
    /// Back up all consumers, users and tokens to a file, or write the YAML of `apply`
    Export(export::Args),
    /// Restore a backup, or import consumers and tokens from a file or a 2013 provider's Redis
    Import(import::Args),
    /// Seal every record with the first master key, after a change of the key file
    Rekey(rekey::Args),
    /// Show denied requests with their reasons
    Denials(denials::Args),
    /// Show counts of allowed and denied requests for each consumer
    Report(report::Args),
    /// Sign a request, and print its header or a curl command
    Sign(sign::Args),
    /// Verify a captured request offline, and explain why it is refused
    Explain(explain::Args),
    /// Check a configuration, or print the effective one, the default one or the schema
    Config(config::Args),
    /// Query the health of a running service
    Healthcheck(healthcheck::Args),
    /// Print a new master key
    Keygen(keygen::Args),
    /// Print the completion script of a shell
    Completion(completion::Args),
    /// Write the manual pages of all commands to a directory
    Man(man::Args),
}

/// The version with commit and date, which `build.rs` sets.
const VERSION: &str = env!("COUNTERSIGN_VERSION");

const AFTER_HELP: &str = "\
First steps:
  countersign serve                                     # start; needs no configuration
  countersign consumer create --name Printer            # in another terminal
  countersign sign GET http://localhost:10000/photos \\
      --consumer-key KEY --consumer-secret SECRET -o curl
  countersign denials --follow                          # refused requests, and why
  countersign config default > countersign.toml         # every setting

Each command's --help has examples of its own.

Each option under Connection can be a variable, for example COUNTERSIGN_SERVER: the option takes
precedence, then the variable, then the default.

Exit status:
  0    success (explain: the request is verified)
  1    failure (explain: the request is refused or unsigned)
  2    the dry run found a difference (apply --detailed-exitcode)
  64   wrong usage or configuration, including a missing or unreadable file
  66   not found: no such consumer, token, user or denial
  69   unavailable: no connection to the server, no answer, or its store is unavailable
  75   partial output: some replicas did not answer (denials, report)
  77   permission denied: the token is missing or wrong, or its role may not make the call
  141  the reader of the output closed it early, for example head";

// === impl Cli ===

impl Cli {
    /// Parses the arguments of this process.
    ///
    /// # Errors
    /// When they are wrong, or ask for help or the version.
    pub(crate) fn from_arguments() -> Result<Self, clap::Error> {
        let matches = Self::documented().try_get_matches()?;
        Self::from_arg_matches(&matches)
    }

    /// Returns the command line with the examples of its `--help`.
    fn documented() -> clap::Command {
        examples::add_to(Self::command())
    }

    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(args) => serve::run(args),
            Command::Consumer(args) => block_on(consumer::run(args)),
            Command::User(args) => block_on(user::run(args)),
            Command::Token(args) => block_on(token::run(args)),
            Command::RequestToken(args) => block_on(request_token::run(args)),
            Command::Apply(args) => block_on(apply::run(args)),
            Command::Export(args) => block_on(export::run(args)),
            Command::Import(args) => block_on(import::run(args)),
            Command::Rekey(args) => block_on(rekey::run(args)),
            Command::Denials(args) => block_on(denials::run(args)),
            Command::Report(args) => block_on(report::run(args)),
            Command::Sign(args) => sign::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Config(args) => config::run(args),
            Command::Healthcheck(args) => block_on(healthcheck::run(args)),
            Command::Keygen(args) => keygen::run(&args),
            Command::Completion(args) => completion::run(&args, Self::documented()),
            Command::Man(args) => man::run(&args, Self::documented()),
        }
    }
}

/// Runs a command that sends one request after another, for which one thread is enough.
fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .context("cannot start the runtime")?
        .block_on(command)
}

//! `countersign config check`: lists every mistake in a configuration and in the files that it names.

use anyhow::Context as _;
use countersign::config::{self, Config, StoreUrl};
use countersign::server::{FileCheck, FileState, check_files};

use super::SourceArgs;
use crate::cli::exit::Usage;
use crate::cli::output;
use crate::cli::service_flags::token_variables;

/// The arguments of `countersign config check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sources: SourceArgs,
    /// Do not read the files that the configuration names, which another machine may have
    #[arg(long)]
    no_files: bool,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let sources = args.sources.flags.into_sources(args.sources.file);
    let config = config::load(&sources).map_err(|error| Usage(error.to_string()))?;
    for warning in config.warnings() {
        output::line(&format!("warning: {warning}"))?;
    }
    if args.no_files {
        output::line("not checked: the files that the configuration names")?;
    } else {
        report_files(&config)?;
    }
    for unchecked in not_contacted(&config) {
        output::line(&format!("not contacted: {unchecked}"))?;
    }
    output::line("no mistakes")
}

/// Reads the named files, and prints the outcome.
///
/// # Errors
/// When a start could not use one of them; the error lists all of them.
fn report_files(config: &Config) -> anyhow::Result<()> {
    // The client of a user directory needs a runtime, even without a connection.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let checks = {
        let _entered = runtime.enter();
        check_files(config, &token_variables())
    };
    let mut mistakes = Vec::new();
    for check in checks {
        let (key, files) = (check.key, files(&check));
        match check.state {
            FileState::Usable => output::line(&format!("read {key}: {files}"))?,
            FileState::ToBeCreated => output::line(&format!(
                "not checked: {files} ({key}) does not exist; the first start creates it"
            ))?,
            FileState::Unusable(why) => mistakes.push(format!("\n  {key}: {why}")),
        }
    }
    match mistakes.len() {
        0 => Ok(()),
        count => {
            let plural = if count == 1 { "" } else { "s" };
            let mistakes = mistakes.concat();
            Err(Usage(format!(
                "{count} mistake{plural} in the files that the configuration names{mistakes}"
            ))
            .into())
        }
    }
}

fn files(check: &FileCheck) -> String {
    let files = check.files.iter().map(|file| file.display().to_string());
    files.collect::<Vec<_>>().join(", ")
}

/// Returns the services that only a start connects to.
fn not_contacted(config: &Config) -> Vec<&'static str> {
    let redis = matches!(config.store.url, StoreUrl::Redis(_)).then_some("Redis (store.url)");
    let directory = config
        .users
        .url
        .as_ref()
        .map(|_| "the user directory (users.url)");
    redis.into_iter().chain(directory).collect()
}

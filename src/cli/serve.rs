//! `countersign serve`: runs the service until SIGTERM or SIGINT, and reloads at SIGHUP.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use countersign::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use countersign::config::{Config, Sources};
use countersign::directory;
use countersign::server::api::{AdminToken, IssuerToken};
use countersign::server::reload::{ReloadSource, TokenVariables};
use countersign::server::{self, App, BindError, Listeners, ServiceLogo};
use countersign::store::{self, StoreError};
use countersign::telemetry::{self, Metrics};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::exit::Usage;
use super::service_flags::{ServiceFlags, token_variables};

/// The arguments of `countersign serve`. Each overrides its COUNTERSIGN_* variable, which overrides
/// the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// TOML configuration file; `countersign config default` prints every key [default: none]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: ServiceFlags,
}

impl Args {
    fn into_sources(self) -> Sources {
        self.flags.into_sources(self.config)
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let requests = Arc::new(Notify::new());
    let (config, reload) =
        ReloadSource::load(args.into_sources(), token_variables(), requests.clone())
            .map_err(|error| Usage(error.to_string()))?;
    let reload = reload.with_log(telemetry::log_to_stderr(&config.log)?);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = config.workers {
        runtime.worker_threads(workers);
    }
    let runtime = runtime
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(serve_until_signal(config, reload, requests));
    // Tasks that still run were abandoned; waiting for them could take forever.
    runtime.shutdown_background();
    ended
}

/// Drains at the first SIGTERM or SIGINT, and ends immediately at the second. SIGHUP asks for a
/// reload.
async fn serve_until_signal(
    config: Config,
    reload: ReloadSource,
    requests: Arc<Notify>,
) -> anyhow::Result<ExitCode> {
    report_large_files_as_errors().context("cannot receive signals")?;
    request_at_hang_up(requests).context("cannot receive signals")?;
    let mut first = count_signals().context("cannot receive signals")?;
    let mut second = first.clone();
    let shutdown = async move { drop(first.wait_for(|&count| count >= 1).await) };
    tokio::select! {
        served = serve(config, reload, shutdown) => served.map(|()| ExitCode::SUCCESS),
        _ = second.wait_for(|&count| count >= 2) => {
            tracing::warn!("ended immediately by a second signal; requests in flight were lost");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Opens the store, serves, and closes the store in any case: a store that was closed knows that no
/// nonce was lost.
async fn serve(
    config: Config,
    reload: ReloadSource,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
        (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let opened = store::open(
        &config.store,
        &config.data_dir,
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let store = opened.await.map_err(unopened)?;
    let served = async {
        let TokenVariables { admin, issuer } = token_variables();
        let admin_token =
            AdminToken::load_or_create(&config.data_dir, admin.as_deref(), entropy.as_ref())?;
        let issuer_token = issuer_token(&config, issuer.as_deref(), &admin_token)?;
        let directory = directory::open(&config.users).map_err(|error| mistake(error.into()))?;
        let logo = ServiceLogo::load(config.authorize.logo_file.as_deref())
            .map_err(|error| mistake(error.into()))?;
        let listeners = Listeners::bind(&config).await.map_err(unbound)?;
        let app = App {
            config: Arc::new(config),
            store: Arc::clone(&store),
            clock,
            entropy,
            metrics: Arc::new(Metrics::default()),
            admin_token,
            issuer_token,
            directory,
            logo: logo.map(Arc::new),
        };
        Ok(server::run(listeners, app, Some(reload), shutdown).await?)
    };
    let served = served.await;
    let closed = store.close().await.context("cannot close the store");
    served.and(closed)
}

fn issuer_token(
    config: &Config,
    variable: Option<&str>,
    admin_token: &AdminToken,
) -> anyhow::Result<Option<IssuerToken>> {
    let file = config.api.issuer_token_file.as_deref();
    let loaded = IssuerToken::load(file, variable, Some(admin_token));
    loaded.map_err(|error| Usage(error.to_string()).into())
}

/// Converts the error of opening the store: an unusable address or file is a mistake in the
/// configuration.
fn unopened(error: StoreError) -> anyhow::Error {
    let is_mistake = store::is_configuration_mistake(&error);
    let error = anyhow::Error::new(error).context("cannot open the store");
    if is_mistake { mistake(error) } else { error }
}

/// Converts the error of a listener: an unusable certificate is a mistake in the configuration, an
/// address in use is not.
fn unbound(error: BindError) -> anyhow::Error {
    let is_mistake = matches!(error, BindError::Tls { .. });
    if is_mistake {
        mistake(error.into())
    } else {
        error.into()
    }
}

/// Marks an error as a mistake in the configuration or in the files that it names.
fn mistake(error: anyhow::Error) -> anyhow::Error {
    Usage(format!("{error:#}")).into()
}

/// Asks for a reload at each SIGHUP. One that arrives before the service runs, or while it
/// reloads, asks for one more reload.
fn request_at_hang_up(requests: Arc<Notify>) -> io::Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            requests.notify_one();
        }
    });
    Ok(())
}

/// Counts SIGTERM and SIGINT.
fn count_signals() -> io::Result<watch::Receiver<u32>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(counted)
}

/// Turns SIGXFSZ, which ends a process that writes beyond `ulimit -f`, into an error of the write.
fn report_large_files_as_errors() -> io::Result<()> {
    // The handler of the signal stays for the life of the process.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_help_states_the_defaults() {
        let config = Config::default();
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        for (flag, default) in [
            ("data_dir", config.data_dir.display().to_string()),
            ("store", format!("{:?}", config.store.url)),
            ("check", config.check.listener.address.to_string()),
            ("api", config.api.listener.address.to_string()),
            ("http", config.http.listener.address.to_string()),
            ("ops", config.ops.listener.address.to_string()),
            ("workers", config.workers.unwrap_or(0).to_string()),
        ] {
            let option = serve.get_arguments().find(|option| option.get_id() == flag);
            let help = option.unwrap().get_help().unwrap().to_string();
            assert!(help.ends_with(&format!("[default: {default}]")), "{help}");
        }
    }
}

//! `countersign serve`: from flags to a service that runs until it is told to end.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use countersign::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use countersign::config::{self, Config, Sources};
use countersign::directory;
use countersign::server::api::{AdminToken, IssuerToken};
use countersign::server::{self, App, BindError, Listeners};
use countersign::store;
use countersign::telemetry::{self, Metrics};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Usage, environment};

/// The arguments of `countersign serve`: each is stronger than its COUNTERSIGN_* variable, and that than the file.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file; `countersign config default` prints one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the embedded store, its key and the admin token are kept
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// embedded:FILE, memory:, redis://…, rediss://…, redis+sentinel://… or redis+cluster://…
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The keys that seal secrets at rest
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<String>,
    /// Where Envoy asks: an IP address and port, or unix:PATH
    #[arg(long, value_name = "ADDR")]
    check: Option<String>,
    /// Where administrators ask
    #[arg(long, value_name = "ADDR")]
    api: Option<String>,
    /// Where clients get tokens, and users allow it
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Where probes and Prometheus ask
    #[arg(long, value_name = "ADDR")]
    ops: Option<String>,
    /// Worker threads; 0 is one for each core
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    workers: Option<String>,
}

impl Args {
    fn into_sources(self) -> Sources {
        let flags = [
            ("data_dir", self.data_dir),
            ("store.url", self.store),
            ("store.master_key_file", self.master_key_file),
            ("check.listen", self.check),
            ("api.listen", self.api),
            ("http.listen", self.http),
            ("ops.listen", self.ops),
            ("workers", self.workers),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        Sources {
            file: self.config,
            env: environment(),
            flags,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = config::load(&args.into_sources()).map_err(|error| Usage(error.to_string()))?;
    telemetry::log_to_stderr(&config.log)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = config.workers {
        runtime.worker_threads(workers);
    }
    let runtime = runtime
        .enable_all()
        .build()
        .context("the runtime can not start")?;
    let ended = runtime.block_on(serve_until_told(config));
    // What still runs was given up on; waiting for it could take for ever.
    runtime.shutdown_background();
    ended
}

/// Drains at the first SIGTERM or SIGINT, and ends at once at the second.
async fn serve_until_told(config: Config) -> anyhow::Result<ExitCode> {
    let mut first = count_signals().context("signals can not be received")?;
    let mut second = first.clone();
    let told = async move { drop(first.wait_for(|&count| count >= 1).await) };
    tokio::select! {
        served = serve(config, told) => served.map(|()| ExitCode::SUCCESS),
        _ = second.wait_for(|&count| count >= 2) => {
            tracing::warn!("ended at once by a second signal");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Opens the store, serves, and closes it whatever happened: a store that was closed knows that it forgot nothing.
async fn serve(config: Config, told: impl Future<Output = ()>) -> anyhow::Result<()> {
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
        (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let opened = store::open(
        &config.store,
        &config.data_dir,
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let store = opened.await.context("the store can not be opened")?;
    let served = async {
        let variable = std::env::var(AdminToken::VARIABLE).ok();
        let admin_token =
            AdminToken::load_or_create(&config.data_dir, variable.as_deref(), entropy.as_ref())?;
        let issuer_token = issuer_token(&config, &admin_token)?;
        let directory = directory::open(&config.users).map_err(|error| mistake(error.into()))?;
        let listeners = Listeners::bind(&config).await.map_err(unbound)?;
        let (config, metrics) = (Arc::new(config), Arc::new(Metrics::default()));
        let (store, entropy) = (Arc::clone(&store), Arc::clone(&entropy));
        let app = App {
            config,
            store,
            clock,
            entropy,
            metrics,
            admin_token,
            issuer_token,
            directory,
        };
        Ok(server::run(listeners, app, told).await?)
    };
    let served = served.await;
    let closed = store.close().await.context("the store can not be closed");
    served.and(closed)
}

fn issuer_token(config: &Config, admin_token: &AdminToken) -> anyhow::Result<Option<IssuerToken>> {
    let (file, variable) = (
        config.api.issuer_token_file.as_deref(),
        std::env::var(IssuerToken::VARIABLE).ok(),
    );
    let loaded = IssuerToken::load(file, variable.as_deref(), admin_token);
    loaded.map_err(|error| Usage(error.to_string()).into())
}

/// A certificate that can not be used is a mistake in the configuration; an address that is taken is not.
fn unbound(error: BindError) -> anyhow::Error {
    let configured_wrong = matches!(error, BindError::Tls { .. });
    if configured_wrong {
        mistake(error.into())
    } else {
        error.into()
    }
}

/// A mistake in the configuration, or in the files that it names.
fn mistake(error: anyhow::Error) -> anyhow::Error {
    Usage(format!("{error:#}")).into()
}

/// How many times SIGTERM or SIGINT came.
fn count_signals() -> io::Result<watch::Receiver<u32>> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(counted)
}

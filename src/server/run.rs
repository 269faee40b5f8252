//! The life of the service: start, serve, drain.

use std::future::Future;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::app::App;
use super::assembly::{ListenerServices, SharedParts};
use super::error::ServerError;
use super::reload::{ReloadSource, Reloader, log_warnings};
use super::served::ServedListeners;
use super::service_manager;
use super::transport::{BoundListener, CheckWorkers, Listeners};
use crate::config::{Config, ShutdownConfig};

/// Serves until `shutdown` is ready, then drains. Reloads from `reload`, if there is one.
///
/// # Errors
/// If a listener or a check thread ends by itself. Nothing drains then.
pub async fn run(
    listeners: Listeners,
    app: App,
    reload: Option<ReloadSource>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    log_start(&listeners, &app.config);
    let shared = SharedParts::new(&app).await;
    let worker_count = app.config.workers.unwrap_or_else(processors);
    let (workers, mut worker_ended) =
        CheckWorkers::start(worker_count).map_err(ServerError::Workers)?;
    let certificates = listeners.certificates();
    let [_, api, _, _] = &certificates;
    let (services, slots) = ListenerServices::new(&app, &shared, &workers, api.clients())?;
    let mut served = ServedListeners::start(listeners, &services, slots, &app);
    let mut reloader = Reloader::new(app.clone(), &shared, services, certificates);
    let config = reloader.current();
    let serving = async {
        tokio::select! {
            () = shutdown => {}
            error = failure(&app, &shared, &mut served, &mut worker_ended) => return Err(error),
        }
        drain(&shared, served, &config).await;
        Ok(())
    };
    // During the drain too, so that a token can be replaced until the end.
    tokio::select! {
        ended = serving => ended,
        never = reloader.follow(reload) => match never {},
    }
}

/// Follows the health of the store until a listener or a check thread ends by itself.
async fn failure(
    app: &App,
    shared: &SharedParts,
    served: &mut ServedListeners,
    worker_ended: &mut mpsc::Receiver<()>,
) -> ServerError {
    tokio::select! {
        never = shared.health.follow(shared.cached.as_ref(), &app.metrics) => match never {},
        never = service_manager::follow(shared.health.state()) => match never {},
        error = served.public.failure() => ServerError::Listener(error),
        error = served.ops.failure() => ServerError::Listener(error),
        _ = worker_ended.recv() => ServerError::Worker,
    }
}

/// Returns the number of processors, the default number of check threads.
fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Logs the listeners, the store, and warnings about the configuration.
fn log_start(listeners: &Listeners, config: &Config) {
    let Listeners {
        check,
        api,
        http,
        ops,
    } = listeners;
    [check, api, http, ops].into_iter().for_each(log_listener);
    tracing::info!(store = ?config.store.url, version = env!("CARGO_PKG_VERSION"), "serving");
    log_warnings(config);
}

fn log_listener(listener: &BoundListener) {
    tracing::info!(
        listener = listener.name,
        address = %listener.address,
        tls = listener.tls.is_some(),
        "listening"
    );
}

/// Drains in an order that loses no request, and logs how it ended.
async fn drain(
    shared: &SharedParts,
    served: ServedListeners,
    config: &watch::Receiver<Arc<Config>>,
) {
    let config: ShutdownConfig = config.borrow().shutdown.clone();
    tracing::info!(delay = ?config.delay, timeout = ?config.timeout, "draining");
    service_manager::stopping();
    shared.health.set_draining().await;
    sleep(config.delay).await;
    let cut_off = served.public.drain(config.timeout).await;
    // Probes and scrapers, its only clients, retry elsewhere.
    served.ops.drain(OPS_DRAIN_TIMEOUT).await;
    log_end(cut_off);
}

fn log_end(cut_off: usize) {
    if cut_off == 0 {
        tracing::info!("drained: every request was answered");
    } else {
        tracing::warn!(
            connections = cut_off,
            "drained: connections were cut off after shutdown.timeout"
        );
    }
}

/// The longest time for the last responses of the ops listener.
const OPS_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

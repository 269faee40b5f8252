//! The listeners and what they serve: `check` for Envoy, `api` for administrators, `http` for consumers and users, `ops`
//! for probes and Prometheus.
//!
//! [`run`] is handed sockets that are bound and a future that says when to end; it reads no configuration file and binds
//! nothing. It ends so that no request is lost: health says NOT_SERVING and stays so for `shutdown.delay`, until Envoy and
//! Kubernetes have noticed; then every connection is told to go away, and has `shutdown.timeout` to finish what is in
//! flight. The ops listener answers to the last.
//!
//! - `transport`: sockets, certificates, connections and the threads of the check listener.
//! - [`ext_authz`]: Envoy's checks; `denial`: the answers to refused requests.
//! - `api`: administration; `http`: the token endpoints and the authorize page; `pages`, `guard`: the parts that all
//!   pages, requests and answers of `http` and `console` share.
//! - `health`, `ops`, `console`: the state of the service, for machines and for people.

pub mod api;
mod app;
mod console;
mod denial;
mod detached;
pub mod ext_authz;
mod guard;
mod health;
mod http;
mod ops;
mod pages;
mod transport;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::Router;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tonic::service::Routes;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use self::api::Access;
use self::ext_authz::{CheckRoutes, CheckService};
use self::health::Health;
use self::transport::{Answer, DrainSignal, Listener, Seats, Workers};
use crate::config::{Config, ShutdownConfig};
use crate::diagnostics::Diagnostics;
use crate::issue::{Issuer, Terms};
use crate::store::{CachedStore, CheckStore, Pulse};
use crate::telemetry::Metrics;
use crate::v1;
use crate::verify::Verifier;

pub use app::App;
pub use transport::{Addresses, BindError, Listeners, TlsError};

/// Why the service ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A listener ended, which it never does unless it is told to.
    #[error("a listener ended unexpectedly")]
    Listener(#[source] Option<JoinError>),
    /// A thread that answers checks ended, which it never does unless it is told to.
    #[error("a thread that answers checks ended unexpectedly")]
    Worker,
    /// The system has no threads to give.
    #[error("the threads for checks can not be started")]
    Workers(#[source] io::Error),
    /// Server reflection could not be built.
    #[error("server reflection can not be offered")]
    Reflection(#[source] tonic_reflection::server::Error),
}

/// Serves until `shutdown` is ready, then drains.
///
/// # Errors
/// When a listener ends by itself; nothing is drained then.
pub async fn run(
    listeners: Listeners,
    app: App,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    announce(&listeners, &app.config);
    let (store, clock, metrics) = (
        Arc::clone(&app.store),
        Arc::clone(&app.clock),
        Arc::clone(&app.metrics),
    );
    let health = Health::new(Arc::clone(&clock)).await;
    let cached = CachedStore::new(store, Arc::clone(&clock), &app.config.cache, metrics);
    let diagnostics = Diagnostics::new(&app.config.diagnostics, clock, Arc::clone(&app.metrics));
    let shared = Shared {
        cached,
        diagnostics,
        health,
    };
    let (workers, mut ended) = Workers::start(app.config.workers.unwrap_or_else(processors))
        .map_err(ServerError::Workers)?;
    let check = check_seats(&app, &shared, &workers)?;
    let (mut callers, mut ops) = serve(listeners, &app, check, &shared)?;
    let Shared {
        cached,
        diagnostics,
        health,
    } = &shared;
    tokio::select! {
        () = shutdown => {}
        never = health.follow(cached.as_ref(), &app.metrics) => match never {},
        ended = callers.tasks.join_next() => return Err(ServerError::Listener(ended.and_then(Result::err))),
        _ = ended.recv() => return Err(ServerError::Worker),
        ended = ops.tasks.join_next() => return Err(ServerError::Listener(ended.and_then(Result::err))),
    }
    leave(health, diagnostics, callers, ops, &app.config.shutdown).await;
    Ok(())
}

/// What more than one listener has.
struct Shared {
    cached: Arc<CachedStore>,
    diagnostics: Diagnostics,
    health: Health,
}

/// Listeners that leave together.
struct Group {
    drain: DrainSignal,
    /// Each ends with the number of connections that had to be cut off.
    tasks: JoinSet<usize>,
}

impl Group {
    fn new() -> Self {
        Self {
            drain: DrainSignal::new(),
            tasks: JoinSet::new(),
        }
    }

    fn add<S: Answer>(&mut self, listener: Listener, seats: Seats<S>, metrics: &Arc<Metrics>) {
        self.tasks.spawn(transport::accept(
            listener,
            seats,
            Arc::clone(metrics),
            self.drain.watch(),
        ));
    }

    /// Tells every connection to leave, and waits for them; returns how many had to be cut off.
    async fn leave(self, within: Duration) -> usize {
        self.drain.start(Instant::now() + within);
        self.tasks.join_all().await.into_iter().sum()
    }
}

fn serve(
    listeners: Listeners,
    app: &App,
    check: Seats<CheckRoutes>,
    shared: &Shared,
) -> Result<(Group, Group), ServerError> {
    let (mut callers, mut ops) = (Group::new(), Group::new());
    let issuer = issuer(app);
    callers.add(listeners.check, check, &app.metrics);
    let api = api_routes(app, issuer.clone(), shared)?.prepare();
    callers.add(listeners.api, Seats::here(api), &app.metrics);
    callers.add(
        listeners.http,
        Seats::here(http::routes(app, issuer, shared.diagnostics.clone())),
        &app.metrics,
    );
    ops.add(
        listeners.ops,
        Seats::here(ops_routes(app, shared)),
        &app.metrics,
    );
    Ok((callers, ops))
}

/// What the check listener serves: on each worker a service of its own, so that what checks touch stays with its thread.
fn check_seats(
    app: &App,
    Shared {
        cached,
        diagnostics,
        health,
    }: &Shared,
    workers: &Workers,
) -> Result<Seats<CheckRoutes>, ServerError> {
    let others = Routes::new(health.service());
    let others = if app.config.check.reflection {
        others.add_service(reflection(&[], &[])?)
    } else {
        others
    };
    let others = others.prepare();
    Ok(workers.seats(|| {
        let store: Arc<dyn CheckStore> = Arc::<CachedStore>::clone(cached);
        let verifier = Verifier::new(store, Arc::clone(&app.clock), &app.config.verify).here();
        let (config, metrics, entropy) = (
            Arc::clone(&app.config),
            Arc::clone(&app.metrics),
            Arc::clone(&app.entropy),
        );
        let check = CheckService::new(verifier, config, metrics, diagnostics.clone(), entropy);
        CheckRoutes::new(check, others.clone())
    }))
}

/// How many threads there are where the operator says nothing.
fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// What the api listener serves.
fn api_routes(app: &App, issuer: Issuer, shared: &Shared) -> Result<Routes, ServerError> {
    let (diagnostics, health) = (shared.diagnostics.clone(), &shared.health);
    let access = Access::new(
        app.admin_token.clone(),
        app.issuer_token.clone(),
        &app.config.api,
    );
    let routes = api::routes(issuer, diagnostics, access).add_service(health.service());
    Ok(routes.add_service(reflection(&[v1::FILE_DESCRIPTOR_SET], &api::SERVICES)?))
}

/// What the ops listener serves.
fn ops_routes(
    app: &App,
    Shared {
        cached,
        diagnostics,
        health,
    }: &Shared,
) -> Router {
    let store: Arc<dyn Pulse> = Arc::<CachedStore>::clone(cached);
    let sources = console::Sources {
        diagnostics: diagnostics.clone(),
        standing: health.standing(),
        store,
    };
    ops::routes(health.standing(), Arc::clone(&app.metrics)).merge(console::routes(app, sources))
}

/// What issues, for whoever asks.
fn issuer(app: &App) -> Issuer {
    let App {
        store,
        clock,
        entropy,
        directory,
        ..
    } = app;
    let terms = Terms::of(&app.config);
    Issuer::new(
        Arc::clone(store),
        Arc::clone(clock),
        Arc::clone(entropy),
        terms,
        directory.clone(),
    )
}

/// Server reflection of health, of itself and of `services`, which are in `descriptors`.
///
/// They are listed by name, since the descriptors have one that operators serve and we do not (`UserDirectory`).
fn reflection(
    descriptors: &[&'static [u8]],
    services: &[&str],
) -> Result<ServerReflectionServer<impl ServerReflection>, ServerError> {
    let mut builder = tonic_reflection::server::Builder::configure();
    for set in [tonic_health::pb::FILE_DESCRIPTOR_SET]
        .iter()
        .chain(descriptors)
    {
        builder = builder.register_encoded_file_descriptor_set(set);
    }
    for service in [HEALTH, REFLECTION].iter().chain(services) {
        builder = builder.with_service_name(*service);
    }
    builder.build_v1().map_err(ServerError::Reflection)
}

/// Says what listens where, and what an operator should think about.
fn announce(listeners: &Listeners, config: &Config) {
    for listener in [
        &listeners.check,
        &listeners.api,
        &listeners.http,
        &listeners.ops,
    ] {
        tracing::info!(
            listener = listener.name,
            address = %listener.address,
            tls = listener.tls.is_some(),
            "listening"
        );
    }
    tracing::info!(store = ?config.store.url, version = env!("CARGO_PKG_VERSION"), "serving");
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
}

/// Leaves in the order that loses no request, and says how it ended.
async fn leave(
    health: &Health,
    diagnostics: &Diagnostics,
    callers: Group,
    ops: Group,
    config: &ShutdownConfig,
) {
    tracing::info!(delay = ?config.delay, timeout = ?config.timeout, "draining");
    health.drain().await;
    sleep(config.delay).await;
    diagnostics.end_watches();
    let (cut, ()) = tokio::join!(callers.leave(config.timeout), health.end_watches());
    // Only probes and scrapers are there, who ask again elsewhere.
    ops.leave(OPS_LEAVE).await;
    match cut {
        0 => tracing::info!("drained: every request was answered"),
        cut => tracing::warn!(
            connections = cut,
            "drained: shutdown.timeout passed, and connections were cut off"
        ),
    }
}

/// How long the ops listener may take to answer what it was asked last.
const OPS_LEAVE: Duration = Duration::from_millis(500);

const HEALTH: &str = "grpc.health.v1.Health";
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";

//! The assembly of each listener's services from the components of the [`App`].

use std::sync::Arc;

use axum::Router;
use tonic::service::Routes;

use super::api::{self, Access};
use super::app::App;
use super::body::BodyBudget;
use super::error::ServerError;
use super::ext_authz::{CheckRoutes, CheckService};
use super::group::ListenerGroup;
use super::health::HealthMonitor;
use super::transport::{CheckWorkers, Listeners, ServiceSlots};
use super::{console, http, ops, reflection};
use crate::diagnostics::Diagnostics;
use crate::issue::{Issuer, IssuerTerms};
use crate::store::{CachedStore, CheckStore, OutageStore, StoreHealth};
use crate::v1;
use crate::verify::Verifier;

/// The components that more than one listener uses.
pub(super) struct SharedParts {
    /// The store behind its cache.
    pub(super) cached: Arc<CachedStore>,
    /// The store for checks: the cache, and what works through an outage if that is configured.
    checks: Arc<dyn CheckStore>,
    /// The record of decisions.
    pub(super) diagnostics: Diagnostics,
    /// The readiness of the service.
    pub(super) health: HealthMonitor,
}

/// The listeners by the order in which they drain.
pub(super) struct ServedListeners {
    /// `check`, `api` and `http`.
    pub(super) public: ListenerGroup,
    /// `ops`, which drains last.
    pub(super) ops: ListenerGroup,
}

// === impl SharedParts ===

impl SharedParts {
    /// Creates the components.
    pub(super) async fn new(app: &App) -> Self {
        let (clock, metrics) = (&app.clock, &app.metrics);
        let cached = CachedStore::new(
            Arc::clone(&app.store),
            Arc::clone(clock),
            &app.config.cache,
            Arc::clone(metrics),
        );
        let diagnostics = Diagnostics::new(
            &app.config.diagnostics,
            Arc::clone(clock),
            Arc::clone(metrics),
        );
        let works_in_outages = app.config.claims_nonces_in_outages();
        let mut checks: Arc<dyn CheckStore> = Arc::<CachedStore>::clone(&cached);
        if works_in_outages {
            checks = OutageStore::new(checks, Arc::clone(clock));
        }
        Self {
            cached,
            checks,
            diagnostics,
            health: HealthMonitor::new(Arc::clone(clock), works_in_outages).await,
        }
    }
}

// === impl ServedListeners ===

impl ServedListeners {
    /// Serves every listener.
    pub(super) fn start(
        listeners: Listeners,
        app: &App,
        shared: &SharedParts,
        workers: &CheckWorkers,
    ) -> Result<Self, ServerError> {
        let issuer = issuer(app);
        let check = check_slots(app, shared, workers)?;
        let api = api_routes(app, issuer.clone(), shared)?.prepare();
        let http = http::routes(
            app,
            issuer,
            shared.diagnostics.clone(),
            BodyBudget::default(),
        );
        let (mut public, mut ops) = (ListenerGroup::new(), ListenerGroup::new());
        public.serve(listeners.check, check, &app.metrics);
        public.serve(listeners.api, ServiceSlots::current(api), &app.metrics);
        public.serve(listeners.http, ServiceSlots::current(http), &app.metrics);
        let slots = ServiceSlots::current(ops_routes(app, shared));
        ops.serve(listeners.ops, slots, &app.metrics);
        Ok(Self { public, ops })
    }
}

/// Returns the services of the check listener: one for each worker, so that a check's data stays
/// with its thread.
fn check_slots(
    app: &App,
    shared: &SharedParts,
    workers: &CheckWorkers,
) -> Result<ServiceSlots<CheckRoutes>, ServerError> {
    let mut others = Routes::new(shared.health.service());
    if app.config.check.reflection {
        others = others.add_service(reflection::service(&[], &[])?);
    }
    let others = others.prepare();
    Ok(workers.slots(|| CheckRoutes::new(check_service(app, shared), others.clone())))
}

/// Returns a check service whose tasks run on the current runtime.
fn check_service(app: &App, shared: &SharedParts) -> CheckService {
    let store = Arc::clone(&shared.checks);
    let verifier = Verifier::new(store, Arc::clone(&app.clock), &app.config.verify).here();
    CheckService::new(
        verifier,
        Arc::clone(&app.config),
        Arc::clone(&app.metrics),
        shared.diagnostics.clone(),
        Arc::clone(&app.entropy),
    )
}

/// Returns the services of the api listener.
fn api_routes(app: &App, issuer: Issuer, shared: &SharedParts) -> Result<Routes, ServerError> {
    let access = Access::new(
        app.admin_token.clone(),
        app.issuer_token.clone(),
        &app.config.api,
    );
    let store = Arc::clone(&app.store);
    let routes = api::routes(issuer, shared.diagnostics.clone(), store, access)
        .add_service(shared.health.service());
    let reflection = reflection::service(&[v1::FILE_DESCRIPTOR_SET], &api::SERVICES)?;
    Ok(routes.add_service(reflection))
}

/// Returns the routes of the ops listener.
fn ops_routes(app: &App, shared: &SharedParts) -> Router {
    let store: Arc<dyn StoreHealth> = Arc::<CachedStore>::clone(&shared.cached);
    let sources = console::ConsoleSources {
        diagnostics: shared.diagnostics.clone(),
        health: shared.health.state(),
        store,
        bodies: BodyBudget::default(),
    };
    ops::routes(shared.health.state(), Arc::clone(&app.metrics))
        .merge(console::routes(app, sources))
}

/// Returns the issuer of consumers and tokens.
fn issuer(app: &App) -> Issuer {
    let App {
        config,
        store,
        clock,
        entropy,
        directory,
        ..
    } = app;
    Issuer::new(
        Arc::clone(store),
        Arc::clone(clock),
        Arc::clone(entropy),
        IssuerTerms::of(config),
        directory.clone(),
    )
}

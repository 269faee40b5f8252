//! The assembly of each listener's services from the components of the [`App`], at the start and at
//! each reload.

use std::sync::Arc;

use axum::Router;
use tonic::service::Routes;

use super::api::{self, Access, RotationTurn};
use super::app::App;
use super::body::BodyBudget;
use super::console::{self, ConsoleGate, ConsoleSources};
use super::error::ServerError;
use super::ext_authz::{CheckRoutes, CheckService};
use super::health::HealthMonitor;
use super::transport::{Admission, CheckWorkers, ClientAuthority, Reloadable, ServiceSlots};
use super::{http, ops, reflection};
use crate::diagnostics::Diagnostics;
use crate::issue::{Issuer, IssuerTerms};
use crate::store::{CachedStore, CheckStore, OutageStore, StoreHealth};
use crate::v1;
use crate::verify::Verifier;

/// The components that more than one listener uses, and that stay at a reload.
pub(super) struct SharedParts {
    /// The store behind its cache.
    pub(super) cached: Arc<CachedStore>,
    /// The store for checks: the cache, and what works through an outage if that is configured.
    checks: Arc<dyn CheckStore>,
    /// The record of decisions.
    pub(super) diagnostics: Diagnostics,
    /// The readiness of the service.
    pub(super) health: HealthMonitor,
    /// The sessions of the console.
    pub(super) gate: Arc<ConsoleGate>,
    /// The limits of issuing.
    issuer: Issuer,
    /// The turn to rotate the master keys.
    turn: RotationTurn,
    /// The memory for request bodies of the http listener.
    http_bodies: BodyBudget,
    /// The memory for request bodies of the ops listener.
    ops_bodies: BodyBudget,
}

/// The services of the listeners, which a reload replaces.
pub(super) struct ListenerServices {
    /// One for each thread, so that a check's data stays with its thread.
    check: Vec<CheckThread>,
    pub(super) api: Reloadable<Routes>,
    pub(super) http: Reloadable<Router>,
    pub(super) ops: Reloadable<Router>,
    access: Arc<Access>,
}

/// The slots of the check threads.
pub(super) type CheckSlots = ServiceSlots<Reloadable<CheckRoutes>>;

/// New services of all listeners, which no request has reached.
pub(super) struct NewServices {
    check: Vec<CheckRoutes>,
    others: OtherServices,
}

/// The services of the api, http and ops listeners.
struct OtherServices {
    api: Routes,
    http: Router,
    ops: Router,
    access: Arc<Access>,
}

/// The parts of one configuration that several services share.
struct ConfiguredParts<'a> {
    app: &'a App,
    shared: &'a SharedParts,
    diagnostics: Diagnostics,
    /// The services of the check listener other than the checks.
    beside_checks: Routes,
}

/// The components of a check thread that stay at a reload.
struct CheckThread {
    store: Arc<dyn CheckStore>,
    admission: Admission,
    routes: Reloadable<CheckRoutes>,
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
        let gate = ConsoleGate::new(
            app.admin_token.clone(),
            Arc::clone(clock),
            Arc::clone(&app.entropy),
        );
        Self {
            cached,
            checks,
            diagnostics,
            health: HealthMonitor::new(Arc::clone(clock), works_in_outages).await,
            gate: Arc::new(gate),
            issuer: issuer(app),
            turn: RotationTurn::default(),
            http_bodies: BodyBudget::default(),
            ops_bodies: BodyBudget::default(),
        }
    }
}

// === impl ListenerServices ===

impl ListenerServices {
    /// Creates the services, and the slots of those of the check listener. `clients` verifies the
    /// client certificates of the api listener.
    pub(super) fn new(
        app: &App,
        shared: &SharedParts,
        workers: &CheckWorkers,
        clients: Option<ClientAuthority>,
    ) -> Result<(Self, CheckSlots), ServerError> {
        let parts = ConfiguredParts::new(app, shared)?;
        let mut check = Vec::new();
        let slots = workers.slots(|| {
            let thread = CheckThread::here(&parts);
            let routes = thread.routes.clone();
            check.push(thread);
            routes
        });
        let OtherServices {
            api,
            http,
            ops,
            access,
        } = OtherServices::new(&parts, access_of(app, clients))?;
        let services = Self {
            check,
            api: Reloadable::new(api),
            http: Reloadable::new(http),
            ops: Reloadable::new(ops),
            access,
        };
        Ok((services, slots))
    }

    /// Creates the services of another configuration.
    pub(super) fn prepare(
        &self,
        app: &App,
        shared: &SharedParts,
        clients: Option<ClientAuthority>,
    ) -> Result<NewServices, ServerError> {
        let parts = ConfiguredParts::new(app, shared)?;
        let access = access_of(app, clients);
        // Calls that the same access admitted end when that one is revoked, after any number of
        // reloads.
        let access = if access.is_same(&self.access) {
            Arc::clone(&self.access)
        } else {
            access
        };
        let routes = |thread: &CheckThread| {
            check_routes(&parts, Arc::clone(&thread.store), thread.admission.clone())
        };
        Ok(NewServices {
            check: self.check.iter().map(routes).collect(),
            others: OtherServices::new(&parts, access)?,
        })
    }

    /// Answers requests with `new` from now on.
    pub(super) fn replace(&mut self, new: NewServices) {
        let OtherServices {
            api,
            http,
            ops,
            access,
        } = new.others;
        self.api.replace(api);
        self.http.replace(http);
        self.ops.replace(ops);
        for (thread, routes) in self.check.iter().zip(new.check) {
            thread.routes.replace(routes);
        }
        let former = std::mem::replace(&mut self.access, access);
        if !Arc::ptr_eq(&former, &self.access) {
            former.revoke();
        }
    }
}

// === impl ConfiguredParts ===

impl<'a> ConfiguredParts<'a> {
    fn new(app: &'a App, shared: &'a SharedParts) -> Result<Self, ServerError> {
        let mut beside_checks = Routes::new(shared.health.service());
        if app.config.check.reflection {
            beside_checks = beside_checks.add_service(reflection::service(&[], &[])?);
        }
        Ok(Self {
            app,
            shared,
            diagnostics: shared.diagnostics.with_config(&app.config.diagnostics),
            beside_checks: beside_checks.prepare(),
        })
    }
}

// === impl CheckThread ===

impl CheckThread {
    /// Creates the service of the thread of the current runtime.
    fn here(parts: &ConfiguredParts<'_>) -> Self {
        let checks = &parts.shared.checks;
        let store = Arc::clone(checks)
            .for_this_runtime()
            .unwrap_or_else(|| Arc::clone(checks));
        let admission = Admission::here();
        let routes = check_routes(parts, Arc::clone(&store), admission.clone());
        Self {
            store,
            admission,
            routes: Reloadable::new(routes),
        }
    }
}

/// Returns the services of a check thread.
fn check_routes(
    parts: &ConfiguredParts<'_>,
    store: Arc<dyn CheckStore>,
    admission: Admission,
) -> CheckRoutes {
    let app = parts.app;
    let verifier = Verifier::new(store, Arc::clone(&app.clock), &app.config.verify);
    let service = CheckService::new(
        verifier,
        Arc::clone(&app.config),
        Arc::clone(&app.metrics),
        parts.diagnostics.clone(),
        Arc::clone(&app.entropy),
    );
    CheckRoutes::new(service, admission, parts.beside_checks.clone())
}

// === impl OtherServices ===

impl OtherServices {
    fn new(parts: &ConfiguredParts<'_>, access: Arc<Access>) -> Result<Self, ServerError> {
        let (app, shared) = (parts.app, parts.shared);
        let terms = IssuerTerms::of(&app.config);
        let issuer = shared.issuer.with_terms(terms, app.directory.clone());
        let api = api_routes(app, issuer.clone(), shared, Arc::clone(&access))?;
        let (diagnostics, bodies) = (parts.diagnostics.clone(), shared.http_bodies.clone());
        Ok(Self {
            api: api.prepare(),
            http: http::routes(app, issuer, diagnostics, bodies),
            ops: ops_routes(app, shared),
            access,
        })
    }
}

fn access_of(app: &App, clients: Option<ClientAuthority>) -> Arc<Access> {
    let (admin, issuer) = (app.admin_token.clone(), app.issuer_token.clone());
    let access = Access::new(admin, issuer, &app.config.api);
    Arc::new(access.with_authority(clients))
}

/// Returns the services of the api listener.
fn api_routes(
    app: &App,
    issuer: Issuer,
    shared: &SharedParts,
    access: Arc<Access>,
) -> Result<Routes, ServerError> {
    let (store, turn) = (Arc::clone(&app.store), shared.turn.clone());
    let routes = api::routes(issuer, shared.diagnostics.clone(), store, turn, access)
        .add_service(shared.health.service());
    let reflection = reflection::service(&[v1::FILE_DESCRIPTOR_SET], &api::SERVICES)?;
    Ok(routes.add_service(reflection))
}

/// Returns the routes of the http listener, which answer requests without a socket too.
pub fn http_routes(app: &App, issuer: Issuer, diagnostics: Diagnostics) -> Router {
    http::routes(app, issuer, diagnostics, BodyBudget::default())
}

/// Returns the routes of the ops listener.
fn ops_routes(app: &App, shared: &SharedParts) -> Router {
    let store: Arc<dyn StoreHealth> = Arc::<CachedStore>::clone(&shared.cached);
    let sources = ConsoleSources {
        diagnostics: shared.diagnostics.clone(),
        health: shared.health.state(),
        store,
        bodies: shared.ops_bodies.clone(),
        gate: Arc::clone(&shared.gate),
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

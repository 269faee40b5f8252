//! The listeners while they are served.

use std::sync::Arc;

use super::app::App;
use super::assembly::{CheckSlots, ListenerServices};
use super::group::ListenerGroup;
use super::transport::{ListenerParts, Listeners, ServiceSlots};

/// The listeners by the order in which they drain.
pub(super) struct ServedListeners {
    /// `check`, `api` and `http`.
    pub(super) public: ListenerGroup,
    /// `ops`, which drains last.
    pub(super) ops: ListenerGroup,
}

impl ServedListeners {
    /// Serves every listener.
    pub(super) fn start(
        listeners: Listeners,
        services: &ListenerServices,
        check: CheckSlots,
        app: &App,
    ) -> Self {
        let api = ServiceSlots::current(services.api.clone());
        let http = ServiceSlots::current(services.http.clone());
        let parts = ListenerParts {
            metrics: Arc::clone(&app.metrics),
            entropy: Arc::clone(&app.entropy),
        };
        let mut public = ListenerGroup::new(parts.clone());
        public.serve(listeners.check, check);
        public.serve(listeners.api, api);
        public.serve(listeners.http, http);
        let mut ops = ListenerGroup::new(parts);
        ops.serve(listeners.ops, ServiceSlots::current(services.ops.clone()));
        Self { public, ops }
    }
}

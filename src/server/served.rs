//! The listeners while they are served.

use std::sync::Arc;

use super::assembly::{CheckSlots, ListenerServices};
use super::group::ListenerGroup;
use super::transport::{Listeners, ServiceSlots};
use crate::telemetry::Metrics;

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
        metrics: &Arc<Metrics>,
    ) -> Self {
        let api = ServiceSlots::current(services.api.clone());
        let http = ServiceSlots::current(services.http.clone());
        let (mut public, mut ops) = (ListenerGroup::new(), ListenerGroup::new());
        public.serve(listeners.check, check, metrics);
        public.serve(listeners.api, api, metrics);
        public.serve(listeners.http, http, metrics);
        let slots = ServiceSlots::current(services.ops.clone());
        ops.serve(listeners.ops, slots, metrics);
        Self { public, ops }
    }
}

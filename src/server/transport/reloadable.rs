//! A service that a reload replaces while connections use it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Extensions, Request, Response};
use hyper::body::Incoming;

use super::service::ConnectionService;

/// A service that can be replaced. A request is answered by the service that was current when it
/// arrived; so open connections use the new one from their next request on, and a request never
/// sees both.
pub(crate) struct Reloadable<S>(Arc<ArcSwap<S>>);

impl<S> Reloadable<S> {
    /// Returns a holder of `service`. Its clones share the current service.
    pub(crate) fn new(service: S) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(service)))
    }

    /// Replaces the service.
    pub(crate) fn replace(&self, service: S) {
        self.0.store(Arc::new(service));
    }
}

impl<S> Clone for Reloadable<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: ConnectionService + Sync> ConnectionService for Reloadable<S> {
    type Body = S::Body;

    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Extensions,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<S> + 'static {
        self.0.load().answer(request, peer)
    }
}

//! The contract between a connection and the service that answers its requests.

use std::convert::Infallible;

use http::{Extensions, Request, Response};
use hyper::body::{Body, Incoming};
use tower::{Service, ServiceExt as _};

/// A service that answers the requests of a connection and never fails.
pub(crate) trait ConnectionService: Clone + Send + 'static {
    /// The body of its responses.
    type Body: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers a request. `peer` holds tonic's connection information for handlers.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Extensions,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<Self> + 'static;
}

/// A tower service, such as [`tonic::service::Routes`], finds the peer among the extensions of a
/// request.
impl<S, B> ConnectionService for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static,
{
    type Body = B;

    fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: &Extensions,
    ) -> impl Future<Output = Response<B>> + Send + use<S, B> + 'static {
        request.extensions_mut().extend(peer.clone());
        let answering = self.clone().oneshot(request);
        async move {
            match answering.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    }
}

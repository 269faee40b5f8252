//! The routes of the check listener.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future;
use http::{Extensions, Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::CheckService;
use super::grpc::UnaryBody;
use crate::server::transport::ConnectionService;

/// Answers `Check` itself, and leaves all other calls to tonic.
///
/// For every call, tonic's router clones and boxes values that a check does not need.
#[derive(Clone)]
pub(in crate::server) struct CheckRoutes {
    check: Arc<CheckService>,
    others: Routes,
}

impl CheckRoutes {
    /// Returns routes for `check` and for `others`.
    pub(in crate::server) fn new(check: CheckService, others: Routes) -> Self {
        Self {
            check: Arc::new(check),
            others,
        }
    }
}

impl ConnectionService for CheckRoutes {
    type Body = Either<UnaryBody, tonic::body::Body>;

    fn answer(
        &self,
        request: Request<Incoming>,
        _: &Extensions,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<> + 'static {
        if request.uri().path() == CHECK {
            let check = Arc::clone(&self.check);
            // Boxed, because hyper and the runtime move a call several times before it starts.
            future::Either::Left(Box::pin(async move {
                check.serve(request).await.map(Either::Left)
            }))
        } else {
            let others = self.others.clone().oneshot(request);
            future::Either::Right(async move {
                let answered: Result<_, Infallible> = others.await;
                match answered {
                    Ok(response) => response.map(Either::Right),
                    Err(never) => match never {},
                }
            })
        }
    }
}

/// The one method of `envoy.service.auth.v3.Authorization`.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

//! The routes of the check listener.

use std::sync::Arc;

use futures_util::future;
use http::{Extensions, Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use tonic::service::Routes;

use super::CheckService;
use super::grpc::UnaryBody;
use crate::server::transport::{Admission, ConnectionService};

/// Answers `Check` itself, and leaves all other calls to tonic.
///
/// For every call, tonic's router clones and boxes values that a check does not need.
#[derive(Clone)]
pub(in crate::server) struct CheckRoutes {
    checks: Arc<AdmittedChecks>,
    others: Routes,
}

/// The checks of a thread, and their admission.
struct AdmittedChecks {
    service: CheckService,
    admission: Admission,
}

impl CheckRoutes {
    /// Returns routes for `check` on the thread of `admission`, and for `others`.
    pub(in crate::server) fn new(
        check: CheckService,
        admission: Admission,
        others: Routes,
    ) -> Self {
        Self {
            checks: Arc::new(AdmittedChecks {
                service: check,
                admission,
            }),
            others,
        }
    }
}

impl ConnectionService for CheckRoutes {
    type Body = Either<UnaryBody, tonic::body::Body>;

    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Extensions,
    ) -> impl Future<Output = Response<Self::Body>> + Send + use<> + 'static {
        if request.uri().path() == CHECK {
            let checks = Arc::clone(&self.checks);
            let arrival = checks.admission.arrival();
            // Boxed, because hyper and the runtime move a call several times before it starts.
            future::Either::Left(Box::pin(async move {
                let AdmittedChecks { service, admission } = &*checks;
                let answered = service.serve_admitted(request, arrival, admission).await;
                answered.map(Either::Left)
            }))
        } else {
            let answering = self.others.answer(request, peer);
            future::Either::Right(async move { answering.await.map(Either::Right) })
        }
    }
}

/// The one method of `envoy.service.auth.v3.Authorization`.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

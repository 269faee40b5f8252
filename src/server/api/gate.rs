//! The gate in front of the services: it authenticates the caller and checks the caller's role.
//!
//! Each service of `countersign.v1` is behind it, unknown calls included. The audit log has an
//! event for each refusal, with the caller, the address and the call. An admitted call is finished
//! even if its caller goes away, so that a change and its event stay together. Streamed answers end
//! with the access that admitted their call.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Extensions, Status};
use tower::Service;

use super::access::Access;
use super::revocable::{RevocableAnswer, RevocableBody};
use super::streamed::is_streamed;
use super::{errors, peer};
use crate::issue::Actor;
use crate::server::detached::to_its_end;

/// A service behind the gate; admitted requests carry the [`Actor`].
#[derive(Clone, Debug)]
pub(super) struct ServiceGate<S> {
    service: S,
    access: Arc<Access>,
}

impl<S> ServiceGate<S> {
    pub(super) const fn new(service: S, access: Arc<Access>) -> Self {
        Self { service, access }
    }
}

impl<S> Service<Request<Body>> for ServiceGate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match admit(&self.access, &request) {
            Ok(actor) => {
                request.extensions_mut().insert(actor);
                request.extensions_mut().insert(Arc::clone(&self.access));
                let streamed = is_streamed(request.uri().path()).then(|| Arc::clone(&self.access));
                let access = Arc::clone(&self.access);
                let request = request.map(|body| Body::new(RevocableBody::new(body, access)));
                until_revoked(to_its_end(self.service.call(request)), streamed).boxed()
            }
            Err(refused) => ready(Ok(refused.into_http())).boxed(),
        }
    }
}

/// Returns the answer of a call. With an access, its body ends when that is revoked.
async fn until_revoked(
    answering: impl Future<Output = Result<Response<Body>, Infallible>>,
    access: Option<Arc<Access>>,
) -> Result<Response<Body>, Infallible> {
    let answer = answering.await?;
    Ok(match access {
        Some(access) => answer.map(|body| Body::new(RevocableAnswer::new(body, &access))),
        None => answer,
    })
}

impl<S: NamedService> NamedService for ServiceGate<S> {
    const NAME: &'static str = S::NAME;
}

/// Returns the caller that the gate authenticated.
///
/// # Errors
/// INTERNAL if the call did not pass the gate; it must not change anything.
pub(super) fn actor(extensions: &Extensions) -> Result<Actor, Status> {
    extensions.get().cloned().ok_or_else(errors::not_gated)
}

/// Returns a future that waits until the access that admitted the call is revoked.
pub(super) fn revocation(extensions: &Extensions) -> impl Future<Output = ()> + Send + 'static {
    let access = extensions.get::<Arc<Access>>();
    let revocation = access.map(|access| access.revocation());
    async move {
        match revocation {
            Some(revocation) => revocation.await,
            None => std::future::pending().await,
        }
    }
}

/// Returns the caller, if it may make this call.
fn admit<B>(access: &Access, request: &Request<B>) -> Result<Actor, Status> {
    let path = request.uri().path();
    let address = peer::address(request.extensions());
    let chain = peer::certificate_chain(request.extensions());
    let names = peer::names(&chain);
    let caller = access.caller(request.headers(), names.clone());
    match caller.and_then(|caller| access.confirmed(caller, &chain)) {
        Ok(caller) if caller.role.may_call(path) => Ok(caller.into()),
        Ok(caller) => {
            let (actor, call) = (Actor::from(caller), shown(path));
            tracing::info!(target: "countersign::audit", %actor, call, peer = ?address, "call refused: the role of the caller is insufficient");
            Err(errors::role_insufficient())
        }
        Err(unknown) => {
            let (reason, call) = (unknown.label(), shown(path));
            tracing::info!(target: "countersign::audit", reason, call, peer = ?address, certificate = ?names, "call refused: unknown caller");
            Err(errors::credentials_required())
        }
    }
}

/// Returns the path for the log, without characters that no call of ours has.
fn shown(path: &str) -> String {
    path.chars()
        .filter(char::is_ascii_graphic)
        .take(SHOWN_LEN)
        .collect()
}

const SHOWN_LEN: usize = 80;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;

    use futures_util::stream;
    use http_body_util::StreamBody;
    use hyper::body::{Body as HttpBody, Bytes, Frame};
    use tonic::Code;
    use tower::service_fn;

    use super::*;
    use crate::config::Config;
    use crate::server::api::{AdminToken, IssuerToken};

    #[tokio::test]
    async fn nobody_gets_through_without_credentials() {
        assert_eq!(call(None, GET_TOKEN).await, Err(Code::Unauthenticated));
        assert_eq!(
            call(Some("Bearer token-of-somebody"), GET_TOKEN).await,
            Err(Code::Unauthenticated)
        );
    }

    #[tokio::test]
    async fn an_issuer_gets_through_to_its_own_calls() {
        assert_eq!(
            call(Some(ISSUER), CREATE_TOKEN).await,
            Ok(Actor::Issuer(None))
        );
        assert_eq!(
            call(Some(ISSUER), GET_TOKEN).await,
            Err(Code::PermissionDenied)
        );
        assert_eq!(
            call(Some(ISSUER), "/countersign.v1.TokenService/DoAnything").await,
            Err(Code::PermissionDenied)
        );
        assert_eq!(call(Some(ADMIN), GET_TOKEN).await, Ok(Actor::ADMIN));
    }

    #[test]
    fn a_call_that_did_not_come_through_the_gate_is_a_fault_of_ours() {
        assert_eq!(
            actor(&Extensions::new()).unwrap_err().code(),
            Code::Internal
        );
    }

    #[tokio::test]
    async fn the_audit_log_has_a_refusal_without_the_credentials() {
        let log = tempfile::NamedTempFile::new().unwrap();
        let writer = Arc::new(log.reopen().unwrap());
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(writer)
            .finish();
        // With a single dispatcher, an event that another thread reaches first is disabled for all.
        let _other = tracing::Dispatch::new(tracing_subscriber::registry());
        let _guard = tracing::subscriber::set_default(subscriber);
        assert!(
            call(Some("Bearer token-of-somebody"), GET_TOKEN)
                .await
                .is_err()
        );
        assert!(call(None, GET_TOKEN).await.is_err());
        assert!(call(Some(ISSUER), GET_TOKEN).await.is_err());
        assert!(call(Some(ISSUER), CREATE_TOKEN).await.is_ok());

        let log = std::fs::read_to_string(log.path()).unwrap();
        assert!(!log.contains("token-of-"), "{log}");
        let events: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let told: Vec<_> = events
            .iter()
            .map(|event| (&event["reason"], &event["actor"], &event["call"]))
            .collect();
        let (call, null) = (GET_TOKEN.into(), serde_json::Value::Null);
        let (wrong, nothing, issuer) = (
            "wrong token".into(),
            "no credentials".into(),
            "issuer".into(),
        );
        assert_eq!(
            told,
            [
                (&wrong, &null, &call),
                (&nothing, &null, &call),
                (&null, &issuer, &call)
            ]
        );
        assert!(
            events
                .iter()
                .all(|event| event["target"] == "countersign::audit"),
            "{log}"
        );
    }

    #[tokio::test]
    async fn a_revocation_ends_streamed_answers_and_no_others() {
        for (path, ends) in [
            ("/countersign.v1.BackupService/ExportRecords", true),
            ("/countersign.v1.BackupService/ExportSecrets", true),
            ("/countersign.v1.StoreService/Rekey", true),
            ("/countersign.v1.DiagnosticsService/WatchDenials", true),
            (GET_TOKEN, false),
        ] {
            let access = access();
            let service = service_fn(|_| {
                let part = || Ok::<_, Status>(Frame::data(Bytes::from_static(b"part")));
                let parts = stream::repeat_with(part);
                ready(Ok(Response::new(Body::new(StreamBody::new(parts)))))
            });
            let request = Request::builder().uri(path).header("authorization", ADMIN);
            let Ok(response) = ServiceGate::new(service, Arc::clone(&access))
                .call(request.body(Body::empty()).unwrap())
                .await;
            let mut answer = response.into_body();
            assert!(next(&mut answer).await.unwrap().is_data());
            access.revoke();
            let last = next(&mut answer).await.unwrap();
            assert_eq!(last.is_data(), !ends, "{path}");
            if let Ok(trailers) = last.into_trailers() {
                let status = Status::from_header_map(&trailers).unwrap();
                assert_eq!(status.code(), Code::Unauthenticated);
                assert!(next(&mut answer).await.is_none() && answer.is_end_stream());
            }
        }
    }

    async fn next(answer: &mut Body) -> Option<Frame<Bytes>> {
        poll_fn(|context| Pin::new(&mut *answer).poll_frame(context))
            .await
            .transpose()
            .unwrap()
    }

    #[test]
    fn only_characters_of_call_names_are_logged() {
        assert_eq!(shown(CREATE_TOKEN), CREATE_TOKEN);
        assert_eq!(shown(&"/é".repeat(1000)), "/".repeat(80));
    }

    const CREATE_TOKEN: &str = "/countersign.v1.TokenService/CreateToken";
    const GET_TOKEN: &str = "/countersign.v1.TokenService/GetToken";
    const ADMIN: &str = "Bearer correct-horse-battery";
    const ISSUER: &str = "Bearer token-of-the-issuers";

    /// Returns the caller that the service behind the gate receives.
    async fn call(authorization: Option<&str>, path: &str) -> Result<Actor, Code> {
        let service = service_fn(|request: Request<Body>| {
            let mut response = Response::new(Body::empty());
            response
                .extensions_mut()
                .insert(actor(request.extensions()).unwrap());
            ready(Ok::<_, Infallible>(response))
        });
        let mut request = Request::builder().uri(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let Ok(response) = ServiceGate::new(service, access())
            .call(request.body(Body::empty()).unwrap())
            .await;
        let status = Status::from_header_map(response.headers());
        match status {
            Some(status) => Err(status.code()),
            None => Ok(response.extensions().get().cloned().unwrap()),
        }
    }
    fn access() -> Arc<Access> {
        let admin = AdminToken::new("correct-horse-battery").unwrap();
        let issuer = IssuerToken::new("token-of-the-issuers");
        Arc::new(Access::new(admin, issuer, &Config::default().api))
    }
}

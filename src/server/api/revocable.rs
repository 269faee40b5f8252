//! The bodies of an admitted request and of its streamed answer, which end with the access that
//! admitted the request.
//!
//! A caller could otherwise keep requests open that a token admitted, and complete them after the
//! token was replaced, or read an export to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::access::Access;
use super::errors;

/// A body that fails once its access is revoked.
pub(super) struct RevocableBody {
    body: Body,
    access: Arc<Access>,
}

/// A streamed answer that ends with UNAUTHENTICATED once its access is revoked.
pub(super) struct RevocableAnswer {
    /// `None` after the revocation.
    body: Option<Body>,
    revocation: BoxFuture<'static, ()>,
}

// === impl RevocableBody ===

impl RevocableBody {
    pub(super) const fn new(body: Body, access: Arc<Access>) -> Self {
        Self { body, access }
    }
}

impl HttpBody for RevocableBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() && self.access.is_revoked() {
            return Poll::Ready(Some(Err(errors::credentials_required())));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        !self.access.is_revoked() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl RevocableAnswer ===

impl RevocableAnswer {
    pub(super) fn new(body: Body, access: &Access) -> Self {
        Self {
            body: Some(body),
            revocation: access.revocation().boxed(),
        }
    }
}

impl HttpBody for RevocableAnswer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if this.revocation.poll_unpin(context).is_ready() {
            this.body = None;
            return Poll::Ready(Some(last_frame()));
        }
        Pin::new(body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // Not that of the body, which may end before.
        SizeHint::default()
    }
}

/// Returns the trailers of an answer that a revocation ends.
fn last_frame() -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    errors::credentials_required().add_header(&mut trailers)?;
    Ok(Frame::trailers(trailers))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::sync::mpsc;
    use tonic::Code;

    use super::*;
    use crate::config::Config;
    use crate::server::api::AdminToken;

    #[tokio::test]
    async fn a_request_that_is_completed_after_the_revocation_fails() {
        let (access, token) = (
            Config::default().api,
            AdminToken::new("correct-horse-battery"),
        );
        let access = Arc::new(Access::new(token.unwrap(), None, &access));
        let (frames, received) = mpsc::channel::<Result<Frame<Bytes>, Status>>(4);
        let received = stream::unfold(received, async |mut received| {
            Some((received.recv().await?, received))
        });
        let body = Body::new(StreamBody::new(received));
        let mut body = RevocableBody::new(body, Arc::clone(&access));
        let part = || Ok(Frame::data(Bytes::from_static(b"part")));
        frames.send(part()).await.unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        access.revoke();
        frames.send(part()).await.unwrap();
        let refused = body.frame().await.unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(!body.is_end_stream());
    }
}

//! The body of an admitted request, which ends with the access that admitted it.
//!
//! A caller could otherwise keep requests open that a token admitted, and complete them after the
//! token was replaced.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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

//! Reading of whole request bodies.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

/// An error that prevented the read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFault {
    /// The body is larger than [`BODY_LIMIT`].
    TooLarge,
    /// The body did not arrive within [`TIME_LIMIT`].
    TooSlow,
    /// The body ended early or is malformed.
    Broken,
}

/// Reads a whole body.
pub(super) async fn whole(body: Body) -> Result<Bytes, BodyFault> {
    match timeout(TIME_LIMIT, Limited::new(body, BODY_LIMIT).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyFault::TooLarge),
        Ok(Err(_)) => Err(BodyFault::Broken),
        Err(_) => Err(BodyFault::TooSlow),
    }
}

/// Several times the size of any request for credentials.
const BODY_LIMIT: usize = 64 * 1024;

/// Enough for such a body on a slow connection.
const TIME_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_read_up_to_64_kib() {
        let of = |length: usize| whole(Body::from(vec![b'a'; length]));
        assert_eq!(of(64 * 1024).await.map(|body| body.len()), Ok(64 * 1024));
        assert_eq!(of(64 * 1024 + 1).await, Err(BodyFault::TooLarge));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_times_out() {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        assert_eq!(
            whole(Body::from_stream(never)).await,
            Err(BodyFault::TooSlow)
        );
    }

    #[tokio::test]
    async fn half_a_body_is_an_error() {
        let parts = [
            Ok(Bytes::from_static(b"a=1&")),
            Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
        ];
        let broken = Body::from_stream(futures_util::stream::iter(parts));
        assert_eq!(whole(broken).await, Err(BodyFault::Broken));
    }
}

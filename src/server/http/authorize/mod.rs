//! The authorize page (RFC 5849 section 2.2).

use axum::Router;

use super::Parts;

/// The routes below `/oauth/authorize`.
///
/// Handlers learn where a browser comes from by the extractor [`ClientAddress`](super::client_address::ClientAddress).
pub(super) fn routes(parts: Parts) -> Router {
    let Parts { issuer: _, config: _, clock: _, entropy: _ } = parts;
    Router::new()
}

//! Who may ask: the holder of the admin token (RFC 6750 section 2.1).

use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Extensions, Request, Status};

use super::admin_token::AdminToken;
use super::errors;
use crate::issue::Actor;

/// Lets a call through to a service only with the admin token, and says who asks.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    token: Arc<AdminToken>,
}

impl Gate {
    pub(super) fn new(token: AdminToken) -> Self {
        Self { token: Arc::new(token) }
    }
}

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !bearer(request.metadata()).is_some_and(|presented| self.token.matches(presented)) {
            tracing::info!(target: "countersign::audit", peer = ?request.remote_addr(), "admin token missing or wrong");
            return Err(errors::credentials_required());
        }
        request.extensions_mut().insert(Actor::ADMIN);
        Ok(request)
    }
}

/// Who asks, as the gate found out.
///
/// # Errors
/// INTERNAL when the call did not come through the gate: then nobody may change anything.
pub(super) fn actor(extensions: &Extensions) -> Result<Actor, Status> {
    extensions.get().cloned().ok_or_else(errors::not_gated)
}

/// The token of the one `authorization` value; of several, none.
fn bearer(metadata: &MetadataMap) -> Option<&[u8]> {
    let mut values = metadata.get_all("authorization").iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.as_encoded_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim_ascii())
}

const SCHEME: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic::metadata::MetadataValue;

    use super::*;

    #[test]
    fn only_the_admin_token_opens_the_gate() {
        let mut gate = gate();
        assert!(gate.call(with(&["Bearer correct-horse-battery"])).is_ok());
        assert!(gate.call(with(&["bearer correct-horse-battery"])).is_ok());
        for wrong in [
            &[][..],
            &["correct-horse-battery"],
            &["Basic correct-horse-battery"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer correct-horse-batterY"],
            &["Bearer correct-horse-battery-staple"],
            &["Bearer correct-horse-battery", "Bearer correct-horse-battery"],
        ] {
            let refused = gate.call(with(wrong)).unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated, "{wrong:?}");
            assert!(refused.message().contains("admin-token"), "says where the token is found");
        }
    }

    #[test]
    fn the_gate_says_who_asks() {
        let passed = gate().call(with(&["Bearer correct-horse-battery"])).unwrap();
        assert_eq!(actor(passed.extensions()).unwrap(), Actor::ADMIN);
        assert_eq!(actor(&Extensions::new()).unwrap_err().code(), Code::Internal);
    }

    fn gate() -> Gate {
        Gate::new(AdminToken::new("correct-horse-battery").unwrap())
    }

    fn with(authorization: &[&'static str]) -> Request<()> {
        let mut request = Request::new(());
        for value in authorization {
            request.metadata_mut().append("authorization", MetadataValue::from_static(value));
        }
        request
    }
}

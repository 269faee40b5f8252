//! OAuth Request Body Hash: `oauth_body_hash` covers a body that is not a form (RFC 5849 section 4.12 leaves it open).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Rejection, RequestBody, SignatureMethod};

/// What is demanded of `oauth_body_hash` (OAuth Request Body Hash extension).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyHashRule {
    /// It is an ordinary parameter: signed, never compared with the body.
    Off,
    /// When it is sent, it must match the body.
    #[default]
    Accept,
    /// It must be sent with every body that the signature does not cover, and match.
    Require,
}

/// The value of `oauth_body_hash` for a body: by the hash of the signature method, SHA-1 for PLAINTEXT.
pub fn body_hash(method: SignatureMethod, body: &[u8]) -> String {
    STANDARD.encode(method.hash().digest(body))
}

/// What a body is held against.
pub(super) struct BodyCheck<'a> {
    pub(super) method: SignatureMethod,
    /// The `oauth_body_hash` that was sent.
    pub(super) sent: Option<&'a [u8]>,
    pub(super) body: RequestBody<'a>,
    /// Whether it is a form: then every byte that matters is in the base string.
    pub(super) is_form: bool,
}

impl BodyCheck<'_> {
    /// Holds the body against the hash that was sent.
    pub(super) fn check(&self, rule: BodyHashRule) -> Result<(), Rejection> {
        if rule == BodyHashRule::Off {
            return Ok(());
        }
        match (self.sent, self.body) {
            (Some(_), RequestBody::NotWhole) => Err(Rejection::BodyNotWhole),
            (Some(sent), RequestBody::Whole(body))
                if sent == body_hash(self.method, body).as_bytes() =>
            {
                Ok(())
            }
            (Some(_), RequestBody::Whole(_)) => Err(Rejection::BodyHashMismatch),
            (None, RequestBody::Whole(b"")) => Ok(()),
            (None, _) if rule == BodyHashRule::Require && !self.is_form => {
                Err(Rejection::BodyHashAbsent)
            }
            (None, _) => Ok(()),
        }
    }
}

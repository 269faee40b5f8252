//! OAuth Request Body Hash: `oauth_body_hash` covers a body that is not a form (RFC 5849 section
//! 4.12 leaves it open).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Rejection, RequestBody, SignatureMethod};

/// A route's rule for `oauth_body_hash` (OAuth Request Body Hash extension).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyHashRule {
    /// The hash is an ordinary parameter: signed, never compared with the body.
    Off,
    /// A hash that is sent must match the body.
    #[default]
    Accept,
    /// Every body that the signature does not cover needs a hash, and it must match.
    Require,
}

/// Returns the value of `oauth_body_hash` for a body, by the hash of the signature method; SHA-1
/// for PLAINTEXT.
pub fn body_hash(method: SignatureMethod, body: &[u8]) -> String {
    STANDARD.encode(method.hash().digest(body))
}

/// A body, and the hash that was sent with it.
pub(super) struct BodyCheck<'a> {
    pub(super) method: SignatureMethod,
    /// The `oauth_body_hash` of the request.
    pub(super) sent: Option<&'a [u8]>,
    pub(super) body: RequestBody<'a>,
    /// The body is a form whose parameters are in the base string.
    pub(super) is_signed_form: bool,
}

impl BodyCheck<'_> {
    /// Compares the body with its hash, if `rule` demands it.
    pub(super) fn check(&self, rule: BodyHashRule) -> Result<(), Rejection> {
        match (rule, self.sent) {
            (BodyHashRule::Off, _) => Ok(()),
            (BodyHashRule::Accept | BodyHashRule::Require, Some(sent)) => self.compare(sent),
            (BodyHashRule::Require, None) if !self.is_covered() => Err(Rejection::BodyHashAbsent),
            (BodyHashRule::Accept | BodyHashRule::Require, None) => Ok(()),
        }
    }

    fn compare(&self, sent: &[u8]) -> Result<(), Rejection> {
        let RequestBody::Whole(body) = self.body else {
            return Err(Rejection::BodyNotWhole);
        };
        if sent == body_hash(self.method, body).as_bytes() {
            Ok(())
        } else {
            Err(Rejection::BodyHashMismatch)
        }
    }

    /// Returns whether the signature covers the body without a hash.
    const fn is_covered(&self) -> bool {
        self.is_signed_form || matches!(self.body, RequestBody::Whole(b""))
    }
}

//! OAuth Request Body Hash: `oauth_body_hash` covers a body that is not a form (RFC 5849 section
//! 4.12 leaves it open).
//!
//! A large body is hashed in steps, between which other work can run.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::signature::digest_algorithm;
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
    let mut hashing = BodyHashing::new(method, body);
    while hashing.step() {}
    hashing.finish()
}

/// The hash of a body, computed in steps.
pub struct BodyHashing<'a> {
    context: digest::Context,
    rest: &'a [u8],
}

impl<'a> BodyHashing<'a> {
    fn new(method: SignatureMethod, body: &'a [u8]) -> Self {
        Self {
            context: digest::Context::new(digest_algorithm(method.hash())),
            rest: body,
        }
    }

    /// Hashes the next `HASH_STEP` bytes. Returns whether more are left.
    pub fn step(&mut self) -> bool {
        let (step, rest) = self.rest.split_at(self.rest.len().min(HASH_STEP));
        self.context.update(step);
        self.rest = rest;
        !rest.is_empty()
    }

    fn finish(self) -> String {
        STANDARD.encode(self.context.finish())
    }
}

/// The bytes of a step: less than a millisecond with every hash.
const HASH_STEP: usize = 256 * 1024;

/// A body, and the hash that was sent with it.
pub(super) struct BodyCheck<'s, 'a> {
    pub(super) method: SignatureMethod,
    /// The `oauth_body_hash` of the request.
    pub(super) sent: Option<&'s [u8]>,
    pub(super) body: RequestBody<'a>,
    /// The body is a form whose parameters are in the base string.
    pub(super) is_signed_form: bool,
}

impl<'a> BodyCheck<'_, 'a> {
    /// Compares the body with its hash, if `rule` demands it. `hashed` is the hash of the body if it
    /// is computed already.
    pub(super) fn check(
        &self,
        rule: BodyHashRule,
        hashed: Option<BodyHashing<'_>>,
    ) -> Result<(), Rejection> {
        match (rule, self.sent) {
            (BodyHashRule::Off, _) => Ok(()),
            (BodyHashRule::Accept | BodyHashRule::Require, Some(sent)) => {
                self.compare(sent, hashed)
            }
            (BodyHashRule::Require, None) if !self.is_covered() => Err(Rejection::BodyHashAbsent),
            (BodyHashRule::Accept | BodyHashRule::Require, None) => Ok(()),
        }
    }

    /// Returns the hashing of a body that takes more than one step, if `rule` demands a comparison.
    pub(super) fn hashing(&self, rule: BodyHashRule) -> Option<BodyHashing<'a>> {
        match self.body {
            RequestBody::Whole(body)
                if body.len() > HASH_STEP && rule != BodyHashRule::Off && self.sent.is_some() =>
            {
                Some(BodyHashing::new(self.method, body))
            }
            RequestBody::Whole(_) | RequestBody::NotWhole | RequestBody::Unseen => None,
        }
    }

    fn compare(&self, sent: &[u8], hashed: Option<BodyHashing<'_>>) -> Result<(), Rejection> {
        let RequestBody::Whole(body) = self.body else {
            return Err(Rejection::BodyNotWhole);
        };
        let expected = hashed.map_or_else(|| body_hash(self.method, body), BodyHashing::finish);
        if sent == expected.as_bytes() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_body_that_is_compared_is_hashed_in_steps() {
        let body = vec![0; HASH_STEP + 1];
        let is_hashed = |sent, length: usize, rule| {
            let check = BodyCheck {
                method: SignatureMethod::HmacSha1,
                sent,
                body: RequestBody::Whole(&body[..length]),
                is_signed_form: false,
            };
            check.hashing(rule).is_some()
        };
        let sent = Some(&b"hash"[..]);
        assert!(is_hashed(sent, HASH_STEP + 1, BodyHashRule::Accept));
        assert!(!is_hashed(sent, HASH_STEP, BodyHashRule::Accept));
        assert!(!is_hashed(sent, HASH_STEP + 1, BodyHashRule::Off));
        assert!(!is_hashed(None, HASH_STEP + 1, BodyHashRule::Accept));
    }
}

//! The input of a denial: a request that was refused.

use super::sent_request::SentRequest;
use crate::config::Mode;
use crate::model::{Consumer, ConsumerKey};
use crate::oauth::{Rejection, SignatureMethod};
use crate::verify::{ClaimedCaller, Denial, Reason};

/// A request that was refused, or would have been if its route were not in shadow mode.
#[derive(Clone, Copy)]
pub struct RefusedRequest<'a> {
    /// The decision id, as in logs and responses.
    pub decision_id: &'a str,
    /// The reason, as in logs and metrics.
    pub reason: &'static str,
    /// The denial; `None` if the request could not be read.
    pub denial: Option<&'a Denial>,
    /// The HTTP method; like `host` and `target`, empty if the request could not be read.
    pub method: &'a [u8],
    /// The host that the client named.
    pub host: &'a [u8],
    /// The path and the query.
    pub target: &'a [u8],
    /// The mode of the route: the denial is enforced, or only reported.
    pub mode: Mode,
    /// The request as the client sent it, if it can be explained.
    pub sent: Option<&'a SentRequest<'a>>,
}

impl<'a> RefusedRequest<'a> {
    /// Returns the known consumer that the request names, proven or not.
    pub(super) fn known_consumer(&self) -> Option<&'a Consumer> {
        self.denial?.known_consumer()
    }

    /// Returns the consumer key that the request names, known or not.
    pub(super) fn named_key(&self) -> Option<&'a ConsumerKey> {
        let denial = self.denial?;
        let proven = denial.identity.as_ref();
        proven
            .map(|identity| identity.consumer_key())
            .or(denial.claimed_consumer_key.as_ref())
    }

    /// Returns whether the request proved its consumer.
    pub(super) fn is_proven(&self) -> bool {
        self.denial.is_some_and(|denial| denial.identity.is_some())
    }

    /// Returns the signature method that the request names.
    pub(super) fn signature_method(&self) -> Option<SignatureMethod> {
        self.denial?.signature_method
    }

    /// Returns the named consumer and the request, if a diagnosis can help: the consumer is known,
    /// and the client signed something other than what arrived.
    pub(super) fn explainable(&self) -> Option<(&'a ClaimedCaller, &'a SentRequest<'a>)> {
        let denial = self.denial?;
        if !is_mismatch(denial.reason) {
            return None;
        }
        Some((denial.claimed_caller.as_ref()?, self.sent?))
    }
}

const fn is_mismatch(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Rejected(
            Rejection::SignatureMismatch
                | Rejection::SignatureNotCanonical
                | Rejection::VersionUnsupported
                | Rejection::BodyHashMismatch
        )
    )
}

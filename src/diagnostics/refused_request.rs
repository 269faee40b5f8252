//! The input of a denial: a request that was refused.

use super::details::DenialDetails;
use super::remedy;
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
    /// The circumstances, for operators.
    pub context: RefusalContext<'a>,
}

/// The circumstances of a refused request.
#[derive(Clone, Copy)]
pub struct RefusalContext<'a> {
    /// The address of the client; empty if it is unknown.
    pub client_address: &'a [u8],
    /// `x-request-id`; empty if the request has none.
    pub request_id: &'a [u8],
    /// The rule of the configuration that decided; empty if no rule applies.
    pub rule: &'a str,
    /// The answer to the caller; `None` if a failure of ours was the reason.
    pub told: Option<ToldCaller<'a>>,
    /// The facts.
    pub details: Option<&'a DenialDetails>,
}

/// The answer to the caller of a refused request.
#[derive(Clone, Copy)]
pub struct ToldCaller<'a> {
    /// The HTTP status.
    pub status: u16,
    /// `oauth_problem`.
    pub problem: &'static str,
    /// `oauth_problem_advice`.
    pub advice: &'a str,
}

impl RefusalContext<'_> {
    /// No circumstances.
    pub const NONE: Self = Self {
        client_address: b"",
        request_id: b"",
        rule: "",
        told: None,
        details: None,
    };
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

    /// Returns the name of the consumer that sent the request, or that it names; empty if there is
    /// no such consumer.
    pub fn consumer_name(&self) -> &'a str {
        let consumer = self.denial.and_then(Denial::known_consumer);
        consumer.map_or("", |consumer| consumer.name.as_str())
    }

    /// Returns the remedy for the reason.
    pub fn remedy(&self) -> &'static str {
        match self.denial {
            Some(denial) => remedy::for_reason(denial.reason),
            None => remedy::for_failure(self.reason),
        }
    }

    /// Returns whether the request proved its consumer.
    pub(super) fn is_proven(&self) -> bool {
        self.denial.is_some_and(|denial| denial.identity.is_some())
    }

    /// Returns the signature method that the request names.
    pub fn signature_method(&self) -> Option<SignatureMethod> {
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

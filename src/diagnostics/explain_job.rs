//! One explanation: its input, the diagnosis, and the handle of its waiter.

use tokio::sync::oneshot;

use super::explanation::Explanation;
use super::refused_request::RefusedRequest;
use super::sent_request::{RequestCopy, SentRequest};
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::model::ConsumerSecret;
use crate::oauth::diagnosis::{BUDGET, MismatchEvidence, diagnose, passing_profiles};
use crate::oauth::{CompatProfile, CompatSet, SignatureMethod, SignedRequest, VerificationKeys};
use crate::verify::ClaimedCaller;

/// A refused request with a signature mismatch to explain.
pub(super) struct ExplainJob {
    /// The sequence number of its denial.
    pub(super) sequence: u64,
    /// The id of its decision.
    pub(super) decision_id: String,
    /// The consumer and the token that it names.
    pub(super) named: ClaimedCaller,
    sent: RequestCopy,
    /// The time at which it was refused.
    time: UnixTime,
    /// The mode of its route.
    pub(super) mode: Mode,
    /// The sender for the caller that waits for the explanation.
    pub(super) waiter: ExplanationWaiter,
}

/// The result of a job. Only the explanation may leave the diagnostics for a caller.
pub(super) struct ExplainedJob {
    /// The explanation.
    pub(super) explanation: Explanation,
    /// The compat profiles that would have let the request pass; for operators alone.
    pub(super) profiles: CompatSet,
}

/// The sender of a [`PendingExplanation`].
pub(super) struct ExplanationWaiter(oneshot::Sender<Explanation>);

/// A handle to an explanation that is not finished yet.
#[derive(Debug)]
pub struct PendingExplanation(oneshot::Receiver<Explanation>);

// === impl ExplainedJob ===

impl ExplainedJob {
    /// The result of a job that was not done.
    pub(super) const SKIPPED: Self = Self {
        explanation: Explanation::Skipped,
        profiles: CompatSet::NONE,
    };
}

// === impl ExplainJob ===

impl ExplainJob {
    /// Returns a job, and the handle that receives its explanation.
    pub(super) fn new(
        sequence: u64,
        refused: &RefusedRequest<'_>,
        named: ClaimedCaller,
        sent: RequestCopy,
        time: UnixTime,
    ) -> (Self, PendingExplanation) {
        let (waiter, explanation) = oneshot::channel();
        let job = Self {
            sequence,
            decision_id: refused.decision_id.to_owned(),
            named,
            sent,
            time,
            mode: refused.mode,
            waiter: ExplanationWaiter(waiter),
        };
        (job, PendingExplanation(explanation))
    }

    /// Diagnoses the request, and searches for the profiles that would have let it pass.
    pub(super) fn explain(&self) -> ExplainedJob {
        self.sent.read(|sent| {
            let budget = budget(sent.size(), sent.parameters());
            self.with_evidence(sent, |evidence| ExplainedJob {
                explanation: match diagnose(evidence, budget) {
                    Some(diagnosis) => Explanation::found(diagnosis),
                    None => Explanation::not_found(&masked_base_string(sent)),
                },
                profiles: passing_profiles(evidence, self.excluded(), budget / PROFILE_SHARE),
            })
        })
    }

    /// Returns the profiles that the consumer must not have.
    fn excluded(&self) -> CompatSet {
        let methods = &self.named.consumer.signature_methods;
        if methods.contains(&SignatureMethod::Plaintext) {
            CompatSet::only(CompatProfile::SchemeAny)
        } else {
            CompatSet::NONE
        }
    }

    fn with_evidence<R>(
        &self,
        sent: &SentRequest<'_>,
        with: impl FnOnce(&MismatchEvidence<'_>) -> R,
    ) -> R {
        let ClaimedCaller {
            consumer,
            token,
            compat,
        } = &self.named;
        let (valid, expired): (Vec<_>, Vec<_>) = consumer
            .secrets
            .iter()
            .partition(|secret| secret.is_valid(self.time));
        let (valid, expired) = (exposed(&valid), exposed(&expired));
        let rsa_public_keys: Vec<_> = consumer.rsa_public_keys.iter().collect();
        let keys = VerificationKeys {
            consumer_secrets: &valid,
            token_secret: token.as_ref().map(|token| token.secret().expose()),
            rsa_public_keys: &rsa_public_keys,
        };
        with(&MismatchEvidence {
            request: &sent.request,
            limits: &sent.limits,
            compat: *compat,
            keys,
            expired_secrets: &expired,
            forwarded: sent.forwarded,
            received: sent.received,
            setting: sent.setting,
            reveal: false,
        })
    }
}

// === impl ExplanationWaiter ===

impl ExplanationWaiter {
    /// Sends the explanation, if the receiver still waits.
    pub(super) fn notify(self, explanation: &Explanation) {
        if !self.0.is_closed() {
            // The receiver may have been dropped just now.
            let _: Result<(), _> = self.0.send(explanation.clone());
        }
    }
}

// === impl PendingExplanation ===

impl PendingExplanation {
    /// Waits for the explanation; returns `None` if the explainer ended without one.
    pub async fn explanation(self) -> Option<Explanation> {
        self.0.await.ok()
    }
}

/// Returns the number of HMACs that an explanation may compute. Larger requests and requests with
/// more parameters get fewer, so that every explanation takes about as long. Frequent causes are
/// tried first.
fn budget(size: usize, parameters: usize) -> u32 {
    let share = |usual: usize, is: usize| BUDGET as usize * usual / is.max(usual);
    let least = share(FULL_BUDGET_SIZE, size).min(share(FULL_BUDGET_PARAMETERS, parameters));
    u32::try_from(least).unwrap_or(BUDGET)
}

fn exposed<'s>(secrets: &[&'s ConsumerSecret]) -> Vec<&'s [u8]> {
    secrets
        .iter()
        .map(|secret| secret.secret.expose())
        .collect()
}

fn masked_base_string(sent: &SentRequest<'_>) -> String {
    let signed = sent.request.parse(&sent.limits).ok().flatten();
    let base_string = signed
        .as_ref()
        .map(SignedRequest::masked_base_string)
        .unwrap_or_default();
    base_string.escape_ascii().to_string()
}

/// The part of the budget that the search for profiles gets: one divided by this.
const PROFILE_SHARE: u32 = 4;

/// The largest request, in bytes, that gets the whole budget.
const FULL_BUDGET_SIZE: usize = 2048;

/// The largest number of parameters that gets the whole budget.
const FULL_BUDGET_PARAMETERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_request_is_tried_in_fewer_ways() {
        assert_eq!([0, 1024, 2048].map(|size| budget(size, 32)), [BUDGET; 3]);
        assert_eq!(budget(4096, 32), BUDGET / 2);
        assert_eq!(budget(2048, 48), BUDGET * 2 / 3);
        assert_eq!(budget(64 * 1024, 10), BUDGET / 32);
        assert_eq!(budget(4096, 1000), BUDGET * 32 / 1000);
    }
}

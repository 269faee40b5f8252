//! One explanation: its input, the diagnosis, and the handle of its waiter.

use tokio::sync::oneshot;

use super::explanation::Explanation;
use super::refused_request::RefusedRequest;
use super::sent_request::{RequestCopy, SentRequest};
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::model::ConsumerSecret;
use crate::oauth::diagnosis::{
    BUDGET, Diagnosis, MismatchEvidence, diagnose_in_steps, passing_profiles,
};
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
}

/// A job, and the sender for the caller that waits for its explanation.
pub(super) type QueuedJob = (ExplainJob, ExplanationWaiter);

/// The result of a job, for operators alone.
pub(super) struct ExplainedJob {
    /// The explanation.
    pub(super) explanation: Explanation,
    /// The compat profiles that would have let the request pass.
    pub(super) profiles: CompatSet,
}

/// The sender of a [`PendingExplanation`].
pub(super) struct ExplanationWaiter(oneshot::Sender<Explanation>);

/// A handle to an explanation that the caller may learn, and that is not finished yet.
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
    /// Returns a job to queue, and the handle that receives its explanation.
    pub(super) fn new(
        sequence: u64,
        refused: &RefusedRequest<'_>,
        named: ClaimedCaller,
        sent: RequestCopy,
        time: UnixTime,
    ) -> (QueuedJob, PendingExplanation) {
        let (waiter, explanation) = oneshot::channel();
        let job = Self {
            sequence,
            decision_id: refused.decision_id.to_owned(),
            named,
            sent,
            time,
            mode: refused.mode,
        };
        let waiter = ExplanationWaiter(waiter);
        ((job, waiter), PendingExplanation(explanation))
    }

    /// Diagnoses the request, and searches for the profiles that would have let it pass. Answers the
    /// waiting caller as soon as the part that it may learn is known.
    pub(super) fn explain(&self, waiter: ExplanationWaiter) -> ExplainedJob {
        self.explain_and_disclose(|public| waiter.answer(public))
    }

    fn explain_and_disclose(&self, disclose: impl FnOnce(Option<&Diagnosis>)) -> ExplainedJob {
        self.sent.read(|sent| {
            let budget = budget(sent.size(), sent.parameters());
            self.with_evidence(sent, |evidence| ExplainedJob {
                explanation: match diagnose_in_steps(evidence, budget, disclose) {
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
    /// Ends the wait, with the diagnosis that the caller may learn.
    fn answer(self, public: Option<&Diagnosis>) {
        if let Some(public) = public.filter(|_| !self.0.is_closed()) {
            // The receiver may have been dropped just now.
            let _: Result<(), _> = self.0.send(Explanation::found(public.clone()));
        }
    }
}

// === impl PendingExplanation ===

impl PendingExplanation {
    /// Waits for the explanation; returns `None` if the caller may not learn it, or nothing was found.
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
    use std::sync::Arc;

    use super::*;
    use crate::model::{Consumer, Secret};
    use crate::oauth::diagnosis::{ForwardedHeaders, OriginSetting, spent};
    use crate::oauth::{ParseLimits, Request, RequestBody, Scheme};

    #[test]
    fn a_large_request_is_tried_in_fewer_ways() {
        assert_eq!([0, 1024, 2048].map(|size| budget(size, 32)), [BUDGET; 3]);
        assert_eq!(budget(4096, 32), BUDGET / 2);
        assert_eq!(budget(2048, 48), BUDGET * 2 / 3);
        assert_eq!(budget(64 * 1024, 10), BUDGET / 32);
        assert_eq!(budget(4096, 1000), BUDGET * 32 / 1000);
    }

    #[test]
    fn the_caller_is_answered_before_the_search_for_profiles() {
        let mut disclosed = None;
        spent::take();
        let explained = job().explain_and_disclose(|public| {
            let cause = public.map(Diagnosis::cause);
            disclosed = Some((cause, spent::take()));
        });
        let (cause, before) = disclosed.unwrap();
        assert_eq!(cause.as_deref(), Some("root-slash"));
        assert!(before > 0 && spent::take() > 0);
        assert_eq!(explained.profiles.to_string(), "no-root-slash");
    }

    #[tokio::test]
    async fn a_caller_learns_only_what_is_disclosed() {
        let pending = || {
            let (waiter, pending) = oneshot::channel();
            (ExplanationWaiter(waiter), PendingExplanation(pending))
        };
        let (waiter, explanation) = pending();
        let explained = job().explain(waiter);
        let explanation = explanation.explanation().await.unwrap();
        assert_eq!(explanation.causes(), explained.explanation.causes());
        let (waiter, explanation) = pending();
        waiter.answer(None);
        assert!(explanation.explanation().await.is_none());
    }

    /// Returns a job of a request that is signed without the slash of the root.
    fn job() -> ExplainJob {
        let secret = ConsumerSecret {
            secret: Secret::new(*b"secret"),
            expires_at: None,
        };
        let consumer = Consumer {
            secrets: vec![secret],
            ..Consumer::example()
        };
        let sent = SentRequest {
            request: Request {
                method: b"GET",
                scheme: Scheme::Https,
                authority: b"api.example.com",
                path_prefix: b"",
                target: b"/",
                authorization: &[AUTHORIZATION],
                content_type: &[],
                body: RequestBody::Whole(b""),
            },
            limits: ParseLimits::default(),
            forwarded: ForwardedHeaders::default(),
            received: None,
            setting: OriginSetting::Origin,
        };
        ExplainJob {
            sequence: 0,
            decision_id: "1".to_owned(),
            named: ClaimedCaller {
                consumer: Arc::new(consumer),
                token: None,
                compat: CompatSet::NONE,
            },
            sent: RequestCopy::of(&sent).unwrap(),
            time: UnixTime::default(),
            mode: Mode::Enforce,
        }
    }

    const AUTHORIZATION: &[u8] = b"OAuth oauth_consumer_key=\"key\", \
        oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1700000000\", oauth_nonce=\"n\", \
        oauth_signature=\"oIVmKyLiB%2FmXBw6ZYg90mSc%2FNL4%3D\"";
}

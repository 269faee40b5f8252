//! Explains refused requests, one after another on a thread of its own, so that no answer waits for it unless it asks to.
//!
//! What may wait is bounded, and what finds no room is not explained. Nothing of a request is kept but the result.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use tokio::sync::oneshot;

use super::evidence::{RequestCopy, SentRequest};
use super::{Explanation, Shared};
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::model::ConsumerSecret;
use crate::oauth::diagnosis::{BUDGET, Evidence, diagnose};
use crate::oauth::{Keys, SignedRequest};
use crate::verify::Named;

/// A refused request that is to be explained.
pub(super) struct ExplainJob {
    /// The number of its denial.
    pub(super) sequence: u64,
    pub(super) decision_id: String,
    pub(super) named: Named,
    pub(super) sent: RequestCopy,
    /// When it was refused.
    pub(super) time: UnixTime,
    pub(super) mode: Mode,
    /// Who may wait for it.
    pub(super) asked: oneshot::Sender<Explanation>,
}

/// Starts the thread, which ends when every sender is gone. `None` when the system has no thread to give.
pub(super) fn start(shared: &Arc<Shared>) -> Option<SyncSender<ExplainJob>> {
    let (queue, cases) = sync_channel(WAITING);
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name("explain".to_owned());
    match thread.spawn(move || run(&cases, &shared, ExplainJob::explain)) {
        Ok(_) => Some(queue),
        Err(error) => {
            tracing::warn!(%error, "refused requests will not be explained: the system has no thread for it");
            None
        }
    }
}

fn run(
    cases: &Receiver<ExplainJob>,
    shared: &Shared,
    explain: impl Fn(&ExplainJob) -> Explanation,
) {
    for case in cases {
        // A mistake in an explanation must not end all others.
        let explained = catch_unwind(AssertUnwindSafe(|| explain(&case)));
        let explanation = explained.unwrap_or_else(|_| {
            tracing::error!(
                decision_id = case.decision_id,
                "explaining a refused request panicked"
            );
            Explanation::Skipped
        });
        shared.explained(case, explanation);
    }
}

impl ExplainJob {
    fn explain(&self) -> Explanation {
        self.sent.read(|sent| {
            let Named {
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
            let keys = Keys {
                consumer_secrets: &valid,
                token_secret: token.as_ref().map(|token| token.secret().expose()),
                rsa_public_keys: &rsa_public_keys,
            };
            let evidence = Evidence {
                request: &sent.request,
                limits: &sent.limits,
                compat: *compat,
                keys,
                expired_secrets: &expired,
                forwarded: sent.forwarded,
                received: sent.received,
                setting: sent.setting,
                reveal: false,
            };
            match diagnose(&evidence, budget(sent.size(), sent.parameters())) {
                Some(diagnosis) => Explanation::found(diagnosis),
                None => Explanation::not_found(&masked(sent)),
            }
        })
    }
}

/// How many HMACs an explanation may take: the larger the request is and the more parameters it has, the fewer, so that each
/// takes about as long. The causes that are looked for first are the usual ones.
fn budget(size: usize, parameters: usize) -> u32 {
    let share = |usual: usize, is: usize| BUDGET as usize * usual / is.max(usual);
    let least = share(USUAL, size).min(share(USUAL_PARAMETERS, parameters));
    u32::try_from(least).unwrap_or(BUDGET)
}

fn exposed<'s>(secrets: &[&'s ConsumerSecret]) -> Vec<&'s [u8]> {
    secrets
        .iter()
        .map(|secret| secret.secret.expose())
        .collect()
}

fn masked(sent: &SentRequest<'_>) -> String {
    let signed = sent.request.parse(&sent.limits).ok().flatten();
    let base_string = signed
        .as_ref()
        .map(SignedRequest::masked_base_string)
        .unwrap_or_default();
    base_string.escape_ascii().to_string()
}

/// Up to so many bytes a request is explained as well as it can be.
const USUAL: usize = 2048;

/// Up to so many parameters as well.
const USUAL_PARAMETERS: usize = 32;

/// How many may wait. Each is at most as large as what is copied of a request.
const WAITING: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::config::Config;
    use crate::diagnostics::{Diagnostics, RefusedRequest};
    use crate::model::Consumer;
    use crate::oauth::diagnosis::{Forwarded, Setting};
    use crate::oauth::{Body, Compat, Limits, Rejection, Request, Scheme};
    use crate::telemetry::Metrics;
    use crate::verify::{Denial, Reason};

    #[test]
    fn what_finds_no_room_in_the_queue_is_not_explained() {
        let (diagnostics, cases) = waiting(1);
        assert!(refuse(&diagnostics).is_some());
        assert!(refuse(&diagnostics).is_none());
        assert_eq!(words(&diagnostics), [vec![Explanation::SKIPPED], vec![]]);
        drop(cases);
        assert!(
            refuse(&diagnostics).is_none(),
            "nor where nobody explains any more"
        );
        assert_eq!(words(&diagnostics)[0], [Explanation::SKIPPED]);
    }

    #[test]
    fn a_panic_ends_one_explanation_alone() {
        let (diagnostics, cases) = waiting(2);
        let explaining = [refuse(&diagnostics), refuse(&diagnostics)];
        let Diagnostics { shared, queue } = diagnostics.clone();
        drop((queue, diagnostics));
        let explain = |case: &ExplainJob| {
            if case.sequence == 0 {
                panic!("a bug")
            } else {
                Explanation::NotSought
            }
        };
        // The queue ends where its last sender is dropped.
        let running = Arc::clone(&shared);
        thread::spawn(move || run(&cases, &running, explain))
            .join()
            .unwrap();
        let [first, second] =
            explaining.map(|explaining| explaining.unwrap().0.blocking_recv().unwrap());
        assert!(matches!(first, Explanation::Skipped) && matches!(second, Explanation::NotSought));
    }

    #[test]
    fn a_large_request_is_tried_in_fewer_ways() {
        assert_eq!([0, 1024, 2048].map(|size| budget(size, 32)), [BUDGET; 3]);
        assert_eq!(budget(4096, 32), BUDGET / 2);
        assert_eq!(budget(2048, 48), BUDGET * 2 / 3);
        assert_eq!(budget(64 * 1024, 10), BUDGET / 32);
        assert_eq!(budget(4096, 1000), BUDGET * 32 / 1000);
    }

    /// Diagnostics whose queue nobody empties.
    fn waiting(room: usize) -> (Diagnostics, Receiver<ExplainJob>) {
        let mut config = Config::default().diagnostics;
        config.explain = false;
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_700_000_000)));
        let Diagnostics { shared, .. } =
            Diagnostics::new(&config, clock, Arc::new(Metrics::default()));
        let (queue, cases) = sync_channel(room);
        (
            Diagnostics {
                shared,
                queue: Some(queue),
            },
            cases,
        )
    }

    fn refuse(diagnostics: &Diagnostics) -> Option<crate::diagnostics::PendingExplanation> {
        let named = Some(Named {
            consumer: Arc::new(Consumer::example()),
            token: None,
            compat: Compat::NONE,
        });
        let denial = Denial {
            named,
            ..Denial::of(Reason::Rejected(Rejection::SignatureMismatch))
        };
        let request = Request {
            method: b"GET",
            scheme: Scheme::Http,
            authority: b"api.example.com",
            path_prefix: b"",
            target: b"/",
            authorization: &[],
            content_type: &[],
            body: Body::Whole(b""),
        };
        let sent = SentRequest {
            request,
            limits: Limits::default(),
            forwarded: Forwarded::default(),
            received: None,
            setting: Setting::Origin,
        };
        diagnostics.record_refused(&RefusedRequest {
            decision_id: "1",
            reason: denial.reason.label(),
            denial: Some(&denial),
            method: b"GET",
            host: b"api.example.com",
            target: b"/",
            mode: Mode::Enforce,
            sent: Some(&sent),
        })
    }

    /// Those of every denial, the newest first.
    fn words(diagnostics: &Diagnostics) -> Vec<Vec<&'static str>> {
        let denials = diagnostics.denials(&crate::diagnostics::DenialFilter::default(), None, 10);
        denials
            .iter()
            .map(|denial| denial.explanation.words().collect())
            .collect()
    }
}

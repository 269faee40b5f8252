//! The thread that explains refused requests one at a time, so that no response waits unless its
//! answer includes the explanation. Such a response waits for the first part alone, whose time does
//! not depend on wrong secrets.
//!
//! The queue is bounded, and a request that finds it full is not explained. Only the explanation
//! outlives the job.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::explain_job::{ExplainJob, ExplainedJob, ExplanationWaiter, QueuedJob};
use super::state::SharedState;

/// Starts the thread, which ends when every sender is dropped. Returns `None` if the system cannot
/// start a thread.
pub(super) fn start(shared: &Arc<SharedState>) -> Option<SyncSender<QueuedJob>> {
    let (queue, jobs) = sync_channel(QUEUE_CAPACITY);
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name("explain".to_owned());
    match thread.spawn(move || run(&jobs, &shared, ExplainJob::explain)) {
        Ok(_) => Some(queue),
        Err(error) => {
            tracing::warn!(
                %error,
                "cannot start the explainer thread; refused requests are not explained"
            );
            None
        }
    }
}

fn run(
    jobs: &Receiver<QueuedJob>,
    shared: &SharedState,
    explain: impl Fn(&ExplainJob, ExplanationWaiter) -> ExplainedJob,
) {
    for (job, waiter) in jobs {
        // A bug in one diagnosis must not end the others.
        let explained = catch_unwind(AssertUnwindSafe(|| explain(&job, waiter)));
        let explained = explained.unwrap_or_else(|_| {
            tracing::error!(
                decision_id = job.decision_id,
                "a diagnosis panicked; the request is not explained"
            );
            ExplainedJob::SKIPPED
        });
        shared.finish(job, explained);
    }
}

/// The number of requests that may wait. Each holds at most one copied request.
const QUEUE_CAPACITY: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, UnixTime};
    use crate::config::{Config, Mode};
    use crate::diagnostics::{
        DenialFilter, Diagnostics, Explanation, PendingExplanation, RefusalContext, RefusedRequest,
        SentRequest,
    };
    use crate::model::Consumer;
    use crate::oauth::diagnosis::{ForwardedHeaders, OriginSetting};
    use crate::oauth::{CompatSet, ParseLimits, Rejection, Request, RequestBody, Scheme};
    use crate::telemetry::Metrics;
    use crate::verify::{ClaimedCaller, Denial, Reason};

    #[test]
    fn a_request_is_not_explained_if_the_queue_is_full() {
        let (diagnostics, jobs) = waiting(1);
        assert!(refuse(&diagnostics).is_some());
        assert!(refuse(&diagnostics).is_none());
        assert_eq!(words(&diagnostics), [vec![Explanation::SKIPPED], vec![]]);
        drop(jobs);
        assert!(refuse(&diagnostics).is_none(), "nor after the thread ended");
        assert_eq!(words(&diagnostics)[0], [Explanation::SKIPPED]);
    }

    #[tokio::test]
    async fn a_panic_ends_only_one_explanation() {
        let (diagnostics, jobs) = waiting(2);
        let pending = [refuse(&diagnostics), refuse(&diagnostics)];
        let Diagnostics { shared, queue } = diagnostics.clone();
        drop((queue, diagnostics));
        let explain = |job: &ExplainJob, _| {
            if job.sequence == 0 {
                panic!("a bug")
            } else {
                ExplainedJob {
                    explanation: Explanation::NotSought,
                    profiles: CompatSet::NONE,
                }
            }
        };
        // The queue ends when its last sender is dropped.
        let running = Arc::clone(&shared);
        thread::spawn(move || run(&jobs, &running, explain))
            .join()
            .unwrap();
        let [first, second] = pending.map(|pending| pending.unwrap().explanation());
        assert!(first.await.is_none() && second.await.is_none());
        let denials = shared.recent.list(&DenialFilter::default(), None, 10);
        let [second, first] = &denials[..] else {
            panic!("two requests were refused")
        };
        assert!(matches!(first.explanation, Explanation::Skipped));
        assert!(matches!(second.explanation, Explanation::NotSought));
    }

    /// Returns diagnostics whose queue is not consumed.
    fn waiting(room: usize) -> (Diagnostics, Receiver<QueuedJob>) {
        let mut config = Config::default().diagnostics;
        config.explain = false;
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_700_000_000)));
        let Diagnostics { shared, .. } =
            Diagnostics::new(&config, clock, Arc::new(Metrics::default()));
        let (queue, jobs) = sync_channel(room);
        (
            Diagnostics {
                shared,
                queue: Some(queue),
            },
            jobs,
        )
    }

    fn refuse(diagnostics: &Diagnostics) -> Option<PendingExplanation> {
        let claimed_caller = Some(ClaimedCaller {
            consumer: Arc::new(Consumer::example()),
            token: None,
            compat: CompatSet::NONE,
        });
        let denial = Denial {
            claimed_caller,
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
            body: RequestBody::Whole(b""),
        };
        let sent = SentRequest {
            request,
            limits: ParseLimits::default(),
            forwarded: ForwardedHeaders::default(),
            received: None,
            setting: OriginSetting::Origin,
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
            context: RefusalContext::NONE,
        })
    }

    /// Returns the words of every denial, the newest first.
    fn words(diagnostics: &Diagnostics) -> Vec<Vec<&'static str>> {
        let denials = diagnostics.denials(&DenialFilter::default(), None, 10);
        denials
            .iter()
            .map(|denial| denial.explanation.words().collect())
            .collect()
    }
}

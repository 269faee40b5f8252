//! Follows the primary that the Sentinels name, even if no connection breaks.
//!
//! A demoted primary keeps its connections, and takes writes for about ten seconds until the
//! Sentinels turn it into a replica: whatever it acknowledges is lost. So each Sentinel is asked for
//! the primary every [`POLL`], and at once when it publishes a failover or a command fails in a way
//! that a failover explains. The answer with the highest configuration epoch counts, even if only
//! one Sentinel gives it: only an authorized failover raises the epoch, and a Sentinel that was cut
//! off knows a lower one. If it names another primary, every connection to the old one ends, the calls
//! in flight count as failed even if they are answered, and the recovery begins (`recovery`).
//! Answers with a lower epoch count only if a majority of all Sentinels gives them and none names
//! the known primary: so an operator can replace the whole configuration.
//!
//! # Isolation
//! A process that cannot reach a majority of three or more Sentinels cannot know whether they have
//! chosen another primary, and refuses every call after [`ISOLATED_AFTER`]: it may be on the wrong
//! side of a partition, together with the old primary. A Sentinel whose host refuses the connection
//! does not run, and counts as reached: it takes part in no failover, so the death of one or two of
//! three Sentinels is no reason to refuse calls. A host that is powered off does not answer, and
//! cannot be distinguished from one behind a partition.
//!
//! Until this process notices, the old primary goes on acknowledging its changes. So a change of a
//! record is acknowledged only after a majority was reached by a question that was sent after the
//! change.
//!
//! One or two Sentinels have no majority that survives the loss of one: they are followed, and their
//! loss is not noticed.
//!
//! # Limits
//! Until a Sentinel learns of a promotion, which takes up to a second, this process follows the
//! demoted primary. Records that the demoted primary acknowledges then are stored again by the
//! process that changed them; nonces are lost, and the fence covers them. The promise of isolation
//! needs `down-after-milliseconds` of a second or more, so that this process stops before the other
//! side has a primary.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::ConnectionInfo;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::credentials::Credentials;
use super::error::CommandError;
use super::gate::Closure;
use super::recovery::Recovery;
use super::sentinel::{HostPort, NamedPrimary, SentinelAddress, SentinelAnswer, SentinelLink};
use super::server_term::ServerTerm;

/// The watch over the Sentinels, until it is dropped.
pub(super) struct PrimaryWatch {
    shared: Arc<WatchState>,
    _tasks: JoinSet<()>,
}

struct WatchState {
    address: SentinelAddress,
    view: Mutex<SentinelView>,
    /// Notified when the first primary is known.
    known: watch::Sender<bool>,
    /// Counts the reasons to ask at once.
    hints: watch::Sender<u64>,
    /// Counts the answers.
    answers: watch::Sender<u64>,
    term: Arc<ServerTerm>,
    recovery: Arc<Recovery>,
}

/// The last answers of all Sentinels.
struct SentinelView {
    primary: Option<NamedPrimary>,
    answers: Vec<LastAnswer>,
    is_isolated: bool,
}

struct LastAnswer {
    named: Option<NamedPrimary>,
    /// The time at which the last question was sent that the Sentinel, or its host, responded to.
    reached_at: Instant,
    has_responded: bool,
    wants_password: bool,
}

/// A consequence of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Unchanged,
    /// The first primary is known.
    Found,
    /// Another primary than before.
    Replaced {
        from: HostPort,
    },
}

// === impl PrimaryWatch ===

impl PrimaryWatch {
    /// Starts asking the Sentinels. Needs a tokio runtime.
    pub(super) fn start(
        address: SentinelAddress,
        credentials: &Arc<Credentials>,
        term: Arc<ServerTerm>,
        recovery: Arc<Recovery>,
    ) -> Self {
        let links = address.links(credentials);
        let shared = Arc::new(WatchState {
            view: Mutex::new(SentinelView::new(address.len(), Instant::now())),
            address,
            known: watch::Sender::new(false),
            hints: watch::Sender::new(0),
            answers: watch::Sender::new(0),
            term,
            recovery,
        });
        let mut tasks = JoinSet::new();
        for (at, link) in links.into_iter().enumerate() {
            tasks.spawn(listen(Arc::downgrade(&shared), link.clone()));
            tasks.spawn(ask_again_and_again(
                Arc::downgrade(&shared),
                shared.hints.subscribe(),
                link,
                at,
            ));
        }
        Self {
            shared,
            _tasks: tasks,
        }
    }

    /// Returns the primary; waits until the Sentinels have named one.
    ///
    /// # Errors
    /// If every Sentinel has responded, or had the time to, and none named it.
    pub(super) async fn primary(&self) -> Result<ConnectionInfo, CommandError> {
        let mut known = self.shared.known.subscribe();
        let found = timeout(FIRST_ANSWER, known.wait_for(|&known| known)).await;
        drop(found);
        let view = self.shared.view();
        match &view.primary {
            Some(primary) => Ok(self.shared.address.server_at(&primary.address)),
            None if view.answers.iter().any(|last| last.wants_password) => {
                Err(CommandError::SentinelPassword)
            }
            None => Err(CommandError::PrimaryUnknown),
        }
    }

    /// Returns once a majority of three or more Sentinels is reached by a question of this moment or
    /// later.
    ///
    /// # Errors
    /// If no majority responds within the time in which isolation is noticed.
    pub(super) async fn confirm(&self) -> Result<(), CommandError> {
        let now = Instant::now();
        let mut answers = self.shared.answers.subscribe();
        self.ask_now();
        let reached = answers.wait_for(|_| self.shared.view().is_reached_since(now));
        match timeout(ISOLATED_AFTER, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(CommandError::Isolated),
        }
    }

    /// Asks all Sentinels at once, since a failover may have taken place.
    pub(super) fn ask_now(&self) {
        self.shared.ask_now();
    }
}

// === impl WatchState ===

impl WatchState {
    fn ask_now(&self) {
        self.hints
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Notes the answer of one Sentinel to a question that was sent at `sent`.
    fn note(&self, at: usize, answer: SentinelAnswer, sent: Instant) {
        let mut view = self.view();
        view.insert(at, answer, sent);
        match view.judge() {
            Verdict::Unchanged => {}
            Verdict::Found => {
                self.known.send_replace(true);
            }
            Verdict::Replaced { from } => self.replace(&view, &from),
        }
        self.note_isolation(&mut view);
        drop(view);
        self.answers
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Closes the gate before it ends the connections, so that no call fails in between.
    fn replace(&self, view: &SentinelView, from: &HostPort) {
        self.recovery.begin_after_failover();
        self.term.end();
        let to = view.primary.as_ref().map(|primary| &primary.address);
        warn!(
            from = %shown(from),
            to = to.map(shown),
            "the Sentinels have replaced the primary; following them"
        );
    }

    /// Closes or opens the gate. The gate of a failover that is noticed with the same answer closed
    /// before.
    fn note_isolation(&self, view: &mut SentinelView) {
        let is_isolated = view.is_isolated(Instant::now());
        if std::mem::replace(&mut view.is_isolated, is_isolated) == is_isolated {
            return;
        }
        if is_isolated {
            self.recovery.gate().close(Closure::Isolated);
            warn!(
                "cannot reach a majority of the Sentinels; refusing all calls, since they may have replaced the primary"
            );
        } else {
            self.recovery.gate().open(Closure::Isolated);
            info!("a majority of the Sentinels is reachable again");
        }
    }

    fn view(&self) -> MutexGuard<'_, SentinelView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl SentinelView ===

impl SentinelView {
    fn new(sentinels: usize, now: Instant) -> Self {
        let nothing = || LastAnswer {
            named: None,
            reached_at: now,
            has_responded: false,
            wants_password: false,
        };
        Self {
            primary: None,
            answers: std::iter::repeat_with(nothing).take(sentinels).collect(),
            is_isolated: false,
        }
    }

    fn insert(&mut self, at: usize, answer: SentinelAnswer, sent: Instant) {
        let last = &mut self.answers[at];
        last.has_responded = true;
        if answer != SentinelAnswer::Unreachable {
            last.reached_at = sent;
        }
        last.wants_password = answer == SentinelAnswer::PasswordRefused;
        last.named = match answer {
            SentinelAnswer::Primary(named) => Some(named),
            SentinelAnswer::NoPrimary
            | SentinelAnswer::PasswordRefused
            | SentinelAnswer::Dead
            | SentinelAnswer::Unreachable => None,
        };
    }

    /// Decides which primary to follow.
    fn judge(&mut self) -> Verdict {
        let Some(best) = self.best() else {
            return Verdict::Unchanged;
        };
        let votes = self.votes_for(&best.address);
        let Some(known) = &self.primary else {
            let all_responded = self.answers.iter().all(|last| last.has_responded);
            if !all_responded && votes < self.majority() {
                return Verdict::Unchanged;
            }
            self.primary = Some(best);
            return Verdict::Found;
        };
        let is_newer = best.epoch > known.epoch;
        let is_reset = self.votes_for(&known.address) == 0 && votes >= self.majority();
        if !is_newer && !is_reset {
            return Verdict::Unchanged;
        }
        let from = known.address.clone();
        let is_another = from != best.address;
        self.primary = Some(best);
        if is_another {
            Verdict::Replaced { from }
        } else {
            Verdict::Unchanged
        }
    }

    /// Returns the primary with the highest epoch; of several, the known one or else the one that
    /// most Sentinels name.
    fn best(&self) -> Option<NamedPrimary> {
        let is_known = |named: &NamedPrimary| {
            let known = self.primary.as_ref();
            known.is_some_and(|known| known.address == named.address)
        };
        let named = self.answers.iter().filter_map(|last| last.named.as_ref());
        named
            .max_by_key(|named| (named.epoch, is_known(named), self.votes_for(&named.address)))
            .cloned()
    }

    fn votes_for(&self, address: &HostPort) -> usize {
        let named = self.answers.iter().filter_map(|last| last.named.as_ref());
        named.filter(|named| named.address == *address).count()
    }

    fn majority(&self) -> usize {
        self.answers.len() / 2 + 1
    }

    fn is_isolated(&self, now: Instant) -> bool {
        let last_good = now.checked_sub(ISOLATED_AFTER);
        last_good.is_some_and(|last_good| !self.is_reached_after(|at| at > last_good))
    }

    fn is_reached_since(&self, begin: Instant) -> bool {
        self.is_reached_after(|at| at >= begin)
    }

    /// Returns `true` if a majority was reached at a time that is recent enough, or none is needed.
    fn is_reached_after(&self, is_recent: impl Fn(Instant) -> bool) -> bool {
        let is_reached = |last: &&LastAnswer| is_recent(last.reached_at);
        self.answers.len() < MIN_FOR_MAJORITY
            || self.answers.iter().filter(is_reached).count() >= self.majority()
    }
}

/// Asks one Sentinel every [`POLL`], and on every hint.
async fn ask_again_and_again(
    watch: Weak<WatchState>,
    mut hints: watch::Receiver<u64>,
    mut link: SentinelLink,
    at: usize,
) {
    while let Some(name) = watch.upgrade().map(|watch| watch.address.name().to_owned()) {
        hints.mark_unchanged();
        let sent = Instant::now();
        let answer = link.ask(&name).await;
        let Some(watch) = watch.upgrade() else { return };
        watch.note(at, answer, sent);
        drop(watch);
        sleep(MIN_PAUSE).await;
        // Without a hint, the interval is over.
        drop(timeout(POLL - MIN_PAUSE, hints.changed()).await);
    }
}

/// Waits for the messages of one Sentinel, each of which is a hint.
async fn listen(watch: Weak<WatchState>, link: SentinelLink) {
    let mut pause = FIRST_PAUSE;
    while watch.strong_count() > 0 {
        if let Ok(mut messages) = link.subscribe().await {
            pause = FIRST_PAUSE;
            while messages.next().await.is_some() {
                let Some(watch) = watch.upgrade() else { return };
                watch.ask_now();
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

fn shown((host, port): &HostPort) -> String {
    format!("{host}:{port}")
}

/// The interval at which each Sentinel is asked.
const POLL: Duration = Duration::from_millis(400);

/// The shortest pause between two questions to one Sentinel.
const MIN_PAUSE: Duration = Duration::from_millis(2);

/// The time after which Sentinels that do not answer are out of reach: two of their questions.
const ISOLATED_AFTER: Duration = Duration::from_secs(1);

/// The smallest number of Sentinels whose majority survives the loss of one.
const MIN_FOR_MAJORITY: usize = 3;

/// The longest time to wait for the first answer.
const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// The first pause before a new subscription; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause before a new subscription.
const MAX_PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_primary_is_that_of_a_majority_or_the_best_of_all_answers() {
        let mut view = view();
        assert_eq!(insert(&mut view, 0, old()), Verdict::Unchanged);
        assert_eq!(insert(&mut view, 1, old()), Verdict::Found);
        let mut lone = SentinelView::new(3, Instant::now());
        insert(&mut lone, 0, SentinelAnswer::Dead);
        insert(&mut lone, 1, SentinelAnswer::Unreachable);
        assert_eq!(insert(&mut lone, 2, old()), Verdict::Found);
    }

    #[test]
    fn one_sentinel_with_a_higher_epoch_is_followed_and_one_with_a_lower_is_not() {
        let mut view = known();
        assert_eq!(
            insert(&mut view, 2, new()),
            Verdict::Replaced {
                from: ("old".into(), 1)
            }
        );
        assert_eq!(insert(&mut view, 0, old()), Verdict::Unchanged);
        assert_eq!(
            insert(&mut view, 1, SentinelAnswer::Dead),
            Verdict::Unchanged
        );
        assert_eq!(
            insert(&mut view, 2, SentinelAnswer::Dead),
            Verdict::Unchanged
        );
        assert_eq!(view.primary.unwrap().address.0, "new");
    }

    #[test]
    fn a_lower_epoch_counts_only_from_a_majority_without_a_contradiction() {
        let mut view = known();
        insert(&mut view, 2, named("reset", 0));
        assert_eq!(insert(&mut view, 1, named("reset", 0)), Verdict::Unchanged);
        assert!(matches!(
            insert(&mut view, 0, named("reset", 0)),
            Verdict::Replaced { .. }
        ));
    }

    #[test]
    fn unreachable_sentinels_isolate_and_dead_ones_do_not() {
        let mut view = known();
        let now = Instant::now();
        let later = now + ISOLATED_AFTER;
        assert!(!view.is_isolated(now) && view.is_reached_since(now - ISOLATED_AFTER));
        assert!(view.is_isolated(later + Duration::from_secs(1)));
        view.insert(0, SentinelAnswer::Dead, later);
        view.insert(1, SentinelAnswer::Unreachable, later);
        assert!(view.is_isolated(later + Duration::from_millis(100)));
        view.insert(2, SentinelAnswer::Dead, later);
        assert!(!view.is_isolated(later + Duration::from_millis(100)));
        assert!(view.is_reached_since(later));
        assert!(!SentinelView::new(2, now).is_isolated(later));
    }

    fn view() -> SentinelView {
        SentinelView::new(3, Instant::now())
    }

    fn known() -> SentinelView {
        let mut view = view();
        (0..3).for_each(|at| {
            insert(&mut view, at, old());
        });
        view
    }

    fn insert(view: &mut SentinelView, at: usize, answer: SentinelAnswer) -> Verdict {
        view.insert(at, answer, Instant::now());
        view.judge()
    }

    fn old() -> SentinelAnswer {
        named("old", 1)
    }

    fn new() -> SentinelAnswer {
        named("new", 2)
    }

    fn named(host: &str, epoch: u64) -> SentinelAnswer {
        SentinelAnswer::Primary(NamedPrimary {
            address: (host.into(), 1),
            epoch,
        })
    }
}

//! Detects that a server was restarted or replaced, or lost its data, and so may have lost nonces.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::epoch::{Marker, MarkerCause, MarkerTime};
use super::recovery::Recovery;
use super::server_info::ServerInfo;
use crate::clock::Clock;
use crate::store::{ChangeFeed, RecordChange};

/// Compares the servers, or the primaries of a Cluster, and the markers of the epoch with those of
/// the last look.
#[derive(Debug)]
pub(super) struct RestartDetector {
    clock: Arc<dyn Clock>,
    fence_on_restart: bool,
    recovery: Arc<Recovery>,
    /// The feed to which everything counts as changed after a restart.
    changes: Arc<ChangeFeed>,
    known: Mutex<Known>,
    restarts: AtomicU64,
    fence: AtomicU64,
    warned_of_eviction: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    /// The replication id that each server was promoted from, if any, by its run id.
    servers: BTreeMap<String, Option<String>>,
    /// The markers, by their keys.
    markers: BTreeMap<String, KnownMarker>,
}

#[derive(Debug)]
struct KnownMarker {
    id: Arc<str>,
    first_id: String,
}

// === impl RestartDetector ===

impl RestartDetector {
    /// Returns a detector that has seen no server yet.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        fence_on_restart: bool,
        recovery: Arc<Recovery>,
        changes: Arc<ChangeFeed>,
    ) -> Self {
        Self {
            clock,
            fence_on_restart,
            recovery,
            changes,
            known: Mutex::default(),
            restarts: AtomicU64::new(0),
            fence: AtomicU64::new(0),
            warned_of_eviction: AtomicBool::new(false),
        }
    }

    /// Notes the server, or every primary of a Cluster, and the markers as they are now. Returns
    /// `true` if a server is another one than before.
    pub(super) fn observe(
        &self,
        infos: &[ServerInfo],
        markers: &[Marker],
        is_cluster: bool,
    ) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = known.servers.is_empty();
        let replaced = !is_first && infos.iter().any(|info| is_new(info, &known.servers));
        known.servers = infos
            .iter()
            .map(|info| (info.run_id.clone(), info.promoted_from.clone()))
            .collect();
        let changed = known.take_changed(markers);
        let since = markers.iter().map(|marker| marker.since).max().unwrap_or(0);
        self.fence_restored(markers);
        let restart = changed.max(replaced.then_some(MarkerCause::Restart));
        // The fence stands before a claim can be compared with the new marker.
        if is_first {
            self.raise_fence(since);
        } else if let Some(cause) = restart {
            self.begin_recovery(is_cluster, cause);
            self.restarts.fetch_add(1, Ordering::Relaxed);
            self.raise_fence(self.clock.now().as_secs().max(since));
        }
        // Claims wait for the lock, and must not wait for the log.
        drop(known);
        if let Some(cause) = restart {
            self.changes.announce(&RecordChange::Everything);
            self.log_restart(cause);
        }
        if let Some(policy) = infos.iter().find_map(ServerInfo::evicting_policy) {
            self.warn_of_eviction(policy);
        }
        replaced
    }

    /// Returns the id that a marker had at the last look.
    pub(super) fn marker(&self, key: &str) -> Option<Arc<str>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.markers.get(key).map(|marker| Arc::clone(&marker.id))
    }

    /// Returns the time to note in a new marker: by the later of this host's clock and that of
    /// Redis, which is ahead by `lead`, since other replicas accepted requests by their own
    /// clocks. If this process never saw a marker, an absent one most likely means a new store: then
    /// the requests of the current second pass.
    pub(super) fn marker_time(&self, lead: Duration) -> MarkerTime {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now().plus(lead).as_secs();
        MarkerTime {
            now,
            if_lost: now.saturating_sub(u64::from(known.servers.is_empty())),
        }
    }

    /// Returns the number of restarts and replacements.
    pub(super) fn count(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Returns the fence: timestamps up to this second are refused.
    pub(super) fn fence(&self) -> u64 {
        self.fence.load(Ordering::SeqCst)
    }

    /// Moves the fence to this moment, if it is on: by the later of this host's clock and that of
    /// Redis, which is ahead by `lead`.
    pub(super) fn move_fence(&self, lead: Duration) {
        self.raise_fence(self.clock.now().plus(lead).as_secs());
    }

    fn begin_recovery(&self, is_cluster: bool, cause: MarkerCause) {
        // A restore adds records and takes none away.
        if cause == MarkerCause::Restored {
            return;
        }
        let lost_everything = cause == MarkerCause::Lost;
        if is_cluster && !lost_everything {
            self.recovery.begin_beside_calls();
        } else {
            self.recovery.begin_after_restart(lost_everything);
        }
    }

    fn log_restart(&self, cause: MarkerCause) {
        let not_before = self.fence();
        let (what, remedy) = match cause {
            MarkerCause::Restart => (
                "Redis was restarted or replaced and may have lost nonces",
                "nothing to do if that was planned",
            ),
            MarkerCause::Lost => (
                "Redis lost its data (FLUSHALL, FLUSHDB, or an empty server in its place), and nonces with it",
                "see whether `countersign consumer list` shows the consumers; if not, restore Redis from a backup",
            ),
            MarkerCause::Clock => (
                "the clock of Redis jumped ahead, so that nonces expired early",
                "correct the clock of Redis' host",
            ),
            MarkerCause::Restored => (
                "a backup was restored into Redis, and it has no nonces",
                "nothing to do: callers sign again",
            ),
        };
        if self.fence_on_restart || cause == MarkerCause::Restored {
            warn!(
                not_before,
                remedy, "{what}; refusing requests signed up to this second"
            );
        } else {
            warn!(
                remedy,
                "{what}; requests whose nonces it lost can be replayed within the timestamp window"
            );
        }
    }

    fn raise_fence(&self, not_before: u64) {
        if self.fence_on_restart {
            self.fence.fetch_max(not_before, Ordering::SeqCst);
        }
    }

    /// Raises the fence to the last restore, also if restarts raise none: who restores a backup
    /// knows that every nonce is lost.
    fn fence_restored(&self, markers: &[Marker]) {
        let restored_at = markers.iter().map(|marker| marker.restored_at).max();
        self.fence
            .fetch_max(restored_at.unwrap_or(0), Ordering::SeqCst);
    }

    fn warn_of_eviction(&self, policy: &str) {
        if !self.warned_of_eviction.swap(true, Ordering::Relaxed) {
            warn!(
                maxmemory_policy = policy,
                "Redis may evict nonces and credentials when its memory is full; set maxmemory-policy to noeviction"
            );
        }
    }
}

// === impl Known ===

impl Known {
    /// Notes the markers, and returns the gravest cause of those that are others than before.
    fn take_changed(&mut self, markers: &[Marker]) -> Option<MarkerCause> {
        let causes = markers.iter().filter_map(|marker| {
            let known = self.markers.get(&marker.key)?;
            known.cause_of(marker)
        });
        let cause = causes.max();
        for marker in markers {
            let known = KnownMarker {
                id: marker.id.as_str().into(),
                first_id: marker.first_id.clone(),
            };
            self.markers.insert(marker.key.clone(), known);
        }
        cause
    }
}

// === impl KnownMarker ===

impl KnownMarker {
    /// Returns the cause of a marker in the place of this one; `None` if it is the same. A loss
    /// counts also if the marker that noted it was replaced since.
    fn cause_of(&self, now: &Marker) -> Option<MarkerCause> {
        if *self.id == *now.id {
            None
        } else if self.first_id == now.first_id {
            // The first marker says `lost`; a late look at it is no loss of this data.
            Some(now.cause.min(MarkerCause::Restart))
        } else {
            Some(MarkerCause::Lost)
        }
    }
}

/// Returns `true` if a server is another one than before, or was a replica in the meantime and took
/// over its primary's data. A primary that loses its last replica clears the id that it was
/// promoted from: that is no restart.
fn is_new(info: &ServerInfo, known: &BTreeMap<String, Option<String>>) -> bool {
    known
        .get(&info.run_id)
        .is_none_or(|before| info.promoted_from.is_some() && info.promoted_from != *before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, UnixTime};

    #[test]
    fn a_changed_run_id_or_promotion_is_a_restart() {
        let detector = detector(true);
        let original = info("a", NEVER);
        detector.observe(std::slice::from_ref(&original), &[], false);
        detector.observe(std::slice::from_ref(&original), &[], false);
        assert_eq!((detector.count(), detector.fence()), (0, 0));
        detector.observe(&[info("a", "b0b")], &[], false);
        assert_eq!((detector.count(), detector.fence()), (1, 1000));
        detector.observe(&[original], &[], false);
        assert_eq!(
            detector.count(),
            1,
            "a cleared replication id is no restart"
        );
        detector.observe(&[info("c", NEVER)], &[], false);
        assert_eq!(detector.count(), 2);
    }

    #[test]
    fn a_restore_raises_the_fence_also_without_the_option() {
        let detector = detector(false);
        let server = [info("a", NEVER)];
        detector.observe(&server, &[marker("k", "1", 900)], false);
        assert_eq!((detector.count(), detector.fence()), (0, 0));
        let restored = Marker {
            cause: MarkerCause::Restored,
            restored_at: 1001,
            ..marker("k", "2", 1001)
        };
        detector.observe(&server, std::slice::from_ref(&restored), false);
        assert_eq!((detector.count(), detector.fence()), (1, 1001));
        let later = self::detector(false);
        later.observe(&server, &[restored], false);
        assert_eq!(
            (later.count(), later.fence()),
            (0, 1001),
            "a replica that starts later"
        );
        let restarted = Marker {
            cause: MarkerCause::Restart,
            restored_at: 1001,
            ..marker("k", "3", 1002)
        };
        let last = self::detector(false);
        last.observe(&server, &[restarted], false);
        assert_eq!(
            (last.count(), last.fence()),
            (0, 1001),
            "a replica that starts after a restart of Redis"
        );
    }

    #[test]
    fn a_late_look_at_the_first_marker_is_no_loss() {
        let known = KnownMarker {
            id: "2".into(),
            first_id: "1".to_owned(),
        };
        let first = Marker {
            cause: MarkerCause::Lost,
            first_id: "1".to_owned(),
            ..marker("k", "1", 900)
        };
        assert_eq!(known.cause_of(&first), Some(MarkerCause::Restart));
    }

    #[test]
    fn a_restore_hides_no_restart_and_no_loss() {
        let restored = Marker {
            cause: MarkerCause::Restored,
            ..marker("k", "2", 1001)
        };
        let lost = Marker {
            first_id: "2".to_owned(),
            ..restored.clone()
        };
        let other = Marker {
            cause: MarkerCause::Restart,
            ..marker("l", "2", 1001)
        };
        for (server, markers, closes) in [
            ("a", vec![restored.clone()], false),
            ("b", vec![restored.clone()], true),
            ("a", vec![restored, other], true),
            ("a", vec![lost], true),
        ] {
            let detector = detector(false);
            let before = [marker("k", "1", 900), marker("l", "1", 900)];
            detector.observe(&[info("a", NEVER)], &before, false);
            let mark = detector.recovery.mark();
            detector.observe(&[info(server, NEVER)], &markers, false);
            assert_eq!(detector.recovery.mark() != mark, closes, "{markers:?}");
        }
    }

    #[test]
    fn without_the_option_a_restart_is_counted_and_raises_no_fence() {
        let detector = detector(false);
        detector.observe(&[info("a", NEVER)], &[], false);
        detector.observe(&[info("b", NEVER)], &[], false);
        assert_eq!((detector.count(), detector.fence()), (1, 0));
    }

    #[test]
    fn a_new_primary_in_a_cluster_is_a_restart_and_a_lost_one_is_not() {
        let detector = detector(false);
        detector.observe(&[info("a", NEVER), info("b", NEVER)], &[], false);
        detector.observe(&[info("a", NEVER)], &[], false);
        assert_eq!(detector.count(), 0);
        detector.observe(&[info("a", NEVER), info("c", NEVER)], &[], false);
        assert_eq!(detector.count(), 1);
    }

    #[test]
    fn another_marker_is_a_restart_and_fences_the_time_since_it_was_drawn() {
        let detector = detector(true);
        let server = [info("a", NEVER)];
        assert_eq!(
            (
                detector.marker_time(Duration::ZERO).now,
                detector.marker_time(Duration::ZERO).if_lost
            ),
            (1000, 999)
        );
        assert_eq!(
            detector.marker_time(Duration::from_secs(20)).now,
            1020,
            "a late replica"
        );
        detector.observe(&server, &[marker("k", "1", 900)], false);
        assert_eq!((detector.count(), detector.fence()), (0, 900));
        assert_eq!(detector.marker_time(Duration::ZERO).if_lost, 1000);
        detector.observe(&server, &[marker("k", "1", 900)], false);
        detector.observe(&server, &[marker("moved", "2", 950)], false);
        assert_eq!(
            (detector.count(), detector.fence()),
            (0, 900),
            "a slot that moved to another primary has a marker that is new here"
        );
        detector.observe(&server, &[marker("k", "3", 1003)], false);
        assert_eq!((detector.count(), detector.fence()), (1, 1003));
        assert_eq!(detector.marker("k").as_deref(), Some("3"));
        detector.observe(&[info("b", NEVER)], &[marker("k", "4", 1003)], false);
        assert_eq!(detector.count(), 2, "a restart and its marker count once");
    }

    const NEVER: &str = "0000000000000000000000000000000000000000";

    fn detector(fence_on_restart: bool) -> RestartDetector {
        RestartDetector::new(
            Arc::new(ManualClock::at(UnixTime::from_secs(1000))),
            fence_on_restart,
            Arc::default(),
            Arc::default(),
        )
    }

    fn marker(key: &str, id: &str, since: u64) -> Marker {
        Marker {
            key: key.to_owned(),
            id: id.to_owned(),
            since,
            cause: MarkerCause::Lost,
            first_id: "1".to_owned(),
            restored_at: 0,
        }
    }

    fn info(run_id: &str, promoted_from: &str) -> ServerInfo {
        ServerInfo::parse(&format!(
            "run_id:{run_id}\r\nmaster_replid2:{promoted_from}\r\n"
        ))
    }
}

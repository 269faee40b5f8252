//! Detects that a server was restarted or replaced, and so may have lost nonces.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use super::recovery::Recovery;
use super::server_info::ServerInfo;
use crate::clock::Clock;

/// Compares the servers, or the primaries of a Cluster, with those of the last look.
#[derive(Debug)]
pub(super) struct RestartDetector {
    clock: Arc<dyn Clock>,
    fence_on_restart: bool,
    recovery: Arc<Recovery>,
    /// The replication id that each server was promoted from, if any, by its run id.
    known: Mutex<BTreeMap<String, Option<String>>>,
    restarts: AtomicU64,
    fence: AtomicU64,
    warned_of_eviction: AtomicBool,
}

// === impl RestartDetector ===

impl RestartDetector {
    /// Returns a detector that has seen no server yet.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        fence_on_restart: bool,
        recovery: Arc<Recovery>,
    ) -> Self {
        Self {
            clock,
            fence_on_restart,
            recovery,
            known: Mutex::default(),
            restarts: AtomicU64::new(0),
            fence: AtomicU64::new(0),
            warned_of_eviction: AtomicBool::new(false),
        }
    }

    /// Notes the server, or every primary of a Cluster, as it is now.
    pub(super) fn observe(&self, infos: &[ServerInfo]) {
        let now_known = infos
            .iter()
            .map(|info| (info.run_id.clone(), info.promoted_from.clone()))
            .collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = !known.is_empty() && infos.iter().any(|info| is_new(info, &known));
        *known = now_known;
        if replaced {
            self.note_restart();
        }
        drop(known);
        if let Some(policy) = infos.iter().find_map(ServerInfo::evicting_policy) {
            self.warn_of_eviction(policy);
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

    /// Moves the fence to this moment, if it is on.
    pub(super) fn move_fence(&self) {
        if self.fence_on_restart {
            let now = self.clock.now().as_secs();
            self.fence.fetch_max(now, Ordering::SeqCst);
        }
    }

    fn note_restart(&self) {
        self.recovery.begin_after_restart();
        self.restarts.fetch_add(1, Ordering::Relaxed);
        if self.fence_on_restart {
            let now = self.clock.now().as_secs();
            self.fence.fetch_max(now, Ordering::SeqCst);
            warn!(
                not_before = now,
                "Redis was restarted or replaced and may have lost nonces; refusing requests signed up to this second"
            );
        } else {
            warn!(
                "Redis was restarted or replaced; requests whose nonces it lost can be replayed within the timestamp window"
            );
        }
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
        detector.observe(std::slice::from_ref(&original));
        detector.observe(std::slice::from_ref(&original));
        assert_eq!((detector.count(), detector.fence()), (0, 0));
        detector.observe(&[info("a", "b0b")]);
        assert_eq!((detector.count(), detector.fence()), (1, 1000));
        detector.observe(&[original]);
        assert_eq!(
            detector.count(),
            1,
            "a cleared replication id is no restart"
        );
        detector.observe(&[info("c", NEVER)]);
        assert_eq!(detector.count(), 2);
    }

    #[test]
    fn without_the_option_a_restart_is_counted_and_raises_no_fence() {
        let detector = detector(false);
        detector.observe(&[info("a", NEVER)]);
        detector.observe(&[info("b", NEVER)]);
        assert_eq!((detector.count(), detector.fence()), (1, 0));
    }

    #[test]
    fn a_new_primary_in_a_cluster_is_a_restart_and_a_lost_one_is_not() {
        let detector = detector(false);
        detector.observe(&[info("a", NEVER), info("b", NEVER)]);
        detector.observe(&[info("a", NEVER)]);
        assert_eq!(detector.count(), 0);
        detector.observe(&[info("a", NEVER), info("c", NEVER)]);
        assert_eq!(detector.count(), 1);
    }

    const NEVER: &str = "0000000000000000000000000000000000000000";

    fn detector(fence_on_restart: bool) -> RestartDetector {
        RestartDetector::new(
            Arc::new(ManualClock::at(UnixTime::from_secs(1000))),
            fence_on_restart,
            Arc::default(),
        )
    }

    fn info(run_id: &str, promoted_from: &str) -> ServerInfo {
        ServerInfo::parse(&format!(
            "run_id:{run_id}\r\nmaster_replid2:{promoted_from}\r\n"
        ))
    }
}

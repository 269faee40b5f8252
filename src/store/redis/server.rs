//! What is known of the server, or of the primaries of a Cluster: whether it can be used, and whether it is still the one
//! that remembers our nonces.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use super::fault::Fault;
use crate::clock::Clock;

/// What the servers were when last asked.
#[derive(Debug)]
pub(super) struct Servers {
    clock: Arc<dyn Clock>,
    fence_on_restart: bool,
    /// From run id to where the server was promoted from, if it ever was a replica.
    known: Mutex<BTreeMap<String, Option<String>>>,
    restarts: AtomicU64,
    fence: AtomicU64,
    warned_of_eviction: AtomicBool,
}

/// What a server says of itself in `INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    version: String,
    run_id: String,
    promoted_from: Option<String>,
    is_primary: bool,
    is_loading: bool,
    is_cluster_node: bool,
    maxmemory_policy: String,
}

// === impl Servers ===

impl Servers {
    /// Nothing is known yet.
    pub(super) fn new(clock: Arc<dyn Clock>, fence_on_restart: bool) -> Self {
        Self {
            clock,
            fence_on_restart,
            known: Mutex::default(),
            restarts: AtomicU64::new(0),
            fence: AtomicU64::new(0),
            warned_of_eviction: AtomicBool::new(false),
        }
    }

    /// Notes what the server, or every primary of a Cluster, says of itself now.
    pub(super) fn observe(&self, infos: &[Info]) {
        let now_known = infos
            .iter()
            .map(|info| (info.run_id.clone(), info.promoted_from.clone()))
            .collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = !known.is_empty() && infos.iter().any(|info| info.is_news_to(&known));
        *known = now_known;
        if replaced {
            self.note_restart();
        }
        drop(known);
        if let Some(info) = infos.iter().find(|info| info.may_evict()) {
            self.warn_of_eviction(&info.maxmemory_policy);
        }
    }

    /// How often a server was found restarted or replaced.
    pub(super) fn restarts_seen(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    /// Timestamps up to this second are refused.
    pub(super) fn fence(&self) -> u64 {
        self.fence.load(Ordering::SeqCst)
    }

    fn note_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        if self.fence_on_restart {
            let now = self.clock.now().as_secs();
            self.fence.fetch_max(now, Ordering::SeqCst);
            warn!(
                not_before = now,
                "Redis was restarted or replaced; requests signed up to this second are refused"
            );
        } else {
            warn!(
                "Redis was restarted or replaced; requests whose nonces it forgot can be replayed inside of the window"
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

// === impl Info ===

impl Info {
    /// Reads the answer to `INFO`.
    pub(super) fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for (name, value) in text
            .lines()
            .filter_map(|line| line.trim_end().split_once(':'))
        {
            match name {
                "redis_version" => value.clone_into(&mut info.version),
                "run_id" => value.clone_into(&mut info.run_id),
                "role" => info.is_primary = value == "master",
                "loading" => info.is_loading = value == "1",
                "cluster_enabled" => info.is_cluster_node = value == "1",
                "maxmemory_policy" => value.clone_into(&mut info.maxmemory_policy),
                "master_replid2" if value.bytes().any(|byte| byte != b'0') => {
                    info.promoted_from = Some(value.to_owned());
                }
                _ => {}
            }
        }
        info
    }

    /// Whether the server can be used as what `store.url` says it is.
    pub(super) fn check(&self, in_cluster: bool) -> Result<(), Fault> {
        let major = self
            .version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok());
        match major {
            Some(major) if major >= MIN_MAJOR_VERSION => {}
            Some(_) => return Err(Fault::TooOld(self.version.clone())),
            None => return Err(Fault::Unexpected),
        }
        if self.is_cluster_node && !in_cluster {
            return Err(Fault::ClusterNode);
        }
        if self.is_loading {
            return Err(Fault::Loading);
        }
        if self.is_primary {
            Ok(())
        } else {
            Err(Fault::NotPrimary)
        }
    }

    /// Whether it is another server than before, or was a replica meanwhile and took over what its primary knew. A
    /// primary that loses its last replica clears the id that it was promoted from: that is no news.
    fn is_news_to(&self, known: &BTreeMap<String, Option<String>>) -> bool {
        known
            .get(&self.run_id)
            .is_none_or(|before| self.promoted_from.is_some() && self.promoted_from != *before)
    }

    fn may_evict(&self) -> bool {
        !self.maxmemory_policy.is_empty() && self.maxmemory_policy != "noeviction"
    }
}

/// Errors of scripts keep their codes since then, and hashes of up to 512 entries are kept in one piece.
const MIN_MAJOR_VERSION: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, UnixTime};

    #[test]
    fn a_server_is_known_by_its_run_id_and_where_it_was_promoted_from() {
        let servers = servers(true);
        let original = info("a", NEVER);
        servers.observe(std::slice::from_ref(&original));
        servers.observe(std::slice::from_ref(&original));
        assert_eq!((servers.restarts_seen(), servers.fence()), (0, 0));
        servers.observe(&[info("a", "b0b")]);
        assert_eq!((servers.restarts_seen(), servers.fence()), (1, 1000));
        servers.observe(&[original]);
        assert_eq!(
            servers.restarts_seen(),
            1,
            "a cleared replication id is no restart"
        );
        servers.observe(&[info("c", NEVER)]);
        assert_eq!(servers.restarts_seen(), 2);
    }

    #[test]
    fn without_the_option_a_restart_is_counted_and_nothing_refused() {
        let servers = servers(false);
        servers.observe(&[info("a", NEVER)]);
        servers.observe(&[info("b", NEVER)]);
        assert_eq!((servers.restarts_seen(), servers.fence()), (1, 0));
    }

    #[test]
    fn a_new_primary_in_a_cluster_is_a_restart_and_a_lost_one_is_not() {
        let servers = servers(false);
        servers.observe(&[info("a", NEVER), info("b", NEVER)]);
        servers.observe(&[info("a", NEVER)]);
        assert_eq!(servers.restarts_seen(), 0);
        servers.observe(&[info("a", NEVER), info("c", NEVER)]);
        assert_eq!(servers.restarts_seen(), 1);
    }

    #[test]
    fn only_a_writable_primary_of_7_0_or_newer_will_do() {
        let good = "redis_version:7.0.15\r\nrun_id:a\r\nrole:master\r\nloading:0\r\n";
        assert_eq!(Info::parse(good).check(false), Ok(()));
        let with = |from: &str, to: &str| Info::parse(&good.replace(from, to)).check(false);
        assert_eq!(
            with("7.0.15", "6.2.14"),
            Err(Fault::TooOld("6.2.14".into()))
        );
        assert_eq!(with("7.0.15", "10.1.0"), Ok(()));
        assert_eq!(with("role:master", "role:slave"), Err(Fault::NotPrimary));
        assert_eq!(with("loading:0", "loading:1"), Err(Fault::Loading));
        assert_eq!(
            with("loading:0", "cluster_enabled:1"),
            Err(Fault::ClusterNode)
        );
        assert_eq!(with("redis_version", "version"), Err(Fault::Unexpected));
    }

    const NEVER: &str = "0000000000000000000000000000000000000000";

    fn servers(fence_on_restart: bool) -> Servers {
        Servers::new(
            Arc::new(ManualClock::at(UnixTime::from_secs(1000))),
            fence_on_restart,
        )
    }

    fn info(run_id: &str, promoted_from: &str) -> Info {
        Info::parse(&format!(
            "run_id:{run_id}\r\nmaster_replid2:{promoted_from}\r\n"
        ))
    }
}

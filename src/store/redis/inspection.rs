//! The inspection of the servers behind a connection: before its first command, each second by the
//! probe, and when a claim finds something changed.
//!
//! It reads `INFO` and `TIME` of every server and the markers of the epoch, and passes them to the
//! detector of restarts and to the comparison of the clocks. An access control list may refuse
//! `INFO`, as `-@dangerous` does: then `HELLO` is enough to work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{join_all, try_join};
use redis::{Value, cmd};
use tokio::time::Instant;
use tracing::warn;

use super::clock_skew::{ClockSkew, TimeSample};
use super::cluster_slots::{lowest_slots, slot_ranges, tag_in};
use super::epoch::{Marker, MarkerCause, MarkerIds, Suspect};
use super::error::CommandError;
use super::keys;
use super::link::{Link, read};
use super::restarts::RestartDetector;
use super::server_info::ServerInfo;
use crate::clock::{Clock, Entropy};

/// Inspects servers.
pub(super) struct ServerInspector {
    clock: Arc<dyn Clock>,
    restarts: RestartDetector,
    skew: ClockSkew,
    ids: MarkerIds,
    /// The keys of markers in a Cluster, by slot.
    cluster_keys: Mutex<BTreeMap<u16, String>>,
    warned_without_info: AtomicBool,
}

/// The servers behind one connection, by address.
type Servers = BTreeMap<String, ServerInfo>;

// === impl ServerInspector ===

impl ServerInspector {
    /// Returns an inspector that has seen no server yet.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        restarts: RestartDetector,
        skew: ClockSkew,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            clock,
            restarts,
            skew,
            ids: MarkerIds::new(entropy),
            cluster_keys: Mutex::default(),
            warned_without_info: AtomicBool::new(false),
        }
    }

    /// Returns the detector of restarts.
    pub(super) const fn restarts(&self) -> &RestartDetector {
        &self.restarts
    }

    /// Returns the difference between the clocks.
    pub(super) const fn skew(&self) -> &ClockSkew {
        &self.skew
    }

    /// Checks that the servers can be used, and notes what changed. `saw_skew` tells that a claim
    /// found the clocks too far apart. Returns `true` if a server is another one than before.
    ///
    /// # Errors
    /// If a server cannot be used or does not answer.
    pub(super) async fn inspect(
        &self,
        link: &Link,
        deadline: Instant,
        saw_skew: bool,
    ) -> Result<bool, CommandError> {
        let (servers, samples) =
            try_join(self.servers(link, deadline), self.samples(link, deadline)).await?;
        let is_cluster = link.is_cluster();
        servers
            .values()
            .try_for_each(|server| server.check(is_cluster))?;
        let jumped = self.skew.observe(&by_run_id(&servers, samples));
        // A skew that is gone already was a jump there and back.
        let suspects = jumped || (saw_skew && self.skew.check().is_ok());
        let markers = self.markers(link, &servers, suspects, deadline).await?;
        let servers: Vec<_> = servers.into_values().collect();
        Ok(self.restarts.observe(&servers, &markers, is_cluster))
    }

    /// Replaces every marker, because a backup is being restored: every replica that compares it
    /// raises the fence to this moment.
    ///
    /// # Errors
    /// If a server does not answer, or other replicas replace a marker at the same time again and
    /// again.
    pub(super) async fn mark_restored(
        &self,
        link: &Link,
        deadline: Instant,
    ) -> Result<(), CommandError> {
        let servers = self.servers(link, deadline).await?;
        let before = self.markers(link, &servers, false, deadline).await?;
        let unnamed = ServerInfo::default();
        let only_server = servers.values().next().filter(|_| !link.is_cluster());
        let server = only_server.unwrap_or(&unnamed);
        let mut markers = Vec::with_capacity(before.len());
        for marker in before {
            markers.push(self.replace(link, server, marker, deadline).await?);
        }
        let servers: Vec<_> = servers.into_values().collect();
        self.restarts.observe(&servers, &markers, link.is_cluster());
        Ok(())
    }

    /// Replaces a marker after a restore.
    async fn replace(
        &self,
        link: &Link,
        server: &ServerInfo,
        mut marker: Marker,
        deadline: Instant,
    ) -> Result<Marker, CommandError> {
        for _ in 0..ATTEMPTS {
            let time = self.restarts.marker_time(self.skew.lead());
            let suspect = Suspect {
                id: &marker.id,
                cause: MarkerCause::Restored,
            };
            let mark = self.ids.mark(&marker.key, server, suspect, time);
            let answer = link.clone().run(&mark, deadline).await?;
            marker = Marker::read(marker.key, answer)?;
            if marker.restored_at >= time.now {
                return Ok(marker);
            }
        }
        Err(CommandError::EpochChanged)
    }

    /// Reads `INFO` of every server, or `HELLO` if that is refused.
    async fn servers(&self, link: &Link, deadline: Instant) -> Result<Servers, CommandError> {
        let mut link = link.clone();
        match link.run_everywhere(&cmd("INFO"), deadline).await {
            Ok(answers) => each(answers, |answer| {
                Ok(ServerInfo::parse(&read::<String>(answer)?))
            }),
            Err(error @ (CommandError::NotPermitted(_) | CommandError::UnknownCommand(_))) => {
                let answers = link.run_everywhere(&cmd("HELLO"), deadline).await?;
                self.warn_without_info(&error);
                each(answers, ServerInfo::of_hello)
            }
            Err(error) => Err(error),
        }
    }

    async fn samples(
        &self,
        link: &Link,
        deadline: Instant,
    ) -> Result<BTreeMap<String, TimeSample>, CommandError> {
        let sent = Instant::now();
        let answers = link.clone().run_everywhere(&cmd("TIME"), deadline).await?;
        let (host, answered) = (self.clock.now(), Instant::now());
        each(answers, |answer| {
            TimeSample::read(answer, host, sent, answered)
        })
    }

    /// Reads the marker of the server, or one for each primary of a Cluster.
    async fn markers(
        &self,
        link: &Link,
        servers: &Servers,
        suspects: bool,
        deadline: Instant,
    ) -> Result<Vec<Marker>, CommandError> {
        let unnamed = ServerInfo::default();
        let (keys, server) = if link.is_cluster() {
            (self.cluster_keys(link, deadline).await?, &unnamed)
        } else {
            let server = servers.values().next().unwrap_or(&unnamed);
            (vec![keys::EPOCH.to_owned()], server)
        };
        let time = self.restarts.marker_time(self.skew.lead());
        let marked = keys.into_iter().map(|key| {
            let known = suspects.then(|| self.restarts.marker(&key)).flatten();
            let suspect = Suspect {
                id: known.as_deref().unwrap_or_default(),
                cause: MarkerCause::Clock,
            };
            let mark = self.ids.mark(&key, server, suspect, time);
            let mut link = link.clone();
            async move { Marker::read(key, link.run(&mark, deadline).await?) }
        });
        join_all(marked).await.into_iter().collect()
    }

    /// Returns a key in the lowest slot of each primary.
    async fn cluster_keys(
        &self,
        link: &Link,
        deadline: Instant,
    ) -> Result<Vec<String>, CommandError> {
        let slots = cmd("CLUSTER").arg("SLOTS").to_owned();
        let ranges = slot_ranges(link.clone().run(&slots, deadline).await?)?;
        let mut known = self
            .cluster_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = |slot: u16| keys::cluster_epoch(&tag_in(slot));
        Ok(lowest_slots(&ranges)
            .into_iter()
            .map(|slot| known.entry(slot).or_insert_with(|| key(slot)).clone())
            .collect())
    }

    fn warn_without_info(&self, cause: &CommandError) {
        if !self.warned_without_info.swap(true, Ordering::Relaxed) {
            warn!(
                %cause,
                "working without INFO: a restart or failover of Redis that keeps its data goes unnoticed, so that replays of the last second may pass, and maxmemory-policy is not checked"
            );
        }
    }
}

/// The number of attempts to replace a marker that other replicas replace at the same time.
const ATTEMPTS: usize = 5;

/// Reads the answer of each server.
fn each<T>(
    answers: BTreeMap<String, Value>,
    read: impl Fn(Value) -> Result<T, CommandError>,
) -> Result<BTreeMap<String, T>, CommandError> {
    answers
        .into_iter()
        .map(|(address, answer)| Ok((address, read(answer)?)))
        .collect()
}

/// Names each sample by its server's run id, so that the clocks of two servers at one address are
/// never compared.
fn by_run_id(
    servers: &Servers,
    samples: BTreeMap<String, TimeSample>,
) -> BTreeMap<String, TimeSample> {
    let named = samples
        .into_iter()
        .map(|(address, sample)| match servers.get(&address) {
            Some(server) if !server.run_id.is_empty() => (server.run_id.clone(), sample),
            _ => (address, sample),
        });
    named.collect()
}

//! The marker of the epoch: a value in Redis that shows whether the data is still the same.
//!
//! A marker is a hash. The first replica that finds none draws one at random. Redis loses it with
//! everything else (`FLUSHALL`, an empty server in its place), so a replica that finds another
//! marker than before knows that nonces are gone. The marker also names the server for which it was
//! drawn: after a restart or a failover the first replica to look replaces it, so that the others,
//! and those that start later, learn of the event and of its second.
//!
//! | field | value |
//! |---|---|
//! | `id` | random |
//! | `run_id`, `promoted_from` | the server for which it was drawn, as `INFO` names it; empty in a Cluster, whose keys move |
//! | `since` | the second in which it was drawn |
//! | `why` | `lost`, `restart`, `clock` or `restored`, as [`MarkerCause`] |
//! | `first_id` | the id of the first marker of this data: another one means that data was lost since |
//! | `restored_at` | the second of the last restore; absent before the first one |
//!
//! The last two outlive the marker that noted them.
//!
//! One server has one marker, and every claim compares it within its script. A script of a Cluster
//! stays within a slot, so there the probe alone compares markers, each second: one in the lowest
//! slot of each primary.

use std::sync::atomic::{AtomicU64, Ordering};

use redis::{Cmd, Value, cmd};

use super::error::CommandError;
use super::link::read;
use super::server_info::ServerInfo;
use crate::clock::Entropy;

/// A marker as it is in Redis now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// Its key.
    pub(super) key: String,
    /// Its random id.
    pub(super) id: String,
    /// The second in which it was drawn.
    pub(super) since: u64,
    /// The reason why it was drawn.
    pub(super) cause: MarkerCause,
    /// The id of the first marker of the data.
    pub(super) first_id: String,
    /// The second of the last restore; 0 before the first one.
    pub(super) restored_at: u64,
}

/// The reasons to draw a marker, the one that costs most last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MarkerCause {
    /// A backup was restored, which has no nonces.
    Restored,
    /// The clock of Redis jumped, so that nonces expired early.
    Clock,
    /// The server is another one than before, or was restarted.
    Restart,
    /// There was none.
    Lost,
}

/// A marker that is to be replaced, and the reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect<'m> {
    /// The id of the marker; empty if none is to be replaced.
    pub(super) id: &'m str,
    /// The reason.
    pub(super) cause: MarkerCause,
}

/// The time to note in a marker that is drawn, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MarkerTime {
    /// The current second.
    pub(super) now: u64,
    /// The second to note if there was no marker.
    pub(super) if_lost: u64,
}

/// Draws ids of markers.
#[derive(Debug)]
pub(super) struct MarkerIds {
    base: u64,
    drawn: AtomicU64,
}

/// Returns the marker. Draws a new one if it is absent, belongs to another server or has the suspect
/// id.
///
/// - `KEYS[1]`: the marker
/// - `ARGV[1]`: the id of a new marker
/// - `ARGV[2]`, `ARGV[3]`: the server's run id and the replication id that it was promoted from;
///   empty if unknown
/// - `ARGV[4]`: the id of a marker that is to be replaced, or empty
/// - `ARGV[5]`: the current second
/// - `ARGV[6]`: the second to note if the marker was absent
/// - `ARGV[7]`: the reason to replace the marker of `ARGV[4]`
///
/// It must be atomic so that replicas that look at the same time find the same marker.
const MARK: &str = r"
local call, marker = redis.call, KEYS[1]
local kept = call('HMGET', marker, 'id', 'run_id', 'promoted_from', 'since', 'why', 'first_id', 'restored_at')
local id, run_id, promoted, since, why = kept[1], kept[2], kept[3], kept[4], kept[5]
local first, restored = kept[6] or '', kept[7] or '0'
local cause
if not id then
  cause = 'lost'
elseif id == ARGV[4] then
  cause = ARGV[7]
elseif ARGV[2] ~= '' and run_id == '' then
  call('HSET', marker, 'run_id', ARGV[2], 'promoted_from', ARGV[3])
elseif ARGV[2] ~= '' and (run_id ~= ARGV[2] or (ARGV[3] ~= '' and promoted ~= ARGV[3])) then
  cause = 'restart'
end
if cause then
  id, since, why = ARGV[1], cause == 'lost' and ARGV[6] or ARGV[5], cause
  call('HSET', marker, 'id', id, 'run_id', ARGV[2], 'promoted_from', ARGV[3], 'since', since, 'why', why)
  if cause == 'lost' then
    first = id
    call('HSET', marker, 'first_id', first)
  elseif cause == 'restored' and tonumber(since) > tonumber(restored) then
    restored = since
    call('HSET', marker, 'restored_at', restored)
  end
end
return {id, since, why, first, restored}
";

// === impl MarkerIds ===

impl MarkerIds {
    /// Returns the ids of one process.
    pub(super) fn new(entropy: &dyn Entropy) -> Self {
        let mut base = [0; 8];
        entropy.fill(&mut base);
        Self {
            base: u64::from_be_bytes(base),
            drawn: AtomicU64::new(0),
        }
    }

    fn next(&self) -> String {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{drawn:x}", self.base)
    }

    /// Calls [`MARK`].
    pub(super) fn mark(
        &self,
        key: &str,
        server: &ServerInfo,
        suspect: Suspect<'_>,
        time: MarkerTime,
    ) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(MARK).arg(1).arg(key).arg(self.next());
        command.arg(&server.run_id);
        command.arg(server.promoted_from.as_deref().unwrap_or_default());
        command.arg(suspect.id).arg(time.now).arg(time.if_lost);
        command.arg(suspect.cause.word());
        command
    }
}

// === impl MarkerCause ===

impl MarkerCause {
    const fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Restart => "restart",
            Self::Clock => "clock",
            Self::Restored => "restored",
        }
    }

    fn of_word(word: &str) -> Self {
        [Self::Restart, Self::Clock, Self::Restored]
            .into_iter()
            .find(|cause| cause.word() == word)
            .unwrap_or(Self::Lost)
    }
}

// === impl Marker ===

impl Marker {
    /// Reads the answer of [`MARK`].
    pub(super) fn read(key: String, answer: Value) -> Result<Self, CommandError> {
        let (id, since, why, first_id, restored_at): (String, u64, String, String, u64) =
            read(answer)?;
        Ok(Self {
            key,
            id,
            since,
            cause: MarkerCause::of_word(&why),
            first_id,
            restored_at,
        })
    }
}

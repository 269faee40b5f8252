//! Lua scripts: the changes that Redis must make in one step.
//!
//! Each script may run twice, since a call whose answer was lost is repeated. A repeated call finds
//! its own bytes already written, and recognizes them, since every record contains something
//! random.
//!
//! Scripts are sent whole: they run rarely, and a flushed script cache changes nothing. Only
//! [`CLAIM`] is sent by its hash, and whole if Redis does not know it. A script that changes a
//! record returns 1 if it is done, 0 if the record is not the one that was read, 2 if the name is
//! taken ([`TAKEN`]).

use std::sync::{Arc, LazyLock};

use redis::{Cmd, Script};

use super::keys;

/// The arguments of [`CLAIM`] for one nonce.
#[derive(Clone, Debug)]
pub(super) struct NonceEntry {
    /// The key of the bucket.
    pub(super) bucket: String,
    /// The hash of the nonce.
    pub(super) nonce: [u8; 8],
    /// The hash of the check that claims it.
    pub(super) claimant: [u8; 8],
    /// The time for which the claim is remembered, in milliseconds.
    pub(super) millis: u64,
    /// The second of the claim.
    pub(super) now: u64,
}

/// The state of Redis without which a script claims nothing.
#[derive(Clone, Debug)]
pub(super) struct ClaimGuard {
    /// The id of the marker of the epoch; `None` in a Cluster.
    pub(super) marker: Option<Arc<str>>,
    /// The second of the claim, by this host's clock.
    pub(super) now: u64,
    /// The largest difference of Redis' clock, in seconds; 0 accepts any.
    pub(super) max_skew: u64,
}

/// Claims nonces, each in a bucket that expires with the last of its claims.
///
/// - `KEYS[n]`: the bucket of the nth claim; after the last one the marker of the epoch, if
///   `ARGV[1]` is not empty
/// - `ARGV[1]`: the id of the marker
/// - `ARGV[2]`: the current second by the caller's clock
/// - `ARGV[3]`: the largest difference of Redis' clock, in seconds; 0 accepts any
/// - `ARGV[3n+1]`: the nonce
/// - `ARGV[3n+2]`: the claimant
/// - `ARGV[3n+3]`: the time for which the claim is remembered, in milliseconds
///
/// Returns a `1` for each nonce that is the claimant's, a `0` for each other one. Returns `E` and
/// claims nothing if there is another marker or none, `T` and the difference if the clocks differ
/// too much. It must be atomic
/// so that no bucket stays without an expiry, and none expires early; the additional second spares
/// the next claims of the bucket a new expiry.
const CLAIM: &str = r"
local call, count, claimed = redis.call, #KEYS, {}
if ARGV[1] ~= '' then
  if call('HGET', KEYS[count], 'id') ~= ARGV[1] then return 'E' end
  count = count - 1
end
if ARGV[3] ~= '0' then
  local skew = call('TIME')[1] - ARGV[2]
  if math.abs(skew) > tonumber(ARGV[3]) then return 'T' .. skew end
end
for at = 1, count do
  local bucket, nonce, claimant, millis = KEYS[at], ARGV[3 * at + 1], ARGV[3 * at + 2], ARGV[3 * at + 3]
  if call('HSETNX', bucket, nonce, claimant) == 1 or call('HGET', bucket, nonce) == claimant then
    if call('PTTL', bucket) < tonumber(millis) then call('PEXPIRE', bucket, millis + 1000) end
    claimed[at] = '1'
  else
    claimed[at] = '0'
  end
end
return table.concat(claimed)
";

/// Updates a record if it was not changed since it was read.
///
/// - `KEYS[1]`: the record
/// - `ARGV[1]`: its bytes as read
/// - `ARGV[2]`: its new bytes
/// - `ARGV[3]`: the time for which it is kept, in milliseconds; absent if it never expires
///
/// It must be atomic because two administrators may update one record at a time.
const UPDATE_RECORD: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then return 1 end
if stored ~= ARGV[1] then return 0 end
if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
";

/// Replaces the bytes of a record if it was not changed since it was read; its expiry stays.
///
/// - `KEYS[1]`: the record
/// - `ARGV[1]`: its bytes as read
/// - `ARGV[2]`: its new bytes
///
/// It must be atomic so that no change at the same time is lost, and no deleted record comes back.
const RESEAL_RECORD: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then return 1 end
if stored ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
";

/// Creates a consumer, and turns tokens of an earlier consumer of that key into orphans.
///
/// - `KEYS[1]`: the consumer's record
/// - `KEYS[2]`: the index of its tokens
/// - `KEYS[3]`: the index of orphans
/// - `KEYS[4]`: the mark that this consumer was deleted, after which it is not created; absent if
///   the consumer is new
/// - `ARGV[1]`: the record's bytes
///
/// Returns 3 if it is done and there are orphans ([`DONE_WITH_ORPHANS`]). It must be atomic so that
/// the new consumer's list shows no old token, and no replica undoes a deletion at the same time.
const CREATE_CONSUMER: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[1] then return 1 + 2 * redis.call('EXISTS', KEYS[3]) end
if stored then return 2 end
if KEYS[4] and redis.call('EXISTS', KEYS[4]) == 1 then return 2 end
redis.call('SET', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 0 then return 1 end
redis.call('RENAME', KEYS[2], KEYS[3])
return 3
";

/// Deletes a consumer if it was not changed since it was read, and turns its tokens into orphans.
///
/// - `KEYS[1]`: the consumer's record
/// - `KEYS[2]`: the mark of this consumer's deletion, for ten minutes: to recognize a repeated call, and
///   so that no replica creates the consumer again after a failover
/// - `KEYS[3]`: the index of its tokens
/// - `KEYS[4]`: the index of orphans
/// - `ARGV[1]`: the record's bytes as read
/// - `ARGV[2]`: the mark of this deletion
///
/// It must be atomic so that a token that is issued at the same time is in one of the two indexes.
/// It takes the same time for any number of tokens, since they are removed later.
const DELETE_CONSUMER: &str = r"
if redis.call('GET', KEYS[2]) == ARGV[2] then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', 600000)
redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('RENAME', KEYS[3], KEYS[4]) end
return 1
";

/// Creates a token and adds it to the index.
///
/// - `KEYS[1]`: the token's record
/// - `KEYS[2]`: the index of its consumer's tokens
/// - `ARGV[1]`: the record's bytes
/// - `ARGV[2]`: the token
///
/// It must be atomic so that no token is hidden from the list that an administrator revokes from.
const CREATE_TOKEN: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[1] then return 1 end
if stored then return 2 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], 0, ARGV[2])
return 1
";

/// Deletes a token and its entry in the index.
///
/// - `KEYS[1]`: the token's record
/// - `KEYS[2]`: the index of its consumer's tokens
/// - `ARGV[1]`: the token
///
/// It must be atomic so that a token that is created again keeps its entry.
const DELETE_TOKEN: &str = r"
redis.call('UNLINK', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
";

/// Deletes an orphaned token, unless it was created again.
///
/// - `KEYS[1]`: the token's record
/// - `KEYS[2]`: the index of its consumer's tokens
/// - `ARGV[1]`: the token
///
/// Returns 1 if there is no longer a record, 0 if the token was created again. It must be atomic so
/// that no new token is deleted.
const DELETE_ORPHAN: &str = r"
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
redis.call('UNLINK', KEYS[1])
return 1
";

/// Updates temporary credentials to used ones and creates the token in exchange.
///
/// - `KEYS[1]`: the record of the temporary credentials
/// - `KEYS[2]`: the token's record
/// - `KEYS[3]`: the index of its consumer's tokens
/// - `ARGV[1]`: the temporary credentials' bytes as read
/// - `ARGV[2]`: their new bytes
/// - `ARGV[3]`: the time for which they are kept, in milliseconds
/// - `ARGV[4]`: the token's bytes
/// - `ARGV[5]`: the token
///
/// It must be atomic so that temporary credentials are exchanged once, and never without a token.
const EXCHANGE: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then return 1 end
if stored ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[4])
redis.call('ZADD', KEYS[3], 0, ARGV[5])
return 1
";

/// Creates a user's record, or updates it if it was not changed since it was read.
///
/// - `KEYS[1]`: the user's record
/// - `KEYS[2]`: the mark that the user is barred from the record's username
/// - `ARGV[1]`: the record's bytes as read, empty if there was none
/// - `ARGV[2]`: its new bytes
///
/// It must be atomic so that no record gets a username that was abandoned and then taken by another
/// user.
const WRITE_USER: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then return 1 end
if (stored or '') ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Bars a user from a username that is reserved for the user, but is not in the user's record.
///
/// - `KEYS[1]`: the user's record
/// - `KEYS[2]`: the mark that the user is barred, for a minute: longer than any call takes
/// - `ARGV[1]`: the record's bytes as read, empty if there was none
///
/// It must be atomic so that the user does not get the name after it was found abandoned.
const BAR: &str = r"
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], 1, 'PX', 60000)
return 1
";

/// Deletes a key if it has a certain value.
///
/// - `KEYS[1]`: the key
/// - `ARGV[1]`: the value
///
/// It must be atomic because the reservation may have passed to another holder.
const DELETE_IF: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

/// Counts one attempt.
///
/// - `KEYS[1]`: the counter
/// - `ARGV[1]`: the length of the window in milliseconds
///
/// Returns the number of attempts. It must be atomic so that no counter stays without an expiry.
const COUNT: &str = r"
local count = redis.call('INCR', KEYS[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
";

/// Subtracts attempts, at most as many as were counted.
///
/// - `KEYS[1]`: the counter
/// - `KEYS[2]`: a mark that this was done, for a minute, to recognize a repeated call
/// - `ARGV[1]`: the number of attempts
///
/// It must be atomic so that the counter does not fall below zero, and keeps its window.
const UNCOUNT: &str = r"
if not redis.call('SET', KEYS[2], 1, 'NX', 'PX', 60000) then return 1 end
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
local back = math.min(count, tonumber(ARGV[1]))
if back > 0 then redis.call('DECRBY', KEYS[1], back) end
return 1
";

/// The result of a script that found the name taken.
pub(super) const TAKEN: u8 = 2;

/// The time for which the mark of a deletion is kept, as in [`DELETE_CONSUMER`].
pub(super) const DELETION_MARK_MILLIS: u64 = 600_000;

/// The result of [`CREATE_CONSUMER`] if there are orphans.
pub(super) const DONE_WITH_ORPHANS: u8 = 3;

/// Calls [`CLAIM`] by its hash.
pub(super) fn claim<'e>(
    guard: &ClaimGuard,
    entries: impl Iterator<Item = &'e NonceEntry> + Clone,
) -> Cmd {
    claim_by("EVALSHA", CLAIM_SCRIPT.get_hash(), guard, entries)
}

/// Calls [`CLAIM`] with its source, for a Redis that does not know it.
pub(super) fn claim_with_source<'e>(
    guard: &ClaimGuard,
    entries: impl Iterator<Item = &'e NonceEntry> + Clone,
) -> Cmd {
    claim_by("EVAL", CLAIM, guard, entries)
}

fn claim_by<'e>(
    name: &str,
    script: &str,
    guard: &ClaimGuard,
    entries: impl Iterator<Item = &'e NonceEntry> + Clone,
) -> Cmd {
    let count = entries.clone().count();
    let mut command = Cmd::with_capacity(7 + 4 * count, 160 + script.len() + 96 * count);
    let markers = usize::from(guard.marker.is_some());
    command.arg(name).arg(script).arg(count + markers);
    entries.clone().for_each(|entry| {
        command.arg(&entry.bucket);
    });
    if let Some(marker) = &guard.marker {
        command.arg(keys::EPOCH).arg(&**marker);
    } else {
        command.arg("");
    }
    command.arg(guard.now).arg(guard.max_skew);
    for entry in entries {
        command
            .arg(&entry.nonce)
            .arg(&entry.claimant)
            .arg(entry.millis);
    }
    command
}

static CLAIM_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CLAIM));

/// Calls [`UPDATE_RECORD`].
pub(super) fn update_record(key: &str, before: &[u8], after: &[u8], millis: Option<u64>) -> Cmd {
    let mut command = eval(UPDATE_RECORD, &[key]);
    command.arg(before).arg(after).arg(millis);
    command
}

/// Calls [`RESEAL_RECORD`].
pub(super) fn reseal_record(key: &str, before: &[u8], after: &[u8]) -> Cmd {
    let mut command = eval(RESEAL_RECORD, &[key]);
    command.arg(before).arg(after);
    command
}

/// Calls [`CREATE_CONSUMER`].
pub(super) fn create_consumer(keys: &[String], bytes: &[u8]) -> Cmd {
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    eval(CREATE_CONSUMER, &keys).arg(bytes).to_owned()
}

/// Calls [`DELETE_CONSUMER`].
pub(super) fn delete_consumer(keys: [&str; 4], before: &[u8], mark: &str) -> Cmd {
    eval(DELETE_CONSUMER, &keys)
        .arg(before)
        .arg(mark)
        .to_owned()
}

/// Calls [`CREATE_TOKEN`].
pub(super) fn create_token(record: &str, tokens: &str, bytes: &[u8], token: &str) -> Cmd {
    eval(CREATE_TOKEN, &[record, tokens])
        .arg(bytes)
        .arg(token)
        .to_owned()
}

/// Calls [`DELETE_TOKEN`].
pub(super) fn delete_token(record: &str, tokens: &str, token: &str) -> Cmd {
    eval(DELETE_TOKEN, &[record, tokens]).arg(token).to_owned()
}

/// Calls [`DELETE_ORPHAN`].
pub(super) fn delete_orphan(record: &str, tokens: &str, token: &str) -> Cmd {
    eval(DELETE_ORPHAN, &[record, tokens]).arg(token).to_owned()
}

/// The arguments of [`EXCHANGE`].
pub(super) struct Exchange<'e> {
    pub(super) before: &'e [u8],
    pub(super) used: &'e [u8],
    pub(super) millis: u64,
    pub(super) issued: &'e [u8],
    pub(super) token: &'e str,
}

/// Calls [`EXCHANGE`].
pub(super) fn exchange(keys: [&str; 3], exchange: &Exchange<'_>) -> Cmd {
    let mut command = eval(EXCHANGE, &keys);
    command
        .arg(exchange.before)
        .arg(exchange.used)
        .arg(exchange.millis)
        .arg(exchange.issued)
        .arg(exchange.token);
    command
}

/// Calls [`WRITE_USER`].
pub(super) fn write_user(record: &str, barred: &str, before: &[u8], bytes: &[u8]) -> Cmd {
    eval(WRITE_USER, &[record, barred])
        .arg(before)
        .arg(bytes)
        .to_owned()
}

/// Calls [`BAR`].
pub(super) fn bar(record: &str, barred: &str, before: &[u8]) -> Cmd {
    eval(BAR, &[record, barred]).arg(before).to_owned()
}

/// Calls [`DELETE_IF`].
pub(super) fn delete_if(key: &str, value: &str) -> Cmd {
    eval(DELETE_IF, &[key]).arg(value).to_owned()
}

/// Calls [`COUNT`].
pub(super) fn count(counter: &str, window: u64) -> Cmd {
    eval(COUNT, &[counter]).arg(window).to_owned()
}

/// Calls [`UNCOUNT`].
pub(super) fn uncount(counter: &str, done: &str, attempts: u64) -> Cmd {
    eval(UNCOUNT, &[counter, done]).arg(attempts).to_owned()
}

fn eval(script: &'static str, keys: &[&str]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(keys.len()).arg(keys);
    command
}

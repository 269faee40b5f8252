//! What Redis must do in one step.
//!
//! Each may be sent twice: a call whose answer was lost is made again. Bytes that are found where they were to be written
//! were written by an earlier attempt of the same call, since every record holds something random.
//!
//! Scripts are sent whole each time: they are seldom needed, and so a flushed script cache changes nothing. Only [`CLAIM`]
//! is sent by its hash, and whole where Redis does not know it. Those that change a record give 1 when it is done, 0 when
//! the record is another than was read, 2 when the name is taken.

use std::sync::LazyLock;

use redis::{Cmd, Script};

use super::claims::Entry;

/// Claims nonces, each in a bucket that lasts as long as the latest of its claims wants it to.
///
/// - `KEYS[n]`: the bucket of the nth claim
/// - `ARGV[3n-2]`: the nonce
/// - `ARGV[3n-1]`: who claims it
/// - `ARGV[3n]`: for how many milliseconds it is kept
///
/// Gives a `1` or a `0` for each: whether it is the claimant's. It must be atomic so that no bucket is left without an end,
/// and none ends early; the second more than is asked for spares the next claims of the bucket from moving its end.
const CLAIM: &str = r"
local call, claimed = redis.call, {}
for at = 1, #KEYS do
  local bucket, nonce, claimant, millis = KEYS[at], ARGV[3 * at - 2], ARGV[3 * at - 1], ARGV[3 * at]
  if call('HSETNX', bucket, nonce, claimant) == 1 or call('HGET', bucket, nonce) == claimant then
    if call('PTTL', bucket) < tonumber(millis) then call('PEXPIRE', bucket, millis + 1000) end
    claimed[at] = '1'
  else
    claimed[at] = '0'
  end
end
return table.concat(claimed)
";

/// Replaces a record if it was not changed since it was read.
///
/// - `KEYS[1]`: the record
/// - `ARGV[1]`: its bytes as they were read
/// - `ARGV[2]`: its new bytes
/// - `ARGV[3]`: for how many milliseconds it is kept; left out for ever
///
/// It must be atomic because two administrators may change one record at a time.
const SWAP: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then return 1 end
if stored ~= ARGV[1] then return 0 end
if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
";

/// Puts a new consumer, and puts tokens aside that were issued to an earlier one of that key.
///
/// - `KEYS[1]`: the consumer's record
/// - `KEYS[2]`: the index of its tokens
/// - `KEYS[3]`: where that index goes
/// - `ARGV[1]`: the record's bytes
///
/// Gives 3 when it is done and tokens were put aside. It must be atomic so that no old token is seen in the new list.
const CREATE_CONSUMER: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[1] then return 1 + 2 * redis.call('EXISTS', KEYS[3]) end
if stored then return 2 end
redis.call('SET', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[2]) == 0 then return 1 end
redis.call('RENAME', KEYS[2], KEYS[3])
return 3
";

/// Removes a consumer if it was not changed since it was read, and puts the index of its tokens aside.
///
/// - `KEYS[1]`: the consumer's record
/// - `KEYS[2]`: the id of the last deletion, for a minute: what a repeated attempt is known by
/// - `KEYS[3]`: the index of its tokens
/// - `KEYS[4]`: where that index goes
/// - `ARGV[1]`: the record's bytes as they were read
/// - `ARGV[2]`: the id of this deletion
///
/// It must be atomic so that a token that is issued meanwhile is in one of the two indexes. However many tokens there are,
/// it takes the same time: they are removed later.
const DELETE_CONSUMER: &str = r"
if redis.call('GET', KEYS[2]) == ARGV[2] then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', 60000)
redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[3]) == 1 then redis.call('RENAME', KEYS[3], KEYS[4]) end
return 1
";

/// Puts a new token and indexes it.
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

/// Removes a token and its entry in the index.
///
/// - `KEYS[1]`: the token's record
/// - `KEYS[2]`: the index of its consumer's tokens
/// - `ARGV[1]`: the token
///
/// It must be atomic so that a token that is created anew keeps its entry.
const DELETE_TOKEN: &str = r"
redis.call('UNLINK', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
";

/// Removes a token that was put aside, unless it was created anew since.
///
/// - `KEYS[1]`: the token's record
/// - `KEYS[2]`: the index of its consumer's tokens
/// - `ARGV[1]`: the token
///
/// Gives 1 when there is no record any more, 0 when the token is another now. It must be atomic so that no new token is
/// removed.
const DELETE_OLD_TOKEN: &str = r"
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
redis.call('UNLINK', KEYS[1])
return 1
";

/// Replaces temporary credentials by used ones and puts the token that they were exchanged for.
///
/// - `KEYS[1]`: the record of the temporary credentials
/// - `KEYS[2]`: the token's record
/// - `KEYS[3]`: the index of its consumer's tokens
/// - `ARGV[1]`: the temporary credentials' bytes as they were read
/// - `ARGV[2]`: their new bytes
/// - `ARGV[3]`: for how many milliseconds they are kept
/// - `ARGV[4]`: the token's bytes
/// - `ARGV[5]`: the token
///
/// It must be atomic so that temporary credentials are exchanged once, and never without a token to show for it.
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

/// Puts a user's record where there is none, or in place of the one that was read.
///
/// - `KEYS[1]`: the user's record
/// - `KEYS[2]`: whether the username that the record has was given to another user
/// - `ARGV[1]`: the record's bytes as they were read, empty where there was none
/// - `ARGV[2]`: its new bytes
///
/// It must be atomic so that no record gets a username that was found abandoned and given away.
const PUT_USER: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then return 1 end
if (stored or '') ~= ARGV[1] then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// Bars a user from a username that is reserved for him and that his record does not have.
///
/// - `KEYS[1]`: the user's record
/// - `KEYS[2]`: that he is barred, for a minute: longer than any call that is under way
/// - `ARGV[1]`: the record's bytes as they were read, empty where there was none
///
/// It must be atomic so that he does not take the name after it was found abandoned.
const BAR: &str = r"
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], 1, 'PX', 60000)
return 1
";

/// Removes a key if it has a value.
///
/// - `KEYS[1]`: the key
/// - `ARGV[1]`: the value
///
/// It must be atomic because a reservation may be another's meanwhile.
const DELETE_IF: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
";

/// Counts one attempt.
///
/// - `KEYS[1]`: the counter
/// - `ARGV[1]`: how many milliseconds the window is long
///
/// Gives how many there were. It must be atomic so that no counter is left without an end.
const COUNT: &str = r"
local count = redis.call('INCR', KEYS[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
";

/// Takes attempts back, as many as there are at most.
///
/// - `KEYS[1]`: the counter
/// - `KEYS[2]`: that this was done, for a minute: what a repeated attempt is known by
/// - `ARGV[1]`: how many
///
/// It must be atomic so that the counter does not fall below zero, and keeps its window.
const TAKE_BACK: &str = r"
if not redis.call('SET', KEYS[2], 1, 'NX', 'PX', 60000) then return 1 end
local count = tonumber(redis.call('GET', KEYS[1]) or '0')
local back = math.min(count, tonumber(ARGV[1]))
if back > 0 then redis.call('DECRBY', KEYS[1], back) end
return 1
";

/// The call of [`CLAIM`] by its hash.
pub(super) fn claim<'e>(entries: impl Iterator<Item = &'e Entry> + Clone) -> Cmd {
    claim_by("EVALSHA", CLAIM_SCRIPT.get_hash(), entries)
}

/// The call of [`CLAIM`] for a Redis that does not know it.
pub(super) fn claim_with_source<'e>(entries: impl Iterator<Item = &'e Entry> + Clone) -> Cmd {
    claim_by("EVAL", CLAIM, entries)
}

fn claim_by<'e>(name: &str, script: &str, entries: impl Iterator<Item = &'e Entry> + Clone) -> Cmd {
    let count = entries.clone().count();
    let mut command = Cmd::with_capacity(3 + 4 * count, 64 + script.len() + 96 * count);
    command.arg(name).arg(script).arg(count);
    entries.clone().for_each(|entry| {
        command.arg(&entry.bucket);
    });
    for entry in entries {
        command
            .arg(&entry.field)
            .arg(&entry.holder)
            .arg(entry.keep_for);
    }
    command
}

static CLAIM_SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CLAIM));

/// The call of [`SWAP`].
pub(super) fn swap(key: &str, before: &[u8], after: &[u8], keep_for: Option<u64>) -> Cmd {
    let mut command = eval(SWAP, &[key]);
    command.arg(before).arg(after).arg(keep_for);
    command
}

/// The call of [`CREATE_CONSUMER`].
pub(super) fn create_consumer(record: &str, tokens: &str, aside: &str, bytes: &[u8]) -> Cmd {
    eval(CREATE_CONSUMER, &[record, tokens, aside])
        .arg(bytes)
        .to_owned()
}

/// The call of [`DELETE_CONSUMER`].
pub(super) fn delete_consumer(keys: [&str; 4], before: &[u8], id: &str) -> Cmd {
    eval(DELETE_CONSUMER, &keys).arg(before).arg(id).to_owned()
}

/// The call of [`CREATE_TOKEN`].
pub(super) fn create_token(record: &str, tokens: &str, bytes: &[u8], token: &str) -> Cmd {
    eval(CREATE_TOKEN, &[record, tokens])
        .arg(bytes)
        .arg(token)
        .to_owned()
}

/// The call of [`DELETE_TOKEN`].
pub(super) fn delete_token(record: &str, tokens: &str, token: &str) -> Cmd {
    eval(DELETE_TOKEN, &[record, tokens]).arg(token).to_owned()
}

/// The call of [`DELETE_OLD_TOKEN`].
pub(super) fn delete_old_token(record: &str, tokens: &str, token: &str) -> Cmd {
    eval(DELETE_OLD_TOKEN, &[record, tokens])
        .arg(token)
        .to_owned()
}

/// What [`EXCHANGE`] exchanges for what.
pub(super) struct Exchange<'e> {
    pub(super) before: &'e [u8],
    pub(super) used: &'e [u8],
    pub(super) keep_for: u64,
    pub(super) issued: &'e [u8],
    pub(super) token: &'e str,
}

/// The call of [`EXCHANGE`].
pub(super) fn exchange(keys: [&str; 3], exchange: &Exchange<'_>) -> Cmd {
    let mut command = eval(EXCHANGE, &keys);
    command
        .arg(exchange.before)
        .arg(exchange.used)
        .arg(exchange.keep_for)
        .arg(exchange.issued)
        .arg(exchange.token);
    command
}

/// The call of [`PUT_USER`].
pub(super) fn put_user(record: &str, barred: &str, before: &[u8], bytes: &[u8]) -> Cmd {
    eval(PUT_USER, &[record, barred])
        .arg(before)
        .arg(bytes)
        .to_owned()
}

/// The call of [`BAR`].
pub(super) fn bar(record: &str, barred: &str, before: &[u8]) -> Cmd {
    eval(BAR, &[record, barred]).arg(before).to_owned()
}

/// The call of [`DELETE_IF`].
pub(super) fn delete_if(key: &str, value: &str) -> Cmd {
    eval(DELETE_IF, &[key]).arg(value).to_owned()
}

/// The call of [`COUNT`].
pub(super) fn count(counter: &str, window: u64) -> Cmd {
    eval(COUNT, &[counter]).arg(window).to_owned()
}

/// The call of [`TAKE_BACK`].
pub(super) fn take_back(counter: &str, done: &str, attempts: u64) -> Cmd {
    eval(TAKE_BACK, &[counter, done]).arg(attempts).to_owned()
}

fn eval(script: &'static str, keys: &[&str]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(keys.len()).arg(keys);
    command
}

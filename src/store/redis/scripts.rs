//! What Redis must do in one step.

use redis::Cmd;

/// Replaces a record if it was not changed since it was read.
///
/// - `KEYS[1]`: the record
/// - `ARGV[1]`: its bytes as they were read
/// - `ARGV[2]`: its new bytes
///
/// Gives 1 when the new bytes are there, 0 when the record is another. It must be atomic because two administrators may
/// change one record at a time. New bytes that are there already were written by an earlier attempt of the same call
/// whose answer was lost: they hold a secret sealed with a random nonce or the next revision, so nobody else wrote them.
const SWAP: &str = r"
local stored = redis.call('GET', KEYS[1])
if stored == ARGV[2] then return 1 end
if stored ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
";

/// The call of [`SWAP`]. It is sent whole each time: it is seldom needed, and so a flushed script cache changes nothing.
pub(super) fn swap(key: &str, before: &[u8], after: &[u8]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(SWAP).arg(1).arg(key).arg(before).arg(after);
    command
}

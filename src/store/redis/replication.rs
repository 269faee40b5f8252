//! Writes that are acknowledged only once enough replicas have confirmed them
//! (`store.min_replicas`).
//!
//! `WAIT` counts the replicas that have every write that its own connection made before, and blocks
//! that connection meanwhile. So these writes have connections of their own, each of which carries
//! one write at a time: the script, a write that is always new, and `WAIT`. Without the second one,
//! `WAIT` would count every replica if the script finds its own bytes already written.
//!
//! `WAIT` does not make Redis consistent. A write that too few replicas confirmed is not undone. A
//! failover loses a confirmed write if the Sentinels promote a replica that did not confirm it,
//! unless every replica must confirm.

use std::time::Duration;

use bb8_redis::bb8;
use redis::{Cmd, Value};
use tokio::time::{Instant, timeout_at};

use super::client::RedisClient;
use super::connection::RedisConnector;
use super::error::CommandError;
use super::keys;
use super::link::read;
use crate::store::StoreError;

/// The connections for confirmed writes.
pub(super) struct ReplicatedWrites {
    pool: bb8::Pool<RedisConnector>,
    min_replicas: u32,
    timeout: Duration,
}

// === impl ReplicatedWrites ===

impl ReplicatedWrites {
    /// Returns the connections for writes that `min_replicas` replicas must confirm; `None` if that
    /// is 0.
    pub(super) fn new(client: &RedisClient, min_replicas: u32) -> Option<Self> {
        if min_replicas == 0 {
            return None;
        }
        let timeout = client.timeout();
        let pool = bb8::Pool::builder()
            .max_size(CONNECTIONS)
            .test_on_check_out(true)
            .retry_connection(false)
            .connection_timeout(timeout.max(Duration::from_millis(1)))
            .max_lifetime(None)
            .build_unchecked(client.connector().clone());
        Some(Self {
            pool,
            min_replicas,
            timeout,
        })
    }

    /// Runs a script, and waits until enough replicas have confirmed what it wrote.
    pub(super) async fn run(
        &self,
        client: &RedisClient,
        context: &'static str,
        script: &Cmd,
    ) -> Result<u8, StoreError> {
        let work = async {
            match self.attempt(script).await {
                // It may be sent twice, like every command.
                Err(error) if error.is_worth_a_retry() => self.attempt(script).await,
                outcome => outcome,
            }
        };
        client
            .through_gate(work)
            .await
            .map_err(|error| error.during(context))
    }

    /// Writes and waits, together within the time of a call.
    async fn attempt(&self, script: &Cmd) -> Result<u8, CommandError> {
        let deadline = Instant::now() + self.timeout;
        let checked_out = timeout_at(deadline, self.pool.get()).await;
        let Ok(Ok(mut connection)) = checked_out else {
            return Err(CommandError::Unreachable(Box::new(CommandError::Timeout)));
        };
        let answers = connection
            .run_in_turn(&self.commands(script), deadline)
            .await?;
        let [result, _, confirmed] =
            <[Value; 3]>::try_from(answers).map_err(|_| CommandError::UnexpectedAnswer)?;
        let result = read(result)?;
        let confirmed = read(confirmed)?;
        if WRITTEN.contains(&result) && confirmed < self.min_replicas {
            return Err(CommandError::TooFewConfirmed {
                confirmed,
                wanted: self.min_replicas,
            });
        }
        u8::try_from(result).map_err(|_| CommandError::UnexpectedAnswer)
    }

    /// Returns the script, the write that is always new, and the wait, which has three quarters of
    /// the time.
    fn commands(&self, script: &Cmd) -> [Cmd; 3] {
        let wait_time = self.timeout / 4 * 3;
        let millis = u64::try_from(wait_time.as_millis()).unwrap_or(u64::MAX);
        let mut mark = redis::cmd("SET");
        mark.arg(keys::confirmation(&first_key(script)))
            .arg(1)
            .arg("PX")
            .arg(60_000);
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.min_replicas).arg(millis.max(1));
        [script.clone(), mark, wait]
    }
}

/// Returns the first key of a script's call, which follows the script and the number of keys.
fn first_key(script: &Cmd) -> String {
    match script.args_iter().nth(3) {
        Some(redis::Arg::Simple(key)) => String::from_utf8_lossy(key).into_owned(),
        _ => String::new(),
    }
}

/// The results of scripts that say that the change is made.
const WRITTEN: [u32; 2] = [1, 3];

/// The number of connections: changes are rare, and each blocks its connection for about two round
/// trips.
const CONNECTIONS: u32 = 4;

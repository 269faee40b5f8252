//! The invalidation channel: replicas announce their changes to each other by Redis' publish and
//! subscribe.
//!
//! Each process has one connection that subscribes, besides those of `client`. Redis does not store
//! messages, so a process without a subscription misses them. Therefore everything counts as
//! changed whenever the connection is made again. A connection that is dead, or leads to a server
//! that no longer receives messages, must not be mistaken for a quiet one: each process sends
//! itself a heartbeat through Redis about once a second, and reconnects after several did not come
//! back. Until then, or while no connection is possible, the age of cached copies bounds the delay
//! (`cache.max_age`).
//!
//! If a change cannot be announced, the next heartbeat that Redis takes is followed by the
//! announcement that everything changed. A change whose answer did not come in time may still be
//! made later, so it is announced twice: at once, and after the longest time that a call takes.
//!
//! | channel | message |
//! |---|---|
//! | `countersign:changes` | `c`, `t` or `u` and a consumer key, a token, a user id; `*` means everything |
//! | `countersign:changes:ID` | the heartbeats of one process to itself, empty |
//!
//! An unknown message means everything, since a newer version may announce more kinds of changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::PubSubStream;
use redis::{Cmd, Msg, cmd};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use super::client::RedisClient;
use super::connection::CONNECT_TIMEOUT;
use super::error::CommandError;
use super::server_term::TermMark;
use crate::clock::Entropy;
use crate::model::{ConsumerKey, Token, UserId};
use crate::store::{ChangeFeed, RecordChange};

/// Announces the changes of this process to all, and those of other replicas to this process, until
/// it is dropped.
pub(super) struct InvalidationChannel {
    shared: Arc<ChannelState>,
    runtime: Handle,
    listener: AbortHandle,
}

/// The state that the channel shares with its listener.
struct ChannelState {
    client: Arc<RedisClient>,
    changes: ChangeFeed,
    is_connected: AtomicBool,
    untold: AtomicU64,
    /// Set if a change could not be announced: the announcement of everything is due.
    owes_everything: AtomicBool,
}

/// The task that subscribes in the background.
struct ChannelListener {
    shared: Arc<ChannelState>,
    /// The channel of this process alone.
    heartbeats: String,
}

/// A change that is being made. If it is dropped before the outcome is known, the change is
/// announced all the same.
pub(super) struct PendingChange<'n> {
    channel: &'n InvalidationChannel,
    change: Option<RecordChange>,
}

// === impl InvalidationChannel ===

impl InvalidationChannel {
    /// Starts listening. Needs a tokio runtime.
    pub(super) fn open(client: &RedisClient, entropy: &dyn Entropy) -> Self {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let shared = Arc::new(ChannelState {
            // Announcements pass while checks do not: they hurt nobody.
            client: client.past_gate(),
            changes: ChangeFeed::default(),
            is_connected: AtomicBool::default(),
            untold: AtomicU64::default(),
            owes_everything: AtomicBool::default(),
        });
        let runtime = Handle::current();
        let listener = ChannelListener {
            shared: Arc::clone(&shared),
            heartbeats: format!("{CHANNEL}:{:032x}", u128::from_be_bytes(id)),
        };
        let listener = runtime.spawn(listener.run()).abort_handle();
        Self {
            shared,
            runtime,
            listener,
        }
    }

    /// Returns the feed that announces changes within this process.
    pub(super) fn changes(&self) -> &ChangeFeed {
        &self.shared.changes
    }

    /// Begins a change.
    pub(super) const fn begin(&self, change: RecordChange) -> PendingChange<'_> {
        PendingChange {
            channel: self,
            change: Some(change),
        }
    }

    /// Returns `true` if this process misses the changes of other replicas.
    pub(super) fn is_cut_off(&self) -> bool {
        !self.shared.is_connected.load(Ordering::Relaxed)
    }

    /// Returns the number of changes that could not be announced to the other replicas.
    pub(super) fn untold(&self) -> u64 {
        self.shared.untold.load(Ordering::Relaxed)
    }

    /// Stops listening.
    pub(super) fn stop(&self) {
        self.listener.abort();
    }

    /// Announces a change within this process at once, and to the other replicas when the future is
    /// awaited.
    ///
    /// The change is made already, so a failure to announce it is only logged and counted.
    fn announce(&self, change: &RecordChange) -> impl Future<Output = ()> + Send + 'static {
        self.shared.changes.announce(change);
        let (message, kind) = (publish(CHANNEL, &encode(change)), change.kind());
        let shared = Arc::clone(&self.shared);
        async move {
            if let Err(cause) = shared.client.call(&message).await {
                shared.untold.fetch_add(1, Ordering::Relaxed);
                shared.owes_everything.store(true, Ordering::Relaxed);
                warn!(%cause, changed = kind, "cannot announce a change to the other replicas; it reaches them within cache.max_age");
            }
        }
    }
}

impl Drop for InvalidationChannel {
    fn drop(&mut self) {
        self.stop();
    }
}

// === impl PendingChange ===

impl PendingChange<'_> {
    /// Announces the change, which was made.
    pub(super) async fn made(mut self) {
        if let Some(change) = self.change.take() {
            self.channel.announce(&change).await;
        }
    }

    /// Announces nothing, since nothing was changed.
    pub(super) fn refused(mut self) {
        self.change = None;
    }
}

impl Drop for PendingChange<'_> {
    fn drop(&mut self) {
        let Some(change) = self.change.take() else {
            return;
        };
        let announced = self.channel.announce(&change);
        let shared = Arc::clone(&self.channel.shared);
        // The command may still be on its way to Redis: copies that are taken before it arrives are
        // stale too.
        self.channel.runtime.spawn(async move {
            sleep(shared.client.timeout()).await;
            shared.changes.announce(&change);
            announced.await;
        });
    }
}

// === impl ChannelListener ===

impl ChannelListener {
    /// Listens, and reconnects whenever the connection ends.
    async fn run(self) {
        let (mut pause, mut warned) = (FIRST_PAUSE, false);
        for turn in 0.. {
            let term = self.shared.client.servers().term();
            let cause = match timeout(CONNECT_TIMEOUT, self.connect(turn))
                .await
                .unwrap_or(Err(CommandError::Timeout))
            {
                Ok(messages) => self.follow(messages, &term).await,
                Err(cause) => cause,
            };
            if self.shared.is_connected.swap(false, Ordering::Relaxed) {
                (pause, warned) = (FIRST_PAUSE, false);
            }
            if !warned {
                warn!(%cause, "lost the invalidation channel to Redis; changes of other replicas arrive within cache.max_age; retrying");
                warned = true;
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn connect(&self, turn: usize) -> Result<PubSubStream, CommandError> {
        let server = self.shared.client.servers().any_server(turn).await?;
        let subscription = server.get_async_pubsub().await;
        let address = server.get_connection_info().addr();
        let (mut subscriptions, messages) = subscription
            .map_err(|error| CommandError::connecting_to(address, error))?
            .split();
        subscriptions
            .subscribe(&[CHANNEL, &self.heartbeats])
            .await?;
        Ok(messages)
    }

    /// Announces the changes that messages report; returns the reason why there are no more
    /// messages.
    async fn follow(&self, mut messages: PubSubStream, term: &TermMark) -> CommandError {
        // Changes before the subscription were missed.
        self.shared.changes.announce(&RecordChange::Everything);
        let mut heartbeats = interval(HEARTBEAT);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missing = 0;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) if message.get_channel_name() == self.heartbeats => {
                        missing = 0;
                        self.note_connected();
                    }
                    Some(message) => self.shared.changes.announce(&read(&message)),
                    None => return CommandError::ConnectionBroken,
                },
                () = term.end() => {
                    // Copies from the servers of that term may be stale.
                    self.shared.changes.announce(&RecordChange::Everything);
                    return CommandError::PrimaryReplaced;
                }
                _ = heartbeats.tick() => {
                    if missing == MAX_MISSING_HEARTBEATS {
                        return CommandError::Timeout;
                    }
                    missing += 1;
                    // A heartbeat that cannot be sent counts as one that does not come back.
                    drop(self.shared.client.call(&publish(&self.heartbeats, "")).await);
                    self.announce_everything_if_due().await;
                }
            }
        }
    }

    /// Announces that everything changed, if an earlier change could not be announced.
    async fn announce_everything_if_due(&self) {
        let owes_everything = &self.shared.owes_everything;
        if !owes_everything.swap(false, Ordering::Relaxed) {
            return;
        }
        let message = publish(CHANNEL, &encode(&RecordChange::Everything));
        if self.shared.client.call(&message).await.is_err() {
            owes_everything.store(true, Ordering::Relaxed);
        }
    }

    fn note_connected(&self) {
        if !self.shared.is_connected.swap(true, Ordering::Relaxed) {
            info!("the invalidation channel to Redis is open");
        }
    }
}

fn publish(channel: &str, message: &str) -> Cmd {
    let mut publish = cmd("PUBLISH");
    publish.arg(channel).arg(message);
    publish
}

fn encode(change: &RecordChange) -> String {
    match change {
        RecordChange::Consumer(key) => format!("c{key}"),
        RecordChange::Token(token) => format!("t{token}"),
        RecordChange::User(id) => format!("u{id}"),
        RecordChange::Everything => "*".to_owned(),
    }
}

fn read(message: &Msg) -> RecordChange {
    decode(message.get_payload_bytes()).unwrap_or(RecordChange::Everything)
}

fn decode(message: &[u8]) -> Option<RecordChange> {
    let (kind, name) = message.split_first()?;
    match kind {
        b'c' => ConsumerKey::from_bytes(name).map(RecordChange::Consumer),
        b't' => Token::from_bytes(name).map(RecordChange::Token),
        b'u' => UserId::from_bytes(name).map(RecordChange::User),
        _ => None,
    }
}

/// The channel to which every replica subscribes.
const CHANNEL: &str = "countersign:changes";

/// The interval of heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The number of heartbeats that may be missing: a short fault of the connection that sends them
/// can lose one.
const MAX_MISSING_HEARTBEATS: u32 = 3;

/// The first pause before a reconnect; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before a reconnect.
const MAX_PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_changed_record() {
        let user = UserId::new("jane doe").unwrap();
        for change in [
            RecordChange::Consumer(ConsumerKey::new("c*:t").unwrap()),
            RecordChange::Token(Token::new("t").unwrap()),
            RecordChange::User(user),
        ] {
            assert_eq!(decode(encode(&change).as_bytes()), Some(change));
        }
    }

    #[test]
    fn an_unknown_message_means_everything() {
        for message in [
            &b""[..],
            b"*",
            b"c",
            b"t\xFF",
            b"u\n",
            b"x-from-a-newer-version",
        ] {
            assert_eq!(
                decode(message).unwrap_or(RecordChange::Everything),
                RecordChange::Everything,
                "{message:?}"
            );
        }
        assert_eq!(decode(encode(&RecordChange::Everything).as_bytes()), None);
    }
}

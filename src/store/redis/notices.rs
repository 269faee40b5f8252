//! What changed, told to every replica by Redis' publish and subscribe.
//!
//! Each process has one connection that listens, besides those of `client`. Redis keeps no messages: who does not listen
//! misses them. So whenever the connection is made anew, everything counts as changed; and so that a connection that is
//! dead, or leads to a server that hears of nothing any more, is not taken for a quiet one, each process sends itself a
//! beat through Redis about once a second, and connects anew when some did not come back. Until that is noticed, or while
//! nobody can listen, the age of copies bounds what is missed (`cache.max_age`).
//!
//! Who could not tell of a change owes it: with the next beat that Redis takes, everybody is told that everything changed.
//! A change whose answer did not come in time may be made later, so it is told twice, at once and when it can not be under
//! way any longer.
//!
//! | channel | message |
//! |---|---|
//! | `countersign:changes` | `c`, `t` or `u` and a consumer key, a token, a user id; `*` is everything |
//! | `countersign:changes:ID` | beats of one process to itself, empty |
//!
//! What can not be read is everything: a newer version may tell of more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::PubSubStream;
use redis::{AsyncConnectionConfig, Cmd, Msg, cmd};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use super::address::Address;
use super::client::Client;
use super::connection::CONNECT_TIMEOUT;
use super::fault::Fault;
use crate::clock::Entropy;
use crate::model::{ConsumerKey, Token, UserId};
use crate::store::{Change, Changes};

/// Tells everybody what changed here, and this process what changed elsewhere, until it is dropped.
pub(super) struct Notices {
    client: Arc<Client>,
    changes: Arc<Changes>,
    heard: Arc<AtomicBool>,
    untold: Arc<AtomicU64>,
    owes: Arc<AtomicBool>,
    runtime: Handle,
    listener: AbortHandle,
}

/// What listens in the background.
struct Listener {
    address: Address,
    client: Arc<Client>,
    changes: Arc<Changes>,
    heard: Arc<AtomicBool>,
    /// Some change could not be told.
    owes: Arc<AtomicBool>,
    /// The channel of this process alone.
    beats: String,
}

/// A change that is being made. Dropped before it is known whether it was made, or will be, it is told all the same.
pub(super) struct Changing<'n> {
    notices: &'n Notices,
    change: Option<Change>,
}

// === impl Notices ===

impl Notices {
    /// Begins to listen. Needs a tokio runtime.
    pub(super) fn listen(address: Address, client: &Arc<Client>, entropy: &dyn Entropy) -> Self {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        let (changes, heard, owes) = (
            Arc::<Changes>::default(),
            Arc::<AtomicBool>::default(),
            Arc::<AtomicBool>::default(),
        );
        let runtime = Handle::current();
        let listener = Listener {
            address,
            client: Arc::clone(client),
            changes: Arc::clone(&changes),
            heard: Arc::clone(&heard),
            owes: Arc::clone(&owes),
            beats: format!("{CHANNEL}:{:032x}", u128::from_be_bytes(id)),
        };
        let listener = runtime.spawn(listener.run()).abort_handle();
        Self {
            client: Arc::clone(client),
            changes,
            heard,
            untold: Arc::default(),
            owes,
            runtime,
            listener,
        }
    }

    /// Whom this process tells.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Says that a change is about to be made.
    pub(super) const fn changing(&self, change: Change) -> Changing<'_> {
        Changing {
            notices: self,
            change: Some(change),
        }
    }

    /// Whether changes of other replicas are not heard now.
    pub(super) fn are_cut_off(&self) -> bool {
        !self.heard.load(Ordering::Relaxed)
    }

    /// How many changes the other replicas could not be told.
    pub(super) fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    /// Listens no more.
    pub(super) fn stop(&self) {
        self.listener.abort();
    }

    /// Tells this process at once, and the others when the future is awaited.
    ///
    /// The change is made already: when the others can not be told, that is logged and counted.
    fn tell(&self, change: &Change) -> impl Future<Output = ()> + Send + 'static {
        self.changes.tell(change);
        let (message, changed) = (publish(CHANNEL, &written(change)), change.kind());
        let (client, untold, owes) = (
            Arc::clone(&self.client),
            Arc::clone(&self.untold),
            Arc::clone(&self.owes),
        );
        async move {
            if let Err(cause) = client.call(&message).await {
                untold.fetch_add(1, Ordering::Relaxed);
                owes.store(true, Ordering::Relaxed);
                warn!(%cause, changed, "other replicas could not be told of a change; it reaches them within cache.max_age");
            }
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.stop();
    }
}

// === impl Changing ===

impl Changing<'_> {
    /// The change was made: everybody is told.
    pub(super) async fn made(mut self) {
        if let Some(change) = self.change.take() {
            self.notices.tell(&change).await;
        }
    }

    /// Nothing was changed.
    pub(super) fn refused(mut self) {
        self.change = None;
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        let Some(change) = self.change.take() else {
            return;
        };
        let told = self.notices.tell(&change);
        // What was sent to Redis may not be done yet: copies that were taken in between are old too.
        let (changes, limit) = (
            Arc::clone(&self.notices.changes),
            self.notices.client.timeout(),
        );
        self.notices.runtime.spawn(async move {
            sleep(limit).await;
            changes.tell(&change);
            told.await;
        });
    }
}

// === impl Listener ===

impl Listener {
    /// Listens, and connects anew whenever that ends.
    async fn run(self) {
        let (mut pause, mut said) = (FIRST_PAUSE, false);
        for turn in 0.. {
            let cause = match timeout(CONNECT_TIMEOUT, self.connect(turn))
                .await
                .unwrap_or(Err(Fault::Timeout))
            {
                Ok(messages) => self.follow(messages).await,
                Err(cause) => cause,
            };
            if self.heard.swap(false, Ordering::Relaxed) {
                (pause, said) = (FIRST_PAUSE, false);
            }
            if !said {
                warn!(%cause, "changes made by other replicas are not heard; they reach this one within cache.max_age");
                said = true;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self, turn: usize) -> Result<PubSubStream, Fault> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT));
        let server = self.address.any_server(turn, &config).await?;
        let (mut subscriptions, messages) = server.get_async_pubsub().await?.split();
        subscriptions.subscribe(&[CHANNEL, &self.beats]).await?;
        Ok(messages)
    }

    /// Tells of what is heard; returns why nothing is heard any more.
    async fn follow(&self, mut messages: PubSubStream) -> Fault {
        // Only now, since what changed before it listened was not heard.
        self.changes.tell(&Change::Everything);
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut missing = 0;
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) if message.get_channel_name() == self.beats => {
                        missing = 0;
                        self.is_heard();
                    }
                    Some(message) => self.changes.tell(&read(&message)),
                    None => return Fault::Broken,
                },
                _ = beats.tick() => {
                    if missing == MISSING_BEATS {
                        return Fault::Timeout;
                    }
                    missing += 1;
                    // One that can not be sent is one that does not come back.
                    drop(self.client.call(&publish(&self.beats, "")).await);
                    self.pay().await;
                }
            }
        }
    }

    /// Tells everybody that everything changed, if some change could not be told.
    async fn pay(&self) {
        if self.owes.swap(false, Ordering::Relaxed)
            && self
                .client
                .call(&publish(CHANNEL, &written(&Change::Everything)))
                .await
                .is_err()
        {
            self.owes.store(true, Ordering::Relaxed);
        }
    }

    fn is_heard(&self) {
        if !self.heard.swap(true, Ordering::Relaxed) {
            info!("changes made by other replicas are heard");
        }
    }
}

fn publish(channel: &str, message: &str) -> Cmd {
    let mut publish = cmd("PUBLISH");
    publish.arg(channel).arg(message);
    publish
}

fn written(change: &Change) -> String {
    match change {
        Change::Consumer(key) => format!("c{key}"),
        Change::Token(token) => format!("t{token}"),
        Change::User(id) => format!("u{id}"),
        Change::Everything => "*".to_owned(),
    }
}

fn read(message: &Msg) -> Change {
    parse(message.get_payload_bytes()).unwrap_or(Change::Everything)
}

fn parse(message: &[u8]) -> Option<Change> {
    let (kind, name) = message.split_first()?;
    match kind {
        b'c' => ConsumerKey::from_bytes(name).map(Change::Consumer),
        b't' => Token::from_bytes(name).map(Change::Token),
        b'u' => UserId::from_bytes(name).map(Change::User),
        _ => None,
    }
}

/// Where every replica listens.
const CHANNEL: &str = "countersign:changes";

/// How often a process hears itself.
const BEAT: Duration = Duration::from_secs(1);

/// How many beats may be missing: one can be lost to a short fault of the connection that sends it.
const MISSING_BEATS: u32 = 3;

/// The pause before it connects again, doubled each time, and the longest that it becomes.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_changed() {
        let user = UserId::new("jane doe").unwrap();
        for change in [
            Change::Consumer(ConsumerKey::new("c*:t").unwrap()),
            Change::Token(Token::new("t").unwrap()),
            Change::User(user),
        ] {
            assert_eq!(parse(written(&change).as_bytes()), Some(change));
        }
    }

    #[test]
    fn what_can_not_be_read_is_everything() {
        for message in [
            &b""[..],
            b"*",
            b"c",
            b"t\xFF",
            b"u\n",
            b"x-from-a-newer-version",
        ] {
            assert_eq!(
                parse(message).unwrap_or(Change::Everything),
                Change::Everything,
                "{message:?}"
            );
        }
        assert_eq!(parse(written(&Change::Everything).as_bytes()), None);
    }
}

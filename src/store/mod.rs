//! Where consumers, users, their credentials and nonces are kept: the [`Store`] contract and its two implementations.
//!
//! - `redis`: shared by every replica.
//! - `embedded`: one file, one process; also in memory.
//! - [`CachedStore`]: copies in front of either, for checks.
//!
//! Secrets are sealed before they reach either (`master_key`, `seal`, `record`). Not found is `Ok(None)`; an `Err` means that the store could
//! not answer, and then nobody may conclude anything. Time comes in as an argument.
//!
//! To add a method: write its contract here, implement it in both stores, and add its rule to the conformance suite in
//! `tests/it/store/`, which runs every rule on every store.

mod cache;
mod changes;
mod embedded;
mod master_key;
mod nonce;
mod open;
mod private;
mod record;
mod redis;
mod seal;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::clock::UnixTime;
use crate::model::{
    AccessToken, Consumer, ConsumerKey, RequestToken, Session, SessionId, Token, User, UserId,
    UserStanding, Username,
};

pub use cache::CachedStore;
pub use changes::{Change, Changes, Observe};
pub use master_key::new_master_key;
pub use open::open;
pub use redis::{ProviderConsumer, ProviderConsumers};

/// What a check needs.
///
/// Every call of this and the traits below ends within the store's own deadline, with an [`StoreErrorKind::Unavailable`]
/// error if need be.
#[async_trait]
pub trait CheckStore: Send + Sync + fmt::Debug {
    /// What is known of them without asking anybody, as [`credentials`](Self::credentials) would answer: `None` where that
    /// must be asked, as of every store that keeps no copies. Neither waits nor allocates.
    ///
    /// `now` is the time. The names are what a caller sent, and may be anything.
    fn known(&self, _consumer: &str, _token: Option<&str>, _now: UnixTime) -> Option<Credentials> {
        None
    }

    /// Looks up a consumer and, if one is asked for, its token and the standing of the user whom the token acts for.
    /// Consumer and token take one round trip together; the user, if there is one, takes another.
    ///
    /// A token is found only under the consumer that it was issued to.
    ///
    /// A false yes (a record that was deleted or never was) lets a stranger try to sign as it; a false no refuses an
    /// honest caller. Neither may come from a fault: a store that is not sure returns an error.
    async fn credentials(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError>;

    /// Claims a nonce as [`claim_nonce`](Self::claim_nonce) does, where that takes no waiting: `None` where that must be
    /// called, with the same claim, which may be remembered by then.
    fn claim_at_once(&self, _claim: &NonceClaim<'_>) -> Option<Result<Claim, StoreError>> {
        None
    }

    /// Claims a nonce: the first claim of a scope, timestamp and nonce is [`Claim::Fresh`], every other is
    /// [`Claim::Replayed`], also when they race.
    ///
    /// The claim is remembered until `claim.expires_at`, and is acknowledged only once it would survive what the store
    /// promises to survive. The same claim with the same `check_id` is one claim: sending it again after a fault
    /// whose outcome is unknown gives [`Claim::Fresh`] again. To another check, a claim that ended in an error may
    /// count as used.
    ///
    /// [`Claim::Fenced`] is asked first: for a timestamp that is not after `claim.not_before` or a fence of the store's
    /// own, and for a claim that can not be remembered since `claim.expires_at` is not after `claim.now`. A fenced claim
    /// claims nothing.
    ///
    /// A false `Fresh` is a replay let through, the worst that can happen here; a false `Replayed` refuses an honest
    /// caller, who signs again with a new nonce. On any doubt: an error.
    async fn claim_nonce(&self, claim: &NonceClaim<'_>) -> Result<Claim, StoreError>;

    /// The same store for checks of the runtime from which this is called: with connections of its own, which no other
    /// thread has to be woken for. `None` where that makes no difference.
    fn here(self: Arc<Self>) -> Option<Arc<dyn CheckStore>> {
        None
    }

    /// Where changes of consumers, tokens and users are told, those of other replicas too.
    fn changes(&self) -> &Changes;
}

/// How a store is.
#[async_trait]
pub trait Pulse: Send + Sync {
    /// Asks whether the store could answer a check now: reachable, writable, not loading.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Says how the store is doing, for metrics and readiness; never blocks and never asks the store.
    fn status(&self) -> StoreStatus;
}

/// Keeps consumers, users, their credentials, and nonces.
///
/// What a call that ended with [`StoreErrorKind::Unavailable`] was to change may be changed or not; it can be made again.
///
/// `create_…` keeps a new record, whose revision is 1. `replace_…` replaces a record by a changed one whose revision is
/// the stored one's plus one, and ends with [`StoreErrorKind::Conflict`] and nothing changed when the stored revision is
/// another or there is no record. `…s` lists in byte order of the name, at most `limit`, only those after `after`; fewer
/// than `limit` are the last ones.
#[async_trait]
pub trait Store: CheckStore + Pulse {
    /// Keeps a new consumer.
    ///
    /// # Errors
    /// [`StoreErrorKind::AlreadyExists`] when its key is taken; nothing is changed then.
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError>;

    /// Replaces a consumer.
    async fn replace_consumer(&self, consumer: &Consumer) -> Result<(), StoreError>;

    /// Deletes a consumer whose revision is still that of `consumer`; its key is free again. What it was issued stays,
    /// and is good for nothing: a new consumer of that key has another generation.
    ///
    /// # Errors
    /// [`StoreErrorKind::Conflict`] when the stored revision is another, or there is none; nothing is changed then.
    async fn delete_consumer(&self, consumer: &Consumer) -> Result<(), StoreError>;

    /// The consumer of that key, as it is stored now.
    async fn consumer(&self, key: &ConsumerKey) -> Result<Option<Consumer>, StoreError>;

    /// Lists consumers by their keys.
    async fn consumers(
        &self,
        after: Option<&ConsumerKey>,
        limit: usize,
    ) -> Result<Vec<Consumer>, StoreError>;

    /// Keeps a new access token. That its consumer exists is for the caller to know.
    ///
    /// # Errors
    /// [`StoreErrorKind::AlreadyExists`] when any consumer has a token of that name; nothing is changed then.
    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError>;

    /// Replaces a token. Its consumer and its user never change.
    async fn replace_token(&self, token: &AccessToken) -> Result<(), StoreError>;

    /// Deletes a token, whatever its revision; its name is free again. Deleting what is not there is no error.
    async fn delete_token(&self, token: &AccessToken) -> Result<(), StoreError>;

    /// Looks up a token by its name alone. Not for the check path: it may take more than one round trip.
    async fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError>;

    /// Lists the tokens of a consumer or a user by their names.
    async fn tokens(
        &self,
        holder: TokenHolder<'_>,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<AccessToken>, StoreError>;

    /// Keeps a new user.
    ///
    /// # Errors
    /// [`StoreErrorKind::AlreadyExists`] when the id, or the username without regard to case, is taken; nothing is
    /// changed then.
    async fn create_user(&self, user: &User) -> Result<(), StoreError>;

    /// Replaces a user. A username may be given or taken away, which frees it for another user; one that another user
    /// has is [`StoreErrorKind::AlreadyExists`], and nothing is changed then.
    async fn replace_user(&self, user: &User) -> Result<(), StoreError>;

    /// The user of that id, also a deleted one.
    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError>;

    /// The user who logs in with that name, whatever its case.
    async fn user_named(&self, username: &Username) -> Result<Option<User>, StoreError>;

    /// Lists users by their ids, without those who are [`UserStatus::Deleted`](crate::model::UserStatus::Deleted).
    async fn users(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<User>, StoreError>;

    /// Keeps new temporary credentials, until [`KEPT_AFTER_EXPIRY`] after they expire at least.
    ///
    /// # Errors
    /// [`StoreErrorKind::AlreadyExists`] when there are temporary credentials of that name.
    async fn create_request_token(&self, token: &RequestToken) -> Result<(), StoreError>;

    /// Replaces temporary credentials. Their consumer never changes.
    async fn replace_request_token(&self, token: &RequestToken) -> Result<(), StoreError>;

    /// Replaces temporary credentials by `used`, and creates the access token that they were exchanged for, in one step:
    /// both or neither. Of exchanges that race, one succeeds, since each of them needs the same revision.
    ///
    /// # Errors
    /// [`StoreErrorKind::Conflict`] as `replace_…` has it; [`StoreErrorKind::AlreadyExists`] when the access token's name
    /// is taken. After [`StoreErrorKind::Unavailable`] the exchange may have taken place, and its answer is lost.
    async fn exchange_request_token(
        &self,
        used: &RequestToken,
        issued: &AccessToken,
    ) -> Result<(), StoreError>;

    /// The temporary credentials of that name, whoever's they are.
    async fn request_token(&self, token: &Token) -> Result<Option<RequestToken>, StoreError>;

    /// Keeps a session until it expires.
    async fn create_session(&self, session: &Session) -> Result<(), StoreError>;

    /// The session of that id, unless it has expired.
    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;

    /// Ends a session. Ending what is not there is no error.
    async fn delete_session(&self, id: &SessionId) -> Result<(), StoreError>;

    /// Counts one more attempt and returns how many there were in the window that the first of them opened, this one
    /// included. Attempts that race are all counted; one whose outcome was unknown may be counted twice.
    async fn count_attempt(
        &self,
        counter: &AttemptCounter,
        window: Duration,
    ) -> Result<u64, StoreError>;

    /// Takes attempts back that turned out not to be failures: the counter never falls below zero.
    async fn take_attempts_back(
        &self,
        counter: &AttemptCounter,
        attempts: u64,
    ) -> Result<(), StoreError>;

    /// Ends cleanly: what a clean end promises to keep is durable when this returns. Nothing may be asked afterwards.
    async fn close(&self) -> Result<(), StoreError>;
}

/// How long temporary credentials are kept after they expired, so that who comes late is told so.
pub const KEPT_AFTER_EXPIRY: Duration = Duration::from_mins(10);

/// Whose tokens.
#[derive(Clone, Copy, Debug)]
pub enum TokenHolder<'a> {
    /// Those issued to a consumer.
    Consumer(&'a ConsumerKey),
    /// Those that act for a user.
    User(&'a UserId),
}

/// What attempts are counted under: a hash, so that neither names nor addresses are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptCounter([u8; 16]);

impl AttemptCounter {
    /// The counter of `subject` among those of `kind`, for example an address among `"password-address"`.
    pub fn new(kind: &'static str, subject: &[u8]) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(kind)
            .chain_update([0])
            .chain_update(subject)
            .finalize()
            .into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a look-up found.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The consumer of that key.
    pub consumer: Option<Arc<Consumer>>,
    /// The token of that name, if it was asked for and belongs to that consumer.
    pub token: Option<Arc<AccessToken>>,
    /// The user whom that token acts for; the default where there is none, or nothing is kept of them.
    pub user: UserStanding,
}

/// A nonce about to be used: scope, timestamp and nonce of RFC 5849 section 3.3.
#[derive(Clone, Copy, Debug)]
pub struct NonceClaim<'a> {
    /// Whose it is.
    pub consumer: &'a ConsumerKey,
    /// The token that signed with it, if there is one.
    pub token: Option<&'a Token>,
    /// `oauth_timestamp`, seconds.
    pub timestamp: u64,
    /// `oauth_nonce`, as signed.
    pub nonce: &'a [u8],
    /// Which check this claim is for: random, so that a claim sent twice is known as one.
    pub check_id: [u8; 16],
    /// The time of the check.
    pub now: UnixTime,
    /// Until when it is remembered: timestamp + window + margin.
    pub expires_at: UnixTime,
    /// The fence: a timestamp not after this, in seconds, is refused as [`Claim::Fenced`]. 0 fences nothing. The store
    /// may know of a later fence of its own, after a restart that may have forgotten claims.
    pub not_before: u64,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "only a fresh claim may pass"]
pub enum Claim {
    /// Nobody used it before.
    Fresh,
    /// Somebody did.
    Replayed,
    /// Its timestamp is not after `not_before`, in seconds: what was claimed until then may be forgotten.
    Fenced {
        /// The last second that is refused.
        not_before: u64,
    },
}

/// How a store is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// How often the server behind the store was found to have restarted or been replaced: each one may have forgotten
    /// nonces, and is a window for replays.
    pub restarts_seen: u64,
    /// Nonces that are kept in this process; 0 where another keeps them.
    pub nonces: u64,
    /// Changes that other replicas make are not heard of now.
    pub cut_off: bool,
    /// How many changes could not be told to the other replicas.
    pub untold: u64,
    /// Copies of records that are kept in this process.
    pub cache_entries: u64,
    /// The bytes that they take.
    pub cache_bytes: u64,
}

/// Why a store could not do what it was asked; never carries a secret or a key.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {context}")]
pub struct StoreError {
    kind: StoreErrorKind,
    context: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store did not answer in time, could not be reached, is loading, or is not the writable one.
    #[error("the store is unavailable")]
    Unavailable,
    /// There is a record of that name already.
    #[error("already exists")]
    AlreadyExists,
    /// The record was changed by somebody else, or is gone.
    #[error("changed by somebody else")]
    Conflict,
    /// A record can not be read: damaged, or sealed with a master key that is not here.
    #[error("a stored record can not be read")]
    Unreadable,
    /// The store refuses to work as it is configured.
    #[error("the store can not be used")]
    Unusable,
}

impl StoreErrorKind {
    /// Its name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::Unreadable => "unreadable",
            Self::Unusable => "unusable",
        }
    }
}

impl StoreError {
    /// An error of that kind; `context` says what was being done.
    pub const fn new(kind: StoreErrorKind, context: &'static str) -> Self {
        Self {
            kind,
            context,
            source: None,
        }
    }

    /// Adds what caused it, which must not carry a secret or a key.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Its kind.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// What was being done.
    pub const fn context(&self) -> &'static str {
        self.context
    }

    /// Whether it may pass by itself.
    pub const fn is_transient(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable)
    }
}

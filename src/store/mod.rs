//! Where consumers, tokens and nonces are kept: the [`Store`] contract and its two implementations.
//!
//! - `redis`: shared by every replica.
//! - `embedded`: one file, one process; also in memory.
//!
//! Secrets are sealed before they reach either (`master_key`, `seal`, `record`). Not found is `Ok(None)`; an `Err` means that the store could
//! not answer, and then nobody may conclude anything. Time comes in as an argument.
//!
//! To add a method: write its contract here, implement it in both stores, and add its rule to the conformance suite in
//! `tests/it/store/`, which runs every rule on every store.

mod dummy;
mod embedded;
mod master_key;
mod nonce;
mod open;
mod private;
mod record;
mod redis;
mod seal;

use std::fmt;

use async_trait::async_trait;

use crate::clock::UnixTime;
use crate::model::{AccessToken, Consumer, ConsumerKey, Token};

pub use master_key::new_master_key;
pub use open::open;

/// Keeps consumers, access tokens and nonces.
///
/// Every call ends within the store's own deadline, with an [`StoreErrorKind::Unavailable`] error if need be. What a call
/// that ended so was to change may be changed or not; it can be made again.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Looks up a consumer and, if one is asked for, its token, in one round trip.
    ///
    /// A token is found only under the consumer that it was issued to.
    ///
    /// A false yes (a record that was deleted or never was) lets a stranger try to sign as it; a false no refuses an
    /// honest caller. Neither may come from a fault: a store that is not sure returns an error.
    async fn credentials(&self, consumer: &ConsumerKey, token: Option<&Token>) -> Result<Credentials, StoreError>;

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

    /// Keeps a new consumer.
    ///
    /// # Errors
    /// [`StoreErrorKind::AlreadyExists`] when its key is taken; nothing is changed then.
    async fn create_consumer(&self, consumer: &Consumer) -> Result<(), StoreError>;

    /// Replaces a consumer by a changed one whose revision is the stored one's plus one.
    ///
    /// # Errors
    /// [`StoreErrorKind::Conflict`] when the stored revision is another, or there is none; nothing is changed then.
    async fn replace_consumer(&self, consumer: &Consumer) -> Result<(), StoreError>;

    /// Lists consumers in the byte order of their keys, at most `limit`, only those after the key `after`. Fewer than
    /// `limit` are the last ones.
    async fn consumers(&self, after: Option<&ConsumerKey>, limit: usize) -> Result<Vec<Consumer>, StoreError>;

    /// Keeps a new access token of an existing consumer.
    ///
    /// That the consumer exists is for the caller to know; consumers are never deleted.
    ///
    /// # Errors
    /// [`StoreErrorKind::AlreadyExists`] when any consumer has a token of that name; nothing is changed then.
    async fn create_token(&self, token: &AccessToken) -> Result<(), StoreError>;

    /// Replaces a token by a changed one whose revision is the stored one's plus one.
    ///
    /// # Errors
    /// [`StoreErrorKind::Conflict`] when the stored revision is another, or there is none; nothing is changed then.
    async fn replace_token(&self, token: &AccessToken) -> Result<(), StoreError>;

    /// Looks up a token by its name alone. Not for the check path: it may take more than one round trip.
    async fn token(&self, token: &Token) -> Result<Option<AccessToken>, StoreError>;

    /// Asks whether the store could answer a check now: reachable, writable, not loading.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Says how the store is doing, for metrics and readiness; never blocks and never asks the store.
    fn status(&self) -> StoreStatus;

    /// Ends cleanly: what a clean end promises to keep is durable when this returns. Nothing may be asked afterwards.
    async fn close(&self) -> Result<(), StoreError>;
}

/// What a look-up found.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The consumer of that key.
    pub consumer: Option<Consumer>,
    /// The token of that name, if it was asked for and belongs to that consumer.
    pub token: Option<AccessToken>,
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
        Self { kind, context, source: None }
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

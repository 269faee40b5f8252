//! The part of a store that a check uses: it looks up the caller and claims the nonce.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, Ready, ready};

use super::StoreError;
use crate::clock::UnixTime;
use crate::model::{AccessToken, Consumer, ConsumerKey, Token, UserStanding};

/// Looks up callers and claims nonces.
///
/// Every call ends within the store's own deadline, if need be with a
/// [`StoreErrorKind::Unavailable`](super::StoreErrorKind::Unavailable) error.
pub trait CheckStore: Send + Sync + fmt::Debug {
    /// Looks up a consumer and, if the request names one, its token and the standing of the token's
    /// user.
    ///
    /// A token is found only under the consumer that it was issued to. Consumer and token take one
    /// round trip together; the user, if there is one, takes another.
    ///
    /// # Security
    /// A false yes (a record that was deleted or never existed) lets a stranger try to sign as that
    /// caller; a false no refuses an honest caller. Neither may result from a fault: a store that
    /// is not sure returns an error.
    fn caller_records<'a>(
        &'a self,
        consumer: &'a ConsumerKey,
        token: Option<&'a Token>,
    ) -> StoreFuture<'a, CallerRecords>;

    /// Claims a nonce: the first claim of a scope, timestamp and nonce is [`ClaimOutcome::Fresh`],
    /// every other one is [`ClaimOutcome::Replayed`], even if they race.
    ///
    /// The store remembers the claim until `claim.expires_at`, and acknowledges it only once it
    /// would survive everything that the store promises to survive. The same claim with the same
    /// `check_id` is one claim: if it is repeated after a fault with an unknown outcome, it is
    /// [`ClaimOutcome::Fresh`] again. For other checks, a claim that ended in an error may count as
    /// used.
    ///
    /// [`ClaimOutcome::Fenced`] takes precedence: the timestamp is not after `claim.not_before` or
    /// a fence of the store's own, or the claim cannot be remembered because `claim.expires_at` is
    /// not after `claim.now`. A fenced claim claims nothing.
    ///
    /// # Security
    /// A false `Fresh` lets a replay pass, the worst that can happen here; a false `Replayed`
    /// refuses an honest caller, who signs again with a new nonce. In doubt, the store returns an
    /// error.
    fn claim_nonce<'a>(&'a self, claim: &'a NonceClaim<'a>) -> StoreFuture<'a, ClaimOutcome>;

    /// Returns the time by which the store's clock is known to be ahead of this host's.
    fn clock_lead(&self) -> Duration;

    /// Returns the same store with its own connections on the current runtime, so that a check
    /// wakes no other thread; `None` if that makes no difference.
    fn for_this_runtime(self: Arc<Self>) -> Option<Arc<dyn CheckStore>> {
        None
    }
}

/// The answer to a check: ready, if the store needs no waiting, or a boxed future.
///
/// A ready answer takes no allocation. The call itself does the work that needs no waiting, before
/// the first poll.
pub type StoreFuture<'a, T> =
    Either<Ready<Result<T, StoreError>>, BoxFuture<'a, Result<T, StoreError>>>;

/// Returns an answer that is ready.
pub fn ready_answer<'a, T>(answer: Result<T, StoreError>) -> StoreFuture<'a, T> {
    Either::Left(ready(answer))
}

/// Returns the answer that `future` gives.
pub fn boxed_answer<'a, T>(
    future: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> StoreFuture<'a, T> {
    Either::Right(future.boxed())
}

/// The records of a caller.
#[derive(Clone, Debug, Default)]
pub struct CallerRecords {
    /// The consumer of that key.
    pub consumer: Option<Arc<Consumer>>,
    /// The token of that name, if one was named and it belongs to that consumer.
    pub token: Option<Arc<AccessToken>>,
    /// The standing of the token's user; the default if there is no user, or no record of the user.
    pub user: UserStanding,
    /// The store is unavailable, and the records are older than `cache.max_age`.
    pub is_stale: bool,
}

/// A claim of a nonce: scope, timestamp and nonce of RFC 5849 section 3.3.
#[derive(Clone, Copy, Debug)]
pub struct NonceClaim<'a> {
    /// The consumer that used the nonce.
    pub consumer: &'a ConsumerKey,
    /// The token that the request was signed with, if any.
    pub token: Option<&'a Token>,
    /// `oauth_timestamp`, in seconds.
    pub timestamp: u64,
    /// `oauth_nonce`, as signed.
    pub nonce: &'a [u8],
    /// The random id of the check, which identifies a repeated claim.
    pub check_id: [u8; 16],
    /// The time of the check.
    pub now: UnixTime,
    /// The end of the time for which the claim is remembered: timestamp + window + margin.
    pub expires_at: UnixTime,
    /// The fence, in seconds: a timestamp not after it is [`ClaimOutcome::Fenced`]; 0 fences
    /// nothing. The store may have a later fence of its own, after a restart that may have lost
    /// claims.
    pub not_before: u64,
}

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "only a fresh claim may pass"]
pub enum ClaimOutcome {
    /// The nonce was not used before.
    Fresh,
    /// The store is unavailable, and the nonce was not used before at this replica.
    FreshHere,
    /// The nonce was used before.
    Replayed,
    /// The timestamp is not after the fence: the store may have lost claims up to then.
    Fenced {
        /// The fence: the last second that is refused.
        not_before: u64,
    },
}

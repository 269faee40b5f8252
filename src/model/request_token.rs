//! Temporary credentials: what stands for a user's decision until it is exchanged (RFC 5849 sections 2.1 to 2.3).

use super::{ConsumerKey, Generation, Scopes, Secret, Token, UserId};
use crate::clock::UnixTime;

/// Temporary credentials, bound to one consumer.
///
/// ```text
///            authorize              exchange
///  Pending ─────────────▶ Authorized ─────────▶ Used
///     │                       │
///     └──────────▶ Refused    └─▶ (too many wrong verifiers: Refused)
/// ```
///
/// Nothing leads back, and whatever its state, it ends at `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestToken {
    /// Its `oauth_token`. A name of its own kind: an access token may have the same.
    pub token: Token,
    /// Its shared secret.
    pub secret: Secret,
    /// The consumer that it was issued to, and the only one that can exchange it.
    pub consumer_key: ConsumerKey,
    /// The consumer's when it was issued: revoking all of a consumer's tokens ends its temporary credentials too.
    pub consumer_generation: Generation,
    /// Where the user is sent afterwards.
    pub callback: Callback,
    /// The scopes that the consumer asks for.
    pub scopes: Scopes,
    /// How far it came.
    pub state: RequestTokenState,
    /// How often a wrong verifier was sent with a true signature.
    pub wrong_verifiers: u32,
    /// When it was issued.
    pub created_at: UnixTime,
    /// From when on it is refused.
    pub expires_at: UnixTime,
    /// Counts its changes, as [`Consumer::revision`](super::Consumer::revision) does.
    pub revision: u64,
}

impl RequestToken {
    /// Whether it has expired at `now`.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        now >= self.expires_at
    }
}

/// How far temporary credentials came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestTokenState {
    /// The user has not decided.
    Pending,
    /// The user allowed it.
    Authorized {
        /// Who.
        user_id: UserId,
        /// The user's generation then: revoking all of a user's tokens ends what the user authorized, too.
        user_generation: Generation,
        /// What the consumer is told to call the user; may be empty.
        screen_name: String,
        /// What proves to the consumer's server that the user came back to it (RFC 5849 section 2.2).
        verifier: Secret,
        /// The scopes that the user gave.
        scopes: Scopes,
    },
    /// The user refused, or too many wrong verifiers were sent.
    Refused,
    /// It was exchanged.
    Used,
}

/// Where the user is sent after deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// Nowhere: the user is shown a PIN (`oob`).
    OutOfBand,
    /// To this absolute URI.
    Uri(String),
}

impl Callback {
    /// As it is sent in `oauth_callback`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OutOfBand => "oob",
            Self::Uri(uri) => uri,
        }
    }
}

//! Temporary credentials, which carry a user's decision until the exchange (RFC 5849 sections 2.1
//! to 2.3).

use super::{ConsumerKey, Generation, Scopes, Secret, Token, UserId};
use crate::clock::UnixTime;

/// Temporary credentials of one consumer.
///
/// ```text
///            authorize              exchange
///  Pending ─────────────▶ Authorized ─────────▶ Used
///     │                       │
///     └──────────▶ Refused    └─▶ (too many wrong verifiers: Refused)
/// ```
///
/// No transition leads back, and the credentials expire at `expires_at` in every state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestToken {
    /// The `oauth_token`. Access tokens are named independently and may have the same name.
    pub token: Token,
    /// The shared secret.
    pub secret: Secret,
    /// The consumer that received the credentials, and the only one that can exchange them.
    pub consumer_key: ConsumerKey,
    /// The consumer's generation at creation: the revocation of all tokens of a consumer includes
    /// its temporary credentials.
    pub consumer_generation: Generation,
    /// The destination of the user after the decision.
    pub callback: Callback,
    /// The requested scopes.
    pub scopes: Scopes,
    /// The state.
    pub state: RequestTokenState,
    /// The number of wrong verifiers in requests with a valid signature.
    pub wrong_verifiers: u32,
    /// The time of creation.
    pub created_at: UnixTime,
    /// The time of expiry.
    pub expires_at: UnixTime,
    /// The number of changes, like [`Consumer::revision`](super::Consumer::revision).
    pub revision: u64,
}

impl RequestToken {
    /// Returns true if the credentials are expired at `now`.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        now >= self.expires_at
    }
}

/// The state of temporary credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestTokenState {
    /// The user has not decided.
    Pending,
    /// The user consented.
    Authorized {
        /// The user.
        user_id: UserId,
        /// The user's generation at that time: the revocation of all tokens of a user includes the
        /// authorization.
        user_generation: Generation,
        /// The name that the consumer receives for the user; may be empty.
        screen_name: String,
        /// The proof that the user returned to the consumer (RFC 5849 section 2.2).
        verifier: Secret,
        /// The granted scopes.
        scopes: Scopes,
    },
    /// The user refused, or too many wrong verifiers were sent.
    Refused,
    /// The credentials were exchanged.
    Used,
}

/// The destination of a user after the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callback {
    /// No redirect: the page shows a PIN (`oob`).
    OutOfBand,
    /// A redirect to this absolute URI.
    Uri(String),
}

impl Callback {
    /// Returns the value of `oauth_callback`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::OutOfBand => "oob",
            Self::Uri(uri) => uri,
        }
    }
}

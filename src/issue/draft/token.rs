//! The draft of an access token.

use std::time::Duration;

use super::values::{LAST_TIME, TOO_LATE, scopes, secret};
use crate::clock::{Entropy, UnixTime};
use crate::issue::{Violations, random};
use crate::model::{
    AccessToken, ConsumerKey, Generation, Scopes, Secret, Token, TokenStatus, UserId,
};

/// The draft of an access token.
#[derive(Clone, Debug, Default)]
pub struct TokenDraft {
    /// The token that the application already has; `None` generates one.
    pub token: Option<String>,
    /// The token secret that the application already has; `None` generates one.
    pub token_secret: Option<Secret>,
    /// The key of the consumer that receives the token.
    pub consumer_key: String,
    /// The user whom the token acts for; `None` for a token of the consumer itself.
    pub user_id: Option<String>,
    /// The scopes, each a scope of the consumer.
    pub scopes: Vec<String>,
    /// The lifetime.
    pub expiry: Expiry,
    /// Accepts an existing token with the same values and secret, whatever its state is now.
    pub allow_existing: bool,
    /// Checks the draft and changes nothing.
    pub validate_only: bool,
}

/// The lifetime of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// The token does not expire.
    #[default]
    Never,
    /// The token expires at this time.
    At(UnixTime),
    /// The token expires this long after its creation.
    After(Duration),
}

// === impl TokenDraft ===

impl TokenDraft {
    /// Returns the token, or every rule that the draft breaks.
    pub(in crate::issue) fn to_token(
        &self,
        now: UnixTime,
        entropy: &dyn Entropy,
    ) -> Result<AccessToken, Violations> {
        let mut wrong = Violations::default();
        let token = self.checked_token(entropy, &mut wrong);
        let secret = self.checked_secret(entropy, &mut wrong);
        let consumer_key =
            wrong.check("consumer_key", ConsumerKey::new(self.consumer_key.as_str()));
        let user_id = self.user_id.as_deref();
        let user_id = user_id.and_then(|id| wrong.check("user_id", UserId::new(id)));
        let scopes = scopes(&self.scopes, &mut wrong);
        let expires_at = self.expiry.check(now, &mut wrong);

        let required = wrong.or(token.zip(secret).zip(consumer_key))?;
        let ((token, secret), consumer_key) = required;
        Ok(AccessToken {
            token,
            secret,
            consumer_key,
            user_id,
            scopes,
            consumer_generation: Generation::default(),
            user_generation: Generation::default(),
            status: TokenStatus::Active,
            expires_at,
            created_at: now,
            revision: 1,
        })
    }

    fn checked_token(&self, entropy: &dyn Entropy, wrong: &mut Violations) -> Option<Token> {
        let given = self.token.clone();
        let token = given.unwrap_or_else(|| random::identifier(entropy));
        wrong.check("token", Token::new(token))
    }

    fn checked_secret(&self, entropy: &dyn Entropy, wrong: &mut Violations) -> Option<Secret> {
        match &self.token_secret {
            Some(given) => wrong.check("token_secret", secret(given)),
            None => Some(random::secret(entropy)),
        }
    }
}

// === impl Expiry ===

impl Expiry {
    /// Returns true if `token` expires when a token that was created with this lifetime would.
    pub(in crate::issue) fn is_of(self, token: &AccessToken) -> bool {
        let end = match self {
            Self::Never => None,
            Self::At(end) => Some(end),
            Self::After(ttl) => Some(token.created_at.plus(ttl)),
        };
        token.expires_at == end
    }

    fn check(self, now: UnixTime, wrong: &mut Violations) -> Option<UnixTime> {
        let (field, end) = match self {
            Self::Never => return None,
            Self::At(end) => ("expire_time", end),
            Self::After(ttl) => ("ttl", now.plus(ttl)),
        };
        if end <= now {
            wrong.add(field, "must end in the future");
        }
        if end > LAST_TIME {
            wrong.add(field, TOO_LATE);
        }
        Some(end)
    }
}

/// Refuses a scope that the consumer does not have: the scope would have no effect now, and take
/// effect unnoticed when the consumer gets it.
pub(in crate::issue) fn require_scopes(
    token: &Scopes,
    consumer: &Scopes,
) -> Result<(), Violations> {
    let is_missing = |scope: &&str| !consumer.iter().any(|has| has == *scope);
    match token.iter().find(is_missing) {
        Some(scope) => Err(Violations::of(
            "scopes",
            format_args!("has {scope:?}, which its consumer does not have"),
        )),
        None => Ok(()),
    }
}

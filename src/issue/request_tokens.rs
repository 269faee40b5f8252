//! Temporary credentials, from asking to the exchange (RFC 5849 sections 2.1 to 2.3), and the exchange of a password
//! (xAuth).

use super::{Actor, IssueError, Issuer, Login};
use crate::model::{AccessToken, Consumer, ConsumerKey, RequestToken, Secret, Token, UserId};
use crate::store::StoreErrorKind;

/// Temporary credentials to be created.
#[derive(Clone, Debug)]
pub struct RequestTokenDraft {
    /// The consumer's key.
    pub consumer_key: ConsumerKey,
    /// `oauth_callback` as it was sent.
    pub callback: String,
    /// The scopes that it asks for; empty is all of the consumer's.
    pub scopes: Vec<String>,
}

/// Temporary credentials, and who asks with them.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The temporary credentials; their scopes are those that the consumer still has.
    pub request_token: RequestToken,
    /// The consumer.
    pub consumer: Consumer,
}

/// What a user allows.
#[derive(Clone, Debug)]
pub struct Consent {
    /// Who.
    pub user_id: UserId,
    /// What the consumer is told to call the user; may be empty.
    pub screen_name: String,
    /// The scopes; empty is all that are asked for.
    pub scopes: Vec<String>,
}

/// What became of a user's consent.
#[derive(Clone, Debug)]
pub struct Authorized {
    /// Where to send the user's browser; `None` when the user has to be shown the verifier.
    pub redirect: Option<String>,
    /// The verifier.
    pub verifier: Secret,
}

/// A token that a consumer obtained.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token.
    pub token: AccessToken,
    /// What to call the user; may be empty.
    pub screen_name: String,
}

impl Issuer {
    /// Creates temporary credentials for an active consumer with the flow `three-legged`.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the fields `callback` and `scopes`, [`IssueError::UnknownConsumer`],
    /// [`IssueError::ConsumerDisabled`], [`IssueError::FlowNotAllowed`], [`IssueError::Store`].
    pub async fn create_request_token(
        &self,
        draft: &RequestTokenDraft,
        actor: &Actor,
    ) -> Result<RequestToken, IssueError> {
        let _ = (draft, actor);
        Err(unbuilt().into())
    }

    /// Temporary credentials and who asks with them, whatever their state.
    ///
    /// # Errors
    /// [`IssueError::UnknownRequestToken`], also when the consumer is gone; [`IssueError::Store`].
    pub async fn asking(&self, name: &Token) -> Result<Asking, IssueError> {
        let _ = name;
        Err(unbuilt().into())
    }

    /// Notes that a user, who was authenticated, allows what is asked for. The verifier is long and random where it is sent
    /// along, and eight digits where the user has to type it.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the fields `screen_name` and `scopes`, [`IssueError::UnknownRequestToken`],
    /// [`IssueError::RequestTokenExpired`], [`IssueError::RequestTokenDecided`], [`IssueError::ConsumerDisabled`],
    /// [`IssueError::UserDisabled`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn authorize(&self, name: &Token, consent: &Consent, actor: &Actor) -> Result<Authorized, IssueError> {
        let _ = (name, consent, actor);
        Err(unbuilt().into())
    }

    /// Notes that the user refused, and returns where to send the browser, if anywhere.
    ///
    /// # Errors
    /// As [`authorize`](Self::authorize), but for what is about the user.
    pub async fn refuse(&self, name: &Token, actor: &Actor) -> Result<Option<String>, IssueError> {
        let _ = (name, actor);
        Err(unbuilt().into())
    }

    /// Exchanges authorized temporary credentials, exactly once. A wrong verifier is counted; the fifth refuses them for
    /// good.
    ///
    /// # Errors
    /// [`IssueError::UnknownRequestToken`], the `RequestToken…` ones, [`IssueError::VerifierRefused`],
    /// [`IssueError::ConsumerDisabled`], [`IssueError::FlowNotAllowed`], [`IssueError::UserDisabled`],
    /// [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn exchange(
        &self,
        consumer_key: &ConsumerKey,
        name: &Token,
        verifier: &Secret,
        actor: &Actor,
    ) -> Result<Issued, IssueError> {
        let _ = (consumer_key, name, verifier, actor);
        Err(unbuilt().into())
    }

    /// Exchanges a user's name and password for a token (xAuth); an empty `scopes` is all of the consumer's.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the field `scopes`, [`IssueError::UnknownConsumer`], [`IssueError::ConsumerDisabled`],
    /// [`IssueError::FlowNotAllowed`], and those of [`log_in`](Self::log_in).
    pub async fn exchange_password(
        &self,
        login: &Login,
        scopes: &[String],
        actor: &Actor,
    ) -> Result<Issued, IssueError> {
        let _ = (login, scopes, actor);
        Err(unbuilt().into())
    }
}

fn unbuilt() -> crate::store::StoreError {
    crate::store::StoreError::new(StoreErrorKind::Unusable, "not built yet")
}

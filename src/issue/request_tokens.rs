//! Temporary credentials: their creation and the user's decision (RFC 5849 sections 2.1 and 2.2).
//!
//! `exchange` is the next step.

use std::borrow::Cow;

use super::audit::{AuditEvent, audited};
use super::tokens::require_active;
use super::{ATTEMPTS, Actor, IssueError, Issuer, Violations, callback, draft, random, replaced};
use crate::model::{
    AccessToken, Callback, Consumer, ConsumerKey, Flow, MAX_VALUE_LEN, RequestToken,
    RequestTokenState, Scopes, Secret, Token, UserId,
};

/// The draft of temporary credentials.
#[derive(Clone, Debug)]
pub struct RequestTokenDraft {
    /// The consumer's key.
    pub consumer_key: ConsumerKey,
    /// The `oauth_callback` of the request.
    pub callback: String,
    /// The requested scopes; empty stands for all scopes of the consumer.
    pub scopes: Vec<String>,
}

/// Temporary credentials and the consumer that requests authorization with them.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// The temporary credentials, limited to the scopes that the consumer still has.
    pub request_token: RequestToken,
    /// The consumer.
    pub consumer: Consumer,
}

/// The consent of a user.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The id of the user.
    pub user_id: UserId,
    /// The name that the consumer receives for the user; may be empty.
    pub screen_name: String,
    /// The granted scopes; empty stands for all requested scopes.
    pub scopes: Vec<String>,
}

/// The result of a user's consent.
#[derive(Clone, Debug)]
pub struct ConsentOutcome {
    /// The redirect for the user's browser; `None` if the page shows the verifier instead.
    pub redirect: Option<String>,
    /// The verifier.
    pub verifier: Secret,
}

/// A token that a consumer obtained by an exchange.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: AccessToken,
    /// The name of the user; may be empty.
    pub screen_name: String,
}

impl Issuer {
    /// Creates temporary credentials for an active consumer with the flow `three-legged`.
    ///
    /// `callback` is a registered callback, with any query added, or `oob`. If the consumer
    /// registered exactly one URI and not `oob`, then `oob` stands for that URI.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the fields `callback` and `scopes`,
    /// [`IssueError::UnknownConsumer`], [`IssueError::ConsumerDisabled`],
    /// [`IssueError::FlowNotAllowed`], [`IssueError::Store`].
    pub async fn create_request_token(
        &self,
        draft: &RequestTokenDraft,
        actor: &Actor,
    ) -> Result<RequestToken, IssueError> {
        let consumer = self.consumer(&draft.consumer_key).await?;
        require_flow(require_active(&consumer)?, Flow::ThreeLegged)?;
        let token = self.new_request_token(&consumer, draft)?;
        let event = AuditEvent::of_request_token(actor, "request_token.create", &token);
        audited(event, self.store.create_request_token(&token)).await?;
        Ok(token)
    }

    /// Returns temporary credentials in any state, together with their consumer.
    ///
    /// # Errors
    /// [`IssueError::UnknownRequestToken`], even if only the consumer is deleted or no longer has
    /// the callback; [`IssueError::Store`].
    pub async fn authorization_request(
        &self,
        name: &Token,
    ) -> Result<AuthorizationRequest, IssueError> {
        let unknown = || IssueError::UnknownRequestToken(name.clone());
        let mut request_token = self.store.request_token(name).await?.ok_or_else(unknown)?;
        let consumer = self
            .store
            .consumer(&request_token.consumer_key)
            .await?
            .ok_or_else(unknown)?;
        if !callback::is_registered(&request_token.callback, &consumer) {
            return Err(unknown());
        }
        request_token.scopes = request_token.scopes.intersection(&consumer.scopes);
        Ok(AuthorizationRequest {
            request_token,
            consumer,
        })
    }

    /// Records the consent of an authenticated user.
    ///
    /// The verifier is long and random if a redirect carries it, and has eight digits if the user
    /// types it.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the fields `screen_name` and `scopes`,
    /// [`IssueError::UnknownRequestToken`], [`IssueError::RequestTokenExpired`],
    /// [`IssueError::RequestTokenDecided`], [`IssueError::ConsumerDisabled`],
    /// [`IssueError::UserDisabled`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn authorize_request_token(
        &self,
        name: &Token,
        consent: &Consent,
        actor: &Actor,
    ) -> Result<ConsentOutcome, IssueError> {
        for _ in 0..ATTEMPTS {
            let request = self.undecided(name).await?;
            let verifier = self.verifier(&request.request_token.callback);
            let mut token = request.request_token;
            token.state = self.authorized(&token, consent, &verifier).await?;
            token.revision += 1;
            let event = AuditEvent::of_request_token(actor, "request_token.authorize", &token)
                .with_user(Some(&consent.user_id));
            if replaced(audited(event, self.store.update_request_token(&token)).await)? {
                let redirect =
                    callback::allowed(&token.callback, name.as_str(), &as_text(&verifier));
                return Ok(ConsentOutcome { redirect, verifier });
            }
        }
        Err(IssueError::Conflict)
    }

    /// Records the refusal of a user, and returns the redirect for the browser, if there is one.
    ///
    /// # Errors
    /// The same as [`authorize_request_token`](Self::authorize_request_token), except those about
    /// the user.
    pub async fn refuse_request_token(
        &self,
        name: &Token,
        actor: &Actor,
    ) -> Result<Option<String>, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut token = self.undecided(name).await?.request_token;
            token.state = RequestTokenState::Refused;
            token.revision += 1;
            let event = AuditEvent::of_request_token(actor, "request_token.refuse", &token);
            if replaced(audited(event, self.store.update_request_token(&token)).await)? {
                return Ok(callback::refused(&token.callback, name.as_str()));
            }
        }
        Err(IssueError::Conflict)
    }

    /// Returns a name that cannot be guessed.
    pub(super) fn new_token(&self) -> Result<Token, IssueError> {
        let name = Token::new(random::identifier(&*self.entropy));
        name.map_err(|problem| IssueError::Invalid(Violations::of("token", problem)))
    }

    /// Returns the request if a user may decide about it now.
    async fn undecided(&self, name: &Token) -> Result<AuthorizationRequest, IssueError> {
        let request = self.authorization_request(name).await?;
        require_generation(&request.request_token, &request.consumer)?;
        require_active(&request.consumer)?;
        if request.request_token.is_expired(self.clock.now()) {
            return Err(IssueError::RequestTokenExpired);
        }
        if request.request_token.state == RequestTokenState::Pending {
            Ok(request)
        } else {
            Err(IssueError::RequestTokenDecided)
        }
    }

    async fn authorized(
        &self,
        token: &RequestToken,
        consent: &Consent,
        verifier: &Secret,
    ) -> Result<RequestTokenState, IssueError> {
        let Consent {
            user_id,
            screen_name,
            scopes,
        } = consent;
        let mut wrong = Violations::default();
        wrong.check("screen_name", draft::text(screen_name, MAX_VALUE_LEN));
        let scopes = wrong.merge(requested_scopes(scopes, &token.scopes));
        let scopes = wrong.or(scopes).map_err(IssueError::Invalid)?;
        Ok(RequestTokenState::Authorized {
            user_id: user_id.clone(),
            user_generation: self.active_generation(Some(user_id)).await?,
            screen_name: screen_name.clone(),
            verifier: verifier.clone(),
            scopes,
        })
    }

    fn new_request_token(
        &self,
        consumer: &Consumer,
        draft: &RequestTokenDraft,
    ) -> Result<RequestToken, IssueError> {
        let mut wrong = Violations::default();
        let callback = wrong.check("callback", callback::resolve(&draft.callback, consumer));
        let scopes = wrong.merge(requested_scopes(&draft.scopes, &consumer.scopes));
        let (callback, scopes) = wrong
            .or(callback.zip(scopes))
            .map_err(IssueError::Invalid)?;
        let now = self.clock.now();
        Ok(RequestToken {
            token: self.new_token()?,
            secret: random::secret(&*self.entropy),
            consumer_key: consumer.key.clone(),
            consumer_generation: consumer.generation,
            callback,
            scopes,
            state: RequestTokenState::Pending,
            wrong_verifiers: 0,
            created_at: now,
            expires_at: now.plus(self.terms.issue.request_token_ttl),
            revision: 1,
        })
    }

    fn verifier(&self, callback: &Callback) -> Secret {
        match callback {
            Callback::OutOfBand => random::digits(&*self.entropy),
            Callback::Uri(_) => random::secret(&*self.entropy),
        }
    }
}

/// Refuses a consumer that does not have `flow`.
pub(super) fn require_flow(consumer: &Consumer, flow: Flow) -> Result<(), IssueError> {
    if consumer.may(flow) {
        Ok(())
    } else {
        Err(IssueError::FlowNotAllowed {
            key: consumer.key.clone(),
            flow,
        })
    }
}

/// Refuses temporary credentials that were revoked together with all tokens of the consumer, or
/// belong to a deleted consumer with the same key.
pub(super) fn require_generation(
    token: &RequestToken,
    consumer: &Consumer,
) -> Result<(), IssueError> {
    if token.consumer_generation == consumer.generation {
        Ok(())
    } else {
        Err(IssueError::UnknownRequestToken(token.token.clone()))
    }
}

/// Reads the scopes of a request, each of which must be in `all`; an empty list stands for `all`.
pub(super) fn requested_scopes(list: &[String], all: &Scopes) -> Result<Scopes, Violations> {
    if list.is_empty() {
        return Ok(all.clone());
    }
    let mut wrong = Violations::default();
    let scopes = draft::scopes(list, &mut wrong);
    let scopes = wrong.or(Some(scopes))?;
    draft::require_scopes(&scopes, all).map(|()| scopes)
}

/// Returns the verifier as text: it was generated here, and is ASCII.
fn as_text(verifier: &Secret) -> Cow<'_, str> {
    String::from_utf8_lossy(verifier.expose())
}

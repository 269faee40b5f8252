//! Temporary credentials: asking for them, and what the user says to it (RFC 5849 sections 2.1 and 2.2).
//!
//! `exchange` is what comes after.

use std::borrow::Cow;

use super::audit::{Event, Subject, audited};
use super::tokens::active;
use super::{ATTEMPTS, Actor, IssueError, Issuer, Violations, callback, draft, random, replaced};
use crate::model::{
    AccessToken, Callback, Consumer, ConsumerKey, Flow, MAX_VALUE_LEN, RequestToken,
    RequestTokenState, Scopes, Secret, Token, UserId,
};

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
    /// `callback` is one of the consumer's, with any query added to it, or `oob`; that is the one URI that a consumer
    /// registered, if it registered just that.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the fields `callback` and `scopes`, [`IssueError::UnknownConsumer`],
    /// [`IssueError::ConsumerDisabled`], [`IssueError::FlowNotAllowed`], [`IssueError::Store`].
    pub async fn create_request_token(
        &self,
        draft: &RequestTokenDraft,
        actor: &Actor,
    ) -> Result<RequestToken, IssueError> {
        let consumer = self.consumer(&draft.consumer_key).await?;
        may(active(&consumer)?, Flow::ThreeLegged)?;
        let mut wrong = Violations::default();
        let callback = wrong.check("callback", callback::resolve(&draft.callback, &consumer));
        let scopes = wrong.merge(asked_scopes(&draft.scopes, &consumer.scopes));
        let (callback, scopes) = wrong
            .or(callback.zip(scopes))
            .map_err(IssueError::Invalid)?;
        let token = self.new_request_token(&consumer, callback, scopes)?;
        let event = event(actor, "request_token.create", (&token, None));
        audited(event, self.store.create_request_token(&token)).await?;
        Ok(token)
    }

    /// Temporary credentials and who asks with them, whatever their state.
    ///
    /// # Errors
    /// [`IssueError::UnknownRequestToken`], also when the consumer is gone, or no longer has the callback;
    /// [`IssueError::Store`].
    pub async fn asking(&self, name: &Token) -> Result<Asking, IssueError> {
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
        Ok(Asking {
            request_token,
            consumer,
        })
    }

    /// Notes that a user, who was authenticated, allows what is asked for. The verifier is long and random where it is sent
    /// along, and eight digits where the user has to type it.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the fields `screen_name` and `scopes`, [`IssueError::UnknownRequestToken`],
    /// [`IssueError::RequestTokenExpired`], [`IssueError::RequestTokenDecided`], [`IssueError::ConsumerDisabled`],
    /// [`IssueError::UserDisabled`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn authorize(
        &self,
        name: &Token,
        consent: &Consent,
        actor: &Actor,
    ) -> Result<Authorized, IssueError> {
        let decided = self.decide(name, Some(consent), actor).await?;
        match &decided.state {
            RequestTokenState::Authorized { verifier, .. } => Ok(Authorized {
                redirect: callback::allowed(&decided.callback, name.as_str(), &as_text(verifier)),
                verifier: verifier.clone(),
            }),
            RequestTokenState::Pending | RequestTokenState::Refused | RequestTokenState::Used => {
                Err(IssueError::Conflict)
            }
        }
    }

    /// Notes that the user refused, and returns where to send the browser, if anywhere.
    ///
    /// # Errors
    /// As [`authorize`](Self::authorize), but for what is about the user.
    pub async fn refuse(&self, name: &Token, actor: &Actor) -> Result<Option<String>, IssueError> {
        let decided = self.decide(name, None, actor).await?;
        Ok(callback::refused(&decided.callback, name.as_str()))
    }

    /// Notes what the user said, to temporary credentials that nothing was said about; `None` is a refusal.
    async fn decide(
        &self,
        name: &Token,
        consent: Option<&Consent>,
        actor: &Actor,
    ) -> Result<RequestToken, IssueError> {
        let action = if consent.is_some() {
            "request_token.authorize"
        } else {
            "request_token.refuse"
        };
        for _ in 0..ATTEMPTS {
            let asking = self.asking(name).await?;
            self.check_undecided(&asking)?;
            let state = match consent {
                Some(consent) => self.allowed(&asking, consent).await?,
                None => RequestTokenState::Refused,
            };
            let mut decided = asking.request_token;
            decided.state = state;
            decided.revision += 1;
            let event = event(
                actor,
                action,
                (&decided, consent.map(|consent| &consent.user_id)),
            );
            if replaced(audited(event, self.store.update_request_token(&decided)).await)? {
                return Ok(decided);
            }
        }
        Err(IssueError::Conflict)
    }

    async fn allowed(
        &self,
        asking: &Asking,
        consent: &Consent,
    ) -> Result<RequestTokenState, IssueError> {
        let Consent {
            user_id,
            screen_name,
            scopes,
        } = consent;
        let mut wrong = Violations::default();
        wrong.check("screen_name", draft::text(screen_name, MAX_VALUE_LEN));
        let scopes = wrong.merge(asked_scopes(scopes, &asking.request_token.scopes));
        let scopes = wrong.or(scopes).map_err(IssueError::Invalid)?;
        let user_generation = self.active_user(Some(user_id)).await?;
        let verifier = self.verifier(&asking.request_token.callback);
        let (user_id, screen_name) = (user_id.clone(), screen_name.clone());
        Ok(RequestTokenState::Authorized {
            user_id,
            user_generation,
            screen_name,
            verifier,
            scopes,
        })
    }

    fn check_undecided(&self, asking: &Asking) -> Result<(), IssueError> {
        let Asking {
            request_token,
            consumer,
        } = asking;
        check_generation(request_token, consumer)?;
        active(consumer)?;
        if request_token.is_expired(self.clock.now()) {
            return Err(IssueError::RequestTokenExpired);
        }
        if request_token.state == RequestTokenState::Pending {
            Ok(())
        } else {
            Err(IssueError::RequestTokenDecided)
        }
    }

    fn new_request_token(
        &self,
        consumer: &Consumer,
        callback: Callback,
        scopes: Scopes,
    ) -> Result<RequestToken, IssueError> {
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

    /// A name that nobody can guess.
    pub(super) fn new_token(&self) -> Result<Token, IssueError> {
        let name = Token::new(random::identifier(&*self.entropy));
        name.map_err(|problem| IssueError::Invalid(Violations::of("token", problem)))
    }

    fn verifier(&self, callback: &Callback) -> Secret {
        match callback {
            Callback::OutOfBand => random::digits(&*self.entropy),
            Callback::Uri(_) => random::secret(&*self.entropy),
        }
    }
}

/// Whether a consumer may obtain credentials in that way.
pub(super) fn may(consumer: &Consumer, flow: Flow) -> Result<(), IssueError> {
    if consumer.may(flow) {
        Ok(())
    } else {
        Err(IssueError::FlowNotAllowed {
            key: consumer.key.clone(),
            flow,
        })
    }
}

/// Temporary credentials that were revoked with all of their consumer's, or are of an earlier consumer of that key, are
/// gone.
pub(super) fn check_generation(
    token: &RequestToken,
    consumer: &Consumer,
) -> Result<(), IssueError> {
    if token.consumer_generation == consumer.generation {
        Ok(())
    } else {
        Err(IssueError::UnknownRequestToken(token.token.clone()))
    }
}

/// The scopes of a request, each one of `all`; none is all of them.
pub(super) fn asked_scopes(list: &[String], all: &Scopes) -> Result<Scopes, Violations> {
    if list.is_empty() {
        return Ok(all.clone());
    }
    let mut wrong = Violations::default();
    let scopes = draft::scopes(list, &mut wrong);
    let scopes = wrong.or(Some(scopes))?;
    draft::within_scopes(&scopes, all).map(|()| scopes)
}

/// What becomes of temporary credentials.
pub(super) fn event<'a>(
    actor: &'a Actor,
    action: &'static str,
    (token, user): (&'a RequestToken, Option<&'a UserId>),
) -> Event<'a> {
    let consumer_key = Some(token.consumer_key.as_str());
    let subject = Subject {
        consumer_key,
        token: Some(token.token.as_str()),
        user_id: user.map(UserId::as_str),
    };
    Event {
        actor,
        action,
        subject,
    }
}

/// A verifier is of ASCII: it was made here.
fn as_text(verifier: &Secret) -> Cow<'_, str> {
    String::from_utf8_lossy(verifier.expose())
}

//! Access tokens: issuing by an administrator, showing, revoking.

use std::collections::HashMap;

use super::audit::{Event, Subject, audited};
use super::{ATTEMPTS, Actor, Created, IssueError, Issuer, TokenDraft, draft, replaced};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, Generation, Token, TokenState, TokenStatus, UserId,
    UserStanding, UserStatus,
};
use crate::store::{StoreErrorKind, TokenHolder};

/// A token, and what it is good for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownToken {
    /// The token.
    pub token: AccessToken,
    /// What it is good for, also by its consumer's and its user's doing; that a consumer is gone counts as revoked.
    pub state: TokenState,
}

/// What is known of a token (RFC 7662).
#[derive(Clone, Debug, Default)]
pub struct Introspection {
    /// The token, unless it is unknown.
    pub token: Option<ShownToken>,
    /// Its consumer, unless that is gone.
    pub consumer: Option<Consumer>,
}

impl Issuer {
    /// Issues a token to an existing consumer; token and secret are made unless the draft has them. Of a draft that only
    /// checks, what was made means nothing.
    ///
    /// The consumer's flows do not bind an administrator; its scopes do. A user of whom nothing is kept is taken at the
    /// administrator's word.
    ///
    /// # Errors
    /// [`IssueError::Invalid`], [`IssueError::UnknownConsumer`], [`IssueError::ConsumerDisabled`],
    /// [`IssueError::UserDisabled`], [`IssueError::TokenExists`], [`IssueError::Store`].
    pub async fn create_token(
        &self,
        draft: &TokenDraft,
        actor: &Actor,
    ) -> Result<Created<AccessToken>, IssueError> {
        let mut token = draft
            .to_token(self.clock.now(), &*self.entropy)
            .map_err(IssueError::Invalid)?;
        let consumer = self.consumer(&token.consumer_key).await?;
        if (draft.allow_existing || draft.validate_only)
            && let Some(stored) = self.store.token(&token.token).await?
        {
            return existing(draft, &token, stored);
        }
        draft::within_scopes(&token.scopes, &consumer.scopes).map_err(IssueError::Invalid)?;
        token.consumer_generation = active(&consumer)?.generation;
        token.user_generation = self.active_user(token.user_id.as_ref()).await?;
        if draft.validate_only {
            return Ok(Created {
                record: token,
                existed: false,
            });
        }
        let created = audited(
            event(actor, "token.create", &token),
            self.store.create_token(&token),
        )
        .await;
        match created {
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {
                match self.store.token(&token.token).await? {
                    Some(stored) => return existing(draft, &token, stored),
                    None => return Err(IssueError::Conflict),
                }
            }
            created => created?,
        }
        Ok(Created {
            record: token,
            existed: false,
        })
    }

    /// The token of that name.
    ///
    /// # Errors
    /// [`IssueError::UnknownToken`], [`IssueError::Store`].
    pub async fn token(&self, token: &Token) -> Result<AccessToken, IssueError> {
        self.store
            .token(token)
            .await?
            .ok_or_else(|| IssueError::UnknownToken(token.clone()))
    }

    /// Revokes a token for good. One that is revoked already is left as it is.
    ///
    /// `consumer` is a safeguard: a token of another consumer is unknown then.
    ///
    /// # Errors
    /// [`IssueError::UnknownToken`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn revoke_token(
        &self,
        name: &Token,
        consumer: Option<&ConsumerKey>,
        actor: &Actor,
    ) -> Result<AccessToken, IssueError> {
        for _ in 0..ATTEMPTS {
            let mut token = self.token(name).await?;
            if consumer.is_some_and(|key| *key != token.consumer_key) {
                return Err(IssueError::UnknownToken(name.clone()));
            }
            if token.status == TokenStatus::Revoked {
                return Ok(token);
            }
            token.status = TokenStatus::Revoked;
            token.revision += 1;
            let event = event(actor, "token.revoke", &token);
            if replaced(audited(event, self.store.update_token(&token)).await)? {
                return Ok(token);
            }
        }
        Err(IssueError::Conflict)
    }

    /// A token, and what it is good for now.
    ///
    /// # Errors
    /// [`IssueError::UnknownToken`], [`IssueError::Store`].
    pub async fn show_token(&self, name: &Token) -> Result<ShownToken, IssueError> {
        Ok(self.shown(self.token(name).await?).await?.0)
    }

    /// What is known of a token; an unknown one is no error.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn introspect(&self, name: &Token) -> Result<Introspection, IssueError> {
        let Some(token) = self.store.token(name).await? else {
            return Ok(Introspection::default());
        };
        let (shown, consumer) = self.shown(token).await?;
        Ok(Introspection {
            token: Some(shown),
            consumer,
        })
    }

    /// The tokens of a consumer or a user in the byte order of their names, at most `limit`, only those after `after`.
    ///
    /// # Errors
    /// [`IssueError::Store`].
    pub async fn tokens(
        &self,
        holder: TokenHolder<'_>,
        after: Option<&Token>,
        limit: usize,
    ) -> Result<Vec<ShownToken>, IssueError> {
        let tokens = self.store.tokens(holder, after, limit).await?;
        let (mut consumers, mut users) = (HashMap::new(), HashMap::new());
        for token in &tokens {
            if !consumers.contains_key(&token.consumer_key) {
                consumers.insert(
                    token.consumer_key.clone(),
                    self.store.consumer(&token.consumer_key).await?,
                );
            }
            if let Some(id) = token.user_id.as_ref().filter(|id| !users.contains_key(*id)) {
                users.insert(id.clone(), self.standing(id).await?);
            }
        }
        let show = |token: AccessToken| {
            let consumer = consumers.get(&token.consumer_key).and_then(Option::as_ref);
            let user = token
                .user_id
                .as_ref()
                .and_then(|id| users.get(id))
                .copied()
                .unwrap_or_default();
            let state = self.state(&token, consumer, user);
            ShownToken { token, state }
        };
        Ok(tokens.into_iter().map(show).collect())
    }

    /// Revokes every token of a consumer, its temporary credentials too, or of a user, by drawing a new generation. Of a
    /// user of whom nothing is kept, the standing is from now on.
    ///
    /// # Errors
    /// [`IssueError::UnknownConsumer`], [`IssueError::Conflict`], [`IssueError::Store`].
    pub async fn revoke_tokens(
        &self,
        holder: TokenHolder<'_>,
        actor: &Actor,
    ) -> Result<(), IssueError> {
        match holder {
            TokenHolder::Consumer(key) => {
                let revoke = |consumer: &mut Consumer| {
                    consumer.generation = Generation::draw(&*self.entropy);
                    Ok(true)
                };
                self.change_consumer(key, None, revoke, (actor, "consumer.revoke_tokens"))
                    .await?;
                Ok(())
            }
            TokenHolder::User(id) => self.revoke_user_tokens(id, actor).await,
        }
    }

    /// The standing of a user; the default of one of whom nothing is kept.
    pub(super) async fn standing(&self, id: &UserId) -> Result<UserStanding, IssueError> {
        Ok(self
            .store
            .user(id)
            .await?
            .map(|user| user.standing())
            .unwrap_or_default())
    }

    /// The generation for a token that acts for `user`, or for nobody.
    pub(super) async fn active_user(
        &self,
        user: Option<&UserId>,
    ) -> Result<Generation, IssueError> {
        let Some(id) = user else {
            return Ok(Generation::default());
        };
        let standing = self.standing(id).await?;
        if standing.status == UserStatus::Active {
            Ok(standing.generation)
        } else {
            Err(IssueError::UserDisabled)
        }
    }

    async fn shown(
        &self,
        token: AccessToken,
    ) -> Result<(ShownToken, Option<Consumer>), IssueError> {
        let consumer = self.store.consumer(&token.consumer_key).await?;
        let user = match &token.user_id {
            Some(id) => self.standing(id).await?,
            None => UserStanding::default(),
        };
        let state = self.state(&token, consumer.as_ref(), user);
        Ok((ShownToken { token, state }, consumer))
    }

    fn state(
        &self,
        token: &AccessToken,
        consumer: Option<&Consumer>,
        user: UserStanding,
    ) -> TokenState {
        consumer.map_or(TokenState::Revoked, |consumer| {
            token.state(consumer, user, self.clock.now())
        })
    }
}

/// A consumer that may be given credentials.
pub(super) fn active(consumer: &Consumer) -> Result<&Consumer, IssueError> {
    if consumer.is_active() {
        Ok(consumer)
    } else {
        Err(IssueError::ConsumerDisabled(consumer.key.clone()))
    }
}

/// What is answered where the name is taken.
fn existing(
    draft: &TokenDraft,
    asked: &AccessToken,
    stored: AccessToken,
) -> Result<Created<AccessToken>, IssueError> {
    let same = draft.token_secret.as_ref() == Some(&stored.secret)
        && asked.consumer_key == stored.consumer_key
        && asked.user_id == stored.user_id
        && asked.scopes == stored.scopes
        && draft.expiry.is_of(&stored);
    if draft.allow_existing && same {
        return Ok(Created {
            record: stored,
            existed: true,
        });
    }
    Err(IssueError::TokenExists(stored.token))
}

/// What is done to a token.
pub(super) fn event<'a>(
    actor: &'a Actor,
    action: &'static str,
    token: &'a AccessToken,
) -> Event<'a> {
    let user_id = token.user_id.as_ref().map(UserId::as_str);
    let subject = Subject {
        consumer_key: Some(token.consumer_key.as_str()),
        token: Some(token.token.as_str()),
        user_id,
    };
    Event {
        actor,
        action,
        subject,
    }
}

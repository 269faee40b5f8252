//! What consumers obtain tokens with: authorized temporary credentials (RFC 5849 section 2.3), or a user's name and
//! password (xAuth).

use super::audit::audited;
use super::request_tokens::{asked_scopes, check_generation, event, may};
use super::tokens::active;
use super::{ATTEMPTS, Actor, Asking, IssueError, Issued, Issuer, Login, random, replaced, tokens};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, Flow, Generation, RequestToken, RequestTokenState, Scopes,
    Secret, Token, TokenStatus, UserId,
};
use crate::store::StoreErrorKind;

impl Issuer {
    /// Exchanges authorized temporary credentials, exactly once. A wrong verifier is counted; the fifth refuses them for
    /// good.
    ///
    /// Of calls that race, each that is told that its verifier is wrong was counted.
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
        for _ in 0..ATTEMPTS {
            let Asking {
                request_token,
                consumer,
            } = self.asking(name).await?;
            let grant = self.grant(consumer_key, &request_token, &consumer)?;
            if grant.verifier != *verifier {
                if self.count_wrong_verifier(request_token, actor).await? {
                    return Err(IssueError::VerifierRefused);
                }
                continue;
            }
            if self.active_user(Some(&grant.user_id)).await? != grant.user_generation {
                return Err(IssueError::RequestTokenRefused);
            }
            let token = self.new_access_token(
                &consumer,
                (&grant.user_id, grant.user_generation),
                grant.scopes,
            )?;
            if self.use_up(request_token, &token, actor).await? {
                return Ok(Issued {
                    token,
                    screen_name: grant.screen_name,
                });
            }
        }
        Err(IssueError::Conflict)
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
        let consumer = self.consumer(&login.consumer_key).await?;
        may(active(&consumer)?, Flow::XAuth)?;
        let scopes = asked_scopes(scopes, &consumer.scopes).map_err(IssueError::Invalid)?;
        let user = self.log_in(login).await?;
        let generation = self.active_user(Some(&user.id)).await?;
        for _ in 0..ATTEMPTS {
            let token = self.new_access_token(&consumer, (&user.id, generation), scopes.clone())?;
            let event = tokens::event(actor, "token.exchange_password", &token);
            match audited(event, self.store.create_token(&token)).await {
                Err(error) if error.kind() == StoreErrorKind::AlreadyExists => {}
                created => {
                    created?;
                    return Ok(Issued {
                        token,
                        screen_name: user.screen_name,
                    });
                }
            }
        }
        Err(IssueError::Conflict)
    }

    /// What temporary credentials are good for when `consumer_key` shows them, its verifier not looked at yet.
    fn grant(
        &self,
        consumer_key: &ConsumerKey,
        request_token: &RequestToken,
        consumer: &Consumer,
    ) -> Result<Grant, IssueError> {
        if request_token.consumer_key != *consumer_key {
            return Err(IssueError::UnknownRequestToken(request_token.token.clone()));
        }
        check_generation(request_token, consumer)?;
        may(active(consumer)?, Flow::ThreeLegged)?;
        if request_token.state == RequestTokenState::Used {
            return Err(IssueError::RequestTokenUsed);
        }
        if request_token.is_expired(self.clock.now()) {
            return Err(IssueError::RequestTokenExpired);
        }
        match request_token.state.clone() {
            RequestTokenState::Pending => Err(IssueError::RequestTokenUndecided),
            RequestTokenState::Refused => Err(IssueError::RequestTokenRefused),
            RequestTokenState::Used => Err(IssueError::RequestTokenUsed),
            RequestTokenState::Authorized {
                user_id,
                user_generation,
                screen_name,
                verifier,
                scopes,
            } => {
                let scopes = scopes.intersection(&consumer.scopes);
                Ok(Grant {
                    user_id,
                    user_generation,
                    screen_name,
                    verifier,
                    scopes,
                })
            }
        }
    }

    /// Counts a wrong verifier; `false` when somebody else was faster, and it has to be looked at again.
    async fn count_wrong_verifier(
        &self,
        mut token: RequestToken,
        actor: &Actor,
    ) -> Result<bool, IssueError> {
        token.wrong_verifiers += 1;
        if token.wrong_verifiers >= MAX_WRONG_VERIFIERS {
            token.state = RequestTokenState::Refused;
        }
        token.revision += 1;
        let event = event(actor, "request_token.wrong_verifier", (&token, None));
        Ok(replaced(
            audited(event, self.store.update_request_token(&token)).await,
        )?)
    }

    /// Exchanges temporary credentials for `issued`; `false` when somebody else was faster, or the token's name is taken.
    async fn use_up(
        &self,
        mut used: RequestToken,
        issued: &AccessToken,
        actor: &Actor,
    ) -> Result<bool, IssueError> {
        used.state = RequestTokenState::Used;
        used.revision += 1;
        let event = tokens::event(actor, "token.exchange", issued);
        match audited(event, self.store.exchange_request_token(&used, issued)).await {
            Err(error) if error.kind() == StoreErrorKind::AlreadyExists => Ok(false),
            outcome => Ok(replaced(outcome)?),
        }
    }

    fn new_access_token(
        &self,
        consumer: &Consumer,
        (user, user_generation): (&UserId, Generation),
        scopes: Scopes,
    ) -> Result<AccessToken, IssueError> {
        let now = self.clock.now();
        Ok(AccessToken {
            token: self.new_token()?,
            secret: random::secret(&*self.entropy),
            consumer_key: consumer.key.clone(),
            user_id: Some(user.clone()),
            scopes,
            consumer_generation: consumer.generation,
            user_generation,
            status: TokenStatus::Active,
            expires_at: self.terms.issue.access_token_ttl.map(|ttl| now.plus(ttl)),
            created_at: now,
            revision: 1,
        })
    }
}

/// What a user gave.
struct Grant {
    user_id: UserId,
    user_generation: Generation,
    screen_name: String,
    verifier: Secret,
    scopes: Scopes,
}

/// With eight digits, one chance in twenty million.
const MAX_WRONG_VERIFIERS: u32 = 5;

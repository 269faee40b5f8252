//! The exchanges by which consumers obtain tokens: of authorized temporary credentials (RFC 5849
//! section 2.3), and of a user's name and password (xAuth).

use super::audit::{AuditEvent, audited};
use super::request_tokens::{requested_scopes, require_flow, require_generation};
use super::tokens::require_active;
use super::{
    ATTEMPTS, Actor, AuthorizationRequest, IssueError, IssuedToken, Issuer, Login, pin, random,
    replaced, written,
};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, Flow, Generation, RequestToken, RequestTokenState, Scopes,
    Secret, Token, TokenStatus, UserId,
};

/// The access that a user granted to a consumer.
struct UserGrant {
    user_id: UserId,
    user_generation: Generation,
    scopes: Scopes,
}

/// The access that authorized temporary credentials stand for, until the verifier proves it.
struct RequestTokenGrant {
    verifier: Secret,
    screen_name: String,
    user: UserGrant,
}

impl Issuer {
    /// Exchanges authorized temporary credentials, exactly once.
    ///
    /// A user may have typed a PIN in groups, as the page shows it. The fifth wrong verifier refuses
    /// the credentials permanently. Of concurrent calls, each that returns
    /// [`IssueError::VerifierRefused`] was counted.
    ///
    /// # Errors
    /// [`IssueError::UnknownRequestToken`], the `RequestToken…` ones,
    /// [`IssueError::VerifierRefused`], [`IssueError::ConsumerDisabled`],
    /// [`IssueError::FlowNotAllowed`], [`IssueError::UserDisabled`], [`IssueError::Conflict`],
    /// [`IssueError::Store`].
    pub async fn exchange_request_token(
        &self,
        consumer_key: &ConsumerKey,
        name: &Token,
        verifier: &Secret,
        actor: &Actor,
    ) -> Result<IssuedToken, IssueError> {
        for _ in 0..ATTEMPTS {
            let AuthorizationRequest {
                request_token,
                consumer,
            } = self.authorization_request(name).await?;
            let grant = self.grant(consumer_key, &request_token, &consumer)?;
            if grant.verifier != *pin::typed(&request_token.callback, verifier) {
                if self.count_wrong_verifier(request_token, actor).await? {
                    return Err(IssueError::VerifierRefused);
                }
                continue;
            }
            let token = self.granted_token(&consumer, grant.user).await?;
            if self.consume(request_token, &token, actor).await? {
                let screen_name = grant.screen_name;
                return Ok(IssuedToken { token, screen_name });
            }
        }
        Err(IssueError::Conflict)
    }

    /// Exchanges a user's name and password for a token (xAuth). An empty `scopes` stands for all
    /// scopes of the consumer.
    ///
    /// # Errors
    /// [`IssueError::Invalid`] with the field `scopes`, [`IssueError::UnknownConsumer`],
    /// [`IssueError::ConsumerDisabled`], [`IssueError::FlowNotAllowed`], and those of
    /// [`log_in`](Self::log_in).
    pub async fn exchange_password(
        &self,
        login: &Login,
        scopes: &[String],
        actor: &Actor,
    ) -> Result<IssuedToken, IssueError> {
        let consumer = self.consumer(&login.consumer_key).await?;
        require_flow(require_active(&consumer)?, Flow::XAuth)?;
        let scopes = requested_scopes(scopes, &consumer.scopes).map_err(IssueError::Invalid)?;
        let user = self.log_in(login).await?;
        let grant = UserGrant {
            user_generation: self.active_generation(Some(&user.id)).await?,
            user_id: user.id,
            scopes,
        };
        for _ in 0..ATTEMPTS {
            let token = self.new_access_token(&consumer, &grant)?;
            let event = AuditEvent::of_token(actor, "token.exchange_password", &token);
            if written(audited(event, self.store.create_token(&token)).await)? {
                let screen_name = user.screen_name;
                return Ok(IssuedToken { token, screen_name });
            }
        }
        Err(IssueError::Conflict)
    }

    /// Returns the grant of temporary credentials that `consumer_key` presents; the verifier is not
    /// checked yet.
    fn grant(
        &self,
        consumer_key: &ConsumerKey,
        request_token: &RequestToken,
        consumer: &Consumer,
    ) -> Result<RequestTokenGrant, IssueError> {
        if request_token.consumer_key != *consumer_key {
            return Err(IssueError::UnknownRequestToken(request_token.token.clone()));
        }
        require_generation(request_token, consumer)?;
        require_flow(require_active(consumer)?, Flow::ThreeLegged)?;
        let is_expired = request_token.is_expired(self.clock.now());
        match &request_token.state {
            RequestTokenState::Used => Err(IssueError::RequestTokenUsed),
            _ if is_expired => Err(IssueError::RequestTokenExpired),
            RequestTokenState::Pending => Err(IssueError::RequestTokenUndecided),
            RequestTokenState::Refused => Err(IssueError::RequestTokenRefused),
            RequestTokenState::Authorized {
                user_id,
                user_generation,
                screen_name,
                verifier,
                scopes,
            } => Ok(RequestTokenGrant {
                verifier: verifier.clone(),
                screen_name: screen_name.clone(),
                user: UserGrant {
                    user_id: user_id.clone(),
                    user_generation: *user_generation,
                    scopes: scopes.intersection(&consumer.scopes),
                },
            }),
        }
    }

    /// Returns the token of a proven grant, unless the user's tokens were revoked since.
    async fn granted_token(
        &self,
        consumer: &Consumer,
        grant: UserGrant,
    ) -> Result<AccessToken, IssueError> {
        let current = self.active_generation(Some(&grant.user_id)).await?;
        if current != grant.user_generation {
            return Err(IssueError::RequestTokenRefused);
        }
        self.new_access_token(consumer, &grant)
    }

    /// Counts a wrong verifier. Returns false if another change was faster, and the verifier must
    /// be checked again.
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
        let event = AuditEvent::of_request_token(actor, "request_token.wrong_verifier", &token);
        let outcome = audited(event, self.store.update_request_token(&token)).await;
        Ok(replaced(outcome)?)
    }

    /// Exchanges temporary credentials for `issued`. Returns false if another change was faster, or
    /// the name of the token is taken.
    async fn consume(
        &self,
        mut used: RequestToken,
        issued: &AccessToken,
        actor: &Actor,
    ) -> Result<bool, IssueError> {
        used.state = RequestTokenState::Used;
        used.revision += 1;
        let event = AuditEvent::of_token(actor, "token.exchange", issued);
        let outcome = audited(event, self.store.exchange_request_token(&used, issued)).await;
        Ok(written(outcome)?)
    }

    fn new_access_token(
        &self,
        consumer: &Consumer,
        grant: &UserGrant,
    ) -> Result<AccessToken, IssueError> {
        let now = self.clock.now();
        Ok(AccessToken {
            token: self.new_token()?,
            secret: random::secret(&*self.entropy),
            consumer_key: consumer.key.clone(),
            user_id: Some(grant.user_id.clone()),
            scopes: grant.scopes.clone(),
            consumer_generation: consumer.generation,
            user_generation: grant.user_generation,
            status: TokenStatus::Active,
            expires_at: self.terms.issue.access_token_ttl.map(|ttl| now.plus(ttl)),
            created_at: now,
            revision: 1,
        })
    }
}

/// With a verifier of eight digits, five guesses succeed once in twenty million attempts.
const MAX_WRONG_VERIFIERS: u32 = 5;

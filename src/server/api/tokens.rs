//! `countersign.v1.TokenService`; the calls that lead to a token by a user's decision are in `request_tokens`.

use tonic::{Request, Response, Status};

use super::convert::{
    introspection_message, shown, shown_token_message, token_draft, token_message,
};
use super::fields::Fields;
use super::page::{Asked, Page};
use super::{errors, gate, request_tokens};
use crate::issue::{Created, Issuer};
use crate::model::{ConsumerKey, Token, UserId};
use crate::store::TokenHolder;
use crate::v1;
use crate::v1::token_service_server::TokenService;
use crate::v1::{list_tokens_request, revoke_tokens_request};

#[derive(Clone, Debug)]
pub(super) struct Tokens {
    issuer: Issuer,
}

#[tonic::async_trait]
impl TokenService for Tokens {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        let draft = token_draft(request.into_inner()).map_err(|wrong| errors::invalid(&wrong))?;
        let created = self.issuer.create_token(&draft, &actor).await;
        let Created {
            record: token,
            existed,
        } = created.map_err(|error| errors::of_draft(error, "token", &["token_secret", "ttl"]))?;
        let (mut token_secret, mut token) = (shown(&token.secret), token_message(&token));
        if draft.validate_only && !existed {
            token.etag.clear();
            if draft.token.is_none() {
                token.token.clear();
            }
            if draft.token_secret.is_none() {
                token_secret.clear();
            }
        }
        Ok(Response::new(v1::CreateTokenResponse {
            token: Some(token),
            token_secret,
            existed,
        }))
    }

    async fn get_token(
        &self,
        request: Request<v1::GetTokenRequest>,
    ) -> Result<Response<v1::Token>, Status> {
        let shown = self
            .issuer
            .show_token(&name(&request.get_ref().token)?)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(shown_token_message(&shown)))
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let v1::ListTokensRequest {
            holder,
            page_size,
            page_token,
        } = request.into_inner();
        let mut fields = Fields::default();
        let holder = Holder::parse(&mut fields, holder.map(Asking::from));
        let list = holder.as_ref().map(Holder::list).unwrap_or_default();
        let page = Page::parse(
            &mut fields,
            Asked {
                size: page_size,
                token: &page_token,
            },
            &list,
            Token::new,
        );
        let (holder, page) = fields.all(holder.zip(page))?;
        let found = self
            .issuer
            .tokens(holder.as_store(), page.after.as_ref(), page.limit())
            .await;
        let (tokens, next_page_token) = page.cut(found.map_err(errors::status)?, |last| {
            last.token.token.as_str()
        });
        let tokens = tokens.iter().map(shown_token_message).collect();
        Ok(Response::new(v1::ListTokensResponse {
            tokens,
            next_page_token,
        }))
    }

    async fn introspect_token(
        &self,
        request: Request<v1::IntrospectTokenRequest>,
    ) -> Result<Response<v1::IntrospectTokenResponse>, Status> {
        let found = self
            .issuer
            .introspect(&name(&request.get_ref().token)?)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(introspection_message(&found)))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::Token>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::RevokeTokenRequest {
            token,
            consumer_key,
        } = request.get_ref();
        let mut fields = Fields::default();
        let token = fields.take("token", Token::new(token.as_str()));
        let consumer = fields.optional("consumer_key", consumer_key, ConsumerKey::new);
        let (token, consumer) = fields.all(token.zip(consumer))?;
        let revoked = self
            .issuer
            .revoke_token(&token, consumer.as_ref(), &actor)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(token_message(&revoked)))
    }

    async fn revoke_tokens(
        &self,
        request: Request<v1::RevokeTokensRequest>,
    ) -> Result<Response<v1::RevokeTokensResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        let mut fields = Fields::default();
        let holder = Holder::parse(&mut fields, request.into_inner().holder.map(Asking::from));
        let holder = fields.all(holder)?;
        self.issuer
            .revoke_tokens(holder.as_store(), &actor)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(v1::RevokeTokensResponse {}))
    }

    async fn exchange_password(
        &self,
        request: Request<v1::ExchangePasswordRequest>,
    ) -> Result<Response<v1::IssuedToken>, Status> {
        let actor = gate::actor(request.extensions())?;
        request_tokens::exchange_password(&self.issuer, request.into_inner(), &actor)
            .await
            .map(Response::new)
    }

    async fn create_request_token(
        &self,
        request: Request<v1::CreateRequestTokenRequest>,
    ) -> Result<Response<v1::CreateRequestTokenResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        request_tokens::create(&self.issuer, request.into_inner(), &actor)
            .await
            .map(Response::new)
    }

    async fn get_request_token(
        &self,
        request: Request<v1::GetRequestTokenRequest>,
    ) -> Result<Response<v1::RequestToken>, Status> {
        request_tokens::get(&self.issuer, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn authorize_request_token(
        &self,
        request: Request<v1::AuthorizeRequestTokenRequest>,
    ) -> Result<Response<v1::AuthorizeRequestTokenResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        request_tokens::authorize(&self.issuer, request.into_inner(), &actor)
            .await
            .map(Response::new)
    }

    async fn refuse_request_token(
        &self,
        request: Request<v1::RefuseRequestTokenRequest>,
    ) -> Result<Response<v1::RefuseRequestTokenResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        request_tokens::refuse(&self.issuer, request.get_ref(), &actor)
            .await
            .map(Response::new)
    }

    async fn exchange_request_token(
        &self,
        request: Request<v1::ExchangeRequestTokenRequest>,
    ) -> Result<Response<v1::IssuedToken>, Status> {
        let actor = gate::actor(request.extensions())?;
        request_tokens::exchange(&self.issuer, request.into_inner(), &actor)
            .await
            .map(Response::new)
    }
}

impl Tokens {
    pub(super) const fn new(issuer: Issuer) -> Self {
        Self { issuer }
    }
}

/// The required `token` of a request that has no other field to be wrong.
fn name(text: &str) -> Result<Token, Status> {
    let mut fields = Fields::default();
    let name = fields.take("token", Token::new(text));
    fields.all(name)
}

/// Whose tokens.
enum Holder {
    Consumer(ConsumerKey),
    User(UserId),
}

/// The same as it was sent.
enum Asking {
    Consumer(String),
    User(String),
}

// === impl Holder ===

impl Holder {
    fn parse(fields: &mut Fields, holder: Option<Asking>) -> Option<Self> {
        match holder {
            Some(Asking::Consumer(key)) => fields
                .take("consumer_key", ConsumerKey::new(key))
                .map(Self::Consumer),
            Some(Asking::User(id)) => fields.take("user_id", UserId::new(id)).map(Self::User),
            None => {
                fields.wrong("holder", "is required: consumer_key or user_id");
                None
            }
        }
    }

    /// What page tokens of the list are bound to.
    fn list(&self) -> String {
        match self {
            Self::Consumer(key) => format!("tokens of the consumer {key}"),
            Self::User(id) => format!("tokens of the user {id}"),
        }
    }

    const fn as_store(&self) -> TokenHolder<'_> {
        match self {
            Self::Consumer(key) => TokenHolder::Consumer(key),
            Self::User(id) => TokenHolder::User(id),
        }
    }
}

// === impl Asking ===

impl From<list_tokens_request::Holder> for Asking {
    fn from(holder: list_tokens_request::Holder) -> Self {
        match holder {
            list_tokens_request::Holder::ConsumerKey(key) => Self::Consumer(key),
            list_tokens_request::Holder::UserId(id) => Self::User(id),
        }
    }
}

impl From<revoke_tokens_request::Holder> for Asking {
    fn from(holder: revoke_tokens_request::Holder) -> Self {
        match holder {
            revoke_tokens_request::Holder::ConsumerKey(key) => Self::Consumer(key),
            revoke_tokens_request::Holder::UserId(id) => Self::User(id),
        }
    }
}

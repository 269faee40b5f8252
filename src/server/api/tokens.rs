//! `countersign.v1.TokenService`; `request_tokens` has the calls for temporary credentials and
//! exchanges.

use tonic::{Request, Response, Status};

use super::convert::{
    introspection_message, shown, token_draft, token_message, token_state_message,
};
use super::fields::Fields;
use super::page::{Page, PageRequest};
use super::{errors, gate, request_tokens};
use crate::issue::{CreateOutcome, Issuer, TokenDraft};
use crate::model::{AccessToken, ConsumerKey, Token, UserId};
use crate::store::TokenHolder;
use crate::v1;
use crate::v1::token_service_server::TokenService;
use crate::v1::{list_tokens_request, revoke_tokens_request};

/// The token service: messages in, calls of the [`Issuer`], messages out.
#[derive(Clone, Debug)]
pub(super) struct TokenApi {
    issuer: Issuer,
}

#[tonic::async_trait]
impl TokenService for TokenApi {
    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let actor = gate::actor(request.extensions())?;
        let draft = token_draft(request.into_inner()).map_err(|wrong| errors::invalid(&wrong))?;
        let outcome = self.issuer.create_token(&draft, &actor).await;
        let outcome =
            outcome.map_err(|error| errors::of_draft(error, "token", &["token_secret", "ttl"]))?;
        Ok(Response::new(create_response(&outcome, &draft)))
    }

    async fn get_token(
        &self,
        request: Request<v1::GetTokenRequest>,
    ) -> Result<Response<v1::Token>, Status> {
        let shown = self
            .issuer
            .token_with_state(&name(&request.get_ref().token)?)
            .await
            .map_err(errors::status)?;
        Ok(Response::new(token_state_message(&shown)))
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
        let holder = HolderName::parse(&mut fields, holder.map(HolderField::from));
        let list = holder.as_ref().map(HolderName::list).unwrap_or_default();
        let page = Page::parse(
            &mut fields,
            PageRequest {
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
        let tokens = tokens.iter().map(token_state_message).collect();
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
            .introspect_token(&name(&request.get_ref().token)?)
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
        let holder = HolderName::parse(
            &mut fields,
            request.into_inner().holder.map(HolderField::from),
        );
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

impl TokenApi {
    pub(super) const fn new(issuer: Issuer) -> Self {
        Self { issuer }
    }
}

/// Returns the response to CreateToken. A response that only validates has no generated values.
fn create_response(
    outcome: &CreateOutcome<AccessToken>,
    draft: &TokenDraft,
) -> v1::CreateTokenResponse {
    let CreateOutcome { record, existed } = outcome;
    let is_imaginary = draft.validate_only && !existed;
    let (mut token_secret, mut token) = (shown(&record.secret), token_message(record));
    if is_imaginary {
        token.etag.clear();
    }
    if is_imaginary && draft.token.is_none() {
        token.token.clear();
    }
    if is_imaginary && draft.token_secret.is_none() {
        token_secret.clear();
    }
    v1::CreateTokenResponse {
        token: Some(token),
        token_secret,
        existed: *existed,
    }
}

/// Reads the only required field of a request, `token`.
fn name(text: &str) -> Result<Token, Status> {
    let mut fields = Fields::default();
    let name = fields.take("token", Token::new(text));
    fields.all(name)
}

/// The checked holder of a list of tokens: a consumer or a user.
enum HolderName {
    Consumer(ConsumerKey),
    User(UserId),
}

/// The holder in a request, unchecked.
enum HolderField {
    Consumer(String),
    User(String),
}

// === impl HolderName ===

impl HolderName {
    fn parse(fields: &mut Fields, holder: Option<HolderField>) -> Option<Self> {
        match holder {
            Some(HolderField::Consumer(key)) => fields
                .take("consumer_key", ConsumerKey::new(key))
                .map(Self::Consumer),
            Some(HolderField::User(id)) => fields.take("user_id", UserId::new(id)).map(Self::User),
            None => {
                fields.wrong("holder", "is required: consumer_key or user_id");
                None
            }
        }
    }

    /// Returns the name of the list, which page tokens are bound to.
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

// === impl HolderField ===

impl From<list_tokens_request::Holder> for HolderField {
    fn from(holder: list_tokens_request::Holder) -> Self {
        match holder {
            list_tokens_request::Holder::ConsumerKey(key) => Self::Consumer(key),
            list_tokens_request::Holder::UserId(id) => Self::User(id),
        }
    }
}

impl From<revoke_tokens_request::Holder> for HolderField {
    fn from(holder: revoke_tokens_request::Holder) -> Self {
        match holder {
            revoke_tokens_request::Holder::ConsumerKey(key) => Self::Consumer(key),
            revoke_tokens_request::Holder::UserId(id) => Self::User(id),
        }
    }
}

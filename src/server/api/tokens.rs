//! `countersign.v1.TokenService`.

use tonic::{Request, Response, Status};

use super::consumers::consumer_key;
use super::convert::{shown, token_draft, token_message};
use super::v1::token_service_server::TokenService;
use super::{errors, gate, v1};
use crate::issue::{Created, Issuer, Violations};
use crate::model::Token;

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
        let Created { record: token, existed } =
            created.map_err(|error| errors::of_draft(error, "token", &["token_secret", "ttl"]))?;
        Ok(Response::new(v1::CreateTokenResponse {
            token: Some(token_message(&token)),
            token_secret: shown(&token.secret),
            existed,
        }))
    }

    async fn get_token(&self, request: Request<v1::GetTokenRequest>) -> Result<Response<v1::Token>, Status> {
        let name = token(&request.get_ref().token)?;
        let token = self.issuer.token(&name).await.map_err(errors::status)?;
        Ok(Response::new(token_message(&token)))
    }

    async fn revoke_token(&self, request: Request<v1::RevokeTokenRequest>) -> Result<Response<v1::Token>, Status> {
        let actor = gate::actor(request.extensions())?;
        let v1::RevokeTokenRequest { token: name, consumer_key: key } = request.get_ref();
        let consumer = if key.is_empty() { None } else { Some(consumer_key(key)?) };
        let revoked = self.issuer.revoke_token(&token(name)?, consumer.as_ref(), &actor).await;
        Ok(Response::new(token_message(&revoked.map_err(errors::status)?)))
    }

    async fn list_tokens(
        &self,
        _request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn introspect_token(
        &self,
        _request: Request<v1::IntrospectTokenRequest>,
    ) -> Result<Response<v1::IntrospectTokenResponse>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn revoke_tokens(
        &self,
        _request: Request<v1::RevokeTokensRequest>,
    ) -> Result<Response<v1::RevokeTokensResponse>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn exchange_password(
        &self,
        _request: Request<v1::ExchangePasswordRequest>,
    ) -> Result<Response<v1::IssuedToken>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn create_request_token(
        &self,
        _request: Request<v1::CreateRequestTokenRequest>,
    ) -> Result<Response<v1::CreateRequestTokenResponse>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn get_request_token(
        &self,
        _request: Request<v1::GetRequestTokenRequest>,
    ) -> Result<Response<v1::RequestToken>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn authorize_request_token(
        &self,
        _request: Request<v1::AuthorizeRequestTokenRequest>,
    ) -> Result<Response<v1::AuthorizeRequestTokenResponse>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn refuse_request_token(
        &self,
        _request: Request<v1::RefuseRequestTokenRequest>,
    ) -> Result<Response<v1::RefuseRequestTokenResponse>, Status> {
        Err(Status::unimplemented("not built yet"))
    }

    async fn exchange_request_token(
        &self,
        _request: Request<v1::ExchangeRequestTokenRequest>,
    ) -> Result<Response<v1::IssuedToken>, Status> {
        Err(Status::unimplemented("not built yet"))
    }
}

impl Tokens {
    pub(super) const fn new(issuer: Issuer) -> Self {
        Self { issuer }
    }
}

/// The required `token` of a request.
fn token(text: &str) -> Result<Token, Status> {
    Token::new(text).map_err(|problem| errors::invalid(&Violations::of("token", problem)))
}

//! The calls of `countersign.v1.TokenService` for temporary credentials and exchanges.

use std::net::IpAddr;

use tonic::Status;

use super::convert::{issued_message, request_token_message, shown};
use super::errors;
use super::fields::{Fields, typed};
use crate::issue::{
    Actor, AuthorizationRequest, Consent, ConsentOutcome, Issuer, Login, RequestTokenDraft,
};
use crate::model::{ConsumerKey, MAX_VALUE_LEN, Secret, Token, UserId};
use crate::v1;

pub(super) async fn exchange_password(
    issuer: &Issuer,
    request: v1::ExchangePasswordRequest,
    actor: &Actor,
) -> Result<v1::IssuedToken, Status> {
    let v1::ExchangePasswordRequest {
        consumer_key,
        username,
        password,
        scopes,
        client_address,
    } = request;
    let mut fields = Fields::default();
    let consumer_key = fields.take("consumer_key", ConsumerKey::new(consumer_key));
    let username = fields.take("username", typed(&username, MAX_VALUE_LEN));
    let password = fields.take("password", typed_secret(&password, MAX_PASSWORD_LEN));
    let client_address = fields.optional("client_address", &client_address, |text| address(&text));
    let all = consumer_key.zip(username).zip(password).zip(client_address);
    let (((consumer_key, username), password), client_address) = fields.all(all)?;
    let login = Login {
        username: username.to_owned(),
        password,
        consumer_key,
        client_address,
    };
    let issued = issuer
        .exchange_password(&login, &scopes, actor)
        .await
        .map_err(errors::status)?;
    Ok(issued_message(&issued))
}

pub(super) async fn create(
    issuer: &Issuer,
    request: v1::CreateRequestTokenRequest,
    actor: &Actor,
) -> Result<v1::CreateRequestTokenResponse, Status> {
    let v1::CreateRequestTokenRequest {
        consumer_key,
        callback,
        scopes,
    } = request;
    let mut fields = Fields::default();
    let consumer_key = fields.take("consumer_key", ConsumerKey::new(consumer_key));
    let callback = fields.take(
        "callback",
        Some(callback)
            .filter(|text| !text.is_empty())
            .ok_or("must not be empty"),
    );
    let (consumer_key, callback) = fields.all(consumer_key.zip(callback))?;
    // Look up the consumer first: after the creation, a failure would lose the secret.
    let consumer = issuer
        .consumer(&consumer_key)
        .await
        .map_err(errors::status)?;
    let draft = RequestTokenDraft {
        consumer_key,
        callback,
        scopes,
    };
    let request_token = issuer
        .create_request_token(&draft, actor)
        .await
        .map_err(errors::status)?;
    let token_secret = shown(&request_token.secret);
    let request_token = Some(request_token_message(&AuthorizationRequest {
        request_token,
        consumer,
    }));
    Ok(v1::CreateRequestTokenResponse {
        request_token,
        token_secret,
    })
}

pub(super) async fn get(
    issuer: &Issuer,
    request: &v1::GetRequestTokenRequest,
) -> Result<v1::RequestToken, Status> {
    let asking = issuer
        .authorization_request(&name(&request.token)?)
        .await
        .map_err(errors::status)?;
    Ok(request_token_message(&asking))
}

pub(super) async fn authorize(
    issuer: &Issuer,
    request: v1::AuthorizeRequestTokenRequest,
    actor: &Actor,
) -> Result<v1::AuthorizeRequestTokenResponse, Status> {
    let v1::AuthorizeRequestTokenRequest {
        token,
        user_id,
        screen_name,
        scopes,
    } = request;
    let mut fields = Fields::default();
    let token = fields.take("token", Token::new(token));
    let user_id = fields.take("user_id", UserId::new(user_id));
    let (token, user_id) = fields.all(token.zip(user_id))?;
    let consent = Consent {
        user_id,
        screen_name,
        scopes,
    };
    let ConsentOutcome { redirect, verifier } = issuer
        .authorize_request_token(&token, &consent, actor)
        .await
        .map_err(errors::status)?;
    let redirect_url = redirect.unwrap_or_default();
    Ok(v1::AuthorizeRequestTokenResponse {
        redirect_url,
        verifier: shown(&verifier),
    })
}

pub(super) async fn refuse(
    issuer: &Issuer,
    request: &v1::RefuseRequestTokenRequest,
    actor: &Actor,
) -> Result<v1::RefuseRequestTokenResponse, Status> {
    let redirect = issuer
        .refuse_request_token(&name(&request.token)?, actor)
        .await
        .map_err(errors::status)?;
    Ok(v1::RefuseRequestTokenResponse {
        redirect_url: redirect.unwrap_or_default(),
    })
}

pub(super) async fn exchange(
    issuer: &Issuer,
    request: v1::ExchangeRequestTokenRequest,
    actor: &Actor,
) -> Result<v1::IssuedToken, Status> {
    let v1::ExchangeRequestTokenRequest {
        consumer_key,
        token,
        verifier,
    } = request;
    let mut fields = Fields::default();
    let consumer_key = fields.take("consumer_key", ConsumerKey::new(consumer_key));
    let token = fields.take("token", Token::new(token));
    let verifier = fields.take("verifier", typed_secret(&verifier, MAX_VALUE_LEN));
    let ((consumer_key, token), verifier) = fields.all(consumer_key.zip(token).zip(verifier))?;
    let issued = issuer
        .exchange_request_token(&consumer_key, &token, &verifier, actor)
        .await
        .map_err(errors::status)?;
    Ok(issued_message(&issued))
}

fn name(text: &str) -> Result<Token, Status> {
    let mut fields = Fields::default();
    let name = fields.take("token", Token::new(text));
    fields.all(name)
}

fn typed_secret(text: &str, limit: usize) -> Result<Secret, String> {
    typed(text, limit).map(|text| Secret::new(text.as_bytes()))
}

fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse()
        .map_err(|_| "must be an IP address without a port, or empty")
}

/// The longest password that a directory accepts, in bytes.
const MAX_PASSWORD_LEN: usize = 1024;

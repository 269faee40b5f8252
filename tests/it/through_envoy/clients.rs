//! Requests of other authors' clients are allowed.

use std::fs;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::on_every_stack;
use crate::support::http::{HOST, Request};
use crate::support::scripted::{self, node, python};
use crate::support::stack::{Stack, identity};

on_every_stack!(
    requests_oauthlib_and_authlib_are_allowed,
    oauth_and_oauth_1_0a_of_npm_are_allowed,
    oauth1_request_of_crates_io_is_allowed,
);

async fn requests_oauthlib_and_authlib_are_allowed(stack: &Stack) {
    let (rsa_consumer_key, rsa_key) = rsa_consumer(stack).await;
    let mut given = given(stack);
    given["rsa_consumer_key"] = rsa_consumer_key.into();
    given["rsa_key"] = rsa_key.into();
    let mut command = python("sign.py");
    command.arg(given.to_string());
    all_were_allowed(stack, &scripted::run(command).await, 17);
}

async fn oauth_and_oauth_1_0a_of_npm_are_allowed(stack: &Stack) {
    let mut command = node("sign.mjs");
    command.arg(given(stack).to_string());
    all_were_allowed(stack, &scripted::run(command).await, 14);
}

async fn oauth1_request_of_crates_io_is_allowed(stack: &Stack) {
    let (token, token_secret) = stack.alice.token.clone().unwrap();
    let client =
        oauth1_request::Credentials::new(&*stack.alice.consumer_key, &*stack.alice.consumer_secret);
    let token = oauth1_request::Token::new(
        client,
        oauth1_request::Credentials::new(&*token, &*token_secret),
    );
    let parameters =
        oauth1_request::ParameterList::new([("page", "1"), ("q", "caffè latte & more")]);
    let uri = format!("http://{HOST}/photos");

    let header = oauth1_request::get(&uri, &parameters, &token, oauth1_request::HMAC_SHA1);
    let request = Request::get("/photos?q=caff%C3%A8%20latte%20%26%20more&page=1")
        .with("Authorization", &header);
    assert_eq!(
        identity(&stack.allows(&request).await),
        stack.headers_of_alice()
    );

    let header = oauth1_request::post(&uri, &parameters, &token, oauth1_request::HMAC_SHA1);
    let form = oauth1_request::to_form(&parameters);
    let request = Request::form("POST", "/photos", &form).with("Authorization", &header);
    assert_eq!(
        identity(&stack.allows(&request).await),
        stack.headers_of_alice()
    );

    let query = oauth1_request::to_query(uri.clone(), &parameters);
    let target = query.strip_prefix(&format!("http://{HOST}")).unwrap();
    let header = oauth1_request::delete(&uri, &parameters, &token, oauth1_request::HMAC_SHA1);
    let request = Request::new("DELETE", target).with("Authorization", &header);
    assert_eq!(
        identity(&stack.allows(&request).await),
        stack.headers_of_alice()
    );
}

/// Returns the input with which a script signs as Alice.
fn given(stack: &Stack) -> Value {
    let (token, token_secret) = stack.alice.token.clone().unwrap();
    json!({
        "url": format!("http://{}", stack.envoy.address),
        "consumer_key": stack.alice.consumer_key,
        "consumer_secret": stack.alice.consumer_secret,
        "token": token,
        "token_secret": token_secret,
    })
}

fn all_were_allowed(stack: &Stack, outcomes: &Value, count: usize) {
    let outcomes = outcomes.as_array().unwrap();
    assert_eq!(outcomes.len(), count);
    let refused: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome["status"] != 200)
        .collect();
    assert!(
        refused.is_empty(),
        "{refused:#?}\n{}",
        stack.countersign.log()
    );
    let received = stack.upstream.received();
    assert_eq!(received.len(), count);
    assert!(
        received
            .iter()
            .all(|request| request.header("x-credential-identifier").is_some())
    );
}

/// Creates a consumer without a secret, and returns its private key in PEM.
async fn rsa_consumer(stack: &Stack) -> (String, String) {
    let (private, public) = rsa_key();
    let file = public_key_file(&public);
    let file = file.path().display().to_string();
    let consumer = [
        "consumer",
        "create",
        "--name=Card network",
        "--no-secret",
        "--rsa-public-key",
        &file,
    ];
    let methods = ["RSA-SHA1", "RSA-SHA256", "RSA-SHA512"]
        .map(|method| format!("--signature-method={method}"));
    let arguments: Vec<_> = consumer
        .into_iter()
        .chain(methods.iter().map(String::as_str))
        .collect();
    let consumer = stack.countersign.admin(&arguments).await;
    (
        consumer["consumer_key"].as_str().unwrap().to_owned(),
        private,
    )
}

/// Returns a private key and its public key, in PEM.
pub(super) fn rsa_key() -> (String, String) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    (
        pem("PRIVATE KEY", private.as_ref()),
        pem("PUBLIC KEY", public.as_ref()),
    )
}

/// Writes a public key to a file for the command line.
pub(super) fn public_key_file(public: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), public).unwrap();
    file
}

fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<_> = STANDARD
        .encode(der)
        .as_bytes()
        .chunks(64)
        .map(|line| format!("{}\n", line.escape_ascii()))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}-----END {label}-----\n",
        lines.concat()
    )
}

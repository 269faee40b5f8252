//! The `Debug` form of everything that holds secrets, as a `{:?}` in a log would show it.

use std::sync::Arc;

use countersign::clock::SystemClock;
use countersign::config::{Sources, load};
use countersign::issue::{TokenDraft, UserDraft};
use countersign::model::Secret;
use countersign::server::api::{AdminToken, IssuerToken};

use crate::store::bench::{
    Bench, CONSUMER_SECRET, PASSWORD_HASH, TOKEN_SECRET, VERIFIER, authorized, consumer,
    request_token, session, token, user, with_redis,
};
use crate::support::{leaks, serving};

const REDIS_PASSWORD: &str = "the-redis-password-of-this-test";
const COOKIE: &str = "the-cookie-of-the-session-of-this-test";
const PASSWORD: &str = "the-password-of-the-draft-of-this-test";
const ISSUER_TOKEN: &str = "the-issuer-token-of-this-test";

#[tokio::test]
async fn records_and_drafts_show_no_secret() {
    let drafts = (
        UserDraft {
            password: Some(Secret::new(PASSWORD.as_bytes())),
            ..UserDraft::default()
        },
        TokenDraft {
            token_secret: Some(Secret::new(TOKEN_SECRET)),
            ..TokenDraft::default()
        },
    );
    let records = (
        consumer("ck"),
        token("ck", "t"),
        user("u", "Jane"),
        authorized(request_token("ck", "r")),
        session(COOKIE),
    );
    assert_shows_no_secret("drafts", &format!("{drafts:?} {drafts:#?}"));
    assert_shows_no_secret("records", &format!("{records:?} {records:#?}"));
}

#[tokio::test]
async fn the_parts_of_the_service_show_no_secret() {
    let (redis, _server) = with_redis();
    for bench in [redis, Bench::embedded(), Bench::memory()] {
        let store = bench.open().await;
        store.create_consumer(&consumer("ck")).await.unwrap();
        store.create_token(&token("ck", "t")).await.unwrap();
        let mut app = serving::app(serving::config(), store, Arc::new(SystemClock));
        app.issuer_token = IssuerToken::new(ISSUER_TOKEN);
        assert_shows_no_secret("app", &format!("{app:?} {app:#?} {:?}", bench.config));
    }
}

#[test]
fn the_configuration_and_the_tokens_show_no_secret() {
    let url = format!("rediss://user:{REDIS_PASSWORD}@redis.example");
    let sources = Sources {
        flags: vec![
            ("store.url", url),
            ("store.master_key_file", "keys".to_owned()),
        ],
        ..Sources::default()
    };
    let config = load(&sources).unwrap();
    let tokens = (
        AdminToken::new(serving::ADMIN_TOKEN).unwrap(),
        IssuerToken::new(ISSUER_TOKEN),
    );
    assert_shows_no_secret("configuration", &format!("{config:?} {config:#?}"));
    assert_shows_no_secret("tokens", &format!("{tokens:?} {tokens:#?}"));
}

fn assert_shows_no_secret(what: &str, shown: &str) {
    leaks::debug_form(what, shown);
    let bytes = [CONSUMER_SECRET, TOKEN_SECRET, VERIFIER];
    let texts = [
        REDIS_PASSWORD,
        COOKIE,
        PASSWORD,
        PASSWORD_HASH,
        ISSUER_TOKEN,
        serving::ADMIN_TOKEN,
    ];
    let secrets = bytes
        .into_iter()
        .chain(texts.into_iter().map(str::as_bytes));
    for secret in secrets {
        let text = String::from_utf8(secret.to_vec()).unwrap();
        leaks::secret(&text);
        let list = format!("{secret:?}");
        let as_bytes = list.trim_matches(['[', ']']);
        assert!(
            !shown.contains(&text) && !shown.contains(as_bytes),
            "the Debug form of {what} has {text:?}: {shown}"
        );
    }
}

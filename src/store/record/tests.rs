use std::error::Error as _;
use std::sync::Arc;

use super::*;
use crate::clock::{SystemEntropy, UnixTime};
use crate::model::{
    CompatProfile, ConsumerId, ConsumerName, ConsumerSecret, ConsumerStatus, Flow, Generation, Scopes, Secret,
    TokenStatus, UserId,
};
use crate::oauth::SignatureMethod;
use crate::store::master_key::MasterKeys;

#[test]
fn a_consumer_is_read_as_it_was_written() {
    let (records, consumer) = (records(), consumer());
    let bytes = records.encode_consumer(&consumer).unwrap();
    assert_eq!(records.decode_consumer(&consumer.key, &bytes).unwrap(), consumer);
}

#[test]
fn a_token_is_read_as_it_was_written() {
    let (records, token) = (records(), token());
    let bytes = records.encode_token(&token).unwrap();
    assert_eq!(records.decode_token(&token.token, &bytes).unwrap(), token);
}

#[test]
fn a_record_of_a_later_version_is_not_read() {
    let (records, consumer) = (records(), consumer());
    let bytes = records.encode_consumer(&consumer).unwrap();
    let later = String::from_utf8(bytes).unwrap().replace("\"version\":2", "\"version\":3,\"new_field\":true");
    let error = records.decode_consumer(&consumer.key, later.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    assert!(error.source().unwrap().to_string().contains("version 3"), "{error:?}");
}

#[test]
fn an_unknown_field_is_not_dropped_in_silence() {
    let (records, token) = (records(), token());
    let bytes = records.encode_token(&token).unwrap();
    let changed = String::from_utf8(bytes).unwrap().replace("\"version\":2", "\"version\":2,\"new_field\":true");
    let error = records.decode_token(&token.token, changed.as_bytes()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
}

#[test]
fn a_record_under_another_key_is_not_read() {
    let records = records();
    let keyless = Consumer { secrets: Vec::new(), ..consumer() };
    let bytes = records.encode_consumer(&keyless).unwrap();
    let other = ConsumerKey::new("other").unwrap();
    assert_eq!(records.decode_consumer(&other, &bytes).unwrap_err().kind(), StoreErrorKind::Unreadable);
    let bytes = records.encode_token(&token()).unwrap();
    let other = Token::new("other").unwrap();
    assert_eq!(records.decode_token(&other, &bytes).unwrap_err().kind(), StoreErrorKind::Unreadable);
}

#[test]
fn a_token_given_to_another_consumer_is_not_read() {
    let (records, token) = (records(), token());
    let bytes = records.encode_token(&token).unwrap();
    let stolen = String::from_utf8(bytes).unwrap().replace("\"consumer_key\":\"ck\"", "\"consumer_key\":\"mallory\"");
    assert_eq!(records.decode_token(&token.token, stolen.as_bytes()).unwrap_err().kind(), StoreErrorKind::Unreadable);
}

#[test]
fn a_damaged_record_is_not_quoted() {
    let error = records().decode_token(&token().token, b"{\"token\": s3cr3t").unwrap_err();
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
}

fn records() -> Records {
    let entropy = Arc::new(SystemEntropy);
    Records::new(Sealer::new(MasterKeys::ephemeral(&*entropy).unwrap(), entropy))
}

fn consumer() -> Consumer {
    Consumer {
        id: ConsumerId::new("c-1").unwrap(),
        key: ConsumerKey::new("ck").unwrap(),
        name: ConsumerName::new("Printer Example").unwrap(),
        description: "prints \u{1F5A8} \"photos\"".into(),
        platform: "ios".into(),
        app_url: "https://printer.example/".into(),
        verified: true,
        status: ConsumerStatus::Disabled,
        secrets: vec![
            ConsumerSecret { secret: Secret::new(*b"new"), expires_at: None },
            ConsumerSecret { secret: Secret::new(*b"\xFF\0old"), expires_at: Some(UnixTime::from_millis(7)) },
        ],
        rsa_public_keys: Vec::new(),
        signature_methods: [SignatureMethod::HmacSha256, SignatureMethod::Plaintext].into(),
        flows: Flow::ALL.into(),
        callbacks: vec!["https://printer.example/ready".into()],
        scopes: Scopes::parse("read write").unwrap(),
        compat: CompatProfile::ALL.into(),
        generation: Generation::from_number(u64::MAX),
        created_at: UnixTime::from_millis(1),
        updated_at: UnixTime::from_millis(2),
        revision: 3,
    }
}

#[test]
fn what_is_not_there_is_read_like_what_is() {
    let records = records();
    let (key, name) = (ConsumerKey::new("nobody").unwrap(), Token::new("nothing").unwrap());
    assert_eq!(records.found_consumer(&key, None).unwrap(), None);
    assert_eq!(records.found_token(&name, None).unwrap(), None);
    assert!(records.dummies.get().is_some_and(Option::is_some), "dummies were read in their place");
}

fn token() -> AccessToken {
    AccessToken {
        token: Token::new("t-1").unwrap(),
        secret: Secret::new(*b"pfkkdhi9sl3r4s00"),
        consumer_key: ConsumerKey::new("ck").unwrap(),
        user_id: Some(UserId::new("jane doe").unwrap()),
        scopes: Scopes::parse("read").unwrap(),
        consumer_generation: Generation::from_number(u64::MAX),
        user_generation: Generation::from_number(5),
        status: TokenStatus::Revoked,
        expires_at: Some(UnixTime::from_millis(9)),
        created_at: UnixTime::from_millis(1),
        revision: 2,
    }
}

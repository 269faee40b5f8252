use std::error::Error as _;
use std::sync::Arc;

use super::*;
use crate::clock::{SystemEntropy, UnixTime};
use crate::model::{
    AccessToken, Callback, CompatProfile, Consumer, ConsumerId, ConsumerKey, ConsumerName,
    ConsumerProfile, ConsumerSecret, ConsumerStatus, DenyDetail, Flow, Generation, PasswordHash,
    RequestToken, RequestTokenState, Scopes, Secret, Session, SessionId, Token, TokenStatus, User,
    UserId, UserStatus, Username,
};
use crate::oauth::SignatureMethod;
use crate::store::master_key::MasterKeys;

#[test]
fn a_consumer_is_read_as_it_was_written() {
    let (records, consumer) = (records(), consumer());
    let bytes = records.encode_consumer(&consumer).unwrap();
    assert_eq!(
        records.decode_consumer(&consumer.key, &bytes).unwrap(),
        consumer
    );
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
    let later = String::from_utf8(bytes)
        .unwrap()
        .replace("\"version\":3", "\"version\":4,\"new_field\":true");
    let error = records
        .decode_consumer(&consumer.key, later.as_bytes())
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    assert!(
        error.source().unwrap().to_string().contains("version 4"),
        "{error:?}"
    );
}

#[test]
fn a_record_with_an_unknown_field_is_not_read() {
    let (records, token) = (records(), token());
    let bytes = records.encode_token(&token).unwrap();
    let changed = String::from_utf8(bytes)
        .unwrap()
        .replace("\"version\":3", "\"version\":3,\"new_field\":true");
    let error = records
        .decode_token(&token.token, changed.as_bytes())
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
}

#[test]
fn a_record_under_another_key_is_not_read() {
    let records = records();
    let keyless = Consumer {
        secrets: Vec::new(),
        ..consumer()
    };
    let bytes = records.encode_consumer(&keyless).unwrap();
    let other = ConsumerKey::new("other").unwrap();
    assert_eq!(
        records.decode_consumer(&other, &bytes).unwrap_err().kind(),
        StoreErrorKind::Unreadable
    );
    let bytes = records.encode_token(&token()).unwrap();
    let other = Token::new("other").unwrap();
    assert_eq!(
        records.decode_token(&other, &bytes).unwrap_err().kind(),
        StoreErrorKind::Unreadable
    );
}

#[test]
fn a_token_given_to_another_consumer_is_not_read() {
    let (records, token) = (records(), token());
    let bytes = records.encode_token(&token).unwrap();
    let stolen = String::from_utf8(bytes)
        .unwrap()
        .replace("\"consumer_key\":\"ck\"", "\"consumer_key\":\"mallory\"");
    assert_eq!(
        records
            .decode_token(&token.token, stolen.as_bytes())
            .unwrap_err()
            .kind(),
        StoreErrorKind::Unreadable
    );
}

#[test]
fn a_damaged_record_is_not_quoted() {
    let error = records()
        .decode_token(&token().token, b"{\"token\": s3cr3t")
        .unwrap_err();
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
}

fn records() -> Records {
    let entropy = Arc::new(SystemEntropy);
    Records::new(Sealer::new(
        MasterKeys::ephemeral(&*entropy).unwrap(),
        entropy,
    ))
}

fn consumer() -> Consumer {
    Consumer {
        id: ConsumerId::new("c-1").unwrap(),
        key: ConsumerKey::new("ck").unwrap(),
        name: ConsumerName::new("Printer Example").unwrap(),
        profile: ConsumerProfile::example(),
        verified: true,
        status: ConsumerStatus::Disabled,
        secrets: vec![
            ConsumerSecret {
                secret: Secret::new(*b"new"),
                expires_at: None,
            },
            ConsumerSecret {
                secret: Secret::new(*b"\xFF\0old"),
                expires_at: Some(UnixTime::from_millis(7)),
            },
        ],
        rsa_public_keys: Vec::new(),
        signature_methods: [SignatureMethod::HmacSha256, SignatureMethod::Plaintext].into(),
        flows: Flow::ALL.iter().copied().collect(),
        callbacks: vec!["https://printer.example/ready".into()],
        scopes: Scopes::parse("read write").unwrap(),
        compat: CompatProfile::ALL.into_iter().collect(),
        deny_detail: Some(DenyDetail::Debug),
        deprecated_at: Some(UnixTime::from_millis(4)),
        sunset_at: Some(UnixTime::from_millis(5)),
        generation: Generation::from_number(u64::MAX),
        created_at: UnixTime::from_millis(1),
        updated_at: UnixTime::from_millis(2),
        revision: 3,
    }
}

#[test]
fn a_missing_record_takes_the_work_of_reading_one() {
    let records = records();
    let (key, name) = (
        ConsumerKey::new("nobody").unwrap(),
        Token::new("nothing").unwrap(),
    );
    assert_eq!(records.found_consumer(&key, None).unwrap(), None);
    assert_eq!(records.found_token(&name, None).unwrap(), None);
    assert!(
        records.dummies.get().is_some_and(Option::is_some),
        "no dummy record was read instead"
    );
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

#[test]
fn a_user_is_read_as_it_was_written_and_its_standing_without_the_master_key() {
    let (written_by, user) = (records(), user());
    let bytes = written_by.encode_user(&user).unwrap();
    assert_eq!(written_by.decode_user(&user.id, &bytes).unwrap(), user);
    assert_eq!(
        Records::decode_standing(&user.id, &bytes).unwrap(),
        user.standing()
    );
    assert_eq!(
        records().decode_user(&user.id, &bytes).unwrap_err().kind(),
        StoreErrorKind::Unreadable
    );
    let other = UserId::new("other").unwrap();
    assert_eq!(
        written_by.decode_user(&other, &bytes).unwrap_err().kind(),
        StoreErrorKind::Unreadable
    );
    assert_eq!(
        Records::decode_standing(&other, &bytes).unwrap_err().kind(),
        StoreErrorKind::Unreadable
    );
}

#[test]
fn the_hash_of_one_user_is_not_read_as_that_of_another() {
    let (records, user) = (records(), user());
    let bytes = String::from_utf8(records.encode_user(&user).unwrap()).unwrap();
    let moved = bytes.replace("\"id\":\"jane doe\"", "\"id\":\"mallory\"");
    let mallory = UserId::new("mallory").unwrap();
    assert_eq!(
        records
            .decode_user(&mallory, moved.as_bytes())
            .unwrap_err()
            .kind(),
        StoreErrorKind::Unreadable
    );
}

#[test]
fn the_same_record_is_never_written_as_the_same_bytes() {
    let records = records();
    let user = User {
        username: None,
        password: None,
        ..user()
    };
    assert_ne!(
        records.encode_user(&user).unwrap(),
        records.encode_user(&user).unwrap()
    );
    let keyless = Consumer {
        secrets: Vec::new(),
        ..consumer()
    };
    assert_ne!(
        records.encode_consumer(&keyless).unwrap(),
        records.encode_consumer(&keyless).unwrap()
    );
}

#[test]
fn a_verifier_is_not_read_as_a_secret() {
    let records = records();
    let token = request_token();
    let bytes = records.encode_request_token(&token).unwrap();
    assert_eq!(
        records.decode_request_token(&token.token, &bytes).unwrap(),
        token
    );
    let mut record: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    record["secret"] = record["state"]["authorized"]["verifier"].clone();
    let error = records
        .decode_request_token(&token.token, record.to_string().as_bytes())
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
}

#[test]
fn a_session_under_another_id_is_not_read() {
    let session = Session {
        id: SessionId::of_cookie(b"cookie"),
        user_id: UserId::new("jane doe").unwrap(),
        user_generation: Generation::from_number(5),
        screen_name: "Jane".into(),
        expires_at: UnixTime::from_millis(9),
    };
    let bytes = Records::encode_session(&session).unwrap();
    assert_eq!(
        Records::decode_session(&session.id, &bytes).unwrap(),
        session
    );
    let other = SessionId::of_cookie(b"other");
    assert_eq!(
        Records::decode_session(&other, &bytes).unwrap_err().kind(),
        StoreErrorKind::Unreadable
    );
}

fn user() -> User {
    User {
        id: UserId::new("jane doe").unwrap(),
        username: Some(Username::new("Jane").unwrap()),
        password: Some(PasswordHash::new("$argon2id$")),
        status: UserStatus::Disabled,
        generation: Generation::from_number(u64::MAX),
        created_at: UnixTime::from_millis(1),
        updated_at: UnixTime::from_millis(2),
        revision: 3,
    }
}

fn request_token() -> RequestToken {
    RequestToken {
        token: Token::new("r").unwrap(),
        secret: Secret::new(*b"temporary"),
        consumer_key: ConsumerKey::new("ck").unwrap(),
        consumer_generation: Generation::from_number(u64::MAX),
        callback: Callback::OutOfBand,
        scopes: Scopes::parse("read").unwrap(),
        state: RequestTokenState::Authorized {
            user_id: UserId::new("jane doe").unwrap(),
            user_generation: Generation::from_number(5),
            screen_name: String::new(),
            verifier: Secret::new(*b"verifier"),
            scopes: Scopes::parse("").unwrap(),
        },
        wrong_verifiers: 4,
        created_at: UnixTime::from_millis(1),
        expires_at: UnixTime::from_millis(2),
        revision: 3,
    }
}

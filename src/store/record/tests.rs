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
use crate::store::master_key::{MasterKeys, new_master_key};

#[test]
fn a_consumer_is_read_as_it_was_written() {
    let (records, consumer) = (records(), consumer());
    let bytes = write(&records).encode_consumer(&consumer).unwrap();
    assert_eq!(
        records.decode_consumer(&consumer.key, &bytes).unwrap(),
        consumer
    );
}

#[test]
fn a_token_is_read_as_it_was_written() {
    let (records, token) = (records(), token());
    let bytes = write(&records).encode_token(&token).unwrap();
    assert_eq!(records.decode_token(&token.token, &bytes).unwrap(), token);
}

#[test]
fn a_user_is_read_as_it_was_written() {
    let (records, user) = (records(), user());
    let bytes = write(&records).encode_user(&user).unwrap();
    assert_eq!(records.decode_user(&user.id, &bytes).unwrap(), user);
    assert_eq!(
        records.decode_standing(&user.id, &bytes).unwrap(),
        user.standing()
    );
}

#[test]
fn temporary_credentials_are_read_as_they_were_written() {
    let (records, token) = (records(), request_token());
    let bytes = write(&records).encode_request_token(&token).unwrap();
    assert_eq!(
        records.decode_request_token(&token.token, &bytes).unwrap(),
        token
    );
}

#[test]
fn a_record_with_other_fields_is_not_read_and_not_quoted() {
    let (records, token) = (records(), token());
    let other = serde_json::json!({ "secret": "s3cr3t", "new_field": true });
    let name = token.token.as_str().as_bytes();
    let bytes = write(&records)
        .seal(RecordKind::Token, name, &other)
        .unwrap();
    let error = records.decode_token(&token.token, &bytes).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    assert!(!format!("{error:?}").contains("s3cr3t"), "{error:?}");
}

#[test]
fn a_record_under_another_name_is_not_read() {
    let records = records();
    let other = "other";
    let bytes = write(&records).encode_consumer(&consumer()).unwrap();
    refused(records.decode_consumer(&ConsumerKey::new(other).unwrap(), &bytes));
    let bytes = write(&records).encode_token(&token()).unwrap();
    refused(records.decode_token(&Token::new(other).unwrap(), &bytes));
    let bytes = write(&records).encode_user(&user()).unwrap();
    refused(records.decode_user(&UserId::new(other).unwrap(), &bytes));
    let bytes = write(&records)
        .encode_request_token(&request_token())
        .unwrap();
    refused(records.decode_request_token(&Token::new(other).unwrap(), &bytes));
    let bytes = write(&records).encode_session(&session()).unwrap();
    assert_eq!(
        records.decode_session(&session().id, &bytes).unwrap(),
        session()
    );
    refused(records.decode_session(&SessionId::of_cookie(b"other"), &bytes));
}

#[test]
fn a_record_of_one_kind_is_not_read_as_one_of_another() {
    let records = records();
    let name = Token::new("t-1").unwrap();
    let token = write(&records).encode_token(&token()).unwrap();
    refused(records.decode_request_token(&name, &token));
    refused(records.decode_consumer(&ConsumerKey::new("t-1").unwrap(), &token));
    refused(records.decode_user(&UserId::new("t-1").unwrap(), &token));
}

#[test]
fn no_changed_bit_of_a_record_is_read() {
    let (records, token) = (records(), token());
    let bytes = write(&records).encode_token(&token).unwrap();
    for bit in 0..8 * bytes.len() {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        refused(records.decode_token(&token.token, &changed));
    }
}

#[test]
fn a_record_of_another_installation_is_not_read_and_its_key_is_named() {
    let (theirs, ours, token) = (records(), records(), token());
    let bytes = write(&theirs).encode_token(&token).unwrap();
    let error = ours.decode_token(&token.token, &bytes).unwrap_err();
    let said = error.with_causes();
    assert!(said.contains("the record of a token"), "{said}");
    assert!(said.contains("is sealed with the master key"), "{said}");
}

fn refused<T: fmt::Debug>(read: Result<T, StoreError>) {
    assert_eq!(read.unwrap_err().kind(), StoreErrorKind::Unreadable);
}

// === The proof of the master key ===

#[test]
fn nothing_is_written_before_the_master_key_is_proven() {
    let records = unproven(&SystemEntropy);
    let error = records.writer().err().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let canary = records.own_canary().unwrap().to_vec();
    assert_eq!(records.prove_key(&canary).unwrap(), CanarySeal::FirstKey);
    assert!(records.writer().is_ok());
}

#[test]
fn a_replica_with_another_key_writes_nothing_until_it_opens_a_canary() {
    let (ours, theirs) = (unproven(&SystemEntropy), unproven(&SystemEntropy));
    let error = ours.prove_key(&theirs.own_canary().unwrap()).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::WrongMasterKey);
    let said = error.with_causes();
    assert!(said.contains("store.master_key_file"), "{said}");
    assert_eq!(
        ours.writer().err().unwrap().kind(),
        StoreErrorKind::WrongMasterKey
    );
    let canary = ours.own_canary().unwrap().to_vec();
    assert_eq!(ours.prove_key(&canary).unwrap(), CanarySeal::FirstKey);
    assert!(ours.writer().is_ok());
}

#[test]
fn a_canary_that_something_else_wrote_proves_nothing() {
    let records = unproven(&SystemEntropy);
    for canary in [&b""[..], b"OK", b"\x04\x02ab"] {
        let error = records.prove_key(canary).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::WrongMasterKey);
        assert!(records.writer().is_err());
    }
}

#[test]
fn a_canary_under_an_older_key_is_told_apart() {
    let lines = [
        new_master_key(&SystemEntropy),
        new_master_key(&SystemEntropy),
    ];
    let of = |text: String| {
        let keys = MasterKeys::parse(text.as_bytes()).unwrap();
        Records::new(Sealer::new(keys, Arc::new(SystemEntropy)))
    };
    let [old, new] = lines.each_ref().map(|line| line.as_str());
    let before = of(old.to_owned());
    let appended = of(format!("{old}\n{new}"));
    let rotated = of(format!("{new}\n{old}"));
    let canary = &before.own_canary().unwrap();
    assert_eq!(appended.prove_key(canary).unwrap(), CanarySeal::FirstKey);
    assert_eq!(rotated.prove_key(canary).unwrap(), CanarySeal::OlderKey);
    let resealed = &rotated.own_canary().unwrap();
    assert_eq!(appended.prove_key(resealed).unwrap(), CanarySeal::OlderKey);
    assert!(before.prove_key(resealed).is_err());
}

#[test]
fn replaced_keys_seal_with_the_first_one_and_open_the_canary_of_the_old_one() {
    let (old, new) = (
        new_master_key(&SystemEntropy),
        new_master_key(&SystemEntropy),
    );
    let keys = |text: String| MasterKeys::parse(text.as_bytes()).unwrap();
    let records = Records::new(Sealer::new(keys(old.to_string()), Arc::new(SystemEntropy)));
    let canary = records.own_canary().unwrap();
    assert_eq!(records.prove_key(&canary).unwrap(), CanarySeal::FirstKey);

    let rotated = keys(format!("{}\n{}", *new, *old));
    records.check_keys(&rotated).unwrap();
    records.use_keys(rotated);
    assert!(records.writer().is_ok() && !records.is_canary_settled());
    assert_eq!(records.prove_key(&canary).unwrap(), CanarySeal::OlderKey);

    let refused = records.check_keys(&keys(new.to_string())).unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::WrongMasterKey);
    records.settle_canary(&canary);
    assert!(
        !records.is_canary_settled(),
        "an attempt that began before the replacement does not count"
    );
    let resealed = records.own_canary().unwrap();
    assert_eq!(records.prove_key(&resealed).unwrap(), CanarySeal::FirstKey);
    records.settle_canary(&resealed);
    assert!(records.is_canary_settled());
    records.note_census(&records.master_key_ids(), 0);
    records.check_keys(&keys(new.to_string())).unwrap();
}

#[test]
fn a_key_that_records_need_is_not_removed() {
    let [first, old] = [(); 2].map(|()| new_master_key(&SystemEntropy));
    let keys = |text: &str| MasterKeys::parse(text.as_bytes()).unwrap();
    let both = format!("{}\n{}", *first, *old);
    let records = Records::new(Sealer::new(keys(&both), Arc::new(SystemEntropy)));
    let removed = keys(&first);
    records.check_keys(&removed).unwrap();
    let canary = records.own_canary().unwrap();
    assert_eq!(records.prove_key(&canary).unwrap(), CanarySeal::FirstKey);

    let refused = |part: &str| {
        let error = records.check_keys(&removed).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::WrongMasterKey);
        let said = error.with_causes();
        assert!(said.contains(part) && said.contains("rekey"), "{said}");
        assert!(records.is_census_wanted());
    };
    refused("not counted yet");
    let ids = records.master_key_ids();
    records.note_census(&ids, 6009);
    refused("6009 records");
    let turned: Vec<_> = ids.iter().rev().cloned().collect();
    records.note_census(&turned, 0);
    refused("not counted yet");
    records.note_census(&ids, 0);
    assert!(!records.is_census_wanted());
    records.check_keys(&removed).unwrap();
}

#[test]
fn the_key_that_seals_is_not_removed() {
    let [first, second] = [(); 2].map(|()| new_master_key(&SystemEntropy));
    let keys = |text: &str| MasterKeys::parse(text.as_bytes()).unwrap();
    let both = format!("{}\n{}", *first, *second);
    let records = Records::new(Sealer::new(keys(&both), Arc::new(SystemEntropy)));
    let other = Records::new(Sealer::new(keys(&second), Arc::new(SystemEntropy)));
    let canary = other.own_canary().unwrap();
    assert_eq!(records.prove_key(&canary).unwrap(), CanarySeal::OlderKey);
    records.note_census(&records.master_key_ids(), 0);
    let error = records.check_keys(&keys(&second)).unwrap_err();
    let said = error.with_causes();
    assert!(said.contains("which seals records now"), "{said}");
}

#[test]
fn a_known_id_keeps_its_bytes() {
    let [first, second, third] = [(); 3].map(|()| new_master_key(&SystemEntropy));
    let keys = |text: &str| MasterKeys::parse(text.as_bytes()).unwrap();
    let both = format!("{}\n{}", *first, *second);
    let records = Records::new(Sealer::new(keys(&both), Arc::new(SystemEntropy)));
    let canary = records.own_canary().unwrap();
    assert_eq!(records.prove_key(&canary).unwrap(), CanarySeal::FirstKey);
    let (id, _) = second.split_once(':').unwrap();
    let (_, bytes) = third.split_once(':').unwrap();
    let changed = keys(&format!("{}\n{id}:{bytes}", *first));
    let said = records.check_keys(&changed).unwrap_err().with_causes();
    assert!(
        said.contains(&format!("another key of the id {id:?}")),
        "{said}"
    );
    assert!(!said.contains(bytes));
    records.check_keys(&keys(&both)).unwrap();
}

#[test]
fn a_lookup_reads_a_dummy_after_the_key_that_sealed_the_last_one_is_gone() {
    let records = records();
    let key = ConsumerKey::new("unknown").unwrap();
    assert!(records.found_consumer(&key, None).unwrap().is_none());
    records.use_keys(MasterKeys::ephemeral(&SystemEntropy).unwrap());
    assert!(records.found_consumer(&key, None).unwrap().is_none());
    let own = records.own.load();
    let (name, dummy) = &own.dummies(&records).unwrap().consumer;
    assert!(records.decode_consumer(name, dummy).is_ok());
    assert!(
        records.writer().is_err(),
        "the new key does not open the canary"
    );
}

// === Lists ===

#[test]
fn a_list_skips_and_counts_what_cannot_be_read_and_nothing_else() {
    let records = records();
    let listed = |read| records.listed::<()>(RecordKind::Token, None, read);
    assert_eq!(listed(Ok(())).unwrap(), Some(()));
    assert_eq!(listed(Err(unreadable("damaged"))).unwrap(), None);
    let lost = StoreError::new(StoreErrorKind::Unavailable, "listing records");
    assert!(listed(Err(lost)).is_err());
    assert_eq!(records.skipped(), 1);
}

fn records() -> Records {
    let records = unproven(&SystemEntropy);
    let canary = records.own_canary().unwrap().to_vec();
    let _seal = records.prove_key(&canary).unwrap();
    records
}

fn unproven(entropy: &SystemEntropy) -> Records {
    let keys = MasterKeys::ephemeral(entropy).unwrap();
    Records::new(Sealer::new(keys, Arc::new(SystemEntropy)))
}

fn write(records: &Records) -> RecordWriter<'_> {
    records.writer().unwrap()
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
fn a_missing_record_takes_the_work_of_reading_one_also_before_the_key_is_proven() {
    let records = unproven(&SystemEntropy);
    let (key, name) = (
        ConsumerKey::new("nobody").unwrap(),
        Token::new("nothing").unwrap(),
    );
    assert_eq!(records.found_consumer(&key, None).unwrap(), None);
    assert_eq!(records.found_token(&name, None).unwrap(), None);
    assert!(
        records.own.load().dummies(&records).is_some(),
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
fn a_record_never_outgrows_the_memory_that_is_wiped() {
    let bytes = json(&vec!["pfkkdhi9sl3r4s00"; 99]).unwrap();
    assert_eq!(bytes.capacity(), bytes.len());
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
        write(&records).encode_user(&user).unwrap(),
        write(&records).encode_user(&user).unwrap()
    );
    let keyless = Consumer {
        secrets: Vec::new(),
        ..consumer()
    };
    assert_ne!(
        write(&records).encode_consumer(&keyless).unwrap(),
        write(&records).encode_consumer(&keyless).unwrap()
    );
}

fn session() -> Session {
    Session {
        id: SessionId::of_cookie(b"cookie"),
        user_id: UserId::new("jane doe").unwrap(),
        user_generation: Generation::from_number(5),
        screen_name: "Jane".into(),
        expires_at: UnixTime::from_millis(9),
    }
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

mod golden;

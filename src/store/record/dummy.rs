//! Dummy records, read in place of records that were not found.
//!
//! Reading a record takes time: it is opened and parsed. If a missing record
//! took none, the time of a response would tell which consumer keys and tokens exist.

use std::collections::BTreeSet;

use crate::clock::UnixTime;
use crate::model::{
    AccessToken, CompatSet, Consumer, ConsumerId, ConsumerKey, ConsumerName, ConsumerProfile,
    ConsumerSecret, ConsumerStatus, Flow, Generation, PasswordHash, Scopes, Secret, Token,
    TokenStatus, User, UserId, UserStatus, Username, ValueError,
};

/// A consumer, a token and a user that do not exist, with the bytes of their records.
pub(super) struct DummyRecords {
    pub(super) consumer: (ConsumerKey, Vec<u8>),
    pub(super) token: (Token, Vec<u8>),
    pub(super) user: (UserId, Vec<u8>),
}

/// Returns a typical consumer: one secret of the length of generated ones, the default flows, one
/// scope.
pub(super) fn consumer() -> Result<Consumer, ValueError> {
    Ok(Consumer {
        id: ConsumerId::new(NAME)?,
        key: ConsumerKey::new(NAME)?,
        name: ConsumerName::new(NAME)?,
        profile: ConsumerProfile::default(),
        verified: false,
        status: ConsumerStatus::Disabled,
        secrets: vec![ConsumerSecret {
            secret: secret(),
            expires_at: None,
        }],
        rsa_public_keys: Vec::new(),
        signature_methods: BTreeSet::new(),
        flows: [Flow::TwoLegged, Flow::ThreeLegged].into(),
        callbacks: Vec::new(),
        scopes: Scopes::parse("read")?,
        compat: CompatSet::NONE,
        deny_detail: None,
        deprecated_at: None,
        sunset_at: None,
        generation: Generation::default(),
        created_at: UnixTime::default(),
        updated_at: UnixTime::default(),
        revision: 1,
    })
}

/// Returns a typical token of that consumer.
pub(super) fn token(consumer_key: &ConsumerKey) -> Result<AccessToken, ValueError> {
    Ok(AccessToken {
        token: Token::new(NAME)?,
        secret: secret(),
        consumer_key: consumer_key.clone(),
        user_id: Some(UserId::new(NAME)?),
        scopes: Scopes::parse("read")?,
        consumer_generation: Generation::default(),
        user_generation: Generation::default(),
        status: TokenStatus::Revoked,
        expires_at: None,
        created_at: UnixTime::default(),
        revision: 1,
    })
}

/// Returns a typical user, who logs in with a password.
pub(super) fn user() -> Result<User, ValueError> {
    Ok(User {
        id: UserId::new(NAME)?,
        username: Some(Username::new(NAME)?),
        password: Some(PasswordHash::new("0".repeat(PHC_LEN))),
        status: UserStatus::Disabled,
        generation: Generation::default(),
        created_at: UnixTime::default(),
        updated_at: UnixTime::default(),
        revision: 1,
    })
}

fn secret() -> Secret {
    Secret::new([b'0'; 64])
}

/// A name of the length of generated identifiers.
const NAME: &str = "00000000000000000000000000000000";

/// The length of a password's hash with the default parameters.
const PHC_LEN: usize = 97;

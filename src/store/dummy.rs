//! Records that nobody has, read in place of those that were not found.
//!
//! Reading a record takes time: parsing, opening its sealed secret. If what is not there took none, the time of an answer
//! would tell which consumer keys and tokens exist.

use std::collections::BTreeSet;

use super::StoreError;
use super::record::Records;
use crate::clock::UnixTime;
use crate::model::{
    AccessToken, Compat, Consumer, ConsumerId, ConsumerKey, ConsumerName, ConsumerProfile,
    ConsumerSecret, ConsumerStatus, Flow, Generation, PasswordHash, Scopes, Secret, Token,
    TokenStatus, User, UserId, UserStatus, Username, ValueError,
};

/// A consumer, a token and a user as they are written.
pub(super) struct Dummies {
    consumer: (ConsumerKey, Vec<u8>),
    token: (Token, Vec<u8>),
    user: (UserId, Vec<u8>),
}

impl Dummies {
    /// Writes them; `None` when the sealer can not seal.
    pub(super) fn write(records: &Records) -> Option<Self> {
        let consumer = consumer().ok()?;
        let token = token(&consumer.key).ok()?;
        let user = user().ok()?;
        Some(Self {
            consumer: (
                consumer.key.clone(),
                records.encode_consumer(&consumer).ok()?,
            ),
            token: (token.token.clone(), records.encode_token(&token).ok()?),
            user: (user.id.clone(), records.encode_user(&user).ok()?),
        })
    }

    /// Does the work of reading a consumer.
    pub(super) fn read_consumer(&self, records: &Records) -> Result<(), StoreError> {
        let (key, bytes) = &self.consumer;
        std::hint::black_box(records.decode_consumer(key, bytes)?);
        Ok(())
    }

    /// Does the work of reading a token.
    pub(super) fn read_token(&self, records: &Records) -> Result<(), StoreError> {
        let (token, bytes) = &self.token;
        std::hint::black_box(records.decode_token(token, bytes)?);
        Ok(())
    }

    /// Does the work of reading a user's standing.
    pub(super) fn read_standing(&self) -> Result<(), StoreError> {
        let (id, bytes) = &self.user;
        std::hint::black_box(Records::decode_standing(id, bytes)?);
        Ok(())
    }
}

/// A consumer as most are: one secret as long as those that are made here, the default flows, a scope.
fn consumer() -> Result<Consumer, ValueError> {
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
        compat: Compat::NONE,
        deny_detail: None,
        deprecated_at: None,
        sunset_at: None,
        generation: Generation::default(),
        created_at: UnixTime::default(),
        updated_at: UnixTime::default(),
        revision: 1,
    })
}

fn token(consumer_key: &ConsumerKey) -> Result<AccessToken, ValueError> {
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

fn user() -> Result<User, ValueError> {
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

/// As long as the identifiers that are made here.
const NAME: &str = "00000000000000000000000000000000";

/// As long as the hash of a password is by default.
const PHC_LEN: usize = 97;

//! How consumers and tokens are written: one JSON object each, with a version, secrets sealed.
//!
//! Both stores write the same bytes. The types of [`crate::model`] do not serialize themselves, so that a secret can
//! not leave this process by accident. A record that is not exactly what this version writes is not read: neither
//! guessing at an unknown field nor dropping it at the next change is safe.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::dummy::Dummies;
use super::seal::{RecordId, Sealer};
use super::{StoreError, StoreErrorKind};
use crate::clock::UnixTime;
use crate::model::{
    AccessToken, CompatProfile, Consumer, ConsumerId, ConsumerKey, ConsumerName, ConsumerSecret, ConsumerStatus, Flow,
    Generation, Scopes, Token, TokenStatus, UserId,
};
use crate::oauth::{RsaPublicKey, SignatureMethod};

/// Writes and reads records.
pub(super) struct Records {
    sealer: Sealer,
    dummies: OnceLock<Option<Dummies>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumerRecord {
    version: u32,
    id: String,
    key: String,
    name: String,
    description: String,
    platform: String,
    app_url: String,
    #[serde(default)]
    verified: bool,
    disabled: bool,
    secrets: Vec<SecretRecord>,
    rsa_public_keys: Vec<String>,
    signature_methods: Vec<String>,
    flows: Vec<String>,
    callbacks: Vec<String>,
    scopes: String,
    compat: Vec<String>,
    #[serde(default)]
    generation: u64,
    created_at_ms: u64,
    updated_at_ms: u64,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRecord {
    sealed: String,
    expires_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRecord {
    version: u32,
    token: String,
    secret: String,
    consumer_key: String,
    user_id: Option<String>,
    scopes: String,
    #[serde(default)]
    consumer_generation: u64,
    #[serde(default)]
    user_generation: u64,
    revoked: bool,
    expires_at_ms: Option<u64>,
    created_at_ms: u64,
    revision: u64,
}

/// What every version of a record has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

// === impl Records ===

impl Records {
    /// Records whose secrets `sealer` seals.
    pub(super) fn new(sealer: Sealer) -> Self {
        Self { sealer, dummies: OnceLock::new() }
    }

    /// Reads the consumer that a look-up of `key` found; where it found nothing, as much is read for nothing.
    pub(super) fn found_consumer(
        &self,
        key: &ConsumerKey,
        bytes: Option<&[u8]>,
    ) -> Result<Option<Consumer>, StoreError> {
        if let Some(bytes) = bytes {
            return self.decode_consumer(key, bytes).map(Some);
        }
        self.dummies().map_or(Ok(()), |dummies| dummies.read_consumer(self))?;
        Ok(None)
    }

    /// Reads the token that a look-up of `token` found, as [`found_consumer`](Self::found_consumer) does.
    pub(super) fn found_token(&self, token: &Token, bytes: Option<&[u8]>) -> Result<Option<AccessToken>, StoreError> {
        if let Some(bytes) = bytes {
            return self.decode_token(token, bytes).map(Some);
        }
        self.dummies().map_or(Ok(()), |dummies| dummies.read_token(self))?;
        Ok(None)
    }

    fn dummies(&self) -> Option<&Dummies> {
        self.dummies.get_or_init(|| Dummies::write(self)).as_ref()
    }

    /// Writes a consumer.
    pub(super) fn encode_consumer(&self, consumer: &Consumer) -> Result<Vec<u8>, StoreError> {
        let id = consumer_id(&consumer.key);
        let secrets = consumer.secrets.iter().map(|secret| {
            let sealed = self.sealer.seal(&secret.secret, &id).map_err(unwritable)?;
            Ok(SecretRecord { sealed, expires_at_ms: secret.expires_at.map(UnixTime::as_millis) })
        });
        let record = ConsumerRecord {
            version: VERSION,
            id: consumer.id.to_string(),
            key: consumer.key.to_string(),
            name: consumer.name.to_string(),
            description: consumer.description.clone(),
            platform: consumer.platform.clone(),
            app_url: consumer.app_url.clone(),
            verified: consumer.verified,
            disabled: consumer.status == ConsumerStatus::Disabled,
            secrets: secrets.collect::<Result<_, StoreError>>()?,
            rsa_public_keys: consumer.rsa_public_keys.iter().map(RsaPublicKey::to_pem).collect(),
            signature_methods: names(&consumer.signature_methods, SignatureMethod::name),
            flows: names(&consumer.flows, Flow::name),
            callbacks: consumer.callbacks.clone(),
            scopes: consumer.scopes.to_string(),
            compat: names(&consumer.compat, CompatProfile::name),
            generation: consumer.generation.number(),
            created_at_ms: consumer.created_at.as_millis(),
            updated_at_ms: consumer.updated_at.as_millis(),
            revision: consumer.revision,
        };
        serde_json::to_vec(&record).map_err(unwritable)
    }

    /// Reads the consumer that is kept under `key`.
    pub(super) fn decode_consumer(&self, key: &ConsumerKey, bytes: &[u8]) -> Result<Consumer, StoreError> {
        let record: ConsumerRecord = parse(bytes)?;
        check_version(record.version)?;
        if record.key != key.as_str() {
            return Err(unreadable("it is kept under the key of another consumer"));
        }
        let id = consumer_id(key);
        let secrets = record.secrets.iter().map(|secret| {
            Ok(ConsumerSecret {
                secret: self.sealer.open(&secret.sealed, &id).map_err(unreadable)?,
                expires_at: secret.expires_at_ms.map(UnixTime::from_millis),
            })
        });
        Ok(Consumer {
            secrets: secrets.collect::<Result<_, StoreError>>()?,
            id: ConsumerId::new(record.id).map_err(unreadable)?,
            key: key.clone(),
            name: ConsumerName::new(record.name).map_err(unreadable)?,
            description: record.description,
            platform: record.platform,
            app_url: record.app_url,
            verified: record.verified,
            status: if record.disabled { ConsumerStatus::Disabled } else { ConsumerStatus::Active },
            rsa_public_keys: rsa_keys(&record.rsa_public_keys)?,
            signature_methods: from_names(&record.signature_methods, |name| {
                SignatureMethod::from_name(name.as_bytes())
            })?,
            flows: from_names(&record.flows, Flow::from_name)?,
            callbacks: record.callbacks,
            scopes: Scopes::parse(&record.scopes).map_err(unreadable)?,
            compat: from_names(&record.compat, CompatProfile::from_name)?,
            generation: Generation::from_number(record.generation),
            created_at: UnixTime::from_millis(record.created_at_ms),
            updated_at: UnixTime::from_millis(record.updated_at_ms),
            revision: record.revision,
        })
    }

    /// Writes a token.
    pub(super) fn encode_token(&self, token: &AccessToken) -> Result<Vec<u8>, StoreError> {
        let id = token_id(&token.consumer_key, &token.token);
        let record = TokenRecord {
            version: VERSION,
            token: token.token.to_string(),
            secret: self.sealer.seal(&token.secret, &id).map_err(unwritable)?,
            consumer_key: token.consumer_key.to_string(),
            user_id: token.user_id.as_ref().map(UserId::to_string),
            scopes: token.scopes.to_string(),
            consumer_generation: token.consumer_generation.number(),
            user_generation: token.user_generation.number(),
            revoked: token.status == TokenStatus::Revoked,
            expires_at_ms: token.expires_at.map(UnixTime::as_millis),
            created_at_ms: token.created_at.as_millis(),
            revision: token.revision,
        };
        serde_json::to_vec(&record).map_err(unwritable)
    }

    /// Reads the token that is kept under the name `token`, whoever's it is.
    pub(super) fn decode_token(&self, token: &Token, bytes: &[u8]) -> Result<AccessToken, StoreError> {
        let record: TokenRecord = parse(bytes)?;
        check_version(record.version)?;
        if record.token != token.as_str() {
            return Err(unreadable("it is kept under the name of another token"));
        }
        let consumer_key = ConsumerKey::new(record.consumer_key).map_err(unreadable)?;
        let id = token_id(&consumer_key, token);
        Ok(AccessToken {
            token: token.clone(),
            secret: self.sealer.open(&record.secret, &id).map_err(unreadable)?,
            consumer_key,
            user_id: record.user_id.map(UserId::new).transpose().map_err(unreadable)?,
            scopes: Scopes::parse(&record.scopes).map_err(unreadable)?,
            consumer_generation: Generation::from_number(record.consumer_generation),
            user_generation: Generation::from_number(record.user_generation),
            status: if record.revoked { TokenStatus::Revoked } else { TokenStatus::Active },
            expires_at: record.expires_at_ms.map(UnixTime::from_millis),
            created_at: UnixTime::from_millis(record.created_at_ms),
            revision: record.revision,
        })
    }
}

fn consumer_id(key: &ConsumerKey) -> RecordId {
    RecordId::new("consumer", &[key.as_str()])
}

fn token_id(consumer: &ConsumerKey, token: &Token) -> RecordId {
    RecordId::new("token", &[consumer.as_str(), token.as_str()])
}

/// Reads a record; of one that it can not read it says the version, if that is the reason.
fn parse<'r, T: Deserialize<'r>>(bytes: &'r [u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| {
        if let Ok(Versioned { version }) = serde_json::from_slice(bytes)
            && let Err(newer) = check_version(version)
        {
            return newer;
        }
        // serde_json quotes what it read, so only the place is passed on.
        unreadable(format!(
            "it is not a record of version {VERSION} (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

fn check_version(version: u32) -> Result<(), StoreError> {
    if version == VERSION {
        return Ok(());
    }
    Err(unreadable(format!(
        "it is of version {version}, this release reads version {VERSION}; run the release that wrote it"
    )))
}

fn names<T: Copy>(values: &BTreeSet<T>, name: fn(T) -> &'static str) -> Vec<String> {
    values.iter().map(|value| name(*value).to_owned()).collect()
}

fn from_names<T: Ord>(names: &[String], value: impl Fn(&str) -> Option<T>) -> Result<BTreeSet<T>, StoreError> {
    let known = |name: &String| value(name).ok_or_else(|| unreadable("it has a name that this release does not know"));
    names.iter().map(known).collect()
}

fn rsa_keys(pems: &[String]) -> Result<Vec<RsaPublicKey>, StoreError> {
    pems.iter().map(|pem| RsaPublicKey::from_pem(pem).map_err(unreadable)).collect()
}

fn unreadable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable, "reading a record").because(source)
}

fn unwritable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unusable, "writing a record").because(source)
}

/// The version of the records that are written, and the only one that is read.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemEntropy;
    use crate::model::Secret;
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
        let later = String::from_utf8(bytes).unwrap().replace("\"version\":1", "\"version\":2,\"new_field\":true");
        let error = records.decode_consumer(&consumer.key, later.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unreadable);
        assert!(error.source().unwrap().to_string().contains("version 2"), "{error:?}");
    }

    #[test]
    fn an_unknown_field_is_not_dropped_in_silence() {
        let (records, token) = (records(), token());
        let bytes = records.encode_token(&token).unwrap();
        let changed = String::from_utf8(bytes).unwrap().replace("\"version\":1", "\"version\":1,\"new_field\":true");
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
        let stolen =
            String::from_utf8(bytes).unwrap().replace("\"consumer_key\":\"ck\"", "\"consumer_key\":\"mallory\"");
        assert_eq!(
            records.decode_token(&token.token, stolen.as_bytes()).unwrap_err().kind(),
            StoreErrorKind::Unreadable
        );
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
}

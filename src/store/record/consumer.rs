//! The stored form of consumers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::secret_text::SecretText;
use super::{RecordKind, RecordWriter, Records, unreadable};
use crate::clock::UnixTime;
use crate::model::{
    CompatProfile, Consumer, ConsumerId, ConsumerKey, ConsumerName, ConsumerProfile,
    ConsumerSecret, ConsumerStatus, DenyDetail, Flow, Generation, Scopes,
};
use crate::oauth::{RsaPublicKey, SignatureMethod};
use crate::store::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsumerRecord {
    id: String,
    name: String,
    description: String,
    platform: String,
    app_url: String,
    verified: bool,
    disabled: bool,
    secrets: Vec<SecretRecord>,
    rsa_public_keys: Vec<String>,
    signature_methods: Vec<String>,
    flows: Vec<String>,
    callbacks: Vec<String>,
    scopes: String,
    compat: Vec<String>,
    deny_detail: Option<String>,
    deprecated_at_ms: Option<u64>,
    sunset_at_ms: Option<u64>,
    generation: u64,
    created_at_ms: u64,
    updated_at_ms: u64,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretRecord {
    secret: SecretText,
    expires_at_ms: Option<u64>,
}

impl RecordWriter<'_> {
    /// Writes a consumer.
    pub(in crate::store) fn encode_consumer(
        &self,
        consumer: &Consumer,
    ) -> Result<Vec<u8>, StoreError> {
        let ConsumerProfile {
            description,
            platform,
            app_url,
        } = consumer.profile.clone();
        let record = ConsumerRecord {
            id: consumer.id.to_string(),
            name: consumer.name.to_string(),
            description,
            platform,
            app_url,
            verified: consumer.verified,
            disabled: consumer.status == ConsumerStatus::Disabled,
            secrets: consumer.secrets.iter().map(SecretRecord::of).collect(),
            rsa_public_keys: consumer
                .rsa_public_keys
                .iter()
                .map(RsaPublicKey::to_pem)
                .collect(),
            signature_methods: names(&consumer.signature_methods, SignatureMethod::name),
            flows: names(&consumer.flows, Flow::name),
            callbacks: consumer.callbacks.clone(),
            scopes: consumer.scopes.to_string(),
            compat: consumer
                .compat
                .iter()
                .map(|profile| profile.name().to_owned())
                .collect(),
            deny_detail: consumer.deny_detail.map(|detail| detail.name().to_owned()),
            deprecated_at_ms: consumer.deprecated_at.map(UnixTime::as_millis),
            sunset_at_ms: consumer.sunset_at.map(UnixTime::as_millis),
            generation: consumer.generation.number(),
            created_at_ms: consumer.created_at.as_millis(),
            updated_at_ms: consumer.updated_at.as_millis(),
            revision: consumer.revision,
        };
        let key = consumer.key.as_str().as_bytes();
        self.seal(RecordKind::Consumer, key, &record)
    }
}

impl Records {
    /// Reads the consumer that is stored under `key`.
    pub(in crate::store) fn decode_consumer(
        &self,
        key: &ConsumerKey,
        bytes: &[u8],
    ) -> Result<Consumer, StoreError> {
        let name = key.as_str().as_bytes();
        let record: ConsumerRecord = self.open(RecordKind::Consumer, name, bytes)?;
        let secrets = record.secrets.iter().map(SecretRecord::read);
        Ok(Consumer {
            secrets: secrets.collect::<Result<_, _>>()?,
            id: ConsumerId::new(record.id).map_err(unreadable)?,
            key: key.clone(),
            name: ConsumerName::new(record.name).map_err(unreadable)?,
            profile: ConsumerProfile {
                description: record.description,
                platform: record.platform,
                app_url: record.app_url,
            },
            verified: record.verified,
            status: status(record.disabled),
            rsa_public_keys: rsa_keys(&record.rsa_public_keys)?,
            signature_methods: from_names(&record.signature_methods, |name| {
                SignatureMethod::from_name(name.as_bytes())
            })?,
            flows: from_names(&record.flows, |name| name.parse().ok())?,
            callbacks: record.callbacks,
            scopes: Scopes::parse(&record.scopes).map_err(unreadable)?,
            compat: from_names(&record.compat, CompatProfile::from_name)?,
            deny_detail: record.deny_detail.as_deref().map(deny_detail).transpose()?,
            deprecated_at: record.deprecated_at_ms.map(UnixTime::from_millis),
            sunset_at: record.sunset_at_ms.map(UnixTime::from_millis),
            generation: Generation::from_number(record.generation),
            created_at: UnixTime::from_millis(record.created_at_ms),
            updated_at: UnixTime::from_millis(record.updated_at_ms),
            revision: record.revision,
        })
    }
}

impl SecretRecord {
    fn of(secret: &ConsumerSecret) -> Self {
        Self {
            secret: SecretText::of(&secret.secret),
            expires_at_ms: secret.expires_at.map(UnixTime::as_millis),
        }
    }

    fn read(&self) -> Result<ConsumerSecret, StoreError> {
        Ok(ConsumerSecret {
            secret: self.secret.secret()?,
            expires_at: self.expires_at_ms.map(UnixTime::from_millis),
        })
    }
}

const fn status(is_disabled: bool) -> ConsumerStatus {
    if is_disabled {
        ConsumerStatus::Disabled
    } else {
        ConsumerStatus::Active
    }
}

fn names<T: Copy>(values: &BTreeSet<T>, name: fn(T) -> &'static str) -> Vec<String> {
    values.iter().map(|value| name(*value).to_owned()).collect()
}

fn from_names<T, C: FromIterator<T>>(
    names: &[String],
    value: impl Fn(&str) -> Option<T>,
) -> Result<C, StoreError> {
    names
        .iter()
        .map(|name| value(name).ok_or_else(unknown_name))
        .collect()
}

fn deny_detail(name: &str) -> Result<DenyDetail, StoreError> {
    name.parse().map_err(|_| unknown_name())
}

fn unknown_name() -> StoreError {
    unreadable("it has a name that this release does not know")
}

fn rsa_keys(pems: &[String]) -> Result<Vec<RsaPublicKey>, StoreError> {
    pems.iter()
        .map(|pem| RsaPublicKey::from_pem(pem).map_err(unreadable))
        .collect()
}

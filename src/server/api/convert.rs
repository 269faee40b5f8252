//! Between messages and records.
//!
//! Both sides are taken apart completely, so that a new field is not forgotten; output only fields of a request are
//! ignored by name.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost_types::Timestamp;
use sha2::{Digest, Sha256};

use super::v1;
use crate::clock::UnixTime;
use crate::issue::{ConsumerDraft, Expiry, TokenDraft, Violations};
use crate::model::{AccessToken, Consumer, ConsumerStatus, Flow, Secret, TokenStatus};
use crate::oauth::{RsaPublicKey, SignatureMethod};

/// What a CreateConsumer asks for.
pub(super) fn consumer_draft(request: v1::CreateConsumerRequest) -> Result<ConsumerDraft, Violations> {
    let v1::CreateConsumerRequest { consumer, consumer_secret, no_shared_secret, allow_existing: _, validate_only: _ } =
        request;
    let v1::Consumer {
        consumer_key,
        name,
        description,
        platform,
        app_url,
        signature_methods,
        flows,
        callbacks,
        scopes,
        rsa_public_keys,
        compat_profiles,
        consumer_id: _,
        status: _,
        secret_count: _,
        create_time: _,
        update_time: _,
        etag: _,
        verified,
        previous_secret_expire_time: _,
    } = consumer.ok_or_else(|| Violations::of("consumer", "is required"))?;
    Ok(ConsumerDraft {
        consumer_key: given(consumer_key),
        consumer_secret: given(consumer_secret).map(String::into_bytes).map(Secret::new),
        no_shared_secret,
        name,
        description,
        platform,
        app_url,
        verified,
        signature_methods,
        flows,
        callbacks,
        scopes,
        rsa_public_keys: rsa_public_keys.into_iter().map(|key| key.pem).collect(),
        compat_profiles,
    })
}

/// What a CreateToken asks for.
pub(super) fn token_draft(request: v1::CreateTokenRequest) -> Result<TokenDraft, Violations> {
    let v1::CreateTokenRequest { token, token_secret, ttl, allow_existing: _, validate_only: _ } = request;
    let v1::Token { token, consumer_key, user_id, scopes, expire_time, status: _, create_time: _, etag: _ } =
        token.ok_or_else(|| Violations::of("token", "is required"))?;
    Ok(TokenDraft {
        token: given(token),
        token_secret: given(token_secret).map(String::into_bytes).map(Secret::new),
        consumer_key,
        user_id: given(user_id),
        scopes,
        expiry: expiry(expire_time, ttl)?,
    })
}

/// A consumer as administrators see it: without its secrets.
pub(super) fn consumer_message(consumer: &Consumer) -> v1::Consumer {
    let Consumer {
        id,
        key,
        name,
        description,
        platform,
        app_url,
        verified,
        status,
        secrets,
        rsa_public_keys,
        signature_methods,
        flows,
        callbacks,
        scopes,
        compat,
        generation: _,
        created_at,
        updated_at,
        revision,
    } = consumer;
    v1::Consumer {
        consumer_id: id.to_string(),
        consumer_key: key.to_string(),
        name: name.to_string(),
        description: description.clone(),
        platform: platform.clone(),
        app_url: app_url.clone(),
        verified: *verified,
        status: consumer_status(*status).into(),
        signature_methods: signature_methods.iter().map(SignatureMethod::to_string).collect(),
        flows: flows.iter().map(|flow: &Flow| flow.name().to_owned()).collect(),
        callbacks: callbacks.clone(),
        scopes: scopes.iter().map(str::to_owned).collect(),
        rsa_public_keys: rsa_public_keys.iter().map(rsa_public_key).collect(),
        compat_profiles: compat.iter().map(|profile| profile.name().to_owned()).collect(),
        secret_count: count(secrets.len()),
        create_time: Some(timestamp(*created_at)),
        update_time: Some(timestamp(*updated_at)),
        etag: revision.to_string(),
        previous_secret_expire_time: secrets.get(1).and_then(|older| older.expires_at).map(timestamp),
    }
}

/// A token as administrators see it: without its secret.
pub(super) fn token_message(token: &AccessToken) -> v1::Token {
    let AccessToken {
        token,
        secret: _,
        consumer_key,
        user_id,
        scopes,
        consumer_generation: _,
        user_generation: _,
        status,
        expires_at,
        created_at,
        revision,
    } = token;
    v1::Token {
        token: token.to_string(),
        consumer_key: consumer_key.to_string(),
        user_id: user_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        scopes: scopes.iter().map(str::to_owned).collect(),
        status: token_status(*status).into(),
        create_time: Some(timestamp(*created_at)),
        expire_time: expires_at.map(timestamp),
        etag: revision.to_string(),
    }
}

/// A secret in the one answer that shows it.
///
/// Every secret came in a message or was made of ASCII, so nothing is lost.
pub(super) fn shown(secret: &Secret) -> String {
    String::from_utf8_lossy(secret.expose()).into_owned()
}

/// In a proto without presence, empty is left out.
fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn expiry(expire_time: Option<Timestamp>, ttl: Option<prost_types::Duration>) -> Result<Expiry, Violations> {
    match (expire_time, ttl) {
        (None, None) => Ok(Expiry::Never),
        (Some(time), None) => Ok(Expiry::At(unix_time(time))),
        (None, Some(ttl)) => {
            let ttl = Duration::try_from(ttl).map_err(|_| Violations::of("ttl", "must not be negative"))?;
            Ok(Expiry::After(ttl))
        }
        (Some(_), Some(_)) => Err(Violations::of("ttl", "must be left out together with an expire_time")),
    }
}

/// Times before 1970 are 1970: both are past.
fn unix_time(Timestamp { seconds, nanos }: Timestamp) -> UnixTime {
    let nanos = Duration::from_nanos(u64::try_from(nanos).unwrap_or_default());
    UnixTime::from_secs(u64::try_from(seconds).unwrap_or_default()).plus(nanos)
}

fn timestamp(time: UnixTime) -> Timestamp {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let millis = time.since(UnixTime::from_secs(time.as_secs())).subsec_millis();
    Timestamp { seconds, nanos: i32::try_from(millis * 1_000_000).unwrap_or_default() }
}

const fn consumer_status(status: ConsumerStatus) -> v1::ConsumerStatus {
    match status {
        ConsumerStatus::Active => v1::ConsumerStatus::Active,
        ConsumerStatus::Disabled => v1::ConsumerStatus::Disabled,
    }
}

const fn token_status(status: TokenStatus) -> v1::TokenStatus {
    match status {
        TokenStatus::Active => v1::TokenStatus::Active,
        TokenStatus::Revoked => v1::TokenStatus::Revoked,
    }
}

fn rsa_public_key(key: &RsaPublicKey) -> v1::RsaPublicKey {
    let pem = key.to_pem();
    v1::RsaPublicKey { bits: count(key.bits()), fingerprint: fingerprint(&pem), pem }
}

/// What `openssl pkey -pubin -outform DER | sha256sum` prints for the key; empty for what is no PEM.
fn fingerprint(pem: &str) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let digest = BASE64_STANDARD.decode(base64).map(Sha256::digest);
    digest.map(|digest| digest.iter().map(|byte| format!("{byte:02x}")).collect()).unwrap_or_default()
}

fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_milliseconds() {
        let time = UnixTime::from_millis(1_700_000_000_123);
        assert_eq!(timestamp(time), Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 });
        assert_eq!(unix_time(timestamp(time)), time);
        assert_eq!(unix_time(Timestamp { seconds: -5, nanos: 0 }), UnixTime::from_secs(0));
    }

    #[test]
    fn a_token_expires_at_one_time_only() {
        let (time, ttl) = (Timestamp::default(), prost_types::Duration { seconds: 1, nanos: 0 });
        assert_eq!(expiry(None, None), Ok(Expiry::Never));
        assert_eq!(expiry(None, Some(ttl)), Ok(Expiry::After(Duration::from_secs(1))));
        assert!(expiry(Some(time), Some(ttl)).is_err());
        assert!(expiry(None, Some(prost_types::Duration { seconds: -1, nanos: 0 })).is_err());
    }

    #[test]
    fn a_fingerprint_is_that_of_the_der() {
        let pem = "-----BEGIN PUBLIC KEY-----\nYW\nJj\n-----END PUBLIC KEY-----\n";
        assert_eq!(fingerprint(pem), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_record_is_required() {
        let refused = consumer_draft(v1::CreateConsumerRequest::default()).unwrap_err();
        assert_eq!(refused.to_string(), "consumer is required");
        let refused = token_draft(v1::CreateTokenRequest::default()).unwrap_err();
        assert_eq!(refused.to_string(), "token is required");
    }
}

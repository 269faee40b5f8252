//! Consumers and their RSA keys.

use prost_types::Timestamp;

use super::{count, given, secret, texts, timestamp, unix_time};
use crate::clock::UnixTime;
use crate::issue::{ConsumerDraft, Violations, etag};
use crate::model::{Consumer, ConsumerStatus, Flow};
use crate::oauth::{RsaPublicKey, SignatureMethod};
use crate::v1;

/// What a CreateConsumer asks for.
pub(in super::super) fn consumer_draft(
    request: v1::CreateConsumerRequest,
) -> Result<ConsumerDraft, Violations> {
    let v1::CreateConsumerRequest {
        consumer,
        consumer_secret,
        no_shared_secret,
        allow_existing,
        validate_only,
    } = request;
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
        deny_detail,
        deprecated_at,
        sunset_at,
    } = consumer.ok_or_else(|| Violations::of("consumer", "is required"))?;
    Ok(ConsumerDraft {
        consumer_key: given(consumer_key),
        consumer_secret: secret(consumer_secret),
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
        deny_detail,
        deprecated_at: time("consumer.deprecated_at", deprecated_at)?,
        sunset_at: time("consumer.sunset_at", sunset_at)?,
        allow_existing,
        validate_only,
    })
}

/// A consumer as administrators see it: without its secrets.
pub(in super::super) fn consumer_message(consumer: &Consumer) -> v1::Consumer {
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
        deny_detail,
        deprecated_at,
        sunset_at,
        generation,
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
        signature_methods: signature_methods
            .iter()
            .map(SignatureMethod::to_string)
            .collect(),
        flows: flows
            .iter()
            .map(|flow: &Flow| flow.name().to_owned())
            .collect(),
        callbacks: callbacks.clone(),
        scopes: texts(scopes),
        rsa_public_keys: rsa_public_keys.iter().map(rsa_public_key).collect(),
        compat_profiles: compat
            .iter()
            .map(|profile| profile.name().to_owned())
            .collect(),
        secret_count: count(secrets.len()),
        create_time: Some(timestamp(*created_at)),
        update_time: Some(timestamp(*updated_at)),
        etag: etag(*generation, *revision),
        previous_secret_expire_time: secrets
            .get(1)
            .and_then(|older| older.expires_at)
            .map(timestamp),
        deny_detail: deny_detail
            .map(|detail| detail.name().to_owned())
            .unwrap_or_default(),
        deprecated_at: deprecated_at.map(timestamp),
        sunset_at: sunset_at.map(timestamp),
    }
}

fn time(field: &str, time: Option<Timestamp>) -> Result<Option<UnixTime>, Violations> {
    time.map(unix_time)
        .transpose()
        .map_err(|problem| Violations::of(field, problem))
}

const fn consumer_status(status: ConsumerStatus) -> v1::ConsumerStatus {
    match status {
        ConsumerStatus::Active => v1::ConsumerStatus::Active,
        ConsumerStatus::Disabled => v1::ConsumerStatus::Disabled,
    }
}

fn rsa_public_key(key: &RsaPublicKey) -> v1::RsaPublicKey {
    let pem = key.to_pem();
    v1::RsaPublicKey {
        bits: count(key.bits()),
        fingerprint: key.fingerprint(),
        pem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_required() {
        let refused = consumer_draft(v1::CreateConsumerRequest::default()).unwrap_err();
        assert_eq!(refused.to_string(), "consumer is required");
    }

    #[test]
    fn a_time_that_is_none_is_named() {
        let none = Some(Timestamp {
            seconds: 5,
            nanos: -1,
        });
        for (field, consumer) in [
            (
                "consumer.deprecated_at",
                v1::Consumer {
                    deprecated_at: none,
                    ..v1::Consumer::default()
                },
            ),
            (
                "consumer.sunset_at",
                v1::Consumer {
                    sunset_at: none,
                    ..v1::Consumer::default()
                },
            ),
        ] {
            let request = v1::CreateConsumerRequest {
                consumer: Some(consumer),
                ..Default::default()
            };
            assert_eq!(
                consumer_draft(request)
                    .unwrap_err()
                    .iter()
                    .next()
                    .unwrap()
                    .field,
                field
            );
        }
    }
}

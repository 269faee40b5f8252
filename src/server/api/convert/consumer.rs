//! Messages of consumers and their RSA keys.

use prost_types::Timestamp;

use super::{count, duration, given, secret, texts, timestamp, unix_time};
use crate::clock::UnixTime;
use crate::issue::{
    ConsumerAttributes, ConsumerDraft, ExpectedState, Violations, WantedConsumer, etag,
};
use crate::model::{Consumer, ConsumerKey, ConsumerProfile, ConsumerStatus, DenyDetail, Flow};
use crate::oauth::{RsaPublicKey, SignatureMethod};
use crate::v1;

/// Returns the draft in a CreateConsumer request.
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
    let mut consumer = consumer.ok_or_else(|| Violations::of("consumer", "is required"))?;
    let rsa_public_keys = std::mem::take(&mut consumer.rsa_public_keys);
    Ok(ConsumerDraft {
        consumer_key: given(std::mem::take(&mut consumer.consumer_key)),
        consumer_secret: secret(consumer_secret),
        no_shared_secret,
        rsa_public_keys: rsa_public_keys.into_iter().map(|key| key.pem).collect(),
        attributes: consumer_attributes(consumer)?,
        allow_existing,
        validate_only,
    })
}

/// Returns the wanted consumer in an ApplyConsumer request.
pub(in super::super) fn wanted_consumer(
    request: v1::ApplyConsumerRequest,
) -> Result<WantedConsumer, Violations> {
    let v1::ApplyConsumerRequest {
        consumer,
        consumer_secret,
        secret_overlap,
        generate_secret,
        validate_only,
        create_only,
    } = request;
    let mut consumer = consumer.ok_or_else(|| Violations::of("consumer", "is required"))?;
    let mut wrong = Violations::default();
    let key = std::mem::take(&mut consumer.consumer_key);
    let key = wrong.check("consumer.consumer_key", ConsumerKey::new(key));
    let expected = expected_state(given(std::mem::take(&mut consumer.etag)), create_only);
    let expected = wrong.check("create_only", expected);
    let status = wrong.check("consumer.status", wanted_status(consumer.status));
    let overlap = wrong.check("secret_overlap", duration(secret_overlap));
    let rsa_public_keys = std::mem::take(&mut consumer.rsa_public_keys);
    let attributes = wrong.merge(consumer_attributes(consumer));
    let valid = key.zip(expected).zip(status).zip(overlap.zip(attributes));
    let (((consumer_key, expected), status), (secret_overlap, attributes)) = wrong.or(valid)?;
    Ok(WantedConsumer {
        consumer_key,
        expected,
        status,
        consumer_secret: secret(consumer_secret),
        secret_overlap,
        generate_secret,
        rsa_public_keys: rsa_public_keys.into_iter().map(|key| key.pem).collect(),
        attributes,
        validate_only,
    })
}

/// Returns the attributes in a message, which create and update set.
pub(in super::super) fn consumer_attributes(
    message: v1::Consumer,
) -> Result<ConsumerAttributes, Violations> {
    let v1::Consumer {
        name,
        description,
        platform,
        app_url,
        verified,
        signature_methods,
        flows,
        callbacks,
        scopes,
        compat_profiles,
        deny_detail,
        deprecated_at,
        sunset_at,
        consumer_key: _,
        rsa_public_keys: _,
        consumer_id: _,
        status: _,
        secret_count: _,
        create_time: _,
        update_time: _,
        etag: _,
        previous_secret_expire_time: _,
    } = message;
    let profile = ConsumerProfile {
        description,
        platform,
        app_url,
    };
    let mut wrong = Violations::default();
    let deprecated_at = wrong.check("consumer.deprecated_at", time(deprecated_at));
    let sunset_at = wrong.check("consumer.sunset_at", time(sunset_at));
    let (deprecated_at, sunset_at) = wrong.or(deprecated_at.zip(sunset_at))?;
    Ok(ConsumerAttributes {
        name,
        profile,
        verified,
        signature_methods,
        flows,
        callbacks,
        scopes,
        compat_profiles,
        deny_detail,
        deprecated_at,
        sunset_at,
    })
}

/// Returns the message of a consumer, without its secrets.
pub(in super::super) fn consumer_message(consumer: &Consumer) -> v1::Consumer {
    let ConsumerProfile {
        description,
        platform,
        app_url,
    } = consumer.profile.clone();
    v1::Consumer {
        name: consumer.name.to_string(),
        description,
        platform,
        app_url,
        verified: consumer.verified,
        signature_methods: names(&consumer.signature_methods, SignatureMethod::name),
        flows: names(&consumer.flows, Flow::name),
        callbacks: consumer.callbacks.clone(),
        scopes: texts(&consumer.scopes),
        compat_profiles: consumer
            .compat
            .iter()
            .map(|profile| profile.name().to_owned())
            .collect(),
        deny_detail: consumer.deny_detail.map_or("", DenyDetail::name).to_owned(),
        deprecated_at: consumer.deprecated_at.map(timestamp),
        sunset_at: consumer.sunset_at.map(timestamp),
        ..identity_message(consumer)
    }
}

/// Returns the part of the message that no update changes.
fn identity_message(consumer: &Consumer) -> v1::Consumer {
    let previous_secret = consumer.secrets.get(1);
    v1::Consumer {
        consumer_id: consumer.id.to_string(),
        consumer_key: consumer.key.to_string(),
        status: consumer_status(consumer.status).into(),
        rsa_public_keys: consumer
            .rsa_public_keys
            .iter()
            .map(rsa_public_key)
            .collect(),
        secret_count: count(consumer.secrets.len()),
        previous_secret_expire_time: previous_secret
            .and_then(|previous| previous.expires_at)
            .map(timestamp),
        create_time: Some(timestamp(consumer.created_at)),
        update_time: Some(timestamp(consumer.updated_at)),
        etag: etag(consumer.generation, consumer.revision),
        ..v1::Consumer::default()
    }
}

fn names<'v, T: Copy + 'v>(
    values: impl IntoIterator<Item = &'v T>,
    name: fn(T) -> &'static str,
) -> Vec<String> {
    let values = values.into_iter();
    values.map(|value| name(*value).to_owned()).collect()
}

fn time(time: Option<Timestamp>) -> Result<Option<UnixTime>, &'static str> {
    time.map(unix_time).transpose()
}

fn expected_state(etag: Option<String>, create_only: bool) -> Result<ExpectedState, &'static str> {
    match (etag, create_only) {
        (None, false) => Ok(ExpectedState::Any),
        (None, true) => Ok(ExpectedState::Absent),
        (Some(etag), false) => Ok(ExpectedState::Etag(etag)),
        (Some(_), true) => Err("contradicts consumer.etag: omit one of them"),
    }
}

/// Reads the requested state; 0 requests no change.
fn wanted_status(status: i32) -> Result<Option<ConsumerStatus>, &'static str> {
    match v1::ConsumerStatus::try_from(status) {
        Ok(v1::ConsumerStatus::Unspecified) => Ok(None),
        Ok(v1::ConsumerStatus::Active) => Ok(Some(ConsumerStatus::Active)),
        Ok(v1::ConsumerStatus::Disabled) => Ok(Some(ConsumerStatus::Disabled)),
        Err(_) => Err("is not a known state"),
    }
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
    fn a_caller_expects_one_state() {
        let refused = wanted_consumer(v1::ApplyConsumerRequest {
            consumer: Some(v1::Consumer {
                consumer_key: "K".to_owned(),
                name: "Printer".to_owned(),
                etag: "1-1".to_owned(),
                ..v1::Consumer::default()
            }),
            create_only: true,
            ..v1::ApplyConsumerRequest::default()
        });
        assert_eq!(
            refused.unwrap_err().to_string(),
            "create_only contradicts consumer.etag: omit one of them"
        );
    }

    #[test]
    fn an_invalid_time_is_named() {
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

//! Consumers and their RSA keys.

use super::{count, given, secret, texts, timestamp};
use crate::issue::{ConsumerDraft, Violations, etag};
use crate::model::{Consumer, ConsumerStatus, Flow};
use crate::oauth::{RsaPublicKey, SignatureMethod};
use crate::server::api::v1;

/// What a CreateConsumer asks for.
pub(in super::super) fn consumer_draft(request: v1::CreateConsumerRequest) -> Result<ConsumerDraft, Violations> {
    let v1::CreateConsumerRequest { consumer, consumer_secret, no_shared_secret, allow_existing, validate_only } =
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
        signature_methods: signature_methods.iter().map(SignatureMethod::to_string).collect(),
        flows: flows.iter().map(|flow: &Flow| flow.name().to_owned()).collect(),
        callbacks: callbacks.clone(),
        scopes: texts(scopes),
        rsa_public_keys: rsa_public_keys.iter().map(rsa_public_key).collect(),
        compat_profiles: compat.iter().map(|profile| profile.name().to_owned()).collect(),
        secret_count: count(secrets.len()),
        create_time: Some(timestamp(*created_at)),
        update_time: Some(timestamp(*updated_at)),
        etag: etag(*generation, *revision),
        previous_secret_expire_time: secrets.get(1).and_then(|older| older.expires_at).map(timestamp),
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
    v1::RsaPublicKey { bits: count(key.bits()), fingerprint: key.fingerprint(), pem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_required() {
        let refused = consumer_draft(v1::CreateConsumerRequest::default()).unwrap_err();
        assert_eq!(refused.to_string(), "consumer is required");
    }
}

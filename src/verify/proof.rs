//! Step 3: proving the signature (RFC 5849 section 3.2), whoever's secrets it takes.

use super::{Reason, dummy};
use crate::clock::UnixTime;
use crate::model::{Consumer, Secret};
use crate::oauth::{
    BodyHashRule, CompatSet, KeySchedule, SignedRequest, VerificationKeys, Verified,
};

/// What is known of those whom a request names.
pub(super) struct Known<'k> {
    /// The consumer of that key.
    pub(super) consumer: Option<&'k Consumer>,
    /// The secret of what its `oauth_token` names, if that was issued to this consumer.
    pub(super) token_secret: Option<&'k Secret>,
    /// The compat profiles that count here.
    pub(super) compat: CompatSet,
}

/// Proves the signature with the keys that are known, or with dummies, so that the work is the same.
pub(super) fn prove<'r>(
    signed: SignedRequest<'r>,
    known: &Known<'_>,
    rule: BodyHashRule,
    now: UnixTime,
) -> Result<Verified<'r>, Reason> {
    let method = signed.signature_method();
    let refused = unprovable(&signed, known);
    let consumer = known.consumer.filter(|_| refused.is_none());
    let mut secrets = [dummy::SECRET; 2];
    let mut count = usize::from(consumer.is_none());
    let valid = consumer
        .into_iter()
        .flat_map(|consumer| &consumer.secrets)
        .filter(|secret| secret.is_valid(now));
    for (slot, secret) in secrets.iter_mut().zip(valid) {
        *slot = secret.secret.expose();
        count += 1;
    }
    let rsa_public_keys: Vec<_> = match consumer {
        _ if !method.is_rsa() => Vec::new(),
        Some(consumer) => consumer.rsa_public_keys.iter().collect(),
        None => vec![dummy::rsa_public_key()],
    };
    let token_secret = known.token_secret.filter(|_| refused.is_none());
    let schedule = schedule(consumer, token_secret);
    let schedule = schedule.unwrap_or_else(|| dummy::schedule(method, signed.token().is_some()));
    let token_secret = match token_secret {
        Some(secret) => Some(secret.expose()),
        None => signed.token().map(|_| dummy::SECRET),
    };
    let keys = VerificationKeys {
        consumer_secrets: &secrets[..count],
        token_secret,
        rsa_public_keys: &rsa_public_keys,
    };
    let compat = consumer.map_or(CompatSet::NONE, |_| known.compat);
    let verdict = signed.verify_under(compat, &keys, schedule, rule);
    match refused {
        Some(reason) => Err(reason),
        None => verdict.map_err(Reason::Rejected),
    }
}

/// Where the HMAC key of the newest consumer secret and the token secret is remembered.
fn schedule<'k>(
    consumer: Option<&'k Consumer>,
    token_secret: Option<&'k Secret>,
) -> Option<&'k KeySchedule> {
    let last_part = match token_secret {
        Some(secret) => secret,
        None => &consumer?.secrets.first()?.secret,
    };
    Some(last_part.schedule())
}

/// Why no signature can prove the request, whatever it is.
fn unprovable(signed: &SignedRequest<'_>, known: &Known<'_>) -> Option<Reason> {
    match (known.consumer, known.token_secret) {
        (None, _) => Some(Reason::UnknownConsumer),
        (Some(consumer), _) if !consumer.allows(signed.signature_method()) => {
            Some(Reason::MethodNotAllowed)
        }
        (Some(_), None) if signed.token().is_some() => Some(Reason::UnknownToken),
        (Some(_), _) => None,
    }
}

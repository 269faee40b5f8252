//! Steps 2 and 3: looking up the credentials that a request names, and proving the signature with
//! them (RFC 5849 section 3.2).
//!
//! Checks and token endpoints share this one proof. They differ in the credentials that they look
//! up and in the rules for reading the request, and both differences are a [`CredentialSource`].
//!
//! A request whose credentials cannot prove anything (unknown consumer, unknown token, method that
//! is not allowed) is verified with dummies, so that it takes as long as a wrong signature.

use std::sync::Arc;

use super::large_bodies::LargeBodies;
use super::{ClaimedCaller, ClaimedToken, Denial, Interruption, Reason, dummy};
use crate::clock::{Clock, UnixTime};
use crate::model::{Consumer, ConsumerKey, Secret};
use crate::oauth::{
    BodyHashRule, CompatSet, KeySchedule, ProvenSignature, Rejection, SignedRequest,
    VerificationKeys, Verified,
};
use crate::store::StoreError;

/// The credentials that one kind of request is signed with.
pub(super) trait CredentialSource {
    /// The credentials that `oauth_token` names.
    type Token: SigningToken;

    /// Looks up a consumer, and the token that the request names.
    ///
    /// # Errors
    /// The store could not answer.
    async fn look_up(
        &self,
        consumer: Option<&ConsumerKey>,
        token: Option<&[u8]>,
    ) -> Result<FoundCredentials<Self::Token>, StoreError>;

    /// Returns the compat profiles of `consumer` that apply.
    fn compat(&self, consumer: &Consumer) -> CompatSet;

    /// Returns the rule for `oauth_body_hash`.
    fn body_hash(&self) -> BodyHashRule;
}

/// Credentials that sign in addition to the consumer's own.
pub(super) trait SigningToken {
    /// Returns the consumer that they were issued to.
    fn consumer_key(&self) -> &ConsumerKey;

    /// Returns their secret.
    fn secret(&self) -> &Secret;

    /// Returns them as part of an unproven request.
    fn into_claimed(self) -> ClaimedToken;
}

/// The stored credentials that a request names.
pub(super) struct FoundCredentials<T> {
    /// The consumer with the claimed key.
    pub(super) consumer: Option<Arc<Consumer>>,
    /// The credentials with the claimed token.
    pub(super) token: Option<T>,
}

impl<T> Default for FoundCredentials<T> {
    fn default() -> Self {
        Self {
            consumer: None,
            token: None,
        }
    }
}

/// A proven request, and the credentials that prove it.
pub(super) struct Proof<'r, T> {
    /// The request.
    pub(super) request: Verified<'r>,
    /// The consumer whose key proved it.
    pub(super) consumer: Arc<Consumer>,
    /// The token whose secret was part of that key.
    pub(super) token: Option<T>,
    /// The time of the proof.
    pub(super) now: UnixTime,
}

/// Looks up the credentials that `signed` names, and proves the signature with them.
///
/// # Errors
/// A [`Denial`] of an unproven request, or the failure of the store.
///
/// # Security
/// The verification runs before the match on `signer`, so that every denial costs the same.
pub(super) async fn prove<'r, S: CredentialSource>(
    signed: SignedRequest<'r>,
    source: &S,
    clock: &dyn Clock,
    large_bodies: &LargeBodies,
) -> Result<Proof<'r, S::Token>, Interruption<Denial>> {
    let claimed = ConsumerKey::from_bytes(signed.consumer_key());
    let found = source.look_up(claimed.as_ref(), signed.token()).await?;
    let now = clock.now();
    let method = signed.signature_method();
    let signer = found.signer(&signed, source);
    let proven = verify(signed, signer.as_ref().ok(), source.body_hash(), now);
    let verdict = match (proven, &signer) {
        (Ok(proven), Ok(signer)) => check_body(proven, signer, large_bodies).await,
        (Ok(proven), Err(_)) => proven.check_body(None),
        (Err(rejection), _) => Err(rejection),
    };
    let (reason, claimed_caller, foreign_token) = match (signer, verdict) {
        (
            Ok(Signer {
                consumer, token, ..
            }),
            Ok(request),
        ) => {
            return Ok(Proof {
                request,
                consumer,
                token,
                now,
            });
        }
        (Ok(signer), Err(rejection)) => {
            let reason = Reason::Rejected(rejection);
            (reason, Some(signer.into_claimed()), None)
        }
        (Err(unprovable), _) => {
            let Unprovable {
                reason,
                caller,
                foreign_token,
            } = unprovable;
            (reason, caller, foreign_token)
        }
    };
    Err(Interruption::Denied(Denial {
        claimed_consumer_key: claimed,
        signature_method: Some(method),
        claimed_caller,
        foreign_token,
        ..Denial::of(reason)
    }))
}

/// Credentials that can prove the request that names them.
struct Signer<T> {
    consumer: Arc<Consumer>,
    token: Option<T>,
    compat: CompatSet,
}

/// Credentials with which no signature can prove the request.
struct Unprovable {
    reason: Reason,
    caller: Option<ClaimedCaller>,
    /// The token, if it was issued to another consumer.
    foreign_token: Option<ClaimedToken>,
}

impl<T: SigningToken> FoundCredentials<T> {
    /// Returns the credentials if they can prove `signed`. A token counts only for the consumer
    /// that it was issued to.
    fn signer(
        self,
        signed: &SignedRequest<'_>,
        source: &impl CredentialSource,
    ) -> Result<Signer<T>, Unprovable> {
        let Some(consumer) = self.consumer else {
            return Err(Unprovable {
                reason: Reason::UnknownConsumer,
                caller: None,
                foreign_token: None,
            });
        };
        let allows_method = consumer.allows(signed.signature_method());
        let (token, foreign) = match self.token {
            Some(token) if *token.consumer_key() == consumer.key => (Some(token), None),
            foreign => (None, foreign),
        };
        let signer = Signer {
            token,
            compat: source.compat(&consumer),
            consumer,
        };
        let reason = if !allows_method {
            Reason::MethodNotAllowed
        } else if signer.token.is_none() && signed.token().is_some() {
            Reason::UnknownToken
        } else {
            return Ok(signer);
        };
        Err(Unprovable {
            reason,
            caller: Some(signer.into_claimed()),
            foreign_token: foreign.map(SigningToken::into_claimed),
        })
    }
}

impl<T: SigningToken> Signer<T> {
    fn into_claimed(self) -> ClaimedCaller {
        ClaimedCaller {
            consumer: self.consumer,
            token: self.token.map(SigningToken::into_claimed),
            compat: self.compat,
        }
    }

    /// Returns the HMAC key cache of the newest consumer secret and the token secret.
    fn schedule(&self) -> Option<&KeySchedule> {
        let last_part = match &self.token {
            Some(token) => token.secret(),
            None => &self.consumer.secrets.first()?.secret,
        };
        Some(last_part.schedule())
    }
}

/// Verifies the signature with the keys of `signer`, or with dummies if there is no signer.
fn verify<'r, T: SigningToken>(
    signed: SignedRequest<'r>,
    signer: Option<&Signer<T>>,
    body_hash: BodyHashRule,
    now: UnixTime,
) -> Result<ProvenSignature<'r>, Rejection> {
    let method = signed.signature_method();
    let mut secrets = [dummy::SECRET; 2];
    let consumer_secrets = match signer {
        Some(signer) => valid_secrets(&signer.consumer, now, &mut secrets),
        None => &secrets[..1],
    };
    let rsa_public_keys: Vec<_> = match signer {
        _ if !method.is_rsa() => Vec::new(),
        Some(signer) => signer.consumer.rsa_public_keys.iter().collect(),
        None => vec![dummy::rsa_public_key()],
    };
    let token = signer.and_then(|signer| signer.token.as_ref());
    let token_secret = match token {
        Some(token) => Some(token.secret().expose()),
        None => signed.token().map(|_| dummy::SECRET),
    };
    let keys = VerificationKeys {
        consumer_secrets,
        token_secret,
        rsa_public_keys: &rsa_public_keys,
    };
    let schedule = signer
        .and_then(Signer::schedule)
        .unwrap_or_else(|| dummy::schedule(method, signed.token().is_some()));
    let compat = signer.map_or(CompatSet::NONE, |signer| signer.compat);
    signed.prove_signature(compat, &keys, schedule, body_hash)
}

/// Compares the body of a proven request with its hash, if a rule demands it.
async fn check_body<'r, T>(
    proven: ProvenSignature<'r>,
    signer: &Signer<T>,
    large_bodies: &LargeBodies,
) -> Result<Verified<'r>, Rejection> {
    let hashed = match proven.body_hashing() {
        // Boxed, because few checks need the room.
        Some(hashing) => Some(Box::pin(large_bodies.hash(&signer.consumer.key, hashing)).await),
        None => None,
    };
    proven.check_body(hashed)
}

/// Collects the secrets of `consumer` that are valid at `now`, the newest first.
fn valid_secrets<'s, 'c>(
    consumer: &'c Consumer,
    now: UnixTime,
    slots: &'s mut [&'c [u8]; 2],
) -> &'s [&'c [u8]] {
    let valid = consumer
        .secrets
        .iter()
        .filter(|secret| secret.is_valid(now));
    let mut count = 0;
    for (slot, secret) in slots.iter_mut().zip(valid) {
        *slot = secret.secret.expose();
        count += 1;
    }
    &slots[..count]
}

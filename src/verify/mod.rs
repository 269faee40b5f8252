//! The check: six steps from a request to a [`Decision`].
//!
//! 1. **Parse**: syntax, duplicates, one place for the protocol parameters, whole body ([`crate::oauth`]).
//! 2. **Look up** consumer and token in one round trip. What is unknown is replaced by a dummy, so that it takes the
//!    same steps and gets the same answer as a wrong signature.
//! 3. **Prove**: recompute the signature, only with a method that the consumer may use and has key material for.
//!    Disabled, revoked and expired are told apart only after that.
//! 4. **Timestamp**: within the window, to both sides.
//! 5. **Claim the nonce**, only now: only proven requests write. A request that is refused later has used it up.
//! 6. **Policy**: a user if one is demanded, scopes, realm.
//!
//! A bad request is a [`Decision::Deny`]; an `Err` means that *we* failed, and is never an answer about the caller.
//! What Envoy says about the request, and how an answer looks on the wire, is left to `server::ext_authz`.

mod decision;
mod dummy;
mod reason;

use std::sync::Arc;
use std::time::Duration;

pub use decision::{Allowed, Decision, Denial, Identity};
pub use reason::{BodyGap, Reason, Stage};

use crate::clock::{Clock, UnixTime};
use crate::config::{Requirement, VerifyConfig};
use crate::model::{AccessToken, Consumer, ConsumerKey, Flow, Scopes, Token, TokenStatus};
use crate::oauth::{self, BodyHashRule, Keys, Limits, SignatureMethod, SignedRequest, Verified};
use crate::store::{Claim, Credentials, NonceClaim, Store, StoreError};

/// How long a nonce is remembered after its timestamp left the window: what clocks of replicas may differ.
const NONCE_MARGIN: Duration = Duration::from_secs(60);

/// Verifies signed requests against a store.
#[derive(Debug)]
pub struct Verifier {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    window: Duration,
    not_before: u64,
}

/// What is demanded of one request.
#[derive(Clone, Copy, Debug)]
pub struct Demands<'p> {
    /// Whether a signature, and whether a user, is needed.
    pub require: Requirement,
    /// The scopes that are all needed.
    pub scopes: &'p Scopes,
    /// The realm that the client's must equal, if it must.
    pub realm: Option<&'p str>,
    /// What is demanded of `oauth_body_hash`.
    pub body_hash: BodyHashRule,
    /// An operator configured that clients reach this route by https: PLAINTEXT may be used (RFC 5849 section 3.4.4).
    pub https_is_configured: bool,
    /// Random, or what the operator trusts to be the same when Envoy repeats a check.
    pub check_id: [u8; 16],
}

impl Verifier {
    /// A verifier over `store` that takes the time from `clock`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: &VerifyConfig) -> Self {
        let limits = Limits { parameters: config.max_parameters, ..Limits::default() };
        Self { store, clock, limits, window: config.timestamp_window, not_before: config.not_before }
    }

    /// Decides about one request.
    ///
    /// # Errors
    /// When the store could not answer: then nothing is known about the request.
    ///
    /// # Security
    /// Dropping the returned future, as a deadline does, is safe: at worst the nonce is used up.
    pub async fn check(&self, request: &oauth::Request<'_>, demands: &Demands<'_>) -> Result<Decision, StoreError> {
        let signed = match request.parse(&self.limits) {
            Ok(Some(signed)) => signed,
            Ok(None) if demands.require == Requirement::Optional => return Ok(Decision::Anonymous),
            Ok(None) => return Ok(Decision::Deny(Denial::of(Reason::Unsigned))),
            Err(rejection) => return Ok(Decision::Deny(Denial::of(Reason::Rejected(rejection)))),
        };
        let method = signed.signature_method();
        if method == SignatureMethod::Plaintext && !demands.https_is_configured {
            return Ok(Decision::Deny(Denial::of(Reason::PlaintextWithoutHttps).signed_with(method)));
        }
        let claimed = ConsumerKey::from_bytes(signed.consumer_key());
        let decision = self.check_signed(signed, claimed.as_ref(), demands).await?;
        Ok(decision.unwrap_or_else(|denial| Decision::Deny(denial.claimed_by(claimed).signed_with(method))))
    }

    /// Steps 2 to 6.
    async fn check_signed(
        &self,
        signed: SignedRequest<'_>,
        claimed: Option<&ConsumerKey>,
        demands: &Demands<'_>,
    ) -> Result<Result<Decision, Denial>, StoreError> {
        let token_sent = signed.token().is_some();
        let token_name = signed.token().and_then(Token::from_bytes);
        let found = match claimed {
            Some(key) => self.store.credentials(key, token_name.as_ref()).await?,
            None => Credentials::default(),
        };
        let now = self.clock.now();
        let proven = match prove(signed, &found, demands.body_hash, now) {
            Ok(proven) => proven,
            Err(reason) => return Ok(Err(Denial::of(reason))),
        };
        let Some(consumer) = &found.consumer else { return Ok(Err(Denial::of(Reason::UnknownConsumer))) };
        let request = proven.request();
        let allowed = Allowed {
            identity: Identity::of(consumer, found.token.as_ref()),
            signature_method: request.signature_method(),
            credentials_in_header: request.in_header(),
        };
        let refuse = |reason| Ok(Err(Denial::of(reason).proven(allowed.identity.clone())));
        if let Err(reason) = usable(consumer, found.token.as_ref(), token_sent, now) {
            return refuse(reason);
        }
        if let Err(reason) = self.timestamp(request, now) {
            return refuse(reason);
        }
        if let Err(reason) = self.claim_nonce(&proven, consumer, found.token.as_ref(), demands.check_id).await? {
            return refuse(reason);
        }
        match permitted(&allowed.identity, request, demands) {
            Ok(()) => Ok(Ok(Decision::Allow(Box::new(allowed)))),
            Err(reason) => refuse(reason),
        }
    }

    /// Step 4: the timestamp is within the window, to both sides (RFC 5849 section 3.3).
    fn timestamp(&self, request: &SignedRequest<'_>, now: UnixTime) -> Result<(), Reason> {
        let earliest = now.minus(self.window).as_secs();
        let latest = now.plus(self.window).as_secs();
        match request.timestamp() {
            Some(sent) if sent < earliest || sent > latest => {
                Err(Reason::TimestampRefused { sent, earliest, latest, now: now.as_secs() })
            }
            None if request.nonce().is_some() => Err(Reason::NonceWithoutTimestamp),
            Some(_) | None => Ok(()),
        }
    }

    /// Step 5. PLAINTEXT without a nonce claims nothing: it has no replay protection by definition.
    async fn claim_nonce(
        &self,
        proven: &Verified<'_>,
        consumer: &Consumer,
        token: Option<&AccessToken>,
        check_id: [u8; 16],
    ) -> Result<Result<(), Reason>, StoreError> {
        let request = proven.request();
        let (Some(timestamp), Some(nonce)) = (request.timestamp(), request.nonce()) else { return Ok(Ok(())) };
        let now = self.clock.now();
        let claim = NonceClaim {
            consumer: &consumer.key,
            token: token.map(|token| &token.token),
            timestamp,
            nonce,
            check_id,
            now,
            expires_at: UnixTime::from_secs(timestamp).plus(self.window + NONCE_MARGIN),
            not_before: self.not_before,
        };
        Ok(match self.store.claim_nonce(&claim).await? {
            Claim::Fresh => Ok(()),
            Claim::Replayed => Err(Reason::NonceUsed),
            Claim::Fenced { not_before } => Err(Reason::TimestampFenced {
                sent: timestamp,
                earliest: not_before.saturating_add(1),
                latest: now.plus(self.window).as_secs(),
                now: now.as_secs(),
            }),
        })
    }
}

/// Steps 2 and 3: proves the signature with the keys that were found, or with dummies, so that the work is the same.
fn prove<'r>(
    signed: SignedRequest<'r>,
    found: &Credentials,
    rule: BodyHashRule,
    now: UnixTime,
) -> Result<Verified<'r>, Reason> {
    let method = signed.signature_method();
    let token_sent = signed.token().is_some();
    let refused = match (&found.consumer, &found.token) {
        (None, _) => Some(Reason::UnknownConsumer),
        (Some(consumer), _) if !consumer.allows(method) => Some(Reason::MethodNotAllowed),
        (Some(_), None) if token_sent => Some(Reason::UnknownToken),
        (Some(_), _) => None,
    };
    let token_secret = match &found.token {
        Some(token) => Some(token.secret.expose()),
        None if token_sent => Some(dummy::SECRET),
        None => None,
    };
    let mut secrets = [dummy::SECRET; 2];
    let mut count = 0;
    let mut rsa_public_keys = Vec::new();
    if let (Some(consumer), None) = (&found.consumer, refused) {
        for (slot, secret) in secrets.iter_mut().zip(consumer.secrets.iter().filter(|secret| secret.is_valid(now))) {
            *slot = secret.secret.expose();
            count += 1;
        }
        if method.is_rsa() {
            rsa_public_keys.extend(&consumer.rsa_public_keys);
        }
    } else if method.is_rsa() {
        rsa_public_keys.push(dummy::rsa_public_key());
    } else {
        count = 1;
    }
    let keys = Keys { consumer_secrets: &secrets[..count], token_secret, rsa_public_keys: &rsa_public_keys };
    let verdict = signed.verify(&keys, rule);
    match refused {
        Some(reason) => Err(reason),
        None => verdict.map_err(Reason::Rejected),
    }
}

/// What is told only to somebody who proved to hold the secrets.
fn usable(consumer: &Consumer, token: Option<&AccessToken>, token_sent: bool, now: UnixTime) -> Result<(), Reason> {
    if !consumer.is_active() {
        return Err(Reason::ConsumerDisabled);
    }
    match token {
        Some(token) if token.consumer_key != consumer.key => Err(Reason::UnknownToken),
        Some(token) if token.status == TokenStatus::Revoked => Err(Reason::TokenRevoked),
        Some(token) if token.is_expired(now) => Err(Reason::TokenExpired),
        Some(_) => Ok(()),
        None if token_sent => Err(Reason::UnknownToken),
        None if !consumer.may(Flow::TwoLegged) => Err(Reason::TokenRequired),
        None => Ok(()),
    }
}

/// Step 6.
fn permitted(identity: &Identity, request: &SignedRequest<'_>, demands: &Demands<'_>) -> Result<(), Reason> {
    if demands.require == Requirement::User && identity.user_id.is_none() {
        return Err(Reason::UserRequired);
    }
    if !identity.scopes.contains_all(demands.scopes) {
        return Err(Reason::ScopeMissing);
    }
    match demands.realm {
        Some(realm) if request.realm() != Some(realm.as_bytes()) => Err(Reason::RealmMismatch),
        Some(_) | None => Ok(()),
    }
}

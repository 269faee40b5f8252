//! The check: six steps from a request to a [`Decision`].
//!
//! 1. **Parse**: syntax, duplicates, one place for the protocol parameters, the whole body
//!    ([`crate::oauth`]).
//! 2. **Look up** consumer and token in one round trip. Dummies replace unknown ones, which then
//!    take the same steps and get the same answer as a wrong signature.
//! 3. **Prove**: recompute the signature, only with a method that the consumer may use and has key
//!    material for. Disabled, revoked and expired are distinguished only after that.
//! 4. **Timestamp**: within the window, on both sides.
//! 5. **Claim the nonce**, not earlier: only proven requests write. A request that is denied later
//!    has used it up.
//! 6. **Policy**: a user if one is required, scopes, realm.
//!
//! A bad request is a [`Decision::Deny`]; an `Err` means that *we* failed and says nothing about
//! the caller. Requests for credentials take steps 1 to 5 as well ([`EndpointVerifier`]); steps 2
//! and 3 are the same code for both (`proof`).
//!
//! Reading Envoy's request and writing its answer is left to `server::ext_authz`, and issuing
//! credentials to [`crate::issue`].

mod decision;
mod dummy;
mod endpoint;
mod large_bodies;
mod proof;
mod reason;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use decision::{Allowance, ClaimedCaller, ClaimedToken, Decision, Denial, Identity, Weakened};
pub use endpoint::{Applicant, EndpointRules, EndpointVerifier};
pub use reason::{BodyGap, ParameterProblem, Reason, RequestStage};

use large_bodies::LargeBodies;
use proof::{CredentialSource, FoundCredentials, Proof, SigningToken, prove};

use crate::clock::{Clock, UnixTime};
use crate::config::{Requirement, UntypedBody, VerifyConfig};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, Flow, Scopes, Secret, Token, TokenState, UserStanding,
};
use crate::oauth::{
    self, BodyHashRule, CompatSet, ParseLimits, SignatureMethod, SignedRequest, Verified,
};
use crate::store::{CallerRecords, CheckStore, ClaimOutcome, NonceClaim, StoreError};

/// The time that a nonce is kept after its timestamp left the window, for clocks that differ
/// between replicas: twice the largest `store.max_clock_skew`.
const NONCE_MARGIN: Duration = Duration::from_secs(60);

/// Verifies signed requests against a store.
#[derive(Debug)]
pub struct Verifier {
    store: Arc<dyn CheckStore>,
    clock: Arc<dyn Clock>,
    limits: ParseLimits,
    window: Duration,
    not_before: u64,
    large_bodies: LargeBodies,
}

/// The requirements on one request.
#[derive(Clone, Copy, Debug)]
pub struct Demands<'p> {
    /// The required kind of caller.
    pub require: Requirement,
    /// The scopes that are all required.
    pub scopes: &'p Scopes,
    /// The realm that the client's must equal, if any.
    pub realm: Option<&'p str>,
    /// The rule for `oauth_body_hash`.
    pub body_hash: BodyHashRule,
    /// The rule for a body that some backends read as a form although it is not signed as one.
    pub untyped_body: UntypedBody,
    /// The longest header, query and form body, each in bytes.
    pub max_form_bytes: usize,
    /// An operator configured an https origin for this route, so that PLAINTEXT may be used
    /// (RFC 5849 section 3.4.4).
    pub https_is_configured: bool,
    /// A random id, or Envoy's request id if the operator trusts it to be the same on a retry.
    pub check_id: [u8; 16],
}

impl Verifier {
    /// Returns a verifier over `store` that takes the time from `clock`.
    pub fn new(store: Arc<dyn CheckStore>, clock: Arc<dyn Clock>, config: &VerifyConfig) -> Self {
        let limits = ParseLimits {
            parameters: config.max_parameters,
            ..ParseLimits::default()
        };
        Self {
            store,
            clock,
            limits,
            window: config.timestamp_window,
            not_before: config.not_before,
            large_bodies: LargeBodies::default(),
        }
    }

    /// Returns the limits on the size of a request.
    pub const fn limits(&self) -> &ParseLimits {
        &self.limits
    }

    /// Checks one request.
    ///
    /// # Errors
    /// The store could not answer, so that nothing is known about the request.
    ///
    /// # Security
    /// Dropping the returned future, as a deadline does, is safe: at worst the nonce is used up.
    pub async fn check(
        &self,
        request: &oauth::Request<'_>,
        demands: &Demands<'_>,
    ) -> Result<Decision, StoreError> {
        let rules = ReadRules {
            https_is_configured: demands.https_is_configured,
            unclear_body: match demands.untyped_body {
                UntypedBody::Refuse => Some(demands.body_hash),
                UntypedBody::Allow => None,
            },
            form_bytes: demands.max_form_bytes,
            verifier_in_form: false,
        };
        let signed = match self.read(request, rules) {
            Ok(Some(signed)) => signed,
            Ok(None) if demands.require == Requirement::Optional => return Ok(Decision::Anonymous),
            Ok(None) => return Ok(Decision::Deny(Denial::of(Reason::Unsigned))),
            Err(denial) => return Ok(Decision::Deny(denial)),
        };
        match self.check_signed(signed, demands).await {
            Ok(allowance) => Ok(Decision::Allow(allowance)),
            Err(Interruption::Denied(denial)) => Ok(Decision::Deny(denial)),
            Err(Interruption::Failed(error)) => Err(error),
        }
    }

    /// Parses a request (step 1). Returns `None` if it is not signed at all.
    fn read<'r>(
        &self,
        request: &oauth::Request<'r>,
        rules: ReadRules,
    ) -> Result<Option<SignedRequest<'r>>, Denial> {
        let limits = ParseLimits {
            form_bytes: rules.form_bytes,
            verifier_in_form: rules.verifier_in_form,
            ..self.limits
        };
        let rejected = |rejection| Denial::of(Reason::Rejected(rejection));
        let Some(signed) = request.parse(&limits).map_err(rejected)? else {
            return Ok(None);
        };
        let method = signed.signature_method();
        if method == SignatureMethod::Plaintext && !rules.https_is_configured {
            return Err(Denial {
                signature_method: Some(method),
                ..Denial::of(Reason::PlaintextWithoutHttps)
            });
        }
        if let Some(rule) = rules.unclear_body {
            signed.refuse_unclear_body(rule).map_err(rejected)?;
        }
        Ok(Some(signed))
    }

    /// Takes steps 2 to 6.
    async fn check_signed(
        &self,
        signed: SignedRequest<'_>,
        demands: &Demands<'_>,
    ) -> Result<Allowance, Interruption<Denial>> {
        let source = CheckSource {
            store: &*self.store,
            body_hash: demands.body_hash,
            is_stale: AtomicBool::new(false),
        };
        let Proof {
            request,
            consumer,
            token,
            now,
        } = prove(signed, &source, &*self.clock, &self.large_bodies).await?;
        let (token, user) = token.map_or((None, UserStanding::default()), |granted| {
            (Some(granted.token), granted.user)
        });
        let caller = ProvenCaller {
            identity: Identity::new(consumer, token),
            user,
            now,
        };
        let method = request.request().signature_method();
        match self.check_proven(&request, &caller, demands).await {
            Ok(claimed) => Ok(Allowance {
                identity: caller.identity,
                signature_method: method,
                credentials_in_header: request.request().in_header(),
                weakened: Weakened {
                    nonce_is_local: claimed == Claimed::Here,
                    credentials_are_stale: source.is_stale.into_inner(),
                },
            }),
            Err(interruption) => {
                Err(interruption.map(|reason| Denial::proven(reason, caller.identity, method)))
            }
        }
    }

    /// Checks the state of the credentials, then takes steps 4 to 6.
    async fn check_proven(
        &self,
        request: &Verified<'_>,
        caller: &ProvenCaller,
        demands: &Demands<'_>,
    ) -> Result<Claimed, Interruption<Reason>> {
        caller.check_state().map_err(Interruption::Denied)?;
        let scope = NonceScope {
            consumer: caller.identity.consumer_key(),
            token: caller.identity.token().map(|token| &token.token),
        };
        let claimed = self
            .claim(request, scope, demands.check_id, caller.now)
            .await?;
        check_policy(&caller.identity, request.request(), demands).map_err(Interruption::Denied)?;
        Ok(claimed)
    }

    /// Checks the timestamp and claims the nonce (steps 4 and 5): a proven request passes once, and
    /// only within the window.
    async fn claim(
        &self,
        request: &Verified<'_>,
        scope: NonceScope<'_>,
        check_id: [u8; 16],
        now: UnixTime,
    ) -> Result<Claimed, Interruption<Reason>> {
        self.check_timestamp(request.request(), now)
            .map_err(Interruption::Denied)?;
        self.claim_nonce(request, scope, check_id, now).await
    }

    /// Checks that the timestamp is within the window (step 4, RFC 5849 section 3.3).
    fn check_timestamp(&self, request: &SignedRequest<'_>, now: UnixTime) -> Result<(), Reason> {
        let earliest = now.minus(self.window).as_secs();
        let latest = now.plus(self.window).as_secs();
        match request.timestamp() {
            Some(sent) if sent < earliest || sent > latest => Err(Reason::TimestampRefused {
                sent,
                earliest,
                latest,
                now: now.as_secs(),
            }),
            None if request.nonce().is_some() => Err(Reason::NonceWithoutTimestamp),
            Some(_) | None => Ok(()),
        }
    }

    /// Claims the nonce (step 5). PLAINTEXT without a nonce claims nothing: by definition it has no
    /// replay protection.
    async fn claim_nonce(
        &self,
        request: &Verified<'_>,
        scope: NonceScope<'_>,
        check_id: [u8; 16],
        now: UnixTime,
    ) -> Result<Claimed, Interruption<Reason>> {
        let request = request.request();
        let (Some(timestamp), Some(nonce)) = (request.timestamp(), request.nonce()) else {
            return Ok(Claimed::Everywhere);
        };
        let claim = NonceClaim {
            consumer: scope.consumer,
            token: scope.token,
            timestamp,
            nonce,
            check_id,
            now,
            expires_at: UnixTime::from_secs(timestamp).plus(self.window + NONCE_MARGIN),
            not_before: self.not_before,
        };
        match self.store.claim_nonce(&claim).await? {
            ClaimOutcome::Fresh => Ok(Claimed::Everywhere),
            ClaimOutcome::FreshHere => Ok(Claimed::Here),
            ClaimOutcome::Replayed => Err(Interruption::Denied(Reason::NonceUsed)),
            ClaimOutcome::Fenced { not_before } => {
                Err(Interruption::Denied(Reason::TimestampFenced {
                    sent: timestamp,
                    earliest: not_before.saturating_add(1),
                    latest: now.plus(self.window).as_secs(),
                    now: now.as_secs(),
                }))
            }
        }
    }
}

/// The replicas that know a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claimed {
    /// All, or there was no nonce to claim.
    Everywhere,
    /// This one alone, because the store is unavailable.
    Here,
}

/// The rules for reading a request.
#[derive(Clone, Copy)]
struct ReadRules {
    /// An operator configured an https origin.
    https_is_configured: bool,
    /// Refuses an unclear body, unless this rule compares its hash; `None` accepts it.
    unclear_body: Option<BodyHashRule>,
    /// The longest header, query and form body, each in bytes.
    form_bytes: usize,
    /// Accepts `oauth_verifier` in the form although the other protocol parameters are in the header.
    verifier_in_form: bool,
}

/// The credentials within which a nonce is unique (RFC 5849 section 3.3).
#[derive(Clone, Copy)]
struct NonceScope<'a> {
    consumer: &'a ConsumerKey,
    token: Option<&'a Token>,
}

/// The consumers and access tokens of a store, cached or not.
struct CheckSource<'s> {
    store: &'s dyn CheckStore,
    body_hash: BodyHashRule,
    /// Set by a lookup whose records are stale.
    is_stale: AtomicBool,
}

/// An access token, and the standing of the user that it acts for.
struct UserToken {
    token: Arc<AccessToken>,
    user: UserStanding,
}

impl CredentialSource for CheckSource<'_> {
    type Token = UserToken;

    async fn look_up(
        &self,
        consumer: Option<&ConsumerKey>,
        token: Option<&[u8]>,
    ) -> Result<FoundCredentials<UserToken>, StoreError> {
        let token = token.and_then(Token::from_bytes);
        let Some(key) = consumer else {
            return Ok(FoundCredentials::default());
        };
        let CallerRecords {
            consumer,
            token,
            user,
            is_stale,
        } = self.store.caller_records(key, token.as_ref()).await?;
        if is_stale {
            self.is_stale.store(true, Ordering::Relaxed);
        }
        Ok(FoundCredentials {
            consumer,
            token: token.map(|token| UserToken { token, user }),
        })
    }

    fn compat(&self, consumer: &Consumer) -> CompatSet {
        consumer.compat
    }

    fn body_hash(&self) -> BodyHashRule {
        self.body_hash
    }
}

impl SigningToken for UserToken {
    fn consumer_key(&self) -> &ConsumerKey {
        &self.token.consumer_key
    }

    fn secret(&self) -> &Secret {
        &self.token.secret
    }

    fn into_claimed(self) -> ClaimedToken {
        ClaimedToken::Access(self.token)
    }
}

/// The reason why a verification ends before its last step.
enum Interruption<R> {
    /// The request is denied.
    Denied(R),
    /// The store could not answer.
    Failed(StoreError),
}

impl<R> Interruption<R> {
    fn map<T>(self, denied: impl FnOnce(R) -> T) -> Interruption<T> {
        match self {
            Self::Denied(reason) => Interruption::Denied(denied(reason)),
            Self::Failed(error) => Interruption::Failed(error),
        }
    }
}

impl<R> From<StoreError> for Interruption<R> {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// The caller whose keys proved the signature.
struct ProvenCaller {
    identity: Identity,
    user: UserStanding,
    /// The time of the check.
    now: UnixTime,
}

impl ProvenCaller {
    /// Checks that consumer, token and user may be used. Only a caller that proved its secrets
    /// learns this.
    fn check_state(&self) -> Result<(), Reason> {
        let consumer = self.identity.consumer();
        if !consumer.is_active() {
            return Err(Reason::ConsumerDisabled);
        }
        match self.identity.token() {
            Some(token) => match token.state(consumer, self.user, self.now) {
                TokenState::Active => Ok(()),
                TokenState::Revoked => Err(Reason::TokenRevoked),
                TokenState::UserDisabled => Err(Reason::UserDisabled),
                TokenState::Expired => Err(Reason::TokenExpired),
            },
            None if !consumer.may(Flow::TwoLegged) => Err(Reason::TokenRequired),
            None => Ok(()),
        }
    }
}

/// Checks the requirements of the route (step 6).
fn check_policy(
    identity: &Identity,
    request: &SignedRequest<'_>,
    demands: &Demands<'_>,
) -> Result<(), Reason> {
    if demands.require == Requirement::User && identity.user_id().is_none() {
        return Err(Reason::UserRequired);
    }
    if !identity.scopes().contains_all(demands.scopes) {
        return Err(Reason::ScopeMissing);
    }
    match demands.realm {
        Some(realm) if request.realm() != Some(realm.as_bytes()) => Err(Reason::RealmMismatch),
        Some(_) | None => Ok(()),
    }
}

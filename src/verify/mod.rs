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
//! What Envoy says about the request, and how an answer looks on the wire, is left to `server::ext_authz`. Requests for
//! credentials take steps 1 to 5 too ([`EndpointVerifier`]); what they ask for is then for [`crate::issue`].

mod decision;
mod dummy;
mod endpoint;
mod proof;
mod reason;

use std::sync::Arc;
use std::time::Duration;

pub use decision::{Allowed, Decision, Denial, Identity, Named, NamedToken};
pub use endpoint::{Applicant, EndpointVerifier};
pub use reason::{BodyGap, ParameterProblem, Reason, Stage};

use proof::{Known, prove};

use crate::clock::{Clock, UnixTime};
use crate::config::{Requirement, VerifyConfig};
use crate::model::{
    AccessToken, Consumer, ConsumerKey, Flow, Scopes, Token, TokenState, UserStanding,
};
use crate::oauth::{
    self, BodyHashRule, CompatSet, ParseLimits, SignatureMethod, SignedRequest, Verified,
};
use crate::store::{CheckStore, Claim, Credentials, NonceClaim, StoreError};

/// How long a nonce is remembered after its timestamp left the window: what clocks of replicas may differ.
const NONCE_MARGIN: Duration = Duration::from_secs(60);

/// Verifies signed requests against a store.
#[derive(Debug)]
pub struct Verifier {
    store: Arc<dyn CheckStore>,
    clock: Arc<dyn Clock>,
    limits: ParseLimits,
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
        }
    }

    /// The same, for the runtime from which this is called: it asks the store over connections of its own.
    #[must_use]
    pub fn here(self) -> Self {
        let store = Arc::clone(&self.store).here().unwrap_or(self.store);
        Self { store, ..self }
    }

    /// The bounds on what is parsed.
    pub const fn limits(&self) -> &ParseLimits {
        &self.limits
    }

    /// Decides about one request.
    ///
    /// # Errors
    /// When the store could not answer: then nothing is known about the request.
    ///
    /// # Security
    /// Dropping the returned future, as a deadline does, is safe: at worst the nonce is used up.
    pub async fn check(
        &self,
        request: &oauth::Request<'_>,
        demands: &Demands<'_>,
    ) -> Result<Decision, StoreError> {
        let signed = match self.read(request, demands.https_is_configured) {
            Ok(Some(signed)) => signed,
            Ok(None) if demands.require == Requirement::Optional => return Ok(Decision::Anonymous),
            Ok(None) => return Ok(Decision::Deny(Denial::of(Reason::Unsigned))),
            Err(denial) => return Ok(Decision::Deny(denial)),
        };
        let method = signed.signature_method();
        let claimed = ConsumerKey::from_bytes(signed.consumer_key());
        match self.check_signed(signed, claimed.as_ref(), demands).await {
            Ok(allowed) => Ok(Decision::Allow(allowed)),
            Err(Stop::Refused(denial)) => Ok(Decision::Deny(
                denial.claimed_by(claimed).signed_with(method),
            )),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Step 1; `None` is not signed at all.
    fn read<'r>(
        &self,
        request: &oauth::Request<'r>,
        https_is_configured: bool,
    ) -> Result<Option<SignedRequest<'r>>, Denial> {
        let read = request
            .parse(&self.limits)
            .map_err(|rejection| Denial::of(Reason::Rejected(rejection)))?;
        match read.as_ref().map(SignedRequest::signature_method) {
            Some(method @ SignatureMethod::Plaintext) if !https_is_configured => {
                Err(Denial::of(Reason::PlaintextWithoutHttps).signed_with(method))
            }
            _ => Ok(read),
        }
    }

    /// Steps 2 and 3; from there on it is known who is refused.
    async fn check_signed(
        &self,
        signed: SignedRequest<'_>,
        claimed: Option<&ConsumerKey>,
        demands: &Demands<'_>,
    ) -> Result<Allowed, Stop<Denial>> {
        let token = signed.token().and_then(Token::from_bytes);
        let found = match claimed {
            Some(key) => self.look_up(key, token.as_ref()).await?,
            None => Credentials::default(),
        };
        let now = self.clock.now();
        let unproven = |reason| Stop::Refused(Denial::of(reason));
        let token_secret = found.token.as_ref().map(|token| &token.secret);
        let compat = found
            .consumer
            .as_ref()
            .map_or(CompatSet::NONE, |consumer| consumer.compat);
        let known = Known {
            consumer: found.consumer.as_deref(),
            token_secret,
            compat,
        };
        let proven = prove(signed, &known, demands.body_hash, now).map_err(|reason| {
            let token = found
                .token
                .as_ref()
                .map(|token| NamedToken::Access(Arc::clone(token)));
            let named = found.consumer.as_ref().map(|consumer| Named {
                consumer: Arc::clone(consumer),
                token,
                compat,
            });
            Stop::Refused(Denial::of(reason).naming(named))
        })?;
        let consumer = found
            .consumer
            .as_ref()
            .ok_or_else(|| unproven(Reason::UnknownConsumer))?;
        let identity = Identity::of(consumer, found.token.as_ref());
        let caller = Caller {
            consumer,
            token: found.token.as_deref(),
            user: found.user,
            now,
        };
        if let Err(stop) = self.check_proven(&proven, caller, &identity, demands).await {
            return Err(stop.map(|reason| Denial::of(reason).proven(identity)));
        }
        Ok(Allowed {
            identity,
            signature_method: proven.request().signature_method(),
            credentials_in_header: proven.request().in_header(),
        })
    }

    /// Step 2.
    async fn look_up(
        &self,
        consumer: &ConsumerKey,
        token: Option<&Token>,
    ) -> Result<Credentials, StoreError> {
        match self.store.known(
            consumer.as_str(),
            token.map(Token::as_str),
            self.clock.now(),
        ) {
            Some(known) => Ok(known),
            None => self.store.credentials(consumer, token).await,
        }
    }

    /// Steps 4 to 6.
    async fn check_proven(
        &self,
        proven: &Verified<'_>,
        caller: Caller<'_>,
        identity: &Identity,
        demands: &Demands<'_>,
    ) -> Result<(), Stop<Reason>> {
        let request = proven.request();
        caller.is_usable(request).map_err(Stop::Refused)?;
        let scope = NonceScope {
            consumer: &caller.consumer.key,
            token: caller.token.map(|token| &token.token),
        };
        self.spend(proven, scope, demands.check_id, caller.now)
            .await?;
        permitted(identity, request, demands).map_err(Stop::Refused)
    }

    /// Steps 4 and 5: whatever is proven may be sent once, and now.
    async fn spend(
        &self,
        proven: &Verified<'_>,
        scope: NonceScope<'_>,
        check_id: [u8; 16],
        now: UnixTime,
    ) -> Result<(), Stop<Reason>> {
        self.timestamp(proven.request(), now)
            .map_err(Stop::Refused)?;
        self.claim_nonce(proven, scope, check_id, now).await
    }

    /// Step 4: the timestamp is within the window, to both sides (RFC 5849 section 3.3).
    fn timestamp(&self, request: &SignedRequest<'_>, now: UnixTime) -> Result<(), Reason> {
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

    /// Step 5. PLAINTEXT without a nonce claims nothing: it has no replay protection by definition.
    async fn claim_nonce(
        &self,
        proven: &Verified<'_>,
        scope: NonceScope<'_>,
        check_id: [u8; 16],
        now: UnixTime,
    ) -> Result<(), Stop<Reason>> {
        let request = proven.request();
        let (Some(timestamp), Some(nonce)) = (request.timestamp(), request.nonce()) else {
            return Ok(());
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
        let claimed = match self.store.claim_at_once(&claim) {
            Some(claimed) => claimed,
            None => self.store.claim_nonce(&claim).await,
        };
        match claimed? {
            Claim::Fresh => Ok(()),
            Claim::Replayed => Err(Stop::Refused(Reason::NonceUsed)),
            Claim::Fenced { not_before } => Err(Stop::Refused(Reason::TimestampFenced {
                sent: timestamp,
                earliest: not_before.saturating_add(1),
                latest: now.plus(self.window).as_secs(),
                now: now.as_secs(),
            })),
        }
    }
}

/// Among whose nonces one is new (RFC 5849 section 3.3).
#[derive(Clone, Copy)]
struct NonceScope<'a> {
    consumer: &'a ConsumerKey,
    token: Option<&'a Token>,
}

/// Why a check ends before its last step.
enum Stop<R> {
    /// The request is refused.
    Refused(R),
    /// The store could not answer.
    Failed(StoreError),
}

impl<R> Stop<R> {
    fn map<T>(self, refused: impl FnOnce(R) -> T) -> Stop<T> {
        match self {
            Self::Refused(reason) => Stop::Refused(refused(reason)),
            Self::Failed(error) => Stop::Failed(error),
        }
    }
}

impl<R> From<StoreError> for Stop<R> {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// Whose keys proved the signature.
#[derive(Clone, Copy)]
struct Caller<'c> {
    consumer: &'c Consumer,
    token: Option<&'c AccessToken>,
    user: UserStanding,
    /// The time of the check.
    now: UnixTime,
}

impl Caller<'_> {
    /// What is told only to somebody who proved to hold the secrets.
    fn is_usable(self, request: &SignedRequest<'_>) -> Result<(), Reason> {
        if !self.consumer.is_active() {
            return Err(Reason::ConsumerDisabled);
        }
        match self.token {
            Some(token) if token.consumer_key != self.consumer.key => Err(Reason::UnknownToken),
            Some(token) => match token.state(self.consumer, self.user, self.now) {
                TokenState::Active => Ok(()),
                TokenState::Revoked => Err(Reason::TokenRevoked),
                TokenState::UserDisabled => Err(Reason::UserDisabled),
                TokenState::Expired => Err(Reason::TokenExpired),
            },
            None if request.token().is_some() => Err(Reason::UnknownToken),
            None if !self.consumer.may(Flow::TwoLegged) => Err(Reason::TokenRequired),
            None => Ok(()),
        }
    }
}

/// Step 6.
fn permitted(
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

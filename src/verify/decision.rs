//! The outcome of a check, and the caller that it is about.

use std::sync::Arc;

use super::Reason;
use crate::model::{
    AccessToken, Consumer, ConsumerId, ConsumerKey, ConsumerName, DenyDetail, RequestToken, Scopes,
    Secret, UserId,
};
use crate::oauth::{CompatSet, SignatureMethod, SignedRequest};

/// The outcome of a check.
#[derive(Clone, Debug)]
#[must_use]
pub enum Decision {
    /// The caller is proven, and the request may pass.
    Allow(Allowance),
    /// The request is unsigned, and the route does not require a signature.
    Anonymous,
    /// The request must not pass.
    Deny(Denial),
}

/// A proven request that may pass.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// The caller.
    pub identity: Identity,
    /// The method that the request is signed with.
    pub signature_method: SignatureMethod,
    /// The `Authorization` header carried the verified parameters.
    pub credentials_in_header: bool,
    /// The parts of the check that an outage of the store weakened.
    pub weakened: Weakened,
}

/// The parts of a check that an outage of the store weakened; only a configuration that accepts this
/// sets any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weakened {
    /// The nonce was compared only with those that this replica saw in the outage.
    pub nonce_is_local: bool,
    /// The credentials are older than `cache.max_age`, so a revocation may have been missed.
    pub credentials_are_stale: bool,
}

/// A proven caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    consumer: Arc<Consumer>,
    token: Option<Arc<AccessToken>>,
    scopes: Scopes,
}

impl Identity {
    /// Returns the identity of a consumer, and of the token that it signed with.
    pub(crate) fn new(consumer: Arc<Consumer>, token: Option<Arc<AccessToken>>) -> Self {
        let scopes = token.as_ref().map_or_else(
            || consumer.scopes.clone(),
            |token| token.scopes.intersection(&consumer.scopes),
        );
        Self {
            consumer,
            token,
            scopes,
        }
    }

    /// Returns the consumer.
    pub fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// Returns the consumer's id.
    pub fn consumer_id(&self) -> &ConsumerId {
        &self.consumer.id
    }

    /// Returns the consumer's key.
    pub fn consumer_key(&self) -> &ConsumerKey {
        &self.consumer.key
    }

    /// Returns the consumer's name.
    pub fn consumer_name(&self) -> &ConsumerName {
        &self.consumer.name
    }

    /// Returns the user that the token acts for.
    pub fn user_id(&self) -> Option<&UserId> {
        self.token()?.user_id.as_ref()
    }

    /// Returns the scopes that token and consumer share; without a token, those of the consumer.
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Returns the access token that the request is signed with.
    pub fn token(&self) -> Option<&AccessToken> {
        self.token.as_deref()
    }
}

/// The reason why a request must not pass, and the caller that it is about.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The reason.
    pub reason: Reason,
    /// The caller, if the denial came after the proof.
    pub identity: Option<Box<Identity>>,
    /// The consumer key that an unproven request names.
    pub claimed_consumer_key: Option<ConsumerKey>,
    /// The signature method that the request names.
    pub signature_method: Option<SignatureMethod>,
    /// The stored credentials that an unproven request names.
    pub claimed_caller: Option<ClaimedCaller>,
    /// The token that an unproven request names, if it was issued to another consumer than the one
    /// that the request names.
    ///
    /// # Security
    /// For operators only, like [`ClaimedCaller`].
    pub foreign_token: Option<ClaimedToken>,
}

/// The stored credentials that an unproven request names, for diagnosis only.
///
/// # Security
/// A value of this type says that the consumer exists, and the caller must not learn that.
#[derive(Clone, Debug)]
pub struct ClaimedCaller {
    /// The consumer with the claimed key.
    pub consumer: Arc<Consumer>,
    /// The credentials that `oauth_token` names, if they were issued to this consumer.
    pub token: Option<ClaimedToken>,
    /// The compat profiles that applied to the request.
    pub compat: CompatSet,
}

/// The credentials that an `oauth_token` names.
#[derive(Clone, Debug)]
pub enum ClaimedToken {
    /// Token credentials.
    Access(Arc<AccessToken>),
    /// Temporary credentials.
    Temporary(Arc<RequestToken>),
}

impl ClaimedToken {
    /// Returns the secret that the consumer signs with, in addition to its own.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Access(token) => &token.secret,
            Self::Temporary(token) => &token.secret,
        }
    }

    /// Returns the consumer that they were issued to.
    pub fn consumer_key(&self) -> &ConsumerKey {
        match self {
            Self::Access(token) => &token.consumer_key,
            Self::Temporary(token) => &token.consumer_key,
        }
    }

    /// Returns the user that token credentials act for.
    pub fn user_id(&self) -> Option<&UserId> {
        match self {
            Self::Access(token) => token.user_id.as_ref(),
            Self::Temporary(_) => None,
        }
    }
}

impl Denial {
    /// Returns a denial of a request about which nothing else is known.
    pub const fn of(reason: Reason) -> Self {
        Self {
            reason,
            identity: None,
            claimed_consumer_key: None,
            signature_method: None,
            claimed_caller: None,
            foreign_token: None,
        }
    }

    /// Returns a denial of a signed request whose signature is not proven.
    pub fn unproven(reason: Reason, request: &SignedRequest<'_>) -> Self {
        Self {
            claimed_consumer_key: ConsumerKey::from_bytes(request.consumer_key()),
            signature_method: Some(request.signature_method()),
            ..Self::of(reason)
        }
    }

    /// Returns a denial of a proven request.
    pub(super) fn proven(reason: Reason, identity: Identity, method: SignatureMethod) -> Self {
        Self {
            identity: Some(Box::new(identity)),
            signature_method: Some(method),
            ..Self::of(reason)
        }
    }

    /// Returns the stored consumer that sent the request, or that the request names.
    pub fn known_consumer(&self) -> Option<&Consumer> {
        match (&self.identity, &self.claimed_caller) {
            (Some(identity), _) => Some(&identity.consumer),
            (None, Some(caller)) => Some(&caller.consumer),
            (None, None) => None,
        }
    }

    /// Returns the detail of the answer, given the `configured` detail for all consumers.
    ///
    /// # Security
    /// An unproven caller gets the same detail for an existing consumer as for a missing one;
    /// otherwise the difference would show which consumers exist. `debug` is the one exception: an
    /// operator sets it on a consumer to debug its signatures, and accepts that difference.
    pub fn detail(&self, configured: DenyDetail) -> DenyDetail {
        let own = self
            .known_consumer()
            .and_then(|consumer| consumer.deny_detail);
        let applies = |own: &DenyDetail| self.identity.is_some() || *own == DenyDetail::Debug;
        own.filter(applies).unwrap_or(configured)
    }
}

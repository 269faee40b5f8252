//! What a check decides.

use std::sync::Arc;

use super::Reason;
use crate::model::{
    AccessToken, Consumer, ConsumerId, ConsumerKey, ConsumerName, DenyDetail, RequestToken, Scopes,
    Secret, UserId,
};
use crate::oauth::{CompatSet, SignatureMethod};

/// What was decided about a request.
#[derive(Clone, Debug)]
#[must_use]
pub enum Decision {
    /// It is proven who sent it, and it may pass.
    Allow(Allowed),
    /// It is not signed, and need not be.
    Anonymous,
    /// It may not pass.
    Deny(Denial),
}

/// A proven request that may pass.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// Who sent it.
    pub identity: Identity,
    /// How it was signed.
    pub signature_method: SignatureMethod,
    /// The `Authorization` header carried the verified parameters.
    pub credentials_in_header: bool,
}

/// Who sent a request, once it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    consumer: Arc<Consumer>,
    token: Option<Arc<AccessToken>>,
    scopes: Scopes,
}

impl Identity {
    /// The consumer, and the token if it signed with one; their records are shared, not copied.
    pub(crate) fn of(consumer: &Arc<Consumer>, token: Option<&Arc<AccessToken>>) -> Self {
        let scopes = token.map_or_else(
            || consumer.scopes.clone(),
            |token| token.scopes.intersection(&consumer.scopes),
        );
        Self {
            consumer: Arc::clone(consumer),
            token: token.map(Arc::clone),
            scopes,
        }
    }

    /// The consumer.
    pub fn consumer(&self) -> &Consumer {
        &self.consumer
    }

    /// The consumer's id.
    pub fn consumer_id(&self) -> &ConsumerId {
        &self.consumer.id
    }

    /// The consumer's key.
    pub fn consumer_key(&self) -> &ConsumerKey {
        &self.consumer.key
    }

    /// The consumer's name.
    pub fn consumer_name(&self) -> &ConsumerName {
        &self.consumer.name
    }

    /// The user whom the token acts for.
    pub fn user_id(&self) -> Option<&UserId> {
        self.token.as_ref()?.user_id.as_ref()
    }

    /// What token and consumer both may do; without a token, what the consumer may.
    pub const fn scopes(&self) -> &Scopes {
        &self.scopes
    }
}

/// Why a request may not pass, and whom it is about.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// Who sent it, if that was proven before it was refused.
    pub identity: Option<Box<Identity>>,
    /// The consumer key that it names, proven or not.
    pub claimed_consumer_key: Option<ConsumerKey>,
    /// The signature method that it names.
    pub signature_method: Option<SignatureMethod>,
    /// Whom it names, as far as they are known; `None` once it is proven who sent it.
    pub named: Option<Named>,
}

/// Whom a request names that is not proven: for explaining only.
///
/// # Security
/// That somebody is named here says that the consumer exists, which the caller may not be told.
#[derive(Clone, Debug)]
pub struct Named {
    /// The consumer of that key.
    pub consumer: Arc<Consumer>,
    /// What its `oauth_token` names, if that was issued to this consumer.
    pub token: Option<NamedToken>,
    /// The compat profiles that counted.
    pub compat: CompatSet,
}

/// What an `oauth_token` names.
#[derive(Clone, Debug)]
pub enum NamedToken {
    /// Token credentials.
    Access(Arc<AccessToken>),
    /// Temporary credentials.
    Temporary(Arc<RequestToken>),
}

impl NamedToken {
    /// The secret that the consumer has to sign with, beside its own.
    pub fn secret(&self) -> &Secret {
        match self {
            Self::Access(token) => &token.secret,
            Self::Temporary(token) => &token.secret,
        }
    }
}

impl Denial {
    /// A denial of a request about which nothing more is known.
    pub const fn of(reason: Reason) -> Self {
        Self {
            reason,
            identity: None,
            claimed_consumer_key: None,
            signature_method: None,
            named: None,
        }
    }

    /// The consumer that it names or that sent it, if there is one of that key.
    pub fn known_consumer(&self) -> Option<&Consumer> {
        match (&self.identity, &self.named) {
            (Some(identity), _) => Some(&identity.consumer),
            (None, Some(named)) => Some(&named.consumer),
            (None, None) => None,
        }
    }

    /// How much is told of it, where `configured` is what holds for everybody.
    ///
    /// # Security
    /// Who proved nothing is told of the consumer that it names no less than of one that is not there, or the difference
    /// would tell who is. `debug` is that difference as well: it is told for the sake of signatures that do not match, to
    /// whoever names a consumer that an operator gave it.
    pub fn detail(&self, configured: DenyDetail) -> DenyDetail {
        let own = self
            .known_consumer()
            .and_then(|consumer| consumer.deny_detail);
        let is_told = |own: &DenyDetail| self.identity.is_some() || *own == DenyDetail::Debug;
        own.filter(is_told).unwrap_or(configured)
    }

    pub(super) fn naming(self, named: Option<Named>) -> Self {
        Self { named, ..self }
    }

    pub(super) fn proven(mut self, identity: Identity) -> Self {
        self.identity = Some(Box::new(identity));
        self
    }

    pub(super) fn claimed_by(mut self, key: Option<ConsumerKey>) -> Self {
        self.claimed_consumer_key = key;
        self
    }

    pub(super) const fn signed_with(mut self, method: SignatureMethod) -> Self {
        self.signature_method = Some(method);
        self
    }
}

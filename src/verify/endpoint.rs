//! Requests for credentials (RFC 5849 sections 2.1 and 2.3): steps 1 to 5 of a check prove the
//! sender, with the secret of temporary credentials in place of a token's.
//!
//! Temporary credentials and access tokens are looked up in different places and have different
//! types, so that neither is ever taken for the other. The state of temporary credentials is
//! checked after the proof, by the exchange ([`crate::issue`]).

use std::sync::Arc;

use super::proof::{CredentialSource, FoundCredentials, Proof, SigningToken, prove};
use super::{
    ClaimedToken, Denial, Identity, Interruption, NonceScope, ReadRules, Reason, Verifier,
};
use crate::clock::Clock;
use crate::config::VerifyConfig;
use crate::model::{Consumer, ConsumerKey, RequestToken, Secret, Token};
use crate::oauth::{self, BodyHashRule, CompatSet, ParseLimits, SignatureMethod, SignedRequest};
use crate::store::{CheckStore, Store, StoreError};

/// Verifies requests for credentials.
#[derive(Debug)]
pub struct EndpointVerifier {
    verifier: Verifier,
    store: Arc<dyn Store>,
}

/// The rules for reading a request for credentials.
#[derive(Clone, Copy, Debug)]
pub struct EndpointRules {
    /// An operator configured an https origin for the endpoints.
    pub https_is_configured: bool,
    /// `oauth_verifier` may be in the form although the other protocol parameters are in the header.
    pub verifier_in_form: bool,
}

/// A proven sender of a request for credentials. The request's nonce is used up.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// The consumer, active as far as this process knows.
    pub consumer: Arc<Consumer>,
    /// The name of the temporary credentials that the request is signed with.
    pub request_token: Option<Token>,
    /// The method that the request is signed with.
    pub signature_method: SignatureMethod,
}

impl Applicant {
    /// Returns a denial of this applicant's request.
    pub fn denial(&self, reason: Reason) -> Denial {
        let identity = Identity::new(Arc::clone(&self.consumer), None);
        Denial::proven(reason, identity, self.signature_method)
    }
}

impl EndpointVerifier {
    /// Returns a verifier over `store` that takes the time from `clock`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: &VerifyConfig) -> Self {
        let check_store: Arc<dyn CheckStore> = store.clone();
        Self {
            verifier: Verifier::new(check_store, clock, config),
            store,
        }
    }

    /// Returns the limits within which requests are read under `rules`.
    pub fn limits(&self, rules: EndpointRules) -> ParseLimits {
        ParseLimits {
            verifier_in_form: rules.verifier_in_form,
            ..*self.verifier.limits()
        }
    }

    /// Parses a request (step 1).
    ///
    /// # Errors
    /// A [`Denial`] of a request that is malformed or unsigned.
    pub fn read<'r>(
        &self,
        request: &oauth::Request<'r>,
        rules: EndpointRules,
    ) -> Result<SignedRequest<'r>, Denial> {
        // The endpoints read no body that is not a form, so its type does not matter.
        let rules = ReadRules {
            https_is_configured: rules.https_is_configured,
            unclear_body: None,
            form_bytes: self.verifier.limits().form_bytes,
            verifier_in_form: rules.verifier_in_form,
        };
        self.verifier
            .read(request, rules)?
            .ok_or_else(|| Denial::of(Reason::Unsigned))
    }

    /// Proves the sender of a request (steps 2 to 5). `check_id` is random.
    ///
    /// # Errors
    /// The store could not answer, so that nothing is known about the request. A denied request is
    /// `Ok(Err(…))`.
    pub async fn prove(
        &self,
        signed: SignedRequest<'_>,
        check_id: [u8; 16],
    ) -> Result<Result<Applicant, Denial>, StoreError> {
        match self.prove_applicant(signed, check_id).await {
            Ok(applicant) => Ok(Ok(applicant)),
            Err(Interruption::Denied(denial)) => Ok(Err(denial)),
            Err(Interruption::Failed(error)) => Err(error),
        }
    }

    async fn prove_applicant(
        &self,
        signed: SignedRequest<'_>,
        check_id: [u8; 16],
    ) -> Result<Applicant, Interruption<Denial>> {
        let source = EndpointSource {
            store: &*self.store,
        };
        let proof = prove(
            signed,
            &source,
            &*self.verifier.clock,
            &self.verifier.large_bodies,
        )
        .await?;
        let Proof {
            request,
            consumer,
            token,
            now,
        } = proof;
        let applicant = Applicant {
            consumer,
            request_token: token.map(|token| token.token.clone()),
            signature_method: request.request().signature_method(),
        };
        if !applicant.consumer.is_active() {
            return Err(Interruption::Denied(
                applicant.denial(Reason::ConsumerDisabled),
            ));
        }
        let scope = NonceScope {
            consumer: &applicant.consumer.key,
            token: applicant.request_token.as_ref(),
        };
        let claimed = self.verifier.claim(&request, scope, check_id, now).await;
        claimed.map_err(|interruption| interruption.map(|reason| applicant.denial(reason)))?;
        Ok(applicant)
    }
}

/// The consumers and temporary credentials of a store.
struct EndpointSource<'s> {
    store: &'s dyn Store,
}

impl CredentialSource for EndpointSource<'_> {
    type Token = Arc<RequestToken>;

    /// Looks up the temporary credentials even if the consumer is unknown, to take as long.
    async fn look_up(
        &self,
        consumer: Option<&ConsumerKey>,
        token: Option<&[u8]>,
    ) -> Result<FoundCredentials<Self::Token>, StoreError> {
        let consumer = match consumer {
            Some(key) => self.store.caller_records(key, None).await?.consumer,
            None => None,
        };
        let request_token = match token.and_then(Token::from_bytes) {
            Some(name) => self.store.request_token(&name).await?,
            None => None,
        };
        Ok(FoundCredentials {
            consumer,
            token: request_token.map(Arc::new),
        })
    }

    /// Returns the consumer's profiles, except those that change how the query is signed: it may
    /// carry the parameters of the request.
    fn compat(&self, consumer: &Consumer) -> CompatSet {
        consumer.compat.without(CompatSet::OF_QUERY)
    }

    fn body_hash(&self) -> BodyHashRule {
        BodyHashRule::Accept
    }
}

impl SigningToken for Arc<RequestToken> {
    fn consumer_key(&self) -> &ConsumerKey {
        &self.consumer_key
    }

    fn secret(&self) -> &Secret {
        &self.secret
    }

    fn into_claimed(self) -> ClaimedToken {
        ClaimedToken::Temporary(self)
    }
}

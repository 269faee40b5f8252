//! Requests for credentials (RFC 5849 sections 2.1 and 2.3): who asks is proven by steps 1 to 5 of a check, and with the
//! secret of temporary credentials where a check has a token's.
//!
//! Temporary credentials count only for the consumer that they were issued to. They and access tokens are looked up in
//! different places, so that neither is ever taken for the other. How far they came is told after the proof, by whoever
//! exchanges them ([`crate::issue`]).

use std::sync::Arc;

use super::proof::{Known, prove};
use super::{Denial, Identity, Named, NamedToken, NonceScope, Reason, Stop, Verifier};
use crate::clock::Clock;
use crate::config::VerifyConfig;
use crate::model::{Consumer, ConsumerKey, RequestToken, Token};
use crate::oauth::{
    self, BodyHashRule, CompatProfile, CompatSet, ParseLimits, SignatureMethod, SignedRequest,
};
use crate::store::{CheckStore, Store, StoreError};

/// Proves who asks for credentials.
#[derive(Debug)]
pub struct EndpointVerifier {
    verifier: Verifier,
    store: Arc<dyn Store>,
}

/// Who asks for credentials, proven; the request's nonce is used up.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// The consumer, active as far as is known here.
    pub consumer: Arc<Consumer>,
    /// The name of the temporary credentials that it signed with, if it did with any.
    pub request_token: Option<Token>,
    /// The method that it signed by.
    pub signature_method: SignatureMethod,
}

impl Applicant {
    /// A denial of what it asks for.
    pub fn refused(&self, reason: Reason) -> Denial {
        Denial::of(reason)
            .proven(Identity::of(&self.consumer, None))
            .signed_with(self.signature_method)
    }
}

impl EndpointVerifier {
    /// A verifier over `store` that takes the time from `clock`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: &VerifyConfig) -> Self {
        let check_store: Arc<dyn CheckStore> = store.clone();
        Self {
            verifier: Verifier::new(check_store, clock, config),
            store,
        }
    }

    /// How much of a request is read.
    pub const fn limits(&self) -> &ParseLimits {
        self.verifier.limits()
    }

    /// Step 1: reads a request. `https_is_configured` says that an operator configured that clients come by https.
    ///
    /// # Errors
    /// Why it is none, with a [`Denial`] of which nothing is proven.
    pub fn read<'r>(
        &self,
        request: &oauth::Request<'r>,
        https_is_configured: bool,
    ) -> Result<SignedRequest<'r>, Denial> {
        self.verifier
            .read(request, https_is_configured)?
            .ok_or_else(|| Denial::of(Reason::Unsigned))
    }

    /// Steps 2 to 5: proves who sent a request. `check_id` is random.
    ///
    /// # Errors
    /// When the store could not answer: then nothing is known about the request. That it is refused is an `Ok(Err(…))`.
    pub async fn prove(
        &self,
        signed: SignedRequest<'_>,
        check_id: [u8; 16],
    ) -> Result<Result<Applicant, Denial>, StoreError> {
        let method = signed.signature_method();
        let claimed = ConsumerKey::from_bytes(signed.consumer_key());
        match self.prove_claimed(signed, claimed.as_ref(), check_id).await {
            Ok(applicant) => Ok(Ok(applicant)),
            Err(Stop::Refused(denial)) => Ok(Err(denial.claimed_by(claimed).signed_with(method))),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    async fn prove_claimed(
        &self,
        signed: SignedRequest<'_>,
        claimed: Option<&ConsumerKey>,
        check_id: [u8; 16],
    ) -> Result<Applicant, Stop<Denial>> {
        let (consumer, request_token) = self.look_up(claimed, signed.token()).await?;
        let token_secret = request_token.as_ref().map(|token| &token.secret);
        // What is asked for may stand in the query, so that has to be signed, and as it is read.
        let compat = consumer
            .as_ref()
            .map_or(CompatSet::NONE, |consumer| consumer.compat);
        let compat = compat
            .without(CompatProfile::IgnoreQueryOnPost)
            .without(CompatProfile::PlusLiteral);
        let known = Known {
            consumer: consumer.as_deref(),
            token_secret,
            compat,
        };
        let now = self.verifier.clock.now();
        let proven = prove(signed, &known, BodyHashRule::Accept, now).map_err(|reason| {
            let token = request_token
                .as_ref()
                .map(|token| NamedToken::Temporary(Arc::clone(token)));
            let named = consumer.as_ref().map(|consumer| Named {
                consumer: Arc::clone(consumer),
                token,
                compat,
            });
            Stop::Refused(Denial::of(reason).naming(named))
        })?;
        let consumer =
            consumer.ok_or_else(|| Stop::Refused(Denial::of(Reason::UnknownConsumer)))?;
        let refused = |reason| Denial::of(reason).proven(Identity::of(&consumer, None));
        if !consumer.is_active() {
            return Err(Stop::Refused(refused(Reason::ConsumerDisabled)));
        }
        let request_token = request_token.map(|token| token.token.clone());
        let scope = NonceScope {
            consumer: &consumer.key,
            token: request_token.as_ref(),
        };
        self.verifier
            .spend(&proven, scope, check_id, now)
            .await
            .map_err(|stop| stop.map(refused))?;
        Ok(Applicant {
            consumer,
            request_token,
            signature_method: proven.request().signature_method(),
        })
    }

    /// Step 2. What is named is asked for also when the consumer is unknown, so that it takes as long.
    async fn look_up(
        &self,
        claimed: Option<&ConsumerKey>,
        named: Option<&[u8]>,
    ) -> Result<(Option<Arc<Consumer>>, Option<Arc<RequestToken>>), StoreError> {
        let consumer = match claimed {
            Some(key) => self.store.credentials(key, None).await?.consumer,
            None => None,
        };
        let request_token = match named.and_then(Token::from_bytes) {
            Some(name) => self.store.request_token(&name).await?,
            None => None,
        };
        let own = |token: &RequestToken| {
            consumer
                .as_ref()
                .is_some_and(|consumer| consumer.key == token.consumer_key)
        };
        let request_token = request_token.filter(own);
        Ok((consumer, request_token.map(Arc::new)))
    }
}

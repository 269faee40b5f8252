//! Signing a request as a client does (RFC 5849 sections 3.4 and 3.5), for the command line, the
//! demo and tests.
//!
//! Encoding, collecting parameters and the base string are shared with verification, and the
//! published vectors test both. The caller draws time and nonce.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::base_string::BaseString;
use super::collector::ParameterCollector;
use super::encode::encoded;
use super::form::{FORM, is_form};
use super::hmac_key::HmacKey;
use super::pair::ParameterPair;
use super::shared_key::SharedSecrets;
use super::uri::{BaseUri, split_target};
use super::{
    ParameterPlace, ParseLimits, ProtocolParameter, Rejection, Request, RequestBody, RsaPrivateKey,
    Scheme, SignatureMethod, body_hash,
};

/// A client's credentials and signature method.
#[derive(Clone, Copy)]
pub struct Signer<'k> {
    /// `oauth_consumer_key`.
    pub consumer_key: &'k [u8],
    /// `oauth_token`; `None` leaves it out.
    pub token: Option<&'k [u8]>,
    /// `oauth_signature_method`.
    pub method: SignatureMethod,
    /// The key of the signature.
    pub key: SigningKey<'k>,
}

/// The key of a signature.
#[derive(Clone, Copy)]
pub enum SigningKey<'k> {
    /// The shared secrets of HMAC and PLAINTEXT.
    Secrets {
        /// The consumer's secret.
        consumer: &'k [u8],
        /// The token's secret; empty without a token.
        token: &'k [u8],
    },
    /// The private key of RSA.
    Rsa(&'k RsaPrivateKey),
}

/// A request to sign.
#[derive(Clone, Copy)]
pub struct RequestDraft<'a> {
    /// The HTTP method.
    pub method: &'a [u8],
    /// The scheme.
    pub scheme: Scheme,
    /// The host, and the port if the URL has one.
    pub authority: &'a [u8],
    /// Path and query as the client will send them.
    pub target: &'a [u8],
    /// The `Content-Type`, if there will be one.
    pub content_type: Option<&'a [u8]>,
    /// The body.
    pub body: &'a [u8],
    /// The place for the protocol parameters.
    pub place: ParameterPlace,
    /// Timestamp and nonce.
    pub stamp: RequestStamp<'a>,
    /// The realm, for [`ParameterPlace::Header`] only.
    pub realm: Option<&'a str>,
    /// The request gets an `oauth_body_hash`.
    pub body_hash: bool,
    /// Further protocol parameters, for example `oauth_callback`: names and values, not encoded.
    pub extensions: &'a [(&'a [u8], &'a [u8])],
}

/// Timestamp and nonce, which make a request unique (RFC 5849 section 3.3).
#[derive(Clone, Copy)]
pub struct RequestStamp<'a> {
    /// `oauth_timestamp`, in seconds.
    pub timestamp: u64,
    /// `oauth_nonce`.
    pub nonce: &'a [u8],
}

/// A signed request, to send in place of the draft.
#[derive(Clone)]
pub struct OutgoingRequest {
    /// The protocol parameters, `oauth_signature` last; names and values, not encoded.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// The signature base string.
    pub base_string: Vec<u8>,
    /// The `Authorization` header, for [`ParameterPlace::Header`].
    pub authorization: Option<String>,
    /// Path and query, with the protocol parameters for [`ParameterPlace::Query`].
    pub target: Vec<u8>,
    /// The `Content-Type`.
    pub content_type: Option<Vec<u8>>,
    /// The body, with the protocol parameters for [`ParameterPlace::Body`].
    pub body: Vec<u8>,
}

/// The reason why a request cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// A request that no server could verify.
    #[error("cannot sign the request: {0}")]
    Unverifiable(#[from] Rejection),
    /// A request with `oauth_*` parameters.
    #[error("the query or the form body has `oauth_*` parameters already")]
    AlreadySigned,
    /// Protocol parameters for a body that is not a form.
    #[error("only a form body can carry `oauth_*` parameters")]
    NotAForm,
    /// A realm that no header can carry.
    #[error("the realm has a control character")]
    Realm,
    /// An RSA key for HMAC or PLAINTEXT, or secrets for RSA.
    #[error("{0} signs with another kind of key")]
    Key(SignatureMethod),
    /// An RSA key that is too short for the hash.
    #[error("the RSA key is too short for {0}")]
    Rsa(SignatureMethod),
}

impl Signer<'_> {
    /// Signs a request.
    ///
    /// [RFC 5849 section 3.4](https://www.rfc-editor.org/rfc/rfc5849#section-3.4)
    ///
    /// # Errors
    /// A request that could not be verified once signed, and a key that does not fit the method.
    pub fn sign(&self, draft: &RequestDraft<'_>) -> Result<OutgoingRequest, SignError> {
        let request = draft.request();
        let is_form = is_form(request.content_type)?;
        draft.check_carrier(is_form)?;
        let mut parameters = self.parameters(draft);
        let mut pairs = draft.pairs(is_form)?;
        let signed = parameters.iter();
        pairs.extend(signed.map(|(name, value)| ParameterPair::encode(name, value)));
        let base_string = BaseString::new(draft.method, BaseUri::of(&request)?, pairs);
        let signature = self.signature(&base_string)?;
        parameters.push((name(ProtocolParameter::Signature), signature));
        Ok(draft.carry(parameters, base_string.to_vec()))
    }

    /// Returns every protocol parameter except the signature.
    fn parameters(&self, draft: &RequestDraft<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut parameters = vec![(
            name(ProtocolParameter::ConsumerKey),
            self.consumer_key.into(),
        )];
        let token = self.token.map(<[u8]>::to_vec);
        parameters.extend(token.map(|token| (name(ProtocolParameter::Token), token)));
        let method = self.method.name();
        parameters.push((name(ProtocolParameter::SignatureMethod), method.into()));
        parameters.extend(draft.stamp.parameters());
        parameters.extend(self.body_hash(draft));
        let extensions = draft.extensions.iter();
        parameters.extend(extensions.map(|(name, value)| (name.to_vec(), value.to_vec())));
        parameters
    }

    fn body_hash(&self, draft: &RequestDraft<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
        draft.body_hash.then(|| {
            let hash = body_hash(self.method, draft.body);
            (name(ProtocolParameter::BodyHash), hash.into())
        })
    }

    /// Returns the value of `oauth_signature`.
    fn signature(&self, base_string: &BaseString<'_>) -> Result<Vec<u8>, SignError> {
        match self.key {
            SigningKey::Rsa(key) if self.method.is_rsa() => {
                let signature = key
                    .sign(self.method.hash(), &base_string.to_vec())
                    .ok_or(SignError::Rsa(self.method))?;
                Ok(STANDARD.encode(signature).into())
            }
            SigningKey::Secrets { consumer, token } if !self.method.is_rsa() => {
                Ok(self.with_secrets(SharedSecrets { consumer, token }, base_string))
            }
            SigningKey::Rsa(_) | SigningKey::Secrets { .. } => Err(SignError::Key(self.method)),
        }
    }

    fn with_secrets(&self, secrets: SharedSecrets<'_>, base_string: &BaseString<'_>) -> Vec<u8> {
        let key = secrets.signing_key();
        if self.method == SignatureMethod::Plaintext {
            return key.to_vec();
        }
        HmacKey::new(self.method.hash(), &key)
            .sign(base_string, |mac| STANDARD.encode(mac))
            .into()
    }
}

impl RequestStamp<'_> {
    fn parameters(&self) -> [(Vec<u8>, Vec<u8>); 2] {
        let timestamp = self.timestamp.to_string();
        [
            (name(ProtocolParameter::Timestamp), timestamp.into()),
            (name(ProtocolParameter::Nonce), self.nonce.into()),
        ]
    }
}

impl<'a> RequestDraft<'a> {
    fn request(&'a self) -> Request<'a> {
        Request {
            method: self.method,
            scheme: self.scheme,
            authority: self.authority,
            path_prefix: b"",
            target: self.target,
            authorization: &[],
            content_type: self.content_type.as_slice(),
            body: RequestBody::Whole(self.body),
        }
    }

    /// Checks that the place can hold the protocol parameters, and the header the realm.
    fn check_carrier(&self, is_form: bool) -> Result<(), SignError> {
        let can_be_form = is_form || (self.content_type.is_none() && self.body.is_empty());
        if self.place == ParameterPlace::Body && !can_be_form {
            return Err(SignError::NotAForm);
        }
        let realm = self.realm.unwrap_or_default();
        if realm.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(SignError::Realm);
        }
        Ok(())
    }

    /// Returns the parameters of query and form body.
    fn pairs(&self, is_form: bool) -> Result<Vec<ParameterPair<'a>>, SignError> {
        let mut collector = ParameterCollector::new(&ParseLimits {
            parameters: usize::MAX,
            form_bytes: usize::MAX,
            ..ParseLimits::default()
        });
        collector.add_form(ParameterPlace::Query, split_target(self.target).1)?;
        if is_form {
            collector.add_form(ParameterPlace::Body, self.body)?;
        }
        collector.finish_unsigned()?.ok_or(SignError::AlreadySigned)
    }

    /// Puts the protocol parameters in their place.
    fn carry(&self, parameters: Vec<(Vec<u8>, Vec<u8>)>, base_string: Vec<u8>) -> OutgoingRequest {
        let mut outgoing = OutgoingRequest {
            base_string,
            authorization: None,
            target: self.target.to_vec(),
            content_type: self.content_type.map(<[u8]>::to_vec),
            body: self.body.to_vec(),
            parameters,
        };
        match self.place {
            ParameterPlace::Header => {
                let header = authorization(self.realm, &outgoing.parameters);
                outgoing.authorization = Some(header);
            }
            ParameterPlace::Query => append_to_query(&mut outgoing.target, &outgoing.parameters),
            ParameterPlace::Body => {
                append_form(&mut outgoing.body, 0, &outgoing.parameters);
                outgoing.content_type.get_or_insert_with(|| FORM.into());
            }
        }
        outgoing
    }
}

/// Returns the `Authorization` header.
///
/// [RFC 5849 section 3.5.1](https://www.rfc-editor.org/rfc/rfc5849#section-3.5.1)
fn authorization(realm: Option<&str>, parameters: &[(Vec<u8>, Vec<u8>)]) -> String {
    let realm = realm.map(|realm| format!("realm=\"{}\"", quoted(realm)));
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{}=\"{}\"", encoded(name), encoded(value)));
    let all: Vec<_> = realm.into_iter().chain(pairs).collect();
    format!("OAuth {}", all.join(", "))
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Appends the parameters to the query.
///
/// [RFC 5849 section 3.5.3](https://www.rfc-editor.org/rfc/rfc5849#section-3.5.3)
fn append_to_query(target: &mut Vec<u8>, parameters: &[(Vec<u8>, Vec<u8>)]) {
    if !target.contains(&b'?') {
        target.push(b'?');
    }
    let query = split_target(target).0.len() + 1;
    append_form(target, query, parameters);
}

/// Appends to the form that begins at `start`. A form decodes the escapes of section 3.6 to the
/// same bytes.
///
/// [RFC 5849 section 3.5.2](https://www.rfc-editor.org/rfc/rfc5849#section-3.5.2)
fn append_form(out: &mut Vec<u8>, start: usize, parameters: &[(Vec<u8>, Vec<u8>)]) {
    for (name, value) in parameters {
        if !matches!(out[start..], [] | [.., b'&']) {
            out.push(b'&');
        }
        out.extend_from_slice(format!("{}={}", encoded(name), encoded(value)).as_bytes());
    }
}

fn name(parameter: ProtocolParameter) -> Vec<u8> {
    parameter.name().into()
}

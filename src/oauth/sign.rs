//! The client's side: signing a request (RFC 5849 sections 3.4 and 3.5), for the command line, the demo and tests.
//!
//! It shares encoding, collecting and the base string with verification; that both are right is what the published
//! vectors prove. Time and nonce are the caller's to draw.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::base_string::BaseString;
use super::encode::encoded;
use super::hmac_key::HmacKey;
use super::media_type::is_form;
use super::params::{Collector, Pair};
use super::signature::signing_key;
use super::uri::{BaseUri, split_target};
use super::{
    ParameterPlace, ParseLimits, ProtocolParameter, Rejection, Request, RequestBody, RsaPrivateKey,
    Scheme, SignatureMethod, body_hash,
};

/// Credentials of a client, and how it signs with them.
#[derive(Clone, Copy)]
pub struct Signer<'k> {
    /// `oauth_consumer_key`.
    pub consumer_key: &'k [u8],
    /// `oauth_token`; `None` leaves it out.
    pub token: Option<&'k [u8]>,
    /// `oauth_signature_method`.
    pub method: SignatureMethod,
    /// What the signature is made with.
    pub key: SigningKey<'k>,
}

/// What a signature is made with.
#[derive(Clone, Copy)]
pub enum SigningKey<'k> {
    /// The shared secrets of HMAC and PLAINTEXT; the token's is empty when there is no token.
    Secrets {
        /// The consumer's.
        consumer: &'k [u8],
        /// The token's.
        token: &'k [u8],
    },
    /// The private key of RSA.
    Rsa(&'k RsaPrivateKey),
}

/// A request that is to be signed.
#[derive(Clone, Copy)]
pub struct RequestDraft<'a> {
    /// The HTTP method.
    pub method: &'a [u8],
    /// The scheme.
    pub scheme: Scheme,
    /// Host, and port if the URL has one.
    pub authority: &'a [u8],
    /// Path and query, as they will be sent.
    pub target: &'a [u8],
    /// The `Content-Type`, if there will be one.
    pub content_type: Option<&'a [u8]>,
    /// The body.
    pub body: &'a [u8],
    /// Where the protocol parameters are put.
    pub place: ParameterPlace,
    /// When it is signed.
    pub stamp: RequestStamp<'a>,
    /// The realm, for [`ParameterPlace::Header`] alone.
    pub realm: Option<&'a str>,
    /// Whether `oauth_body_hash` is sent.
    pub body_hash: bool,
    /// Further protocol parameters, for example `oauth_callback`: names and values, not encoded.
    pub extensions: &'a [(&'a [u8], &'a [u8])],
}

/// What makes a request one of a kind (RFC 5849 section 3.3).
#[derive(Clone, Copy)]
pub struct RequestStamp<'a> {
    /// `oauth_timestamp`, seconds.
    pub timestamp: u64,
    /// `oauth_nonce`.
    pub nonce: &'a [u8],
}

/// A request that was signed: what to send instead of the draft.
#[derive(Clone)]
pub struct OutgoingRequest {
    /// The protocol parameters, `oauth_signature` last; names and values, not encoded.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// What was signed.
    pub base_string: Vec<u8>,
    /// The `Authorization` header, for [`ParameterPlace::Header`].
    pub authorization: Option<String>,
    /// Path and query, with the protocol parameters for [`ParameterPlace::Query`].
    pub target: Vec<u8>,
    /// The `Content-Type`.
    pub content_type: Option<Vec<u8>>,
    /// The body, with the protocol parameters for [`Place::RequestBody`].
    pub body: Vec<u8>,
}

/// Why a request can not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Nobody could verify it.
    #[error("the request can not be signed: {0}")]
    Unverifiable(#[from] Rejection),
    /// It has `oauth_*` parameters already.
    #[error("the query or the form body has `oauth_*` parameters already")]
    AlreadySigned,
    /// The protocol parameters are to be put into a body that is not a form.
    #[error("only a form body can carry `oauth_*` parameters")]
    NotAForm,
    /// The realm has a character that a header can not carry.
    #[error("the realm has a control character")]
    Realm,
    /// HMAC and PLAINTEXT sign with secrets, RSA with a private key.
    #[error("{0} signs with another kind of key")]
    Key(SignatureMethod),
    /// The RSA key is too short for the hash.
    #[error("the RSA key can not make a signature of {0}")]
    Rsa(SignatureMethod),
}

impl Signer<'_> {
    /// Signs a request.
    ///
    /// # Errors
    /// When it could not be verified once signed, or the key does not fit the method.
    pub fn sign(&self, draft: &RequestDraft<'_>) -> Result<OutgoingRequest, SignError> {
        let request = draft.request();
        let is_form = is_form(request.content_type)?;
        if draft.place == ParameterPlace::Body
            && !is_form
            && !(draft.content_type.is_none() && draft.body.is_empty())
        {
            return Err(SignError::NotAForm);
        }
        if draft
            .realm
            .is_some_and(|realm| realm.bytes().any(|byte| byte.is_ascii_control()))
        {
            return Err(SignError::Realm);
        }
        let mut parameters = self.parameters(draft);
        let mut pairs = draft.pairs(is_form)?;
        pairs.extend(
            parameters
                .iter()
                .map(|(name, value)| Pair::encode(name, value)),
        );
        let base_string = BaseString::new(draft.method, BaseUri::of(&request)?, pairs);
        let signature = self.signature(&base_string)?;
        parameters.push((name(ProtocolParameter::Signature), signature));
        Ok(draft.carry(parameters, base_string.to_vec()))
    }

    /// Every protocol parameter but the signature.
    fn parameters(&self, draft: &RequestDraft<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut parameters = vec![(
            name(ProtocolParameter::ConsumerKey),
            self.consumer_key.to_vec(),
        )];
        parameters.extend(
            self.token
                .map(|token| (name(ProtocolParameter::Token), token.to_vec())),
        );
        parameters.extend([
            (
                name(ProtocolParameter::SignatureMethod),
                self.method.name().into(),
            ),
            (
                name(ProtocolParameter::Timestamp),
                draft.stamp.timestamp.to_string().into(),
            ),
            (name(ProtocolParameter::Nonce), draft.stamp.nonce.to_vec()),
        ]);
        if draft.body_hash {
            parameters.push((
                name(ProtocolParameter::BodyHash),
                body_hash(self.method, draft.body).into(),
            ));
        }
        parameters.extend(
            draft
                .extensions
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec())),
        );
        parameters
    }

    /// The value of `oauth_signature`.
    fn signature(&self, base_string: &BaseString<'_>) -> Result<Vec<u8>, SignError> {
        let hash = self.method.hash();
        match self.key {
            SigningKey::Rsa(key) if self.method.is_rsa() => {
                let signature = key
                    .sign(hash, &base_string.to_vec())
                    .ok_or(SignError::Rsa(self.method))?;
                Ok(STANDARD.encode(signature).into())
            }
            SigningKey::Secrets { consumer, token } if !self.method.is_rsa() => {
                let key = signing_key(consumer, token);
                let is_plaintext = self.method == SignatureMethod::Plaintext;
                Ok(if is_plaintext {
                    key.to_vec()
                } else {
                    HmacKey::new(hash, &key)
                        .sign(base_string, |mac| STANDARD.encode(mac))
                        .into()
                })
            }
            SigningKey::Rsa(_) | SigningKey::Secrets { .. } => Err(SignError::Key(self.method)),
        }
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

    /// The parameters of query and form body.
    fn pairs(&self, is_form: bool) -> Result<Vec<Pair<'a>>, SignError> {
        let mut collector = Collector::new(&ParseLimits {
            parameters: usize::MAX,
            ..ParseLimits::default()
        });
        collector.form(ParameterPlace::Query, split_target(self.target).1)?;
        if is_form {
            collector.form(ParameterPlace::Body, self.body)?;
        }
        collector.unsigned()?.ok_or(SignError::AlreadySigned)
    }

    /// Puts the protocol parameters where they belong.
    fn carry(&self, parameters: Vec<(Vec<u8>, Vec<u8>)>, base_string: Vec<u8>) -> OutgoingRequest {
        let mut signed = OutgoingRequest {
            base_string,
            authorization: None,
            target: self.target.to_vec(),
            content_type: self.content_type.map(<[u8]>::to_vec),
            body: self.body.to_vec(),
            parameters,
        };
        match self.place {
            ParameterPlace::Header => {
                signed.authorization = Some(authorization(self.realm, &signed.parameters))
            }
            ParameterPlace::Query => append_to_query(&mut signed.target, &signed.parameters),
            ParameterPlace::Body => {
                append_form(&mut signed.body, 0, &signed.parameters);
                signed.content_type.get_or_insert_with(|| FORM.to_vec());
            }
        }
        signed
    }
}

/// Section 3.5.1.
fn authorization(realm: Option<&str>, parameters: &[(Vec<u8>, Vec<u8>)]) -> String {
    let quoted = |realm: &str| {
        format!(
            "realm=\"{}\"",
            realm.replace('\\', "\\\\").replace('"', "\\\"")
        )
    };
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{}=\"{}\"", encoded(name), encoded(value)));
    let all: Vec<_> = realm.map(quoted).into_iter().chain(pairs).collect();
    format!("OAuth {}", all.join(", "))
}

/// Section 3.5.3.
fn append_to_query(target: &mut Vec<u8>, parameters: &[(Vec<u8>, Vec<u8>)]) {
    if !target.contains(&b'?') {
        target.push(b'?');
    }
    let query = split_target(target).0.len() + 1;
    append_form(target, query, parameters);
}

/// Section 3.5.2, to the form that begins at `start`; what section 3.6 encodes, a form decodes to the same.
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

const FORM: &[u8] = b"application/x-www-form-urlencoded";

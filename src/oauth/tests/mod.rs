//! Tests of the protocol core, named after the rules that they prove.
//!
//! The marks in front of a test are sections of RFC 5849 (`3.4.1.3`) or numbered rules about
//! protocol parameters of its sections 3.1, 3.5 and appendix A (`P4`).

mod base_string;
mod body_hash;
mod body_type;
mod compat;
mod compat_open;
mod compat_passing;
mod deviating_client;
mod diagnosis;
mod diagnosis_client;
mod diagnosis_doubt;
mod diagnosis_encoding;
mod diagnosis_guesses;
mod diagnosis_location;
mod diagnosis_masks;
mod diagnosis_parameters;
mod diagnosis_path;
mod diagnosis_protocol;
mod diagnosis_remedies;
mod diagnosis_secrets;
mod header;
mod keys;
mod parameters;
mod proof;
mod properties;
mod rejections;
mod signing;
mod size;
mod vectors;

use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{
    BodyHashRule, CompatSet, KeySchedule, OutgoingRequest, ParameterPlace, ParseLimits, Rejection,
    Request, RequestBody, RequestDraft, RequestStamp, RsaPrivateKey, RsaPublicKey, Scheme,
    SignedRequest, VerificationKeys,
};

const FORM: &str = "application/x-www-form-urlencoded";

const CONSUMER_SECRET: &[u8] = b"kd94hf93k423kf44";

/// Every required parameter as in a query or form body, with a wrong signature.
const PARAMETERS: &str = "oauth_consumer_key=key&oauth_signature_method=HMAC-SHA1&oauth_timestamp=137131200\
                          &oauth_nonce=n&oauth_signature=AAAA";

/// A request that owns its bytes, so that a test can change any of them.
#[derive(Clone, Debug)]
struct WireRequest {
    method: Vec<u8>,
    scheme: Scheme,
    authority: Vec<u8>,
    path_prefix: Vec<u8>,
    target: Vec<u8>,
    authorization: Vec<Vec<u8>>,
    content_type: Vec<Vec<u8>>,
    /// `None` is an incomplete body.
    body: Option<Vec<u8>>,
}

impl WireRequest {
    fn get(target: &str) -> Self {
        Self {
            method: b"GET".into(),
            scheme: Scheme::Https,
            authority: b"api.example.com".into(),
            path_prefix: Vec::new(),
            target: target.into(),
            authorization: Vec::new(),
            content_type: Vec::new(),
            body: Some(Vec::new()),
        }
    }

    fn authorization(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.authorization.push(value.into());
        self
    }

    /// Adds all required parameters in the header.
    fn in_header(self) -> Self {
        self.authorization(header_of(PARAMETERS))
    }

    fn body(mut self, content_type: &str, body: &str) -> Self {
        self.content_type.push(content_type.into());
        self.body = Some(body.into());
        self
    }

    /// Returns a signed draft as on the wire.
    fn signed(draft: &RequestDraft<'_>, signed: OutgoingRequest) -> Self {
        Self {
            method: draft.method.into(),
            scheme: draft.scheme,
            authority: draft.authority.into(),
            path_prefix: Vec::new(),
            target: signed.target,
            authorization: signed
                .authorization
                .map(String::into_bytes)
                .into_iter()
                .collect(),
            content_type: signed.content_type.into_iter().collect(),
            body: Some(signed.body),
        }
    }

    fn with_request<R>(&self, look: impl FnOnce(Request<'_>) -> R) -> R {
        let authorization: Vec<_> = self.authorization.iter().map(Vec::as_slice).collect();
        let content_type: Vec<_> = self.content_type.iter().map(Vec::as_slice).collect();
        look(Request {
            method: &self.method,
            scheme: self.scheme,
            authority: &self.authority,
            path_prefix: &self.path_prefix,
            target: &self.target,
            authorization: &authorization,
            content_type: &content_type,
            body: self
                .body
                .as_deref()
                .map_or(RequestBody::NotWhole, RequestBody::Whole),
        })
    }

    /// Passes the parsed request to `look`; panics if it is unsigned.
    fn parsed<R>(&self, look: impl FnOnce(SignedRequest<'_>) -> R) -> R {
        self.with_request(|request| look(request.parse(&ParseLimits::default()).unwrap().unwrap()))
    }

    fn base_string(&self) -> String {
        self.parsed(|signed| String::from_utf8(signed.base_string()).unwrap())
    }

    /// Returns the application's parameters of the base string, decoded once.
    fn parameters(&self) -> String {
        let base_string = self.base_string();
        let joined = decoded(base_string.rsplit('&').next().unwrap());
        let others: Vec<_> = joined
            .split('&')
            .filter(|pair| !pair.starts_with("oauth_"))
            .collect();
        others.join("&")
    }

    fn refusal(&self) -> Option<Rejection> {
        self.with_request(|request| request.parse(&ParseLimits::default()).err())
    }

    fn is_unsigned(&self) -> bool {
        self.with_request(|request| matches!(request.parse(&ParseLimits::default()), Ok(None)))
    }

    fn verify(&self, keys: &VerificationKeys<'_>, rule: BodyHashRule) -> Result<(), Rejection> {
        self.verify_with(keys, &KeySchedule::default(), rule)
    }

    fn verify_with(
        &self,
        keys: &VerificationKeys<'_>,
        schedule: &KeySchedule,
        rule: BodyHashRule,
    ) -> Result<(), Rejection> {
        self.with_request(|request| match request.parse(&ParseLimits::default())? {
            Some(signed) => signed
                .verify_under(CompatSet::NONE, keys, schedule, rule)
                .map(|_| ()),
            None => panic!("the request is not signed"),
        })
    }
}

/// A `GET` to sign.
fn draft(target: &[u8]) -> RequestDraft<'_> {
    RequestDraft {
        method: b"GET",
        scheme: Scheme::Https,
        authority: b"api.example.com",
        target,
        content_type: None,
        body: b"",
        place: ParameterPlace::Header,
        stamp: RequestStamp {
            timestamp: 137_131_200,
            nonce: b"wIjqoS",
        },
        realm: None,
        body_hash: false,
        extensions: &[],
    }
}

fn secrets<'k>(consumer: &'k [&'k [u8]], token: Option<&'k [u8]>) -> VerificationKeys<'k> {
    VerificationKeys {
        consumer_secrets: consumer,
        token_secret: token,
        rsa_public_keys: &[],
    }
}

/// Turns `a=1&b=2` into the value of an `Authorization` header.
fn header_of(form: &str) -> String {
    let pairs: Vec<_> = form
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    format!("OAuth {}", pairs.join(", "))
}

/// [`PARAMETERS`] with one replaced, or without it.
fn with_parameter(name: &str, value: Option<&str>) -> String {
    let others = PARAMETERS
        .split('&')
        .filter(|pair| !pair.starts_with(&format!("{name}=")));
    let replaced = value.map(|value| format!("{name}={value}"));
    others
        .map(str::to_owned)
        .chain(replaced)
        .collect::<Vec<_>>()
        .join("&")
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

/// A new RSA key of 2048 bits; the private key as PKCS #8.
struct RsaKey {
    private_pem: String,
    private: RsaPrivateKey,
    public: RsaPublicKey,
}

fn rsa_key() -> &'static RsaKey {
    static KEY: LazyLock<RsaKey> = LazyLock::new(|| {
        use aws_lc_rs::signature::KeyPair as _;
        let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let private_pem = pem("PRIVATE KEY", pair.as_der().unwrap().as_ref());
        RsaKey {
            private: RsaPrivateKey::from_pem(&private_pem).unwrap(),
            private_pem,
            public: RsaPublicKey::from_pem(&pem("RSA PUBLIC KEY", pair.public_key().as_ref()))
                .unwrap(),
        }
    });
    &KEY
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

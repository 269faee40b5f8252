//! The time of each part of RFC 5849: `cargo bench --bench core`.
//!
//! Measures parsing, the base string, and parsing and verifying together, for typical requests and
//! for those of an attacker. A refused request should not take longer than an accepted one of the
//! same size.

#![expect(clippy::unwrap_used, reason = "a panic is how a benchmark fails")]

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::oauth::{
    BodyHashRule, CompatSet, KeySchedule, OutgoingRequest, ParameterPlace, ParseLimits, Rejection,
    Request, RequestBody, RequestDraft, RequestStamp, RsaPrivateKey, RsaPublicKey, Scheme,
    SignatureMethod, SignedRequest, Signer, SigningKey, VerificationKeys,
};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

#[divan::bench]
fn parse(bencher: Bencher<'_, '_>) {
    let call = ReceivedRequest::get(SignatureMethod::HmacSha1);
    bencher.bench(|| call.parsed(|signed| black_box(signed.is_ok())));
}

#[divan::bench]
fn parse_unsigned(bencher: Bencher<'_, '_>) {
    let call = ReceivedRequest {
        authorization: Vec::new(),
        ..ReceivedRequest::get(SignatureMethod::HmacSha1)
    };
    bencher.bench(|| {
        black_box(
            call.request(&[])
                .parse(&ParseLimits::default())
                .unwrap()
                .is_none(),
        )
    });
}

#[divan::bench]
fn parse_and_base_string(bencher: Bencher<'_, '_>) {
    let call = ReceivedRequest::get(SignatureMethod::HmacSha1);
    bencher.bench(|| call.parsed(|signed| signed.unwrap().unwrap().base_string()));
}

#[divan::bench(args = [SignatureMethod::HmacSha1, SignatureMethod::HmacSha256, SignatureMethod::HmacSha512])]
fn verify_hmac(bencher: Bencher<'_, '_>, method: SignatureMethod) {
    let call = ReceivedRequest::get(method);
    bencher.bench(|| assert!(call.verdict(SECRET).is_ok()));
}

/// Verifies with an HMAC key that was computed before, as with cached credentials.
#[divan::bench(args = [SignatureMethod::HmacSha1, SignatureMethod::HmacSha256, SignatureMethod::HmacSha512])]
fn verify_hmac_with_cached_key(bencher: Bencher<'_, '_>, method: SignatureMethod) {
    let (call, schedule) = (ReceivedRequest::get(method), KeySchedule::default());
    let keys = VerificationKeys {
        consumer_secrets: &[SECRET],
        token_secret: Some(TOKEN_SECRET),
        rsa_public_keys: &[],
    };
    bencher.bench(|| {
        call.parsed(|signed| {
            let signed = signed.unwrap().unwrap();
            assert!(
                signed
                    .verify_under(CompatSet::NONE, &keys, &schedule, BodyHashRule::Accept)
                    .is_ok()
            );
        });
    });
}

#[divan::bench(args = [SignatureMethod::HmacSha1, SignatureMethod::HmacSha256])]
fn verify_wrong_signature(bencher: Bencher<'_, '_>, method: SignatureMethod) {
    let call = ReceivedRequest::get(method);
    bencher.bench(|| assert!(call.verdict(b"another secret of another consumer").is_err()));
}

#[divan::bench(args = [SignatureMethod::RsaSha1, SignatureMethod::RsaSha256])]
fn verify_rsa(bencher: Bencher<'_, '_>, method: SignatureMethod) {
    let call = ReceivedRequest::get(method);
    let key = rsa_public_key();
    bencher.bench(|| assert!(call.rsa_verdict(&key).is_ok()));
}

#[divan::bench]
fn verify_rsa_of_garbage(bencher: Bencher<'_, '_>) {
    let mut call = ReceivedRequest::get(SignatureMethod::RsaSha256);
    call.target = TARGET.replace("original", "another").into();
    let key = rsa_public_key();
    bencher.bench(|| assert!(call.rsa_verdict(&key).is_err()));
}

#[divan::bench(args = [10, 100, 990])]
fn verify_form(bencher: Bencher<'_, '_>, parameters: usize) {
    let call = ReceivedRequest::form(parameters);
    bencher
        .counter(BytesCount::new(call.body.len()))
        .bench(|| assert!(call.verdict(SECRET).is_ok()));
}

/// Verifies the largest form with bytes that all need an escape, in one value or with an escape for
/// each.
#[divan::bench(args = [EscapedForm::Raw, EscapedForm::Upper, EscapedForm::Lower, EscapedForm::Mixed])]
fn verify_form_of_escapes(bencher: Bencher<'_, '_>, form: EscapedForm) {
    let call = ReceivedRequest::form_of(&form.body(64 * 1024));
    bencher
        .counter(BytesCount::new(call.body.len()))
        .bench(|| assert!(call.verdict(SECRET).is_ok()));
}

#[derive(Clone, Copy, Debug)]
enum EscapedForm {
    /// Bytes without an escape.
    Raw,
    /// Normal escapes.
    Upper,
    /// Escapes with lower-case digits.
    Lower,
    /// Bytes that need an escape and others in turn.
    Mixed,
}

impl EscapedForm {
    fn body(self, length: usize) -> String {
        let unit = match self {
            Self::Raw => "!",
            Self::Upper => "%80",
            Self::Lower => "%aa",
            Self::Mixed => "a!",
        };
        let mut body = format!("a={}", unit.repeat(length / unit.len()));
        body.truncate(2 + (length - 2) / unit.len() * unit.len());
        body
    }
}

#[divan::bench]
fn refuse_too_many_parameters(bencher: Bencher<'_, '_>) {
    let mut call = ReceivedRequest::form(10);
    call.body = "a=b&".repeat(10_000).into();
    bencher
        .counter(BytesCount::new(call.body.len()))
        .bench(|| assert_eq!(call.verdict(SECRET), Err(Rejection::TooManyParameters)));
}

#[divan::bench]
fn refuse_long_header(bencher: Bencher<'_, '_>) {
    let mut call = ReceivedRequest::get(SignatureMethod::HmacSha1);
    call.authorization.truncate(call.authorization.len() - 1);
    call.authorization.resize(64 * 1024, b'a');
    call.authorization.push(b'"');
    bencher
        .counter(BytesCount::new(call.authorization.len()))
        .bench(|| assert!(call.verdict(SECRET).is_err()));
}

/// A request as a proxy receives it.
struct ReceivedRequest {
    method: &'static [u8],
    target: Vec<u8>,
    authorization: Vec<u8>,
    content_type: &'static [&'static [u8]],
    body: Vec<u8>,
}

impl ReceivedRequest {
    /// Returns a GET with a token and three query parameters.
    fn get(method: SignatureMethod) -> Self {
        let signed = sign(method, b"GET", TARGET.as_bytes(), None, b"");
        Self::of(b"GET", signed, &[])
    }

    /// Returns a POST with a form of that many parameters.
    fn form(parameters: usize) -> Self {
        let pairs: Vec<_> = (0..parameters)
            .map(|n| format!("name-{n}=value+{n}%21"))
            .collect();
        Self::form_of(&pairs.join("&"))
    }

    /// Returns a POST with this form.
    fn form_of(body: &str) -> Self {
        let signed = sign(
            SignatureMethod::HmacSha1,
            b"POST",
            b"/photos",
            Some(FORM),
            body.as_bytes(),
        );
        Self::of(b"POST", signed, &[FORM])
    }

    fn of(
        method: &'static [u8],
        signed: OutgoingRequest,
        content_type: &'static [&'static [u8]],
    ) -> Self {
        let OutgoingRequest {
            target,
            authorization,
            body,
            ..
        } = signed;
        Self {
            method,
            target,
            authorization: authorization.unwrap().into(),
            content_type,
            body,
        }
    }

    fn request<'a>(&'a self, authorization: &'a [&'a [u8]]) -> Request<'a> {
        Request {
            method: self.method,
            scheme: Scheme::Https,
            authority: HOST.as_bytes(),
            path_prefix: b"",
            target: &self.target,
            authorization,
            content_type: self.content_type,
            body: RequestBody::Whole(&self.body),
        }
    }

    fn parsed<T>(&self, then: impl FnOnce(Result<Option<SignedRequest<'_>>, Rejection>) -> T) -> T {
        then(
            self.request(&[&self.authorization])
                .parse(&ParseLimits::default()),
        )
    }

    fn verdict(&self, secret: &[u8]) -> Result<(), Rejection> {
        self.verify(&VerificationKeys {
            consumer_secrets: &[secret],
            token_secret: Some(TOKEN_SECRET),
            rsa_public_keys: &[],
        })
    }

    fn rsa_verdict(&self, key: &RsaPublicKey) -> Result<(), Rejection> {
        self.verify(&VerificationKeys {
            consumer_secrets: &[],
            token_secret: Some(TOKEN_SECRET),
            rsa_public_keys: &[key],
        })
    }

    fn verify(&self, keys: &VerificationKeys<'_>) -> Result<(), Rejection> {
        self.parsed(|signed| {
            signed?
                .unwrap()
                .verify(keys, BodyHashRule::Accept)
                .map(drop)
        })
    }
}

fn sign(
    method: SignatureMethod,
    http_method: &[u8],
    target: &[u8],
    content_type: Option<&[u8]>,
    body: &[u8],
) -> OutgoingRequest {
    let der: Pkcs8V1Der<'_> = rsa_key_pair().as_der().unwrap();
    let private = RsaPrivateKey::from_pem(&pem("PRIVATE KEY", der.as_ref())).unwrap();
    let key = if method.is_rsa() {
        SigningKey::Rsa(&private)
    } else {
        SigningKey::Secrets {
            consumer: SECRET,
            token: TOKEN_SECRET,
        }
    };
    let stamp = RequestStamp {
        timestamp: 1_700_000_000,
        nonce: b"5d7f0c2e9a1b4836",
    };
    let draft = RequestDraft {
        method: http_method,
        scheme: Scheme::Https,
        authority: HOST.as_bytes(),
        target,
        content_type,
        body,
        place: ParameterPlace::Header,
        stamp,
        realm: None,
        body_hash: false,
        extensions: &[],
    };
    let signer = Signer {
        consumer_key: CONSUMER_KEY,
        token: Some(TOKEN),
        method,
        key,
    };
    signer.sign(&draft).unwrap()
}

/// Returns the key pair of all benchmarks.
fn rsa_key_pair() -> &'static KeyPair {
    static PAIR: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());
    &PAIR
}

fn rsa_public_key() -> RsaPublicKey {
    let der: PublicKeyX509Der<'_> = rsa_key_pair().public_key().as_der().unwrap();
    RsaPublicKey::from_pem(&pem("PUBLIC KEY", der.as_ref())).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<_> = STANDARD
        .encode(der)
        .into_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

const HOST: &str = "photos.example.net";
const TARGET: &str = "/v1/albums/42/photos?size=original&page=3&order=taken%20at";
const FORM: &[u8] = b"application/x-www-form-urlencoded";
const CONSUMER_KEY: &[u8] = b"9b1c7d5e0f3a48c2b6d4e8f019a2b3c4";
const SECRET: &[u8] = b"0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const TOKEN: &[u8] = b"4f8e2d6c0b1a39577593a1b0c2d4e6f8";
const TOKEN_SECRET: &[u8] = b"a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";

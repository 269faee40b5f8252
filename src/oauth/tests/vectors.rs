//! Published test vectors of the RFC, the community specifications, providers and client libraries.

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::oauth::SignatureMethod;
use crate::oauth::base_string::BaseString;
use crate::oauth::collector::ParameterCollector;
use crate::oauth::encode::encoded;
use crate::oauth::signature::SignatureClaim;
use crate::oauth::uri::BaseUri;

#[derive(Deserialize)]
struct Vectors {
    raw_hmac: Vec<Raw>,
    raw_rsa: Vec<Raw>,
    percent_encoding: Vec<Encoding>,
    normalized_parameters: Vec<Normalized>,
    base_string_uri: Vec<Uri>,
    body_hash: Vec<BodyHash>,
    vectors: Vec<Whole>,
}

/// The signature of a text.
#[derive(Deserialize)]
struct Raw {
    name: String,
    signature_method: String,
    base_string: String,
    consumer_secret: Option<String>,
    token_secret: Option<String>,
    rsa_public_key_pem: Option<String>,
    signature: String,
    verified: bool,
}

#[derive(Deserialize)]
struct Encoding {
    input: String,
    encoded: String,
}

#[derive(Deserialize)]
struct Normalized {
    source: String,
    form: String,
    normalized: String,
}

#[derive(Deserialize)]
struct Uri {
    url: String,
    base_string_uri: String,
}

#[derive(Deserialize)]
struct BodyHash {
    hash: String,
    body: String,
    oauth_body_hash: String,
}

/// A signed request.
#[derive(Deserialize)]
struct Whole {
    name: String,
    method: String,
    url: String,
    auth_params: serde_json::Map<String, Value>,
    params_in: String,
    realm: Option<String>,
    body: Option<String>,
    content_type: Option<String>,
    consumer_secret: Option<String>,
    token_secret: Option<String>,
    rsa_public_key_pem: Option<String>,
    signature_method: String,
    base_string: Option<String>,
    signature: String,
    verified: bool,
    expect_valid: bool,
}

#[test]
fn every_published_signature_of_a_text_matches() {
    let vectors = load();
    assert_eq!((vectors.raw_hmac.len(), vectors.raw_rsa.len()), (14, 2));
    for vector in vectors.raw_hmac.iter().chain(&vectors.raw_rsa) {
        let proven = with_keys(
            &vector.consumer_secret,
            &vector.token_secret,
            &vector.rsa_public_key_pem,
            |keys| {
                prove(
                    &vector.signature_method,
                    &vector.base_string,
                    &vector.signature,
                    keys,
                )
            },
        );
        assert_eq!(proven.is_ok(), vector.verified, "{}", vector.name);
    }
}

#[test]
fn every_published_encoding_is_ours() {
    let vectors = load();
    assert_eq!(vectors.percent_encoding.len(), 17);
    for vector in vectors.percent_encoding {
        assert_eq!(encoded(vector.input.as_bytes()), vector.encoded);
    }
}

#[test]
fn every_published_normalization_is_ours() {
    let vectors = load();
    assert_eq!(vectors.normalized_parameters.len(), 13);
    for vector in vectors.normalized_parameters {
        let mut collector = ParameterCollector::new(&ParseLimits::default());
        collector
            .add_form(ParameterPlace::Query, vector.form.as_bytes())
            .unwrap();
        let pairs = match collector.finish().unwrap() {
            Some(collected) => collected.pairs,
            None => {
                let mut collector = ParameterCollector::new(&ParseLimits::default());
                collector
                    .add_form(ParameterPlace::Query, vector.form.as_bytes())
                    .unwrap();
                collector.finish_unsigned().unwrap().unwrap()
            }
        };
        let base_string = WireRequest::get("/").with_request(|request| {
            let base_string = BaseString::new(b"GET", BaseUri::of(&request).unwrap(), pairs);
            String::from_utf8(base_string.to_vec()).unwrap()
        });
        let normalized = decoded(base_string.rsplit('&').next().unwrap());
        assert_eq!(normalized, vector.normalized, "{}", vector.source);
    }
}

#[test]
fn every_published_base_string_uri_is_ours() {
    let vectors = load();
    assert_eq!(vectors.base_string_uri.len(), 17);
    for vector in vectors.base_string_uri {
        let base_string = at_url(&vector.url).in_header().base_string();
        assert_eq!(
            decoded(base_string.split('&').nth(1).unwrap()),
            vector.base_string_uri,
            "{}",
            vector.url
        );
    }
}

#[test]
fn every_published_body_hash_is_ours() {
    let vectors = load();
    assert_eq!(vectors.body_hash.len(), 5);
    for vector in vectors.body_hash {
        let method =
            SignatureMethod::from_name(format!("HMAC-{}", vector.hash).as_bytes()).unwrap();
        assert_eq!(
            crate::oauth::body_hash(method, vector.body.as_bytes()),
            vector.oauth_body_hash
        );
    }
}

#[test]
fn every_published_request_gets_its_verdict() {
    let vectors = load();
    assert_eq!(vectors.vectors.len(), 34);
    for vector in &vectors.vectors {
        assert_eq!(vector.verified, vector.expect_valid, "{}", vector.name);
        let verdict = vector.verdict();
        assert_eq!(
            verdict.is_ok(),
            vector.expect_valid,
            "{}: {verdict:?}",
            vector.name
        );
    }
}

#[test]
fn every_published_base_string_is_ours() {
    for vector in load().vectors {
        // Nobody publishes a base string for PLAINTEXT.
        let Some(published) = &vector.base_string else {
            assert_eq!(vector.signature_method, "PLAINTEXT", "{}", vector.name);
            continue;
        };
        assert_eq!(&vector.wire().base_string(), published, "{}", vector.name);
    }
}

#[test]
fn a_request_signed_for_http_is_not_one_for_https() {
    let photos = load()
        .vectors
        .into_iter()
        .find(|vector| vector.name == "rfc5849-1.2-photos")
        .unwrap();
    let https = Whole {
        url: photos.url.replace("http://", "https://"),
        ..photos
    };
    assert_eq!(https.verdict(), Err(Rejection::SignatureMismatch));
}

impl Whole {
    fn wire(&self) -> WireRequest {
        let mut wire = at_url(&self.url);
        wire.method = self.method.clone().into();
        wire.content_type = self
            .content_type
            .clone()
            .map(String::into_bytes)
            .into_iter()
            .collect();
        wire.body = Some(self.body.clone().unwrap_or_default().into());
        if self.params_in == "header" {
            let realm = self.realm.iter().map(|realm| format!("realm=\"{realm}\""));
            let pair = |(name, value): (&String, &Value)| {
                format!("{name}=\"{}\"", encoded(value.as_str().unwrap().as_bytes()))
            };
            let signature = format!("oauth_signature=\"{}\"", encoded(self.signature.as_bytes()));
            let all: Vec<_> = realm
                .chain(self.auth_params.iter().map(pair))
                .chain([signature])
                .collect();
            wire.authorization = vec![format!("OAuth {}", all.join(",")).into()];
        }
        wire
    }

    /// Verifies the request. If it names another method than it was signed with, verifies the
    /// signature alone.
    fn verdict(&self) -> Result<(), Rejection> {
        let wire = self.wire();
        let named = wire.parsed(|signed| signed.signature_method().name());
        with_keys(
            &self.consumer_secret,
            &self.token_secret,
            &self.rsa_public_key_pem,
            |keys| {
                if named == self.signature_method {
                    wire.verify(keys, BodyHashRule::Require)
                } else {
                    prove(
                        &self.signature_method,
                        &wire.base_string(),
                        &self.signature,
                        keys,
                    )
                }
            },
        )
    }
}

fn prove(
    method: &str,
    base_string: &str,
    signature: &str,
    keys: &VerificationKeys<'_>,
) -> Result<(), Rejection> {
    let method = SignatureMethod::from_name(method.as_bytes()).unwrap();
    let (signature, schedule) = (signature.as_bytes(), &KeySchedule::default());
    SignatureClaim {
        method,
        message: base_string.as_bytes(),
        signature,
        with_token: true,
        schedule,
    }
    .prove(keys)
}

fn with_keys<R>(
    consumer_secret: &Option<String>,
    token_secret: &Option<String>,
    rsa_public_key: &Option<String>,
    look: impl FnOnce(&VerificationKeys<'_>) -> R,
) -> R {
    let consumer_secrets: Vec<_> = consumer_secret.iter().map(String::as_bytes).collect();
    let rsa_public_key = rsa_public_key
        .as_ref()
        .map(|pem| RsaPublicKey::from_pem(pem).unwrap());
    look(&VerificationKeys {
        consumer_secrets: &consumer_secrets,
        token_secret: token_secret.as_ref().map(String::as_bytes),
        rsa_public_keys: rsa_public_key.as_ref().as_slice(),
    })
}

/// The request of a client to a URL, without the fragment.
fn at_url(url: &str) -> WireRequest {
    let (scheme, rest) = url.split_once("://").unwrap();
    let rest = rest.split('#').next().unwrap();
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    WireRequest {
        scheme: if scheme.eq_ignore_ascii_case("http") {
            Scheme::Http
        } else {
            Scheme::Https
        },
        authority: authority.into(),
        ..WireRequest::get(target)
    }
}

fn load() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/oauth1.json")).unwrap()
}

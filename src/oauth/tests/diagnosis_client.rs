//! A client that signs by itself, so that a test can let it deviate anywhere: it shares no code
//! with the diagnosis.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PSS_SHA256, RsaKeyPair};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha512};

use super::*;
use crate::oauth::diagnosis::{
    BUDGET, Diagnosis, ForwardedHeaders, MismatchCause, MismatchEvidence, OriginSetting,
    ReceivedOrigin, diagnose,
};
use crate::oauth::hash::HashFunction;
use crate::oauth::rsa_public::decode_pem;
use crate::oauth::{CompatProfile, SignatureMethod, body_hash};

pub(super) const CONSUMER: &str = "kd94hf93k423kf44";
pub(super) const TOKEN: &str = "pfkkdhi9sl3r4s00";
pub(super) const OLD: &str = "the-old-secret";

/// The parts that a client signs, which a test changes.
pub(super) struct Client {
    pub(super) method: String,
    pub(super) scheme: String,
    pub(super) authority: String,
    pub(super) path: String,
    /// A text behind the path.
    pub(super) suffix: String,
    /// Names and values of query and form, decoded.
    pub(super) parameters: Vec<(String, String)>,
    /// The signed protocol parameters.
    pub(super) protocol: Vec<(String, String)>,
    pub(super) consumer_secret: Vec<u8>,
    pub(super) token_secret: Vec<u8>,
    /// The whole key, if it is not made of both secrets.
    pub(super) key: Option<Vec<u8>>,
    pub(super) kind: SignatureKind,
    /// Writes the signature as a text.
    pub(super) written: fn(&[u8]) -> String,
    /// Makes the base string, if it is not made as RFC 5849 says.
    pub(super) text: Option<BaseStringMaker>,
}

/// Makes a client's base string.
type BaseStringMaker = Box<dyn Fn(&Client) -> String>;

/// The kind of a signature.
#[derive(Clone, Copy)]
pub(super) enum SignatureKind {
    Sha1,
    Sha256,
    Sha512,
    RsaSha1,
    RsaSha256,
    RsaPss,
    /// The HMAC-SHA1 of the key under the base string.
    Exchanged,
    /// The SHA-1 of base string and key.
    Hash,
    Plaintext,
}

impl SignatureKind {
    fn of(method: SignatureMethod) -> Self {
        match method {
            SignatureMethod::HmacSha1 => Self::Sha1,
            SignatureMethod::HmacSha256 => Self::Sha256,
            SignatureMethod::HmacSha512 => Self::Sha512,
            SignatureMethod::RsaSha1 => Self::RsaSha1,
            SignatureMethod::RsaSha256 | SignatureMethod::RsaSha512 => Self::RsaSha256,
            SignatureMethod::Plaintext => Self::Plaintext,
        }
    }
}

impl Client {
    /// Signs a value of a protocol parameter that differs from the sent one.
    pub(super) fn signs(&mut self, name: &str, value: &str) {
        self.protocol.retain(|(other, _)| other != name);
        self.protocol.push((name.to_owned(), value.to_owned()));
    }

    /// Returns the URL up to the query, as the client signs it.
    pub(super) fn uri(&self) -> String {
        let Self {
            scheme,
            authority,
            path,
            suffix,
            ..
        } = self;
        format!("{scheme}://{authority}{path}{suffix}")
    }

    /// Returns the sorted parameters, encoded.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let all = self.parameters.iter().chain(&self.protocol);
        let mut pairs: Vec<_> = all
            .map(|(name, value)| (escaped(name), escaped(value)))
            .collect();
        pairs.sort();
        pairs
    }

    fn base_string(&self) -> String {
        if let Some(text) = &self.text {
            return text(self);
        }
        let pairs = self.pairs().into_iter();
        let joined: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let parts = [&self.method, &self.uri(), &joined.join("&")];
        parts.map(|part| escaped(part)).join("&")
    }

    fn signature(&self) -> String {
        let plain = [&self.consumer_secret, &self.token_secret].map(|secret| escaped_bytes(secret));
        let key = self
            .key
            .clone()
            .unwrap_or_else(|| plain.join("&").into_bytes());
        let text = self.base_string();
        let bytes = match self.kind {
            SignatureKind::Sha1 => {
                let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
            SignatureKind::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
            SignatureKind::Sha512 => {
                let mut mac = Hmac::<Sha512>::new_from_slice(&key).unwrap();
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
            SignatureKind::RsaSha1 => rsa(HashFunction::Sha1, &text),
            SignatureKind::RsaSha256 => rsa(HashFunction::Sha256, &text),
            SignatureKind::RsaPss => rsa_pss(&text),
            SignatureKind::Exchanged => {
                let mut mac = Hmac::<Sha1>::new_from_slice(text.as_bytes()).unwrap();
                mac.update(&key);
                mac.finalize().into_bytes().to_vec()
            }
            SignatureKind::Hash => Sha1::digest([text.as_bytes(), &key].concat()).to_vec(),
            SignatureKind::Plaintext => key,
        };
        (self.written)(&bytes)
    }
}

fn rsa(hash: HashFunction, text: &str) -> Vec<u8> {
    rsa_key().private.sign(hash, text.as_bytes()).unwrap()
}

fn rsa_pss(text: &str) -> Vec<u8> {
    let (_, der) = decode_pem(&rsa_key().private_pem).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&der).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PSS_SHA256,
        &SystemRandom::new(),
        text.as_bytes(),
        &mut signature,
    )
    .unwrap();
    signature
}

/// Encodes as RFC 5849 section 3.6 says.
pub(super) fn escaped(text: &str) -> String {
    escaped_bytes(text.as_bytes())
}

pub(super) fn escaped_bytes(bytes: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(*byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(escape).collect()
}

/// A request as it arrives, the mistake of its client, and the causes that explain it.
pub(super) struct Case {
    pub(super) what: String,
    pub(super) causes: Vec<MismatchCause>,
    /// Without the protocol parameters.
    pub(super) request: WireRequest,
    headers: Vec<(String, String)>,
    realm: Option<String>,
    label: SignatureMethod,
    consumer_secret: String,
    token_secret: Option<String>,
    received: Option<(Scheme, String)>,
    body_hash: Option<String>,
    version: String,
    deviates: Box<dyn Fn(&mut Client)>,
}

impl Case {
    /// A GET of a URL, whose scheme and host are those that arrive.
    pub(super) fn new(
        causes: &[MismatchCause],
        what: &str,
        url: &str,
        deviates: impl Fn(&mut Client) + 'static,
    ) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let at = rest.find('/').unwrap();
        let scheme = match scheme {
            "http" => Scheme::Http,
            _ => Scheme::Https,
        };
        let request = WireRequest {
            scheme,
            authority: rest[..at].into(),
            ..WireRequest::get(&rest[at..])
        };
        Self {
            what: format!("{what}: {url}"),
            causes: causes.to_vec(),
            request,
            headers: Vec::new(),
            realm: None,
            label: SignatureMethod::HmacSha1,
            consumer_secret: CONSUMER.to_owned(),
            token_secret: Some(TOKEN.to_owned()),
            received: None,
            body_hash: None,
            version: "1.0".to_owned(),
            deviates: Box::new(deviates),
        }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.what = format!("{} with {name}", self.what);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn realm(mut self, realm: &str) -> Self {
        self.realm = Some(realm.to_owned());
        self
    }

    pub(super) fn method(mut self, method: &str) -> Self {
        self.request.method = method.into();
        self
    }

    pub(super) fn target(mut self, target: &str) -> Self {
        self.request.target = target.into();
        self
    }

    /// Sets the body; an empty type leaves the header out.
    pub(super) fn body(mut self, content_type: &str, body: &str) -> Self {
        self.request.method = b"POST".into();
        if !content_type.is_empty() {
            self.request.content_type = vec![content_type.into()];
        }
        self.request.body = Some(body.into());
        self
    }

    pub(super) fn raw_body(mut self, body: Vec<u8>) -> Self {
        self.request.body = Some(body);
        self
    }

    pub(super) const fn label(mut self, label: SignatureMethod) -> Self {
        self.label = label;
        self
    }

    pub(super) fn secrets(mut self, consumer: &str, token: Option<&str>) -> Self {
        self.consumer_secret = consumer.to_owned();
        self.token_secret = token.map(str::to_owned);
        self
    }

    /// Sets the prefix that is configured in front of the path.
    pub(super) fn prefix(mut self, prefix: &str) -> Self {
        self.request.path_prefix = prefix.into();
        self
    }

    pub(super) fn received(mut self, scheme: Scheme, authority: &str) -> Self {
        self.received = Some((scheme, authority.to_owned()));
        self
    }

    pub(super) fn body_hash(mut self, hash: &str) -> Self {
        self.body_hash = Some(hash.to_owned());
        self
    }

    pub(super) fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Returns the protocol parameters that the client sends.
    fn protocol(&self) -> Vec<(String, String)> {
        let mut protocol = vec![
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_signature_method", self.label.name()),
            ("oauth_timestamp", "1700000000"),
            ("oauth_nonce", "wIjqoS"),
            ("oauth_version", &self.version),
        ];
        if self.token_secret.is_some() {
            protocol.push(("oauth_token", "nnch734d00sl2jdk"));
        }
        protocol.extend(
            self.body_hash
                .as_deref()
                .map(|hash| ("oauth_body_hash", hash)),
        );
        protocol
            .into_iter()
            .filter(|(_, value)| *value != "absent")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Returns a client that signs the request as it arrives.
    pub(super) fn client(&self) -> Client {
        let WireRequest {
            method,
            scheme,
            authority,
            path_prefix,
            target,
            content_type,
            body,
            ..
        } = &self.request;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let target = text(target);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let body = String::from_utf8_lossy(body.as_deref().unwrap_or_default());
        let is_form = content_type
            .first()
            .is_some_and(|value| *value == FORM.as_bytes());
        let form = if is_form { &*body } else { "" };
        let pairs = query.split('&').chain(form.split('&'));
        let plain = |text: &str| decoded(&text.replace('+', " "));
        let mut authority = text(authority).to_lowercase();
        let default_port = match scheme {
            Scheme::Http => ":80",
            Scheme::Https => ":443",
        };
        if let Some(host) = authority.strip_suffix(default_port) {
            authority = host.to_owned();
        }
        Client {
            method: text(method),
            scheme: match scheme {
                Scheme::Http => "http".to_owned(),
                Scheme::Https => "https".to_owned(),
            },
            authority,
            path: format!("{}{path}", text(path_prefix)),
            suffix: String::new(),
            parameters: pairs
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (plain(name), plain(value)))
                .collect(),
            protocol: self.protocol(),
            consumer_secret: self.consumer_secret.clone().into(),
            token_secret: self.token_secret.clone().unwrap_or_default().into(),
            key: None,
            kind: SignatureKind::of(self.label),
            written: if self.label == SignatureMethod::Plaintext {
                |bytes| String::from_utf8(bytes.to_vec()).unwrap()
            } else {
                |bytes| STANDARD.encode(bytes)
            },
            text: None,
        }
    }

    /// Returns the request as a client sends it that corrects what it sends.
    pub(super) fn obedient(&self) -> Self {
        let body = self.request.body.as_deref().unwrap_or_default();
        Self {
            what: self.what.clone(),
            causes: self.causes.clone(),
            request: self.request.clone(),
            headers: Vec::new(),
            realm: self.realm.clone(),
            label: self.label,
            consumer_secret: self.consumer_secret.clone(),
            token_secret: self.token_secret.clone(),
            received: None,
            body_hash: self.body_hash.as_ref().map(|_| body_hash(self.label, body)),
            version: "1.0".to_owned(),
            deviates: Box::new(|_| {}),
        }
    }

    /// Returns the client with its mistake.
    pub(super) fn mistaken(&self) -> Client {
        let mut client = self.client();
        (self.deviates)(&mut client);
        client
    }

    /// Returns the request with the signature of a client.
    pub(super) fn signed_by(&self, client: &Client) -> WireRequest {
        let realm = self.realm.iter().map(|realm| format!("realm=\"{realm}\""));
        let mut sent = self.protocol();
        sent.push(("oauth_signature".to_owned(), client.signature()));
        let pairs = sent
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
        let header = realm.chain(pairs).collect::<Vec<_>>().join(", ");
        self.request
            .clone()
            .authorization(format!("OAuth {header}"))
    }

    /// Explains the request of the mistaken client.
    pub(super) fn explained(&self) -> Option<Diagnosis> {
        self.diagnosis(&self.signed_by(&self.mistaken()), true)
    }

    /// Explains the request of the mistaken client to others than its sender.
    pub(super) fn explained_masked(&self) -> Option<Diagnosis> {
        self.diagnosis(&self.signed_by(&self.mistaken()), false)
    }

    fn diagnosis(&self, wire: &WireRequest, reveal: bool) -> Option<Diagnosis> {
        let mut forwarded = ForwardedHeaders::default();
        for (name, value) in &self.headers {
            forwarded.add(name.as_bytes(), value.as_bytes());
        }
        let received = self.received.as_ref();
        let received = received.map(|(scheme, authority)| ReceivedOrigin {
            scheme: *scheme,
            authority: authority.as_bytes(),
        });
        self.with_keys(|keys| {
            wire.with_request(|request| {
                let evidence = MismatchEvidence {
                    request: &request,
                    limits: &ParseLimits::default(),
                    compat: CompatSet::NONE,
                    keys,
                    expired_secrets: &[OLD.as_bytes()],
                    forwarded,
                    received,
                    setting: OriginSetting::Origin,
                    reveal,
                };
                diagnose(&evidence, BUDGET)
            })
        })
    }

    fn with_keys<R>(&self, with: impl FnOnce(VerificationKeys<'_>) -> R) -> R {
        with(VerificationKeys {
            consumer_secrets: &[self.consumer_secret.as_bytes()],
            token_secret: self.token_secret.as_deref().map(str::as_bytes),
            rsa_public_keys: &[&rsa_key().public],
        })
    }

    /// Returns whether the request verifies under a profile.
    pub(super) fn verifies(&self, wire: &WireRequest, profile: Option<CompatProfile>) -> bool {
        let compat = profile.into_iter().collect();
        self.with_keys(|keys| {
            wire.with_request(|request| {
                let signed = request.parse(&ParseLimits::default()).unwrap().unwrap();
                let schedule = KeySchedule::default();
                signed
                    .verify_under(compat, &keys, &schedule, BodyHashRule::Accept)
                    .is_ok()
            })
        })
    }
}

/// Asserts that every case is explained by its causes.
pub(super) fn assert_explained(cases: &[Case]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let found = case.explained();
            let causes = found.as_ref().map(|found| found.causes.clone());
            let is_right = causes.as_ref() == Some(&case.causes);
            let told = found.map(|found| found.cause());
            (!is_right).then(|| format!("{:?}: {}: {told:?}", case.causes, case.what))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} are not explained rightly:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

//! A client that signs with HMAC (RFC 5849 section 3.4), written independently of `src/`. It can
//! also send what no correct client would send.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::clock::{Clock, SystemClock};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::support::http::{FORM, Request};
use crate::support::leaks;

/// The credentials of a client.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) consumer_key: String,
    pub(crate) consumer_secret: String,
    /// The token and its secret.
    pub(crate) token: Option<(String, String)>,
}

/// The parameters of a signature, all of which a test may change.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    caller: Caller,
    method: &'static str,
    scheme: &'static str,
    timestamp: u64,
    nonce: String,
    more: Vec<(String, String)>,
}

type Parameters = Vec<(String, String)>;

// === impl Caller ===

impl Caller {
    /// Returns the same consumer without a token.
    pub(crate) fn without_token(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// Returns the most common signature: HMAC-SHA1, now, with a new nonce, for `http`.
    pub(crate) fn signing(&self) -> Signing {
        static NONCES: AtomicU64 = AtomicU64::new(0);
        leaks::secret(&self.consumer_secret);
        leaks::secret(self.token.as_ref().map_or("", |(_, secret)| secret));
        Signing {
            caller: self.clone(),
            method: "HMAC-SHA1",
            scheme: "http",
            timestamp: now(),
            nonce: format!("nonce-{}", NONCES.fetch_add(1, Ordering::Relaxed)),
            more: Vec::new(),
        }
    }

    /// Signs with the protocol parameters in the Authorization header.
    pub(crate) fn sign(&self, request: &Request) -> Request {
        self.signing().in_header(request)
    }
}

/// Returns the time for `oauth_timestamp`.
pub(crate) fn now() -> u64 {
    SystemClock.now().as_secs()
}

// === impl Signing ===

impl Signing {
    pub(crate) fn with_method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// Signs for a URL with this scheme.
    pub(crate) fn for_scheme(self, scheme: &'static str) -> Self {
        Self { scheme, ..self }
    }

    pub(crate) fn at(self, timestamp: u64) -> Self {
        Self { timestamp, ..self }
    }

    /// Adds a protocol parameter to sign.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.more.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns the request with the protocol parameters in the Authorization header (RFC 5849
    /// section 3.5.1).
    pub(crate) fn in_header(&self, request: &Request) -> Request {
        request
            .clone()
            .with("Authorization", &header(&self.parameters(request)))
    }

    /// Returns the request with the protocol parameters in the query (section 3.5.3).
    pub(crate) fn in_query(&self, request: &Request) -> Request {
        let separator = if request.target.contains('?') {
            '&'
        } else {
            '?'
        };
        let target = format!(
            "{}{separator}{}",
            request.target,
            form(&self.parameters(request))
        );
        Request {
            target,
            ..request.clone()
        }
    }

    /// Returns the request with the protocol parameters in its form (section 3.5.2).
    pub(crate) fn in_form(&self, request: &Request) -> Request {
        let parameters = form(&self.parameters(request));
        let body = if request.body.is_empty() {
            parameters
        } else {
            format!("{}&{parameters}", request.body)
        };
        request.clone().with_body(&body)
    }

    /// Returns the protocol parameters, the signature last.
    pub(crate) fn parameters(&self, request: &Request) -> Parameters {
        let mut parameters: Parameters = [
            ("oauth_consumer_key", self.caller.consumer_key.clone()),
            ("oauth_nonce", self.nonce.clone()),
            ("oauth_signature_method", self.method.to_owned()),
            ("oauth_timestamp", self.timestamp.to_string()),
            ("oauth_version", "1.0".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        parameters.extend(
            self.caller
                .token
                .iter()
                .map(|(token, _)| ("oauth_token".to_owned(), token.clone())),
        );
        parameters.extend(self.more.clone());
        let signature = self.signature(&base_string(self.scheme, request, &parameters));
        parameters.push(("oauth_signature".to_owned(), signature));
        parameters
    }

    fn signature(&self, base_string: &str) -> String {
        let token_secret = self.caller.token.as_ref().map_or("", |(_, secret)| secret);
        let key = format!(
            "{}&{}",
            encode(&self.caller.consumer_secret),
            encode(token_secret)
        );
        match self.method {
            "HMAC-SHA1" => mac::<Hmac<Sha1>>(&key, base_string),
            "HMAC-SHA256" => mac::<Hmac<Sha256>>(&key, base_string),
            "HMAC-SHA512" => mac::<Hmac<Sha512>>(&key, base_string),
            "PLAINTEXT" => key,
            other => panic!("unsupported signature method: {other}"),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &str, text: &str) -> String {
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes()).unwrap();
    STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
}

/// Returns the signature base string (RFC 5849 section 3.4.1).
fn base_string(scheme: &str, request: &Request, protocol: &Parameters) -> String {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let body = if request.header("Content-Type") == Some(FORM) {
        request.body.as_str()
    } else {
        ""
    };
    let mut all: Parameters = [query, body]
        .into_iter()
        .flat_map(decoded)
        .chain(protocol.iter().cloned())
        .collect();
    for (name, value) in &mut all {
        (*name, *value) = (encode(name), encode(value));
    }
    all.sort();
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let uri = format!(
        "{scheme}://{}{path}",
        request
            .header("Host")
            .unwrap_or_default()
            .to_ascii_lowercase()
    );
    format!(
        "{}&{}&{}",
        request.method,
        encode(&uri),
        encode(&all.join("&"))
    )
}

/// Returns the parameters of a query or a form.
fn decoded(text: &str) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| {
        percent_decode_str(&text.replace('+', " "))
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(move |pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
}

/// Returns an Authorization header with these parameters.
pub(crate) fn header(parameters: &[(String, String)]) -> String {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{}=\"{}\"", encode(name), encode(value)))
        .collect();
    format!("OAuth {}", pairs.join(", "))
}

/// Returns a form with these parameters.
pub(crate) fn form(parameters: &[(String, String)]) -> String {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// Encodes a text (RFC 5849 section 3.6).
fn encode(text: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// The RFC prints the base string of this example in section 3.4.1.1.
#[test]
fn the_base_string_is_the_one_that_the_rfc_prints() {
    let request = Request {
        method: "POST".to_owned(),
        target: "/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b".to_owned(),
        headers: vec![
            ("Host".to_owned(), "EXAMPLE.COM".to_owned()),
            ("Content-Type".to_owned(), FORM.to_owned()),
        ],
        body: "c2&a3=2+q".to_owned(),
    };
    let protocol = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(
        base_string("http", &request, &protocol.into()),
        "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2\
         %3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26\
         oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
    );
}

//! Checks as Envoy sends them with `deploy/envoy`: a GET with three query parameters and ten
//! headers, signed in the `Authorization` header. Each has its own nonce, so that each is fresh.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut as _, Bytes, BytesMut};
use countersign::oauth::{
    ParameterPlace, RequestDraft, RequestStamp, Scheme, SignatureMethod, Signer, SigningKey,
};
use envoy_types::ext_authz::v3::pb::{CheckRequest, HeaderValue};
use envoy_types::pb::envoy::config::core::v3::address::Address as Kind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{self, HttpRequest, Peer};
use envoy_types::pb::google::protobuf::Timestamp;
use prost::Message as _;

/// The number of consumers that take turns, each with one token.
const CONSUMERS: usize = 16;

/// A request that Envoy sends a check for.
#[derive(Clone, Debug)]
pub(crate) struct SampleRequest {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    /// The type of the body.
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    /// The length of a header that Countersign does not use.
    pub(crate) padding: usize,
}

/// A consumer and a token of it, with their secrets.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) token_secret: String,
}

impl Account {
    /// Returns the account with these numbers. Every store has those of [`accounts`].
    pub(crate) fn numbered(consumer: usize, token: usize) -> Self {
        let text = |kind: &str, n: usize| format!("bench-{kind}-{n:02}-0123456789abcdef");
        Self {
            key: text("consumer", consumer),
            secret: text("consumer-secret", consumer),
            token: text("token", token),
            token_secret: text("token-secret", token),
        }
    }

    pub(crate) fn signer(&self) -> Signer<'_> {
        Signer {
            consumer_key: self.key.as_bytes(),
            token: Some(self.token.as_bytes()),
            method: SignatureMethod::HmacSha1,
            key: SigningKey::Secrets {
                consumer: self.secret.as_bytes(),
                token: self.token_secret.as_bytes(),
            },
        }
    }
}

impl Default for SampleRequest {
    fn default() -> Self {
        Self {
            method: "GET",
            target: TARGET.to_owned(),
            content_type: "",
            body: Vec::new(),
            padding: 0,
        }
    }
}

impl SampleRequest {
    /// Returns the check of this request, signed now with its own nonce.
    pub(crate) fn signed(&self, signer: &Signer<'_>) -> Bytes {
        self.with(&self.authorization(signer, HOST))
    }

    /// Returns the check of this request with that `Authorization` header.
    pub(crate) fn with(&self, authorization: &str) -> Bytes {
        framed(&self.check_request(authorization))
    }

    /// Signs the request for `authority` and returns the `Authorization` header.
    pub(crate) fn authorization(&self, signer: &Signer<'_>, authority: &str) -> String {
        static NONCES: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        // The time keeps nonces apart from those of earlier runs against the same store.
        let nonce = format!(
            "{:08x}{:012x}",
            now & 0xffff_ffff,
            NONCES.fetch_add(1, Ordering::Relaxed)
        );
        let draft = RequestDraft {
            method: self.method.as_bytes(),
            scheme: Scheme::Http,
            authority: authority.as_bytes(),
            target: self.target.as_bytes(),
            content_type: Some(self.content_type.as_bytes()).filter(|kind| !kind.is_empty()),
            body: &self.body,
            place: ParameterPlace::Header,
            stamp: RequestStamp {
                timestamp: now,
                nonce: nonce.as_bytes(),
            },
            realm: None,
            body_hash: false,
            extensions: &[],
        };
        signer.sign(&draft).unwrap().authorization.unwrap()
    }

    /// Returns the request as Envoy describes it.
    fn check_request(&self, authorization: &str) -> CheckRequest {
        let http = HttpRequest {
            id: "13457203486720384".to_owned(),
            method: self.method.to_owned(),
            header_map: Some(HeaderMap {
                headers: self.headers(authorization),
            }),
            path: self.target.clone(),
            host: HOST.to_owned(),
            scheme: "http".to_owned(),
            protocol: "HTTP/1.1".to_owned(),
            raw_body: self.body.clone(),
            ..HttpRequest::default()
        };
        let request = attribute_context::Request {
            http: Some(http),
            time: Some(Timestamp::default()),
        };
        let attributes = AttributeContext {
            source: Some(peer("203.0.113.7", 51234)),
            destination: Some(peer("10.0.0.2", 10000)),
            request: Some(request),
            ..AttributeContext::default()
        };
        CheckRequest {
            attributes: Some(attributes),
        }
    }

    fn headers(&self, authorization: &str) -> Vec<HeaderValue> {
        let (length, padding) = (self.body.len().to_string(), "x".repeat(self.padding));
        let mut headers = vec![
            (":authority", HOST),
            (":path", &self.target),
            (":method", self.method),
            (":scheme", "http"),
            ("user-agent", "partner-client/4.2 (linux; x86_64)"),
            ("accept", "application/json"),
            ("authorization", authorization),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "5f1d7b0e-9f5b-4d2a-9b1e-1a2b3c4d5e6f"),
        ];
        if !self.body.is_empty() {
            headers.extend([
                ("content-type", self.content_type),
                ("content-length", &length),
            ]);
        }
        if !padding.is_empty() {
            headers.push(("x-padding", &padding));
        }
        let header = |(key, value): (&str, &str)| HeaderValue {
            key: key.to_owned(),
            raw_value: value.as_bytes().to_vec(),
            ..HeaderValue::default()
        };
        headers.into_iter().map(header).collect()
    }
}

/// Makes `count` checks that are allowed, encoded as gRPC messages: a five-byte prefix, then the
/// `CheckRequest`.
pub(crate) fn allowed(count: usize) -> Vec<Bytes> {
    let (sample, accounts) = (SampleRequest::default(), accounts());
    (0..count)
        .map(|n| sample.signed(&accounts[n % CONSUMERS].signer()))
        .collect()
}

/// Returns the accounts that every store has.
pub(crate) fn accounts() -> Vec<Account> {
    (0..CONSUMERS).map(|n| Account::numbered(n, n)).collect()
}

fn peer(address: &str, port: u32) -> Peer {
    let socket = SocketAddress {
        address: address.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Peer {
        address: Some(Address {
            address: Some(Kind::SocketAddress(socket)),
        }),
        ..Peer::default()
    }
}

fn framed(message: &CheckRequest) -> Bytes {
    let len = message.encoded_len();
    let mut frame = BytesMut::with_capacity(len + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(len).unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

/// The host in the requests.
pub(crate) const HOST: &str = "api.example.com";
const TARGET: &str = "/v1/orders?limit=50&status=open&sort=created_at%3Adesc";

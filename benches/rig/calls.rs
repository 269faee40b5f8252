//! Checks to ask about: a header-signed GET with three query parameters and ten headers, as Envoy describes it to a
//! server (`encode_raw_headers`, as in `deploy/envoy`). Each is signed with a nonce of its own, so that each is fresh.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut as _, Bytes, BytesMut};
use countersign::oauth::{Draft, Place, Scheme, SignatureMethod, Signer, SigningKey, Stamp};
use envoy_types::ext_authz::v3::pb::{Address, CheckRequest, HeaderValue};
use envoy_types::pb::envoy::config::core::v3::{
    Address as PeerAddress, HeaderMap, SocketAddress, socket_address::PortSpecifier,
};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{self, HttpRequest, Peer};
use envoy_types::pb::google::protobuf::Timestamp;
use prost::Message as _;

/// How many consumers take turns, each with one token.
const CONSUMERS: usize = 16;

/// Consumer key and secret, token and secret, of each consumer.
pub(crate) fn credentials() -> impl Iterator<Item = (String, String, String, String)> {
    (0..CONSUMERS).map(|n| {
        let text = |kind: &str| format!("bench-{kind}-{n:02}-0123456789abcdef");
        (text("consumer"), text("consumer-secret"), text("token"), text("token-secret"))
    })
}

/// `count` checks, encoded as gRPC messages (a five-byte prefix, then the `CheckRequest`).
pub(crate) fn allowed(count: usize) -> Vec<Bytes> {
    let credentials: Vec<_> = credentials().collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (0..count)
        .map(|n| {
            let (key, secret, token, token_secret) = &credentials[n % CONSUMERS];
            let signer = Signer {
                consumer_key: key.as_bytes(),
                token: Some(token.as_bytes()),
                method: SignatureMethod::HmacSha1,
                key: SigningKey::Secrets { consumer: secret.as_bytes(), token: token_secret.as_bytes() },
            };
            framed(&check_request(&authorization(&signer, now)))
        })
        .collect()
}

fn authorization(signer: &Signer<'_>, now: u64) -> String {
    static NONCES: AtomicU64 = AtomicU64::new(0);
    // Other runs against the same store begin elsewhere.
    let nonce = format!("{:08x}{:012x}", now & 0xffff_ffff, NONCES.fetch_add(1, Ordering::Relaxed));
    let draft = Draft {
        method: b"GET",
        scheme: Scheme::Http,
        authority: HOST.as_bytes(),
        target: TARGET.as_bytes(),
        content_type: None,
        body: b"",
        place: Place::Header,
        stamp: Stamp { timestamp: now, nonce: nonce.as_bytes() },
        realm: None,
        body_hash: false,
        extensions: &[],
    };
    signer.sign(&draft).unwrap().authorization.unwrap()
}

/// What Envoy tells of the request.
fn check_request(authorization: &str) -> CheckRequest {
    let id = "5f1d7b0e-9f5b-4d2a-9b1e-1a2b3c4d5e6f";
    let headers = [
        (":authority", HOST),
        (":path", TARGET),
        (":method", "GET"),
        (":scheme", "http"),
        ("user-agent", "partner-client/4.2 (linux; x86_64)"),
        ("accept", "application/json"),
        ("authorization", authorization),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "http"),
        ("x-request-id", id),
    ];
    let header = |(key, value): (&str, &str)| HeaderValue {
        key: key.to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    };
    let http = HttpRequest {
        id: "13457203486720384".to_owned(),
        method: "GET".to_owned(),
        header_map: Some(HeaderMap { headers: headers.map(header).into() }),
        path: TARGET.to_owned(),
        host: HOST.to_owned(),
        scheme: "http".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        ..HttpRequest::default()
    };
    let request = attribute_context::Request { http: Some(http), time: Some(Timestamp::default()) };
    let attributes = AttributeContext {
        source: Some(peer("203.0.113.7", 51234)),
        destination: Some(peer("10.0.0.2", 10000)),
        request: Some(request),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

fn peer(address: &str, port: u32) -> Peer {
    let socket = SocketAddress {
        address: address.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Peer { address: Some(PeerAddress { address: Some(Address::SocketAddress(socket)) }), ..Peer::default() }
}

fn framed(message: &CheckRequest) -> Bytes {
    let len = message.encoded_len();
    let mut frame = BytesMut::with_capacity(len + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(len).unwrap());
    message.encode(&mut frame).unwrap();
    frame.freeze()
}

const HOST: &str = "api.example.com";
const TARGET: &str = "/v1/orders?limit=50&status=open&sort=created_at%3Adesc";

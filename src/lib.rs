//! Countersign verifies OAuth 1.0a signatures (RFC 5849) for Envoy and Istio, and issues the
//! credentials that clients sign with.
//!
//! Envoy calls `Check` for every request. The answer is allow, with headers that identify the
//! caller to the upstream, or deny, with a reason that the caller can act on.
//!
//! ```text
//!  client ──signed request──▶ Envoy ──────────────▶ upstream (reads x-consumer-* headers)
//!                               │ Check
//!                               ▼
//!   server::transport   listeners, TLS, connections
//!                               ▼
//!   server::ext_authz   CheckRequest ─▶ oauth::Request; Decision ─▶ CheckResponse
//!                               ▼                 └─▶ server::denial, if it is refused
//!   verify              parse ─▶ look up ─▶ prove ─▶ timestamp ─▶ claim nonce ─▶ policy
//!                         │          │                                 │
//!   oauth (RFC 5849) ◀────┘          └─▶ store (Redis or one file) ◀───┘
//!                                          ▲
//!   issue               rules for consumers, users and tokens ─▶ directory (the operator's users)
//!                         ▲
//!   server::api, http   administrators over gRPC; consumers and users at /oauth/…
//! ```
//!
//! A request for credentials at `/oauth/…` is signed like any other: `server::http` verifies it
//! with the steps of a check. `server::denial` shapes refusals for both, and reports them to
//! `diagnostics`, which keeps recent denials and counts for each consumer; `server::api` and
//! `server::console` show them. `v1` holds the messages of the administration API, generated from
//! `proto/`; `server::api` serves them, `directory` and the command line call them.
//!
//! Data flows in one direction, and so do imports: `server` → `verify` and `issue` → `store` →
//! `model`. `verify` also imports `oauth`, which imports no other module. `config` defines the
//! settings that the others read, `telemetry` their logs and metrics, `clock` their time and random
//! bytes. Each library has one place: axum and Envoy's types in `server`; tonic in `server`,
//! `directory`, `v1` and `cli`; the Redis client in `store::redis`. Only `main.rs` and `cli` print
//! or exit. A test enforces these rules.
//!
//! # Example
//!
//! The photo request of RFC 5849 section 1.2, once as signed and once with another size:
//!
//! ```
//! use countersign::oauth::{
//!     BodyHashRule, ParseLimits, Request, RequestBody, Scheme, VerificationKeys,
//! };
//!
//! let authorization: &[u8] = br#"OAuth realm="Photos",
//!     oauth_consumer_key="dpf43f3p2l4k3l03", oauth_token="nnch734d00sl2jdk",
//!     oauth_signature_method="HMAC-SHA1", oauth_timestamp="137131202", oauth_nonce="chapoH",
//!     oauth_signature="MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D""#;
//! let keys = VerificationKeys {
//!     consumer_secrets: &[b"kd94hf93k423kf44"],
//!     token_secret: Some(b"pfkkdhi9sl3r4s00"),
//!     rsa_public_keys: &[],
//! };
//! let is_proven = |target: &[u8]| {
//!     let request = Request {
//!         method: b"GET",
//!         scheme: Scheme::Http,
//!         authority: b"photos.example.net",
//!         path_prefix: b"",
//!         target,
//!         authorization: &[authorization],
//!         content_type: &[],
//!         body: RequestBody::Whole(b""),
//!     };
//!     let signed = request.parse(&ParseLimits::default()).expect("well-formed").expect("signed");
//!     signed.verify(&keys, BodyHashRule::Accept).is_ok()
//! };
//! assert!(is_proven(b"/photos?file=vacation.jpg&size=original"));
//! assert!(!is_proven(b"/photos?file=vacation.jpg&size=huge"));
//! ```

pub mod clock;
pub mod config;
pub mod diagnostics;
pub mod directory;
pub mod issue;
mod lanes;
pub mod model;
pub mod oauth;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod trusted_file;
pub mod v1;
pub mod verify;

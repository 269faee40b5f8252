//! Countersign verifies OAuth 1.0a signatures (RFC 5849) for Envoy and Istio, and issues what callers sign with.
//!
//! Envoy asks `Check` for every request; the answer is allow, with headers that tell the upstream who called, or deny,
//! with a reason that the caller can act on.
//!
//! ```text
//!  client ──signed request──▶ Envoy ──────────────▶ upstream (reads x-consumer-* headers)
//!                               │ Check
//!                               ▼
//!   server::ext_authz   what Envoy says ─▶ oauth::Request        what the wire looks like
//!                               ▼
//!   verify              parse ─▶ look up ─▶ prove ─▶ timestamp ─▶ claim nonce ─▶ policy
//!                         │          │                                 │
//!   oauth (RFC 5849) ◀────┘          └─▶ store (Redis or one file) ◀───┘
//!                                          ▲
//!   issue               consumers, users, tokens: what they may be ─▶ directory (the operator's users)
//!                         ▲
//!   server::api, http   administrators over gRPC; consumers and users at /oauth/…
//! ```
//!
//! Beside them, `diagnostics` keeps what was refused and counts for each consumer; `server::ext_authz` and `server::http` tell
//! it of every decision, and `server::api` and `server::console` show it.
//!
//! A request for credentials is signed like every other: `server::http` has it verified by the steps of a check.
//!
//! Data flows one way, and so do imports: `server` → `verify` and `issue` → `store` → `model`; `verify` → `oauth`, which
//! imports nothing of ours. Beside them, `directory` asks an operator's users for `issue`. Only `server` names axum or
//! Envoy's types, only `server`, `directory` and `cli` name tonic, only `store::redis` names the Redis client; only
//! `main.rs` and `cli` print or exit. A test guards these rules.
//!
//! # Example
//!
//! The photo request of RFC 5849 section 1.2, once as it was signed and once with another size:
//!
//! ```
//! use countersign::oauth::{RequestBody, BodyHashRule, VerificationKeys, ParseLimits, Request, Scheme};
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
pub mod v1;
pub mod verify;

//! `[check]`, `[verify]` and `[nonce]`: the answers to Envoy.

use std::time::Duration;

use super::listener::ListenerConfig;
use super::reader::Reader;
use super::route::{self, RoutePolicy};
use super::value::{DAY, MILLISECOND, SECOND, TEN_SECONDS};
use crate::model::DenyDetail;

/// `[check]`.
#[derive(Clone, Debug)]
pub struct CheckConfig {
    /// The listener for Envoy.
    pub listener: ListenerConfig,
    /// The realm in `WWW-Authenticate`.
    pub realm: String,
    /// Refuses requests whose realm is not ours.
    pub realm_match: bool,
    /// The longest time for a check, even if `grpc-timeout` allows more.
    pub timeout: Duration,
    /// The largest body that Envoy is configured to send, in bytes.
    pub max_body_bytes: usize,
    /// The operator's statement that Envoy sends whole bodies (`allow_partial_message: false`).
    pub envoy_sends_whole_bodies: bool,
    /// The detail of denials, unless the consumer has a level of its own.
    pub deny_detail: DenyDetail,
    /// The form of an answer when Countersign itself fails.
    pub on_error: OnError,
    /// gRPC server reflection on this listener.
    pub reflection: bool,
    /// The policy for requests that no route rule and no `context_extensions` decide.
    pub policy: RoutePolicy,
}

/// `[verify]` and `[nonce]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyConfig {
    /// The accepted distance between `oauth_timestamp` and the clock, in both directions.
    pub timestamp_window: Duration,
    /// The most parameters in header, query and body together.
    pub max_parameters: usize,
    /// Identifies a retry of a check by Envoy's request id.
    pub trust_envoy_request_id: bool,
    /// The Unix time up to which timestamps are refused; 0 refuses none.
    pub not_before: u64,
    /// The rule for nonces while Redis is unavailable.
    pub on_store_failure: OnStoreFailure,
}

/// `nonce.on_store_failure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum OnStoreFailure {
    /// The check fails.
    #[default]
    Deny,
    /// This replica claims the nonce by itself.
    Local,
}

/// `check.on_error`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, strum::EnumString, strum::VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum OnError {
    /// A gRPC status.
    #[default]
    Grpc,
    /// `error_response`, which needs Envoy 1.37.
    ErrorResponse,
}

// === impl CheckConfig ===

impl CheckConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            listener: ListenerConfig::read_with_age(reader, "check"),
            realm: reader.text("check.realm", route::realm),
            realm_match: reader.boolean("check.realm_match"),
            timeout: reader.duration("check.timeout", MILLISECOND..=TEN_SECONDS),
            max_body_bytes: reader.integer("check.max_body_bytes", 0..=64 * 1024 * 1024),
            envoy_sends_whole_bodies: reader.boolean("check.envoy_sends_whole_bodies"),
            deny_detail: reader.choice("check.deny_detail", &DENY_DETAILS),
            on_error: reader.word("check.on_error"),
            reflection: reader.boolean("check.reflection"),
            policy: policy(reader),
        }
    }
}

fn policy(reader: &mut Reader) -> RoutePolicy {
    RoutePolicy {
        require: Some(reader.word("check.require")),
        scopes: Some(reader.text("check.scopes", route::scopes)),
        realm: None,
        origin: reader.text("check.origin", route::optional_origin),
        body_hash: Some(reader.choice("check.body_hash", &route::BODY_HASH_RULES)),
        untyped_body: Some(reader.word("check.untyped_body")),
        max_form_bytes: Some(reader.integer("check.max_form_bytes", route::FORM_BYTES)),
        hide_credentials: Some(reader.boolean("check.hide_credentials")),
        mode: Some(reader.word("check.mode")),
    }
}

const DENY_DETAILS: [(&str, DenyDetail); 3] = [
    ("none", DenyDetail::None),
    ("problem", DenyDetail::Problem),
    ("debug", DenyDetail::Debug),
];

// === impl VerifyConfig ===

impl VerifyConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            timestamp_window: reader.duration("verify.timestamp_window", SECOND..=DAY),
            max_parameters: reader.integer("verify.max_parameters", 10..=10_000),
            trust_envoy_request_id: reader.boolean("nonce.trust_envoy_request_id"),
            not_before: reader.integer("nonce.not_before", 0..=u64::from(u32::MAX)),
            on_store_failure: reader.word("nonce.on_store_failure"),
        }
    }
}

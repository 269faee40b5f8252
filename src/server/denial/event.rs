//! The log events of denials and failures.
//!
//! # Security
//! Texts of the caller are cut and escaped, so that they cannot forge a line. No whole
//! header, query or body is logged; `details` lists the values that are quoted.

use super::call::{Call, CallKind, Outcome, OwnFailure};
use crate::diagnostics::RefusedRequest;
use crate::model::ConsumerKey;
use crate::store::StoreError;
use crate::verify::Denial;

/// Logs a denial: one event with everything that an operator needs to act on it.
pub(super) fn log_denial(call: &Call, refused: &RefusedRequest<'_>, envoy_id: &str) {
    let denial = refused.denial;
    let identity = denial.and_then(|denial| denial.identity.as_ref());
    let claimed = denial.and_then(|denial| denial.claimed_consumer_key.as_ref());
    let told = refused.context.told;
    tracing::info!(
        decision_id = %call.id,
        endpoint = call.kind.endpoint(),
        result = Outcome::denied(refused.mode).name(),
        reason = refused.reason,
        status = told.map(|told| told.status),
        problem = told.map(|told| told.problem),
        advice = told.map(|told| told.advice),
        detail = detail(refused),
        remedy = refused.remedy(),
        rule = shown(refused.context.rule.as_bytes()),
        consumer = identity.map(|identity| identity.consumer_key().as_str()),
        claimed_consumer = claimed.map(ConsumerKey::as_str),
        consumer_name = denial.and_then(Denial::known_consumer).map(|known| known.name.as_str()),
        signature_method = refused.signature_method().map(tracing::field::display),
        method = shown(refused.method),
        host = shown(refused.host),
        path = shown(path(refused.target)),
        client = shown(refused.context.client_address),
        request_id = shown(refused.context.request_id),
        envoy_request = shown(envoy_id.as_bytes()),
        latency_us = call.latency_us(),
        "{}", call.kind.message()
    );
}

/// Logs a failure: a warning for a request for credentials. Checks are too frequent for warnings,
/// and an unavailable store is reported separately.
pub(super) fn log_failure(call: &Call, outcome: Outcome, failure: &impl OwnFailure) {
    let (result, reason) = (outcome.name(), failure.label());
    let error = failure
        .store_error()
        .map_or_else(|| failure.to_string(), StoreError::with_causes);
    let latency_us = call.latency_us();
    match call.kind {
        CallKind::Check => {
            tracing::info!(decision_id = %call.id, result, reason, error, latency_us, "check");
        }
        CallKind::Credentials(endpoint) => {
            tracing::warn!(decision_id = %call.id, endpoint, result, reason, error, latency_us,
                "token request");
        }
    }
}

/// Returns the facts about a denial, if there are any.
fn detail(refused: &RefusedRequest<'_>) -> Option<String> {
    let details = refused.context.details?.to_string();
    (!details.is_empty()).then_some(details)
}

/// Returns a target without its query.
fn path(target: &[u8]) -> &[u8] {
    target
        .split(|&byte| byte == b'?')
        .next()
        .unwrap_or_default()
}

/// Escapes and cuts a text of the caller; nothing is logged for an empty one.
fn shown(text: &[u8]) -> Option<String> {
    let text = &text[..text.len().min(LOGGED_BYTES)];
    (!text.is_empty()).then(|| text.escape_ascii().to_string())
}

/// The longest piece of a request's own text that is logged.
const LOGGED_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_text_is_short_and_escaped() {
        assert_eq!(shown(b"a\nb\xff").as_deref(), Some("a\\nb\\xff"));
        let long = shown(&[b'x'; 300]).unwrap();
        assert_eq!(long.len(), LOGGED_BYTES);
        assert_eq!(shown(b""), None);
    }
}

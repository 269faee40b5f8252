//! The advice to the caller for each reason, `oauth_problem_advice`.

use std::borrow::Cow;

use crate::oauth::{ParameterPlace, Rejection};
use crate::verify::{BodyGap, ParameterProblem, Reason, RequestStage};

/// Returns the advice for a reason: until the signature is proven, the same for each.
pub(super) fn advice(reason: Reason) -> Cow<'static, str> {
    precise(reason).map_or_else(|| fixed(reason).into(), Cow::from)
}

/// Returns the advice that depends on the request.
fn precise(reason: Reason) -> Option<String> {
    if let Reason::Rejected(Rejection::ParametersTooLarge { place, limit }) = reason {
        return Some(too_large(place, limit));
    }
    if let Reason::Rejected(rejection) = reason {
        return (reason.stage() != RequestStage::NotProven).then(|| capitalized(rejection));
    }
    if let Reason::TimestampRefused { sent, now, .. } = reason {
        return Some(skew(sent, now));
    }
    if let Reason::TooManyAttempts { retry_after } = reason {
        return Some(format!(
            "Too many wrong passwords; try again in {retry_after} s"
        ));
    }
    if let Reason::Parameter { name, problem } = reason {
        return Some(parameter(name, problem));
    }
    None
}

/// Returns the advice that is the same for every request.
const fn fixed(reason: Reason) -> &'static str {
    match reason {
        Reason::Rejected(_)
        | Reason::UnknownConsumer
        | Reason::UnknownToken
        | Reason::MethodNotAllowed => SIGNATURE,
        Reason::Unsigned => "Sign the request with OAuth 1.0 (RFC 5849)",
        Reason::PlaintextWithoutHttps => {
            "PLAINTEXT is accepted only if the operator configured an https origin; use HMAC-SHA256"
        }
        Reason::ConsumerDisabled => "The consumer is disabled; ask the operator of this API",
        Reason::TokenRevoked => "The token was revoked; ask the user for a new one",
        Reason::TokenExpired => "The token has expired; get a new one",
        Reason::UserDisabled => "The user of this token is disabled; ask the operator of this API",
        Reason::TokenUsed => "The temporary credentials were already exchanged; request new ones",
        Reason::TokenRejected => "The temporary credentials are no longer valid; request new ones",
        Reason::TokenUndecided => {
            "The user has not authorized the consumer yet; send the user to the authorize page"
        }
        Reason::UserRefused => {
            "The user refused, or too many wrong verifiers were sent; request new temporary \
             credentials"
        }
        Reason::VerifierInvalid => "oauth_verifier differs from the one that the user received",
        Reason::PasswordRefused => "No user has that name and password",
        Reason::FlowNotAllowed => {
            "The consumer may not get credentials in this way; ask the operator of this API"
        }
        Reason::HttpMethod => "Send a POST",
        Reason::TokenRequired => {
            "Sign with a token: this consumer may not send requests without oauth_token"
        }
        Reason::NonceWithoutTimestamp => "Send oauth_timestamp together with oauth_nonce",
        Reason::NonceUsed => {
            "Sign every request, even one that is repeated after an error, with a new oauth_nonce"
        }
        Reason::TimestampFenced { .. } => {
            "The service restarted and cannot tell whether this request is a replay; sign it again"
        }
        Reason::UserRequired => "This resource requires a token that acts for a user",
        Reason::ScopeMissing => "The credentials lack a scope that this resource requires",
        Reason::RealmMismatch => "Sign with the realm of this challenge",
        Reason::NotHttp => "Only HTTP requests can be verified",
        Reason::AmbiguousHeaders => {
            "The proxy sent headers or body in two forms; ask the operator of this API"
        }
        Reason::UnknownScheme => "Only http and https requests can be verified",
        Reason::AmbiguousPath => {
            "Send the path without dot segments, empty segments, backslashes, and escaped slashes \
             or dots"
        }
        Reason::Body(gap) => body(gap),
        Reason::TimestampRefused { .. } => "Set the clock and sign again",
        Reason::TooManyAttempts { .. } => "Too many wrong passwords; try again later",
        Reason::Parameter { .. } => "A parameter is invalid",
    }
}

/// The advice for every request that is not proven.
const SIGNATURE: &str = "The signature does not prove a known consumer and token; compare the base \
                         string, both secrets, the signature method, and the URL as this service \
                         is reached from outside";

fn capitalized(rejection: Rejection) -> String {
    capitalize(&rejection.to_string())
}

fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn too_large(place: ParameterPlace, limit: usize) -> String {
    let remedy = match place {
        ParameterPlace::Header | ParameterPlace::Query => "send less in it",
        ParameterPlace::Body => "send another Content-Type and sign oauth_body_hash",
    };
    capitalize(&format!(
        "{place} is longer than the {limit} bytes of check.max_form_bytes; {remedy}, or ask the \
         operator of this API to raise the limit"
    ))
}

fn skew(sent: u64, now: u64) -> String {
    let direction = if sent < now { "behind" } else { "ahead of" };
    format!(
        "The timestamp is {} s {direction} the clock of this service; set the clock and sign again",
        sent.abs_diff(now)
    )
}

fn parameter(name: &str, problem: ParameterProblem) -> String {
    match problem {
        ParameterProblem::Absent => format!("Send {name}, and sign it with the other parameters"),
        ParameterProblem::Duplicate => format!("Send {name} once"),
        ParameterProblem::Unexpected => format!("Omit {name} from this request"),
        ParameterProblem::Invalid if name == "x_auth_mode" => {
            format!("Set {name} to client_auth, the only mode")
        }
        ParameterProblem::Invalid => format!("The value of {name} is invalid"),
    }
}

const fn body(gap: BodyGap) -> &'static str {
    match gap {
        BodyGap::Partial => "The body is too large to be verified",
        BodyGap::NotForwarded => "The proxy did not forward the body, so it cannot be verified",
        BodyGap::TooLarge => "The body is larger than 64 KiB",
        BodyGap::LengthMismatch => "The length of the body differs from Content-Length",
        BodyGap::LengthUnknown => {
            "Send the body with Content-Length, or ask the operator to \
             set check.envoy_sends_whole_bodies"
        }
        BodyGap::Altered => {
            "The proxy forwards the body as text, which may alter it; send `!` as %21, or ask \
             the operator to set pack_as_bytes"
        }
    }
}

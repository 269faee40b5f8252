//! The one table from a reason to what the caller is told.
//!
//! Status codes by RFC 5849 section 3.2, 429 by RFC 6585, problem words by OAuth Problem Reporting. **Until the signature is proven, an
//! unknown consumer, an unknown token, a method that is not allowed and a wrong signature get one identical answer**, so
//! that nobody can find out which keys exist.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::config::DenyDetail;
use crate::oauth::Rejection;
use crate::verify::{BodyGap, ParameterProblem, Reason, Stage};

/// What a caller is told about a denial.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The word of Problem Reporting, `oauth_problem`.
    pub(crate) word: &'static str,
    /// What to do about it, `oauth_problem_advice`.
    pub(crate) advice: Cow<'static, str>,
    /// Further parameters of Problem Reporting, for example `oauth_parameters_absent`.
    pub(crate) parameters: Vec<(&'static str, String)>,
}

impl Problem {
    /// The answer to a reason.
    pub(crate) fn of(reason: Reason) -> Self {
        Self {
            status: status(reason.stage()),
            word: word(reason),
            advice: advice(reason),
            parameters: parameters(reason),
        }
    }

    /// The parameters of Problem Reporting, in the order in which they are sent.
    pub(crate) fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let more = self
            .parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        [
            ("oauth_problem", self.word),
            ("oauth_problem_advice", &*self.advice),
        ]
        .into_iter()
        .chain(more)
    }
}

/// How a denial is written.
pub(crate) struct DenialStyle<'a> {
    /// The realm of the challenge.
    pub(crate) realm: &'a str,
    /// How much it tells.
    pub(crate) detail: DenyDetail,
    /// The caller's Accept asks for `application/x-www-form-urlencoded`.
    pub(crate) form: bool,
    /// The id under which the operator finds this decision.
    pub(crate) decision_id: &'a str,
    /// The masked base string, where the detail is `debug`.
    pub(crate) base_string: Option<String>,
    /// Why the signature did not match, where the detail is `debug` and it may be told.
    pub(crate) explained: Option<Explained>,
}

/// Why a signature did not match, and what to do about it.
pub(crate) struct Explained {
    /// A word of a closed list, or two with a `+` between them.
    pub(crate) cause: String,
    /// A sentence or two.
    pub(crate) remedy: String,
}

impl DenialStyle<'_> {
    /// What only `debug` tells, where `word` is the problem.
    fn debug(&self, word: &str) -> impl Iterator<Item = (&str, &str)> {
        let base_string = self
            .base_string
            .as_deref()
            .map(|text| ("base_string", text));
        let told = self.explained.as_ref();
        let cause = told.map(|explained| ("cause", explained.cause.as_str()));
        let untold = (base_string.is_some() && word == SIGNATURE_INVALID).then_some(NO_CAUSE);
        let remedy = told.map(|explained| explained.remedy.as_str()).or(untold);
        base_string
            .into_iter()
            .chain(cause)
            .chain(remedy.map(|text| ("remedy", text)))
    }
}

/// A denial, written.
pub(crate) struct Written {
    /// `WWW-Authenticate`.
    pub(crate) challenge: String,
    /// `Content-Type`.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: String,
}

impl Problem {
    /// Writes it.
    pub(crate) fn write(&self, style: &DenialStyle<'_>) -> Written {
        let tells = style.detail != DenyDetail::None;
        let reported: Vec<_> = self.reported().filter(|_| tells).collect();
        let (content_type, body) = if style.form {
            let id = ("decision_id", style.decision_id);
            (
                FORM,
                form(
                    reported
                        .iter()
                        .copied()
                        .chain([id])
                        .chain(style.debug(self.word)),
                ),
            )
        } else {
            (PROBLEM_JSON, self.json(&reported, style))
        };
        Written {
            challenge: challenge(style.realm, reported.iter().copied()),
            content_type,
            body,
        }
    }

    /// RFC 9457.
    fn json(&self, reported: &[(&str, &str)], style: &DenialStyle<'_>) -> String {
        // Texts and a number can always be written.
        serde_json::to_string(&Json {
            problem: self,
            reported,
            style,
        })
        .unwrap_or_default()
    }
}

/// A problem as a JSON object.
struct Json<'p> {
    problem: &'p Problem,
    reported: &'p [(&'p str, &'p str)],
    style: &'p DenialStyle<'p>,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self {
            problem,
            reported,
            style,
        } = self;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("type", "about:blank")?;
        object.serialize_entry("title", title(problem.status))?;
        object.serialize_entry("status", &problem.status)?;
        if style.detail != DenyDetail::None {
            object.serialize_entry("detail", &*problem.advice)?;
        }
        for (name, value) in *reported {
            object.serialize_entry(name, value)?;
        }
        object.serialize_entry("decision_id", style.decision_id)?;
        for (name, value) in style.debug(problem.word) {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

/// What is told of everything that is not proven.
const SIGNATURE_INVALID: &str = "signature_invalid";

/// The same whether there is no known cause, none that may be told, or none in time: the difference would tell of secrets.
const NO_CAUSE: &str = "no cause that can be told: compare base_string with the one that the client signed, and where they are \
                        the same, the secrets";

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The media type of RFC 9457.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The reason phrase of the statuses that [`Problem`] uses.
pub(crate) const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        _ => "Service Unavailable",
    }
}

/// `WWW-Authenticate` (RFC 5849 section 3.5.1, RFC 9110 section 11.6.1) with these parameters.
fn challenge<'p>(realm: &str, parameters: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    let mut challenge = format!("OAuth realm=\"{}\"", quoted(realm));
    for (name, value) in parameters {
        // Writing to a String can not fail.
        let _ = write!(challenge, ", {name}=\"{}\"", encoded(value));
    }
    challenge
}

/// `application/x-www-form-urlencoded` with these parameters.
pub(crate) fn form<'p>(parameters: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    let pairs: Vec<_> = parameters
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    pairs.join("&")
}

/// Percent-encoded as RFC 5849 section 3.6 does it.
fn encoded(value: &str) -> impl std::fmt::Display + '_ {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(value, ESCAPED)
}

/// The inside of a quoted-string (RFC 9110 section 5.6.4).
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

const fn status(stage: Stage) -> u16 {
    match stage {
        Stage::Malformed => 400,
        Stage::Unsigned | Stage::NotProven | Stage::NotUsable => 401,
        Stage::NotPermitted => 403,
        Stage::TooOften => 429,
        Stage::BodyNotWhole => 413,
    }
}

fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Rejected(rejection) if reason.stage() != Stage::NotProven => rejection.problem(),
        Reason::Rejected(_)
        | Reason::UnknownConsumer
        | Reason::UnknownToken
        | Reason::MethodNotAllowed => SIGNATURE_INVALID,
        Reason::Unsigned | Reason::NonceWithoutTimestamp => "parameter_absent",
        Reason::PlaintextWithoutHttps => "signature_method_rejected",
        Reason::ConsumerDisabled => "consumer_key_refused",
        Reason::TokenRevoked => "token_revoked",
        Reason::TokenExpired => "token_expired",
        Reason::UserDisabled | Reason::TokenRejected => "token_rejected",
        Reason::TokenUsed => "token_used",
        Reason::TokenUndecided => "additional_authorization_required",
        Reason::UserRefused => "user_refused",
        Reason::VerifierInvalid => "verifier_invalid",
        Reason::TimestampRefused { .. } | Reason::TimestampFenced { .. } => "timestamp_refused",
        Reason::NonceUsed => "nonce_used",
        Reason::TokenRequired
        | Reason::FlowNotAllowed
        | Reason::PasswordRefused
        | Reason::TooManyAttempts { .. }
        | Reason::UserRequired
        | Reason::ScopeMissing
        | Reason::RealmMismatch => "permission_denied",
        Reason::Parameter {
            problem: ParameterProblem::Absent,
            ..
        } => "parameter_absent",
        Reason::Parameter { .. } => "parameter_rejected",
        Reason::Body(_)
        | Reason::NotHttp
        | Reason::AmbiguousHeaders
        | Reason::UnknownScheme
        | Reason::AmbiguousPath => "parameter_rejected",
    }
}

fn advice(reason: Reason) -> Cow<'static, str> {
    match reason {
        Reason::Rejected(rejection) if reason.stage() != Stage::NotProven => capitalized(rejection).into(),
        Reason::Rejected(_) | Reason::UnknownConsumer | Reason::UnknownToken | Reason::MethodNotAllowed => {
            SIGNATURE.into()
        }
        Reason::TimestampRefused { sent, now, .. } => skew(sent, now).into(),
        Reason::TimestampFenced { .. } => {
            "The service restarted and can not tell whether this request was sent before; sign it again now".into()
        }
        Reason::Body(gap) => body(gap).into(),
        Reason::Unsigned => "Sign the request with OAuth 1.0 (RFC 5849)".into(),
        Reason::PlaintextWithoutHttps => {
            "PLAINTEXT is accepted only where the operator configured an https origin; use HMAC-SHA256".into()
        }
        Reason::ConsumerDisabled => "The consumer was disabled; ask the operator of this API".into(),
        Reason::TokenRevoked => "The token was revoked; ask the user for a new one".into(),
        Reason::TokenExpired => "The token has expired; get a new one".into(),
        Reason::UserDisabled => "The user of this token is disabled; ask the operator of this API".into(),
        Reason::TokenUsed => "The temporary credentials were exchanged already; ask for new ones".into(),
        Reason::TokenRejected => "The temporary credentials are not valid any more; ask for new ones".into(),
        Reason::TokenUndecided => "The user has not allowed it yet; send the user to the authorize page".into(),
        Reason::UserRefused => {
            "The user refused, or too many wrong verifiers were sent; ask for new temporary credentials".into()
        }
        Reason::VerifierInvalid => "oauth_verifier is not the one that the user was given".into(),
        Reason::PasswordRefused => "There is no user with that name and password".into(),
        Reason::TooManyAttempts { retry_after } => {
            format!("Too many wrong passwords; try again in {retry_after} s").into()
        }
        Reason::FlowNotAllowed => {
            "The consumer may not get credentials in this way; ask the operator of this API".into()
        }
        Reason::Parameter { name, problem } => parameter(name, problem).into(),
        Reason::TokenRequired => "The consumer may not sign without oauth_token".into(),
        Reason::NonceWithoutTimestamp => "Send oauth_timestamp together with oauth_nonce".into(),
        Reason::NonceUsed => "Sign every request, also a repeated one, with a new oauth_nonce".into(),
        Reason::UserRequired => "This resource needs a token that acts for a user".into(),
        Reason::ScopeMissing => "The credentials do not have a scope that this resource needs".into(),
        Reason::RealmMismatch => "Sign with the realm of this challenge".into(),
        Reason::NotHttp => "Only HTTP requests can be verified".into(),
        Reason::AmbiguousHeaders => "The request can be read in two ways".into(),
        Reason::UnknownScheme => "Only http and https requests can be verified".into(),
        Reason::AmbiguousPath => {
            "Send the path without dot segments, empty segments, backslashes and escaped slashes or dots".into()
        }
    }
}

/// What to look at when nothing may be told of the cause.
const SIGNATURE: &str = "The signature does not prove a known consumer and token; compare the base string, both secrets, \
                         the signature method, and the URL as this service is reached from outside";

fn capitalized(rejection: Rejection) -> String {
    let text = rejection.to_string();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
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
        ParameterProblem::Absent => format!("Send {name}, signed with the others"),
        ParameterProblem::Duplicate => format!("Send {name} once"),
        ParameterProblem::Unexpected => format!("Leave {name} out here"),
        ParameterProblem::Invalid if name == "x_auth_mode" => {
            format!("The one {name} there is is client_auth")
        }
        ParameterProblem::Invalid => format!("The value of {name} can not be used"),
    }
}

const fn body(gap: BodyGap) -> &'static str {
    match gap {
        BodyGap::Partial => "The body is too large to be verified",
        BodyGap::NotForwarded => "The proxy did not forward the body, so it can not be verified",
        BodyGap::TooLarge => "The body is larger than 64 KiB",
        BodyGap::LengthMismatch => "The body is not as long as Content-Length says",
        BodyGap::LengthUnknown => {
            "Send the body with Content-Length, or let the operator set check.envoy_sends_whole_bodies"
        }
        BodyGap::Altered => {
            "The proxy forwards the body as text, which may alter it; send `!` as %21, or let the operator set pack_as_bytes"
        }
    }
}

fn parameters(reason: Reason) -> Vec<(&'static str, String)> {
    if let Reason::Rejected(rejection) = reason {
        return if reason.stage() == Stage::Malformed {
            rejected(rejection)
        } else {
            Vec::new()
        };
    }
    if let Reason::TimestampRefused {
        earliest, latest, ..
    }
    | Reason::TimestampFenced {
        earliest, latest, ..
    } = reason
    {
        return vec![(
            "oauth_acceptable_timestamps",
            format!("{earliest}-{latest}"),
        )];
    }
    if let Reason::Parameter { name, problem } = reason {
        let list = if problem == ParameterProblem::Absent {
            ABSENT
        } else {
            REJECTED
        };
        return vec![(list, name.to_owned())];
    }
    if reason == Reason::Unsigned {
        return vec![(ABSENT, REQUIRED.join("&"))];
    }
    if reason == Reason::NonceWithoutTimestamp {
        return vec![(ABSENT, "oauth_timestamp".to_owned())];
    }
    Vec::new()
}

fn rejected(rejection: Rejection) -> Vec<(&'static str, String)> {
    let names: Vec<_> = rejection.parameters().names().collect();
    let names = names.join("&");
    if rejection == Rejection::VersionUnsupported {
        vec![("oauth_acceptable_versions", "1.0-1.0".to_owned())]
    } else if names.is_empty() {
        Vec::new()
    } else if rejection.problem() == "parameter_absent" {
        vec![(ABSENT, names)]
    } else {
        vec![(REJECTED, names)]
    }
}

const ABSENT: &str = "oauth_parameters_absent";

const REJECTED: &str = "oauth_parameters_rejected";

/// What RFC 5849 section 3.1 requires of every signed request.
const REQUIRED: [&str; 5] = [
    "oauth_consumer_key",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_timestamp",
];

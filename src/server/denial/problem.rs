//! The one table from a reason to the answer to the caller.
//!
//! Status codes follow RFC 5849 section 3.2, 429 follows RFC 6585, and the problem words are those
//! of OAuth Problem Reporting. **Until the signature is proven, an unknown consumer, an unknown
//! token, a method that is not allowed and a wrong signature get one identical answer**, which does
//! not show which keys exist.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::advice::advice;
use super::decision_id::DecisionId;
use crate::config::DenyDetail;
use crate::oauth::Rejection;
use crate::server::negotiation::AnswerFormat;
use crate::verify::{ParameterProblem, Reason, RequestStage};

/// The content of the answer to a denied request.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The word of Problem Reporting, `oauth_problem`.
    pub(crate) word: &'static str,
    /// The advice, `oauth_problem_advice`.
    pub(crate) advice: Cow<'static, str>,
    /// Further parameters of Problem Reporting, for example `oauth_parameters_absent`.
    pub(crate) parameters: Vec<(&'static str, String)>,
}

impl Problem {
    /// Returns the content for a reason.
    pub(crate) fn of(reason: Reason) -> Self {
        Self {
            status: status(reason.stage()),
            word: word(reason),
            advice: advice(reason),
            parameters: parameters(reason),
        }
    }

    /// Returns the parameters of Problem Reporting, in the order in which they are sent.
    fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
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

/// The style of the answer to a denied request.
pub(crate) struct DenialStyle<'a> {
    /// The realm of the challenge.
    pub(crate) realm: &'a str,
    /// The detail.
    pub(crate) detail: DenyDetail,
    /// The format of the body.
    pub(crate) format: AnswerFormat,
    /// The id of this decision.
    pub(crate) decision_id: DecisionId,
    /// The masked base string, if the detail is `debug`.
    pub(crate) base_string: Option<String>,
    /// The cause of a signature mismatch, if the detail is `debug` and the caller may know it.
    pub(crate) cause: Option<PublicCause>,
}

/// The cause of a signature mismatch that the caller may know.
pub(crate) struct PublicCause {
    /// A word of a closed list, or two that are joined with `+`.
    pub(crate) cause: String,
    /// The remedy, in a sentence or two.
    pub(crate) remedy: String,
}

impl DenialStyle<'_> {
    /// Returns the members that only `debug` adds to a problem with this `word`.
    fn debug(&self, word: &str) -> impl Iterator<Item = (&str, &str)> {
        let base_string = self
            .base_string
            .as_deref()
            .map(|text| ("base_string", text));
        let public = self.cause.as_ref();
        let cause = public.map(|public| ("cause", public.cause.as_str()));
        let no_cause = (base_string.is_some() && word == SIGNATURE_INVALID).then_some(NO_CAUSE);
        let remedy = public.map(|public| public.remedy.as_str()).or(no_cause);
        base_string
            .into_iter()
            .chain(cause)
            .chain(remedy.map(|text| ("remedy", text)))
    }
}

/// The answer to a denied request.
pub(crate) struct DenialResponse {
    /// The HTTP status.
    pub(crate) status: u16,
    /// `WWW-Authenticate`.
    pub(crate) challenge: String,
    /// `Content-Type`.
    pub(crate) content_type: &'static str,
    /// The body.
    pub(crate) body: String,
}

impl Problem {
    /// Writes the answer.
    pub(crate) fn write(&self, style: &DenialStyle<'_>) -> DenialResponse {
        let shows_problem = style.detail != DenyDetail::None;
        let reported: Vec<_> = self.reported().filter(|_| shows_problem).collect();
        let (content_type, body) = match style.format {
            AnswerFormat::Form => (FORM, self.form(&reported, style)),
            AnswerFormat::Json => (PROBLEM_JSON, self.json(&reported, style)),
        };
        DenialResponse {
            status: self.status,
            challenge: challenge(style.realm, reported.iter().copied()),
            content_type,
            body,
        }
    }

    fn form(&self, reported: &[(&str, &str)], style: &DenialStyle<'_>) -> String {
        let id = style.decision_id.hex();
        let members = reported
            .iter()
            .copied()
            .chain([("decision_id", id.as_str())])
            .chain(style.debug(self.word));
        form(members)
    }

    /// Writes the body of RFC 9457.
    fn json(&self, reported: &[(&str, &str)], style: &DenialStyle<'_>) -> String {
        // Texts and a number are always valid JSON.
        serde_json::to_string(&ProblemJson {
            problem: self,
            reported,
            style,
        })
        .unwrap_or_default()
    }
}

/// A problem as a JSON object.
struct ProblemJson<'p> {
    problem: &'p Problem,
    reported: &'p [(&'p str, &'p str)],
    style: &'p DenialStyle<'p>,
}

impl Serialize for ProblemJson<'_> {
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
        object.serialize_entry("decision_id", style.decision_id.hex().as_str())?;
        for (name, value) in style.debug(problem.word) {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

/// The problem word of every request that is not proven.
const SIGNATURE_INVALID: &str = "signature_invalid";

/// The remedy if no cause was found, none is public, or none was found in time. It is the same for
/// all three: a difference would show something about the secrets.
const NO_CAUSE: &str = "no cause is known; compare base_string with the base string that the client \
                        signed and, if they are equal, the secrets";

/// The media type of a form.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The media type of RFC 9457.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Returns the reason phrase of a status that [`Problem`] uses.
pub(crate) const fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        _ => "Service Unavailable",
    }
}

/// Writes `WWW-Authenticate` (RFC 5849 section 3.5.1, RFC 9110 section 11.6.1).
fn challenge<'p>(realm: &str, parameters: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    let mut challenge = format!("OAuth realm=\"{}\"", quoted(realm));
    for (name, value) in parameters {
        // Writing to a String cannot fail.
        let _ = write!(challenge, ", {name}=\"{}\"", encoded(value));
    }
    challenge
}

/// Writes parameters as `application/x-www-form-urlencoded`.
pub(crate) fn form<'p>(parameters: impl Iterator<Item = (&'p str, &'p str)>) -> String {
    let pairs: Vec<_> = parameters
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    pairs.join("&")
}

/// Percent-encodes as in RFC 5849 section 3.6.
fn encoded(value: &str) -> impl std::fmt::Display + '_ {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(value, ESCAPED)
}

/// Escapes the content of a quoted-string (RFC 9110 section 5.6.4).
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"")
}

const fn status(stage: RequestStage) -> u16 {
    match stage {
        RequestStage::Malformed => 400,
        RequestStage::Unsigned | RequestStage::NotProven | RequestStage::NotUsable => 401,
        RequestStage::NotPermitted => 403,
        RequestStage::WrongMethod => 405,
        RequestStage::TooOften => 429,
        RequestStage::BodyNotWhole | RequestStage::TooLarge => 413,
    }
}

fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Rejected(rejection) if reason.stage() != RequestStage::NotProven => {
            rejection.problem()
        }
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
        // The answer has no word for it.
        Reason::HttpMethod => "",
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

fn parameters(reason: Reason) -> Vec<(&'static str, String)> {
    if let Reason::Rejected(rejection) = reason {
        return if reason.stage() == RequestStage::Malformed {
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

/// The parameters that RFC 5849 section 3.1 requires in every signed request.
const REQUIRED: [&str; 5] = [
    "oauth_consumer_key",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_timestamp",
];

//! Why a request is denied: the closed set behind logs, metrics and answers.

use crate::oauth::{Rejection, RejectionKind};

/// Why a request is denied.
///
/// What the caller is told of it is decided in `server::denial`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The protocol alone refuses it.
    Rejected(Rejection),
    /// It is a form, or carries a body hash, and its body is not wholly here.
    Body(BodyGap),
    /// It is not signed, and has to be.
    Unsigned,
    /// Nobody has that consumer key.
    UnknownConsumer,
    /// That consumer has no token of that name.
    UnknownToken,
    /// The consumer may not use that signature method, or has no key for it.
    MethodNotAllowed,
    /// PLAINTEXT on a route that is not configured to be reached by https.
    PlaintextWithoutHttps,
    /// The consumer was disabled.
    ConsumerDisabled,
    /// The token was revoked.
    TokenRevoked,
    /// The token has expired.
    TokenExpired,
    /// The user whom the token acts for is disabled.
    UserDisabled,
    /// The temporary credentials were exchanged already.
    TokenUsed,
    /// The temporary credentials were revoked, or are gone.
    TokenRejected,
    /// The user has not decided about the temporary credentials yet.
    TokenUndecided,
    /// The user refused, or too many wrong verifiers were sent.
    UserRefused,
    /// The verifier is not the one that the user came back with.
    VerifierInvalid,
    /// Nobody has that name and password.
    PasswordRefused,
    /// Too many wrong passwords.
    TooManyAttempts {
        /// Until another is looked at, seconds.
        retry_after: u64,
    },
    /// The consumer may not obtain credentials in that way.
    FlowNotAllowed,
    /// A parameter of a request for credentials.
    Parameter {
        /// Its name on the wire.
        name: &'static str,
        /// What is wrong with it.
        problem: ParameterProblem,
    },
    /// The consumer may not sign without a token.
    TokenRequired,
    /// The timestamp is outside of the window.
    TimestampRefused {
        /// What was sent, seconds.
        sent: u64,
        /// The earliest that is accepted now.
        earliest: u64,
        /// The latest that is accepted now.
        latest: u64,
        /// The time here.
        now: u64,
    },
    /// The timestamp is from before a restart that may have forgotten nonces.
    TimestampFenced {
        /// What was sent, seconds.
        sent: u64,
        /// The earliest that is accepted now.
        earliest: u64,
        /// The latest that is accepted now.
        latest: u64,
        /// The time here.
        now: u64,
    },
    /// A nonce without a timestamp: how long to remember it is not known.
    NonceWithoutTimestamp,
    /// The nonce was used before.
    NonceUsed,
    /// The route needs a token that acts for a user.
    UserRequired,
    /// A scope that the route needs is missing.
    ScopeMissing,
    /// The client's realm is another.
    RealmMismatch,
    /// The request has no HTTP attributes: it came from Envoy's network filter.
    NotHttp,
    /// Envoy sent headers or body twice, in two forms.
    AmbiguousHeaders,
    /// The scheme is neither http nor https.
    UnknownScheme,
    /// The backend might route the path elsewhere than the rules here matched it.
    AmbiguousPath,
}

/// What is wrong with a parameter of a request for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterProblem {
    /// It is needed, and missing or empty.
    Absent,
    /// It was sent more than once.
    Duplicate,
    /// It does not belong there.
    Unexpected,
    /// It breaks a rule.
    Invalid,
}

/// Why a body is not wholly here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyGap {
    /// Envoy says that it sent a part.
    Partial,
    /// The request has a body, and Envoy sent none of it.
    NotForwarded,
    /// What arrived is not as long as `Content-Length` says.
    LengthMismatch,
    /// Without `Content-Length` only the operator can say whether Envoy sends bodies whole.
    LengthUnknown,
    /// It is larger than is read.
    TooLarge,
    /// It came as text with a `!`, which Envoy also writes for a byte that is not UTF-8.
    Altered,
}

/// How far a request came: what decides the class of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It can not be understood.
    Malformed,
    /// It is not signed.
    Unsigned,
    /// It is understood, and not proven.
    NotProven,
    /// It is proven, and its credentials, timestamp or nonce can not be used.
    NotUsable,
    /// It is proven and usable, and may not do this.
    NotPermitted,
    /// It is proven, and came too often.
    TooOften,
    /// Its body is not wholly here.
    BodyNotWhole,
}

impl Reason {
    /// Its name in logs, metrics and dynamic metadata.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.reason(),
            Self::Body(BodyGap::Partial) => "body_partial",
            Self::Body(BodyGap::NotForwarded) => "body_not_forwarded",
            Self::Body(BodyGap::LengthMismatch) => "body_length_mismatch",
            Self::Body(BodyGap::LengthUnknown) => "body_length_unknown",
            Self::Body(BodyGap::TooLarge) => "body_too_large",
            Self::Body(BodyGap::Altered) => "body_altered",
            Self::Unsigned => "unsigned",
            Self::UnknownConsumer => "unknown_consumer",
            Self::UnknownToken => "unknown_token",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PlaintextWithoutHttps => "plaintext_without_https",
            Self::ConsumerDisabled => "consumer_disabled",
            Self::TokenRevoked => "token_revoked",
            Self::TokenExpired => "token_expired",
            Self::UserDisabled => "user_disabled",
            Self::TokenUsed => "token_used",
            Self::TokenRejected => "token_rejected",
            Self::TokenUndecided => "token_undecided",
            Self::UserRefused => "user_refused",
            Self::VerifierInvalid => "verifier_invalid",
            Self::PasswordRefused => "password_refused",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::FlowNotAllowed => "flow_not_allowed",
            Self::Parameter { problem, .. } => problem.label(),
            Self::TokenRequired => "token_required",
            Self::TimestampRefused { .. } => "timestamp_refused",
            Self::TimestampFenced { .. } => "timestamp_fenced",
            Self::NonceWithoutTimestamp => "nonce_without_timestamp",
            Self::NonceUsed => "nonce_used",
            Self::UserRequired => "user_required",
            Self::ScopeMissing => "scope_missing",
            Self::RealmMismatch => "realm_mismatch",
            Self::NotHttp => "not_http",
            Self::AmbiguousHeaders => "ambiguous_headers",
            Self::UnknownScheme => "unknown_scheme",
            Self::AmbiguousPath => "ambiguous_path",
        }
    }

    /// What the operator's log says beside the label, where there is more to say.
    pub fn detail(self) -> Option<String> {
        if let Self::Rejected(rejection) = self {
            return Some(rejection.to_string());
        }
        if let Self::TimestampRefused { sent, now, .. } | Self::TimestampFenced { sent, now, .. } =
            self
        {
            return Some(format!("the timestamp {sent} is refused at {now}"));
        }
        if let Self::Parameter { name, .. } = self {
            return Some(name.to_owned());
        }
        None
    }

    /// How far the request came.
    pub const fn stage(self) -> Stage {
        match self {
            Self::Rejected(rejection) => rejected_at(rejection),
            Self::Body(_) => Stage::BodyNotWhole,
            Self::Unsigned => Stage::Unsigned,
            Self::UnknownConsumer | Self::UnknownToken | Self::MethodNotAllowed => Stage::NotProven,
            Self::ConsumerDisabled
            | Self::TokenRevoked
            | Self::TokenExpired
            | Self::UserDisabled
            | Self::TokenUsed
            | Self::TokenRejected
            | Self::TokenUndecided
            | Self::UserRefused
            | Self::VerifierInvalid
            | Self::PasswordRefused
            | Self::TimestampRefused { .. }
            | Self::TimestampFenced { .. }
            | Self::NonceUsed => Stage::NotUsable,
            Self::TooManyAttempts { .. } => Stage::TooOften,
            Self::TokenRequired
            | Self::FlowNotAllowed
            | Self::UserRequired
            | Self::ScopeMissing
            | Self::RealmMismatch => Stage::NotPermitted,
            Self::PlaintextWithoutHttps
            | Self::Parameter { .. }
            | Self::NonceWithoutTimestamp
            | Self::NotHttp
            | Self::AmbiguousHeaders
            | Self::UnknownScheme
            | Self::AmbiguousPath => Stage::Malformed,
        }
    }
}

impl ParameterProblem {
    const fn label(self) -> &'static str {
        match self {
            Self::Absent => "parameter_absent",
            Self::Duplicate => "parameter_duplicate",
            Self::Unexpected => "parameter_unexpected",
            Self::Invalid => "parameter_invalid",
        }
    }
}

const fn rejected_at(rejection: Rejection) -> Stage {
    match rejection.kind() {
        RejectionKind::Malformed => Stage::Malformed,
        RejectionKind::NotProven => Stage::NotProven,
        RejectionKind::BodyNotWhole => Stage::BodyNotWhole,
    }
}

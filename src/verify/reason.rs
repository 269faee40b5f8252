//! The closed set of reasons behind logs, metrics and answers.

use crate::oauth::{Rejection, RejectionKind};

/// The reason why a request is denied.
///
/// The answer to the caller is derived from it in `server::denial`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request breaks the protocol.
    Rejected(Rejection),
    /// The request is a form, or carries a body hash, and its body is incomplete.
    Body(BodyGap),
    /// The request is unsigned, and the route requires a signature.
    Unsigned,
    /// No consumer has that key.
    UnknownConsumer,
    /// The consumer has no token of that name.
    UnknownToken,
    /// The consumer may not use that signature method, or has no key for it.
    MethodNotAllowed,
    /// The request is signed with PLAINTEXT on a route without a configured https origin.
    PlaintextWithoutHttps,
    /// The consumer is disabled.
    ConsumerDisabled,
    /// The token is revoked.
    TokenRevoked,
    /// The token has expired.
    TokenExpired,
    /// The user that the token acts for is disabled.
    UserDisabled,
    /// The temporary credentials were exchanged already.
    TokenUsed,
    /// The temporary credentials are revoked or gone.
    TokenRejected,
    /// The user has not decided about the temporary credentials yet.
    TokenUndecided,
    /// The user refused, or too many wrong verifiers were sent.
    UserRefused,
    /// The verifier differs from the one that the user came back with.
    VerifierInvalid,
    /// No user has that name and password.
    PasswordRefused,
    /// There were too many wrong passwords.
    TooManyAttempts {
        /// Seconds until the next attempt is accepted.
        retry_after: u64,
    },
    /// The consumer may not obtain credentials in that way.
    FlowNotAllowed,
    /// The request for credentials has another HTTP method than POST, and GET is not allowed.
    HttpMethod,
    /// A parameter of a request for credentials breaks a rule.
    Parameter {
        /// The parameter's name on the wire.
        name: &'static str,
        /// The rule that it breaks.
        problem: ParameterProblem,
    },
    /// The consumer may not sign without a token.
    TokenRequired,
    /// The timestamp is outside the window.
    TimestampRefused {
        /// The timestamp, in seconds.
        sent: u64,
        /// The earliest timestamp that is accepted now.
        earliest: u64,
        /// The latest timestamp that is accepted now.
        latest: u64,
        /// The time of this service.
        now: u64,
    },
    /// The timestamp is from before a restart that may have lost nonces.
    TimestampFenced {
        /// The timestamp, in seconds.
        sent: u64,
        /// The earliest timestamp that is accepted now.
        earliest: u64,
        /// The latest timestamp that is accepted now.
        latest: u64,
        /// The time of this service.
        now: u64,
    },
    /// The request has a nonce without a timestamp, so that the nonce would have to be kept
    /// forever.
    NonceWithoutTimestamp,
    /// The nonce was used before.
    NonceUsed,
    /// The route requires a token that acts for a user.
    UserRequired,
    /// A scope that the route requires is missing.
    ScopeMissing,
    /// The client signed for another realm.
    RealmMismatch,
    /// The request has no HTTP attributes: it came from Envoy's network filter.
    NotHttp,
    /// Envoy sent headers or body twice, in two forms.
    AmbiguousHeaders,
    /// The scheme is neither http nor https.
    UnknownScheme,
    /// The backend might route the path differently than the rules here matched it.
    AmbiguousPath,
}

/// The rule that a parameter of a request for credentials breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterProblem {
    /// The parameter is required, and missing or empty.
    Absent,
    /// The parameter was sent more than once.
    Duplicate,
    /// The parameter is not accepted in this request.
    Unexpected,
    /// The value is invalid.
    Invalid,
}

/// The reason why a body is incomplete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyGap {
    /// Envoy marked the body as partial.
    Partial,
    /// The request has a body, and Envoy sent none of it.
    NotForwarded,
    /// The length of the body differs from `Content-Length`.
    LengthMismatch,
    /// The request has no `Content-Length`, and no operator said that Envoy sends whole bodies.
    LengthUnknown,
    /// The body is larger than the limit.
    TooLarge,
    /// The body came as text with a `!`, which Envoy also writes for a byte that is not UTF-8.
    Altered,
}

/// The stage at which a request was denied, which decides the class of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStage {
    /// The request is malformed.
    Malformed,
    /// The request is unsigned.
    Unsigned,
    /// The signature is not proven.
    NotProven,
    /// The signature is proven, and the credentials, timestamp or nonce are not valid.
    NotUsable,
    /// The caller is not permitted to send this request.
    NotPermitted,
    /// The HTTP method is not accepted.
    WrongMethod,
    /// The caller came too often.
    TooOften,
    /// The body is incomplete.
    BodyNotWhole,
    /// The parameters are too long.
    TooLarge,
}

impl Reason {
    /// Returns the label in logs, metrics and dynamic metadata.
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
            Self::HttpMethod => "http_method",
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

    /// Returns the stage at which a request with this reason is denied.
    pub const fn stage(self) -> RequestStage {
        match self {
            Self::Rejected(rejection) => rejected_at(rejection),
            Self::Body(_) => RequestStage::BodyNotWhole,
            Self::Unsigned => RequestStage::Unsigned,
            Self::UnknownConsumer | Self::UnknownToken | Self::MethodNotAllowed => {
                RequestStage::NotProven
            }
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
            | Self::NonceUsed => RequestStage::NotUsable,
            Self::TooManyAttempts { .. } => RequestStage::TooOften,
            Self::TokenRequired
            | Self::FlowNotAllowed
            | Self::UserRequired
            | Self::ScopeMissing
            | Self::RealmMismatch => RequestStage::NotPermitted,
            Self::HttpMethod => RequestStage::WrongMethod,
            Self::PlaintextWithoutHttps
            | Self::Parameter { .. }
            | Self::NonceWithoutTimestamp
            | Self::NotHttp
            | Self::AmbiguousHeaders
            | Self::UnknownScheme
            | Self::AmbiguousPath => RequestStage::Malformed,
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

const fn rejected_at(rejection: Rejection) -> RequestStage {
    match rejection.kind() {
        RejectionKind::Malformed => RequestStage::Malformed,
        RejectionKind::NotProven => RequestStage::NotProven,
        RejectionKind::BodyNotWhole => RequestStage::BodyNotWhole,
        RejectionKind::TooLarge => RequestStage::TooLarge,
    }
}

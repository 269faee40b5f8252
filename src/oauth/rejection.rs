//! Why a request was refused by the protocol alone (RFC 5849 section 3.2).

use super::{ParameterPlace, ParameterSet, ProtocolParameter};

/// Why a request was refused.
///
/// `Display` names the place and never a value, so it may be shown to whoever sent the request, as far as
/// [`kind`](Self::kind) allows: nobody may be told why a signature was not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The value after the `OAuth` scheme is not a list of `name="value"` (section 3.5.1).
    #[error("malformed Authorization header: expected `name=\"value\"` pairs, separated by commas")]
    HeaderMalformed,
    /// `OAuth` is not the only scheme of the only `Authorization` header.
    #[error("more than one set of credentials in the Authorization header")]
    SeveralAuthorizations,
    /// There is more than one `Content-Type`, so it is not clear whether the body is a form.
    #[error("more than one Content-Type header")]
    SeveralContentTypes,
    /// More parameters than [`ParseLimits::parameters`](super::Limits::parameters).
    #[error("too many parameters")]
    TooManyParameters,
    /// A `%` without two hexadecimal digits.
    #[error("bad percent-encoding in {0}")]
    BadEscape(ParameterPlace),
    /// Parameters named `oauth_*` stand in more than one place (section 3.5).
    #[error(
        "`oauth_*` parameters in more than one of the Authorization header, the query and the form body"
    )]
    SeveralPlaces,
    /// A protocol parameter stands there twice (section 3.1).
    #[error("duplicate {parameter} in {place}")]
    Duplicate {
        /// Which.
        parameter: ProtocolParameter,
        /// Where.
        place: ParameterPlace,
    },
    /// A parameter named `oauth_*` that is not known here stands there twice (section 3.1).
    #[error("duplicate `oauth_*` extension parameter in {0}")]
    DuplicateExtension(ParameterPlace),
    /// Required parameters are missing (section 3.1).
    #[error("missing {0}")]
    Absent(ParameterSet),
    /// A parameter has no value.
    #[error("empty {0}")]
    Empty(ProtocolParameter),
    /// A value is longer than [`ParseLimits::protocol_value`](super::Limits::protocol_value).
    #[error("{0} is too long")]
    TooLong(ProtocolParameter),
    /// `oauth_version` is not `1.0`.
    #[error("`oauth_version` must be `1.0` or left out")]
    VersionUnsupported,
    /// `oauth_signature_method` is not one of [`SignatureMethod`](super::SignatureMethod).
    #[error("unsupported `oauth_signature_method`")]
    SignatureMethodUnsupported,
    /// `oauth_timestamp` is not a positive whole number (section 3.3).
    #[error("malformed `oauth_timestamp`: expected seconds since 1970 as decimal digits")]
    TimestampMalformed,
    /// `oauth_timestamp` has the 13 digits of a time in milliseconds.
    #[error(
        "malformed `oauth_timestamp`: expected seconds since 1970, this looks like milliseconds"
    )]
    TimestampInMilliseconds,
    /// The request target does not begin with `/`, or has a fragment.
    #[error("malformed request target: expected a path that begins with `/`, without `#`")]
    TargetMalformed,
    /// The `Host` header is not one host with at most a port.
    #[error("malformed Host header: expected one host and at most a port")]
    AuthorityMalformed,
    /// The body counts, and is not wholly here.
    #[error("the body is not wholly here, so it can not be verified")]
    BodyNotWhole,
    /// The signature is not the one that the keys make.
    #[error("the signature does not match")]
    SignatureMismatch,
    /// `oauth_signature` is not base64 in its one canonical form (section 3.4.2).
    #[error("`oauth_signature` is not canonical base64")]
    SignatureNotCanonical,
    /// The body has to be covered by `oauth_body_hash`, which is missing.
    #[error("missing `oauth_body_hash`, which has to cover this body")]
    BodyHashAbsent,
    /// `oauth_body_hash` is not the hash of the body.
    #[error("`oauth_body_hash` does not match the body")]
    BodyHashMismatch,
}

/// How far a refused request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionKind {
    /// It can not be understood: a 400 of section 3.2.
    Malformed,
    /// It is understood and not proven: a 401 of section 3.2, and the caller may not be told more.
    NotProven,
    /// It can not be verified before its whole body is here: a 413.
    BodyNotWhole,
}

impl Rejection {
    /// Its label in logs and metrics.
    pub const fn reason(self) -> &'static str {
        self.row().0
    }

    /// The word of OAuth Problem Reporting.
    pub const fn problem(self) -> &'static str {
        self.row().1
    }

    /// How far the request came.
    pub const fn kind(self) -> RejectionKind {
        self.row().2
    }

    /// The parameters that are absent, when [`problem`](Self::problem) is `parameter_absent`, else those that are
    /// rejected: `oauth_parameters_absent` and `oauth_parameters_rejected` of Problem Reporting.
    pub const fn parameters(self) -> ParameterSet {
        if let Self::Absent(parameters) = self {
            return parameters;
        }
        match self.parameter() {
            Some(parameter) => ParameterSet::only(parameter),
            None => ParameterSet::NONE,
        }
    }

    /// The one parameter that it is about.
    const fn parameter(self) -> Option<ProtocolParameter> {
        if let Self::Duplicate { parameter, .. }
        | Self::Empty(parameter)
        | Self::TooLong(parameter) = self
        {
            return Some(parameter);
        }
        if let Self::TimestampMalformed | Self::TimestampInMilliseconds = self {
            return Some(ProtocolParameter::Timestamp);
        }
        if let Self::BodyHashAbsent = self {
            Some(ProtocolParameter::BodyHash)
        } else {
            None
        }
    }

    /// Label, word and kind.
    const fn row(self) -> (&'static str, &'static str, RejectionKind) {
        use RejectionKind::{BodyNotWhole, Malformed, NotProven};
        match self {
            Self::HeaderMalformed => ("header_malformed", REJECTED, Malformed),
            Self::SeveralAuthorizations => ("several_authorizations", REJECTED, Malformed),
            Self::SeveralContentTypes => ("several_content_types", REJECTED, Malformed),
            Self::TooManyParameters => ("too_many_parameters", REJECTED, Malformed),
            Self::BadEscape(_) => ("bad_escape", REJECTED, Malformed),
            Self::SeveralPlaces => ("several_places", REJECTED, Malformed),
            Self::Duplicate { .. } | Self::DuplicateExtension(_) => {
                ("parameter_duplicate", REJECTED, Malformed)
            }
            Self::Absent(_) => ("parameter_absent", ABSENT, Malformed),
            Self::Empty(_) => ("parameter_empty", REJECTED, Malformed),
            Self::TooLong(_) => ("parameter_too_long", REJECTED, Malformed),
            Self::VersionUnsupported => ("version_unsupported", "version_rejected", Malformed),
            Self::SignatureMethodUnsupported => (
                "signature_method_unsupported",
                "signature_method_rejected",
                Malformed,
            ),
            Self::TimestampMalformed => ("timestamp_malformed", REJECTED, Malformed),
            Self::TimestampInMilliseconds => ("timestamp_in_milliseconds", REJECTED, Malformed),
            Self::TargetMalformed => ("target_malformed", REJECTED, Malformed),
            Self::AuthorityMalformed => ("authority_malformed", REJECTED, Malformed),
            Self::BodyNotWhole => ("body_not_whole", REJECTED, BodyNotWhole),
            Self::SignatureMismatch => ("signature_mismatch", INVALID, NotProven),
            Self::SignatureNotCanonical => ("signature_not_canonical", INVALID, NotProven),
            Self::BodyHashAbsent => ("body_hash_absent", ABSENT, Malformed),
            Self::BodyHashMismatch => ("body_hash_mismatch", INVALID, NotProven),
        }
    }
}

const ABSENT: &str = "parameter_absent";
const REJECTED: &str = "parameter_rejected";
const INVALID: &str = "signature_invalid";

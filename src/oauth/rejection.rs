//! The reasons for which the protocol core refuses a request (RFC 5849 section 3.2).

use super::{ParameterPlace, ParameterSet, ProtocolParameter};

/// The reason for which a request is refused.
///
/// `Display` names the place and never a value, so the sender may see it, with one exception: a
/// caller must not learn why a signature is [not proven](RejectionKind::NotProven).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// An `OAuth` header that is not a list of `name="value"` (section 3.5.1).
    #[error(
        "malformed Authorization header: expected `name=\"value\"` pairs with commas between \
         them"
    )]
    HeaderMalformed,
    /// `OAuth` together with another scheme or another `Authorization` header.
    #[error("more than one set of credentials in the Authorization header")]
    SeveralAuthorizations,
    /// Several `Content-Type` headers, so that the body may or may not be a form.
    #[error("more than one Content-Type header")]
    SeveralContentTypes,
    /// More parameters than [`ParseLimits::parameters`](super::ParseLimits::parameters).
    #[error("too many parameters in header, query and form body together")]
    TooManyParameters,
    /// A header, query or form body that is longer than
    /// [`ParseLimits::form_bytes`](super::ParseLimits::form_bytes).
    #[error("{place} has more than {limit} bytes")]
    ParametersTooLarge {
        /// The place.
        place: ParameterPlace,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A `%` without two hexadecimal digits.
    #[error("malformed percent-encoding in {0}: expected two hexadecimal digits after each `%`")]
    BadEscape(ParameterPlace),
    /// `oauth_*` parameters in more than one place (section 3.5).
    #[error(
        "`oauth_*` parameters in several places: expected all in the Authorization header, the \
         query or the form body"
    )]
    SeveralPlaces,
    /// A repeated protocol parameter (section 3.1).
    #[error("duplicate {parameter} in {place}")]
    Duplicate {
        /// The parameter.
        parameter: ProtocolParameter,
        /// The place of both.
        place: ParameterPlace,
    },
    /// A repeated `oauth_*` parameter that this crate does not know (section 3.1).
    #[error("duplicate `oauth_*` extension parameter in {0}")]
    DuplicateExtension(ParameterPlace),
    /// Missing parameters that the signature method requires (section 3.1).
    #[error("missing {0}")]
    Absent(ParameterSet),
    /// A required parameter without a value.
    #[error("empty {0}")]
    Empty(ProtocolParameter),
    /// A value that is longer than
    /// [`ParseLimits::protocol_value`](super::ParseLimits::protocol_value).
    #[error("{0} is too long")]
    TooLong(ProtocolParameter),
    /// An `oauth_version` other than `1.0`.
    #[error("unsupported `oauth_version`: expected `1.0` or none")]
    VersionUnsupported,
    /// An `oauth_signature_method` that is not a [`SignatureMethod`](super::SignatureMethod).
    #[error("unsupported `oauth_signature_method`")]
    SignatureMethodUnsupported,
    /// An `oauth_timestamp` that is not a positive whole number (section 3.3).
    #[error("malformed `oauth_timestamp`: expected seconds since 1970 in decimal digits")]
    TimestampMalformed,
    /// An `oauth_timestamp` with the 13 digits of a time in milliseconds.
    #[error("malformed `oauth_timestamp`: expected seconds since 1970, got milliseconds")]
    TimestampInMilliseconds,
    /// A request target without a leading `/`, or with a fragment.
    #[error("malformed request target: expected a path that begins with `/` and has no `#`")]
    TargetMalformed,
    /// A `Host` header that is not one host, with or without a port.
    #[error("malformed Host header: expected one host, with or without a port")]
    AuthorityMalformed,
    /// An incomplete body that the signature or a hash covers.
    #[error("the body is incomplete, so it cannot be verified")]
    BodyNotWhole,
    /// A body without a `Content-Type` and without an `oauth_body_hash`.
    #[error(
        "the body has no Content-Type, so a backend may read it as a form that nobody signed: send \
         a Content-Type, or sign `oauth_body_hash`"
    )]
    BodyUntyped,
    /// A body with a `Content-Type` that is malformed or resembles that of a form, and without an
    /// `oauth_body_hash`.
    #[error(
        "the Content-Type is malformed or resembles that of a form, so a backend may read the body \
         as a form that nobody signed: send exactly `application/x-www-form-urlencoded` or another \
         media type, or sign `oauth_body_hash`"
    )]
    BodyTypeUnclear,
    /// A signature that no key of the consumer makes.
    #[error("the signature does not match")]
    SignatureMismatch,
    /// An `oauth_signature` that is not canonical base64 (section 3.4.2).
    #[error("`oauth_signature` is not canonical base64")]
    SignatureNotCanonical,
    /// A body without the `oauth_body_hash` that must cover it.
    #[error("missing `oauth_body_hash`, which must cover this body")]
    BodyHashAbsent,
    /// An `oauth_body_hash` of another body.
    #[error("`oauth_body_hash` does not match the body")]
    BodyHashMismatch,
}

/// The stage at which a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectionKind {
    /// The request is malformed: a 400 of section 3.2.
    Malformed,
    /// The signature is not proven: a 401 of section 3.2, and the caller learns no more than that.
    NotProven,
    /// The request cannot be verified without its whole body: a 413.
    BodyNotWhole,
    /// The parameters are too long to be verified: a 413.
    TooLarge,
}

impl Rejection {
    /// Returns the label in logs and metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::HeaderMalformed => "header_malformed",
            Self::SeveralAuthorizations => "several_authorizations",
            Self::SeveralContentTypes => "several_content_types",
            Self::TooManyParameters => "too_many_parameters",
            Self::ParametersTooLarge { .. } => "parameters_too_large",
            Self::BadEscape(_) => "bad_escape",
            Self::SeveralPlaces => "several_places",
            Self::Duplicate { .. } | Self::DuplicateExtension(_) => "parameter_duplicate",
            Self::Absent(_) => "parameter_absent",
            Self::Empty(_) => "parameter_empty",
            Self::TooLong(_) => "parameter_too_long",
            Self::VersionUnsupported => "version_unsupported",
            Self::SignatureMethodUnsupported => "signature_method_unsupported",
            Self::TimestampMalformed => "timestamp_malformed",
            Self::TimestampInMilliseconds => "timestamp_in_milliseconds",
            Self::TargetMalformed => "target_malformed",
            Self::AuthorityMalformed => "authority_malformed",
            Self::BodyNotWhole => "body_not_whole",
            Self::BodyUntyped => "body_untyped",
            Self::BodyTypeUnclear => "body_type_unclear",
            Self::SignatureMismatch => "signature_mismatch",
            Self::SignatureNotCanonical => "signature_not_canonical",
            Self::BodyHashAbsent => "body_hash_absent",
            Self::BodyHashMismatch => "body_hash_mismatch",
        }
    }

    /// Returns the word of OAuth Problem Reporting.
    pub const fn problem(self) -> &'static str {
        match self {
            Self::Absent(_) | Self::BodyHashAbsent => "parameter_absent",
            Self::VersionUnsupported => "version_rejected",
            Self::SignatureMethodUnsupported => "signature_method_rejected",
            Self::SignatureMismatch | Self::SignatureNotCanonical | Self::BodyHashMismatch => {
                "signature_invalid"
            }
            Self::HeaderMalformed
            | Self::SeveralAuthorizations
            | Self::SeveralContentTypes
            | Self::TooManyParameters
            | Self::ParametersTooLarge { .. }
            | Self::BadEscape(_)
            | Self::SeveralPlaces
            | Self::Duplicate { .. }
            | Self::DuplicateExtension(_)
            | Self::Empty(_)
            | Self::TooLong(_)
            | Self::BodyUntyped
            | Self::BodyTypeUnclear
            | Self::TimestampMalformed
            | Self::TimestampInMilliseconds
            | Self::TargetMalformed
            | Self::AuthorityMalformed
            | Self::BodyNotWhole => "parameter_rejected",
        }
    }

    /// Returns the stage.
    pub const fn kind(self) -> RejectionKind {
        match self {
            Self::SignatureMismatch | Self::SignatureNotCanonical | Self::BodyHashMismatch => {
                RejectionKind::NotProven
            }
            Self::BodyNotWhole => RejectionKind::BodyNotWhole,
            Self::ParametersTooLarge { .. } => RejectionKind::TooLarge,
            Self::HeaderMalformed
            | Self::SeveralAuthorizations
            | Self::SeveralContentTypes
            | Self::TooManyParameters
            | Self::BadEscape(_)
            | Self::SeveralPlaces
            | Self::Duplicate { .. }
            | Self::DuplicateExtension(_)
            | Self::Absent(_)
            | Self::Empty(_)
            | Self::TooLong(_)
            | Self::VersionUnsupported
            | Self::SignatureMethodUnsupported
            | Self::TimestampMalformed
            | Self::TimestampInMilliseconds
            | Self::TargetMalformed
            | Self::AuthorityMalformed
            | Self::BodyUntyped
            | Self::BodyTypeUnclear
            | Self::BodyHashAbsent => RejectionKind::Malformed,
        }
    }

    /// Returns the parameters for `oauth_parameters_absent` of Problem Reporting if
    /// [`problem`](Self::problem) is `parameter_absent`, else those for
    /// `oauth_parameters_rejected`.
    pub const fn parameters(self) -> ParameterSet {
        if let Self::Absent(parameters) = self {
            return parameters;
        }
        match self.parameter() {
            Some(parameter) => ParameterSet::only(parameter),
            None => ParameterSet::NONE,
        }
    }

    /// Returns the single parameter at fault.
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
}

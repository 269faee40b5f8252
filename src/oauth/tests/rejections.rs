//! RFC 5849 section 3.2 and OAuth Problem Reporting: the texts of refusals.

use super::*;
use crate::oauth::{ParameterSet, ProtocolParameter, RejectionKind};

/// Every rejection with its text, label, word and parameters.
const ALL: &[(Rejection, &str, &str, &str, &str)] = &[
    (
        Rejection::HeaderMalformed,
        "malformed Authorization header: expected `name=\"value\"` pairs with commas between them",
        "header_malformed",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::SeveralAuthorizations,
        "more than one set of credentials in the Authorization header",
        "several_authorizations",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::SeveralContentTypes,
        "more than one Content-Type header",
        "several_content_types",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::TooManyParameters,
        "too many parameters in header, query and form body together",
        "too_many_parameters",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::BadEscape(ParameterPlace::Query),
        "malformed percent-encoding in the query: expected two hexadecimal digits after each `%`",
        "bad_escape",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::SeveralPlaces,
        "`oauth_*` parameters in several places: expected all in the Authorization header, the query or the form body",
        "several_places",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::Duplicate {
            parameter: ProtocolParameter::Nonce,
            place: ParameterPlace::Query,
        },
        "duplicate `oauth_nonce` in the query",
        "parameter_duplicate",
        "parameter_rejected",
        "`oauth_nonce`",
    ),
    (
        Rejection::DuplicateExtension(ParameterPlace::Body),
        "duplicate `oauth_*` extension parameter in the form body",
        "parameter_duplicate",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::Absent(
            ParameterSet::only(ProtocolParameter::Timestamp).with(ProtocolParameter::Nonce),
        ),
        "missing `oauth_nonce`, `oauth_timestamp`",
        "parameter_absent",
        "parameter_absent",
        "`oauth_nonce`, `oauth_timestamp`",
    ),
    (
        Rejection::Empty(ProtocolParameter::ConsumerKey),
        "empty `oauth_consumer_key`",
        "parameter_empty",
        "parameter_rejected",
        "`oauth_consumer_key`",
    ),
    (
        Rejection::TooLong(ProtocolParameter::Token),
        "`oauth_token` is too long",
        "parameter_too_long",
        "parameter_rejected",
        "`oauth_token`",
    ),
    (
        Rejection::VersionUnsupported,
        "unsupported `oauth_version`: expected `1.0` or none",
        "version_unsupported",
        "version_rejected",
        "",
    ),
    (
        Rejection::SignatureMethodUnsupported,
        "unsupported `oauth_signature_method`",
        "signature_method_unsupported",
        "signature_method_rejected",
        "",
    ),
    (
        Rejection::TimestampMalformed,
        "malformed `oauth_timestamp`: expected seconds since 1970 in decimal digits",
        "timestamp_malformed",
        "parameter_rejected",
        "`oauth_timestamp`",
    ),
    (
        Rejection::TimestampInMilliseconds,
        "malformed `oauth_timestamp`: expected seconds since 1970, got milliseconds",
        "timestamp_in_milliseconds",
        "parameter_rejected",
        "`oauth_timestamp`",
    ),
    (
        Rejection::TargetMalformed,
        "malformed request target: expected a path that begins with `/` and has no `#`",
        "target_malformed",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::AuthorityMalformed,
        "malformed Host header: expected one host, with or without a port",
        "authority_malformed",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::BodyNotWhole,
        "the body is incomplete, so it cannot be verified",
        "body_not_whole",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::ParametersTooLarge {
            place: ParameterPlace::Body,
            limit: 65536,
        },
        "the form body has more than 65536 bytes",
        "parameters_too_large",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::BodyUntyped,
        "the body has no Content-Type, so a backend may read it as a form that nobody signed: \
         send a Content-Type, or sign `oauth_body_hash`",
        "body_untyped",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::BodyTypeUnclear,
        "the Content-Type is malformed or resembles that of a form, so a backend may read the \
         body as a form that nobody signed: send exactly `application/x-www-form-urlencoded` or \
         another media type, or sign `oauth_body_hash`",
        "body_type_unclear",
        "parameter_rejected",
        "",
    ),
    (
        Rejection::SignatureMismatch,
        "the signature does not match",
        "signature_mismatch",
        "signature_invalid",
        "",
    ),
    (
        Rejection::SignatureNotCanonical,
        "`oauth_signature` is not canonical base64",
        "signature_not_canonical",
        "signature_invalid",
        "",
    ),
    (
        Rejection::BodyHashAbsent,
        "missing `oauth_body_hash`, which must cover this body",
        "body_hash_absent",
        "parameter_absent",
        "`oauth_body_hash`",
    ),
    (
        Rejection::BodyHashMismatch,
        "`oauth_body_hash` does not match the body",
        "body_hash_mismatch",
        "signature_invalid",
        "",
    ),
];

#[test]
fn every_rejection_has_its_text_label_word_and_parameters() {
    for (rejection, text, reason, problem, parameters) in ALL {
        assert_eq!(rejection.to_string(), *text);
        assert_eq!(rejection.reason(), *reason);
        assert_eq!(rejection.problem(), *problem, "{text}");
        assert_eq!(rejection.parameters().to_string(), *parameters, "{text}");
    }
}

#[test]
fn only_an_unproven_request_is_signature_invalid() {
    for (rejection, ..) in ALL {
        let expected = match rejection.problem() {
            "signature_invalid" => RejectionKind::NotProven,
            _ if *rejection == Rejection::BodyNotWhole => RejectionKind::BodyNotWhole,
            _ if rejection.reason() == "parameters_too_large" => RejectionKind::TooLarge,
            _ => RejectionKind::Malformed,
        };
        assert_eq!(rejection.kind(), expected, "{rejection}");
    }
}

#[test]
fn a_rejection_holds_no_value() {
    let secret = "s3cr3t";
    for name in [
        "oauth_nonce",
        "oauth_timestamp",
        "oauth_signature_method",
        "oauth_signature",
        "oauth_version",
    ] {
        let form = with_parameter(name, Some(secret)) + "&oauth_nonce=" + secret;
        if let Some(refusal) = WireRequest::get(&format!("/?{form}")).refusal() {
            assert!(
                !format!("{refusal} {refusal:?}").contains(secret),
                "{refusal}"
            );
        }
    }
}

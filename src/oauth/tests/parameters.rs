//! RFC 5849 sections 3.1 and 3.5 (P1 to P8) and 3.3: the protocol parameters.

use super::*;
use crate::oauth::{ProtocolParameter, SignatureMethod};

const PLACES: [ParameterPlace; 3] = [
    ParameterPlace::Header,
    ParameterPlace::Query,
    ParameterPlace::Body,
];

/// A request with these parameters in that place.
fn at(place: ParameterPlace, form: &str) -> WireRequest {
    match place {
        ParameterPlace::Header => WireRequest::get("/").authorization(header_of(form)),
        ParameterPlace::Query => WireRequest::get(&format!("/?{form}")),
        ParameterPlace::Body => WireRequest::get("/").body(FORM, form),
    }
}

// P1
#[test]
fn every_required_parameter_that_is_missing_is_named() {
    for place in PLACES {
        for name in [
            "oauth_consumer_key",
            "oauth_nonce",
            "oauth_signature",
            "oauth_signature_method",
            "oauth_timestamp",
        ] {
            let refusal = at(place, &with_parameter(name, None)).refusal().unwrap();
            assert_eq!(refusal.problem(), "parameter_absent");
            assert_eq!(refusal.parameters().names().collect::<Vec<_>>(), [name]);
        }
    }
    let refusal = WireRequest::get("/?oauth_token=x").refusal().unwrap();
    assert_eq!(refusal.parameters().names().count(), 5);
}

// P1
#[test]
fn plaintext_needs_neither_timestamp_nor_nonce() {
    let wire = WireRequest::get(
        "/?oauth_consumer_key=key&oauth_signature_method=PLAINTEXT&oauth_signature=s%26",
    );
    wire.parsed(|signed| assert_eq!((signed.timestamp(), signed.nonce()), (None, None)));
    let refusal = WireRequest::get("/?oauth_signature_method=PLAINTEXT")
        .refusal()
        .unwrap();
    let names: Vec<_> = refusal.parameters().names().collect();
    assert_eq!(names, ["oauth_consumer_key", "oauth_signature"]);
}

#[test]
fn plaintext_with_a_timestamp_or_nonce_must_have_good_ones() {
    let plaintext = with_parameter("oauth_signature_method", Some("PLAINTEXT"));
    at(ParameterPlace::Query, &plaintext)
        .parsed(|signed| assert_eq!(signed.timestamp(), Some(137_131_200)));
    let refusal =
        |from: &str, to: &str| at(ParameterPlace::Query, &plaintext.replace(from, to)).refusal();
    assert_eq!(
        refusal("oauth_timestamp=137131200", "oauth_timestamp=1x"),
        Some(Rejection::TimestampMalformed)
    );
    assert_eq!(
        refusal("oauth_nonce=n", "oauth_nonce="),
        Some(Rejection::Empty(ProtocolParameter::Nonce))
    );
}

// P2
#[test]
fn an_empty_token_is_no_token_and_is_signed() {
    for place in PLACES {
        let wire = at(place, &format!("{PARAMETERS}&oauth_token="));
        assert!(wire.parsed(|signed| signed.token().is_none()));
        assert!(wire.base_string().contains("oauth_token%3D"));
    }
    assert!(
        !at(ParameterPlace::Query, PARAMETERS)
            .base_string()
            .contains("oauth_token")
    );
}

// P3
#[test]
fn the_version_is_1_0_or_left_out() {
    assert!(
        at(
            ParameterPlace::Header,
            &format!("{PARAMETERS}&oauth_version=1.0")
        )
        .base_string()
        .contains("oauth_version%3D1.0")
    );
    assert!(
        !at(ParameterPlace::Header, PARAMETERS)
            .base_string()
            .contains("oauth_version")
    );
    for version in ["", "1.1", "1.0b", "2.0", "1.00", "%201.0"] {
        let wire = at(
            ParameterPlace::Header,
            &format!("{PARAMETERS}&oauth_version={version}"),
        );
        assert_eq!(
            wire.refusal(),
            Some(Rejection::VersionUnsupported),
            "{version}"
        );
    }
}

// P4
#[test]
fn a_repeated_protocol_parameter_is_refused() {
    for place in PLACES {
        for parameter in ProtocolParameter::ALL {
            for (first, second) in [("a", "a"), ("a", "b"), ("", "")] {
                let name = parameter.name();
                let form = format!(
                    "{}&{name}={first}&{name}={second}",
                    with_parameter(name, None)
                );
                let expected = Some(Rejection::Duplicate { parameter, place });
                assert_eq!(at(place, &form).refusal(), expected, "{form}");
            }
        }
        let form = format!("oauth_language=de&{PARAMETERS}&oauth_language=de");
        assert_eq!(
            at(place, &form).refusal(),
            Some(Rejection::DuplicateExtension(place))
        );
    }
}

// P4
#[test]
fn a_duplicate_is_found_behind_its_encoding() {
    for name in [
        "oauth%5Fnonce",
        "%6Fauth_nonce",
        "%6f%61uth_nonce",
        "oauth_n%6fnce",
    ] {
        let expected = Some(Rejection::Duplicate {
            parameter: ProtocolParameter::Nonce,
            place: ParameterPlace::Query,
        });
        assert_eq!(
            at(ParameterPlace::Query, &format!("{PARAMETERS}&{name}=x")).refusal(),
            expected,
            "{name}"
        );
    }
    let wire = at(
        ParameterPlace::Query,
        &format!("{PARAMETERS}&oauth_x=1&oauth%5Fx=1"),
    );
    assert_eq!(
        wire.refusal(),
        Some(Rejection::DuplicateExtension(ParameterPlace::Query))
    );
}

// P5
#[test]
fn all_protocol_parameters_stand_in_one_place() {
    for first in PLACES {
        for second in PLACES.into_iter().filter(|&second| second != first) {
            for stray in [
                "oauth_token=t",
                "oauth_language=de",
                "oauth_nonce=n",
                "oauth_=",
                "oauth%5Fx=1",
            ] {
                let mut wire = at(first, PARAMETERS);
                let other = at(second, stray);
                wire.authorization.extend(other.authorization);
                wire.content_type.extend(other.content_type);
                wire.target = [&wire.target[1..], &other.target[1..]].concat();
                wire.target.insert(0, b'/');
                wire.body = Some([wire.body.unwrap(), other.body.unwrap()].concat());
                assert_eq!(
                    wire.refusal(),
                    Some(Rejection::SeveralPlaces),
                    "{first:?} {second:?} {stray}"
                );
            }
        }
    }
}

// P5, the defect of libraries that merge the places
#[test]
fn parameters_are_not_gathered_from_two_places() {
    let (half, other) = PARAMETERS.split_once("&oauth_nonce").unwrap();
    let wire = WireRequest::get(&format!("/?oauth_nonce{other}")).authorization(header_of(half));
    assert_eq!(wire.refusal(), Some(Rejection::SeveralPlaces));
}

#[test]
fn a_verifier_may_stand_in_the_form_where_a_caller_permits_it() {
    let apart = in_header(PARAMETERS).body(FORM, "a=1&oauth_verifier=v");
    let together = in_header(&format!("{PARAMETERS}&oauth_verifier=v")).body(FORM, "a=1");
    assert_eq!(
        base_string(&apart, &with_verifier()),
        base_string(&together, &with_verifier()),
        "it is signed in either place"
    );
    assert_eq!(
        base_string(&apart, &ParseLimits::default()),
        Err(Rejection::SeveralPlaces)
    );
}

#[test]
fn only_one_verifier_may_stand_apart_and_only_in_the_form() {
    let twice = Rejection::Duplicate {
        parameter: ProtocolParameter::Verifier,
        place: ParameterPlace::Body,
    };
    let with_one = format!("{PARAMETERS}&oauth_verifier=");
    for wire in [
        in_header(&with_one).body(FORM, "oauth_verifier=v"),
        in_header(PARAMETERS).body(FORM, "oauth_verifier=v&oauth_verifier=v"),
    ] {
        assert_eq!(base_string(&wire, &with_verifier()), Err(twice), "{wire:?}");
    }
    for wire in [
        in_header(PARAMETERS).body(FORM, "oauth_verifier=v&oauth_token=t"),
        in_header(PARAMETERS).body(FORM, "oauth_callback=oob"),
        in_header(PARAMETERS).body(FORM, "oauth_verifier_=v"),
        WireRequest::get("/?oauth_verifier=v").in_header(),
        WireRequest::get(&format!("/?{PARAMETERS}")).body(FORM, "oauth_verifier=v"),
        WireRequest::get("/?oauth_verifier=v").body(FORM, PARAMETERS),
        in_header("oauth_verifier=v").body(FORM, PARAMETERS),
    ] {
        let refusal = Err(Rejection::SeveralPlaces);
        assert_eq!(base_string(&wire, &with_verifier()), refusal, "{wire:?}");
    }
}

fn with_verifier() -> ParseLimits {
    ParseLimits {
        verifier_in_form: true,
        ..ParseLimits::default()
    }
}

fn in_header(parameters: &str) -> WireRequest {
    WireRequest::get("/").authorization(header_of(parameters))
}

fn base_string(wire: &WireRequest, limits: &ParseLimits) -> Result<Vec<u8>, Rejection> {
    wire.with_request(|request| Ok(request.parse(limits)?.unwrap().base_string()))
}

// P6
#[test]
fn names_and_values_are_case_sensitive() {
    assert!(WireRequest::get("/?OAuth_Token=x&OAUTH_NONCE=y&Oauth_signature=z").is_unsigned());
    assert_eq!(
        WireRequest::get("/?OAuth_Nonce=x&OAuth_Nonce=x")
            .in_header()
            .parameters(),
        "OAuth_Nonce=x&OAuth_Nonce=x"
    );
    for method in [
        "hmac-sha1",
        "HMAC-SHA1 ",
        "HMAC-MD5",
        "RSA-PSS",
        "plaintext",
        "",
    ] {
        let form = with_parameter("oauth_signature_method", Some(method));
        let expected = match method {
            "" => Rejection::Empty(ProtocolParameter::SignatureMethod),
            _ => Rejection::SignatureMethodUnsupported,
        };
        assert_eq!(
            at(ParameterPlace::Query, &form).refusal(),
            Some(expected),
            "{method}"
        );
    }
}

// P7
#[test]
fn nonces_keys_and_tokens_are_of_any_length_and_alphabet() {
    for value in [
        "a",
        "wIjqoS",
        "0b2e7c1e-6a9f-4bd8-8b2a-9f6c0a1c2d3e",
        "a+/=",
        "ü ñ",
        "\u{7}%",
        "\"",
    ] {
        for place in PLACES {
            let sent = crate::oauth::encode::encoded(value.as_bytes());
            let form = with_parameter("oauth_nonce", Some(&sent)) + "&oauth_token=" + &sent;
            let form = form.replace(
                "oauth_consumer_key=key",
                &format!("oauth_consumer_key={sent}"),
            );
            at(place, &form).parsed(|signed| {
                assert_eq!(signed.nonce(), Some(value.as_bytes()));
                assert_eq!(signed.token(), Some(value.as_bytes()));
                assert_eq!(signed.consumer_key(), value.as_bytes());
            });
        }
    }
}

// P7
#[test]
fn a_value_has_an_upper_bound_and_most_may_not_be_empty() {
    for parameter in [
        ProtocolParameter::ConsumerKey,
        ProtocolParameter::Nonce,
        ProtocolParameter::Signature,
        ProtocolParameter::Timestamp,
    ] {
        let of = |value: &str| {
            at(
                ParameterPlace::Header,
                &with_parameter(parameter.name(), Some(value)),
            )
            .refusal()
        };
        assert_eq!(of(""), Some(Rejection::Empty(parameter)));
        assert_eq!(of(&"a".repeat(4097)), Some(Rejection::TooLong(parameter)));
    }
    // What counts is the decoded length.
    let nonce = "%00".repeat(4096);
    assert!(
        at(
            ParameterPlace::Header,
            &with_parameter("oauth_nonce", Some(&nonce))
        )
        .refusal()
        .is_none()
    );
}

// P8
#[test]
fn unknown_protocol_parameters_are_signed_and_not_refused() {
    for place in PLACES {
        let base_string = at(
            place,
            &format!("{PARAMETERS}&oauth_language=de&xoauth_x=y&oauth_="),
        )
        .base_string();
        for pair in ["oauth_language%3Dde", "xoauth_x%3Dy", "oauth_%3D%26"] {
            assert!(base_string.contains(pair), "{base_string}");
        }
    }
}

#[test]
fn a_timestamp_is_a_positive_whole_number() {
    let of = |text: &str| {
        at(
            ParameterPlace::Header,
            &with_parameter("oauth_timestamp", Some(text)),
        )
    };
    for (text, seconds) in [
        ("1", 1),
        ("137131200", 137_131_200),
        ("0137131200", 137_131_200),
        ("99999999999999", 99_999_999_999_999),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(
            of(text).parsed(|signed| signed.timestamp()),
            Some(seconds),
            "{text}"
        );
    }
    for text in [
        "0",
        "000",
        "+1",
        "-1",
        "1.5",
        "%201",
        "1%20",
        "1e9",
        "0x1",
        "١",
        "18446744073709551616",
        "now",
    ] {
        let sent = if text.is_ascii() {
            text.to_owned()
        } else {
            crate::oauth::encode::encoded(text.as_bytes())
        };
        assert_eq!(
            of(&sent).refusal(),
            Some(Rejection::TimestampMalformed),
            "{text}"
        );
    }
}

#[test]
fn a_timestamp_in_milliseconds_is_named_as_such() {
    let wire = at(
        ParameterPlace::Header,
        &with_parameter("oauth_timestamp", Some("1371312000000")),
    );
    assert_eq!(wire.refusal(), Some(Rejection::TimestampInMilliseconds));
}

#[test]
fn a_timestamp_is_signed_as_sent() {
    let wire = at(
        ParameterPlace::Header,
        &with_parameter("oauth_timestamp", Some("0137131200")),
    );
    assert!(wire.base_string().contains("oauth_timestamp%3D0137131200"));
}

#[test]
fn every_signature_method_has_its_name() {
    for method in SignatureMethod::ALL {
        let form = with_parameter("oauth_signature_method", Some(method.name()));
        assert_eq!(
            at(ParameterPlace::Query, &form).parsed(|signed| signed.signature_method()),
            method
        );
    }
}

#[test]
fn too_many_parameters_are_refused_also_when_none_is_signed() {
    let query = format!("/?{}", "a&".repeat(1001));
    assert_eq!(
        WireRequest::get(&query).refusal(),
        Some(Rejection::TooManyParameters)
    );
    assert_eq!(
        WireRequest::get(&query).in_header().refusal(),
        Some(Rejection::TooManyParameters)
    );
    assert!(
        WireRequest::get(&format!("/?{}", "a&".repeat(995)))
            .in_header()
            .refusal()
            .is_none()
    );
}

#[test]
fn a_request_without_protocol_parameters_is_unsigned_and_not_refused() {
    assert!(WireRequest::get("/").is_unsigned());
    assert!(WireRequest::get("/?a=b&xoauth_nonce=n&oaut").is_unsigned());
    assert!(WireRequest::get("/").body(FORM, "a=b").is_unsigned());
    assert!(
        WireRequest::get("/")
            .body("application/json", "oauth_nonce=n")
            .is_unsigned()
    );
    assert!(WireRequest::get("/?discount=100%").is_unsigned());
    assert!(
        WireRequest {
            body: None,
            ..WireRequest::get("/").body("application/json", "")
        }
        .is_unsigned()
    );
}

#[test]
fn an_unsigned_request_that_may_hide_protocol_parameters_is_refused() {
    let hidden = WireRequest {
        body: None,
        ..WireRequest::get("/").body(FORM, "")
    };
    assert_eq!(hidden.refusal(), Some(Rejection::BodyNotWhole));
    let several = WireRequest::get("/")
        .body(FORM, "")
        .body("text/plain", "oauth_nonce=n");
    assert_eq!(several.refusal(), Some(Rejection::SeveralContentTypes));
    assert_eq!(
        WireRequest::get("/?oauth_%zz=n").refusal(),
        Some(Rejection::BadEscape(ParameterPlace::Query))
    );
}

#[test]
fn a_bad_escape_in_query_or_body_is_refused_once_the_request_is_signed() {
    assert_eq!(
        WireRequest::get("/?discount=100%").in_header().refusal(),
        Some(Rejection::BadEscape(ParameterPlace::Query))
    );
    let body = WireRequest::get("/")
        .body(FORM, "discount=100%")
        .in_header();
    assert_eq!(
        body.refusal(),
        Some(Rejection::BadEscape(ParameterPlace::Body))
    );
    let own = at(
        ParameterPlace::Query,
        &with_parameter("oauth_nonce", Some("%4")),
    );
    assert_eq!(
        own.refusal(),
        Some(Rejection::BadEscape(ParameterPlace::Query))
    );
}

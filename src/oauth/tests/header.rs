//! RFC 5849 section 3.5.1: the `Authorization` header.

use super::*;

fn read(header: &str) -> WireRequest {
    WireRequest::get("/").authorization(header)
}

fn with(more: &str) -> WireRequest {
    read(&format!("{}, {more}", header_of(PARAMETERS)))
}

#[test]
fn the_scheme_is_compared_without_regard_to_case() {
    for scheme in ["OAuth", "oauth", "OAUTH", "oAuTh"] {
        let header = header_of(PARAMETERS).replacen("OAuth", scheme, 1);
        assert!(
            read(&header).parsed(|signed| signed.in_header()),
            "{scheme}"
        );
    }
}

#[test]
fn white_space_between_parameters_is_optional_and_of_any_kind() {
    let expected = WireRequest::get("/").in_header().base_string();
    for separator in [",", ", ", " , ", ",\t", "\t,\t ", ",\r\n  ", " ,, ", ", ,"] {
        assert_eq!(
            read(&header_of(PARAMETERS).replace(", ", separator)).base_string(),
            expected,
            "{separator:?}"
        );
    }
    for (around, instead) in [
        ("OAuth ", "OAuth\t"),
        ("OAuth ", "  OAuth   "),
        ("=\"", " = \""),
    ] {
        assert_eq!(
            read(&header_of(PARAMETERS).replace(around, instead)).base_string(),
            expected,
            "{instead:?}"
        );
    }
    assert_eq!(
        read(&format!("{} , ", header_of(PARAMETERS))).base_string(),
        expected
    );
}

#[test]
fn a_plus_in_a_value_is_a_plus() {
    assert_eq!(with(r#"a="1+2""#).parameters(), "a=1%2B2");
}

#[test]
fn raw_base64_in_a_value_stays_the_same() {
    assert_eq!(with(r#"a="+/=&""#).parameters(), "a=%2B%2F%3D%26");
}

#[test]
fn an_application_parameter_in_the_header_is_signed() {
    assert_eq!(
        with(r#"x_mode="a", b="", a="2", a="1""#).parameters(),
        "a=1&a=2&b=&x_mode=a"
    );
}

#[test]
fn a_name_may_be_percent_encoded() {
    assert_eq!(with(r#"oauth%5Fnonce="x""#).refusal(), duplicate_nonce());
    assert_eq!(with(r#"a%5B%5d="x""#).parameters(), "a%5B%5D=x");
}

#[test]
fn the_realm_is_not_signed_and_not_decoded() {
    for realm in [
        "Photos",
        "",
        "1234567_SB1",
        "a, b=\\\"c\\\"",
        "http://photos.example.net/",
        "100%zz",
        "\\\\",
    ] {
        let wire = with(&format!("realm=\"{realm}\""));
        assert_eq!(
            wire.base_string(),
            WireRequest::get("/").in_header().base_string(),
            "{realm}"
        );
        let text = realm.replace("\\\"", "\"").replace("\\\\", "\\");
        assert!(
            wire.parsed(|signed| signed.realm() == Some(text.as_bytes())),
            "{realm}"
        );
    }
    assert!(
        WireRequest::get("/")
            .in_header()
            .parsed(|signed| signed.realm().is_none())
    );
}

#[test]
fn a_realm_outside_of_the_header_is_an_ordinary_parameter() {
    assert_eq!(
        WireRequest::get("/?realm=Photos").in_header().parameters(),
        "realm=Photos"
    );
}

#[test]
fn a_second_realm_is_malformed() {
    assert_eq!(
        with(r#"realm="a", Realm="b""#).refusal(),
        Some(Rejection::HeaderMalformed)
    );
}

#[test]
fn a_header_that_is_not_a_list_of_quoted_values_is_malformed() {
    for header in [
        "OAuth oauth_nonce=abc",
        "OAuth oauth_nonce",
        "OAuth oauth_nonce=",
        "OAuth oauth_nonce=\"abc",
        "OAuth oauth_nonce=\"abc\\\"",
        "OAuth oauth_nonce=\"a\\bc\"",
        "OAuth oauth_nonce=\"abc\"oauth_token=\"x\"",
        "OAuth oauth_nonce=\"abc\" oauth_token=\"x\"",
        "OAuth oauth_nonce=\"abc\"; oauth_token=\"x\"",
        "OAuth =\"abc\"",
        "OAuth \"abc\"",
        "OAuth oauth_nonce=='a'",
        "OAuth\"abc\"",
        "OAuth=",
        "OAuth:x",
        "OAuth oauth_nonce \t, oauth_token=\"x\"",
        "OAuth oauth_nonce\"abc\"",
    ] {
        assert_eq!(
            read(header).refusal(),
            Some(Rejection::HeaderMalformed),
            "{header}"
        );
    }
    let no_space = header_of(PARAMETERS).replacen("OAuth ", "OAuth,", 1);
    assert_eq!(read(&no_space).refusal(), Some(Rejection::HeaderMalformed));
}

#[test]
fn a_bad_escape_is_refused_in_name_and_value() {
    for pair in [r#"a="%G1""#, r#"a="%4""#, r#"a="%""#, r#"%zz="a""#] {
        assert_eq!(
            with(pair).refusal(),
            Some(Rejection::BadEscape(ParameterPlace::Header)),
            "{pair}"
        );
    }
}

// P4
#[test]
fn a_duplicate_in_the_header_is_refused_and_not_collapsed() {
    assert_eq!(with(r#"oauth_nonce="n""#).refusal(), duplicate_nonce());
}

#[test]
fn another_scheme_is_no_signature() {
    for header in [
        "Bearer oauth_token",
        "Basic dTpw",
        "OAuth2 x",
        "oauth_token=\"x\"",
        "Bearer a,b,oauth=\"c\"",
        "",
        " ",
    ] {
        assert!(read(header).is_unsigned(), "{header}");
    }
    let two = WireRequest::get("/")
        .authorization("Bearer a")
        .authorization("Basic b");
    assert!(two.is_unsigned());
}

#[test]
fn a_request_may_be_signed_beside_another_scheme_in_the_query() {
    let wire = WireRequest::get(&format!("/?{PARAMETERS}")).authorization("Bearer a");
    assert!(!wire.parsed(|signed| signed.in_header()));
}

#[test]
fn two_authorization_headers_are_refused() {
    let several = Some(Rejection::SeveralAuthorizations);
    for other in [
        &*header_of(PARAMETERS),
        "OAuth a=\"b\"",
        "OAuth",
        "Bearer a",
        "Basic b",
        "",
    ] {
        assert_eq!(
            WireRequest::get("/")
                .in_header()
                .authorization(other)
                .refusal(),
            several,
            "{other}"
        );
        assert_eq!(
            WireRequest::get("/")
                .authorization(other)
                .in_header()
                .refusal(),
            several,
            "{other}"
        );
    }
}

#[test]
fn two_authorization_headers_joined_by_a_proxy_are_refused() {
    let signed = header_of(PARAMETERS);
    for joined in [
        format!("{signed},{signed}"),
        "OAuth a=\"1\",OAuth b=\"2\"".to_owned(),
        format!("{signed},OAuth"),
        format!("{signed}, oauth\tb=\"2\""),
        format!("{signed},Bearer a"),
        format!("{signed}, Digest username=\"u\""),
        format!("Bearer a,{signed}"),
        format!("Bearer a , {signed}"),
        format!("Basic b,{}", signed.to_lowercase()),
        format!("Digest realm=\"x,{signed}"),
        format!(",{signed}"),
        "Bearer a,OAuth".to_owned(),
    ] {
        assert_eq!(
            read(&joined).refusal(),
            Some(Rejection::SeveralAuthorizations),
            "{joined}"
        );
    }
}

#[test]
fn the_scheme_without_protocol_parameters_is_malformed_and_not_unsigned() {
    for header in [
        "OAuth",
        "oauth ",
        "OAuth realm=\"Photos\"",
        "OAuth a=\"b\"",
        "OAuth OAuth_Nonce=\"n\"",
        "OAuth ,",
    ] {
        let refusal = read(header).refusal().unwrap();
        assert_eq!(refusal.reason(), "parameter_absent", "{header}");
        let names: Vec<_> = refusal.parameters().names().collect();
        let all = [
            "oauth_consumer_key",
            "oauth_nonce",
            "oauth_signature",
            "oauth_signature_method",
            "oauth_timestamp",
        ];
        assert_eq!(names, all, "{header}");
    }
}

#[test]
fn the_realm_does_not_count_as_a_place() {
    let wire = WireRequest::get(&format!("/?{PARAMETERS}")).authorization("OAuth realm=\"Photos\"");
    assert!(wire.parsed(|signed| signed.realm() == Some(b"Photos") && !signed.in_header()));
}

fn duplicate_nonce() -> Option<Rejection> {
    Some(Rejection::Duplicate {
        parameter: crate::oauth::ProtocolParameter::Nonce,
        place: ParameterPlace::Header,
    })
}

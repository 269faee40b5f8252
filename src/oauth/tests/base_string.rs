//! RFC 5849 section 3.4.1: the signature base string.

use proptest::prelude::*;

use super::*;
use crate::oauth::base_string::BaseString;
use crate::oauth::message::{BUFFER_SIZE, Message as _};
use crate::oauth::pair::ParameterPair;
use crate::oauth::uri::BaseUri;

/// Returns the second part of the base string, decoded.
fn uri(wire: &WireRequest) -> String {
    decoded(wire.base_string().split('&').nth(1).unwrap())
}

fn at(scheme: Scheme, authority: &str, target: &str) -> WireRequest {
    WireRequest {
        scheme,
        authority: authority.into(),
        ..WireRequest::get(target)
    }
    .in_header()
}

fn query(query: &str) -> String {
    WireRequest::get(&format!("/?{query}"))
        .in_header()
        .parameters()
}

fn form(body: &str) -> String {
    WireRequest::get("/")
        .body(FORM, body)
        .in_header()
        .parameters()
}

// 3.4.1.1
#[test]
fn the_method_is_in_upper_case_and_encoded() {
    for (method, first) in [
        ("GET", "GET"),
        ("post", "POST"),
        ("HEAD", "HEAD"),
        ("M-SEARCH", "M-SEARCH"),
        ("A*B", "A%2AB"),
    ] {
        let wire = WireRequest {
            method: method.into(),
            ..WireRequest::get("/").in_header()
        };
        assert!(
            wire.base_string().starts_with(&format!("{first}&https")),
            "{method}"
        );
    }
}

// 3.4.1.2
#[test]
fn the_host_is_in_lower_case() {
    assert_eq!(
        uri(&at(Scheme::Http, "EXAMPLE.Com", "/r%20v/X?id=123")),
        "http://example.com/r%20v/X"
    );
    assert_eq!(
        uri(&at(Scheme::Http, "LOCALHOST", "/")),
        "http://localhost/"
    );
    assert_eq!(
        uri(&at(Scheme::Https, "[2001:DB8::1]", "/")),
        "https://[2001:db8::1]/"
    );
}

// 3.4.1.2
#[test]
fn a_port_is_left_out_when_it_is_the_default_of_the_scheme() {
    for (scheme, authority, expected) in [
        (Scheme::Http, "h:80", "http://h/"),
        (Scheme::Https, "h:443", "https://h/"),
        (Scheme::Http, "h:443", "http://h:443/"),
        (Scheme::Https, "h:80", "https://h:80/"),
        (Scheme::Http, "h:8080", "http://h:8080/"),
        (Scheme::Http, "h:080", "http://h:080/"),
        (Scheme::Http, "h:", "http://h/"),
        (Scheme::Https, "[::1]:443", "https://[::1]/"),
        (Scheme::Https, "[::1]:8443", "https://[::1]:8443/"),
        (Scheme::Https, "[::1]:", "https://[::1]/"),
    ] {
        assert_eq!(uri(&at(scheme, authority, "/")), expected);
    }
}

// 3.4.1.2
#[test]
fn the_path_is_signed_exactly_as_it_was_sent() {
    for path in [
        "/",
        "/a/../b",
        "/a/./b",
        "//x//y",
        "/%7Euser/%2f/%2F",
        "/;matrix=1,2;b",
        "/:@!$&'()*+,=",
        "/a%20b",
        "/a+b",
        "/A%c3%a9",
        "/foo(bar",
        "/a\\b",
    ] {
        assert_eq!(
            uri(&at(Scheme::Https, "h", path)),
            format!("https://h{path}"),
            "{path}"
        );
    }
    assert!(
        at(Scheme::Https, "h", "/a%20b")
            .base_string()
            .contains("%2Fa%2520b&")
    );
}

// 3.4.1.2
#[test]
fn an_empty_path_is_a_slash() {
    for target in ["", "?", "?a=b"] {
        assert_eq!(uri(&at(Scheme::Https, "h", target)), "https://h/");
    }
}

#[test]
fn a_stripped_path_prefix_is_signed_in_front() {
    let wire = WireRequest {
        path_prefix: b"/v1%20x".into(),
        ..WireRequest::get("/r?a=b").in_header()
    };
    assert_eq!(uri(&wire), "https://api.example.com/v1%20x/r");
    assert_eq!(wire.parameters(), "a=b");
}

#[test]
fn the_query_begins_at_the_first_question_mark() {
    let wire = at(Scheme::Https, "h", "/r?a=b?c=d&e?=/f");
    assert_eq!(uri(&wire), "https://h/r");
    assert_eq!(wire.parameters(), "a=b%3Fc%3Dd&e%3F=%2Ff");
}

#[test]
fn a_target_that_is_not_a_path_is_malformed() {
    for target in [
        "*",
        "r",
        "https://h/r",
        "h:443",
        "/r#f",
        "/r?a#f",
        "#",
        "/#?a=b",
    ] {
        assert_eq!(
            at(Scheme::Https, "h", target).refusal(),
            Some(Rejection::TargetMalformed),
            "{target}"
        );
    }
    assert!(WireRequest::get("*").is_unsigned());
}

#[test]
fn a_host_header_that_is_not_one_host_is_malformed() {
    for authority in [
        "", ":80", "a,b", "a, b", "a b", "a\t", "a\0", "a\u{7f}", "u@h", "u:p@h", "h/", "h?a",
        "h#a", "h\\a", "h:8o", "h:80:80", "::1", "[]", "[::1", "[::1]x", "[::1]:x", "[a/b]",
        "[::1]]", "é", "h:+80", "a\"b", "<h>",
    ] {
        assert_eq!(
            at(Scheme::Https, authority, "/").refusal(),
            Some(Rejection::AuthorityMalformed),
            "{authority:?}"
        );
    }
}

// RFC 3986 section 3.2.2
#[test]
fn a_host_has_the_characters_of_a_registered_name_except_a_comma() {
    let accepted: Vec<u8> = (0..=u8::MAX)
        .filter(|&byte| {
            let wire = WireRequest {
                authority: vec![b'a', byte, b'b'],
                ..WireRequest::get("/").in_header()
            };
            wire.refusal().is_none()
        })
        .collect();
    let mut expected = b"!$%&'()*+-.;=_~".to_vec();
    expected.extend((0..=u8::MAX).filter(u8::is_ascii_alphanumeric));
    expected.sort_unstable();
    assert_eq!(accepted, expected);
}

// 3.4.1.3.1
#[test]
fn a_query_is_read_as_a_form() {
    for (sent, expected) in [
        ("a=2+q", "a=2%20q"),
        ("a=2%2Bq", "a=2%2Bq"),
        ("a", "a="),
        ("a=", "a="),
        ("=a", "=a"),
        ("a==b", "a=%3Db"),
        ("a=b;c=d", "a=b%3Bc%3Dd"),
        ("&&a=b&", "a=b"),
        ("b5=%3D%253D", "b5=%3D%253D"),
        ("a=%00", "a=%00"),
        ("a=%e2%98%83", "a=%E2%98%83"),
        ("a=\u{2603}", "a=%E2%98%83"),
        ("a[b]=c&a%5Bb%5D=d", "a%5Bb%5D=c&a%5Bb%5D=d"),
        ("a=!*'()~", "a=%21%2A%27%28%29~"),
    ] {
        assert_eq!(query(sent), expected, "{sent}");
        assert_eq!(form(sent), expected, "{sent}");
    }
}

// 3.4.1.3.1
#[test]
fn every_occurrence_of_a_name_is_kept() {
    assert_eq!(query("a=1&a=1&a=0"), "a=0&a=1&a=1");
    assert_eq!(
        WireRequest::get("/?a=2")
            .body(FORM, "a=2&a=1")
            .in_header()
            .parameters(),
        "a=1&a=2&a=2"
    );
}

// 3.4.1.3.1
#[test]
fn bytes_that_are_not_utf_8_are_kept_apart() {
    let wire = |query| WireRequest::get(query).in_header().base_string();
    assert_ne!(wire("/?a=%FF"), wire("/?a=%FE"));
    assert!(wire("/?a=%ff").contains("a%3D%25FF"));
}

// 3.4.1.3.1
#[test]
fn a_body_counts_only_when_its_media_type_is_the_form() {
    for content_type in [
        FORM,
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=\"a,b\"",
        "Application/X-WWW-Form-Urlencoded",
        "  application/x-www-form-urlencoded \t; a=b",
        "application/x-www-form-urlencoded text/plain",
        "application/x-www-form-urlencoded\u{b}",
    ] {
        let wire = WireRequest::get("/").body(content_type, "a=b").in_header();
        assert_eq!(wire.parameters(), "a=b", "{content_type}");
    }
    for content_type in [
        "text/plain",
        "multipart/form-data; boundary=application/x-www-form-urlencoded",
        "multipart/form-data; boundary=\"a,b\"",
        "application/x-www-form-urlencoded-not",
        "x-application/x-www-form-urlencoded",
        "application/json; was=application/x-www-form-urlencoded",
        "",
    ] {
        let wire = WireRequest::get("/").body(content_type, "a=b").in_header();
        assert_eq!(wire.parameters(), "", "{content_type}");
    }
    let untyped = WireRequest {
        body: Some(b"a=b".into()),
        ..WireRequest::get("/").in_header()
    };
    assert_eq!(untyped.parameters(), "");
}

// 3.4.1.3.1 and appendix A
#[test]
fn a_form_counts_with_every_method() {
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] {
        let wire = WireRequest {
            method: method.into(),
            ..WireRequest::get("/").body(FORM, "a=b").in_header()
        };
        assert_eq!(wire.parameters(), "a=b", "{method}");
    }
}

#[test]
fn an_incomplete_form_is_not_signed_as_an_empty_one() {
    let wire = WireRequest {
        body: None,
        ..WireRequest::get("/").body(FORM, "").in_header()
    };
    assert_eq!(wire.refusal(), Some(Rejection::BodyNotWhole));
    let wire = WireRequest {
        body: None,
        ..WireRequest::get("/").body("text/plain", "").in_header()
    };
    assert_eq!(wire.refusal(), None);
}

#[test]
fn several_content_types_are_refused() {
    let two = WireRequest::get("/")
        .body(FORM, "")
        .body(FORM, "")
        .in_header();
    assert_eq!(two.refusal(), Some(Rejection::SeveralContentTypes));
    for first in ["text/plain", "multipart/form-data; boundary=\"a,b\""] {
        let joined = WireRequest::get("/")
            .body(&format!("{first},{FORM}"), "a=b")
            .in_header();
        assert_eq!(joined.refusal(), Some(Rejection::SeveralContentTypes));
    }
}

// 3.4.1.3.1
#[test]
fn the_signature_is_not_signed_and_nothing_is_added() {
    for place in ["header", "query", "body"] {
        let wire = match place {
            "header" => WireRequest::get("/").in_header(),
            "query" => WireRequest::get(&format!("/?{PARAMETERS}")),
            _ => WireRequest::get("/").body(FORM, PARAMETERS),
        };
        let expected = "GET&https%3A%2F%2Fapi.example.com%2F&oauth_consumer_key%3Dkey%26oauth_nonce%3Dn\
                        %26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131200";
        assert_eq!(wire.base_string(), expected, "{place}");
    }
}

// 3.4.1.3.2
#[test]
fn parameters_are_sorted_by_encoded_name_then_by_encoded_value() {
    assert_eq!(
        query("a-b=1&a=2&a1=3&a.b=4&a%2Bb=5&a=10&A=0"),
        "A=0&a=10&a=2&a%2Bb=5&a-b=1&a.b=4&a1=3"
    );
    assert_eq!(
        query("%E3%83%AB=eel&.=ape&%20=dog"),
        "%20=dog&%E3%83%AB=eel&.=ape"
    );
    assert_eq!(query("a=x!y&a=x+y"), "a=x%20y&a=x%21y");
}

#[test]
fn a_masked_base_string_shows_only_values_of_the_protocol() {
    let wire = WireRequest::get("/r?pin=1234")
        .body(FORM, "x_auth_password=hunter2&oauth=1")
        .in_header();
    let masked = wire.parsed(|signed| String::from_utf8(signed.masked_base_string()).unwrap());
    let expected = "GET&https%3A%2F%2Fapi.example.com%2Fr&oauth%3D***%26oauth_consumer_key%3Dkey%26oauth_nonce%3Dn\
                    %26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131200%26pin%3D***\
                    %26x_auth_password%3D***";
    assert_eq!(masked, expected);
}

/// Generates lengths around the size of the piece buffer, and lengths that flush it many times.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..8_usize,
        BUFFER_SIZE - 90..BUFFER_SIZE + 8,
        0..4 * BUFFER_SIZE
    ]
}

proptest! {
    #[test]
    fn the_hashed_pieces_are_the_base_string_at_any_length(
        (path, name, value) in (lengths(), lengths(), lengths()),
        letter in prop_oneof![Just("a"), Just("%20")],
    ) {
        let wire = WireRequest::get(&format!("/{}", letter.repeat(path)));
        let pairs = vec![ParameterPair::encode(&b"n".repeat(name), letter.repeat(value).as_bytes())];
        wire.with_request(|request| {
            let base_string = BaseString::new(b"GET", BaseUri::of(&request).unwrap(), pairs);
            let mut hashed = Vec::new();
            base_string.write(&mut |piece| hashed.extend_from_slice(piece));
            assert_eq!(hashed, base_string.to_vec());
        });
    }
}

#[test]
fn a_masked_base_string_shows_no_body_that_is_sent_as_a_form() {
    for body in [
        r#"{"password":"swordfish"}"#,
        r#"{"password":"swordfish="}"#,
        "swordfish",
    ] {
        let wire = WireRequest {
            method: b"POST".into(),
            ..WireRequest::get("/?swordfish").in_header().body(FORM, body)
        };
        let masked = wire.parsed(|signed| String::from_utf8(signed.masked_base_string()).unwrap());
        assert!(
            !masked.contains("swordfish") && !masked.contains("password"),
            "{masked}"
        );
    }
}

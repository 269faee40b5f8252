//! Remedies of causes that an attacker can bring about: with a request for another server, with a
//! changed request, or with values that everybody knows.

use MismatchCause::*;

use super::diagnosis_client::{Case, Client};
use crate::oauth::diagnosis::MismatchCause;

#[test]
fn an_origin_that_nobody_named_is_set_only_by_an_operator_who_knows_of_a_proxy() {
    for (causes, arrives, signed) in OTHER_SERVERS {
        let case = Case::new(causes, signed, arrives, |client| sign_url(client, signed));
        let found = case.explained().unwrap_or_else(|| panic!("{signed}"));
        assert_eq!(found.causes, *causes, "{signed}");
        let remedy = &found.remedy;
        let (by_client, by_operator) = remedy
            .split_once("only if you know that your own proxy ")
            .unwrap_or_else(|| panic!("{signed}: {remedy}"));
        assert!(by_client.contains("make it sign the "), "{remedy}");
        assert!(!by_client.contains("origin = "), "{remedy}");
        assert!(by_operator.contains("set `origin = \""), "{remedy}");
    }
}

/// A request keeps its realm, and a browser its headers, wherever it is sent.
#[test]
fn a_realm_or_a_browser_names_no_origin() {
    for header in ["realm", "Origin", "Referer"] {
        let url = "https://a.example.net/v1";
        let case = Case::new(&[Host], header, "https://api.example.com/v1", |client| {
            client.authority = "a.example.net".to_owned()
        });
        let case = match header {
            "realm" => case.realm(url),
            header => case.header(header, url),
        };
        let remedy = case.explained().unwrap().remedy;
        assert!(
            remedy.contains("only if you know that your own proxy changes the host"),
            "{header}: {remedy}"
        );
    }
}

#[test]
fn a_wrong_setting_is_not_corrected_by_an_origin_that_nobody_named() {
    let url = "http://api.example.com/a";
    let case = Case::new(&[Scheme, PathPrefixStripped], "a stage", url, |client| {
        sign_url(client, "https://api.example.com/test/a")
    });
    let case = case.received(super::Scheme::Https, "api.example.com");
    let remedy = case.explained().unwrap().remedy;
    assert!(remedy.contains("only if you know"), "{remedy}");
}

#[test]
fn an_origin_that_a_proxy_names_is_recommended() {
    let case = Case::new(
        &[Host],
        "a header",
        "https://inner.example.com/photos",
        |client| client.authority = "dev.inner.example.com".to_owned(),
    );
    let remedy = case
        .header("X-Forwarded-Host", "dev.inner.example.com")
        .explained()
        .unwrap()
        .remedy;
    assert!(
        remedy.ends_with("set `origin = \"https://dev.inner.example.com\"`"),
        "{remedy}"
    );
}

#[test]
fn a_remedy_does_not_exclude_that_somebody_changed_the_request() {
    for (cause, target, signed) in TAMPERED {
        let url = format!("https://api.example.com{target}");
        let case = Case::new(&[*cause], signed, &url, |client| {
            let (path, query) = signed.split_once('?').unwrap_or((signed, ""));
            client.path = path.to_owned();
            client.parameters = pairs(query);
        });
        let found = case.explained().unwrap_or_else(|| panic!("{target}"));
        assert_eq!(found.causes, [*cause], "{target}");
        assert!(
            found.remedy.contains(", or somebody "),
            "{target}: {}",
            found.remedy
        );
    }
}

#[test]
fn a_later_timestamp_may_be_that_of_an_attacker() {
    let case = Case::new(&[Timestamp], "an hour", PHOTOS, |client| {
        client.signs("oauth_timestamp", "1699996400")
    });
    let remedy = case.explained().unwrap().remedy;
    assert!(remedy.contains(", or somebody "), "{remedy}");
}

#[test]
fn a_json_text_with_a_repeated_name_has_no_cause() {
    for (sent, signed) in [
        (
            r#"{"admin":true,"id":1,"admin":false}"#,
            r#"{"admin":false,"id":1}"#,
        ),
        (r#"[{"b":1,"a":2,"b":3}]"#, r#"[{"a":2,"b":3}]"#),
    ] {
        let case = Case::new(&[], signed, "https://api.example.com/photos", |client| {
            client.parameters = vec![("f".to_owned(), signed.to_owned())];
        });
        let case = case.target(&format!(
            "/photos?f={}",
            super::diagnosis_client::escaped(sent)
        ));
        assert_eq!(case.explained().map(|found| found.cause()), None, "{sent}");
    }
    let body = r#"{"admin":true,"id":1,"admin":false}"#;
    let case = Case::new(&[], body, "https://api.example.com/photos", |client| {
        client.parameters = pairs("admin=false&id=1");
    });
    let case = case.body("application/json", body);
    assert_eq!(case.explained().map(|found| found.cause()), None);
}

#[test]
fn a_timestamp_has_the_words_for_its_mistake() {
    for (signed, words) in [
        ("1700000001", "read the clock once"),
        ("1700000000000", "in milliseconds"),
        ("1700000000.0", "with a fraction"),
        ("", "an empty `oauth_timestamp`"),
        ("1700003600", "local time"),
        ("1700019800", "local time"),
    ] {
        let case = Case::new(&[Timestamp], signed, PHOTOS, move |client| {
            client.signs("oauth_timestamp", signed)
        });
        let remedy = case.explained().unwrap().remedy;
        assert!(remedy.contains(words), "{signed}: {remedy}");
    }
}

#[test]
fn an_authority_that_no_request_can_have_has_the_words_for_its_mistake() {
    for (arrives, signed, words) in [
        ("api.example.com", "api.example.com:443", "default port"),
        (
            "api.example.com",
            "api.example.com:undefined",
            "no port number",
        ),
        ("api.example.com", "api.example.com:", "no port number"),
        ("api.example.com", "api.example.com:-1", "no port number"),
        ("api.example.com", "api.example.com:0", "no port number"),
        (
            "api.example.com",
            "dpf43f3p2l4k3l03@api.example.com",
            "user name",
        ),
        (
            "api.example.com",
            "user:password@api.example.com",
            "user name",
        ),
        ("api.example.com", "api.example.com ", "white space"),
        ("[2001:db8::1]", "[2001:db8:0:0:0:0:0:1]", "IPv6 address"),
        (
            "xn--mnchen-3ya.example",
            "m\u{fc}nchen.example",
            "in Unicode",
        ),
    ] {
        let url = format!("https://{arrives}/photos");
        let case = Case::new(&[], signed, &url, move |client| {
            client.authority = signed.to_owned()
        });
        let found = case.explained().unwrap_or_else(|| panic!("{signed}"));
        let remedy = found.remedy;
        assert!(remedy.contains(words), "{signed}: {remedy}");
        assert!(remedy.contains(signed), "{signed}: {remedy}");
        assert!(!remedy.contains("origin"), "{signed}: {remedy}");
    }
}

#[test]
fn a_key_of_public_values_may_be_that_of_anybody() {
    let remedy = |key: &'static str, token| {
        let case = Case::new(&[SecretIsIdentifier], key, PHOTOS, move |client| {
            client.key = Some(key.into())
        });
        let case = case.secrets("kd94hf93k423kf44", token);
        case.explained().unwrap_or_else(|| panic!("{key}")).remedy
    };
    let token = Some("pfkkdhi9sl3r4s00");
    for (key, token) in [
        ("dpf43f3p2l4k3l03&", None),
        ("dpf43f3p2l4k3l03&nnch734d00sl2jdk", token),
        ("nnch734d00sl2jdk&dpf43f3p2l4k3l03", token),
    ] {
        let remedy = remedy(key, token);
        assert!(remedy.contains("anybody can"), "{key}: {remedy}");
    }
    for key in [
        "kd94hf93k423kf44&nnch734d00sl2jdk",
        "dpf43f3p2l4k3l03&pfkkdhi9sl3r4s00",
    ] {
        let remedy = remedy(key, token);
        assert!(!remedy.contains("anybody"), "{key}: {remedy}");
    }
}

const PHOTOS: &str = "https://api.example.com/photos?size=original";

/// The causes, the URL that arrives, and that of another server, which the client signs.
const OTHER_SERVERS: &[(&[MismatchCause], &str, &str)] = &[
    (
        &[PathPrefixStripped],
        "https://api.example.com/a",
        "https://api.example.com/test/a",
    ),
    (
        &[PathPrefixStripped],
        "https://api.example.com/a",
        "https://api.example.com/v1/a",
    ),
    (
        &[Host],
        "https://example.com/a",
        "https://dev.example.com/a",
    ),
    (
        &[Host],
        "https://www.example.com/a",
        "https://example.com/a",
    ),
    (&[Host], "https://backend/a", "https://localhost:3000/a"),
    (
        &[Scheme, Host],
        "https://backend/a",
        "http://localhost:3000/a",
    ),
    (
        &[Scheme, Host],
        "https://example.com/a",
        "http://staging.example.com/a",
    ),
    (
        &[Scheme, PathPrefixStripped],
        "https://api.example.com/a",
        "http://api.example.com/dev/a",
    ),
    (
        &[Port],
        "https://api.example.com/a",
        "https://api.example.com:8443/a",
    ),
    (
        &[Scheme, Port],
        "https://api.example.com/a",
        "http://api.example.com:3000/a",
    ),
];

/// The cause, the target that arrives, and the one that the client signs, decoded.
const TAMPERED: &[(MismatchCause, &str, &str)] = &[
    (PathRewritten, "/accounts/7/delete", "/accounts/7"),
    (PathRewritten, "/v2/photos", "/v1/photos"),
    (PathRewritten, "/photos.json", "/photos"),
    (PathRewritten, "/users/42", "/users/{id}"),
    (ValuesChanged, "/photos?admin=1", "/photos?admin=true"),
    (ValueLeftOut, "/photos?n=0", "/photos?n="),
    (ValuesChanged, "/photos?to=from", "/photos?from=to"),
    (ValueLeftOut, "/photos?a=1&b=2", "/photos?a=1&b="),
    (ValueLeftOut, "/photos?a=1%26x", "/photos?a=1"),
    (ValueLeftOut, "/photos?a=1=x", "/photos?a=1"),
    (RepeatedName, "/photos?a=1&b=2&a=3", "/photos?a=1&b=2"),
    (ParameterLeftOut, "/photos?a=1&b=2", "/photos?a=1"),
    (QueryLeftOut, "/photos?a=1", "/photos"),
];

fn sign_url(client: &mut Client, url: &str) {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap());
    client.scheme = scheme.to_owned();
    client.authority = authority.to_owned();
    client.path = path.to_owned();
}

/// Turns `a=1&b=2` into pairs, without decoding.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

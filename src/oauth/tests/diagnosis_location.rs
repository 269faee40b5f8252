//! Mismatches of the request line, except the path alone: method, scheme, host and port.

use MismatchCause::*;

use super::diagnosis_client::{Case, Client, assert_explained};
use crate::oauth::diagnosis::MismatchCause;

#[test]
fn every_change_of_the_origin_is_named() {
    assert_explained(&of(ORIGINS));
}

#[test]
fn every_host_that_a_header_names_is_tried() {
    assert_explained(&of(NAMED_HOSTS));
}

#[test]
fn a_configured_origin_is_blamed_if_it_is_wrong() {
    assert_explained(&configured());
}

#[test]
fn every_change_of_the_method_is_named() {
    assert_explained(&methods());
}

#[test]
fn changes_of_two_parts_are_named_together() {
    assert_explained(&of(PAIRS));
    assert_explained(&with_scheme());
}

#[test]
fn the_header_that_names_a_method_is_named() {
    let found = methods().into_iter().map(|case| case.explained().unwrap());
    let remedies: Vec<_> = found.map(|found| found.remedy).collect();
    for header in [
        "`x-http-method-override`",
        "`x-method-override`",
        "`x-forwarded-method`",
    ] {
        assert!(remedies.iter().any(|remedy| remedy.contains(header)));
    }
}

/// Returns every case of this file.
pub(super) fn cases() -> Vec<Case> {
    let tables = [ORIGINS, NAMED_HOSTS, PAIRS];
    let mut cases: Vec<_> = tables.into_iter().flat_map(of).collect();
    cases.extend(configured());
    cases.extend(methods());
    cases.extend(with_scheme());
    cases
}

/// The causes, the URL that arrives, the URL up to its query that the client signs, and the headers
/// that name it.
pub(super) type Row = (
    &'static [MismatchCause],
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

pub(super) fn of(rows: &[Row]) -> Vec<Case> {
    let case = |&(causes, arrives, signed, headers): &Row| {
        let what = format!("{signed} is signed");
        let case = Case::new(causes, &what, arrives, move |client| {
            let (scheme, rest) = signed.split_once("://").unwrap();
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            client.scheme = scheme.to_owned();
            client.authority = authority.to_owned();
            client.path = path.to_owned();
        });
        headers
            .iter()
            .fold(case, |case, (name, value)| match *name {
                "realm" => case.realm(value),
                name => case.header(name, value),
            })
    };
    rows.iter().map(case).collect()
}

fn configured() -> Vec<Case> {
    let signed = |cause, url, path: &'static str| {
        Case::new(&[cause], path, url, move |client| {
            client.scheme = "https".to_owned();
            client.authority = "api.example.com".to_owned();
            client.path = path.to_owned();
        })
    };
    let received = |case: Case| case.received(super::Scheme::Https, "api.example.com");
    vec![
        received(signed(Scheme, "http://api.example.com/photos", "/photos")),
        received(signed(Host, "https://wrong.example.com/photos", "/photos")),
        signed(PathPrefixAdded, PHOTOS, "/photos").prefix("/v1"),
        signed(PathPrefixStripped, PHOTOS, "/api/v1/photos")
            .prefix("/v1")
            .header("X-Forwarded-Prefix", "/api"),
    ]
}

fn methods() -> Vec<Case> {
    let method = |arrives: &str, signed: &'static str| {
        let what = format!("{signed} for {arrives}");
        let case = Case::new(&[Method], &what, PHOTOS, move |client| {
            client.method = signed.to_owned();
        });
        case.method(arrives)
    };
    vec![
        method("GET", "get"),
        method("POST", "Post"),
        method("HEAD", "GET"),
        method("GET", "HEAD"),
        method("GET", "POST"),
        method("PUT", "POST"),
        method("POST", "PUT").header("X-HTTP-Method-Override", "PUT"),
        method("POST", "PURGE").header("X-HTTP-Method-Override", "purge"),
        method("POST", "MERGE").header("X-Method-Override", "MERGE"),
        method("GET", "REPORT").header("X-Forwarded-Method", "REPORT"),
    ]
}

fn with_scheme() -> Vec<Case> {
    let case = |cause, what, deviates: fn(&mut Client)| {
        let url = "http://api.example.com/photos?page=1";
        Case::new(&[Scheme, cause], what, url, move |client| {
            client.scheme = "https".to_owned();
            deviates(client);
        })
    };
    vec![
        case(QueryLeftOut, "no query", |client| client.parameters.clear()),
        case(Method, "a HEAD", |client| client.method = "GET".to_owned()).method("HEAD"),
        case(SecretMissing, "one secret", |client| {
            client.token_secret.clear()
        }),
        case(SecretTruncated, "a part of one", |client| {
            client.token_secret.pop();
        }),
        case(Timestamp, "two clocks", |client| {
            client.signs("oauth_timestamp", "1700000001")
        }),
    ]
}

const PHOTOS: &str = "https://api.example.com/photos?size=original";

const ORIGINS: &[Row] = &[
    (
        &[Scheme],
        "http://api.example.com/photos",
        "https://api.example.com/photos",
        &[],
    ),
    (
        &[Scheme],
        "https://api.example.com/photos",
        "http://api.example.com/photos",
        &[],
    ),
    (
        &[Scheme],
        "http://api.example.com/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Proto", "https")],
    ),
    (
        &[Scheme],
        "http://api.example.com/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Ssl", "on")],
    ),
    (
        &[Scheme],
        "http://api.example.com/photos",
        "https://api.example.com/photos",
        &[("Forwarded", "proto=https")],
    ),
    (
        &[Port],
        "https://api.example.com/photos",
        "https://api.example.com:8443/photos",
        &[],
    ),
    (
        &[Port],
        "https://api.example.com:8443/photos",
        "https://api.example.com/photos",
        &[],
    ),
    (
        &[Port],
        "https://api.example.com/photos",
        "https://api.example.com:443/photos",
        &[],
    ),
    (
        &[Port],
        "https://api.example.com:443/photos",
        "https://api.example.com:443/photos",
        &[],
    ),
    (
        &[Port],
        "http://api.example.com/photos",
        "http://api.example.com:80/photos",
        &[],
    ),
    (
        &[Port],
        "https://api.example.com/photos",
        "https://api.example.com:80/photos",
        &[],
    ),
    (
        &[Port],
        "http://api.example.com:443/photos",
        "http://api.example.com/photos",
        &[],
    ),
    (
        &[Port],
        "https://API.Example.com:8443/photos",
        "https://api.example.com/photos",
        &[],
    ),
    (
        &[Port],
        "https://api.example.com/photos",
        "https://api.example.com:7777/photos",
        &[("X-Forwarded-Port", "7777")],
    ),
    (
        &[HostCase],
        "https://API.Example.com/photos",
        "https://API.Example.com/photos",
        &[],
    ),
    (
        &[HostCase],
        "https://API.Example.com:8443/photos",
        "https://API.Example.com:8443/photos",
        &[],
    ),
    (
        &[HostCase],
        "https://API.Example.com:443/photos",
        "https://API.Example.com/photos",
        &[],
    ),
    (
        &[HostCase],
        "https://api.example.com/photos",
        "https://API.EXAMPLE.COM/photos",
        &[],
    ),
    (
        &[HostCase],
        "https://api.example.com/photos",
        "https://API.Example.com/photos",
        &[("X-Forwarded-Host", "API.Example.com")],
    ),
    (
        &[Host],
        "https://www.example.com/photos",
        "https://example.com/photos",
        &[],
    ),
    (
        &[Host],
        "https://example.com/photos",
        "https://www.example.com/photos",
        &[],
    ),
    (
        &[Host],
        "https://www.example.com:8443/photos",
        "https://example.com:8443/photos",
        &[],
    ),
    (
        &[Host],
        "https://api.example.com/photos",
        "https://api.example.com./photos",
        &[],
    ),
    (
        &[Host],
        "https://api.example.com./photos",
        "https://api.example.com/photos",
        &[],
    ),
    (
        &[Host],
        "https://api.example.com:8443/photos",
        "https://api.example.com.:8443/photos",
        &[],
    ),
    (
        &[Host],
        "https://xn--mnchen-3ya.example/photos",
        "https://münchen.example/photos",
        &[],
    ),
    (
        &[Host],
        "https://xn--mnchen-3ya.example:8443/photos",
        "https://münchen.example:8443/photos",
        &[],
    ),
    (
        &[Host],
        "https://api.example.com/photos",
        "https://user:pw@api.example.com/photos",
        &[],
    ),
    (
        &[Host],
        "https://api.example.com:8443/photos",
        "https://user@api.example.com:8443/photos",
        &[],
    ),
    (
        &[Host],
        "http://127.0.0.1:8080/photos",
        "http://localhost:8080/photos",
        &[],
    ),
    (
        &[Host],
        "http://localhost:8080/photos",
        "http://127.0.0.1:8080/photos",
        &[],
    ),
    (
        &[Host],
        "http://localhost:8080/photos",
        "http://[::1]:8080/photos",
        &[],
    ),
];

const NAMED_HOSTS: &[Row] = &[
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Host", "api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Host", "api.example.com, edge.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Host", "edge.example.com, api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("Forwarded", "for=1.2.3.4;host=api.example.com;proto=https")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[(
            "Forwarded",
            "for=\"[2001:db8::1]\"; Host=\"api.example.com\", for=10.0.0.1",
        )],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Server", "api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Original-Host", "api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Envoy-Original-Host", "api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Host", "api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Real-Host", "api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("Disguised-Host", "api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[(
            "X-Original-URL",
            "https://api.example.com/photos?size=original",
        )],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Uri", "https://api.example.com/photos")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("Origin", "https://api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("Referer", "https://api.example.com/app?x=1")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Host", "api.example.com:443")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Original-Host", "www.api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("X-Forwarded-Host", "api.example.com:8443")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("realm", "https://api.example.com/")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("realm", "https://api.example.com/photos")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("realm", "https%3A%2F%2Fapi.example.com%2F")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com/photos",
        &[("realm", "api.example.com")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com:8443/photos",
        &[("X-Forwarded-Host", "api.example.com:8443")],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com:8443/photos",
        &[
            ("X-Forwarded-Host", "api.example.com"),
            ("X-Forwarded-Port", "8443"),
        ],
    ),
    (
        &[Host],
        "https://inner.svc/photos",
        "https://api.example.com:8443/photos",
        &[("Forwarded", "host=\"api.example.com:8443\"")],
    ),
];

const PAIRS: &[Row] = &[
    (
        &[Scheme, Host],
        "http://inner/photos",
        "https://api.example.com/photos",
        &[("Forwarded", "host=api.example.com;proto=https")],
    ),
    (
        &[Scheme, Host],
        "http://inner:8080/photos",
        "https://api.example.com/photos",
        &[("X-Original-Host", "api.example.com")],
    ),
    (
        &[Scheme, Host],
        "http://www.example.com/photos",
        "https://example.com/photos",
        &[],
    ),
    (
        &[Scheme, Host],
        "http://api.example.com/photos",
        "https://user:pw@api.example.com/photos",
        &[],
    ),
    (
        &[Scheme, Port],
        "http://api.example.com:8080/photos",
        "https://api.example.com/photos",
        &[],
    ),
    (
        &[Scheme, Port],
        "http://api.example.com/photos",
        "https://api.example.com:9443/photos",
        &[("X-Forwarded-Port", "9443")],
    ),
    (
        &[Scheme, Port],
        "http://api.example.com/photos",
        "https://api.example.com:443/photos",
        &[],
    ),
    (
        &[Scheme, PathPrefixStripped],
        "http://api.example.com/photos",
        "https://api.example.com/v9/photos",
        &[("X-Original-URI", "/v9/photos")],
    ),
    (
        &[Scheme, PathEscapes],
        "http://api.example.com/~jane/x:y",
        "https://api.example.com/~jane/x%3Ay",
        &[],
    ),
    (
        &[Scheme, PathEscapes],
        "http://api.example.com/~jane/a/b",
        "https://api.example.com/~jane/a%2Fb",
        &[],
    ),
    (
        &[Scheme, PathEscapes],
        "http://api.example.com/v1/accounts/1234567/photo-albums/summer/~jane/profile:x?size=original&page=2&per_page=50&sort=asc&fields=id,name",
        "https://api.example.com/v1/accounts/1234567/photo-albums/summer/~jane/profile%3Ax",
        &[
            ("X-Forwarded-Host", "api.example.com"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Port", "443"),
            ("Referer", "https://www.example.com/app"),
        ],
    ),
    (
        &[Scheme, PathCase],
        "http://api.example.com/Photos",
        "https://api.example.com/photos",
        &[],
    ),
    (
        &[Scheme, TrailingSlash],
        "http://api.example.com/photos/",
        "https://api.example.com/photos",
        &[],
    ),
    (
        &[Host, PathPrefixStripped],
        "https://inner.svc/photos",
        "https://api.example.com/v9/photos",
        &[
            ("X-Forwarded-Host", "api.example.com"),
            ("X-Forwarded-Prefix", "/v9"),
        ],
    ),
    (
        &[Host, PathPrefixStripped],
        "https://inner.svc/photos",
        "https://api.example.com/v9/photos",
        &[(
            "X-Original-URL",
            "https://api.example.com/v9/photos?size=original",
        )],
    ),
    (
        &[Host, PathEscapes],
        "https://inner.svc/v1/accounts/1234567/~jane?size=original",
        "https://api.example.com/v1/accounts/1234567/%7Ejane",
        &[
            ("X-Forwarded-Host", "api.example.com"),
            ("X-Forwarded-Proto", "https"),
        ],
    ),
];

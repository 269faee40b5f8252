//! Mismatches of the request line: method, scheme, host, port and path.

use super::diagnosis_client::{Case, assert_explained};
use super::*;
use crate::oauth::diagnosis::MismatchCause;

const PHOTOS: &str = "https://api.example.com/photos?size=original";
const INNER: &str = "https://inner.svc/photos?size=original";

#[test]
fn every_change_of_the_origin_is_named() {
    assert_explained(&origins());
}

#[test]
fn every_host_that_a_header_names_is_tried() {
    assert_explained(&named_hosts());
}

#[test]
fn every_path_that_a_header_names_is_tried() {
    assert_explained(&named_paths());
}

#[test]
fn every_other_spelling_of_the_path_is_named() {
    assert_explained(&spelled_paths());
}

#[test]
fn every_change_of_the_method_is_named() {
    assert_explained(&methods());
}

#[test]
fn changes_of_two_parts_are_named_together() {
    assert_explained(&pairs());
}

/// Returns every case of this file.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = origins();
    cases.extend(named_hosts());
    cases.extend(named_paths());
    cases.extend(spelled_paths());
    cases.extend(methods());
    cases.extend(pairs());
    cases
}

fn origins() -> Vec<Case> {
    let host = |cause, what, url, host: &'static str| {
        Case::new(&[cause], what, url, move |client| {
            client.authority = host.to_owned()
        })
    };
    let scheme = |url, scheme: &'static str| {
        Case::new(
            &[MismatchCause::Scheme],
            "another scheme",
            url,
            move |client| {
                client.scheme = scheme.to_owned();
            },
        )
    };
    use MismatchCause::{Host, HostCase, Port};
    vec![
        scheme("http://api.example.com/photos", "https"),
        scheme("https://api.example.com/photos", "http"),
        scheme("http://api.example.com/photos", "https").header("X-Forwarded-Proto", "https"),
        scheme("http://api.example.com/photos", "https").header("X-Forwarded-Ssl", "on"),
        scheme("http://api.example.com/photos", "https").header("Forwarded", "proto=https"),
        scheme("http://api.example.com/photos", "https").received(Scheme::Https, "api.example.com"),
        host(Port, "dropped", PHOTOS, "api.example.com:8443"),
        host(
            Port,
            "added",
            "https://api.example.com:8443/photos",
            "api.example.com",
        ),
        host(Port, "forwarded", PHOTOS, "api.example.com:7777").header("X-Forwarded-Port", "7777"),
        host(Port, "the default, signed", PHOTOS, "api.example.com:443"),
        host(
            Port,
            "the default, sent and signed",
            "https://api.example.com:443/photos",
            "api.example.com:443",
        ),
        host(
            Port,
            "of http, signed",
            "http://api.example.com/photos",
            "api.example.com:80",
        ),
        host(Port, "of http over https", PHOTOS, "api.example.com:80"),
        host(
            Port,
            "never signed",
            "http://api.example.com:443/photos",
            "api.example.com",
        ),
        host(
            Port,
            "added to a host in capitals",
            "https://API.Example.com:8443/photos",
            "api.example.com",
        ),
        host(
            HostCase,
            "in capitals",
            "https://API.Example.com/photos",
            "API.Example.com",
        ),
        host(
            HostCase,
            "in capitals, with a port",
            "https://API.Example.com:8443/photos",
            "API.Example.com:8443",
        ),
        host(
            HostCase,
            "in capitals, default port",
            "https://API.Example.com:443/photos",
            "API.Example.com",
        ),
        host(HostCase, "all in capitals", PHOTOS, "API.EXAMPLE.COM"),
        host(
            HostCase,
            "in capitals, sent in lower case",
            PHOTOS,
            "API.Example.com",
        )
        .header("X-Forwarded-Host", "API.Example.com"),
        host(
            Host,
            "www added",
            "https://www.example.com/photos",
            "example.com",
        ),
        host(
            Host,
            "www dropped",
            "https://example.com/photos",
            "www.example.com",
        ),
        host(
            Host,
            "www, with a port",
            "https://www.example.com:8443/photos",
            "example.com:8443",
        ),
        host(Host, "a dot at the end", PHOTOS, "api.example.com."),
        host(
            Host,
            "a dot dropped",
            "https://api.example.com./photos",
            "api.example.com",
        ),
        host(
            Host,
            "a dot in front of the port",
            "https://api.example.com:8443/photos",
            "api.example.com.:8443",
        ),
        host(
            Host,
            "in Unicode",
            "https://xn--mnchen-3ya.example/photos",
            "münchen.example",
        ),
        host(
            Host,
            "in Unicode, with a port",
            "https://xn--mnchen-3ya.example:8443/photos",
            "münchen.example:8443",
        ),
        host(Host, "a user name", PHOTOS, "user:pw@api.example.com"),
        host(
            Host,
            "a user name, with a port",
            "https://api.example.com:8443/photos",
            "user@api.example.com:8443",
        ),
        host(
            Host,
            "localhost",
            "http://127.0.0.1:8080/photos",
            "localhost:8080",
        ),
        host(
            Host,
            "an address",
            "http://localhost:8080/photos",
            "127.0.0.1:8080",
        ),
        host(
            Host,
            "an IPv6 address",
            "http://localhost:8080/photos",
            "[::1]:8080",
        ),
        host(
            Host,
            "configured wrongly",
            "https://wrong.example.com/photos",
            "api.example.com",
        )
        .received(Scheme::Https, "api.example.com"),
    ]
}

fn named_hosts() -> Vec<Case> {
    let named = |name: &str, value: &str, signed: &'static str| {
        let what = "a rewritten host";
        Case::new(&[MismatchCause::Host], what, INNER, move |client| {
            client.authority = signed.to_owned();
        })
        .header(name, value)
    };
    let realm = |realm: &str| {
        let what = format!("a host in the realm {realm}");
        Case::new(&[MismatchCause::Host], &what, INNER, |client| {
            client.authority = "api.example.com".to_owned();
        })
        .realm(realm)
    };
    let mut cases: Vec<_> = [
        ("X-Forwarded-Host", "api.example.com"),
        ("X-Forwarded-Host", "api.example.com, edge.example.com"),
        ("X-Forwarded-Host", "edge.example.com, api.example.com"),
        ("Forwarded", "for=1.2.3.4;host=api.example.com;proto=https"),
        (
            "Forwarded",
            "for=\"[2001:db8::1]\"; Host=\"api.example.com\", for=10.0.0.1",
        ),
        ("X-Forwarded-Server", "api.example.com"),
        ("X-Original-Host", "api.example.com"),
        ("X-Envoy-Original-Host", "api.example.com"),
        ("X-Host", "api.example.com"),
        ("X-Real-Host", "api.example.com"),
        ("Disguised-Host", "api.example.com"),
        (
            "X-Original-URL",
            "https://api.example.com/photos?size=original",
        ),
        ("X-Forwarded-Uri", "https://api.example.com/photos"),
        ("Origin", "https://api.example.com"),
        ("Referer", "https://api.example.com/app?x=1"),
        ("X-Forwarded-Host", "api.example.com:443"),
    ]
    .map(|(name, value)| named(name, value, "api.example.com"))
    .into();
    cases.extend([
        named(
            "X-Forwarded-Host",
            "api.example.com:8443",
            "api.example.com:8443",
        ),
        named(
            "X-Forwarded-Host",
            "api.example.com",
            "api.example.com:8443",
        )
        .header("X-Forwarded-Port", "8443"),
        named(
            "Forwarded",
            "host=\"api.example.com:8443\"",
            "api.example.com:8443",
        ),
        named(
            "X-Forwarded-Host",
            "api.example.com:8443",
            "api.example.com",
        ),
        realm("https://api.example.com/"),
        realm("https://api.example.com/photos"),
        realm("https%3A%2F%2Fapi.example.com%2F"),
        realm("api.example.com"),
    ]);
    cases
}

fn named_paths() -> Vec<Case> {
    let named = |cause, name: &str, value: &str, signed: &'static str| {
        Case::new(&[cause], "a rewritten path", PHOTOS, move |client| {
            client.path = signed.to_owned()
        })
        .header(name, value)
    };
    use MismatchCause::{PathPrefixAdded, PathPrefixStripped, PathRewritten};
    let whole = "/v9/tenant/photos";
    let mut cases: Vec<_> = [
        ("X-Envoy-Original-Path", "/v9/tenant/photos?size=original"),
        ("X-Original-URL", "/v9/tenant/photos?size=original"),
        (
            "X-Original-URL",
            "https://api.example.com/v9/tenant/photos?size=original",
        ),
        ("X-Original-URI", "/v9/tenant/photos?size=original"),
        ("X-Original-Path", "/v9/tenant/photos"),
        ("X-Forwarded-Uri", "/v9/tenant/photos?size=original"),
        ("X-Forwarded-Path", "/v9/tenant/photos"),
        ("X-Forwarded-Path", "/v9/tenant"),
        ("X-Rewrite-Url", "/v9/tenant/photos?size=original"),
        ("X-Replaced-Path", "/v9/tenant/photos"),
        ("X-Waws-Unencoded-Url", "/v9/tenant/photos"),
        ("X-Script-Name", "/v9/tenant"),
        ("X-Forwarded-Prefix", "/v9/tenant"),
        ("X-Forwarded-Prefix", "/v9/tenant/"),
        ("X-Forwarded-Prefix", "/v9/tenant, /inner"),
        ("X-Forwarded-Context", "/v9/tenant"),
    ]
    .map(|(name, value)| named(PathPrefixStripped, name, value, whole))
    .into();
    cases.extend([
        named(
            PathRewritten,
            "X-Original-URL",
            "/old/7?size=original",
            "/old/7",
        ),
        Case::new(
            &[PathPrefixStripped],
            "a prefix in the realm",
            PHOTOS,
            |client| {
                client.path = "/tenant-9/photos".to_owned();
            },
        )
        .realm("https://api.example.com/tenant-9"),
        Case::new(
            &[PathPrefixStripped],
            "a path in the realm",
            PHOTOS,
            |client| {
                client.path = "/tenant-9/photos".to_owned();
            },
        )
        .realm("https%3A%2F%2Fapi.example.com%2Ftenant-9%2Fphotos"),
        Case::new(&[PathPrefixStripped], "without a trace", PHOTOS, |client| {
            client.path = "/api/v1/photos".to_owned();
        }),
        Case::new(
            &[PathPrefixAdded],
            "on the way",
            "https://api.example.com/tenant/v2/photos",
            |client| {
                client.path = "/photos".to_owned();
            },
        ),
        Case::new(&[PathPrefixAdded], "configured", PHOTOS, |client| {
            client.path = "/photos".to_owned();
        })
        .prefix("/v1"),
        Case::new(&[PathPrefixStripped], "another one", PHOTOS, |client| {
            client.path = "/api/v1/photos".to_owned();
        })
        .prefix("/v1")
        .header("X-Forwarded-Prefix", "/api"),
    ]);
    cases
}

fn spelled_paths() -> Vec<Case> {
    use MismatchCause::{
        PathCase, PathDecoded, PathDotSegments, PathEncodedTwice, PathEscapes, PathRewritten,
        PathSlashes, RootSlash, TrailingSlash,
    };
    [
        (PathEscapes, "/~jane/photos", "/%7Ejane/photos"),
        (PathEscapes, "/~jane/photos", "/%7ejane/photos"),
        (PathEscapes, "/%7Ejane/photos", "/~jane/photos"),
        (PathEscapes, "/a/b/photos", "/a%2Fb/photos"),
        (PathEscapes, "/a%20b/c", "/a+b/c"),
        (PathEscapes, "/a+b/c", "/a%20b/c"),
        (PathEscapes, "/a+b/c", "/a%2Bb/c"),
        (PathEscapes, "/a*b(c)", "/a%2Ab%28c%29"),
        (PathEscapes, "/a%2Ab%28c%29/%20", "/a*b(c)/%20"),
        (
            PathEscapes,
            "/v1/people/~:(id,first-name)",
            "/v1/people/~%3A%28id%2Cfirst-name%29",
        ),
        (
            PathEscapes,
            "/v1/people/~:(id,first-name)",
            "/v1/people/~%3A(id%2Cfirst-name)",
        ),
        (
            PathEscapes,
            "/v1/people/~:(id,first-name)",
            "/v1/people/%7E%3A%28id%2Cfirst-name%29",
        ),
        (PathEscapes, "/v1/a@b.c/x", "/v1/a%40b.c/x"),
        (PathEscapes, "/v1/a@b.c/x@y", "/v1/a@b.c/x%40y"),
        (PathEscapes, "/v1/a%40b.c/%20", "/v1/a@b.c/%20"),
        (PathEscapes, "/caff%C3%A8/x", "/caff%c3%a8/x"),
        (PathEscapes, "/caff%c3%a8/x", "/caff%C3%A8/x"),
        (PathEscapes, "/a%2Fb%20c/x", "/a/b%20c/x"),
        (PathSlashes, "//photos", "/photos"),
        (PathSlashes, "//api/photos", "/api/photos"),
        (PathSlashes, "/photos", "//photos"),
        (PathSlashes, "/a/b/photos", "/a//b/photos"),
        (PathSlashes, "/a//b/photos", "/a/b/photos"),
        (PathSlashes, "/photos//", "/photos/"),
        (PathDotSegments, "/a/b/../c", "/a/c"),
        (PathDotSegments, "/a/b", "/a/./b"),
        (PathCase, "/v1/Photos/OAuthGet", "/v1/photos/oauthget"),
        (PathCase, "/v1/Photos/%C3%A8", "/v1/photos/%C3%A8"),
        (PathCase, "/v1/Photos/%C3%A8", "/v1/photos/%c3%a8"),
        (TrailingSlash, "/photos/", "/photos"),
        (TrailingSlash, "/photos", "/photos/"),
        (RootSlash, "/", ""),
        (PathEncodedTwice, "/a%20b", "/a%2520b"),
        (PathEncodedTwice, "/a%20b(c)", "/a%2520b%2528c%2529"),
        (PathDecoded, "/caff%C3%A8%20latte", "/caffè latte"),
        (PathDecoded, "/a%2Fb", "/a/b"),
        (PathDecoded, "/a%2520b", "/a%20b"),
        (PathRewritten, "/photos;v=1/a;jsessionid=2", "/photos/a"),
        (PathRewritten, "/photos/index.php", "/photos/"),
    ]
    .map(|(cause, arrives, signed)| {
        let url = format!("https://api.example.com{arrives}");
        let what = format!("{signed} is signed");
        Case::new(&[cause], &what, &url, move |client| {
            client.path = signed.to_owned()
        })
    })
    .into_iter()
    .chain([
        Case::new(
            &[MismatchCause::QueryInUri],
            "the mark alone",
            "https://api.example.com/photos?",
            |client| {
                client.suffix = "?".to_owned();
            },
        ),
        Case::new(
            &[MismatchCause::QueryInUri],
            "the mark and parameters",
            PHOTOS,
            |client| {
                client.suffix = "?".to_owned();
            },
        ),
    ])
    .collect()
}

fn methods() -> Vec<Case> {
    let method = |arrives: &str, signed: &'static str| {
        let what = format!("{signed} for {arrives}");
        Case::new(&[MismatchCause::Method], &what, PHOTOS, move |client| {
            client.method = signed.to_owned()
        })
        .method(arrives)
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

fn pairs() -> Vec<Case> {
    use MismatchCause::{
        Host, PathCase, PathEscapes, PathPrefixStripped, Port, Scheme, TrailingSlash,
    };
    let http = |other, url: &str, signed: &'static str| {
        Case::new(&[Scheme, other], signed, url, move |client| {
            let (scheme, rest) = signed.split_once("://").unwrap();
            let (authority, path) = rest.split_at(rest.find('/').unwrap());
            (client.scheme, client.authority, client.path) =
                (scheme.into(), authority.into(), path.into());
        })
    };
    vec![
        http(
            Host,
            "http://inner/photos",
            "https://api.example.com/photos",
        )
        .header("Forwarded", "host=api.example.com;proto=https"),
        http(
            Host,
            "http://inner:8080/photos",
            "https://api.example.com/photos",
        )
        .header("X-Original-Host", "api.example.com"),
        http(
            Host,
            "http://www.example.com/photos",
            "https://example.com/photos",
        ),
        http(
            Port,
            "http://api.example.com:8080/photos",
            "https://api.example.com/photos",
        ),
        http(
            Port,
            "http://api.example.com/photos",
            "https://api.example.com:9443/photos",
        )
        .header("X-Forwarded-Port", "9443"),
        http(
            Port,
            "http://api.example.com/photos",
            "https://api.example.com:443/photos",
        ),
        http(
            PathPrefixStripped,
            "http://api.example.com/photos",
            "https://api.example.com/v9/photos",
        )
        .header("X-Original-URI", "/v9/photos"),
        http(
            PathEscapes,
            "http://api.example.com/~jane/x:y",
            "https://api.example.com/~jane/x%3Ay",
        ),
        http(
            PathEscapes,
            "http://api.example.com/~jane/a/b",
            "https://api.example.com/~jane/a%2Fb",
        ),
        http(
            PathCase,
            "http://api.example.com/Photos",
            "https://api.example.com/photos",
        ),
        http(
            TrailingSlash,
            "http://api.example.com/photos/",
            "https://api.example.com/photos",
        ),
        http(
            PathEscapes,
            "http://api.example.com/v1/accounts/1234567/photo-albums/summer/~jane/profile:x\
             ?size=original&page=2&per_page=50&sort=asc&lang=en&fields=id,name",
            "https://api.example.com/v1/accounts/1234567/photo-albums/summer/~jane/profile%3Ax",
        )
        .header("X-Forwarded-Host", "api.example.com")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Port", "443")
        .header("Referer", "https://www.example.com/app"),
        Case::new(
            &[Host, PathEscapes],
            "a proxy that also decodes",
            "https://inner.svc/v1/accounts/1234567/photo-albums/~jane?size=original&page=2",
            |client| {
                client.authority = "api.example.com".to_owned();
                client.path = client.path.replace('~', "%7E");
            },
        )
        .header("X-Forwarded-Host", "api.example.com")
        .header("X-Forwarded-Proto", "https"),
        Case::new(
            &[Host, PathPrefixStripped],
            "one proxy names both",
            INNER,
            |client| {
                client.authority = "api.example.com".to_owned();
                client.path = "/v9/photos".to_owned();
            },
        )
        .header("X-Forwarded-Host", "api.example.com")
        .header("X-Forwarded-Prefix", "/v9"),
        Case::new(
            &[Host, PathPrefixStripped],
            "one URL names both",
            INNER,
            |client| {
                client.authority = "api.example.com".to_owned();
                client.path = "/v9/photos".to_owned();
            },
        )
        .header(
            "X-Original-URL",
            "https://api.example.com/v9/photos?size=original",
        ),
        Case::new(
            &[Scheme, MismatchCause::QueryLeftOut],
            "without its query",
            "http://api.example.com/photos?page=1",
            |client| {
                client.scheme = "https".to_owned();
                client.parameters.clear();
            },
        ),
        Case::new(
            &[Scheme, MismatchCause::Method],
            "a HEAD",
            "http://api.example.com/photos",
            |client| {
                client.scheme = "https".to_owned();
                client.method = "GET".to_owned();
            },
        )
        .method("HEAD"),
        Case::new(
            &[Scheme, MismatchCause::SecretMissing],
            "without a secret",
            "http://api.example.com/photos",
            |client| {
                client.scheme = "https".to_owned();
                client.token_secret.clear();
            },
        ),
    ]
}

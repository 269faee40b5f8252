//! Mismatches of which the request has no trace: other forms of the URI, other spellings of names
//! and values, a changed base string, and keys that are made in another way.

use sha1::{Digest as _, Sha1};

use MismatchCause::*;

use super::diagnosis_client::{Case, Client, SignatureKind, assert_explained, escaped};
use super::*;
use crate::oauth::diagnosis::MismatchCause;

#[test]
fn every_other_form_of_the_uri_is_named() {
    assert_explained(&uris());
}

#[test]
fn every_other_spelling_of_names_and_values_is_named() {
    assert_explained(&texts());
}

#[test]
fn every_change_of_the_base_string_is_named() {
    assert_explained(&base_strings());
}

#[test]
fn every_other_way_to_make_the_key_is_named() {
    assert_explained(&keys());
}

#[test]
fn a_guess_and_another_scheme_are_named_together() {
    let case = |cause, what, deviates: fn(&mut Client)| {
        let url = "http://api.example.com/photos?price=1.0&q=a";
        Case::new(&[Scheme, cause], what, url, move |client| {
            client.scheme = "https".to_owned();
            deviates(client);
        })
    };
    assert_explained(&[
        case(ValuesChanged, "a number", |client| {
            client.parameters[0].1 = "1".to_owned();
        }),
        case(SecretMissing, "undefined", |client| {
            client.token_secret = b"undefined".into();
        }),
        case(PathPrefixStripped, "a stage", |client| {
            client.path = "/prod/photos".to_owned();
        }),
    ]);
}

#[test]
fn a_value_with_another_meaning_has_no_cause() {
    for (sent, signed) in [
        ("admin=true", "admin=false"),
        ("n=10", "n=1"),
        ("n=1000", "n=1,00"),
        ("n=1.999", "n=2.00"),
        ("n=1%2C000", "n=1.000"),
        ("role=Admin", "role=admin"),
        ("amount=10.00", "amount=1.00"),
        ("from=x&to=y", "from=y&to=x"),
        ("q=caf%C3%A9", "q=caf\u{e8}"),
    ] {
        let url = format!("https://api.example.com/photos?{sent}");
        let case = Case::new(&[], signed, &url, move |client| {
            client.parameters = pairs(signed);
        });
        let found = case.explained().map(|found| found.cause());
        assert_eq!(found, None, "{sent}: {signed}");
    }
}

/// Returns every case of this file.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = uris();
    cases.extend(texts());
    cases.extend(base_strings());
    cases.extend(keys());
    cases
}

const PHOTOS: &str = "https://api.example.com/photos?size=original";

/// The causes, the URL that arrives, and the URI that the client signs.
type Row = (&'static [MismatchCause], &'static str, &'static str);

const URIS: &[Row] = &[
    (&[UriForm], PHOTOS, "/photos"),
    (&[UriForm], PHOTOS, "photos"),
    (&[UriForm], PHOTOS, "api.example.com/photos"),
    (&[UriForm], PHOTOS, "//api.example.com/photos"),
    (&[UriForm], PHOTOS, "wss://api.example.com/photos"),
    (&[UriForm], PHOTOS, "HTTPS://api.example.com/photos"),
    (&[UriForm], PHOTOS, "https://https://api.example.com/photos"),
    (
        &[UriForm],
        "https://api.example.com/v2/photos/5",
        "photos/5",
    ),
    (
        &[UriForm],
        "http://127.0.0.1:8080/search",
        "http://127.0.0.1/search:8080",
    ),
    (&[Port], PHOTOS, "https://api.example.com:undefined/photos"),
    (&[Port], PHOTOS, "https://api.example.com:-1/photos"),
    (&[Host], PHOTOS, "https://example.com/photos"),
    (
        &[Host],
        "http://backend.default.svc.cluster.local/photos",
        "http://backend.default/photos",
    ),
    (
        &[Host],
        "http://backend/photos",
        "http://localhost:8080/photos",
    ),
    (
        &[PathRewritten],
        "https://api.example.com/api/v2/photos",
        "https://api.example.com/api/v2",
    ),
    (&[PathRewritten], PHOTOS, "https://api.example.com"),
    (
        &[PathRewritten],
        PHOTOS,
        "https://api.example.com/photos.json",
    ),
    (
        &[PathRewritten],
        "https://api.example.com/",
        "https://api.example.com/index.html",
    ),
    (
        &[PathRewritten],
        "https://api.example.com/users/42",
        "https://api.example.com/users/:userId",
    ),
    (
        &[PathRewritten],
        "https://api.example.com/v2/photos",
        "https://api.example.com/v1/photos",
    ),
    (
        &[PathPrefixStripped],
        PHOTOS,
        "https://api.example.com/prod/photos",
    ),
    (&[PathCase], PHOTOS, "https://api.example.com/Photos"),
    (
        &[PathEscapes],
        "https://api.example.com/caff%C3%A8",
        "https://api.example.com/caffe%CC%80",
    ),
    (
        &[PathEscapes],
        "https://api.example.com/caff\u{e8}",
        "https://api.example.com/caff%C3%A8",
    ),
    (
        &[PathEncodedTwice],
        "https://api.example.com/a%20b",
        "https://api.example.com/a%252520b",
    ),
];

fn uris() -> Vec<Case> {
    let signed = URIS.iter().map(|&(causes, arrives, signed)| {
        Case::new(causes, signed, arrives, move |client| {
            // Remedies that name an origin need its parts.
            if let Some((scheme, rest)) = signed.split_once("://") {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                client.scheme = scheme.to_owned();
                client.authority = authority.to_owned();
                client.path = path.to_owned();
            } else {
                client.text = Some(Box::new(move |client| {
                    base(client, signed, &client.pairs())
                }));
            }
        })
    });
    let port = Case::new(
        &[UriForm],
        "the port behind the query",
        "http://127.0.0.1:8080/search?q=a&page=1",
        |client| {
            client.authority = "127.0.0.1".to_owned();
            client.parameters[1].1 = "1:8080".to_owned();
        },
    );
    signed.chain([port]).collect()
}

/// The cause, the query that arrives, and what the client signs, not encoded.
const TEXTS: &[(MismatchCause, &str, &str)] = &[
    (ValuesChanged, "flag=true&q=a", "flag=True&q=a"),
    (ValuesChanged, "flag=false", "flag=0"),
    (ValuesChanged, "a=true&b=x&c=true", "a=1&b=x&c=1"),
    (ValuesChanged, "lat=1.0&lng=2.50", "lat=1&lng=2.5"),
    (ValuesChanged, "lat=1.0&zoom=3.0", "lat=1.0&zoom=3"),
    (ValuesChanged, "q=caff%C3%A8", "q=caffe\u{300}"),
    (ValuesChanged, "q=it%27s", "q=it\\'s"),
    (ValuesChanged, "f=%7B%22a%22%3A%201%7D", "f={\"a\":1}"),
    (
        ValuesChanged,
        "at=2024-01-02T03%3A04%3A05Z",
        "at=2024-01-02T03:04:05+00:00",
    ),
    (ValuesChanged, "size=original", "original=size"),
    (NamesChanged, "pageSize=5&sortBy=x", "page_size=5&sort_by=x"),
    (NamesChanged, "page_size=5", "pageSize=5"),
    (NamesChanged, "%24filter=x", "filter=x"),
    (NamesChanged, "a=1&b=2", "a=1&amp;b=2"),
    (NamesChanged, "filter%5Bname%5D=x", "name=x"),
    (SemicolonSeparator, "a=1,b=2", "a=1&b=2"),
    (SemicolonSeparator, "a=1?b=2", "a=1&b=2"),
    (DecodedTwice, "q=fish%26chips%3D1&z=2", "q=fish&chips=1&z=2"),
];

fn texts() -> Vec<Case> {
    let queries = TEXTS.iter().map(|&(cause, query, signed)| {
        let url = format!("https://api.example.com/photos?{query}");
        Case::new(&[cause], signed, &url, move |client| {
            client.parameters = pairs(signed);
        })
    });
    let protocol = |cause, name: &'static str, value: &'static str| {
        Case::new(&[cause], name, PHOTOS, move |client| {
            client.signs(name, value)
        })
    };
    let mut cases: Vec<_> = queries.collect();
    cases.extend([
        protocol(Version, "oauth_version", "1.0a"),
        protocol(MethodConfusion, "oauth_signature_method", "hmac-sha1"),
        protocol(Timestamp, "oauth_timestamp", "1700003600"),
        protocol(Timestamp, "oauth_timestamp", "1700000000.0"),
        Case::new(&[NamesChanged], "the query as a name", PHOTOS, |client| {
            client.parameters = vec![("size=original".to_owned(), String::new())];
        }),
        Case::new(&[ValuesChanged], "escapes of HTML", PHOTOS, |client| {
            client.parameters = vec![("q".to_owned(), "a&lt;b".to_owned())];
        })
        .target("/photos?q=a%3Cb"),
        Case::new(&[CharactersNotEncoded], "one value", PHOTOS, |client| {
            client.text = Some(Box::new(one_value));
        })
        .target("/photos?q=a%2Fb&z=a%2Fb"),
    ]);
    cases.extend(bodies());
    cases
}

fn bodies() -> [Case; 2] {
    let body = "{\"title\":\"summer\"}";
    let sent = |what: &str, cause, deviates: fn(&mut Client)| {
        let case = Case::new(&[cause], what, "https://api.example.com/photos", deviates);
        case.body("application/json", body)
    };
    [
        sent("a body as `data`", BodyIncluded, |client| {
            client.parameters = pairs("data={\"title\":\"summer\"}");
        }),
        sent("a hash that is not sent", ParameterNotSent, |client| {
            let hash = STANDARD.encode(Sha1::digest("{\"title\":\"summer\"}"));
            client.signs("oauth_body_hash", &hash);
        }),
    ]
}

/// Leaves a `/` plain in the value of `q` alone.
fn one_value(client: &Client) -> String {
    let plain = |(name, value): (String, String)| {
        let value = match name.as_str() {
            "q" => value.replace("%2F", "/"),
            _ => value,
        };
        (name, value)
    };
    let pairs: Vec<_> = client.pairs().into_iter().map(plain).collect();
    base(client, &client.uri(), &pairs)
}

fn base_strings() -> Vec<Case> {
    let changed = |what, change: fn(&str) -> String| {
        Case::new(&[BaseStringChanged], what, PHOTOS, move |client| {
            client.text = Some(Box::new(move |client| {
                change(&base(client, &client.uri(), &client.pairs()))
            }));
        })
    };
    vec![
        changed("a line break", |text| format!("{text}\n")),
        changed("an ampersand", |text| format!("{text}&")),
        changed("a last separator", |text| format!("{text}%26")),
        changed("lower case", str::to_lowercase),
        changed("encoded again", escaped),
        changed("in base64", |text| STANDARD.encode(text)),
        changed("no method", |text| {
            text.split_once('&').unwrap().1.to_owned()
        }),
        changed("lines", |text| text.replace('&', "\n")),
    ]
}

fn keys() -> Vec<Case> {
    let key = |cause, key: &'static [u8]| {
        let what = String::from_utf8_lossy(key).into_owned();
        Case::new(&[cause], &what, PHOTOS, move |client| {
            client.key = Some(key.into())
        })
    };
    let kind = |what, kind| {
        Case::new(&[HmacMisused], what, PHOTOS, move |client| {
            client.kind = kind
        })
    };
    vec![
        key(SecretMissing, b"kd94hf93k423kf44&undefined"),
        key(SecretMissing, b"kd94hf93k423kf44&null").secrets("kd94hf93k423kf44", None),
        key(SecretsExchanged, b"kd94hf93k423kf44&kd94hf93k423kf44")
            .secrets("kd94hf93k423kf44", None),
        key(AmpersandMissing, b"kd94hf93k423kf44%26pfkkdhi9sl3r4s00"),
        key(AmpersandMissing, b"kd94hf93k423kf44:pfkkdhi9sl3r4s00"),
        key(SecretPadded, b"kd94hf93k423kf44,&pfkkdhi9sl3r4s00"),
        key(
            SecretEncoded,
            b"a2Q5NGhmOTNrNDIza2Y0NCZwZmtrZGhpOXNsM3I0czAw",
        ),
        key(SecretsNotEncoded, b"a%2fb%3d44&pfkkdhi9sl3r4s00")
            .secrets("a/b=44", Some("pfkkdhi9sl3r4s00")),
        key(SecretEncoded, b"s\xe9cret&pfkkdhi9sl3r4s00")
            .secrets("s\u{e9}cret", Some("pfkkdhi9sl3r4s00")),
        kind("key and text exchanged", SignatureKind::Exchanged),
        kind("a plain hash", SignatureKind::Hash),
    ]
}

/// Turns `a=1&b=2` into pairs, without decoding.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn base(client: &Client, uri: &str, pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    let joined = pairs.collect::<Vec<_>>().join("&");
    [&*client.method, uri, &joined].map(escaped).join("&")
}

//! Mismatches of protocol values: timestamp, signature method, signature and body hash.

use sha2::{Digest as _, Sha256};

use super::diagnosis_client::{Case, Client, SignatureKind, assert_explained};
use super::*;
use crate::oauth::SignatureMethod;
use crate::oauth::diagnosis::MismatchCause;

#[test]
fn every_other_value_that_is_signed_is_named() {
    assert_explained(&values());
}

#[test]
fn every_other_method_of_signing_is_named() {
    assert_explained(&methods());
}

#[test]
fn the_other_method_is_named() {
    for (label, kind, signed, word) in [
        (
            SignatureMethod::HmacSha256,
            SignatureKind::Sha1,
            None,
            "signs with HMAC-SHA1:",
        ),
        (
            SignatureMethod::RsaSha1,
            SignatureKind::RsaSha256,
            None,
            "signs with RSA-SHA256:",
        ),
        (
            SignatureMethod::HmacSha256,
            SignatureKind::Sha1,
            Some("HMAC-SHA1"),
            "signs the name HMAC-SHA1:",
        ),
    ] {
        let case = case(MismatchCause::MethodConfusion, word, move |client| {
            client.kind = kind;
            if let Some(signed) = signed {
                client.signs("oauth_signature_method", signed);
            }
        });
        let remedy = case.label(label).explained().unwrap().remedy;
        assert!(remedy.contains(word), "{remedy}");
        assert!(remedy.contains(label.name()), "{remedy}");
    }
}

#[test]
fn every_encoding_of_a_signature_is_named() {
    assert_explained(&encodings());
}

#[test]
fn every_wrong_body_hash_is_named() {
    assert_explained(&body_hashes());
}

#[test]
fn a_label_that_is_not_signed_is_named_with_another_cause() {
    let scheme = Case::new(
        &[MismatchCause::Scheme, MismatchCause::MethodConfusion],
        "another label, and another scheme",
        "http://api.example.com/photos",
        |client| {
            client.scheme = "https".to_owned();
            client.signs("oauth_signature_method", "HMAC-SHA1");
        },
    );
    assert_explained(&[scheme.label(SignatureMethod::HmacSha256)]);
}

/// Returns every case of this file.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = values();
    cases.extend(methods());
    cases.extend(encodings());
    cases.extend(body_hashes());
    cases
}

const PHOTOS: &str = "https://api.example.com/photos?size=original";

fn case(cause: MismatchCause, what: &str, deviates: impl Fn(&mut Client) + 'static) -> Case {
    Case::new(&[cause], what, PHOTOS, deviates)
}

fn values() -> Vec<Case> {
    let mut cases: Vec<_> = [
        "1699999999",
        "1700000001",
        "1700000002",
        "1699999990",
        "1700000030",
    ]
    .map(|signed| {
        case(MismatchCause::Timestamp, signed, move |client| {
            client.signs("oauth_timestamp", signed);
        })
    })
    .into();
    cases.push(case(MismatchCause::VersionText, "1.0A", |_| {}).version("1.0A"));
    cases
}

fn methods() -> Vec<Case> {
    use SignatureMethod::{HmacSha1, HmacSha256, HmacSha512, RsaSha1, RsaSha256};
    let mac = |label, kind, name: Option<&'static str>| {
        let what = format!("{label} and {name:?}");
        case(MismatchCause::MethodConfusion, &what, move |client| {
            client.kind = kind;
            if let Some(name) = name {
                client.signs("oauth_signature_method", name);
            }
        })
        .label(label)
    };
    vec![
        mac(HmacSha256, SignatureKind::Sha1, None),
        mac(HmacSha1, SignatureKind::Sha512, None),
        mac(HmacSha256, SignatureKind::Sha256, Some("HMAC-SHA1")),
        mac(HmacSha256, SignatureKind::Sha1, Some("HMAC-SHA1")),
        mac(HmacSha512, SignatureKind::Sha1, Some("HMAC-SHA1")),
        mac(HmacSha1, SignatureKind::Sha1, Some("HMAC-SHA256")),
        mac(HmacSha1, SignatureKind::Sha256, Some("HMAC-SHA256")),
        mac(RsaSha256, SignatureKind::RsaSha1, None),
        mac(RsaSha1, SignatureKind::RsaSha256, None),
        mac(RsaSha256, SignatureKind::RsaSha1, Some("RSA-SHA1")),
        mac(RsaSha256, SignatureKind::RsaSha256, Some("RSA-SHA1")),
        mac(HmacSha256, SignatureKind::RsaSha256, None),
        mac(RsaSha256, SignatureKind::Sha256, None),
        case(MismatchCause::RsaPadding, "PSS", |client| {
            client.kind = SignatureKind::RsaPss
        })
        .label(RsaSha256),
    ]
}

fn encodings() -> Vec<Case> {
    let encoded = |what, written: fn(&[u8]) -> String| {
        case(MismatchCause::SignatureEncoding, what, move |client| {
            client.written = written
        })
        .label(SignatureMethod::HmacSha256)
    };
    let plaintext = |what, written: fn(&[u8]) -> String| {
        encoded(what, written).label(SignatureMethod::Plaintext)
    };
    vec![
        encoded("hexadecimal", hexadecimal),
        encoded("hexadecimal in capitals", |mac| {
            hexadecimal(mac).to_uppercase()
        }),
        encoded("hexadecimal with dashes", |mac| {
            let digits: Vec<_> = mac.iter().map(|byte| format!("{byte:02X}")).collect();
            digits.join("-")
        }),
        encoded("base64 of hexadecimal", |mac| {
            STANDARD.encode(hexadecimal(mac))
        }),
        encoded("URL-safe", |mac| {
            STANDARD.encode(mac).replace('+', "-").replace('/', "_")
        }),
        encoded("URL-safe without padding", |mac| {
            STANDARD
                .encode(mac)
                .replace('+', "-")
                .replace('/', "_")
                .replace('=', "")
        }),
        encoded("without padding", |mac| {
            STANDARD.encode(mac).replace('=', "")
        }),
        encoded("a line break at the end", |mac| {
            format!("{}\n", STANDARD.encode(mac))
        }),
        encoded("CRLF at the end", |mac| {
            format!("{}\r\n", STANDARD.encode(mac))
        }),
        encoded("lines", |mac| {
            let text = STANDARD.encode(mac);
            format!("{}\r\n{}", &text[..20], &text[20..])
        }),
        encoded("a space at the end", |mac| {
            format!("{} ", STANDARD.encode(mac))
        }),
        encoded("quotes", |mac| format!("\"{}\"", STANDARD.encode(mac))),
        encoded("base64 twice", |mac| STANDARD.encode(STANDARD.encode(mac))),
        encoded("encoded twice", |mac| {
            diagnosis_client::escaped(&STANDARD.encode(mac))
        }),
        plaintext("encoded twice", diagnosis_client::escaped_bytes),
        plaintext("base64", |key| STANDARD.encode(key)),
        plaintext("quotes", |key| {
            format!("\"{}\"", String::from_utf8_lossy(key))
        }),
    ]
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn body_hashes() -> Vec<Case> {
    let body = "{\"title\": \"summer\", \"size\": [1, 2]}";
    let sent = |what: &str, hash: String| {
        case(MismatchCause::BodyHash, what, |_| {})
            .label(SignatureMethod::HmacSha256)
            .body("application/json", body)
            .body_hash(&hash)
    };
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    vec![
        sent("an empty body", hash("")),
        sent("compact", hash("{\"title\":\"summer\",\"size\":[1,2]}")),
        sent("a line break", hash(&format!("{body}\n"))),
        sent(
            "SHA-1",
            crate::oauth::body_hash(SignatureMethod::HmacSha1, body.as_bytes()),
        ),
        sent("hexadecimal", hexadecimal(&Sha256::digest(body.as_bytes()))),
        sent("another body", hash("{\"title\": \"winter\"}")),
        sent("no hash at all", "none".to_owned()),
    ]
}

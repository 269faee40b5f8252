//! Mismatches of the secrets, which only operators may learn.

use super::diagnosis_client::{CONSUMER, Case, OLD, TOKEN, assert_explained};
use crate::oauth::SignatureMethod;
use crate::oauth::diagnosis::MismatchCause;

#[test]
fn every_mistake_with_a_secret_is_named() {
    assert_explained(&cases());
}

#[test]
fn no_sender_learns_of_a_mistake_with_a_secret() {
    for case in cases() {
        assert!(
            case.explained().unwrap().depends_on_secret(),
            "{}",
            case.what
        );
    }
}

#[test]
fn the_text_around_a_secret_is_named() {
    for (before, after, word) in [
        ("", " ", "white space after the consumer secret"),
        ("\"", "\"", "quotes around"),
        ("", "\"", "a quote next to"),
        ("", "\r\n", "a line break after"),
        ("\u{feff}", "", "a byte order mark next to"),
    ] {
        let padded = case(MismatchCause::SecretPadded, word, move |client| {
            client.consumer_secret = format!("{before}{CONSUMER}{after}").into_bytes();
        });
        let remedy = padded.explained().unwrap().remedy;
        assert!(remedy.contains(word), "{remedy}");
    }
}

/// Returns every case of this file.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = around();
    cases.extend(misplaced());
    cases.extend(converted());
    cases.extend(misjoined());
    cases
}

const PHOTOS: &str = "https://api.example.com/photos?size=original";

fn case(
    cause: MismatchCause,
    what: &str,
    deviates: impl Fn(&mut super::diagnosis_client::Client) + 'static,
) -> Case {
    Case::new(&[cause], what, PHOTOS, deviates)
}

fn around() -> Vec<Case> {
    let texts = [
        ("", " "),
        (" ", ""),
        (" ", " "),
        ("", "\t"),
        ("\t", ""),
        ("", "\n"),
        ("", "\r\n"),
        ("", "\r"),
        ("\n", ""),
        ("\"", "\""),
        ("'", "'"),
        ("\u{feff}", ""),
        ("", "\u{a0}"),
        ("", "  "),
        ("", "\n\n"),
        ("\n", "\n"),
        ("\r\n", ""),
        ("\r\n", "\r\n"),
        ("\t", "\t"),
        ("`", "`"),
        ("<", ">"),
        ("", "\""),
        ("'", ""),
        ("", "\","),
        ("", "\\n"),
        ("", "\u{200b}"),
    ];
    let mut cases = Vec::new();
    for (before, after) in texts {
        let padded = move |secret: &str| format!("{before}{secret}{after}").into_bytes();
        let what = format!("{before:?} and {after:?}");
        cases.push(case(MismatchCause::SecretPadded, &what, move |client| {
            client.consumer_secret = padded(CONSUMER);
        }));
        cases.push(case(MismatchCause::SecretPadded, &what, move |client| {
            client.token_secret = padded(TOKEN);
        }));
        cases.push(case(MismatchCause::SecretPadded, &what, move |client| {
            (client.consumer_secret, client.token_secret) = (padded(CONSUMER), padded(TOKEN));
        }));
        cases.push(case(MismatchCause::SecretPadded, &what, move |client| {
            client.key = Some([padded(CONSUMER), b"&".into(), TOKEN.into()].concat());
        }));
        let alone = case(MismatchCause::SecretPadded, &what, move |client| {
            client.consumer_secret = padded(CONSUMER);
        });
        cases.push(alone.secrets(CONSUMER, None));
    }
    let trimmed = case(
        MismatchCause::SecretPadded,
        "white space that is left out",
        |client| {
            client.consumer_secret = b"secret".into();
        },
    );
    cases.push(trimmed.secrets("secret\n", Some(TOKEN)));
    cases
}

fn misplaced() -> Vec<Case> {
    let key =
        |cause, key: &'static str| case(cause, key, move |client| client.key = Some(key.into()));
    use MismatchCause::{SecretIsIdentifier, SecretsExchanged};
    vec![
        key(SecretsExchanged, "pfkkdhi9sl3r4s00&kd94hf93k423kf44"),
        key(SecretsExchanged, "kd94hf93k423kf44&kd94hf93k423kf44"),
        key(SecretsExchanged, "pfkkdhi9sl3r4s00&pfkkdhi9sl3r4s00"),
        key(SecretIsIdentifier, "kd94hf93k423kf44&dpf43f3p2l4k3l03"),
        key(SecretIsIdentifier, "kd94hf93k423kf44&nnch734d00sl2jdk"),
        key(SecretIsIdentifier, "dpf43f3p2l4k3l03&pfkkdhi9sl3r4s00"),
        key(SecretIsIdentifier, "nnch734d00sl2jdk&pfkkdhi9sl3r4s00"),
        key(SecretIsIdentifier, "dpf43f3p2l4k3l03&nnch734d00sl2jdk"),
        key(SecretIsIdentifier, "dpf43f3p2l4k3l03&").secrets(CONSUMER, None),
    ]
}

fn converted() -> Vec<Case> {
    let of = |cause, stored: &str, used: &'static str| {
        case(cause, used, move |client| {
            client.consumer_secret = used.into()
        })
        .secrets(stored, Some(TOKEN))
    };
    let of_token = |cause, stored: &str, used: &'static str| {
        case(cause, used, move |client| client.token_secret = used.into())
            .secrets(CONSUMER, Some(stored))
    };
    use MismatchCause::{SecretCase, SecretDecoded, SecretEncoded, SecretTruncated};
    vec![
        of(SecretEncoded, "a/b+c=", "a%2Fb%2Bc%3D"),
        of_token(SecretEncoded, "a/b+c=", "a%2Fb%2Bc%3D"),
        of(SecretEncoded, "secret", "c2VjcmV0"),
        of(SecretEncoded, "secret", "736563726574"),
        of(SecretDecoded, "a%2Fb%2Bc", "a/b+c"),
        of(SecretDecoded, "a+b", "a b"),
        of(
            SecretDecoded,
            "MDEyMzQ1Njc4OWFiY2RlZg==",
            "0123456789abcdef",
        ),
        of_token(
            SecretDecoded,
            "MDEyMzQ1Njc4OWFiY2RlZg==",
            "0123456789abcdef",
        ),
        of(SecretDecoded, "736563726574", "secret"),
        of(
            SecretTruncated,
            "MDEyMzQ1Njc4OWFiY2RlZg==",
            "MDEyMzQ1Njc4OWFiY2RlZg",
        ),
        of_token(
            SecretTruncated,
            "MDEyMzQ1Njc4OWFiY2Rl=",
            "MDEyMzQ1Njc4OWFiY2Rl",
        ),
        of(SecretTruncated, "kd94hf93k423kf44", "kd94hf93k423kf4"),
        of(SecretTruncated, "kd94hf93k423kf44", "d94hf93k423kf44"),
        of(SecretCase, "AbCdEf", "abcdef"),
        of_token(SecretCase, "AbCdEf", "ABCDEF"),
    ]
}

fn misjoined() -> Vec<Case> {
    use MismatchCause::{AmpersandMissing, OldSecret, SecretMissing, SecretsNotEncoded};
    vec![
        case(AmpersandMissing, "both", |client| {
            client.key = Some([CONSUMER, TOKEN].concat().into());
        }),
        case(AmpersandMissing, "without a token", |client| {
            client.key = Some(CONSUMER.into())
        })
        .secrets(CONSUMER, None),
        case(SecretMissing, "the token's", |client| {
            client.token_secret.clear()
        }),
        case(SecretMissing, "the consumer's", |client| {
            client.consumer_secret.clear()
        }),
        case(SecretsNotEncoded, "both", |client| {
            client.key = Some(b"k/+=&&t s".into())
        })
        .secrets("k/+=&", Some("t s")),
        case(OldSecret, "a replaced one", |client| {
            client.consumer_secret = OLD.into()
        }),
        case(SecretMissing, "in a PLAINTEXT signature", |client| {
            client.token_secret.clear()
        })
        .label(SignatureMethod::Plaintext),
        case(
            MismatchCause::SecretPadded,
            "in a PLAINTEXT signature",
            |client| {
                client.consumer_secret.push(b' ');
            },
        )
        .label(SignatureMethod::Plaintext),
    ]
}

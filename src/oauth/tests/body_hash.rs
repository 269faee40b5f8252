//! OAuth Request Body Hash.

use super::*;
use crate::oauth::{SignatureMethod, Signer, SigningKey};

const KEY: SigningKey<'static> = SigningKey::Secrets {
    consumer: CONSUMER_SECRET,
    token: b"",
};

const RULES: [BodyHashRule; 3] = [
    BodyHashRule::Off,
    BodyHashRule::Accept,
    BodyHashRule::Require,
];

/// A body of several steps.
#[test]
fn a_large_body_is_compared_in_steps() {
    let body = "0123456789abcdef".repeat(40_000);
    for (sent, expected) in [
        (&*body, Ok(())),
        (&body[1..], Err(Rejection::BodyHashMismatch)),
    ] {
        let mut wire = signed(SignatureMethod::HmacSha256, Some("text/plain"), &body, true);
        wire.body = Some(sent.into());
        let verdict = wire.parsed(|signed| {
            let keys = secrets(&[CONSUMER_SECRET], None);
            let (compat, schedule) = (CompatSet::NONE, KeySchedule::default());
            let proven = signed.prove_signature(compat, &keys, &schedule, BodyHashRule::Accept);
            let proven = proven.ok().unwrap();
            let mut hashing = proven.body_hashing().unwrap();
            assert_eq!((0..).take_while(|_| hashing.step()).count(), 2);
            proven.check_body(Some(hashing)).map(drop)
        });
        assert_eq!(verdict, expected);
    }
}

fn signed(
    method: SignatureMethod,
    content_type: Option<&str>,
    body: &str,
    body_hash: bool,
) -> WireRequest {
    let draft = RequestDraft {
        method: b"PUT",
        content_type: content_type.map(str::as_bytes),
        body: body.as_bytes(),
        body_hash,
        ..draft(b"/")
    };
    let signer = Signer {
        consumer_key: b"key",
        token: None,
        method,
        key: KEY,
    };
    WireRequest::signed(&draft, signer.sign(&draft).unwrap())
}

fn verify(wire: &WireRequest, rule: BodyHashRule) -> Result<(), Rejection> {
    wire.verify(&secrets(&[CONSUMER_SECRET], None), rule)
}

#[test]
fn a_body_that_its_hash_covers_is_accepted_under_every_rule() {
    for method in [
        SignatureMethod::HmacSha1,
        SignatureMethod::HmacSha256,
        SignatureMethod::HmacSha512,
        SignatureMethod::Plaintext,
    ] {
        for rule in RULES {
            assert_eq!(
                verify(
                    &signed(method, Some("text/plain"), "Hello World!", true),
                    rule
                ),
                Ok(())
            );
            assert_eq!(verify(&signed(method, None, "", true), rule), Ok(()));
            assert_eq!(
                verify(&signed(method, Some(FORM), "a=b", true), rule),
                Ok(())
            );
        }
    }
}

#[test]
fn the_hash_is_that_of_the_signature_method() {
    let sent = |method| signed(method, None, "", true).base_string();
    assert!(sent(SignatureMethod::HmacSha1).contains("2jmj7l5rSw0yVb%252FvlWAYkK%252FYBwk%253D"));
    assert!(
        sent(SignatureMethod::HmacSha256)
            .contains("47DEQpj8HBSa%252B%252FTImW%252B5JCeuQeRkm5NMpJWZG3hSuFU%253D")
    );
    assert!(sent(SignatureMethod::Plaintext).contains("2jmj7l5rSw0yVb%252FvlWAYkK%252FYBwk%253D"));
}

#[test]
fn another_body_is_refused_when_a_hash_was_sent() {
    for content_type in ["text/plain", "application/json"] {
        let wire = signed(SignatureMethod::HmacSha256, Some(content_type), "{}", true);
        for body in ["", "{ }", "{}\n"] {
            let changed = WireRequest {
                body: Some(body.into()),
                ..wire.clone()
            };
            assert_eq!(
                verify(&changed, BodyHashRule::Accept),
                Err(Rejection::BodyHashMismatch)
            );
            assert_eq!(
                verify(&changed, BodyHashRule::Require),
                Err(Rejection::BodyHashMismatch)
            );
            assert_eq!(verify(&changed, BodyHashRule::Off), Ok(()));
        }
    }
}

#[test]
fn an_incomplete_body_is_not_compared_with_a_hash() {
    let wire = WireRequest {
        body: None,
        ..signed(SignatureMethod::HmacSha1, Some("text/plain"), "a", true)
    };
    assert_eq!(
        verify(&wire, BodyHashRule::Accept),
        Err(Rejection::BodyNotWhole)
    );
    assert_eq!(
        verify(&wire, BodyHashRule::Require),
        Err(Rejection::BodyNotWhole)
    );
    assert_eq!(verify(&wire, BodyHashRule::Off), Ok(()));
}

#[test]
fn a_required_hash_must_cover_every_body_that_is_not_signed() {
    let wire = signed(SignatureMethod::HmacSha1, Some("text/plain"), "a", false);
    assert_eq!(
        verify(&wire, BodyHashRule::Require),
        Err(Rejection::BodyHashAbsent)
    );
    assert_eq!(verify(&wire, BodyHashRule::Accept), Ok(()));
    let not_whole = WireRequest { body: None, ..wire };
    assert_eq!(
        verify(&not_whole, BodyHashRule::Require),
        Err(Rejection::BodyHashAbsent)
    );
    assert_eq!(verify(&not_whole, BodyHashRule::Accept), Ok(()));
}

#[test]
fn a_form_and_an_empty_body_need_no_hash() {
    let method = SignatureMethod::HmacSha1;
    assert_eq!(
        verify(
            &signed(method, Some(FORM), "a=b", false),
            BodyHashRule::Require
        ),
        Ok(())
    );
    assert_eq!(
        verify(&signed(method, None, "", false), BodyHashRule::Require),
        Ok(())
    );
    assert_eq!(
        verify(
            &signed(method, Some("text/plain"), "", false),
            BodyHashRule::Require
        ),
        Ok(())
    );
}

#[test]
fn nothing_is_said_about_a_body_before_the_signature_is_proven() {
    let wire = signed(SignatureMethod::HmacSha1, Some("text/plain"), "a", false);
    let other = secrets(&[b"other"], None);
    assert_eq!(
        wire.verify(&other, BodyHashRule::Require),
        Err(Rejection::SignatureMismatch)
    );
    let wire = WireRequest {
        body: None,
        ..signed(SignatureMethod::HmacSha1, Some("text/plain"), "a", true)
    };
    assert_eq!(
        wire.verify(&other, BodyHashRule::Require),
        Err(Rejection::SignatureMismatch)
    );
}

#[test]
fn a_hash_is_compared_as_text_so_another_spelling_is_a_mismatch() {
    let spelled = "oauth_body_hash=2jmj7l5rSw0yVb%2FvlWAYkK%2FYBwl%3D";
    let form = with_parameter("oauth_signature_method", Some("PLAINTEXT"));
    let form = form.replace(
        "oauth_signature=AAAA",
        &format!("oauth_signature=kd94hf93k423kf44%26&{spelled}"),
    );
    assert_eq!(
        verify(
            &WireRequest::get(&format!("/?{form}")),
            BodyHashRule::Accept
        ),
        Err(Rejection::BodyHashMismatch)
    );
}

//! The client's side: requests as they are sent, and refusals to sign.

use super::*;
use crate::oauth::{SignError, SignatureMethod, Signer, SigningKey};

const SIGNER: Signer<'static> = Signer {
    consumer_key: b"dpf43f3p2l4k3l03",
    token: Some(b"nnch734d00sl2jdk"),
    method: SignatureMethod::HmacSha1,
    key: SigningKey::Secrets {
        consumer: CONSUMER_SECRET,
        token: b"pfkkdhi9sl3r4s00",
    },
};

fn photos() -> RequestDraft<'static> {
    RequestDraft {
        scheme: Scheme::Http,
        authority: b"photos.example.net",
        stamp: RequestStamp {
            timestamp: 137_131_202,
            nonce: b"chapoH",
        },
        realm: Some("Photos"),
        ..draft(b"/photos?file=vacation.jpg&size=original")
    }
}

// RFC 5849 section 1.2
#[test]
fn the_photo_request_of_the_rfc_is_signed_as_it_is_there() {
    let signed = SIGNER.sign(&photos()).unwrap();
    let expected = "OAuth realm=\"Photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_token=\"nnch734d00sl2jdk\", \
                    oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131202\", oauth_nonce=\"chapoH\", \
                    oauth_signature=\"MdpQcU8iPSUjWoN%2FUDMsK2sui9I%3D\"";
    assert_eq!(signed.authorization.as_deref(), Some(expected));
    assert_eq!(
        signed.parameters.last().unwrap().1,
        b"MdpQcU8iPSUjWoN/UDMsK2sui9I="
    );
    assert_eq!(signed.target, b"/photos?file=vacation.jpg&size=original");
}

#[test]
fn the_query_is_extended_and_not_rewritten() {
    for (target, before) in [
        ("/", "/?oauth_"),
        ("/r?", "/r?oauth_"),
        ("/r?a=%7e", "/r?a=%7e&oauth_"),
        ("/r?a&", "/r?a&oauth_"),
        ("/r?a?", "/r?a?&oauth_"),
    ] {
        let draft = RequestDraft {
            place: ParameterPlace::Query,
            target: target.as_bytes(),
            ..photos()
        };
        let signed = SIGNER.sign(&draft).unwrap();
        assert!(signed.target.starts_with(before.as_bytes()), "{target}");
        assert!(signed.authorization.is_none() && signed.body.is_empty());
    }
}

#[test]
fn the_form_is_extended_and_created_if_there_is_none() {
    let begun = SIGNER
        .sign(&RequestDraft {
            place: ParameterPlace::Body,
            ..photos()
        })
        .unwrap();
    assert!(begun.body.starts_with(b"oauth_consumer_key="));
    assert_eq!(begun.content_type.as_deref(), Some(FORM.as_bytes()));
    let form = RequestDraft {
        place: ParameterPlace::Body,
        content_type: Some(FORM.as_bytes()),
        body: b"a=b",
        ..photos()
    };
    assert!(
        SIGNER
            .sign(&form)
            .unwrap()
            .body
            .starts_with(b"a=b&oauth_consumer_key=")
    );
}

#[test]
fn a_realm_is_quoted() {
    let draft = RequestDraft {
        realm: Some(r#"a "b" \ c"#),
        ..photos()
    };
    let signed = SIGNER.sign(&draft).unwrap();
    assert!(
        signed
            .authorization
            .as_ref()
            .unwrap()
            .contains(r#"realm="a \"b\" \\ c""#)
    );
    WireRequest::signed(&draft, signed)
        .parsed(|signed| assert_eq!(signed.realm(), Some(&br#"a "b" \ c"#[..])));
}

#[test]
fn an_unverifiable_request_is_not_signed() {
    let refusal = |draft: RequestDraft<'_>| SIGNER.sign(&draft).err().unwrap();
    assert_eq!(
        refusal(RequestDraft {
            target: b"photos",
            ..photos()
        }),
        SignError::Unverifiable(Rejection::TargetMalformed)
    );
    assert_eq!(
        refusal(RequestDraft {
            authority: b"a b",
            ..photos()
        }),
        SignError::Unverifiable(Rejection::AuthorityMalformed)
    );
    let bad = RequestDraft {
        target: b"/?a=%",
        ..photos()
    };
    assert_eq!(
        refusal(bad),
        SignError::Unverifiable(Rejection::BadEscape(ParameterPlace::Query))
    );
    assert_eq!(
        refusal(RequestDraft {
            target: b"/?oauth_token=x",
            ..photos()
        }),
        SignError::AlreadySigned
    );
    let json = RequestDraft {
        place: ParameterPlace::Body,
        content_type: Some(b"application/json"),
        body: b"{}",
        ..photos()
    };
    assert_eq!(refusal(json), SignError::NotAForm);
    let untyped = RequestDraft {
        place: ParameterPlace::Body,
        content_type: None,
        body: b"{}",
        ..photos()
    };
    assert_eq!(refusal(untyped), SignError::NotAForm);
    assert_eq!(
        refusal(RequestDraft {
            realm: Some("a\r\nb"),
            ..photos()
        }),
        SignError::Realm
    );
}

#[test]
fn a_request_of_any_size_is_signed() {
    let limits = ParseLimits::default();
    let long = format!("/?a={}", "b".repeat(limits.form_bytes));
    let many = format!("/?{}", "a=b&".repeat(limits.parameters + 1));
    for target in [long, many] {
        let draft = RequestDraft {
            target: target.as_bytes(),
            ..photos()
        };
        assert!(SIGNER.sign(&draft).is_ok());
    }
}

#[test]
fn a_method_signs_with_its_own_kind_of_key() {
    let rsa = Signer {
        key: SigningKey::Rsa(&rsa_key().private),
        ..SIGNER
    };
    assert_eq!(
        rsa.sign(&photos()).err(),
        Some(SignError::Key(SignatureMethod::HmacSha1))
    );
    let secrets = Signer {
        method: SignatureMethod::RsaSha1,
        ..SIGNER
    };
    assert_eq!(
        secrets.sign(&photos()).err(),
        Some(SignError::Key(SignatureMethod::RsaSha1))
    );
}

#[test]
fn further_protocol_parameters_are_sent_and_signed() {
    let draft = RequestDraft {
        extensions: &[(b"oauth_callback", b"http://printer.example.com/ready")],
        ..photos()
    };
    let signed = SIGNER.sign(&draft).unwrap();
    let header = signed.authorization.as_ref().unwrap();
    assert!(
        header.contains("oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready\""),
        "{header}"
    );
    let base_string = String::from_utf8(signed.base_string).unwrap();
    assert!(
        base_string.contains("oauth_callback%3Dhttp%253A%252F%252Fprinter.example.com%252Fready")
    );
}

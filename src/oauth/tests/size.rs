//! Bounds on the work for one request.

use super::*;
use crate::oauth::{CompatProfile, SignatureMethod, Signer, SigningKey};

#[test]
fn header_query_and_form_have_a_limit_each() {
    let limits = ParseLimits {
        form_bytes: 200,
        ..ParseLimits::default()
    };
    let long = format!("a={}", "%80".repeat(70));
    for (place, wire) in [
        (
            ParameterPlace::Header,
            WireRequest::get("/").authorization(header_of(&format!("{PARAMETERS}&{long}"))),
        ),
        (
            ParameterPlace::Query,
            WireRequest::get(&format!("/?{long}")).authorization("OAuth a=\"b\""),
        ),
        (
            ParameterPlace::Body,
            WireRequest::get("/").body(FORM, &long),
        ),
    ] {
        let refused = wire.with_request(|request| request.parse(&limits).err());
        let expected = Rejection::ParametersTooLarge { place, limit: 200 };
        assert_eq!(refused, Some(expected));
    }
    let json = WireRequest::get("/").body("application/json", &long);
    assert!(json.with_request(|request| request.parse(&limits).is_ok()));
}

#[test]
fn a_form_of_the_maximum_size_is_read() {
    let limits = ParseLimits {
        form_bytes: 200,
        ..ParseLimits::default()
    };
    for (length, is_read) in [(200, true), (201, false)] {
        let form = format!("a={}", "b".repeat(length - 2));
        let wire = WireRequest::get("/").body(FORM, &form);
        let parsed = wire.with_request(|request| request.parse(&limits).is_ok());
        assert_eq!(parsed, is_read, "{length}");
    }
}

#[test]
fn header_and_target_count_toward_the_size_up_to_which_profiles_are_tried() {
    let compat = CompatSet::only(CompatProfile::SchemeAny);
    let target = format!("/?a={}", "b".repeat(8 * 1024));
    let draft = RequestDraft {
        scheme: Scheme::Http,
        ..draft(target.as_bytes())
    };
    let signer = Signer {
        consumer_key: b"key",
        token: None,
        method: SignatureMethod::HmacSha1,
        key: SigningKey::Secrets {
            consumer: CONSUMER_SECRET,
            token: b"",
        },
    };
    for (size, is_verified) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let mut wire = WireRequest::signed(&draft, signer.sign(&draft).unwrap());
        wire.scheme = Scheme::Https;
        let header = &mut wire.authorization[0];
        header.resize(size - target.len(), b' ');
        let verified = wire.parsed(|signed| {
            let keys = secrets(&[CONSUMER_SECRET], None);
            let schedule = KeySchedule::default();
            signed
                .verify_under(compat, &keys, &schedule, BodyHashRule::Accept)
                .is_ok()
        });
        assert_eq!(verified, is_verified, "{size}");
    }
}

#[test]
fn profiles_are_not_tried_on_a_large_request() {
    let compat = CompatSet::only(CompatProfile::SchemeAny);
    for (length, is_verified) in [(1000, true), (16 * 1024, false)] {
        let body = format!("a={}", "b".repeat(length));
        let draft = RequestDraft {
            method: b"POST",
            scheme: Scheme::Http,
            content_type: Some(FORM.as_bytes()),
            body: body.as_bytes(),
            ..draft(b"/")
        };
        let signer = Signer {
            consumer_key: b"key",
            token: None,
            method: SignatureMethod::HmacSha1,
            key: SigningKey::Secrets {
                consumer: CONSUMER_SECRET,
                token: b"",
            },
        };
        let mut wire = WireRequest::signed(&draft, signer.sign(&draft).unwrap());
        let verified = |wire: &WireRequest| {
            wire.parsed(|signed| {
                let keys = secrets(&[CONSUMER_SECRET], None);
                let schedule = KeySchedule::default();
                signed
                    .verify_under(compat, &keys, &schedule, BodyHashRule::Accept)
                    .is_ok()
            })
        };
        assert!(verified(&wire), "RFC 5849 has no such limit");
        wire.scheme = Scheme::Https;
        assert_eq!(verified(&wire), is_verified, "{length}");
    }
}

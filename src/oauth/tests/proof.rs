//! RFC 5849 sections 3.2 and 3.4.2 to 3.4.4: proving a signature.

use super::*;
use crate::oauth::{SignatureMethod, Signer, SigningKey};

const TOKEN_SECRET: &[u8] = b"pfkkdhi9sl3r4s00";

const HMAC: [SignatureMethod; 3] = [
    SignatureMethod::HmacSha1,
    SignatureMethod::HmacSha256,
    SignatureMethod::HmacSha512,
];

const RSA: [SignatureMethod; 3] = [
    SignatureMethod::RsaSha1,
    SignatureMethod::RsaSha256,
    SignatureMethod::RsaSha512,
];

/// A request signed with both secrets, or with the RSA key.
fn signed(method: SignatureMethod, token: Option<&[u8]>) -> WireRequest {
    let token_secret = if token.is_some_and(|token| !token.is_empty()) {
        TOKEN_SECRET
    } else {
        b""
    };
    let secrets = SigningKey::Secrets {
        consumer: CONSUMER_SECRET,
        token: token_secret,
    };
    let key = if method.is_rsa() {
        SigningKey::Rsa(&rsa_key().private)
    } else {
        secrets
    };
    let draft = draft(b"/photos?size=original");
    let signed = Signer {
        consumer_key: b"key",
        token,
        method,
        key,
    }
    .sign(&draft)
    .unwrap();
    WireRequest::signed(&draft, signed)
}

/// The same request with another signature.
fn resigned(wire: &WireRequest, signature: &str) -> WireRequest {
    let header = String::from_utf8(wire.authorization[0].clone()).unwrap();
    let (before, _) = header.split_once("oauth_signature=").unwrap();
    let header = format!(
        "{before}oauth_signature=\"{}\"",
        crate::oauth::encode::encoded(signature.as_bytes())
    );
    WireRequest {
        authorization: vec![header.into()],
        ..wire.clone()
    }
}

fn signature(wire: &WireRequest) -> String {
    let header = String::from_utf8(wire.authorization[0].clone()).unwrap();
    decoded(
        header
            .split_once("oauth_signature=\"")
            .unwrap()
            .1
            .trim_end_matches('"'),
    )
}

fn verify(wire: &WireRequest, keys: &VerificationKeys<'_>) -> Result<(), Rejection> {
    wire.verify(keys, BodyHashRule::Accept)
}

const MISMATCH: Result<(), Rejection> = Err(Rejection::SignatureMismatch);

#[test]
fn a_true_signature_is_proof() {
    for method in HMAC.into_iter().chain([SignatureMethod::Plaintext]) {
        assert_eq!(
            verify(&signed(method, None), &secrets(&[CONSUMER_SECRET], None)),
            Ok(()),
            "{method}"
        );
        let keys = secrets(&[CONSUMER_SECRET], Some(TOKEN_SECRET));
        assert_eq!(
            verify(&signed(method, Some(b"token")), &keys),
            Ok(()),
            "{method}"
        );
    }
    for method in RSA {
        let keys = VerificationKeys {
            consumer_secrets: &[],
            token_secret: None,
            rsa_public_keys: &[&rsa_key().public],
        };
        assert_eq!(
            verify(&signed(method, Some(b"token")), &keys),
            Ok(()),
            "{method}"
        );
    }
}

#[test]
fn another_secret_is_no_proof() {
    for method in HMAC.into_iter().chain([SignatureMethod::Plaintext]) {
        let wire = signed(method, Some(b"token"));
        for (consumer, token) in [
            (&b"other"[..], TOKEN_SECRET),
            (CONSUMER_SECRET, b"other"),
            (b"", b""),
            (TOKEN_SECRET, CONSUMER_SECRET),
        ] {
            assert_eq!(
                verify(&wire, &secrets(&[consumer], Some(token))),
                MISMATCH,
                "{method}"
            );
        }
    }
}

#[test]
fn a_cached_key_proves_only_what_its_secrets_do() {
    let right = secrets(&[CONSUMER_SECRET], Some(TOKEN_SECRET));
    let others = [
        secrets(&[b"other"], Some(TOKEN_SECRET)),
        secrets(&[CONSUMER_SECRET], Some(b"other")),
        secrets(&[b"kd94hf93k423kf4"], Some(TOKEN_SECRET)),
        secrets(&[TOKEN_SECRET], Some(CONSUMER_SECRET)),
    ];
    for remembered in HMAC {
        let schedule = KeySchedule::default();
        let verify = |wire: &WireRequest, keys: &VerificationKeys<'_>| {
            wire.verify_with(keys, &schedule, BodyHashRule::Accept)
        };
        for method in [remembered].into_iter().chain(HMAC) {
            let wire = signed(method, Some(b"token"));
            assert_eq!(verify(&wire, &right), Ok(()), "{remembered}, {method}");
            for other in &others {
                assert_eq!(verify(&wire, other), MISMATCH, "{remembered}, {method}");
            }
            let rotating = secrets(&[b"other", CONSUMER_SECRET], Some(TOKEN_SECRET));
            assert_eq!(verify(&wire, &rotating), Ok(()), "{remembered}, {method}");
        }
    }
}

#[test]
fn a_cached_key_of_another_secret_proves_nothing() {
    for method in HMAC {
        let schedule = KeySchedule::default();
        let verify = |wire: &WireRequest, keys: &VerificationKeys<'_>| {
            wire.verify_with(keys, &schedule, BodyHashRule::Accept)
        };
        let wire = signed(method, Some(b"token"));
        assert_eq!(
            verify(&wire, &secrets(&[b"other"], Some(b"another"))),
            MISMATCH,
            "{method}"
        );
        assert_eq!(
            verify(&wire, &secrets(&[CONSUMER_SECRET], Some(TOKEN_SECRET))),
            Ok(()),
            "{method}"
        );
    }
}

// 3.4.2: enc(consumer secret) & enc(token secret)
#[test]
fn secrets_are_encoded_before_they_are_joined() {
    let signer = |consumer, token| {
        let key = SigningKey::Secrets { consumer, token };
        Signer {
            consumer_key: b"key",
            token: Some(b"t"),
            method: SignatureMethod::HmacSha1,
            key,
        }
    };
    let draft = draft(b"/");
    let wire = WireRequest::signed(&draft, signer(b"a&b", b"c").sign(&draft).unwrap());
    assert_eq!(verify(&wire, &secrets(&[b"a&b"], Some(b"c"))), Ok(()));
    assert_eq!(verify(&wire, &secrets(&[b"a"], Some(b"b&c"))), MISMATCH);
}

#[test]
fn a_missing_secret_is_never_the_empty_secret() {
    for method in HMAC.into_iter().chain([SignatureMethod::Plaintext]) {
        let key = SigningKey::Secrets {
            consumer: b"",
            token: b"",
        };
        for token in [None, Some(&b"token"[..])] {
            let draft = draft(b"/");
            let wire = WireRequest::signed(
                &draft,
                Signer {
                    consumer_key: b"key",
                    token,
                    method,
                    key,
                }
                .sign(&draft)
                .unwrap(),
            );
            assert_eq!(verify(&wire, &secrets(&[], None)), MISMATCH, "{method}");
            assert_eq!(
                verify(&wire, &secrets(&[], Some(b""))),
                MISMATCH,
                "{method}"
            );
        }
        let only_consumer = SigningKey::Secrets {
            consumer: CONSUMER_SECRET,
            token: b"",
        };
        let signer = Signer {
            consumer_key: b"key",
            token: Some(b"token"),
            method,
            key: only_consumer,
        };
        let draft = draft(b"/");
        let wire = WireRequest::signed(&draft, signer.sign(&draft).unwrap());
        assert_eq!(
            verify(&wire, &secrets(&[CONSUMER_SECRET], None)),
            MISMATCH,
            "{method}"
        );
    }
}

// algorithm confusion
#[test]
fn a_consumer_with_an_rsa_key_alone_accepts_no_shared_secret_signature() {
    let keys = VerificationKeys {
        consumer_secrets: &[],
        token_secret: None,
        rsa_public_keys: &[&rsa_key().public],
    };
    let spki = rsa_key().public.to_pem();
    for consumer in [&b""[..], spki.as_bytes()] {
        for method in HMAC.into_iter().chain([SignatureMethod::Plaintext]) {
            let key = SigningKey::Secrets {
                consumer,
                token: b"",
            };
            let draft = draft(b"/");
            let signed = Signer {
                consumer_key: b"key",
                token: None,
                method,
                key,
            }
            .sign(&draft)
            .unwrap();
            assert_eq!(
                verify(&WireRequest::signed(&draft, signed), &keys),
                MISMATCH,
                "{method}"
            );
        }
    }
}

#[test]
fn while_a_secret_is_rotated_both_are_accepted() {
    for method in HMAC.into_iter().chain([SignatureMethod::Plaintext]) {
        let wire = signed(method, None);
        assert_eq!(
            verify(&wire, &secrets(&[b"new", CONSUMER_SECRET], None)),
            Ok(())
        );
        assert_eq!(
            verify(&wire, &secrets(&[CONSUMER_SECRET, b"new"], None)),
            Ok(())
        );
        let twice = secrets(&[CONSUMER_SECRET, CONSUMER_SECRET], None);
        assert_eq!(verify(&wire, &twice), Ok(()));
        assert_eq!(verify(&wire, &secrets(&[b"new", b"newer"], None)), MISMATCH);
    }
}

#[test]
fn an_empty_token_needs_no_token_secret() {
    let wire = signed(SignatureMethod::HmacSha1, Some(b""));
    assert_eq!(verify(&wire, &secrets(&[CONSUMER_SECRET], None)), Ok(()));
}

// 3.4.3
#[test]
fn rsa_uses_no_secret_and_any_of_the_keys() {
    let stranger = RsaPublicKey::from_pem(keys::STRANGER).unwrap();
    let (own, other) = (&rsa_key().public, &stranger);
    let with = |wire: &WireRequest, rsa_public_keys: &[&RsaPublicKey]| {
        verify(
            wire,
            &VerificationKeys {
                consumer_secrets: &[b"x"],
                token_secret: Some(b"y"),
                rsa_public_keys,
            },
        )
    };
    for method in RSA {
        let wire = signed(method, Some(b"token"));
        assert_eq!(with(&wire, &[own]), Ok(()), "{method}");
        assert_eq!(with(&wire, &[other, own]), Ok(()), "{method}");
        assert_eq!(with(&wire, &[own, own]), Ok(()), "{method}");
        assert_eq!(with(&wire, &[other]), MISMATCH, "{method}");
        assert_eq!(with(&wire, &[]), MISMATCH, "{method}");
    }
}

#[test]
fn a_signature_of_another_method_is_no_proof() {
    let header = |wire: &WireRequest| String::from_utf8(wire.authorization[0].clone()).unwrap();
    let rsa_public_keys: &[_] = &[&rsa_key().public];
    let keys = VerificationKeys {
        consumer_secrets: &[CONSUMER_SECRET],
        token_secret: None,
        rsa_public_keys,
    };
    for from in SignatureMethod::ALL {
        let wire = signed(from, None);
        for to in SignatureMethod::ALL.into_iter().filter(|&to| to != from) {
            let renamed = header(&wire).replace(&format!("\"{from}\""), &format!("\"{to}\""));
            let renamed = WireRequest {
                authorization: vec![renamed.into()],
                ..wire.clone()
            };
            assert!(verify(&renamed, &keys).is_err(), "{from} as {to}");
        }
    }
}

// RFC 4648 section 3.5
#[test]
fn a_signature_has_one_text_only() {
    let keys = secrets(&[CONSUMER_SECRET], None);
    let wire = signed(SignatureMethod::HmacSha1, None);
    let text = signature(&wire);
    let loose: String = {
        // The last digit before the padding has two unused bits.
        const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let last = DIGITS.find(text.as_bytes()[26] as char).unwrap();
        format!("{}{}=", &text[..26], &DIGITS[last + 1..last + 2])
    };
    for other in [
        loose,
        text.trim_end_matches('=').to_owned(),
        format!("{text}="),
        format!("{text}\n"),
        format!(" {text}"),
        format!("{}\r\n{}", &text[..8], &text[8..]),
        "!".to_owned(),
    ] {
        assert_eq!(
            verify(&resigned(&wire, &other), &keys),
            Err(Rejection::SignatureNotCanonical),
            "{other}"
        );
    }
    assert_eq!(verify(&wire, &keys), Ok(()));
}

#[test]
fn url_safe_base64_is_another_alphabet() {
    let wire = signed(SignatureMethod::HmacSha1, None);
    let refusal = verify(&resigned(&wire, "-_-_"), &secrets(&[CONSUMER_SECRET], None));
    assert_eq!(refusal, Err(Rejection::SignatureNotCanonical));
}

#[test]
fn a_signature_of_another_length_is_a_mismatch() {
    let keys = VerificationKeys {
        rsa_public_keys: &[&rsa_key().public],
        ..secrets(&[CONSUMER_SECRET], None)
    };
    for method in HMAC.into_iter().chain(RSA) {
        let wire = signed(method, None);
        for bytes in [0, 1, 19, 20, 21, 32, 64, 255, 256, 257]
            .map(|len| vec![0_u8; len])
            .into_iter()
            .skip(1)
        {
            assert_eq!(
                verify(&resigned(&wire, &STANDARD.encode(bytes)), &keys),
                MISMATCH,
                "{method}"
            );
        }
        let mut longer = STANDARD.decode(signature(&wire)).unwrap();
        longer.push(0);
        assert_eq!(
            verify(&resigned(&wire, &STANDARD.encode(&longer)), &keys),
            MISMATCH,
            "{method}"
        );
        longer.truncate(longer.len() - 2);
        assert_eq!(
            verify(&resigned(&wire, &STANDARD.encode(&longer)), &keys),
            MISMATCH,
            "{method}"
        );
    }
}

// 3.4.4
#[test]
fn plaintext_is_both_secrets_encoded_and_joined() {
    let wire = signed(SignatureMethod::Plaintext, Some(b"token"));
    assert_eq!(signature(&wire), "kd94hf93k423kf44&pfkkdhi9sl3r4s00");
    let keys = secrets(&[CONSUMER_SECRET], Some(TOKEN_SECRET));
    for other in [
        "kd94hf93k423kf44",
        "kd94hf93k423kf44&",
        "&pfkkdhi9sl3r4s00",
        "kd94hf93k423kf44%26pfkkdhi9sl3r4s00",
        "&",
    ] {
        assert_eq!(verify(&resigned(&wire, other), &keys), MISMATCH, "{other}");
    }
}

#[test]
fn a_raw_ampersand_in_a_plaintext_signature_is_read() {
    let header = "OAuth oauth_consumer_key=\"key\",oauth_signature_method=\"PLAINTEXT\",oauth_signature=\"s3cret&\"";
    assert_eq!(
        verify(
            &WireRequest::get("/").authorization(header),
            &secrets(&[b"s3cret"], None)
        ),
        Ok(())
    );
}

#[test]
fn a_proof_gives_the_request_back() {
    signed(SignatureMethod::HmacSha256, None).parsed(|signed| {
        let verified = signed
            .verify(&secrets(&[CONSUMER_SECRET], None), BodyHashRule::Accept)
            .ok()
            .unwrap();
        assert_eq!(verified.request().consumer_key(), b"key");
        assert_eq!(verified.request().nonce(), Some(&b"wIjqoS"[..]));
    });
}

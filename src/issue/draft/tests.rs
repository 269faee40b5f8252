//! The rules of drafts, field by field.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::clock::{CountingEntropy, UnixTime};
use crate::issue::Violations;
use crate::model::{ConsumerProfile, Flow, Scopes, Secret, TokenStatus};
use crate::oauth::SignatureMethod;

#[test]
fn a_name_is_all_that_a_consumer_needs() {
    let consumer = named()
        .to_consumer(NOW, &CountingEntropy::default())
        .unwrap();
    assert_eq!(consumer.name.as_str(), "Printer");
    assert_eq!(consumer.secrets.len(), 1);
    assert_eq!(
        consumer.flows,
        BTreeSet::from([Flow::TwoLegged, Flow::ThreeLegged])
    );
    assert!(consumer.allows(SignatureMethod::HmacSha256));
    assert!(!consumer.allows(SignatureMethod::Plaintext));
    assert_eq!(
        (consumer.created_at, consumer.updated_at, consumer.revision),
        (NOW, NOW, 1)
    );
}

#[test]
fn generated_values_are_unique() {
    let entropy = CountingEntropy::default();
    let [one, other] = [(); 2].map(|()| named().to_consumer(NOW, &entropy).unwrap());
    assert!(one.id != other.id && one.key != other.key && one.secrets != other.secrets);
    assert!(one.id.as_str() != one.key.as_str());
}

#[test]
fn existing_credentials_are_kept_as_they_are() {
    let draft = ConsumerDraft {
        consumer_key: Some("dpf43f3p2l4k3l03".to_owned()),
        consumer_secret: Some(Secret::new(*b"k")),
        ..named()
    };
    let consumer = draft.to_consumer(NOW, &CountingEntropy::default()).unwrap();
    assert_eq!(consumer.key.as_str(), "dpf43f3p2l4k3l03");
    assert_eq!(consumer.secrets[0].secret, Secret::new(*b"k"));
}

#[test]
fn the_error_lists_every_mistake_in_a_consumer() {
    let draft = ConsumerDraft {
        consumer_key: Some("a b".to_owned()),
        consumer_secret: Some(Secret::new(*b"secret\n")),
        attributes: ConsumerAttributes {
            signature_methods: texts(["HMAC-SHA1", "hmac-sha1", "RSA-SHA256"]),
            profile: ConsumerProfile {
                description: "two\nlines".to_owned(),
                platform: "p".repeat(256),
                app_url: "ftp://example.com".to_owned(),
            },
            flows: texts(["four-legged"]),
            callbacks: texts(["oob", "javascript:alert(1)"]),
            scopes: texts(["read write", "", "say\"hi\""]),
            compat_profiles: texts(["plus-literal", "plus-figurative"]),
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    };
    let wrong = draft
        .to_consumer(NOW, &CountingEntropy::default())
        .unwrap_err();
    assert_eq!(
        problems(&wrong),
        [
            "consumer_key has the character ' ' at byte 1; allowed are visible ASCII characters",
            "name must not be empty",
            "consumer_secret has a control character, perhaps a line break at its end",
            "signature_methods[1] is not a signature method; known are HMAC-SHA1, HMAC-SHA256, HMAC-SHA512, RSA-SHA1, \
             RSA-SHA256, RSA-SHA512, PLAINTEXT",
            "signature_methods[2] RSA-SHA256 needs rsa_public_keys",
            "flows[0] is not a flow; known are two-legged, three-legged, xauth",
            "callbacks[1] has a scheme that browsers execute or open locally",
            "scopes[0] has a space: pass each scope as its own value",
            "scopes[1] must not be empty",
            "scopes[2] has the character '\"' at byte 3; allowed are visible ASCII without \" and \\",
            "description has a control character at byte 3",
            "platform is 256 bytes long, the limit is 255",
            "app_url has a scheme that is not http or https",
            "compat_profiles[1] is not a compat profile; known are version-lenient, no-root-slash, plus-literal, raw-values, \
             body-unsigned-form, ignore-query-on-post, brackets-once, scheme-any, default-port-any, repeated-once, \
             slash-plain, characters-plain, form-encoding, empty-unsent",
        ]
    );
}

#[test]
fn a_missing_secret_is_never_the_empty_secret() {
    let empty = ConsumerDraft {
        consumer_secret: Some(Secret::new(*b"")),
        ..named()
    };
    assert_eq!(
        consumer_problems(&empty),
        ["consumer_secret must not be empty"]
    );

    let keyless = ConsumerDraft {
        no_shared_secret: true,
        ..named()
    };
    assert_eq!(
        consumer_problems(&keyless),
        [
            "no_shared_secret needs rsa_public_keys: without a secret and a key the consumer could never sign"
        ]
    );

    let both = ConsumerDraft {
        consumer_secret: Some(Secret::new(*b"k")),
        no_shared_secret: true,
        ..named()
    };
    assert_eq!(
        consumer_problems(&both),
        ["no_shared_secret contradicts consumer_secret: omit one of them"]
    );
}

#[test]
fn a_list_has_an_end() {
    let draft = |callbacks| ConsumerDraft {
        attributes: ConsumerAttributes {
            callbacks: (0..callbacks)
                .map(|number| format!("https://example.com/{number}"))
                .collect(),
            ..named().attributes
        },
        ..named()
    };
    assert!(
        draft(8)
            .to_consumer(NOW, &CountingEntropy::default())
            .is_ok()
    );
    assert_eq!(
        consumer_problems(&draft(9)),
        ["callbacks has 9 values, the limit is 8"]
    );
}

#[test]
fn a_token_needs_its_consumer_and_a_future() {
    let token = issued().to_token(NOW, &CountingEntropy::default()).unwrap();
    assert_eq!(
        (token.user_id, token.expires_at, token.status),
        (None, None, TokenStatus::Active)
    );

    for (expiry, problem) in [
        (Expiry::At(NOW), "expire_time must end in the future"),
        (Expiry::After(Duration::ZERO), "ttl must end in the future"),
        (
            Expiry::After(Duration::MAX),
            "ttl must end before the year 10000",
        ),
    ] {
        let wrong = TokenDraft { expiry, ..issued() }
            .to_token(NOW, &CountingEntropy::default())
            .unwrap_err();
        assert_eq!(problems(&wrong), [problem]);
    }

    let nobodys = TokenDraft {
        consumer_key: String::new(),
        user_id: Some(String::new()),
        ..issued()
    };
    let wrong = nobodys
        .to_token(NOW, &CountingEntropy::default())
        .unwrap_err();
    assert_eq!(
        problems(&wrong),
        [
            "consumer_key must not be empty",
            "user_id must not be empty"
        ]
    );
}

#[test]
fn a_token_has_no_scope_that_its_consumer_lacks() {
    let consumer = Scopes::parse("read write").unwrap();
    assert!(require_scopes(&Scopes::parse("read").unwrap(), &consumer).is_ok());
    assert!(require_scopes(&Scopes::default(), &Scopes::default()).is_ok());
    let wrong = require_scopes(&Scopes::parse("admin read").unwrap(), &consumer).unwrap_err();
    assert_eq!(
        problems(&wrong),
        ["scopes has \"admin\", which its consumer does not have"]
    );
}

#[test]
fn a_token_expires_before_the_year_10000() {
    let problem = |end| {
        let draft = TokenDraft {
            expiry: Expiry::At(end),
            ..issued()
        };
        let made = draft.to_token(NOW, &CountingEntropy::default());
        made.err().map(|wrong| wrong.to_string())
    };
    let last = UnixTime::from_secs(253_402_300_799);
    assert_eq!(problem(last), None);
    assert_eq!(
        problem(last.plus(Duration::from_secs(1))).as_deref(),
        Some("expire_time must end before the year 10000")
    );
}

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn named() -> ConsumerDraft {
    ConsumerDraft {
        attributes: ConsumerAttributes {
            name: "Printer".to_owned(),
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    }
}

fn issued() -> TokenDraft {
    TokenDraft {
        token: None,
        token_secret: None,
        consumer_key: "dpf43f3p2l4k3l03".to_owned(),
        user_id: None,
        scopes: Vec::new(),
        expiry: Expiry::Never,
        allow_existing: false,
        validate_only: false,
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).into()
}

fn consumer_problems(draft: &ConsumerDraft) -> Vec<String> {
    problems(
        &draft
            .to_consumer(NOW, &CountingEntropy::default())
            .unwrap_err(),
    )
}

fn problems(wrong: &Violations) -> Vec<String> {
    wrong
        .iter()
        .map(|violation| format!("{} {}", violation.field, violation.problem))
        .collect()
}

#[test]
fn a_text_for_people_has_no_characters_that_hide_or_reorder_others() {
    for (description, problem) in [
        (
            "Prints\u{202e}sotohp",
            "has U+202E at byte 6, which is invisible or changes the direction of the text: \
             remove it",
        ),
        ("a\nb", "has a control character at byte 1"),
    ] {
        assert_eq!(text(description, 100), Err(problem.to_owned()));
    }
    assert_eq!(text("صور 👩\u{200d}🚀", 100), Ok(()));
}

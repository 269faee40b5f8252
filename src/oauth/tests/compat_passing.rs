//! The profiles that would let a refused request pass, which operators learn.

use super::compat::{DEVIATIONS, at, get, post, signed, verify, versioned};
use super::*;
use crate::oauth::diagnosis::{
    BUDGET, ForwardedHeaders, MismatchEvidence, OriginSetting, passing_profiles,
};
use crate::oauth::{CompatProfile, CompatSet};

#[test]
fn operators_learn_which_profile_would_let_a_request_pass() {
    for (needed, wire, base_string) in DEVIATIONS {
        let (needed, wire) = (CompatSet::only(needed), signed(wire(), base_string));
        assert_eq!(passing(&wire, &Held::default()), needed, "{base_string}");
        let others = Held {
            compat: CompatSet::only(CompatProfile::DefaultPortAny).without(needed),
            ..Held::default()
        };
        assert_eq!(passing(&wire, &others), needed, "{base_string}");
        let has_it = Held {
            compat: needed,
            ..Held::default()
        };
        assert!(passing(&wire, &has_it).is_empty(), "{base_string}");
        let excluded = Held {
            excluded: needed,
            ..Held::default()
        };
        assert!(passing(&wire, &excluded).is_empty(), "{base_string}");
        let stranger = Held {
            secret: b"guessed",
            ..Held::default()
        };
        assert!(passing(&wire, &stranger).is_empty(), "{base_string}");
    }
}

#[test]
fn two_profiles_are_named_if_no_single_one_suffices() {
    for (one, other, wire, base_string) in [
        (
            CompatProfile::RepeatedOnce,
            CompatProfile::SlashPlain,
            get("/?a=1%2F2&a=1%2F2"),
            "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1/2%26{}",
        ),
        (
            CompatProfile::SchemeAny,
            CompatProfile::DefaultPortAny,
            at("api.example.com:443"),
            "GET&http%3A%2F%2Fapi.example.com%2F&{}",
        ),
        (
            CompatProfile::VersionLenient,
            CompatProfile::NoRootSlash,
            versioned("1.0A"),
            "GET&https%3A%2F%2Fapi.example.com&{version=1.0A}",
        ),
    ] {
        let wire = signed(wire, base_string);
        let both = CompatSet::only(one).with(other);
        assert_eq!(passing(&wire, &Held::default()), both);
        assert_eq!(verify(&wire, both, BodyHashRule::Accept), Ok(()));
    }
}

#[test]
fn no_profile_is_named_that_would_not_help_or_must_not_be_set() {
    let unsigned_query = signed(post("/?a=1"), "POST&https%3A%2F%2Fapi.example.com%2F&{}");
    let at_endpoint = Held {
        setting: OriginSetting::PublicUrl,
        ..Held::default()
    };
    assert!(passing(&unsigned_query, &at_endpoint).is_empty());
    let no_budget = Held {
        budget: 0,
        ..Held::default()
    };
    assert!(passing(&unsigned_query, &no_budget).is_empty());
    // Together with body-unsigned-form, a POST would have no signed parameter of the application.
    let conflicting = Held {
        compat: CompatSet::only(CompatProfile::BodyUnsignedForm),
        ..Held::default()
    };
    assert!(passing(&unsigned_query, &conflicting).is_empty());
    let mut unhashed = signed(
        post("/").body(FORM, "a=1"),
        "POST&https%3A%2F%2Fapi.example.com%2F&{}",
    );
    assert!(passing(&unhashed, &Held::default()).is_empty());
    unhashed.body = Some(Vec::new());
    assert!(
        passing(&unhashed, &Held::default()).is_empty(),
        "it passes without a profile"
    );
    let long = format!("/?a=+{}", "b".repeat(17 * 1024));
    let text = format!(
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D%252B{}%26{{}}",
        "b".repeat(17 * 1024)
    );
    assert!(passing(&signed(get(&long), &text), &Held::default()).is_empty());
}

/// The consumer of a refused request.
struct Held {
    compat: CompatSet,
    excluded: CompatSet,
    secret: &'static [u8],
    setting: OriginSetting,
    budget: u32,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            compat: CompatSet::NONE,
            excluded: CompatSet::NONE,
            secret: CONSUMER_SECRET,
            setting: OriginSetting::Origin,
            budget: BUDGET / 4,
        }
    }
}

fn passing(wire: &WireRequest, held: &Held) -> CompatSet {
    let consumer_secrets = [held.secret];
    wire.with_request(|request| {
        let evidence = MismatchEvidence {
            request: &request,
            limits: &ParseLimits::default(),
            compat: held.compat,
            keys: secrets(&consumer_secrets, None),
            expired_secrets: &[],
            forwarded: ForwardedHeaders::default(),
            received: None,
            setting: held.setting,
            reveal: false,
        };
        passing_profiles(&evidence, held.excluded, held.budget)
    })
}

//! The changes that each compat profile leaves open, because its signature does not cover them, and no other.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::compat::compat_variants;
use super::super::wire::WireParameters;
use super::compat::{DEVIATIONS, at, get, post, signed, verify};
use super::*;
use crate::oauth::{CompatProfile, CompatSet};

/// A profile, a request that needs it, its base string, and another request that passes with the
/// same signature.
type Open = (
    CompatProfile,
    fn() -> WireRequest,
    &'static str,
    fn() -> WireRequest,
);

/// The changes that a profile leaves open, as `docs/compat.md` says.
const OPEN: [Open; 9] = [
    (
        CompatProfile::PlusLiteral,
        || get("/?a=1+2"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%252B2%26{}",
        || get("/?a=1%2B2"),
    ),
    (
        CompatProfile::RawValues,
        || get("/?a=1%2F2"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%252F2%26{}",
        || get("/?a=1/2"),
    ),
    (
        CompatProfile::IgnoreQueryOnPost,
        || post("/?a=1"),
        "POST&https%3A%2F%2Fapi.example.com%2F&{}",
        || post("/?role=admin"),
    ),
    (
        CompatProfile::SchemeAny,
        || get("/"),
        "GET&http%3A%2F%2Fapi.example.com%2F&{}",
        || WireRequest {
            scheme: Scheme::Http,
            ..get("/")
        },
    ),
    (
        CompatProfile::SchemeAny,
        || get("/"),
        "GET&http%3A%2F%2Fapi.example.com%2F&{}",
        || at("api.example.com:80"),
    ),
    (
        CompatProfile::DefaultPortAny,
        || at("api.example.com:80"),
        "GET&https%3A%2F%2Fapi.example.com%2F&{}",
        || at("api.example.com:443"),
    ),
    (
        CompatProfile::DefaultPortAny,
        || at("api.example.com:80"),
        "GET&https%3A%2F%2Fapi.example.com%2F&{}",
        || at("api.example.com"),
    ),
    (
        CompatProfile::RepeatedOnce,
        || get("/?a=1&a=1"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%26{}",
        || get("/?a=1&a=1&a=1"),
    ),
    (
        CompatProfile::EmptyUnsent,
        || get("/"),
        "GET&https%3A%2F%2Fapi.example.com%2F&{}%26oauth_token%3D",
        || {
            let parameters = format!("{PARAMETERS}&oauth_token=");
            WireRequest::get("/").authorization(header_of(&parameters))
        },
    ),
];

#[test]
fn a_profile_leaves_open_what_its_page_says() {
    for (profile, sent, base_string, other) in OPEN {
        for wire in [sent(), other()] {
            let wire = signed(wire, base_string);
            assert_eq!(
                verify(&wire, CompatSet::only(profile), BodyHashRule::Accept),
                Ok(()),
                "{profile}: {wire:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn with_a_profile_on_any_other_change_is_refused(
        (profile, wire, base_string) in proptest::sample::select(&DEVIATIONS[..]),
        part in 0_usize..6,
        at in any::<proptest::sample::Index>(),
        edit in edit(),
    ) {
        let sent = signed(wire(), base_string);
        let mut changed = sent.clone();
        let bytes = match part {
            0 => Some(&mut changed.method),
            1 => Some(&mut changed.authority),
            2 => Some(&mut changed.target),
            3 => Some(&mut changed.authorization[0]),
            // No client signs a body of another type.
            4 if !changed.content_type.is_empty() => changed.body.as_mut(),
            _ => None,
        };
        match bytes {
            Some(bytes) => edit.apply(bytes, at),
            None => changed.scheme = changed.scheme.other(),
        }
        let may_pass = means_the_same(&sent, &changed) || leaves_open(profile, &sent, &changed);
        let refused = verify(&changed, CompatSet::only(profile), BodyHashRule::Accept).is_err();
        prop_assert!(may_pass || refused, "{profile}: {changed:?}");
    }
}

/// A change to some bytes.
#[derive(Clone, Debug)]
enum Edit {
    Replace(String),
    Insert(String),
    Remove,
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>, at: proptest::sample::Index) {
        let at = at.index(bytes.len() + 1);
        let end = bytes.len().min(at + 1);
        match self {
            Self::Replace(with) => drop(bytes.splice(at..end, with.bytes())),
            Self::Insert(text) => drop(bytes.splice(at..at, text.bytes())),
            Self::Remove => drop(bytes.drain(at..end)),
        }
    }
}

/// Generates texts that parsers stumble over as often as any other.
fn edit() -> impl Strategy<Value = Edit> {
    let text = prop_oneof![
        "[!-~]",
        "[+/&=?;:,\"]",
        "%[0-9a-fA-F]{2}",
        "&[a-b]=[0-9]",
        ":(80|443|81)"
    ];
    prop_oneof![
        text.clone().prop_map(Edit::Replace),
        text.prop_map(Edit::Insert),
        Just(Edit::Remove),
    ]
}

/// Returns whether both have the same base string and signature under RFC 5849.
fn means_the_same(one: &WireRequest, other: &WireRequest) -> bool {
    let of = |wire: &WireRequest| {
        wire.with_request(|request| {
            let signed = request.parse(&ParseLimits::default()).ok().flatten()?;
            Some((
                signed.base_string(),
                signed.signature().to_vec(),
                wire.body.clone(),
            ))
        })
    };
    of(one).is_some_and(|one| of(other).is_some_and(|other| one == other))
}

/// Returns whether the profile lets this change pass, as `docs/compat.md` says.
fn leaves_open(profile: CompatProfile, sent: &WireRequest, changed: &WireRequest) -> bool {
    // An empty path is the root.
    let path = |wire: &WireRequest| match wire.target.split(|&byte| byte == b'?').next() {
        None | Some([]) => b"/".to_vec(),
        Some(path) => path.to_vec(),
    };
    let plain = |wire: &WireRequest| {
        String::from_utf8_lossy(&wire.target)
            .replace("%2B", "+")
            .replace("%2b", "+")
    };
    let host = |wire: &WireRequest| {
        let text = String::from_utf8_lossy(&wire.authority).to_ascii_lowercase();
        text.strip_suffix(":80")
            .or_else(|| text.strip_suffix(":443"))
            .or_else(|| text.strip_suffix(':'))
            .map_or_else(|| text.clone(), str::to_owned)
    };
    let pairs = |wire: &WireRequest| {
        let target = String::from_utf8_lossy(&wire.target).replace('+', " ");
        let (_, query) = target.split_once('?').unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let bytes = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<_>>();
        let read = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (bytes(name), bytes(value))
        };
        pairs.map(read).collect::<BTreeSet<_>>()
    };
    match profile {
        CompatProfile::PlusLiteral => plain(sent) == plain(changed),
        CompatProfile::IgnoreQueryOnPost => {
            changed.target != sent.target && path(sent) == path(changed)
        }
        CompatProfile::SchemeAny => {
            sent.scheme != changed.scheme
                || changed.authority == [&*sent.authority, b":80"].concat()
        }
        CompatProfile::DefaultPortAny => {
            changed.authority != sent.authority && host(sent) == host(changed)
        }
        CompatProfile::RepeatedOnce => path(sent) == path(changed) && pairs(sent) == pairs(changed),
        CompatProfile::VersionLenient
        | CompatProfile::NoRootSlash
        | CompatProfile::RawValues
        | CompatProfile::BodyUnsignedForm
        | CompatProfile::BracketsOnce
        | CompatProfile::SlashPlain
        | CompatProfile::CharactersPlain
        | CompatProfile::FormEncoding
        | CompatProfile::EmptyUnsent => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// A base string that two requests share would let one pass with the signature of the other.
    #[test]
    fn in_every_encoding_a_base_string_stands_for_one_request(
        profiles in proptest::sample::subsequence(ENCODINGS.to_vec(), 1..=ENCODINGS.len()),
        one in encoded_target(),
        other in encoded_target(),
    ) {
        let compat: CompatSet = profiles.into_iter().collect();
        let read = |target: &str| {
            get(target).with_request(|request| {
                let wire = WireParameters::of(&request).unwrap();
                let signed = request.parse(&ParseLimits::default()).unwrap().unwrap();
                let variants = compat_variants(compat, &request, &wire);
                let texts = variants.iter().map(|variant| variant.base_string(&wire).unwrap().to_vec());
                (signed.base_string(), texts.collect::<BTreeSet<_>>())
            })
        };
        let ((one, of_one), (other, of_other)) = (read(&one), read(&other));
        if compat.conflict().is_none() && one != other {
            prop_assert!(!of_one.contains(&other) && !of_other.contains(&one));
            prop_assert!(of_one.is_disjoint(&of_other));
        }
    }
}

/// The profiles that change nothing but an encoding.
const ENCODINGS: [CompatProfile; 4] = [
    CompatProfile::BracketsOnce,
    CompatProfile::SlashPlain,
    CompatProfile::CharactersPlain,
    CompatProfile::FormEncoding,
];

/// Generates targets of the characters that clients encode in different ways.
fn encoded_target() -> impl Strategy<Value = String> {
    let text = "([ab+/!*'()~\\[\\]]|%2[05BFA]|%25(2[0BF]|5B|7E)|%5B|%7E){0,3}";
    let pair = (text, text).prop_map(|(name, value)| format!("{name}={value}"));
    let query = proptest::collection::vec(pair, 1..3).prop_map(|pairs| pairs.join("&"));
    ("/[a!*~]?(%2[1A]|%7E)?", query).prop_map(|(path, query)| format!("{path}?{query}"))
}

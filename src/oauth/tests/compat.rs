//! Compat profiles: what each proves that RFC 5849 does not, and what it never lets through.

use proptest::prelude::*;

use super::super::hmac_key::HmacKey;
use super::super::signature::signing_key;
use super::super::variant::Variant;
use super::super::wire::Wire as ParameterSet;
use super::*;
use crate::oauth::{CompatProfile, CompatSet, SignatureMethod};

type Deviation = (CompatProfile, fn() -> Wire, &'static str);

/// A profile, a request that needs it, and the end of the base string of its client: what follows the protocol parameters,
/// and the base string URI in front.
const DEVIATIONS: [Deviation; 10] = [
    (
        CompatProfile::VersionLenient,
        || versioned("1.0A"),
        "GET&https%3A%2F%2Fapi.example.com%2F&{version=1.0A}",
    ),
    (
        CompatProfile::NoRootSlash,
        || get("/?a=1"),
        "GET&https%3A%2F%2Fapi.example.com&a%3D1%26{}",
    ),
    (
        CompatProfile::PlusLiteral,
        || get("/?a=1+2"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%252B2%26{}",
    ),
    (
        CompatProfile::RawValues,
        || get("/?a=1/2"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%2F2%26{}",
    ),
    (
        CompatProfile::BodyUnsignedForm,
        hashed_form,
        "POST&https%3A%2F%2Fapi.example.com%2F&{hash}",
    ),
    (
        CompatProfile::IgnoreQueryOnPost,
        || post("/?a=1"),
        "POST&https%3A%2F%2Fapi.example.com%2F&{}",
    ),
    (
        CompatProfile::BracketsOnce,
        || get("/?a%5Bb%5D=1"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%5Bb%5D%3D1%26{}",
    ),
    (
        CompatProfile::SchemeAny,
        || get("/"),
        "GET&http%3A%2F%2Fapi.example.com%2F&{}",
    ),
    (
        CompatProfile::DefaultPortAny,
        || at("api.example.com:80"),
        "GET&https%3A%2F%2Fapi.example.com%2F&{}",
    ),
    (
        CompatProfile::DefaultPortAny,
        || at("API.example.com:80"),
        "GET&https%3A%2F%2Fapi.example.com%2F&{}",
    ),
];

#[test]
fn each_profile_and_no_other_proves_what_its_clients_sign() {
    for (needed, wire, base_string) in DEVIATIONS {
        let wire = signed(wire(), base_string);
        for profile in CompatProfile::ALL {
            let verdict = verify(&wire, CompatSet::only(profile), BodyHashRule::Accept);
            let refused = if needed == CompatProfile::VersionLenient {
                Rejection::VersionUnsupported
            } else {
                Rejection::SignatureMismatch
            };
            let expected = if profile == needed {
                Ok(())
            } else {
                Err(refused)
            };
            assert_eq!(verdict, expected, "{needed} under {profile}: {base_string}");
        }
        assert!(
            verify(&wire, CompatSet::NONE, BodyHashRule::Accept).is_err(),
            "{needed}"
        );
    }
}

#[test]
fn a_profile_never_takes_away_what_rfc_5849_proves() {
    let all: CompatSet = CompatProfile::ALL.into_iter().collect();
    for (_, wire, _) in DEVIATIONS {
        let wire = wire();
        let base_string = wire.with_request(|request| {
            let parameters = ParameterSet::of(&request).unwrap();
            String::from_utf8(
                Variant::rfc(&request)
                    .base_string(&parameters)
                    .unwrap()
                    .to_vec(),
            )
            .unwrap()
        });
        let wire = with_signature(wire, &base_string);
        assert_eq!(
            verify(&wire, all, BodyHashRule::Accept),
            Ok(()),
            "{base_string}"
        );
    }
}

#[test]
fn versions_that_clients_are_known_to_send_are_refused_once_they_are_proven() {
    for version in ["1", "1.0a", "1.0A"] {
        let wire = signed(
            versioned(version),
            &format!("GET&https%3A%2F%2Fapi.example.com%2F&{{version={version}}}"),
        );
        let lenient = CompatSet::only(CompatProfile::VersionLenient);
        assert_eq!(
            verify(&wire, CompatSet::NONE, BodyHashRule::Accept),
            Err(Rejection::VersionUnsupported),
            "{version}"
        );
        assert_eq!(
            verify(&wire, lenient, BodyHashRule::Accept),
            Ok(()),
            "{version}"
        );
    }
}

#[test]
fn a_version_that_is_not_proven_is_a_wrong_signature() {
    let wire = versioned("1.0A");
    assert_eq!(
        verify(&wire, CompatSet::NONE, BodyHashRule::Accept),
        Err(Rejection::SignatureMismatch)
    );
}

#[test]
fn a_form_that_is_not_signed_has_to_match_its_hash_whatever_the_route_demands() {
    let compat = CompatSet::only(CompatProfile::BodyUnsignedForm);
    let base_string = "POST&https%3A%2F%2Fapi.example.com%2F&{hash}";
    for rule in [
        BodyHashRule::Off,
        BodyHashRule::Accept,
        BodyHashRule::Require,
    ] {
        let mut wire = signed(hashed_form(), base_string);
        assert_eq!(verify(&wire, compat, rule), Ok(()));
        wire.body = Some(b"a=2".into());
        assert_eq!(
            verify(&wire, compat, rule),
            Err(Rejection::BodyHashMismatch)
        );
        let unhashed = signed(
            post("/").body(FORM, "a=1"),
            "POST&https%3A%2F%2Fapi.example.com%2F&{}",
        );
        assert_eq!(
            verify(&unhashed, compat, rule),
            Err(Rejection::BodyHashAbsent)
        );
    }
}

#[test]
fn protocol_parameters_are_signed_wherever_they_stand() {
    let nothing = "POST&https%3A%2F%2Fapi.example.com%2F&";
    let all: CompatSet = CompatProfile::ALL.into_iter().collect();
    let mut in_query = Wire::get(&format!("/?{PARAMETERS}"));
    in_query.method = b"POST".into();
    let in_query = replacing_signature(in_query, nothing);
    assert_eq!(
        verify(&in_query, all, BodyHashRule::Accept),
        Err(Rejection::SignatureMismatch)
    );
    let mut in_form = Wire::get("/").body(FORM, PARAMETERS);
    in_form.method = b"POST".into();
    let in_form = replacing_signature(in_form, nothing);
    assert_eq!(
        verify(&in_form, all, BodyHashRule::Accept),
        Err(Rejection::SignatureMismatch)
    );
}

/// Read as a space in the query and as a plus in the header, a nonce with one would be two, signed once.
#[test]
fn a_nonce_is_signed_as_it_is_read_wherever_it_is_sent() {
    let start = "GET&https%3A%2F%2Fapi.example.com%2F&oauth_consumer_key%3Dkey%26oauth_nonce%3Dab";
    let end = "cd%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131200";
    for (profile, sent, signed) in [
        (CompatProfile::PlusLiteral, "ab%2Bcd", "%252B"),
        (CompatProfile::RawValues, "ab+cd", "%2B"),
    ] {
        let (compat, base_string) = (CompatSet::only(profile), format!("{start}{signed}{end}"));
        let parameters =
            |nonce| PARAMETERS.replace("oauth_nonce=n", &format!("oauth_nonce={nonce}"));
        let in_header = with_signature(
            Wire::get("/").authorization(header_of(&parameters(sent))),
            &base_string,
        );
        assert_eq!(
            verify(&in_header, compat, BodyHashRule::Accept),
            Ok(()),
            "{profile}"
        );
        let moved = replacing_signature(
            Wire::get(&format!("/?{}", parameters("ab+cd"))),
            &base_string,
        );
        assert_eq!(
            verify(&moved, compat, BodyHashRule::Accept),
            Err(Rejection::SignatureMismatch),
            "{profile}"
        );
    }
}

#[test]
fn the_hash_of_a_form_counts_whatever_type_it_is_said_to_be() {
    let compat = CompatSet::only(CompatProfile::BodyUnsignedForm);
    let mut wire = signed(
        hashed_form(),
        "POST&https%3A%2F%2Fapi.example.com%2F&{hash}",
    );
    wire.content_type = vec![b"application/json".to_vec()];
    for rule in [
        BodyHashRule::Off,
        BodyHashRule::Accept,
        BodyHashRule::Require,
    ] {
        assert_eq!(verify(&wire, compat, rule), Ok(()), "{rule:?}");
        let other = Wire {
            body: Some(b"{}".into()),
            ..wire.clone()
        };
        assert_eq!(
            verify(&other, compat, rule),
            Err(Rejection::BodyHashMismatch),
            "{rule:?}"
        );
    }
}

#[test]
fn raw_values_that_could_be_split_otherwise_are_not_proven() {
    // Both have the same names and values once they are joined: only one was signed.
    let text = "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%26b%3D2%26{}";
    let compat = CompatSet::only(CompatProfile::RawValues);
    assert_eq!(
        verify(
            &signed(get("/?a=1&b=2"), text),
            compat,
            BodyHashRule::Accept
        ),
        Ok(())
    );
    let joined = Wire::get("/").authorization(header_of(PARAMETERS).replacen(
        "OAuth ",
        "OAuth a=\"1&b=2\", ",
        1,
    ));
    assert_eq!(
        verify(&signed(joined, text), compat, BodyHashRule::Accept),
        Err(Rejection::SignatureMismatch)
    );
}

/// A profile, a request that needs it, its base string, and another request that passes with the same signature.
type Open = (CompatProfile, fn() -> Wire, &'static str, fn() -> Wire);

/// What `docs/compat.md` says that a profile leaves open.
const OPEN: [Open; 7] = [
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
        || Wire {
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
            // A body of another type is not signed by anybody.
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

/// A change of some bytes.
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

/// Texts that parsers stumble over are as likely as any.
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

/// Whether RFC 5849 has one base string and one signature for both.
fn means_the_same(one: &Wire, other: &Wire) -> bool {
    let of = |wire: &Wire| {
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

/// Whether `docs/compat.md` says that the profile lets this change pass.
fn leaves_open(profile: CompatProfile, sent: &Wire, changed: &Wire) -> bool {
    // An empty path is the root.
    let path = |wire: &Wire| match wire.target.split(|&byte| byte == b'?').next() {
        None | Some([]) => b"/".to_vec(),
        Some(path) => path.to_vec(),
    };
    let plain = |wire: &Wire| {
        String::from_utf8_lossy(&wire.target)
            .replace("%2B", "+")
            .replace("%2b", "+")
    };
    let host = |wire: &Wire| {
        let text = String::from_utf8_lossy(&wire.authority).to_ascii_lowercase();
        text.strip_suffix(":80")
            .or_else(|| text.strip_suffix(":443"))
            .or_else(|| text.strip_suffix(':'))
            .map_or_else(|| text.clone(), str::to_owned)
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
        CompatProfile::VersionLenient
        | CompatProfile::NoRootSlash
        | CompatProfile::RawValues
        | CompatProfile::BodyUnsignedForm
        | CompatProfile::BracketsOnce => false,
    }
}

proptest! {
    #[test]
    fn the_first_position_of_every_knob_is_what_a_check_computes(
        method in "[a-zA-Z]{1,7}",
        target in "/[ -\"$->@-~]{0,20}(\\?[a-c=&+%0-9A-F\\[\\]~]{0,30})?",
        host in "[a-zA-Z.]{1,12}(:(80|443|8080))?",
        prefix in "(/[a-z~%]{0,5})?",
        body in proptest::option::of("[a-c=&+]{0,20}"),
    ) {
        let mut wire = Wire::get(&target).in_header();
        (wire.method, wire.authority, wire.path_prefix) = (method.into(), host.into(), prefix.into());
        if let Some(body) = body {
            wire = wire.body(FORM, &body);
        }
        wire.with_request(|request| {
            if let Ok(Some(signed)) = request.parse(&ParseLimits::default()) {
                let parameters = ParameterSet::of(&request).unwrap();
                let made = Variant::rfc(&request);
                assert_eq!(made.base_string(&parameters).unwrap().to_vec(), signed.base_string());
            }
        });
    }
}

fn get(target: &str) -> Wire {
    Wire::get(target).in_header()
}

fn post(target: &str) -> Wire {
    Wire {
        method: b"POST".into(),
        ..get(target)
    }
}

fn at(authority: &str) -> Wire {
    Wire {
        authority: authority.into(),
        ..get("/")
    }
}

fn versioned(version: &str) -> Wire {
    Wire::get("/").authorization(header_of(&format!("{PARAMETERS}&oauth_version={version}")))
}

fn hashed_form() -> Wire {
    let hash = body_hash_of("a=1");
    let header = header_of(&format!("{PARAMETERS}&oauth_body_hash={hash}"));
    Wire {
        method: b"POST".into(),
        ..Wire::get("/").authorization(header).body(FORM, "a=1")
    }
}

fn body_hash_of(body: &str) -> String {
    crate::oauth::encode::encoded(
        crate::oauth::body_hash(SignatureMethod::HmacSha1, body.as_bytes()).as_bytes(),
    )
}

/// Signs as the client does whose base string this is: `{}` stands for the protocol parameters, with what they have beside.
fn signed(wire: Wire, base_string: &str) -> Wire {
    let required = "oauth_consumer_key%3Dkey%26oauth_nonce%3Dn%26oauth_signature_method%3DHMAC-SHA1\
                    %26oauth_timestamp%3D137131200";
    let hash = crate::oauth::encode::encoded(body_hash_of("a=1").as_bytes());
    let text = base_string
        .replace("{}", required)
        .replace("{hash}", &format!("oauth_body_hash%3D{hash}%26{required}"))
        .replace("{version=", &format!("{required}%26oauth_version%3D"))
        .replace('}', "");
    with_signature(wire, &text)
}

/// Its header with the signature of a base string.
fn with_signature(mut wire: Wire, base_string: &str) -> Wire {
    let header = String::from_utf8(wire.authorization.remove(0)).unwrap();
    wire.authorization(header.replace(
        "oauth_signature=\"AAAA\"",
        &format!("oauth_signature=\"{}\"", mac(base_string)),
    ))
}

/// Its query or form with the signature of a base string.
fn replacing_signature(mut wire: Wire, base_string: &str) -> Wire {
    let signature = crate::oauth::encode::encoded(mac(base_string).as_bytes());
    let replace = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.replace(
            "oauth_signature=AAAA",
            &format!("oauth_signature={signature}"),
        )
        .into_bytes()
    };
    wire.target = replace(&wire.target);
    wire.body = wire.body.map(|body| replace(&body));
    wire
}

fn mac(base_string: &str) -> String {
    let key = signing_key(CONSUMER_SECRET, b"");
    HmacKey::new(SignatureMethod::HmacSha1.hash(), &key)
        .sign(base_string.as_bytes(), |mac| STANDARD.encode(mac))
}

fn verify(wire: &Wire, compat: CompatSet, rule: BodyHashRule) -> Result<(), Rejection> {
    wire.with_request(|request| {
        // What has no signature any more is not let through either.
        let signed = request
            .parse(&ParseLimits::default())?
            .ok_or(Rejection::SignatureMismatch)?;
        let keys = secrets(&[CONSUMER_SECRET], None);
        signed
            .verify_under(compat, &keys, &KeySchedule::default(), rule)
            .map(|_| ())
    })
}

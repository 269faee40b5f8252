//! Compat profiles: the requests that each proves beyond RFC 5849, and those that none lets
//! through.

use proptest::prelude::*;

use super::super::compat::compat_variants;
use super::super::hmac_key::HmacKey;
use super::super::shared_key::SharedSecrets;
use super::super::variant::BaseStringVariant;
use super::super::wire::WireParameters;
use super::*;
use crate::oauth::{CompatProfile, CompatSet, SignatureMethod};

pub(super) type Deviation = (CompatProfile, fn() -> WireRequest, &'static str);

/// A profile, a request that needs it, and the base string of its client. `{}` stands for the
/// protocol parameters.
pub(super) const DEVIATIONS: [Deviation; 20] = [
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
        || get("/?a=1:2"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%3A2%26{}",
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
    (
        CompatProfile::RepeatedOnce,
        || get("/?a=1&b=2&a=1"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%26b%3D2%26{}",
    ),
    // The client of WooCommerce for Node.js encodes its two copies in different ways.
    (
        CompatProfile::RepeatedOnce,
        || get("/?a=x%20y%3Az&a=x+y:z"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3Dx%2520y%253Az%26{}",
    ),
    (
        CompatProfile::SlashPlain,
        || get("/?a=1%2F2"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%2F2%26{}",
    ),
    // The client of WooCommerce for Python never encodes it.
    (
        CompatProfile::SlashPlain,
        || get("/?a%2F=1%2F2"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a/%3D1/2%26{}",
    ),
    (
        CompatProfile::CharactersPlain,
        || get("/?a=%281%29"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D%281%29%26{}",
    ),
    (
        CompatProfile::CharactersPlain,
        || get("/a!?a=%281%29"),
        "GET&https%3A%2F%2Fapi.example.com%2Fa!&a%3D(1)%26{}",
    ),
    (
        CompatProfile::FormEncoding,
        || get("/?a=1+2*~"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%2B2%2A%257E%26{}",
    ),
    // AsyncHttpClient encodes only its spaces.
    (
        CompatProfile::FormEncoding,
        || get("/?a=1%202~"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%25202%257E%26{}",
    ),
    (
        CompatProfile::EmptyUnsent,
        || get("/?a=1"),
        "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%26oauth_callback%3D%26{empty}",
    ),
    (
        CompatProfile::EmptyUnsent,
        || get("/"),
        "GET&https%3A%2F%2Fapi.example.com%2F&{}%26oauth_token%3D",
    ),
];

#[test]
fn each_profile_alone_proves_what_its_clients_sign() {
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
fn a_profile_never_refuses_what_rfc_5849_proves() {
    let all: CompatSet = CompatProfile::ALL.into_iter().collect();
    for (_, wire, _) in DEVIATIONS {
        let wire = wire();
        let base_string = wire.with_request(|request| {
            let parameters = WireParameters::of(&request).unwrap();
            String::from_utf8(
                BaseStringVariant::rfc(&request)
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
fn another_scheme_is_proven_with_the_other_profiles_and_without_them() {
    let compat: CompatSet = [CompatProfile::SchemeAny, CompatProfile::PlusLiteral]
        .into_iter()
        .collect();
    for value in ["1%252B2", "1%25202"] {
        let base_string = format!("GET&http%3A%2F%2Fapi.example.com%2F&a%3D{value}%26{{}}");
        let wire = signed(get("/?a=1+2"), &base_string);
        assert_eq!(verify(&wire, compat, BodyHashRule::Accept), Ok(()));
    }
}

#[test]
fn only_a_default_port_may_be_left_out() {
    let compat = CompatSet::only(CompatProfile::DefaultPortAny);
    for (port, expected) in [
        ("443", Ok(())),
        ("80", Ok(())),
        ("8443", Err(Rejection::SignatureMismatch)),
    ] {
        let wire = WireRequest {
            scheme: Scheme::Http,
            ..at(&format!("api.example.com:{port}"))
        };
        let wire = signed(wire, "GET&http%3A%2F%2Fapi.example.com%2F&{}");
        let verdict = verify(&wire, compat, BodyHashRule::Accept);
        assert_eq!(verdict, expected, "{port}");
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
    let mut in_query = WireRequest::get(&format!("/?{PARAMETERS}"));
    in_query.method = b"POST".into();
    let in_query = replacing_signature(in_query, nothing);
    assert_eq!(
        verify(&in_query, all, BodyHashRule::Accept),
        Err(Rejection::SignatureMismatch)
    );
    let mut in_form = WireRequest::get("/").body(FORM, PARAMETERS);
    in_form.method = b"POST".into();
    let in_form = replacing_signature(in_form, nothing);
    assert_eq!(
        verify(&in_form, all, BodyHashRule::Accept),
        Err(Rejection::SignatureMismatch)
    );
}

#[test]
fn the_place_of_the_protocol_parameters_is_signed_as_a_whole() {
    let without = "POST&https%3A%2F%2Fapi.example.com%2F&oauth_consumer_key%3Dkey%26oauth_nonce%3Dn\
                   %26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131200";
    let with = without.replace("&oauth", "&a%3D1%26oauth");
    let parameters = format!("a=1&{PARAMETERS}");
    for (profile, mut wire) in [
        (
            CompatProfile::IgnoreQueryOnPost,
            WireRequest::get(&format!("/?{parameters}")),
        ),
        (
            CompatProfile::BodyUnsignedForm,
            WireRequest::get("/").body(FORM, &parameters),
        ),
    ] {
        wire.method = b"POST".into();
        let verdict = |base_string| {
            let wire = replacing_signature(wire.clone(), base_string);
            verify(&wire, CompatSet::only(profile), BodyHashRule::Accept)
        };
        assert_eq!(verdict(&with), Ok(()), "{profile}");
        assert_eq!(
            verdict(without),
            Err(Rejection::SignatureMismatch),
            "{profile}"
        );
    }
}

#[test]
fn a_profile_is_removed_without_the_others() {
    let both: CompatSet = [CompatProfile::SchemeAny, CompatProfile::PlusLiteral]
        .into_iter()
        .collect();
    let rest = both.without(CompatSet::only(CompatProfile::PlusLiteral));
    assert!(rest.iter().eq([CompatProfile::SchemeAny]));
    let unchanged = rest.without(CompatSet::only(CompatProfile::RawValues));
    assert!(unchanged.iter().eq([CompatProfile::SchemeAny]));
}

/// A nonce with a `+` would be two nonces under one signature: a space in the query, a plus in the
/// header.
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
            WireRequest::get("/").authorization(header_of(&parameters(sent))),
            &base_string,
        );
        assert_eq!(
            verify(&in_header, compat, BodyHashRule::Accept),
            Ok(()),
            "{profile}"
        );
        let moved = replacing_signature(
            WireRequest::get(&format!("/?{}", parameters("ab+cd"))),
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
        let other = WireRequest {
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
fn only_an_identical_pair_of_the_query_counts_once() {
    let once = CompatSet::only(CompatProfile::RepeatedOnce);
    let one_a = "POST&https%3A%2F%2Fapi.example.com%2F&a%3D1%26{}";
    let two_a = "POST&https%3A%2F%2Fapi.example.com%2F&a%3D1%26a%3D1%26{}";
    let in_form = |target| post(target).body(FORM, "a=1");
    let in_header = |target| {
        let header = header_of(&format!("a=1&{PARAMETERS}"));
        WireRequest {
            authorization: vec![header.into()],
            ..post(target)
        }
    };
    for (wire, base_string, passes) in [
        (post("/?a=1&a=1"), one_a, true),
        (post("/?a=1&a=1"), two_a, true),
        (post("/?a=1&a=1&a=1"), one_a, true),
        (post("/?a=1&a=1&a=1"), two_a, false),
        (post("/?a=1&a=2"), one_a, false),
        (post("/?a=1&A=1"), one_a, false),
        (post("/?a=1&a=%01"), one_a, false),
        (post("/?a=1&a=1&b"), one_a, false),
        (in_form("/?a=1"), one_a, false),
        (in_form("/?a=1"), two_a, true),
        (in_form("/?a=1&a=1"), two_a, true),
        (in_form("/"), two_a, false),
        (post("/").body(FORM, "a=1&a=1"), one_a, false),
        (in_header("/?a=1"), one_a, false),
    ] {
        let wire = signed(wire, base_string);
        let verdict = verify(&wire, once, BodyHashRule::Accept);
        let expected = if passes {
            Ok(())
        } else {
            Err(Rejection::SignatureMismatch)
        };
        assert_eq!(verdict, expected, "{base_string} {wire:?}");
    }
    let repeated = WireRequest::get(&format!("/?{PARAMETERS}&oauth_x=1&oauth_x=1"));
    assert_eq!(
        verify(&repeated, once, BodyHashRule::Accept),
        Err(Rejection::DuplicateExtension(ParameterPlace::Query))
    );
}

/// An upstream would read the two as a plus and a space, or as two spellings.
#[test]
fn a_pair_that_another_profile_reads_otherwise_is_no_repetition() {
    for (other, target, base_string) in [
        (
            CompatProfile::PlusLiteral,
            "/?a=1+2&a=1%2B2",
            "GET&https%3A%2F%2Fapi.example.com%2F&a%3D1%252B2%26{}",
        ),
        (
            CompatProfile::RawValues,
            "/?a=%2F&a=/",
            "GET&https%3A%2F%2Fapi.example.com%2F&a%3D%252F%26{}",
        ),
    ] {
        let compat = CompatSet::only(CompatProfile::RepeatedOnce).with(other);
        let wire = signed(get(target), base_string);
        assert_eq!(
            verify(&wire, compat, BodyHashRule::Accept),
            Err(Rejection::SignatureMismatch),
            "{other}"
        );
    }
}

/// Both clients of WooCommerce, as captured: the second copy of a parameter has another spelling.
#[test]
fn the_clients_of_woocommerce_pass_with_their_profiles() {
    let once = CompatSet::only(CompatProfile::RepeatedOnce);
    let required = "oauth_consumer_key=key&oauth_nonce=n&oauth_signature_method=HMAC-SHA1&\
                    oauth_timestamp=137131200";
    let sent = |query: &str| {
        let (first, second) = query.split_once('|').unwrap();
        WireRequest::get(&format!(
            "/wp-json/wc/v3/products?{first}&{required}&{second}&oauth_signature=AAAA"
        ))
    };
    let text = |pairs: &str| {
        let required = required.replace('=', "%3D").replace('&', "%26");
        format!(
            "GET&https%3A%2F%2Fapi.example.com%2Fwp-json%2Fwc%2Fv3%2Fproducts&{}",
            pairs.replace("{}", &required)
        )
    };
    let node = replacing_signature(
        sent(
            "after=2020-01-01T00%3A00&include[0]=1&s=a%20b|after=2020-01-01T00:00&include%5B0%5D=1&s=a+b",
        ),
        &text("after%3D2020-01-01T00%253A00%26include%255B0%255D%3D1%26{}%26s%3Da%2520b"),
    );
    assert_eq!(verify(&node, once, BodyHashRule::Accept), Ok(()));
    let python = replacing_signature(sent("s=a%2Fb+c|s=a%2Fb+c"), &text("{}%26s%3Da/b%2520c"));
    let both = once.with(CompatProfile::SlashPlain);
    assert_eq!(verify(&python, both, BodyHashRule::Accept), Ok(()));
    for one in both.iter() {
        let alone = verify(&python, CompatSet::only(one), BodyHashRule::Accept);
        assert_eq!(alone, Err(Rejection::SignatureMismatch), "{one}");
    }
}

#[test]
fn no_combination_of_profiles_computes_more_than_eight_base_strings() {
    let compat: CompatSet = CompatProfile::ALL.into_iter().collect();
    get("/?a=1+2*~!/&a=1").with_request(|request| {
        let wire = WireParameters::of(&request).unwrap();
        assert_eq!(compat_variants(compat, &request, &wire).len(), 8);
        for profile in CompatProfile::ALL {
            let alone = compat_variants(CompatSet::only(profile), &request, &wire).len();
            assert!((1..=3).contains(&alone), "{profile}");
        }
    });
}

#[test]
fn raw_values_that_could_be_split_otherwise_are_not_proven() {
    // Once joined, both have the same names and values, but the client signed only one of them.
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
    let joined = WireRequest::get("/").authorization(header_of(PARAMETERS).replacen(
        "OAuth ",
        "OAuth a=\"1&b=2\", ",
        1,
    ));
    assert_eq!(
        verify(&signed(joined, text), compat, BodyHashRule::Accept),
        Err(Rejection::SignatureMismatch)
    );
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
        let mut wire = WireRequest::get(&target).in_header();
        (wire.method, wire.authority, wire.path_prefix) = (method.into(), host.into(), prefix.into());
        if let Some(body) = body {
            wire = wire.body(FORM, &body);
        }
        wire.with_request(|request| {
            if let Ok(Some(signed)) = request.parse(&ParseLimits::default()) {
                let parameters = WireParameters::of(&request).unwrap();
                let made = BaseStringVariant::rfc(&request);
                assert_eq!(made.base_string(&parameters).unwrap().to_vec(), signed.base_string());
            }
        });
    }
}

pub(super) fn get(target: &str) -> WireRequest {
    WireRequest::get(target).in_header()
}

pub(super) fn post(target: &str) -> WireRequest {
    WireRequest {
        method: b"POST".into(),
        ..get(target)
    }
}

pub(super) fn at(authority: &str) -> WireRequest {
    WireRequest {
        authority: authority.into(),
        ..get("/")
    }
}

pub(super) fn versioned(version: &str) -> WireRequest {
    WireRequest::get("/").authorization(header_of(&format!("{PARAMETERS}&oauth_version={version}")))
}

fn hashed_form() -> WireRequest {
    let hash = body_hash_of("a=1");
    let header = header_of(&format!("{PARAMETERS}&oauth_body_hash={hash}"));
    WireRequest {
        method: b"POST".into(),
        ..WireRequest::get("/")
            .authorization(header)
            .body(FORM, "a=1")
    }
}

fn body_hash_of(body: &str) -> String {
    crate::oauth::encode::encoded(
        crate::oauth::body_hash(SignatureMethod::HmacSha1, body.as_bytes()).as_bytes(),
    )
}

/// Signs with the base string of the client, in which `{}` stands for the protocol parameters.
pub(super) fn signed(wire: WireRequest, base_string: &str) -> WireRequest {
    let required = "oauth_consumer_key%3Dkey%26oauth_nonce%3Dn%26oauth_signature_method%3DHMAC-SHA1\
                    %26oauth_timestamp%3D137131200";
    let hash = crate::oauth::encode::encoded(body_hash_of("a=1").as_bytes());
    let text = base_string
        .replace("{}", required)
        .replace("{hash}", &format!("oauth_body_hash%3D{hash}%26{required}"))
        .replace("{empty}", &format!("{required}%26oauth_verifier%3D"))
        .replace("{version=", &format!("{required}%26oauth_version%3D"))
        .replace('}', "");
    with_signature(wire, &text)
}

/// Puts the signature of a base string into the header.
fn with_signature(mut wire: WireRequest, base_string: &str) -> WireRequest {
    let header = String::from_utf8(wire.authorization.remove(0)).unwrap();
    wire.authorization(header.replace(
        "oauth_signature=\"AAAA\"",
        &format!("oauth_signature=\"{}\"", mac(base_string)),
    ))
}

/// Puts the signature of a base string into the query or form.
fn replacing_signature(mut wire: WireRequest, base_string: &str) -> WireRequest {
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
    let secrets = SharedSecrets {
        consumer: CONSUMER_SECRET,
        token: b"",
    };
    let key = secrets.signing_key();
    HmacKey::new(SignatureMethod::HmacSha1.hash(), &key)
        .sign(base_string.as_bytes(), |mac| STANDARD.encode(mac))
}

pub(super) fn verify(
    wire: &WireRequest,
    compat: CompatSet,
    rule: BodyHashRule,
) -> Result<(), Rejection> {
    wire.with_request(|request| {
        // A request that lost its signature is refused, too.
        let signed = request
            .parse(&ParseLimits::default())?
            .ok_or(Rejection::SignatureMismatch)?;
        let keys = secrets(&[CONSUMER_SECRET], None);
        signed
            .verify_under(compat, &keys, &KeySchedule::default(), rule)
            .map(|_| ())
    })
}

//! The diagnosis: its limits, its masks and its budget. `tests/it/cli/explained.rs` proves that it
//! names the mistakes of real clients and proxies.

use proptest::prelude::*;

use super::*;
use crate::oauth::diagnosis::{
    BUDGET, Diagnosis, ForwardedHeader, ForwardedHeaders, MismatchCause, MismatchEvidence,
    OriginSetting, ReceivedOrigin, diagnose_in_steps, spent,
};
use crate::oauth::{CompatProfile, CompatSet, SignatureMethod, Signer, SigningKey};

const TOKEN_SECRET: &[u8] = b"pfkkdhi9sl3r4s00";
const OLD_SECRET: &[u8] = b"0ld+s3cret/with=reserved";

#[test]
fn one_cause_comes_with_both_base_strings_and_their_first_difference() {
    let mut wire = signed(&get("/photos?size=original&q=a"));
    wire.scheme = Scheme::Http;
    let found = explained(&wire, &Given::default()).unwrap();
    assert_eq!(found.causes, [MismatchCause::Scheme]);
    assert!(
        found
            .base_string
            .starts_with("GET&http%3A%2F%2Fapi.example.com%2Fphotos&oauth_consumer_key")
    );
    assert!(
        found
            .client_base_string
            .starts_with("GET&https%3A%2F%2Fapi.example.com%2Fphotos&oauth_consumer_key")
    );
    assert_eq!(found.first_difference, Some("GET&http".len()));
    assert!(
        found
            .remedy
            .contains("`origin = \"https://api.example.com\"`"),
        "{}",
        found.remedy
    );
}

#[test]
fn two_causes_of_different_parts_are_named_together() {
    let mut wire = signed(&get("/photos?size=original"));
    (wire.scheme, wire.path_prefix) = (Scheme::Http, b"/v1".into());
    let found = explained(&wire, &Given::default()).unwrap();
    assert_eq!(
        found.causes,
        [MismatchCause::Scheme, MismatchCause::PathPrefixAdded]
    );
    // One setting covers both.
    assert!(
        found
            .remedy
            .ends_with("set `origin = \"https://api.example.com\"`"),
        "{}",
        found.remedy
    );
    let mut wire = signed(&get("/photos"));
    (wire.scheme, wire.target) = (Scheme::Http, b"/photos/".into());
    let found = explained(&wire, &Given::default()).unwrap();
    assert_eq!(
        found.causes,
        [MismatchCause::Scheme, MismatchCause::TrailingSlash]
    );
    let (scheme, slash) = found.remedy.split_once("; and ").unwrap();
    assert!(
        scheme.contains("`https://`") && slash.contains("`/photos`"),
        "{}",
        found.remedy
    );
}

#[test]
fn a_difference_in_a_masked_value_is_where_the_mask_begins() {
    let draft = get("/?password=hunter2+more&secret=x");
    // The client signs the plus as a plus.
    let literal = draft_of(draft.method, b"/?password=hunter2%2Bmore&secret=x");
    let mut wire = signed(&literal);
    wire.target = draft.target.into();
    let found = explained(&wire, &Given::default()).unwrap();
    assert_eq!(found.causes, [MismatchCause::PlusLiteral]);
    assert_eq!(found.base_string, found.client_base_string);
    assert!(
        !format!("{found:?}").contains("hunter2") && !format!("{found:?}").contains("more"),
        "{found:?}"
    );
    let before = &found.base_string[..found.first_difference.unwrap()];
    assert!(before.ends_with("password%3D"), "{before}");

    let revealed = explained(
        &wire,
        &Given {
            reveal: true,
            ..Given::default()
        },
    )
    .unwrap();
    let at = revealed.first_difference.unwrap();
    assert!(
        revealed.base_string[..at].ends_with("password%3Dhunter2%252"),
        "{revealed:?}"
    );
    assert!(
        revealed.base_string[at..].starts_with("0more")
            && revealed.client_base_string[at..].starts_with("Bmore")
    );
}

#[test]
fn a_body_is_masked_even_if_the_client_signs_it_as_a_name() {
    let text = "POST&https%3A%2F%2Fapi.example.com%2F&{}";
    let mut wire = WireRequest::get("/")
        .in_header()
        .body("application/json", "\"hunter2\"");
    wire.method = b"POST".into();
    let parameters = "%22hunter2%22=&"
        .replace('%', "%25")
        .replace('=', "%3D")
        .replace('&', "%26");
    let wire = with_mac(
        wire,
        &text.replace("{}", &format!("{parameters}{}", encoded_parameters())),
    );
    let found = explained(&wire, &Given::default()).unwrap();
    assert_eq!(found.causes, [MismatchCause::BodyIncluded]);
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
}

#[test]
fn a_profile_of_the_consumer_is_no_cause() {
    let literal = draft_of(b"GET", b"/?q=a%2Bb");
    let mut wire = signed(&literal);
    (wire.target, wire.scheme) = (b"/?q=a+b".into(), Scheme::Http);
    let both = explained(&wire, &Given::default()).unwrap();
    assert_eq!(
        both.causes,
        [MismatchCause::Scheme, MismatchCause::PlusLiteral]
    );
    let profiled = explained(
        &wire,
        &Given {
            compat: CompatSet::only(CompatProfile::PlusLiteral),
            ..Given::default()
        },
    )
    .unwrap();
    assert_eq!(profiled.causes, [MismatchCause::Scheme]);
    assert_eq!(profiled.first_difference, Some("GET&http".len()));
}

#[test]
fn a_verified_and_a_malformed_request_have_no_cause() {
    assert_eq!(explained(&signed(&get("/")), &Given::default()), None);
    assert_eq!(explained(&WireRequest::get("/"), &Given::default()), None);
    assert_eq!(
        explained(&WireRequest::get("/?%zz=1").in_header(), &Given::default()),
        None
    );
}

#[test]
fn a_cause_that_depends_on_a_secret_says_so() {
    let about_secrets = |cause: &MismatchCause| {
        cause.name().contains("secret") || *cause == MismatchCause::AmpersandMissing
    };
    for cause in MismatchCause::ALL {
        assert_eq!(cause.depends_on_secret(), about_secrets(&cause), "{cause}");
    }
    let wire = signed_with(&get("/"), SignatureMethod::HmacSha256, OLD_SECRET);
    let found = explained(&wire, &Given::default()).unwrap();
    assert_eq!(found.causes, [MismatchCause::OldSecret]);
    assert_eq!(
        (found.first_difference, found.base_string),
        (None, found.client_base_string)
    );
}

/// Otherwise the time of an answer, or of the answer after it, would show that a cause was found.
#[test]
fn a_secret_changes_no_work_before_the_answer_and_none_after_it() {
    let padded = [CONSUMER_SECRET, b" "].concat();
    let secrets: [(&[u8], Option<MismatchCause>); 3] = [
        (b"unknown", None),
        (OLD_SECRET, Some(MismatchCause::OldSecret)),
        (&padded, Some(MismatchCause::SecretPadded)),
    ];
    let works = secrets.map(|(secret, cause)| {
        let wire = signed_with(&get("/photos?a=b"), SignatureMethod::HmacSha256, secret);
        wire.with_request(|request| {
            spent::take();
            let mut before = None;
            let found = diagnose_and_disclose(request, &Given::default(), BUDGET, |public| {
                assert_eq!(public, None);
                before = Some(spent::take());
            });
            assert_eq!(
                found.map(|found| found.causes),
                cause.map(|cause| vec![cause])
            );
            (before.unwrap(), spent::take())
        })
    });
    let (before, after) = works[0];
    assert_eq!(works, [works[0]; 3]);
    assert!(
        before >= BUDGET / 2 && after >= BUDGET / 5,
        "{before}, {after}"
    );
}

#[test]
fn a_remedy_repeats_no_placeholder_of_the_request() {
    let path = format!("/{}", "{arrived_path}{method}".repeat(20));
    let mut wire = signed(&get(&format!("{path}/")));
    wire.target = path.clone().into();
    let found = explained(&wire, &Given::default()).unwrap();
    assert_eq!(found.causes, [MismatchCause::TrailingSlash]);
    let named = format!("the client signs `{path}/`, but `{path}` arrived: ");
    assert!(found.remedy.starts_with(&named), "{}", found.remedy);
}

#[test]
fn the_search_ends_where_its_budget_does() {
    let mut wire = signed(&get("/photos?size=original"));
    (wire.scheme, wire.path_prefix) = (Scheme::Http, b"/v1".into());
    let within =
        |budget| wire.with_request(|request| diagnose_with(request, &Given::default(), budget));
    assert!(within(BUDGET).is_some());
    assert_eq!(within(20), None);
    assert_eq!(within(0), None);
}

#[test]
fn a_long_base_string_costs_as_much_as_several() {
    let within = |path: &str, budget| {
        let mut wire = signed(&get(path));
        wire.scheme = Scheme::Http;
        wire.with_request(|request| diagnose_with(request, &Given::default(), budget))
    };
    assert!(within("/photos", 6).is_some(), "two base strings, two keys");
    let long = format!("/{}", "photos/".repeat(1000));
    assert_eq!(within(&long, 6), None);
    assert!(within(&long, 100).is_some());
}

#[test]
fn the_route_is_blamed_if_the_request_arrived_as_signed() {
    let mut wire = signed(&get("/photos"));
    (wire.scheme, wire.authority) = (Scheme::Http, b"wrong.example.com".into());
    let received = ReceivedOrigin {
        scheme: Scheme::Https,
        authority: b"api.example.com",
    };
    let found = explained(
        &wire,
        &Given {
            received: Some(received),
            ..Given::default()
        },
    )
    .unwrap();
    assert_eq!(found.causes, [MismatchCause::Scheme, MismatchCause::Host]);
    assert_eq!(
        found.remedy.matches("`origin` says otherwise").count(),
        1,
        "{}",
        found.remedy
    );
    let host = ForwardedHeaders::default()
        .with(ForwardedHeader::XForwardedHost, b"api.example.com, inner");
    wire.scheme = Scheme::Https;
    let found = explained(
        &wire,
        &Given {
            forwarded: host,
            ..Given::default()
        },
    )
    .unwrap();
    assert_eq!(found.causes, [MismatchCause::Host]);
    assert!(
        found
            .remedy
            .contains("`origin = \"https://api.example.com\"`"),
        "{}",
        found.remedy
    );
    let found = explained(
        &wire,
        &Given {
            received: Some(received),
            ..Given::default()
        },
    )
    .unwrap();
    assert!(
        found.remedy.contains("`origin` says otherwise"),
        "{}",
        found.remedy
    );
}

#[test]
fn a_remedy_names_the_whole_setting_once() {
    let mut wire = signed(&get("/photos"));
    (wire.scheme, wire.authority) = (Scheme::Http, b"inner.example.com".into());
    let forwarded = ForwardedHeaders::default()
        .with(ForwardedHeader::XForwardedHost, b"api.example.com")
        .with(ForwardedHeader::XForwardedPrefix, b"/api");
    let found = explained(
        &wire,
        &Given {
            forwarded,
            ..Given::default()
        },
    )
    .unwrap();
    assert_eq!(found.causes, [MismatchCause::Scheme, MismatchCause::Host]);
    let remedy = "the client signs `https://api.example.com`, but a proxy in front changed it: \
                  set `origin = \"https://api.example.com\"`";
    assert_eq!(found.remedy, remedy);

    let mut wire = signed(&get("/api/v1/photos"));
    (wire.path_prefix, wire.target) = (b"/v1".into(), b"/photos".into());
    let setting = OriginSetting::PublicUrl;
    let found = explained(
        &wire,
        &Given {
            forwarded,
            setting,
            ..Given::default()
        },
    )
    .unwrap();
    assert_eq!(found.causes, [MismatchCause::PathPrefixStripped]);
    assert!(
        found
            .remedy
            .contains("`http.public_url = \"https://api.example.com/api/v1\"`"),
        "{}",
        found.remedy
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_wrong_secret_has_no_known_cause(
        secret in "[ -~]{1,40}",
        method in proptest::sample::select(&METHODS[..]),
        target in "/[a-z~/%]{0,8}(\\?[a-c=&+]{0,12})?",
    ) {
        prop_assume!(secret.as_bytes() != CONSUMER_SECRET && secret.as_bytes() != OLD_SECRET);
        let Ok(wire) = std::panic::catch_unwind(|| signed_with(&draft_of(b"GET", target.as_bytes()), method, secret.as_bytes()))
        else { return Ok(()) };
        prop_assert_eq!(explained(&wire, &Given::default()), None);
    }

    #[test]
    fn a_changed_value_has_no_known_cause(at in 0..1000_usize, to in "[a-zA-Z0-9]") {
        let target = b"/photos/17/original?owner=jane.doe%40example.com&price=1200&note=caf%C3%A9+latte";
        let mut wire = signed(&get(str::from_utf8(target).unwrap()));
        // Values and path segments, except `+` and the digits of escapes.
        let places: Vec<_> = (1..target.len())
            .filter(|&at| target[at].is_ascii_alphanumeric() && !target[at - 1..at].contains(&b'%'))
            .filter(|&at| at < 2 || target[at - 2] != b'%')
            .collect();
        let at = places[at % places.len()];
        prop_assume!(!wire.target[at].eq_ignore_ascii_case(&to.as_bytes()[0]));
        wire.target[at] = to.as_bytes()[0];
        prop_assert_eq!(explained(&wire, &Given::default()), None);
    }

    #[test]
    fn no_input_panics(target in "/[ -~]{0,30}", host in "[ -~]{1,12}", body in "[ -~]{0,30}", forwarded in "[ -~]{0,20}") {
        let wire = WireRequest { authority: host.into(), ..WireRequest::get(&target).in_header() }.body("text/plain", &body);
        let said = ForwardedHeaders::of(|_| Some(forwarded.as_bytes()));
        let found = explained(&wire, &Given { forwarded: said, ..Given::default() });
        prop_assert_eq!(found, None);
    }
}

const METHODS: [SignatureMethod; 4] = [
    SignatureMethod::HmacSha1,
    SignatureMethod::HmacSha256,
    SignatureMethod::HmacSha512,
    SignatureMethod::Plaintext,
];

fn get(target: &str) -> RequestDraft<'_> {
    draft_of(b"GET", target.as_bytes())
}

fn draft_of<'a>(method: &'a [u8], target: &'a [u8]) -> RequestDraft<'a> {
    RequestDraft {
        method,
        ..draft(target)
    }
}

fn signed(draft: &RequestDraft<'_>) -> WireRequest {
    signed_with(draft, SignatureMethod::HmacSha256, CONSUMER_SECRET)
}

fn signed_with(draft: &RequestDraft<'_>, method: SignatureMethod, consumer: &[u8]) -> WireRequest {
    let key = SigningKey::Secrets {
        consumer,
        token: TOKEN_SECRET,
    };
    let signer = Signer {
        consumer_key: b"key",
        token: Some(b"token"),
        method,
        key,
    };
    WireRequest::signed(draft, signer.sign(draft).unwrap())
}

fn encoded_parameters() -> String {
    "oauth_consumer_key%3Dkey%26oauth_nonce%3Dn%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131200"
        .to_owned()
}

/// Puts the signature of a base string into the header of [`PARAMETERS`].
fn with_mac(mut wire: WireRequest, base_string: &str) -> WireRequest {
    use crate::oauth::{hmac_key::HmacKey, shared_key::SharedSecrets};
    let secrets = SharedSecrets {
        consumer: CONSUMER_SECRET,
        token: b"",
    };
    let key = secrets.signing_key();
    let mac = HmacKey::new(SignatureMethod::HmacSha1.hash(), &key)
        .sign(base_string.as_bytes(), |mac| STANDARD.encode(mac));
    let header = String::from_utf8(wire.authorization.remove(0)).unwrap();
    wire.authorization(header.replace(
        "oauth_signature=\"AAAA\"",
        &format!("oauth_signature=\"{mac}\""),
    ))
}

/// The evidence beside the request and the keys.
#[derive(Default)]
struct Given<'g> {
    compat: CompatSet,
    forwarded: ForwardedHeaders<'g>,
    received: Option<ReceivedOrigin<'g>>,
    setting: OriginSetting,
    reveal: bool,
}

fn explained(wire: &WireRequest, given: &Given<'_>) -> Option<Diagnosis> {
    wire.with_request(|request| diagnose_with(request, given, BUDGET))
}

fn diagnose_with(request: Request<'_>, given: &Given<'_>, budget: u32) -> Option<Diagnosis> {
    diagnose_and_disclose(request, given, budget, |_| ())
}

fn diagnose_and_disclose(
    request: Request<'_>,
    given: &Given<'_>,
    budget: u32,
    disclose: impl FnOnce(Option<&Diagnosis>),
) -> Option<Diagnosis> {
    let Given {
        compat,
        forwarded,
        received,
        setting,
        reveal,
    } = *given;
    let evidence = MismatchEvidence {
        request: &request,
        limits: &ParseLimits::default(),
        compat,
        keys: secrets(&[CONSUMER_SECRET], Some(TOKEN_SECRET)),
        expired_secrets: &[OLD_SECRET],
        forwarded,
        received,
        setting,
        reveal,
    };
    diagnose_in_steps(&evidence, budget, disclose)
}

//! The diagnosis of parameters that are sent and not signed, signed and not sent, signed another
//! number of times, or written differently.

use proptest::prelude::*;

use super::deviating_client::{
    DeviatingClient, Pairs, diagnosis, diagnosis_behind, leaving, pairs, with_signature_of,
};
use super::*;
use crate::oauth::diagnosis::{ForwardedHeader, ForwardedHeaders, MismatchCause};

/// A query, the parameters that its client signs (not encoded), the cause, and a word that the
/// remedy has.
type Case = (&'static str, &'static str, MismatchCause, &'static str);

const QUERIES: &[Case] = &[
    (
        "id=5&lti-tool",
        "id=5",
        MismatchCause::ParameterLeftOut,
        "`lti-tool`",
    ),
    (
        "id=5&gclid=x1",
        "id=5",
        MismatchCause::ParameterLeftOut,
        "`gclid`",
    ),
    (
        "lang=en&id=5",
        "id=5",
        MismatchCause::ParameterLeftOut,
        "`lang`",
    ),
    (
        "q=/p/x&limit=5",
        "limit=5",
        MismatchCause::ParameterLeftOut,
        "`q`",
    ),
    (
        "id=5&utm_source=a&utm_medium=b",
        "id=5",
        MismatchCause::ParameterLeftOut,
        "`utm_medium` and `utm_source`",
    ),
    (
        "id=5&a&b=&c",
        "id=5",
        MismatchCause::ParameterLeftOut,
        "`a`, `b` and `c`",
    ),
    (
        "id=5&n=1&x=2&y=3",
        "id=5&n=1",
        MismatchCause::ParameterLeftOut,
        "`x` and `y`",
    ),
    (
        "a=1&id=5&n=1&x=2",
        "id=5&n=1",
        MismatchCause::ParameterLeftOut,
        "`a` and `x`",
    ),
    ("size=1", "", MismatchCause::QueryLeftOut, "query"),
    ("size=1&n=2", "", MismatchCause::QueryLeftOut, "query"),
    (
        "foo=3&foo=2&foo=1",
        "foo=1",
        MismatchCause::RepeatedName,
        "`foo`",
    ),
    (
        "foo=3&foo=2&foo=1",
        "foo=3",
        MismatchCause::RepeatedName,
        "first",
    ),
    (
        "foo=3&foo=2&foo=1",
        "foo=1&foo=3",
        MismatchCause::RepeatedName,
        "`foo`",
    ),
    (
        "foo=3&foo=2&a=1",
        "a=1&foo=2",
        MismatchCause::RepeatedName,
        "last",
    ),
    ("foo=1&foo=1", "foo=1", MismatchCause::RepeatedName, "`foo`"),
    (
        "foo=1&a=2&foo=1",
        "foo=1&a=2",
        MismatchCause::RepeatedName,
        "`foo`",
    ),
    (
        "foo=1&foo=2&bar=1&bar=2",
        "foo=1&foo=2&bar=2",
        MismatchCause::RepeatedName,
        "`bar`",
    ),
    (
        "a=1&b=2&a=1&b=2",
        "a=1&b=2",
        MismatchCause::SentTwice,
        "`a` and `b`",
    ),
    (
        "a=x,y&n=5",
        "a=x,y&n=5&a=x,y&n=5",
        MismatchCause::SignedTwice,
        "the query twice",
    ),
    (
        "a=x,y&n=5",
        "a=x,y&n=5&n=5",
        MismatchCause::SignedTwice,
        "`n` twice",
    ),
    (
        "a=1",
        "a=1&oauth_callback=&oauth_verifier=",
        MismatchCause::ParameterNotSent,
        "an empty `oauth_callback` and an empty `oauth_verifier`",
    ),
    (
        "a=1",
        "a=1&oauth_callback=",
        MismatchCause::ParameterNotSent,
        "an empty `oauth_callback`,",
    ),
    (
        "a=1",
        "a=1&oauth_verifier=",
        MismatchCause::ParameterNotSent,
        "an empty `oauth_verifier`,",
    ),
    (
        "a=1",
        "a=1&oauth_token=",
        MismatchCause::EmptyToken,
        "`oauth_token`",
    ),
    (
        "a=1",
        "a=1&oauth_token=&oauth_verifier=",
        MismatchCause::ParameterNotSent,
        "an empty `oauth_verifier` and an empty `oauth_token`",
    ),
    (
        "a=1",
        "a=1&oauth_callback=about:blank",
        MismatchCause::ParameterNotSent,
        "`oauth_callback=about:blank`",
    ),
    (
        "a=1",
        "a=1&oauth_callback=oob",
        MismatchCause::ParameterNotSent,
        "`oauth_callback=oob`",
    ),
    ("", "=", MismatchCause::ParameterNotSent, "empty parameter"),
    (
        "a=1&",
        "a=1&=",
        MismatchCause::ParameterNotSent,
        "empty parameter",
    ),
    (
        "a=1&b=2",
        "a=&b=",
        MismatchCause::ValueLeftOut,
        "`a` and `b`",
    ),
    ("a=1&b=2", "a=1&b=", MismatchCause::ValueLeftOut, "`b`"),
    (
        "a=abc==&b=2",
        "a=abc&b=2",
        MismatchCause::ValueLeftOut,
        "`a` at a `=`",
    ),
    (
        "a=+x+&b=2",
        "a=x&b=2",
        MismatchCause::ValueLeftOut,
        "white space",
    ),
    (
        "a=1&flag",
        "a=1&flag=null",
        MismatchCause::EmptyValue,
        "`flag`",
    ),
    (
        "a=1&flag=",
        "a=1&flag=undefined",
        MismatchCause::EmptyValue,
        "`flag`",
    ),
    (
        "ids[]=1&ids[]=2",
        "ids=1&ids=2",
        MismatchCause::ArraySyntax,
        "brackets",
    ),
    (
        "ids[0]=1&ids[1]=2",
        "ids=1&ids=2",
        MismatchCause::ArraySyntax,
        "brackets",
    ),
    (
        "ids[]=1&ids[]=2",
        "ids[0]=1&ids[1]=2",
        MismatchCause::ArraySyntax,
        "`a[0]`",
    ),
    (
        "ids=1&ids=2",
        "ids[0]=1&ids[1]=2",
        MismatchCause::ArraySyntax,
        "`a[0]`",
    ),
    (
        "ids=1&ids=2",
        "ids[]=1&ids[]=2",
        MismatchCause::ArraySyntax,
        "`a[]`",
    ),
    (
        "ids[0]=1&ids[1]=2",
        "ids[]=1&ids[]=2",
        MismatchCause::ArraySyntax,
        "`a[]`",
    ),
    (
        "ids[]=1&ids[]=2",
        "ids=1,2",
        MismatchCause::ArraySyntax,
        "joined",
    ),
    (
        "ids[]=1&ids[]=2&a=1",
        "ids[]=1,2&a=1",
        MismatchCause::ArraySyntax,
        "joined",
    ),
    (
        "ids=1&ids=2",
        "ids=1,2",
        MismatchCause::ArraySyntax,
        "joined",
    ),
    (
        "ids=1,2",
        "ids=1&ids=2",
        MismatchCause::ArraySyntax,
        "commas",
    ),
    (
        "ids[]=1&ids[]=2",
        "ids=Array",
        MismatchCause::ArraySyntax,
        "Array",
    ),
    (
        "f[a][b]=1&f[a][c]=2",
        "f[a]=[object Object]",
        MismatchCause::ArraySyntax,
        "object",
    ),
    ("f[a]=1", "f.a=1", MismatchCause::ArraySyntax, "`f[a]`"),
    (
        "n=1&ids[]=1&ids[]=2",
        "n=1&ids=1&ids=2",
        MismatchCause::ArraySyntax,
        "`ids[]` without the brackets",
    ),
    (
        "n=1&ids[]=1&ids[]=2",
        "n=1&ids=1,2",
        MismatchCause::ArraySyntax,
        "`ids[]` as one parameter",
    ),
    (
        "n=1&expand=a,b",
        "n=1&expand=a&expand=b",
        MismatchCause::ArraySyntax,
        "`expand` between commas",
    ),
    (
        "n=1&name=R%26D",
        "n=1&name=R",
        MismatchCause::ValueLeftOut,
        "`name` only up to the first `&`",
    ),
    (
        "n=1&note=one%20two",
        "n=1&note=one",
        MismatchCause::ValueLeftOut,
        "`note` only up to the first space",
    ),
    (
        "user.name=x&n=1",
        "user_name=x&n=1",
        MismatchCause::NamesChanged,
        "PHP",
    ),
    (
        "PageSize=5",
        "pagesize=5",
        MismatchCause::NamesChanged,
        "lowercase",
    ),
    (
        "a=1&amp;b=2",
        "a=1&b=2",
        MismatchCause::NamesChanged,
        "HTML",
    ),
    (
        "a=1;b=2",
        "a=1&b=2",
        MismatchCause::SemicolonSeparator,
        "`;`",
    ),
    (
        "q=golang&paging=1;10",
        "q=golang&paging=1&10=",
        MismatchCause::SemicolonSeparator,
        "`;`",
    ),
];

#[test]
fn parameters_that_differ_are_named() {
    let mut wrong = Vec::new();
    for &(query, signed, cause, word) in QUERIES {
        let sent = WireRequest::get(&format!("/photos?{query}")).in_header();
        let signed = if signed == "=" {
            vec![(Vec::new(), Vec::new())]
        } else {
            pairs(signed)
        };
        let wire = DeviatingClient::RFC.send(&sent, &signed);
        let found = diagnosis(&wire, true);
        match &found {
            Some(found) if found.causes == [cause] && found.remedy.contains(word) => {}
            other => wrong.push(format!(
                "{query}: {:?}",
                other.as_ref().map(|found| (found.cause(), &found.remedy))
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_form_is_treated_like_a_query() {
    for (form, signed, cause) in [
        (
            "a=1&ext_submit=Press",
            "a=1",
            MismatchCause::ParameterLeftOut,
        ),
        ("a=1&a=2", "a=1", MismatchCause::RepeatedName),
        ("a=1&b=2", "a=1&b=2&a=1&b=2", MismatchCause::SignedTwice),
    ] {
        let mut sent = WireRequest::get("/launch").in_header().body(FORM, form);
        sent.method = b"POST".into();
        let wire = DeviatingClient::RFC.send(&sent, &pairs(signed));
        assert_eq!(diagnosis(&wire, false).unwrap().causes, [cause], "{form}");
    }
}

#[test]
fn a_query_that_is_repeated_in_the_form_and_signed_once_is_explained() {
    let mut sent = WireRequest::get("/launch?course=7&n=1")
        .in_header()
        .body(FORM, "course=7&role=x");
    sent.method = b"POST".into();
    let wire = DeviatingClient::RFC.send(&sent, &pairs("course=7&n=1&role=x"));
    let found = diagnosis(&wire, false).unwrap();
    assert_eq!(found.causes, [MismatchCause::RepeatedName]);
    assert!(found.remedy.contains("`course`"), "{}", found.remedy);
}

#[test]
fn a_query_that_is_sent_twice_around_the_protocol_parameters_is_explained() {
    let target = |signature: &str| {
        let protocol = PARAMETERS.replace("AAAA", signature);
        format!("/products?per_page=5&{protocol}&per_page=5")
    };
    let signer = WireRequest::get("/products").in_header();
    let signed = DeviatingClient::RFC.send(&signer, &pairs("per_page=5"));
    let header = String::from_utf8(signed.authorization[0].clone()).unwrap();
    let signature = header
        .split("oauth_signature=\"")
        .nth(1)
        .unwrap()
        .trim_end_matches('"');
    let found = diagnosis(&WireRequest::get(&target(signature)), false).unwrap();
    assert_eq!(found.causes, [MismatchCause::SentTwice]);
    assert!(found.remedy.contains("`per_page`"), "{}", found.remedy);
}

#[test]
fn a_protocol_parameter_that_is_not_signed_is_named() {
    let whole = DeviatingClient::RFC.base_string("GET", "/", &pairs("a=1"));
    for name in [
        "oauth_nonce",
        "oauth_timestamp",
        "oauth_consumer_key",
        "oauth_signature_method",
    ] {
        let begin = whole.find(name).unwrap();
        let rest = whole[begin..]
            .find("%26")
            .map_or(whole.len(), |len| begin + len + 3);
        let without = format!("{}{}", &whole[..begin], &whole[rest..]);
        let without = without.trim_end_matches("%26");
        let wire = with_signature_of(WireRequest::get("/?a=1").in_header(), without);
        let found = diagnosis(&wire, false).unwrap();
        assert_eq!(found.causes, [MismatchCause::ParameterLeftOut], "{name}");
        assert!(
            found.remedy.contains(&format!("`{name}`")),
            "{}",
            found.remedy
        );
    }
}

#[test]
fn only_names_that_others_may_see_are_named() {
    for (query, shown, hidden) in [
        ("a=1&gclid=hunter2", "`gclid`", "hunter2"),
        ("a=1&hunter2", "parameter 2 of the query", "hunter2"),
        ("a=1&{hunter2}=1", "parameter 2 of the query", "hunter2"),
    ] {
        let sent = WireRequest::get(&format!("/?{query}")).in_header();
        let wire = DeviatingClient::RFC.send(&sent, &pairs("a=1"));
        let found = diagnosis(&wire, false).unwrap();
        assert_eq!(found.causes, [MismatchCause::ParameterLeftOut], "{query}");
        assert!(found.remedy.contains(shown), "{}", found.remedy);
        assert!(!format!("{found:?}").contains(hidden), "{found:?}");
    }
}

#[test]
fn a_parameter_and_another_scheme_or_host_are_named_together() {
    for &(query, signed, cause, word) in QUERIES {
        let sent = WireRequest::get(&format!("/photos?{query}")).in_header();
        let signed = if signed == "=" {
            vec![(Vec::new(), Vec::new())]
        } else {
            pairs(signed)
        };
        let client = DeviatingClient {
            scheme: "http",
            ..DeviatingClient::RFC
        };
        let found = diagnosis(&client.send(&sent, &signed), true);
        let causes = found.as_ref().map(|found| found.causes.clone());
        let is_rare = ["`n` twice", "`b`", "`a` and `x`"].contains(&word);
        assert!(
            causes == Some(vec![MismatchCause::Scheme, cause]) || is_rare,
            "{query}: {causes:?}"
        );
    }
}

#[test]
fn a_parameter_and_a_host_that_a_proxy_names_are_named_together() {
    let mut wrong = Vec::new();
    for &(query, signed, cause, word) in QUERIES {
        let sent = WireRequest::get(&format!("/photos?{query}")).in_header();
        let signed = if signed == "=" {
            vec![(Vec::new(), Vec::new())]
        } else {
            pairs(signed)
        };
        let client = DeviatingClient {
            host: "www.example.net",
            ..DeviatingClient::RFC
        };
        let forwarded =
            ForwardedHeaders::default().with(ForwardedHeader::XForwardedHost, b"www.example.net");
        let found = diagnosis_behind(&client.send(&sent, &signed), true, forwarded);
        let causes = found.as_ref().map(|found| found.causes.clone());
        let is_rare = ["`n` twice", "`b`", "`a` and `x`"].contains(&word);
        if causes != Some(vec![MismatchCause::Host, cause]) && !is_rare {
            wrong.push(format!("{query}: {causes:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_value_that_is_decoded_or_encoded_again_is_named() {
    for (query, signed, cause) in [
        (
            "a=50%2525&url=x%253A%252F&n=1",
            "a=50%25&url=x:/&n=1",
            MismatchCause::DecodedTwice,
        ),
        (
            "a=1%2F2&url=x%3A%2F&n=1",
            "a=1/2&url=x%3A%2F&n=1",
            MismatchCause::EncodedTwice,
        ),
    ] {
        let sent = WireRequest::get(&format!("/photos?{query}")).in_header();
        let wire = DeviatingClient::RFC.send(&sent, &pairs(signed));
        let found = diagnosis(&wire, true).unwrap();
        assert_eq!(found.causes, [cause], "{query}: {}", found.remedy);
        assert!(found.remedy.contains("`url`"), "{}", found.remedy);
    }
}

#[test]
fn a_parameter_that_only_a_header_of_a_proxy_names_is_found() {
    let sent = WireRequest::get("/photos?size=1").in_header();
    let wire = DeviatingClient::RFC.send(&sent, &pairs("size=1&page=7"));
    for header in [
        ForwardedHeader::XOriginalUri,
        ForwardedHeader::XEnvoyOriginalPath,
    ] {
        let forwarded = ForwardedHeaders::default().with(header, b"/photos?size=1&page=7");
        let found = diagnosis_behind(&wire, true, forwarded).unwrap();
        assert_eq!(found.causes, [MismatchCause::ParameterNotSent]);
        for word in ["`page`", header.name(), "call Countersign before"] {
            assert!(found.remedy.contains(word), "{}", found.remedy);
        }
        let masked = diagnosis_behind(&wire, false, forwarded).unwrap();
        assert!(!masked.remedy.contains('7'), "{}", masked.remedy);
    }
    let other = ForwardedHeaders::default().with(ForwardedHeader::XOriginalUri, b"/photos?page=8");
    assert_eq!(diagnosis_behind(&wire, true, other), None);
}

#[test]
fn two_mistakes_that_clients_make_together_are_named() {
    let leaves_plain = DeviatingClient {
        name: |text| leaving("!*'()", text),
        value: |text| leaving("!*'()", text),
        ..DeviatingClient::RFC
    };
    for (query, signed, cause) in [
        (
            "m=%28b%29&gclid=x",
            "m=(b)",
            MismatchCause::ParameterLeftOut,
        ),
        (
            "m=%28b%29",
            "m=(b)&oauth_callback=&oauth_verifier=",
            MismatchCause::ParameterNotSent,
        ),
        (
            "m=%28b%29&ids%5B%5D=1&ids%5B%5D=2",
            "m=(b)&ids[0]=1&ids[1]=2",
            MismatchCause::ArraySyntax,
        ),
    ] {
        let sent = WireRequest::get(&format!("/photos?{query}")).in_header();
        let wire = leaves_plain.send(&sent, &pairs(signed));
        let found = diagnosis(&wire, true);
        let causes = found.map(|found| found.causes);
        let expected = vec![cause, MismatchCause::CharactersNotEncoded];
        assert_eq!(causes, Some(expected), "{query}");
    }
}

#[test]
fn thousands_of_parameters_are_bounded() {
    let query: Vec<_> = (0..900).map(|at| format!("a{at}={at}")).collect();
    let sent = WireRequest::get(&format!("/?{}", query.join("&"))).in_header();
    let signed = pairs(&query[..150].join("&"));
    let wire = DeviatingClient::RFC.send(&sent, &signed);
    assert_eq!(diagnosis(&wire, false), None);
    let same = vec!["a=1"; 900].join("&");
    let sent = WireRequest::get(&format!("/?{same}")).in_header();
    let wire = DeviatingClient::RFC.send(&sent, &pairs("a=2"));
    assert_eq!(diagnosis(&wire, false), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_single_deviation_is_found_and_its_claim_is_true(
        sent in proptest::collection::vec(("a|bc|d\\[\\]|e\\.f|oauths", "|[1-3]|x,y|q=r"), 1..7),
        at in 0..6_usize,
        edit in 0..EDITS.len(),
    ) {
        let meant: Pairs = sent.iter().map(|(name, value)| (name.clone().into(), value.clone().into())).collect();
        let at = at % meant.len();
        let (edit, accepted) = EDITS[edit];
        let signed = edit(&meant, at);
        prop_assume!(sorted(&signed) != sorted(&meant));
        let query: Vec<_> = sent.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let wire = DeviatingClient::RFC.send(
            &WireRequest::get(&format!("/photos?{}", query.join("&"))).in_header(),
            &signed,
        );
        let found = diagnosis(&wire, true).unwrap();
        prop_assert!(found.causes.len() == 1 && accepted.contains(&found.causes[0]), "{:?} {:?}", query, found);
        if found.causes == [MismatchCause::ParameterLeftOut] {
            let name = format!("`{}`", sent[at].0);
            prop_assert!(found.remedy.contains(&name), "{}", found.remedy);
        }
        if found.causes == [MismatchCause::QueryLeftOut] {
            prop_assert!(signed.is_empty());
        }
        if found.causes == [MismatchCause::SentTwice] {
            prop_assert_eq!(signed.len() * 2, meant.len());
        }
        if found.causes == [MismatchCause::RepeatedName] {
            let names: Vec<_> = meant.iter().map(|(name, _)| name).collect();
            prop_assert!(names.iter().any(|name| names.iter().filter(|other| other == &name).count() > 1));
        }
    }
}

fn sorted(pairs: &Pairs) -> Pairs {
    let mut pairs = pairs.clone();
    pairs.sort();
    pairs
}

/// The parameters that a client signs for those that it sends, and the causes that are true of them.
type Edit = (fn(&Pairs, usize) -> Pairs, &'static [MismatchCause]);

const EDITS: [Edit; 6] = [
    (
        |sent, at| {
            let others = sent.iter().enumerate().filter(|(other, _)| *other != at);
            others.map(|(_, pair)| pair.clone()).collect()
        },
        &[
            MismatchCause::ParameterLeftOut,
            MismatchCause::QueryLeftOut,
            MismatchCause::RepeatedName,
            MismatchCause::SentTwice,
        ],
    ),
    (
        |sent, _| {
            let mut seen = std::collections::HashSet::new();
            let mut kept = sent.clone();
            kept.retain(|(name, _)| seen.insert(name.clone()));
            kept
        },
        &[MismatchCause::RepeatedName, MismatchCause::SentTwice],
    ),
    (
        |sent, _| [sent.clone(), sent.clone()].concat(),
        &[MismatchCause::SignedTwice],
    ),
    (
        |sent, at| [sent.clone(), vec![sent[at].clone()]].concat(),
        &[MismatchCause::SignedTwice],
    ),
    (
        |sent, at| {
            let mut signed = sent.clone();
            signed[at].1 = Vec::new();
            signed
        },
        &[MismatchCause::ValueLeftOut, MismatchCause::ArraySyntax],
    ),
    (
        |sent, _| {
            let cut = |value: &Vec<u8>| value.split(|&byte| byte == b'=').next().unwrap().to_vec();
            sent.iter()
                .map(|(name, value)| (name.clone(), cut(value)))
                .collect()
        },
        &[MismatchCause::ValueLeftOut, MismatchCause::ArraySyntax],
    ),
];

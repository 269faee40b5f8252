//! The diagnosis of encodings, character sets, line breaks and orders.

use proptest::prelude::*;

use super::deviating_client::{
    DeviatingClient, Pairs, diagnosis, diagnosis_behind, escaped, leaving, lower, pairs, plain,
    rfc, with_signature_of,
};
use super::*;
use crate::oauth::diagnosis::{ForwardedHeader, ForwardedHeaders, MismatchCause};

const RFC: DeviatingClient = DeviatingClient::RFC;

/// A query, the parameters that it means, a client, the cause, and a word that the remedy has.
type Case = (
    &'static str,
    &'static str,
    DeviatingClient,
    MismatchCause,
    &'static str,
);

/// Returns a client that encodes names and values in its own way.
const fn texts(encode: fn(&[u8]) -> String) -> DeviatingClient {
    DeviatingClient {
        name: encode,
        value: encode,
        ..RFC
    }
}

/// Returns a client that encodes everything in its own way.
const fn all(encode: fn(&[u8]) -> String) -> DeviatingClient {
    DeviatingClient {
        name: encode,
        value: encode,
        uri: encode,
        joined: encode,
        ..RFC
    }
}

const fn sorted(sort: fn(&mut Vec<(String, String)>)) -> DeviatingClient {
    DeviatingClient { sort, ..RFC }
}

fn java(text: &[u8]) -> String {
    escaped(text, |byte| {
        byte.is_ascii_alphanumeric() || b"-._* ".contains(&byte)
    })
    .replace(' ', "+")
}

fn plus(text: &[u8]) -> String {
    leaving(" ", text).replace(' ', "+")
}

fn dot_net(text: &[u8]) -> String {
    lower(&escaped(text, |byte| {
        byte.is_ascii_alphanumeric() || b"-._!*() ".contains(&byte)
    }))
    .replace(' ', "+")
}

fn component(text: &[u8]) -> String {
    leaving("!*'()", text)
}

fn quote(text: &[u8]) -> String {
    leaving("/", text)
}

fn old_quote(text: &[u8]) -> String {
    quote(text).replace('~', "%7E")
}

fn tilde(text: &[u8]) -> String {
    rfc(text).replace('~', "%7E")
}

fn lower_case(text: &[u8]) -> String {
    lower(&rfc(text))
}

fn twice(text: &[u8]) -> String {
    rfc(rfc(text).as_bytes())
}

fn latin1(text: &[u8]) -> String {
    let text = str::from_utf8(text).unwrap();
    rfc(&text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect::<Vec<_>>())
}

fn mojibake(text: &[u8]) -> String {
    rfc(text
        .iter()
        .map(|&byte| char::from(byte))
        .collect::<String>()
        .as_bytes())
}

fn utf16(text: &[u8]) -> String {
    let units = str::from_utf8(text).unwrap().encode_utf16();
    let escape = |unit: u16| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii_alphanumeric() || b"@*_+-./".contains(&byte) => {
            char::from(byte).to_string()
        }
        Ok(byte) => format!("%{byte:02X}"),
        Err(_) => format!("%u{unit:04X}"),
    };
    units.map(escape).collect()
}

fn cesu(text: &[u8]) -> String {
    let units = str::from_utf8(text).unwrap().encode_utf16();
    let bytes = units.flat_map(|unit| {
        let unit = u32::from(unit);
        match unit {
            0..=0x7F => vec![unit as u8],
            0x80..=0x7FF => vec![0xC0 | (unit >> 6) as u8, 0x80 | (unit & 0x3F) as u8],
            _ => vec![
                0xE0 | (unit >> 12) as u8,
                0x80 | (unit >> 6 & 0x3F) as u8,
                0x80 | (unit & 0x3F) as u8,
            ],
        }
    });
    rfc(&bytes.collect::<Vec<_>>())
}

const CASES: &[Case] = {
    use MismatchCause as C;
    &[
        (
            "q=a*b",
            "q=a*b",
            texts(component),
            C::CharactersNotEncoded,
            "`*`",
        ),
        (
            "q=a*b",
            "q=a*b",
            all(component),
            C::CharactersNotEncoded,
            "`*`",
        ),
        (
            "q=it's+(so)!",
            "q=it's (so)!",
            all(component),
            C::CharactersNotEncoded,
            "`!`, `'`, `(` and `)`",
        ),
        (
            "q=~jane",
            "q=~jane",
            texts(tilde),
            C::UnreservedEncoded,
            "`~`",
        ),
        (
            "q=~jane",
            "q=~jane",
            all(tilde),
            C::UnreservedEncoded,
            "`~`",
        ),
        (
            "q=a*b~c",
            "q=a*b~c",
            texts(java),
            C::CharactersNotEncoded,
            "leaves `*` unencoded, escapes `~`",
        ),
        (
            "q=a+*~c",
            "q=a *~c",
            texts(java),
            C::SpaceAsPlus,
            "signs a space as `+`, leaves `*` unencoded, escapes `~`",
        ),
        ("q=a%20b", "q=a b", texts(java), C::SpaceAsPlus, "a space"),
        ("q=a+b", "q=a b", texts(plus), C::SpaceAsPlus, "a space"),
        (
            "q=~a*b",
            "q=~a*b",
            texts(dot_net),
            C::CharactersNotEncoded,
            "lowercase",
        ),
        (
            "q=a+b%2Fc",
            "q=a b/c",
            all(dot_net),
            C::SpaceAsPlus,
            "lowercase",
        ),
        (
            "path=a%2Fb&q=a%20b",
            "path=a/b&q=a b",
            texts(quote),
            C::CharactersNotEncoded,
            "`/`",
        ),
        (
            "path=a%2Fb&q=a%20b",
            "path=a/b&q=a b",
            all(quote),
            C::CharactersNotEncoded,
            "`/`",
        ),
        (
            "path=a%2Fb&q=~b",
            "path=a/b&q=~b",
            all(old_quote),
            C::CharactersNotEncoded,
            "escapes `~`",
        ),
        (
            "q=ab",
            "q=ab",
            DeviatingClient { uri: quote, ..RFC },
            C::CharactersNotEncoded,
            "`/`",
        ),
        (
            "q=a,b&n=c%2Fd",
            "q=a,b&n=c/d",
            texts(|text| leaving(",", text)),
            C::CharactersNotEncoded,
            "`,`",
        ),
        (
            "q=a:b&n=c%2Fd",
            "q=a:b&n=c/d",
            texts(|text| leaving(":", text)),
            C::CharactersNotEncoded,
            "`:`",
        ),
        (
            "q=a%40b&n=c%2Fd",
            "q=a@b&n=c/d",
            texts(|text| leaving("@", text)),
            C::CharactersNotEncoded,
            "`@`",
        ),
        (
            "q=a,b",
            "q=a,b",
            texts(|text| leaving(",", text)),
            C::CharactersNotEncoded,
            "`,`",
        ),
        (
            "q=a%3Bb&n=c%2Fd",
            "q=a;b&n=c/d",
            texts(|text| leaving(";", text)),
            C::CharactersNotEncoded,
            "`;`",
        ),
        (
            "q=a%3D&n=c%2Fd",
            "q=a=&n=c/d",
            texts(|text| leaving("=", text)),
            C::CharactersNotEncoded,
            "`=`",
        ),
        (
            "q=a%2B&n=c%2Fd",
            "q=a+&n=c/d",
            texts(|text| leaving("+", text)),
            C::CharactersNotEncoded,
            "`+`",
        ),
        (
            "q=a.b",
            "q=a.b",
            texts(|text| rfc(text).replace('.', "%2E")),
            C::UnreservedEncoded,
            "`.`",
        ),
        (
            "q=a%20b%2Fc",
            "q=a b/c",
            texts(lower_case),
            C::LowerCaseEscapes,
            "lowercase",
        ),
        (
            "q=a%2Cb",
            "q=a,b",
            all(lower_case),
            C::LowerCaseEscapes,
            "lowercase",
        ),
        (
            "q=a%2Cb",
            "q=a,b",
            DeviatingClient {
                uri: lower_case,
                joined: lower_case,
                ..RFC
            },
            C::LowerCaseEscapes,
            "lowercase",
        ),
        (
            "q=ab",
            "q=ab",
            DeviatingClient {
                joined: lower_case,
                ..RFC
            },
            C::LowerCaseEscapes,
            "lowercase",
        ),
        (
            "q=a%2Fb%20c",
            "q=a/b c",
            texts(plain),
            C::EncodedOnce,
            "before it joins",
        ),
        (
            "q=a/b+c",
            "q=a/b c",
            DeviatingClient {
                value: plain,
                ..RFC
            },
            C::EncodedOnce,
            "values",
        ),
        (
            "q=ab",
            "q=ab",
            DeviatingClient {
                joined: plain,
                ..RFC
            },
            C::EncodedOnce,
            "third part",
        ),
        (
            "q=a%2Fb",
            "q=a/b",
            DeviatingClient {
                joined: plain,
                ..RFC
            },
            C::EncodedOnce,
            "third part",
        ),
        (
            "q=ab",
            "q=ab",
            DeviatingClient {
                joined: plain,
                uri: plain,
                ..RFC
            },
            C::EncodedOnce,
            "URI",
        ),
        (
            "q=ab",
            "q=ab",
            DeviatingClient { uri: plain, ..RFC },
            C::EncodedOnce,
            "URI",
        ),
        (
            "q=a%2Fb",
            "q=a/b",
            all(plain),
            C::EncodedOnce,
            "plain names",
        ),
        (
            "q=a%2Fb&n=1",
            "q=a/b&n=1",
            DeviatingClient {
                joined: |text| leaving("=&", text),
                ..RFC
            },
            C::EncodedOnce,
            "between the parameters",
        ),
        (
            "q=ab&n=1",
            "q=ab&n=1",
            DeviatingClient {
                joined: |text| leaving("&", text),
                ..RFC
            },
            C::EncodedOnce,
            "between the parameters",
        ),
        (
            "c%40=1%2F2",
            "c@=1/2",
            DeviatingClient { name: plain, ..RFC },
            C::NamesNotEncoded,
            "`@`",
        ),
        (
            "c%20d=1%2F2",
            "c d=1/2",
            DeviatingClient { name: plain, ..RFC },
            C::NamesNotEncoded,
            "spaces",
        ),
        (
            "c[]=1%2F2",
            "c[]=1/2",
            DeviatingClient { name: plain, ..RFC },
            C::BracketsOnce,
            "brackets",
        ),
        (
            "q=a%2Fb",
            "q=a/b",
            texts(twice),
            C::EncodedTwice,
            "encoded already",
        ),
        (
            "a%5B%5D=a%2Fb",
            "a[]=a/b",
            DeviatingClient { name: twice, ..RFC },
            C::EncodedTwice,
            "encoded already",
        ),
        (
            "q=a,b%20c",
            "q=a,b%20c",
            RFC,
            C::EncodedTwice,
            "encoded already",
        ),
        (
            "q=ab",
            "q=ab",
            DeviatingClient {
                joined: twice,
                ..RFC
            },
            C::EncodedTwice,
            "third part",
        ),
        ("q=a%252Fb", "q=a/b", RFC, C::DecodedTwice, "twice"),
        ("q=a%2Bb", "q=a b", RFC, C::DecodedTwice, "twice"),
        ("q=a+b", "q=a+b", RFC, C::PlusLiteral, "plus"),
        (
            "price=%C2%A355",
            "price=£55",
            texts(latin1),
            C::Charset,
            "ISO 8859-1",
        ),
        (
            "price=%C2%A355",
            "price=£55",
            texts(mojibake),
            C::Charset,
            "again",
        ),
        (
            "q=%C3%A9+%E2%82%AC",
            "q=é €",
            texts(utf16),
            C::Charset,
            "UTF-16",
        ),
        (
            "q=%F0%9F%98%80",
            "q=😀",
            texts(cesu),
            C::Charset,
            "surrogate",
        ),
        ("q=%E2%82%AC", "q=€", texts(latin1), C::Charset, "`?`|ISO"),
        ("d=a%0D%0Ab", "d=a\nb", RFC, C::LineBreaks, "line breaks"),
        ("d=a%0Ab", "d=a\r\nb", RFC, C::LineBreaks, "line breaks"),
        ("d=a%0D%0Ab", "d=a\rb", RFC, C::LineBreaks, "line breaks"),
        (
            "d=a%0D%0Ab",
            "d=ab",
            RFC,
            C::LineBreaks,
            "without the line breaks",
        ),
        (
            "d=a%0D%0Ab",
            "d=a b",
            RFC,
            C::LineBreaks,
            "without the line breaks",
        ),
        (
            "Z=1&a=2",
            "Z=1&a=2",
            sorted(|pairs| pairs.sort_by_key(|(name, _)| name.to_lowercase())),
            C::Sorting,
            "without regard to case",
        ),
        (
            "a10=1&a9=2",
            "a10=1&a9=2",
            sorted(|pairs| {
                pairs.sort();
                pairs.sort_by_key(|(name, _)| if name.starts_with('a') { name.len() } else { 9 });
            }),
            C::Sorting,
            "digits as numbers",
        ),
        (
            "a=10&a=9",
            "a=10&a=9",
            sorted(|pairs| {
                pairs.sort_by_key(|(name, value)| (name.clone(), value.len(), value.clone()))
            }),
            C::Sorting,
            "as numbers",
        ),
        (
            "z=1&b=2",
            "z=1&b=2",
            sorted(|_| ()),
            C::Sorting,
            "does not sort",
        ),
        (
            "z=1&b=2",
            "z=1&b=2",
            sorted(|pairs| {
                pairs.sort();
                pairs.sort_by_key(|(name, _)| !name.starts_with("oauth"));
            }),
            C::Sorting,
            "`oauth_` parameters before the others",
        ),
        (
            "z=1&b=2",
            "z=1&b=2",
            sorted(|pairs| {
                pairs.sort();
                pairs.reverse();
            }),
            C::Sorting,
            "descending",
        ),
        (
            "a_b=1&aB=2&a1=1",
            "a_b=1&aB=2&a1=1",
            sorted(|pairs| pairs.sort_by_key(|(name, _)| name.to_lowercase().replace('_', " "))),
            C::Sorting,
            "rules of a language",
        ),
    ]
};

#[test]
fn each_way_to_encode_and_sort_is_named() {
    let mut wrong = Vec::new();
    for (query, meant, client, cause, words) in CASES {
        let sent = WireRequest::get(&format!("/photos?{query}")).in_header();
        let wire = client.send(&sent, &pairs(meant));
        let found = diagnosis(&wire, true);
        let has_word = |remedy: &str| words.split('|').any(|word| remedy.contains(word));
        match &found {
            Some(found) if found.causes == [*cause] && has_word(&found.remedy) => {}
            other => wrong.push(format!(
                "{query} ({cause}): {:?}",
                other.as_ref().map(|found| (found.cause(), &found.remedy))
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_encoding_and_another_scheme_are_named_together() {
    let mut wrong = Vec::new();
    for (query, meant, client, cause, _) in CASES {
        let sent = WireRequest::get(&format!("/photos?{query}")).in_header();
        let client = DeviatingClient {
            scheme: "http",
            ..*client
        };
        let found = diagnosis(&client.send(&sent, &pairs(meant)), true);
        let causes = found.map(|found| found.causes);
        if causes != Some(vec![MismatchCause::Scheme, *cause]) {
            wrong.push(format!("{query}: {causes:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_encoding_and_a_host_that_a_proxy_names_are_named_together() {
    let mut wrong = Vec::new();
    for (query, meant, client, cause, _) in CASES {
        let sent = WireRequest::get(&format!("/photos?{query}")).in_header();
        let client = DeviatingClient {
            host: "www.example.net",
            ..*client
        };
        let forwarded =
            ForwardedHeaders::default().with(ForwardedHeader::XForwardedHost, b"www.example.net");
        let found = diagnosis_behind(&client.send(&sent, &pairs(meant)), true, forwarded);
        let causes = found.map(|found| found.causes);
        if causes != Some(vec![MismatchCause::Host, *cause]) {
            wrong.push(format!("{query} ({cause}): {causes:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_flag_that_is_signed_without_its_equals_sign_is_explained() {
    let whole = RFC.base_string("GET", "/", &pairs("a=1&flag"));
    let wire = WireRequest::get("/?a=1&flag").in_header();
    let wire = with_signature_of(wire, &whole.replace("flag%3D", "flag"));
    let found = diagnosis(&wire, false).unwrap();
    assert_eq!(found.causes, [MismatchCause::EmptyValue]);
    let found = diagnosis(&wire, true).unwrap();
    assert!(found.remedy.contains("`flag`"), "{}", found.remedy);
}

#[test]
fn two_characters_that_a_client_leaves_plain_are_named() {
    for (meant, client, word) in [
        (
            "q=[a]/b,c",
            texts(|text| leaving("[]", text)),
            "`[` and `]`",
        ),
        (
            "q=a/b:c;d",
            texts(|text| leaving("/:", text)),
            "`/` and `:`",
        ),
        ("q=a/b:c;d", all(|text| leaving("/:", text)), "`/` and `:`"),
        (
            "q=a@b,c:d/e;f$g?h(i)",
            texts(|text| leaving("@,", text)),
            "`,` and `@`",
        ),
    ] {
        let query: Vec<_> = pairs(meant)
            .iter()
            .map(|(name, value)| format!("{}={}", rfc(name), rfc(value)))
            .collect();
        let sent = WireRequest::get(&format!("/photos?{}", query.join("&"))).in_header();
        let found = diagnosis(&client.send(&sent, &pairs(meant)), true).unwrap();
        assert_eq!(found.causes, [MismatchCause::CharactersNotEncoded]);
        assert!(found.remedy.contains(word), "{}", found.remedy);
    }
}

#[test]
fn bodies_that_are_no_forms_are_explained() {
    for &(content_type, body, signed, word) in BODIES {
        let mut sent = WireRequest::get("/photos").in_header();
        sent.method = b"POST".into();
        sent.body = Some(body.into());
        sent.content_type.extend(content_type.map(Into::into));
        let wire = RFC.send(&sent, &pairs(signed));
        let found = diagnosis(&wire, false).unwrap_or_else(|| panic!("{signed}"));
        assert_eq!(found.causes, [MismatchCause::BodyIncluded], "{signed}");
        assert!(found.remedy.contains(word), "{}", found.remedy);
    }
}

/// A Content-Type, a body, the parameters that its client signs, and a word that the remedy has.
type BodyCase = (
    Option<&'static str>,
    &'static str,
    &'static str,
    &'static str,
);

const BODIES: &[BodyCase] = &[
    (
        Some("multipart/form-data; boundary=X"),
        MULTIPART,
        "title=Summer",
        "multipart",
    ),
    (
        Some("multipart/form-data; boundary=X"),
        MULTIPART,
        "title=Summer&photo=JPEG",
        "multipart",
    ),
    (
        Some("application/json"),
        JSON,
        "title=summer&tags=a&tags=b&is=true",
        "JSON",
    ),
    (
        Some("application/json"),
        JSON,
        "title=summer&tags[0]=a&tags[1]=b&is=1",
        "JSON",
    ),
    (
        Some("application/json"),
        JSON,
        "title=summer&tags=a,b&is=true",
        "JSON",
    ),
    (
        Some("application/json"),
        r#"{"a":1}"#,
        "0={&1=\"&2=a&3=\"&4=:&5=1&6=}",
        "text of a JSON body",
    ),
    (
        Some("application/json"),
        r#"{"user":{"name":"joe"},"k":1}"#,
        "user.name=joe&k=1",
        "JSON",
    ),
    (
        Some("text/plain"),
        "title=summer&size=1",
        "title=summer&size=1",
        "Content-Type",
    ),
    (
        None,
        "title=summer&size=1",
        "title=summer&size=1",
        "no Content-Type arrived",
    ),
    (
        None,
        "title=summer&size=1",
        "title=summer&size=1",
        "`headersToExtAuth`",
    ),
];

const MULTIPART: &str = "--X\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nSummer\r\n--X\r\n\
                         Content-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\r\nJPEG\r\n\
                         --X--\r\n";

const JSON: &str = r#"{"title": "summer", "tags": ["a", "b"], "is": true}"#;

#[test]
fn a_form_that_is_sent_compressed_is_explained() {
    // A stored block: no byte of it is a `%` without digits.
    let form = b"title=summer&size=1";
    let len = u8::try_from(form.len()).unwrap();
    let head = b"\x1f\x8b\x08\x00\0\0\0\0\0\x03\x01";
    let body = [&head[..], &[len, 0, !len, 0xFF], form, &[0; 8]].concat();
    let mut sent = WireRequest::get("/photos").in_header().body(FORM, "");
    (sent.method, sent.body) = (b"POST".into(), Some(body));
    let wire = RFC.send(&sent, &pairs("title=summer&size=1"));
    let found = diagnosis(&wire, false).unwrap();
    assert_eq!(found.causes, [MismatchCause::FormCompressed]);
    assert!(!format!("{found:?}").contains("summer"), "{found:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn where_the_bytes_coincide_the_named_cause_is_true(
        texts in proptest::collection::vec(("[a-c@\\[\\]~ ]{1,4}", "[a-cA-F0-9 /*~+%=&,:é£-]{0,8}"), 1..4),
        at in 0..CLAIMS.len(),
    ) {
        let (client, accepted) = &CLAIMS[at];
        let meant: Pairs = texts.iter().map(|(name, value)| (name.clone().into(), value.clone().into())).collect();
        let query: Vec<_> = meant.iter().map(|(name, value)| format!("{}={}", rfc(name), rfc(value))).collect();
        let sent = WireRequest::get(&format!("/photos?{}", query.join("&"))).in_header();
        prop_assume!(client.base_string("GET", "/photos", &meant) != RFC.base_string("GET", "/photos", &meant));
        let found = diagnosis(&client.send(&sent, &meant), true);
        let causes = found.as_ref().map(|found| found.causes.clone()).unwrap_or_default();
        prop_assert!(causes.len() == 1 && accepted.contains(&causes[0]), "{:?} {:?}", query, found);
        let remedy = &found.unwrap().remedy;
        let present = |what: char| texts.iter().any(|(name, value)| name.contains(what) || value.contains(what));
        prop_assert!(!remedy.contains("signs a space as `+`") || present(' '), "{remedy}");
        for character in ['*', '~', ',', '@'] {
            let is_blamed = remedy.contains(&format!("leaves `{character}`")) || remedy.contains(&format!("escapes `{character}`"));
            prop_assert!(!is_blamed || present(character), "{remedy}");
        }
    }
}

/// A client, and the causes that its signature may be explained by, since every one of them is true
/// of the bytes.
type Claim = (DeviatingClient, &'static [MismatchCause]);

const CLAIMS: [Claim; 9] = [
    (texts(component), &[MismatchCause::CharactersNotEncoded]),
    (
        texts(java),
        &[
            MismatchCause::SpaceAsPlus,
            MismatchCause::CharactersNotEncoded,
            MismatchCause::UnreservedEncoded,
        ],
    ),
    (texts(plus), &[MismatchCause::SpaceAsPlus]),
    (texts(tilde), &[MismatchCause::UnreservedEncoded]),
    (texts(lower_case), &[MismatchCause::LowerCaseEscapes]),
    (all(lower_case), &[MismatchCause::LowerCaseEscapes]),
    (texts(quote), &[MismatchCause::CharactersNotEncoded]),
    (
        DeviatingClient {
            joined: plain,
            ..RFC
        },
        &[MismatchCause::EncodedOnce],
    ),
    (texts(twice), &[MismatchCause::EncodedTwice]),
];

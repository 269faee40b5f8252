//! Bodies that are not signed as a form, and that some backends read as one.

use serde::Deserialize;

use super::*;

/// `tests/vectors/form_parsers.json`: the frameworks that read a form from a body of each type.
#[derive(Deserialize)]
struct FormParsers {
    cases: Vec<ParserCase>,
}

#[derive(Deserialize)]
struct ParserCase {
    content_type: Option<String>,
    read_by: Vec<String>,
}

/// The frameworks that read a body of any type as a form, except multipart. No rule for types can
/// cover these.
const READS_ANYTHING: [&str; 1] = ["Bottle"];

#[test]
fn no_framework_reads_a_form_that_is_neither_signed_nor_refused() {
    let text = include_str!("../../../tests/vectors/form_parsers.json");
    let parsers: FormParsers = serde_json::from_str(text).unwrap();
    assert!(parsers.cases.len() > 90);
    for ParserCase {
        content_type,
        read_by,
    } in parsers.cases
    {
        let latin1 = content_type.as_ref().map(|text| {
            text.chars()
                .map(|c| u8::try_from(c).unwrap())
                .collect::<Vec<_>>()
        });
        let wire = typed(latin1.as_deref(), Some(b"a=read"));
        let is_safe = match wire.refusal() {
            Some(rejection) => rejection == Rejection::SeveralContentTypes,
            None => {
                wire.parameters().contains("a=read")
                    || refusal(&wire, BodyHashRule::Accept).is_err()
            }
        };
        let readers: Vec<_> = read_by
            .iter()
            .filter(|name| !READS_ANYTHING.contains(&name.as_str()))
            .collect();
        assert!(
            is_safe || readers.is_empty(),
            "{content_type:?} is read by {readers:?}"
        );
    }
}

/// Types that are no form here. Each is one for some backend.
const UNCLEAR: [&[u8]; 22] = [
    b"application/x-www-form-urlencoded\xa0",
    b"application/x-www-form-urlencoded\x85",
    b"\xa0application/x-www-form-urlencoded",
    b"application/x-www-form-urlencoded\"",
    b"application/x-www-form-urlencoded=",
    b"application/x-www-form-urlencoded/x",
    b"application/x-www-form-urlencoded+xml",
    b"application /x-www-form-urlencoded",
    b"APPLICATION/X-WWW-FORM-URLENCODED-X",
    b"text/plain; a=\", application/x-www-form-urlencoded",
    b"text/plain; application/x-www-form-urlencoded",
    b"\"application/x-www-form-urlencoded\"",
    b"form",
    b"text/",
    b"/plain",
    b"; charset=utf-8",
    b"application/x-url-encoded",
    b"multipart/form-data",
    b"multipart/mixed; boundary",
    b"multipart/form-data; boundary=\"\"",
    b"Multipart/Form-Data; boundary=;a=b",
    b"multipart/form-data; boundary=\",\"",
];

#[test]
fn a_body_of_an_unclear_type_is_refused() {
    for content_type in UNCLEAR {
        let wire = typed(Some(content_type), Some(b"a=2"));
        assert_eq!(
            refusal(&wire, BodyHashRule::Accept),
            Err(Rejection::BodyTypeUnclear),
            "{}",
            content_type.escape_ascii()
        );
    }
}

#[test]
fn a_body_without_a_type_is_refused() {
    for content_type in [None, Some(&b""[..]), Some(b" \t")] {
        let wire = typed(content_type, Some(b"a=2"));
        assert_eq!(
            refusal(&wire, BodyHashRule::Accept),
            Err(Rejection::BodyUntyped)
        );
    }
}

#[test]
fn no_body_needs_no_type() {
    for content_type in UNCLEAR.into_iter().map(Some).chain([None]) {
        let wire = typed(content_type, Some(b""));
        assert_eq!(refusal(&wire, BodyHashRule::Accept), Ok(()));
    }
}

#[test]
fn a_body_that_did_not_arrive_may_be_a_form_unless_nothing_announces_it() {
    for (content_type, expected) in [
        (None, Err(Rejection::BodyUntyped)),
        (Some(&b"form"[..]), Err(Rejection::BodyTypeUnclear)),
        (Some(b"text/plain"), Ok(())),
    ] {
        let wire = typed(content_type, None);
        assert_eq!(refusal(&wire, BodyHashRule::Accept), expected);
    }
    for (content_type, expected) in [
        (None, Ok(())),
        (Some(&b"form"[..]), Err(Rejection::BodyTypeUnclear)),
    ] {
        let unseen = typed(content_type, None);
        let found = unseen.with_request(|request| {
            let request = Request {
                body: RequestBody::Unseen,
                ..request
            };
            let signed = request.parse(&ParseLimits::default()).unwrap().unwrap();
            signed.refuse_unclear_body(BodyHashRule::Accept)
        });
        assert_eq!(found, expected);
    }
}

#[test]
fn other_types_are_the_business_of_the_backend() {
    for content_type in [
        "application/json",
        "application/json; charset",
        "text/plain charset=utf-8",
        "multipart/form-data; boundary=\"a,b\"",
        "application/vnd.a+json;v=1",
        "*/*",
    ] {
        let wire = typed(Some(content_type.as_bytes()), Some(b"a=2"));
        assert_eq!(
            refusal(&wire, BodyHashRule::Accept),
            Ok(()),
            "{content_type}"
        );
    }
}

#[test]
fn a_body_that_its_hash_covers_needs_no_type() {
    let mut wire = typed(None, Some(b"a=2"));
    let with_hash = format!("{PARAMETERS}&oauth_body_hash=AAAA");
    wire.authorization = vec![header_of(&with_hash).into()];
    assert_eq!(refusal(&wire, BodyHashRule::Accept), Ok(()));
    assert_eq!(refusal(&wire, BodyHashRule::Require), Ok(()));
    assert_eq!(
        refusal(&wire, BodyHashRule::Off),
        Err(Rejection::BodyUntyped),
        "a hash that is not compared covers nothing"
    );
    assert_eq!(
        wire.verify(&secrets(&[CONSUMER_SECRET], None), BodyHashRule::Accept),
        Err(Rejection::SignatureMismatch)
    );
}

fn typed(content_type: Option<&[u8]>, body: Option<&[u8]>) -> WireRequest {
    WireRequest {
        method: b"POST".into(),
        content_type: content_type.map(<[u8]>::to_vec).into_iter().collect(),
        body: body.map(<[u8]>::to_vec),
        ..WireRequest::get("/?a=1").in_header()
    }
}

fn refusal(wire: &WireRequest, rule: BodyHashRule) -> Result<(), Rejection> {
    wire.parsed(|signed| signed.refuse_unclear_body(rule))
}

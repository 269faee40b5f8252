//! Every remedy is followed: the request that it leads to verifies.

use std::collections::BTreeSet;

use MismatchCause::*;

use super::diagnosis_client::{Case, Client};
use super::*;
use crate::oauth::CompatProfile;
use crate::oauth::diagnosis::MismatchCause;

#[test]
fn every_remedy_helps_if_it_is_followed() {
    let cases = cases();
    let failed: Vec<_> = cases.iter().filter_map(|case| follow(case).err()).collect();
    assert!(
        failed.is_empty(),
        "{} of {} remedies do not help:\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}

#[test]
fn every_cause_has_a_remedy_that_is_followed() {
    let followed: BTreeSet<_> = cases().into_iter().flat_map(|case| case.causes).collect();
    let missing: Vec<_> = MismatchCause::ALL
        .into_iter()
        .filter(|cause| !followed.contains(cause))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Returns a case, or more, of every cause.
fn cases() -> Vec<Case> {
    let mut cases = diagnosis_location::cases();
    cases.extend(diagnosis_path::cases());
    cases.extend(diagnosis_secrets::cases());
    cases.extend(diagnosis_protocol::cases());
    cases.extend(diagnosis_guesses::cases());
    cases.extend(contents());
    cases
}

/// Follows the remedy of a case in every way that it names.
fn follow(case: &Case) -> Result<(), String> {
    let found = case
        .explained()
        .ok_or_else(|| format!("{}: not explained", case.what))?;
    let remedy = &found.remedy;
    let fail = |how: &str| Err(format!("{how}: {:?}: {}: {remedy}", case.causes, case.what));
    let origins: BTreeSet<_> = quoted(remedy, "`origin = \"", "\"`").collect();
    let profiles: Vec<_> = quoted(remedy, "compat profile `", "`").collect();
    let by_client = CLIENT_ACTS.iter().any(|act| remedy.contains(act));
    let on_the_way = PROXY_ACTS.iter().any(|act| remedy.contains(act));
    if remedy.contains(['{', '}']) {
        return fail("a placeholder is left");
    }
    let origin = match &Vec::from_iter(origins)[..] {
        [] => None,
        [origin] => Some(*origin),
        _ => return fail("several origins"),
    };
    let client = case.mistaken();
    if origin.is_none() && profiles.is_empty() && !by_client && !on_the_way {
        return fail("nobody acts");
    }
    if let Some(origin) = origin
        && !with_origin(case, origin, &client, by_client)
    {
        return fail("the origin does not help");
    }
    for name in profiles {
        let profile = CompatProfile::from_name(name);
        if case.causes.len() == 1 && !case.verifies(&case.signed_by(&client), profile) {
            return fail("the profile does not help");
        }
    }
    let obedient = case.obedient();
    let obeyed = if remedy.contains("without Content-Encoding") {
        WireRequest {
            body: Some(PLAIN_FORM.into()),
            ..case.signed_by(&client)
        }
    } else {
        obedient.signed_by(&obedient.client())
    };
    if by_client && origin.is_none() && !case.verifies(&obeyed, None) {
        return fail("a client that signs the request as it arrives is refused");
    }
    if on_the_way && case.causes.len() == 1 && !case.verifies(&unchanged(case, &client), None) {
        return fail("the request as the client signed it is refused");
    }
    if remedy.contains("`Content-Type: application/json`") {
        let mut typed = case.signed_by(&client);
        typed.content_type = vec![b"application/json".into()];
        if !case.verifies(&typed, None) {
            return fail("the Content-Type does not help");
        }
    }
    Ok(())
}

/// Returns whether the request verifies with that origin; if the client has to act too, signed by a
/// client that signs the origin.
fn with_origin(case: &Case, origin: &str, client: &Client, by_client: bool) -> bool {
    let (scheme, rest) = origin.split_once("://").unwrap();
    let (authority, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_both = by_client && case.causes.len() > 1;
    let mut signed = if has_both {
        let mut right = case.client();
        (right.scheme, right.authority) = (scheme.to_owned(), authority.to_owned());
        right.path = format!("{prefix}{}", path_of(&case.request));
        case.signed_by(&right)
    } else {
        case.signed_by(client)
    };
    signed.scheme = match scheme {
        "http" => super::Scheme::Http,
        _ => super::Scheme::Https,
    };
    signed.authority = authority.into();
    signed.path_prefix = prefix.into();
    case.verifies(&signed, None)
}

/// Returns the request as it would arrive if no proxy had changed it.
fn unchanged(case: &Case, client: &Client) -> WireRequest {
    let mut signed = case.signed_by(client);
    signed.method = client.method.clone().into();
    signed.path_prefix = Vec::new();
    let query = signed.target.iter().position(|&byte| byte == b'?');
    let query = query.map_or(Vec::new(), |at| signed.target.split_off(at));
    signed.target = [client.path.as_bytes(), &query].concat();
    if signed.content_type.is_empty() {
        signed.content_type = vec![FORM.into()];
    }
    signed
}

fn path_of(request: &WireRequest) -> String {
    let target = String::from_utf8(request.target.clone()).unwrap();
    target.split('?').next().unwrap().to_owned()
}

/// Returns the texts between two marks.
fn quoted<'t>(text: &'t str, before: &'t str, after: &'t str) -> impl Iterator<Item = &'t str> {
    let parts = text.split(before).skip(1);
    parts.filter_map(move |part| part.split(after).next())
}

/// The words with which a remedy tells the client to sign the request as it arrives.
const CLIENT_ACTS: [&str; 12] = [
    "remove it from the client",
    "remove them from the client",
    "set both to the same method",
    "make it ",
    "make the client ",
    "configure both secrets",
    "configure both the consumer secret",
    "copy the whole secret",
    "pass the plain secret",
    "put each secret in its place",
    "give it ",
    "set the method also where the client",
];

/// The words with which a remedy tells the operator to let the request arrive as it was sent.
const PROXY_ACTS: [&str; 7] = [
    "call Countersign before",
    "`normalize_path: false`",
    "`merge_slashes: false`",
    "stop proxies from adding or removing the last slash",
    "proxy_cache_convert_head",
    "look for a proxy that changes the method",
    "let the proxy pass that header on",
];

/// Returns cases of query, body and encoding.
fn contents() -> Vec<Case> {
    let url = "https://api.example.com/photos";
    let signed = SIGNED.iter().map(|&(cause, query, signed)| {
        let url = format!("{url}?{query}");
        Case::new(&[cause], signed, &url, move |client| {
            client.parameters = pairs_of(signed)
        })
    });
    let respelled = RESPELLED.iter().map(|&(cause, query, from, to)| {
        let url = format!("{url}?{query}");
        Case::new(&[cause], to, &url, move |client| {
            client.text = Some(Box::new(move |client| respelled(client, from, to)));
        })
    });
    let bodies = BODIES.iter().map(|&(cause, content_type, body, signed)| {
        let case = Case::new(&[cause], body, url, move |client| {
            client.parameters = pairs_of(signed);
        });
        case.body(content_type, body)
    });
    let mut cases: Vec<_> = signed.chain(respelled).chain(bodies).collect();
    cases.extend(others());
    cases
}

fn others() -> Vec<Case> {
    let get = |cause, deviates: fn(&mut Client)| {
        let url = "https://api.example.com/photos?z=1&b=2";
        Case::new(&[cause], "a query", url, deviates)
    };
    vec![
        get(QueryInUri, |client| {
            client.suffix = "?z=1&b=2".to_owned();
            client.parameters.clear();
        }),
        get(ParameterNotSent, |client| {
            client.signs("oauth_callback", "")
        }),
        get(Version, |client| {
            client.protocol.retain(|(name, _)| name != "oauth_version")
        }),
        get(RealmIncluded, |client| client.signs("realm", "Photos")).realm("Photos"),
        get(EmptyToken, |client| client.signs("oauth_token", "")).secrets("secret", None),
        get(Sorting, |client| {
            client.text = Some(Box::new(|client| {
                let mut pairs = client.pairs();
                pairs.retain(|(name, _)| name.starts_with("oauth_"));
                pairs.extend(client.parameters.clone());
                base(client, &pairs)
            }));
        }),
        get(NamesNotEncoded, |client| {
            client.parameters[0].0 = "c@".to_owned();
            client.text = Some(Box::new(|client| respelled(client, "c%40", "c@")));
        })
        .target("/photos?c%40=1%2F2&b=2"),
        get(FormCompressed, |client| {
            client.parameters = pairs_of(PLAIN_FORM)
        })
        .target("/photos")
        .body(FORM, "")
        .raw_body(compressed(PLAIN_FORM)),
    ]
}

/// A cause, a query, and the parameters that the client signs, not encoded.
const SIGNED: &[(MismatchCause, &str, &str)] = &[
    (QueryLeftOut, "page=1", ""),
    (PlusLiteral, "q=one+two", "q=one+two"),
    (EncodedTwice, "q=a%2Fb", "q=a%2Fb"),
    (DecodedTwice, "q=a%252Fb", "q=a/b"),
    (SentTwice, "a=1&b=2&a=1&b=2", "a=1&b=2"),
    (RepeatedName, "foo=3&foo=2&b=1", "foo=3&b=1"),
    (ParameterLeftOut, "id=5&gclid=x", "id=5"),
    (SignedTwice, "id=5&n=1", "id=5&n=1&id=5&n=1"),
    (ValueLeftOut, "id=5&n=1", "id=5&n="),
    (EmptyValue, "id=5&flag", "id=5&flag=true"),
    (ArraySyntax, "ids[]=1&ids[]=2", "ids=1&ids=2"),
    (NamesChanged, "PageSize=1&x=2", "pagesize=1&x=2"),
    (SemicolonSeparator, "a=1;b=2", "a=1&b=2"),
    (LineBreaks, "text=a%0D%0Ab", "text=a\nb"),
];

/// A cause, a query, and the part of encoded names and values that the client signs otherwise.
const RESPELLED: &[(MismatchCause, &str, &str, &str)] = &[
    (SpaceAsPlus, "q=one%20two", "%20", "+"),
    (EncodedOnce, "q=a%2Fb", "%2F", "/"),
    (EncodedOnce, "q=a/b", "%2F", "/"),
    (CharactersNotEncoded, "q=yes%21", "%21", "!"),
    (BracketsOnce, "a%5Bb=1", "%5B", "["),
    (UnreservedEncoded, "user=~jane", "~", "%7E"),
    (LowerCaseEscapes, "q=a%2Fb", "%2F", "%2f"),
    (Charset, "price=%C2%A355", "%C2%A3", "%A3"),
];

/// A cause, a Content-Type, a body, and the parameters that the client signs.
const BODIES: &[(MismatchCause, &str, &str, &str)] = &[
    (FormLeftOut, FORM, "title=summer&size=1", ""),
    (FormLeftOut, FORM, "{\"title\": \"summer\"}", ""),
    (PlusLiteral, FORM, "q=one+two", "q=one+two"),
    (
        BodyIncluded,
        "application/json",
        "{\"title\": \"summer\"}",
        "title=summer",
    ),
    (
        BodyIncluded,
        "",
        "title=summer&size=1",
        "title=summer&size=1",
    ),
];

/// Turns `a=1&b=2` into pairs, without decoding.
fn pairs_of(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A form before it is compressed.
const PLAIN_FORM: &str = "title=summer&size=1";

fn compressed(form: &str) -> Vec<u8> {
    let deflated = miniz_oxide::deflate::compress_to_vec(form.as_bytes(), 6);
    [&b"\x1f\x8b\x08\x00\0\0\0\0\0\x03"[..], &deflated].concat()
}

/// Makes a base string whose names and values have another text for a part.
fn respelled(client: &Client, from: &str, to: &str) -> String {
    let pairs = client.pairs().into_iter();
    let changed = |text: String| text.replace(from, to);
    let mut pairs: Vec<_> = pairs
        .map(|(name, value)| (changed(name), changed(value)))
        .collect();
    pairs.sort();
    base(client, &pairs)
}

fn base(client: &Client, pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    let joined = pairs.collect::<Vec<_>>().join("&");
    [&client.method, &client.uri(), &joined]
        .map(|part| diagnosis_client::escaped(part))
        .join("&")
}

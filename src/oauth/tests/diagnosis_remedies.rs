//! Every remedy is followed: the request that it leads to verifies.

use std::collections::BTreeSet;

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
    cases.extend(diagnosis_secrets::cases());
    cases.extend(diagnosis_protocol::cases());
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
        "http" => Scheme::Http,
        _ => Scheme::Https,
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
const CLIENT_ACTS: [&str; 11] = [
    "remove it from the client",
    "set both to the same method",
    "make it ",
    "make the client ",
    "configure both secrets",
    "configure both the consumer secret",
    "copy the whole secret",
    "pass the plain secret",
    "put each secret in its place",
    "give it ",
    "set the method where the client",
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

/// Returns cases of query, body and encoding whose remedies the operator's side decides.
fn contents() -> Vec<Case> {
    use MismatchCause::{
        ArraySyntax, BodyIncluded, BracketsOnce, CharactersNotEncoded, Charset, DecodedTwice,
        EmptyToken, EmptyValue, EncodedOnce, EncodedTwice, FormCompressed, FormLeftOut, LineBreaks,
        LowerCaseEscapes, NamesChanged, NamesNotEncoded, ParameterLeftOut, ParameterNotSent,
        PlusLiteral, QueryInUri, QueryLeftOut, RealmIncluded, RepeatedName, SemicolonSeparator,
        SentTwice, SignedTwice, Sorting, SpaceAsPlus, UnreservedEncoded, ValueLeftOut, Version,
    };
    let url = "https://api.example.com/photos";
    let get = |cause, query: &str, deviates: fn(&mut Client)| {
        Case::new(&[cause], "a query", &format!("{url}?{query}"), deviates)
    };
    let post = |cause, content_type: &str, body: &str, deviates: fn(&mut Client)| {
        Case::new(&[cause], body, url, deviates).body(content_type, body)
    };
    vec![
        get(QueryLeftOut, "page=1", |client| client.parameters.clear()),
        get(QueryInUri, "page=1", |client| {
            client.suffix = "?page=1".to_owned();
            client.parameters.clear();
        }),
        get(PlusLiteral, "q=one+two", |client| {
            client.parameters[0].1 = "one+two".to_owned()
        }),
        post(PlusLiteral, FORM, "q=one+two", |client| {
            client.parameters[0].1 = "one+two".to_owned()
        }),
        get(SpaceAsPlus, "q=one%20two", |client| {
            client.text = Some(|client| joined(client, |value| value.replace("%20", "+")));
        }),
        get(EncodedOnce, "q=a%2Fb", |client| {
            client.text = Some(|client| joined(client, |value| value.replace("%2F", "/")));
        }),
        get(EncodedOnce, "q=a/b", |client| {
            client.text = Some(|client| joined(client, |value| value.replace("%2F", "/")));
        }),
        get(EncodedTwice, "q=a%2Fb", |client| {
            client.parameters[0].1 = "a%2Fb".to_owned()
        }),
        get(CharactersNotEncoded, "q=yes%21%28%29", |client| {
            client.text = Some(|client| {
                joined(client, |value| {
                    value
                        .replace("%21", "!")
                        .replace("%28", "(")
                        .replace("%29", ")")
                })
            });
        }),
        get(BracketsOnce, "a%5Bb%5D=1", |client| {
            client.text =
                Some(|client| joined(client, |text| text.replace("%5B", "[").replace("%5D", "]")));
        }),
        get(Sorting, "z=1&b=2", |client| {
            client.text = Some(|client| {
                let parameters = client.parameters.iter();
                let pairs: Vec<_> = client.pairs();
                let own = pairs
                    .into_iter()
                    .filter(|(name, _)| name.starts_with("oauth_"));
                let own: Vec<_> = own.collect();
                let sent: Vec<_> = parameters.cloned().collect();
                base(client, &[own, sent].concat())
            });
        }),
        get(Version, "page=1", |client| {
            client.protocol.retain(|(name, _)| name != "oauth_version")
        }),
        get(RealmIncluded, "page=1", |client| {
            client.signs("realm", "Photos")
        })
        .realm("Photos"),
        get(SentTwice, "a=1&b=2&a=1&b=2", |client| {
            client.parameters.truncate(2)
        }),
        get(RepeatedName, "foo=3&foo=2&b=1", |client| {
            drop(client.parameters.remove(1))
        }),
        get(ParameterLeftOut, "id=5&gclid=x", |client| {
            client.parameters.truncate(1)
        }),
        get(ParameterNotSent, "id=5", |client| {
            client.signs("oauth_callback", "")
        }),
        get(SignedTwice, "id=5&n=1", |client| {
            client.parameters = [client.parameters.clone(), client.parameters.clone()].concat();
        }),
        get(ValueLeftOut, "id=5&n=1", |client| {
            client.parameters[1].1.clear()
        }),
        get(EmptyValue, "id=5&flag", |client| {
            client.parameters[1].1 = "true".to_owned()
        }),
        get(ArraySyntax, "ids[]=1&ids[]=2", |client| {
            client.parameters = vec![
                ("ids".to_owned(), "1".to_owned()),
                ("ids".to_owned(), "2".to_owned()),
            ];
        }),
        get(NamesChanged, "PageSize=1&x=2", |client| {
            client.parameters[0].0 = "pagesize".to_owned()
        }),
        get(SemicolonSeparator, "a=1;b=2", |client| {
            client.parameters = vec![
                ("a".to_owned(), "1".to_owned()),
                ("b".to_owned(), "2".to_owned()),
            ];
        }),
        get(NamesNotEncoded, "c%40=1%2F2", |client| {
            client.text = Some(|client| {
                let pairs = client.pairs().into_iter();
                let pairs: Vec<_> = pairs
                    .map(|(name, value)| (name.replace("%40", "@"), value))
                    .collect();
                base(client, &pairs)
            });
        }),
        get(DecodedTwice, "q=a%252Fb", |client| {
            client.parameters[0].1 = "a/b".to_owned()
        }),
        get(UnreservedEncoded, "user=~jane", |client| {
            client.text = Some(|client| joined(client, |text| text.replace('~', "%7E")));
        }),
        get(LowerCaseEscapes, "q=a%2Fb", |client| {
            client.text = Some(|client| joined(client, |text| text.replace("%2F", "%2f")));
        }),
        get(Charset, "price=%C2%A355", |client| {
            client.text = Some(|client| joined(client, |text| text.replace("%C2%A3", "%A3")));
        }),
        get(LineBreaks, "text=a%0D%0Ab", |client| {
            client.parameters[0].1 = "a\nb".to_owned()
        }),
        get(EmptyToken, "page=1", |client| {
            client.signs("oauth_token", "")
        })
        .secrets("secret", None),
        post(FormCompressed, FORM, "", |client| {
            client.parameters = vec![
                ("title".to_owned(), "summer".to_owned()),
                ("size".to_owned(), "1".to_owned()),
            ];
        })
        .raw_body(compressed(PLAIN_FORM)),
        post(FormLeftOut, FORM, "title=summer&size=1", |client| {
            client.parameters.clear()
        }),
        post(
            BodyIncluded,
            "application/json",
            "{\"title\": \"summer\"}",
            |client| {
                client.parameters = vec![("title".to_owned(), "summer".to_owned())];
            },
        ),
        post(BodyIncluded, "", "title=summer&size=1", |client| {
            client.parameters = vec![
                ("title".to_owned(), "summer".to_owned()),
                ("size".to_owned(), "1".to_owned()),
            ];
        }),
    ]
}

/// A form before it is compressed.
const PLAIN_FORM: &str = "title=summer&size=1";

fn compressed(form: &str) -> Vec<u8> {
    let deflated = miniz_oxide::deflate::compress_to_vec(form.as_bytes(), 6);
    [&b"\x1f\x8b\x08\x00\0\0\0\0\0\x03"[..], &deflated].concat()
}

/// Makes a base string of names and values in another encoding.
fn joined(client: &Client, changed: fn(&str) -> String) -> String {
    let pairs = client.pairs().into_iter();
    let mut pairs: Vec<_> = pairs
        .map(|(name, value)| (changed(&name), changed(&value)))
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

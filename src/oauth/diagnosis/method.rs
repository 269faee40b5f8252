//! Changes of the HTTP method (RFC 5849 section 3.4.1.1).

use std::borrow::Cow;

use super::super::ParameterPlace;
use super::super::encode::{EscapeSyntax, decode, normalize};
use super::super::wire::WireParameters;
use super::change::{BaseStringChange, BaseStringPart};
use super::forwarded::ForwardedHeader;
use super::{MismatchCause, MismatchEvidence, remedy};

/// Returns the changes to another method, and to another spelling of the method.
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    wire: &WireParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let own = evidence.request.method;
    let mut changes: Vec<_> = named(evidence, wire)
        .into_iter()
        .map(|(method, source)| {
            let remedy = remedy::METHOD_OVERRIDDEN.replace("{source}", source);
            to(method).with_own_remedy(remedy).likely()
        })
        .collect();
    let spellings = [own.to_ascii_lowercase(), capitalized(own), own.to_vec()];
    let spelled =
        spellings.map(|method| to(method).with_remedy(Some(remedy::METHOD_CASE)).likely());
    changes.extend(spelled);
    let others = METHODS.into_iter().filter(|&method| method != own);
    for method in others {
        changes.push(to(method.to_vec()).with_remedy(other_remedy(own, method)));
    }
    changes.extend(RARE_METHODS.map(|method| to(method.to_vec()).guess()));
    changes
}

/// Returns the methods that a header or a parameter names instead of that of the request line, each
/// with that name.
fn named<'e>(
    evidence: &MismatchEvidence<'e>,
    wire: &WireParameters<'e>,
) -> Vec<(Vec<u8>, &'static str)> {
    let headers = METHOD_HEADERS.into_iter().filter_map(|header| {
        let value = evidence.forwarded.get(header)?;
        Some((value.trim_ascii().to_ascii_uppercase(), header.name()))
    });
    let parameters = wire
        .iter()
        .filter(|sent| sent.place != ParameterPlace::Header && sent.name == PARAMETER.as_bytes())
        .filter_map(|sent| normalize(sent.value, EscapeSyntax::Form).ok());
    let parameters = parameters.map(|value| (decode(&value).to_ascii_uppercase(), PARAMETER));
    let own = evidence.request.method;
    headers
        .chain(parameters)
        .filter(|(method, _)| (1..=MAX_METHOD_LEN).contains(&method.len()) && method != own)
        .take(METHOD_HEADERS.len())
        .collect()
}

/// Returns the remedy of a method that a redirect or a cache changes.
fn other_remedy(own: &[u8], signed: &[u8]) -> Option<&'static str> {
    match (own, signed) {
        (b"GET", b"HEAD") => Some(remedy::HEAD_TO_GET),
        (b"HEAD", b"GET") => Some(remedy::GET_FOR_HEAD),
        (b"GET", _) => Some(remedy::METHOD_REDIRECTED),
        _ => None,
    }
}

fn capitalized(method: &[u8]) -> Vec<u8> {
    let mut method = method.to_ascii_lowercase();
    if let Some(first) = method.first_mut() {
        first.make_ascii_uppercase();
    }
    method
}

fn to<'e>(method: Vec<u8>) -> BaseStringChange<'e> {
    BaseStringChange::new(
        MismatchCause::Method,
        BaseStringPart::Method,
        move |variant| variant.method = Cow::Owned(method.clone()),
    )
}

/// The parameter that names a method.
const PARAMETER: &str = "_method";

/// The headers that name a method.
const METHOD_HEADERS: [ForwardedHeader; 5] = [
    ForwardedHeader::XHttpMethodOverride,
    ForwardedHeader::XHttpMethod,
    ForwardedHeader::XMethodOverride,
    ForwardedHeader::XOriginalMethod,
    ForwardedHeader::XForwardedMethod,
];

const METHODS: [&[u8]; 7] = [
    b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS",
];

/// No method at all, and those of caches and WebDAV.
const RARE_METHODS: [&[u8]; 4] = [b"", b"PURGE", b"MERGE", b"CONNECT"];

/// The longest method that a header may name, in bytes.
const MAX_METHOD_LEN: usize = 32;

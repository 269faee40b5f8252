//! Changes of the form of the base string URI (RFC 5849 section 3.4.1.2): without scheme or host,
//! with another scheme than `http` and `https`, or with the port in the wrong place.

use std::borrow::Cow;
use std::rc::Rc;

use super::super::uri::authority_without;
use super::super::variant::{BaseStringVariant, SignedParameter};
use super::super::wire::WireParameters;
use super::super::{ParameterPlace, Request};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};
use super::hosts::split_port;

/// Returns every change of the URI's form.
pub(super) fn changes<'e>(
    request: &Request<'e>,
    wire: &WireParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let default_port = request.scheme.default_port();
    let authority = authority_without(|port| port == default_port, request.authority);
    let authority = authority.unwrap_or_default();
    let path = BaseStringVariant::rfc(request).path;
    let mut changes: Vec<_> = forms(&authority, &path)
        .into_iter()
        .map(|uri| changed(uri).guess())
        .collect();
    changes.extend(port_at_the_end(&authority, &path, wire));
    changes
}

/// Returns the URIs of clients that make them of other parts.
fn forms(authority: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let with = |scheme: &[u8]| [scheme, b"://", authority, path].concat();
    let mut uris = vec![
        path.to_vec(),
        relative.to_vec(),
        [authority, path].concat(),
        [b"//", authority, path].concat(),
        with(b"wss"),
        with(b"ws"),
        Vec::new(),
    ];
    for scheme in [&b"https"[..], b"http"] {
        let uri = with(scheme);
        let capitals = scheme.to_ascii_uppercase();
        uris.extend([
            with(&capitals),
            uri.to_ascii_uppercase(),
            [scheme, b"://", &uri].concat(),
            [scheme, b"://", authority, b"/", authority, path].concat(),
            [&uri, &b"#"[..]].concat(),
        ]);
    }
    let segments = relative.iter().enumerate();
    let slashes = segments
        .filter(|(_, byte)| **byte == b'/')
        .take(MAX_SEGMENTS);
    uris.extend(slashes.flat_map(|(at, _)| [relative[at..].to_vec(), relative[at + 1..].to_vec()]));
    uris
}

fn changed<'e>(uri: Vec<u8>) -> BaseStringChange<'e> {
    BaseStringChange::new(
        MismatchCause::UriForm,
        BaseStringPart::Uri,
        move |variant| variant.uri = Some(Cow::Owned(uri.clone())),
    )
}

/// Returns the change of a client that appends the port to the URL: to the last value of the query,
/// or to the path.
fn port_at_the_end<'e>(
    authority: &[u8],
    path: &[u8],
    wire: &WireParameters<'e>,
) -> Option<BaseStringChange<'e>> {
    let (host, port) = split_port(authority);
    let suffix = [b":", port?].concat();
    let mut list: Vec<_> = wire
        .iter()
        .enumerate()
        .map(|(at, one)| SignedParameter::of(at, one))
        .collect();
    let is_query = |one: &SignedParameter<'_>| one.place == ParameterPlace::Query;
    let last = list.iter().rposition(is_query);
    let path = match last {
        Some(_) => path.to_vec(),
        None => [path, &suffix].concat(),
    };
    if let Some(at) = last {
        list[at].value = Cow::Owned([&list[at].value, &suffix[..]].concat());
    }
    let (host, list): (_, Rc<[_]>) = (host.to_vec(), list.into());
    let change = BaseStringChange::new(
        MismatchCause::UriForm,
        BaseStringPart::Uri,
        move |variant| {
            variant.authority = Cow::Owned(host.clone());
            variant.path = Cow::Owned(path.clone());
            variant.instead = Some(Rc::clone(&list));
        },
    );
    Some(change.with_remedy(Some(PORT)))
}

/// The most segments that a client is assumed to have in front of the path that it signs.
const MAX_SEGMENTS: usize = 4;

const PORT: &str = "the client signs the port at the end of the URL, after the path or the query: make it sign the \
     port after the host, as in `{arrived}` (RFC 5849 section 3.4.1.2)";

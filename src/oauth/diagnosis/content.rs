//! Changes of the signed content: method, query, form and protocol parameters (RFC 5849 section
//! 3.4.1.3.1).

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::super::encode::decode;
use super::super::pair::ParameterPair;
use super::super::parameter::PREFIX;
use super::super::uri::split_target;
use super::super::wire::WireParameters;
use super::super::{ParameterPlace, ProtocolParameter, Request, SignedRequest};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};

/// Returns every change of the content that may explain the request.
pub(super) fn changes<'e>(
    request: &Request<'e>,
    signed: &SignedRequest<'e>,
    wire: &WireParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = vec![query_left_out(), form_left_out(), version(wire)];
    changes.extend(query_in_uri(request, wire));
    changes.extend(respelled_query_in_uri(request));
    changes.extend(empty_token(signed, wire));
    changes.extend(realm_included(signed));
    changes
}

fn query_left_out<'e>() -> BaseStringChange<'e> {
    BaseStringChange::new(
        MismatchCause::QueryLeftOut,
        BaseStringPart::Query,
        |variant| variant.with_query = false,
    )
    .likely()
}

fn form_left_out<'e>() -> BaseStringChange<'e> {
    BaseStringChange::new(
        MismatchCause::FormLeftOut,
        BaseStringPart::Form,
        |variant| variant.with_form = false,
    )
    .likely()
}

/// Returns the changes that sign the query in the URI: instead of its parameters, and in addition
/// to them.
fn query_in_uri<'e>(request: &Request<'e>, wire: &WireParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let query = split_target(request.target).1;
    let change = |query: &'e [u8], with_query| {
        BaseStringChange::new(
            MismatchCause::QueryInUri,
            BaseStringPart::Query,
            move |variant| {
                variant.uri_query = Some(Cow::Borrowed(query));
                variant.with_query = with_query;
            },
        )
    };
    let only_mark = change(b"", true).with_remedy(Some(QUERY_MARK));
    if query.is_empty() || wire.has_protocol(ParameterPlace::Query) {
        return vec![only_mark];
    }
    vec![change(query, false), change(query, true), only_mark]
}

/// Returns the changes of clients that sign another spelling of the query in the URI: without the
/// protocol's parameters, sorted, or decoded.
fn respelled_query_in_uri<'e>(request: &Request<'e>) -> Vec<BaseStringChange<'e>> {
    let query = split_target(request.target).1;
    let segments = query.split(|&byte| byte == b'&');
    let mut segments: Vec<_> = segments
        .filter(|segment| !segment.starts_with(PREFIX))
        .collect();
    let own = segments.join(&b'&');
    segments.sort_unstable();
    let sorted = segments.join(&b'&');
    let decoded = decode(&Cow::Borrowed(&own)).into_owned();
    let others = BTreeSet::from([own, sorted, decoded]).into_iter();
    others
        .filter(|other| *other != query && !other.is_empty())
        .map(|other| {
            BaseStringChange::new(
                MismatchCause::QueryInUri,
                BaseStringPart::Query,
                move |variant| {
                    variant.uri_query = Some(Cow::Owned(other.clone()));
                    variant.with_query = false;
                },
            )
            .guess()
        })
        .collect()
}

fn empty_token<'e>(
    signed: &SignedRequest<'e>,
    wire: &WireParameters<'e>,
) -> Option<BaseStringChange<'e>> {
    let (cause, part) = (MismatchCause::EmptyToken, BaseStringPart::Token);
    signed
        .token()
        .is_none()
        .then(|| match wire.position(ProtocolParameter::Token) {
            Some(at) => not_signed(cause, part, at),
            None => not_sent(cause, part, ParameterPair::encode(b"oauth_token", b"")),
        })
}

fn version<'e>(wire: &WireParameters<'e>) -> BaseStringChange<'e> {
    let (cause, part) = (MismatchCause::Version, BaseStringPart::Version);
    match wire.position(ProtocolParameter::Version) {
        Some(at) => not_signed(cause, part, at),
        None => not_sent(cause, part, ParameterPair::encode(b"oauth_version", b"1.0")),
    }
    .likely()
}

fn realm_included<'e>(signed: &SignedRequest<'e>) -> Option<BaseStringChange<'e>> {
    let realm = ParameterPair::encode(b"realm", signed.realm()?);
    Some(not_sent(
        MismatchCause::RealmIncluded,
        BaseStringPart::Realm,
        realm,
    ))
}

/// Returns the change of a client that sends a parameter but does not sign it.
fn not_signed<'e>(cause: MismatchCause, part: BaseStringPart, at: usize) -> BaseStringChange<'e> {
    BaseStringChange::new(cause, part, move |variant| variant.left_out.push(at))
}

/// Returns the change of a client that signs a parameter but does not send it as one.
fn not_sent<'e>(
    cause: MismatchCause,
    part: BaseStringPart,
    pair: ParameterPair<'static>,
) -> BaseStringChange<'e> {
    BaseStringChange::new(cause, part, move |variant| {
        variant.unsent.push(pair.clone());
    })
}

/// The remedy if the URI is signed with the `?` of an empty query.
const QUERY_MARK: &str = "the client signs the URI with a `?` at its end: make it sign the URI up to the `?` (RFC 5849 \
     section 3.4.1.2)";

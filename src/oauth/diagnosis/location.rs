//! Changes of scheme, host and port (RFC 5849 section 3.4.1.2): changes by proxies, and the headers
//! in which proxies report them.

use std::borrow::Cow;

use super::super::Scheme;
use super::super::variant::PortRule;
use super::change::{BaseStringChange, BaseStringPart};
use super::{MismatchCause, MismatchEvidence};

/// Returns every change of scheme and authority that may explain the request.
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    realm: Option<&[u8]>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = vec![other_scheme(evidence)];
    changes.extend(ports(evidence));
    changes.extend(hosts(evidence, realm));
    changes.extend(host_case(evidence.request.authority));
    changes
}

fn other_scheme<'e>(evidence: &MismatchEvidence<'e>) -> BaseStringChange<'e> {
    let scheme = evidence.request.scheme.other();
    BaseStringChange::new(
        MismatchCause::Scheme,
        BaseStringPart::Scheme,
        move |variant| variant.scheme = scheme,
    )
    .with_remedy(scheme_remedy(evidence, scheme))
}

fn scheme_remedy(evidence: &MismatchEvidence<'_>, scheme: Scheme) -> Option<&'static str> {
    let has_arrived = |received: super::ReceivedOrigin<'_>| received.scheme == scheme;
    let is_forwarded = |proto| first(proto).eq_ignore_ascii_case(scheme.name().as_bytes());
    if evidence.received.is_some_and(has_arrived) {
        Some(MISCONFIGURED)
    } else if evidence.forwarded.proto.is_some_and(is_forwarded) {
        Some(FORWARDED)
    } else {
        None
    }
}

/// Returns the changes to another port of the same host: none, the forwarded one, the defaults, the
/// common ones.
fn ports<'e>(evidence: &MismatchEvidence<'e>) -> Vec<BaseStringChange<'e>> {
    let sent = evidence.request.authority;
    let (host, _) = split_port(sent);
    let mut authorities = without_port(sent);
    let forwarded = forwarded_port(evidence);
    let forwarded = forwarded.filter(|port| port.iter().all(u8::is_ascii_digit));
    authorities.extend(forwarded.map(|port| (joined(host, port), PortRule::Rfc)));
    authorities.extend(DEFAULT_PORTS.map(|port| (joined(host, port), PortRule::AsSent)));
    authorities.extend(COMMON_PORTS.map(|port| (joined(host, port), PortRule::Rfc)));
    authorities
        .into_iter()
        .map(|(authority, port)| to(MismatchCause::Port, authority, port))
        .collect()
}

/// Returns the host alone, and the authority with a default port that RFC 5849 leaves out.
fn without_port(sent: &[u8]) -> Vec<(Vec<u8>, PortRule)> {
    match split_port(sent) {
        (_, None) => Vec::new(),
        (host, Some(_)) => vec![
            (host.to_vec(), PortRule::Rfc),
            (sent.to_vec(), PortRule::AsSent),
        ],
    }
}

/// Returns the changes to every host that the request or a proxy names.
fn hosts<'e>(evidence: &MismatchEvidence<'e>, realm: Option<&[u8]>) -> Vec<BaseStringChange<'e>> {
    let received = evidence.received.map(|received| received.authority);
    let forwarded = evidence.forwarded.host.map(first);
    let named = [
        received.map(|authority| (authority, Some(MISCONFIGURED))),
        forwarded.map(|authority| (authority, None)),
        realm
            .and_then(authority_in)
            .map(|authority| (authority, None)),
    ];
    named
        .into_iter()
        .flatten()
        .flat_map(|(authority, remedy)| {
            host(evidence, authority).map(move |change| change.with_remedy(remedy))
        })
        .collect()
}

/// Returns the changes to one host, with each port that it may have and without.
fn host<'e>(
    evidence: &MismatchEvidence<'e>,
    authority: &[u8],
) -> impl Iterator<Item = BaseStringChange<'e>> + use<'e> {
    let (own_host, own_port) = split_port(evidence.request.authority);
    let (host, _) = split_port(authority);
    let cause = if host.eq_ignore_ascii_case(own_host) {
        MismatchCause::Port
    } else {
        MismatchCause::Host
    };
    let mut authorities = vec![authority.to_vec(), host.to_vec()];
    let ports = [forwarded_port(evidence), own_port];
    authorities.extend(ports.into_iter().flatten().map(|port| joined(host, port)));
    authorities
        .into_iter()
        .map(move |authority| to(cause, authority, PortRule::Rfc))
}

fn host_case<'e>(sent: &[u8]) -> Vec<BaseStringChange<'e>> {
    if !sent.iter().any(u8::is_ascii_uppercase) {
        return Vec::new();
    }
    let (host, _) = split_port(sent);
    [sent, host]
        .map(|authority| {
            to(
                MismatchCause::HostCase,
                authority.to_vec(),
                PortRule::AsSent,
            )
        })
        .into()
}

fn to<'e>(cause: MismatchCause, authority: Vec<u8>, port: PortRule) -> BaseStringChange<'e> {
    BaseStringChange::new(cause, BaseStringPart::Authority, move |variant| {
        variant.authority = Cow::Owned(authority.clone());
        variant.port = port;
    })
}

fn forwarded_port<'e>(evidence: &MismatchEvidence<'e>) -> Option<&'e [u8]> {
    evidence.forwarded.port.map(first)
}

/// Splits host and port; a colon within brackets belongs to an address.
fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let last = authority
        .iter()
        .rposition(|&byte| byte == b':' || byte == b']');
    match last {
        Some(at) if authority[at] == b':' => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    }
}

fn joined(host: &[u8], port: &[u8]) -> Vec<u8> {
    [host, b":", port].concat()
}

/// Returns the authority of a realm that is a URL, as many clients have it.
fn authority_in(realm: &[u8]) -> Option<&[u8]> {
    let begin = realm.windows(3).position(|part| part == b"://")? + 3;
    realm[begin..]
        .split(|&byte| byte == b'/')
        .next()
        .filter(|authority| !authority.is_empty())
}

/// Returns the first of several values that proxies joined with commas: that of the client.
fn first(list: &[u8]) -> &[u8] {
    list.split(|&byte| byte == b',')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

/// The default ports of both schemes.
const DEFAULT_PORTS: [&[u8]; 2] = [b"80", b"443"];

/// The usual ports of development servers and gateways.
const COMMON_PORTS: [&[u8]; 7] = [
    b"8080", b"8443", b"8000", b"3000", b"5000", b"9000", b"10000",
];

const FORWARDED: &str = "the client signs `{scheme}://`, and X-Forwarded-Proto confirms it: set `{setting} = \
     \"{origin}\"`{or_trust}";

const MISCONFIGURED: &str = "the client signs `{origin}`, as the request arrived, but `{setting}` says otherwise: change \
     `{setting}` or remove it";

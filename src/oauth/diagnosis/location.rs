//! Another scheme, host or port (RFC 5849 section 3.4.1.2): what proxies change, and what they say of it.

use std::borrow::Cow;

use super::super::Scheme;
use super::super::variant::Port;
use super::changes::{Change, Part};
use super::{MismatchCause, MismatchEvidence};

/// Every change of scheme and authority that may explain the request.
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    realm: Option<&[u8]>,
) -> Vec<Change<'e>> {
    let request = evidence.request;
    let scheme = request.scheme.other();
    let other = Change::new(MismatchCause::Scheme, Part::Scheme, move |variant| {
        variant.scheme = scheme
    });
    // What came is what is signed, where something else was configured.
    let is_configured = evidence
        .received
        .is_some_and(|received| received.scheme == scheme);
    let name: &[u8] = if scheme == Scheme::Https {
        b"https"
    } else {
        b"http"
    };
    let is_forwarded = evidence
        .forwarded
        .proto
        .is_some_and(|proto| first(proto).eq_ignore_ascii_case(name));
    let remedy = is_configured
        .then_some(MISCONFIGURED)
        .or_else(|| is_forwarded.then_some(FORWARDED));
    let mut changes = vec![match remedy {
        Some(remedy) => other.with_remedy(remedy),
        None => other,
    }];
    let sent = request.authority;
    let (host, port) = split_port(sent);
    let mut authorities = Vec::new();
    if port.is_some() {
        authorities.push((host.to_vec(), Port::Rfc));
        authorities.push((sent.to_vec(), Port::AsSent));
    }
    let said = evidence
        .forwarded
        .port
        .map(first)
        .filter(|port| port.iter().all(u8::is_ascii_digit));
    authorities.extend(said.map(|port| (joined(host, port), Port::Rfc)));
    for port in [&b"80"[..], b"443"] {
        authorities.push((joined(host, port), Port::AsSent));
    }
    for port in COMMON_PORTS {
        authorities.push((joined(host, port.as_bytes()), Port::Rfc));
    }
    changes.extend(
        authorities
            .into_iter()
            .map(|(authority, port)| to(MismatchCause::Port, authority, port)),
    );
    changes.extend(hosts(evidence, realm));
    if sent.iter().any(u8::is_ascii_uppercase) {
        changes.push(to(MismatchCause::HostCase, sent.to_vec(), Port::AsSent));
        changes.push(to(MismatchCause::HostCase, host.to_vec(), Port::AsSent));
    }
    changes
}

/// Other hosts that something says the client called, with their ports and without.
fn hosts<'e>(evidence: &MismatchEvidence<'e>, realm: Option<&[u8]>) -> Vec<Change<'e>> {
    let own = split_port(evidence.request.authority);
    let mut changes = Vec::new();
    let mut offer = |authority: &[u8], remedy: Option<&'static str>| {
        let (host, _) = split_port(authority);
        let cause = if host.eq_ignore_ascii_case(own.0) {
            MismatchCause::Port
        } else {
            MismatchCause::Host
        };
        let ports = [evidence.forwarded.port.map(first), own.1];
        let with_ports = ports.into_iter().flatten().map(|port| joined(host, port));
        for authority in [authority.to_vec(), host.to_vec()]
            .into_iter()
            .chain(with_ports)
        {
            let change = to(cause, authority, Port::Rfc);
            changes.push(match remedy {
                Some(remedy) => change.with_remedy(remedy),
                None => change,
            });
        }
    };
    if let Some(received) = evidence.received {
        offer(received.authority, Some(MISCONFIGURED));
    }
    if let Some(forwarded) = evidence.forwarded.host {
        offer(first(forwarded), None);
    }
    if let Some(called) = realm.and_then(authority_in) {
        offer(called, None);
    }
    changes
}

fn to<'e>(cause: MismatchCause, authority: Vec<u8>, port: Port) -> Change<'e> {
    Change::new(cause, Part::Authority, move |variant| {
        variant.authority = Cow::Owned(authority.clone());
        variant.port = port;
    })
}

/// Host and port; a colon within brackets belongs to an address.
fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    match authority
        .iter()
        .rposition(|&byte| byte == b':' || byte == b']')
    {
        Some(at) if authority[at] == b':' => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    }
}

fn joined(host: &[u8], port: &[u8]) -> Vec<u8> {
    [host, b":", port].concat()
}

/// That of a realm that is a URL, as many clients have it.
fn authority_in(realm: &[u8]) -> Option<&[u8]> {
    let begin = realm.windows(3).position(|part| part == b"://")? + 3;
    realm[begin..]
        .split(|&byte| byte == b'/')
        .next()
        .filter(|authority| !authority.is_empty())
}

/// The first of several that proxies joined with commas: that of the client.
fn first(list: &[u8]) -> &[u8] {
    list.split(|&byte| byte == b',')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

/// Ports on which development servers and gateways listen.
const COMMON_PORTS: [&str; 7] = ["8080", "8443", "8000", "3000", "5000", "9000", "10000"];

const FORWARDED: &str = "the client signs `{scheme}://`, as X-Forwarded-Proto says too: set `{setting} = \"{origin}\"`{or_trust}";

const MISCONFIGURED: &str = "the client signs `{origin}`, as the request came, and `{setting}` says otherwise: change it, or take it out";

//! The authorities that the client may have signed: those that the request or a proxy names, and
//! other spellings of the one that arrived.

use std::borrow::Cow;

use super::forwarded::{ForwardedHeader, listed};
use super::named_url::{NamedUrl, decoded_realm};
use super::{MismatchEvidence, remedy};

/// The source of a candidate authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostSource {
    /// The request arrived with it, but another one is configured.
    Received,
    /// A header of a proxy names it.
    Named,
    /// A header of a browser or the realm names it, which no proxy sets.
    NamedByClient,
    /// It is another spelling of the host that arrived.
    Spelling,
}

/// An authority that the client may have signed.
pub(super) struct HostCandidate {
    pub(super) authority: Vec<u8>,
    pub(super) source: HostSource,
    /// The client signs exactly this text: not in lower case, or not a valid host.
    pub(super) is_verbatim: bool,
    /// It is one of very many guesses.
    pub(super) is_one_of_many: bool,
    /// No header and no other part of the request names it.
    pub(super) is_guess: bool,
    /// A remedy that is more precise than that of the source.
    pub(super) remedy: Option<&'static str>,
}

/// Returns every candidate for another host, the likely ones first.
pub(super) fn candidates(
    evidence: &MismatchEvidence<'_>,
    realm: Option<&[u8]>,
) -> Vec<HostCandidate> {
    let mut candidates = Vec::new();
    for (authority, source) in named(evidence, realm) {
        candidates.extend(with_ports(evidence, &authority, source));
    }
    candidates.extend(spellings(evidence.request.authority));
    candidates
}

/// Returns the authorities that the request or a proxy names.
fn named<'e>(
    evidence: &MismatchEvidence<'e>,
    realm: Option<&[u8]>,
) -> Vec<(Cow<'e, [u8]>, HostSource)> {
    let received = evidence.received.map(|received| received.authority);
    let mut named: Vec<_> = received
        .map(|authority| (Cow::Borrowed(authority), HostSource::Received))
        .into_iter()
        .collect();
    let forwarded = evidence.forwarded;
    let listed_hosts = forwarded.values(HOST_HEADERS).flat_map(listed);
    let urls = forwarded.values(URL_HEADERS).flat_map(listed);
    let of_rfc_7239 = forwarded.forwarded("host");
    let hosts = of_rfc_7239.chain(listed_hosts).chain(urls);
    let hosts = hosts.map(|text| (text, HostSource::Named));
    let by_client = forwarded.values(CLIENT_HEADERS);
    let by_client = by_client.map(|text| (text, HostSource::NamedByClient));
    named.extend(hosts.chain(by_client).map(|(text, source)| {
        let authority = NamedUrl::of(text).authority;
        (Cow::Borrowed(authority), source)
    }));
    named.extend(realm.map(|realm| {
        let realm = decoded_realm(realm);
        let authority = NamedUrl::of(&realm).authority.to_vec();
        (Cow::Owned(authority), HostSource::NamedByClient)
    }));
    named.retain(|(authority, _)| is_host(authority));
    named.truncate(MAX_NAMED);
    named
}

/// Returns whether a text may be a host; a realm may be any text.
fn is_host(authority: &[u8]) -> bool {
    !authority.is_empty() && authority.iter().all(|&byte| byte > b' ' && byte != b',')
}

/// Returns a named authority with each port that it may have, and without.
fn with_ports(
    evidence: &MismatchEvidence<'_>,
    authority: &[u8],
    source: HostSource,
) -> Vec<HostCandidate> {
    let (host, _) = split_port(authority);
    let (_, own_port) = split_port(evidence.request.authority);
    let mut authorities = vec![authority.to_vec(), host.to_vec()];
    let ports = forwarded_port(evidence).into_iter().chain(own_port);
    authorities.extend(ports.map(|port| joined(host, Some(port))));
    authorities.extend(other_spelling(host));
    authorities.push(toggled_www(host));
    let capitals = host.iter().any(u8::is_ascii_uppercase);
    let mut candidates: Vec<_> = authorities
        .into_iter()
        .map(|authority| HostCandidate {
            authority,
            source,
            is_verbatim: false,
            is_one_of_many: false,
            is_guess: false,
            remedy: None,
        })
        .collect();
    candidates.extend(capitals.then(|| verbatim(authority.to_vec(), source)));
    candidates
}

/// Returns the other spellings of the host that arrived.
fn spellings(sent: &[u8]) -> Vec<HostCandidate> {
    let (host, port) = split_port(sent);
    let mut hosts = vec![toggled_www(host), toggled_dot(host)];
    hosts.extend(loopback(host));
    let mut candidates = Vec::new();
    for host in hosts {
        let authorities = [joined(&host, port), host];
        candidates.extend(authorities.map(|authority| HostCandidate {
            authority,
            source: HostSource::Spelling,
            is_verbatim: false,
            is_one_of_many: false,
            is_guess: false,
            remedy: None,
        }));
    }
    candidates.extend(other_spelling(host).map(|other| {
        let is_verbatim = !other.is_ascii();
        HostCandidate {
            is_verbatim,
            remedy: is_verbatim.then_some(remedy::HOST_IN_UNICODE),
            ..verbatim(joined(&other, port), HostSource::Spelling)
        }
    }));
    candidates.extend(with_user(sent));
    candidates
}

/// Returns the authority behind the user names and passwords of examples.
fn with_user(sent: &[u8]) -> impl Iterator<Item = HostCandidate> {
    let lower = sent.to_ascii_lowercase();
    USERS.into_iter().map(move |user| HostCandidate {
        is_one_of_many: true,
        remedy: Some(remedy::HOST_WITH_USER),
        ..verbatim([user, b"@", &lower].concat(), HostSource::Spelling)
    })
}

const fn verbatim(authority: Vec<u8>, source: HostSource) -> HostCandidate {
    HostCandidate {
        authority,
        source,
        is_verbatim: true,
        is_one_of_many: false,
        is_guess: false,
        remedy: None,
    }
}

fn toggled_www(host: &[u8]) -> Vec<u8> {
    match host.get(..4) {
        Some(www) if www.eq_ignore_ascii_case(b"www.") => host[4..].to_vec(),
        _ => [b"www.", host].concat(),
    }
}

fn toggled_dot(host: &[u8]) -> Vec<u8> {
    match host.strip_suffix(b".") {
        Some(shorter) => shorter.to_vec(),
        None => [host, b"."].concat(),
    }
}

/// Returns the other names of a host that may be the client's own: this machine, or a container.
fn loopback(host: &[u8]) -> Vec<Vec<u8>> {
    let is_local = !host.contains(&b'.') || LOOPBACK.contains(&host);
    let others = LOOPBACK.into_iter().filter(|&other| other != host);
    others.filter(|_| is_local).map(<[u8]>::to_vec).collect()
}

/// Returns an internationalized host in Unicode instead of ASCII, or the reverse (RFC 5890).
fn other_spelling(host: &[u8]) -> Option<Vec<u8>> {
    let decoded = super::super::encode::decode(&Cow::Borrowed(host)).into_owned();
    let text = str::from_utf8(&decoded).ok()?.to_lowercase();
    let other = if text.is_ascii() {
        if !text.contains("xn--") {
            return None;
        }
        let (unicode, result) = idna::domain_to_unicode(&text);
        result.ok()?;
        unicode
    } else {
        idna::domain_to_ascii(&text).ok()?
    };
    (other.as_bytes() != host).then(|| other.into_bytes())
}

/// Returns the ports that a header names.
pub(super) fn forwarded_port<'e>(evidence: &MismatchEvidence<'e>) -> Option<&'e [u8]> {
    let port = evidence.forwarded.get(ForwardedHeader::XForwardedPort)?;
    let is_number = |port: &&[u8]| port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    listed(port).next().filter(is_number)
}

/// Splits host and port; a colon within brackets belongs to an address.
pub(super) fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let last = authority
        .iter()
        .rposition(|&byte| byte == b':' || byte == b']');
    match last {
        Some(at) if authority[at] == b':' => (&authority[..at], Some(&authority[at + 1..])),
        _ => (authority, None),
    }
}

/// Joins host and port.
pub(super) fn joined(host: &[u8], port: Option<&[u8]>) -> Vec<u8> {
    match port {
        Some(port) => [host, b":", port].concat(),
        None => host.to_vec(),
    }
}

/// The headers that name a host, in the order in which they are tried.
const HOST_HEADERS: [ForwardedHeader; 7] = [
    ForwardedHeader::XForwardedHost,
    ForwardedHeader::XOriginalHost,
    ForwardedHeader::XEnvoyOriginalHost,
    ForwardedHeader::DisguisedHost,
    ForwardedHeader::XHost,
    ForwardedHeader::XRealHost,
    ForwardedHeader::XForwardedServer,
];

/// The headers that may hold a whole URL.
const URL_HEADERS: [ForwardedHeader; 7] = [
    ForwardedHeader::XOriginalUrl,
    ForwardedHeader::XOriginalUri,
    ForwardedHeader::XForwardedUri,
    ForwardedHeader::XForwardedUrl,
    ForwardedHeader::XRewriteUrl,
    ForwardedHeader::XWawsUnencodedUrl,
    ForwardedHeader::XRequestUri,
];

/// The headers with a URL that browsers set.
const CLIENT_HEADERS: [ForwardedHeader; 2] = [ForwardedHeader::Origin, ForwardedHeader::Referer];

/// The names of this machine.
const LOOPBACK: [&[u8]; 5] = [
    b"localhost",
    b"127.0.0.1",
    b"[::1]",
    b"0.0.0.0",
    b"host.docker.internal",
];

/// The user names and passwords of examples.
const USERS: [&[u8]; 24] = [
    b"user:password",
    b"user:pass",
    b"user:pw",
    b"user:passwd",
    b"user:pwd",
    b"user:secret",
    b"user:",
    b"user",
    b"username:password",
    b"username:pass",
    b"username",
    b"admin:password",
    b"admin:admin",
    b"admin:secret",
    b"admin",
    b"api:secret",
    b"api:password",
    b"api",
    b"jane:secret",
    b"john:secret",
    b"test:test",
    b"test:password",
    b"test",
    b"root:root",
];

/// The most named hosts that are tried.
const MAX_NAMED: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_other_spellings() {
        let of = |sent: &str| -> Vec<String> {
            let found = spellings(sent.as_bytes());
            let texts = found.into_iter().map(|found| found.authority);
            texts.map(|text| String::from_utf8(text).unwrap()).collect()
        };
        let found = of("www.xn--mnchen-3ya.example:8443");
        for expected in [
            "xn--mnchen-3ya.example:8443",
            "www.xn--mnchen-3ya.example.:8443",
            "www.xn--mnchen-3ya.example.",
            "www.münchen.example:8443",
            "user:password@www.xn--mnchen-3ya.example:8443",
        ] {
            assert!(found.iter().any(|text| text == expected), "{found:?}");
        }
        let found = of("localhost:8080");
        for expected in ["127.0.0.1:8080", "[::1]:8080", "www.localhost"] {
            assert!(found.iter().any(|text| text == expected), "{found:?}");
        }
        assert!(
            !of("api.example.com")
                .iter()
                .any(|text| text.contains("127"))
        );
    }
}

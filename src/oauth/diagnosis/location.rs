//! Changes of scheme, host and port (RFC 5849 section 3.4.1.2): changes by proxies, and other
//! spellings of clients.

use std::borrow::Cow;
use std::collections::HashSet;

use super::super::variant::PortRule;
use super::super::{Scheme, SignedRequest};
use super::change::{BaseStringChange, BaseStringPart};
use super::forwarded::{ForwardedHeader, listed};
use super::host_guesses::guesses;
use super::hosts::{HostCandidate, HostSource, candidates, forwarded_port, joined, split_port};
use super::{MismatchCause, MismatchEvidence, remedy};

/// Returns every change of scheme and authority that may explain the request.
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    signed: &SignedRequest<'e>,
) -> Vec<BaseStringChange<'e>> {
    let mut authorities = ports(evidence);
    authorities.extend(hosts(evidence, signed));
    authorities.extend(host_case(evidence));
    let mut known = HashSet::new();
    authorities.retain(|change| known.insert((change.text.clone(), change.rule == PortRule::Rfc)));
    let authorities = authorities.into_iter().map(AuthorityChange::change);
    std::iter::once(other_scheme(evidence))
        .chain(authorities)
        .collect()
}

/// An authority that the client may have signed.
struct AuthorityChange {
    cause: MismatchCause,
    text: Vec<u8>,
    rule: PortRule,
    remedy: Option<&'static str>,
    /// A header names it.
    is_likely: bool,
    is_one_of_many: bool,
    is_guess: bool,
    /// No header of a proxy names it.
    is_assumed: bool,
}

impl AuthorityChange {
    const fn new(cause: MismatchCause, text: Vec<u8>, rule: PortRule) -> Self {
        Self {
            cause,
            text,
            rule,
            remedy: None,
            is_likely: false,
            is_one_of_many: false,
            is_guess: false,
            is_assumed: false,
        }
    }

    fn change<'e>(self) -> BaseStringChange<'e> {
        let Self {
            cause,
            text,
            rule,
            remedy,
            is_likely,
            is_one_of_many,
            is_guess,
            is_assumed,
        } = self;
        let change = BaseStringChange::new(cause, BaseStringPart::Authority, move |variant| {
            variant.authority = Cow::Owned(text.clone());
            variant.port = rule;
        });
        let change = change.with_remedy(remedy).assumed(is_assumed);
        if is_guess {
            return change.guess();
        }
        match (is_likely, is_one_of_many) {
            (true, _) => change.likely(),
            (false, true) => change.among_many(),
            (false, false) => change,
        }
    }
}

fn other_scheme<'e>(evidence: &MismatchEvidence<'e>) -> BaseStringChange<'e> {
    let scheme = evidence.request.scheme.other();
    BaseStringChange::new(
        MismatchCause::Scheme,
        BaseStringPart::Scheme,
        move |variant| variant.scheme = scheme,
    )
    .with_remedy(scheme_remedy(evidence, scheme))
    .likely()
}

fn scheme_remedy(evidence: &MismatchEvidence<'_>, scheme: Scheme) -> Option<&'static str> {
    let has_arrived = |received: super::ReceivedOrigin<'_>| received.scheme == scheme;
    let forwarded = evidence.forwarded;
    let names = |value: &[u8]| names_scheme(value, scheme);
    if evidence.received.is_some_and(has_arrived) {
        Some(remedy::MISCONFIGURED)
    } else if forwarded
        .values([ForwardedHeader::XForwardedProto])
        .any(names)
    {
        Some(remedy::FORWARDED_PROTO)
    } else if forwarded.values(SCHEME_HEADERS).any(names) || forwarded.forwarded("proto").any(names)
    {
        Some(remedy::FORWARDED_SCHEME)
    } else {
        None
    }
}

/// Returns whether the first value of a header means the scheme.
fn names_scheme(value: &[u8], scheme: Scheme) -> bool {
    let said = match scheme {
        Scheme::Https => [&b"https"[..], b"on"],
        Scheme::Http => [&b"http"[..], b"off"],
    };
    listed(value)
        .next()
        .is_some_and(|first| said.iter().any(|text| first.eq_ignore_ascii_case(text)))
}

/// Returns the changes to another port of the same host: none, the forwarded one, the defaults, the
/// common ones.
fn ports(evidence: &MismatchEvidence<'_>) -> Vec<AuthorityChange> {
    let sent = evidence.request.authority.to_ascii_lowercase();
    let (host, own) = split_port(&sent);
    let with = |port: &[u8]| joined(host, Some(port));
    let mut ports = Vec::new();
    let mut add = |text, rule, is_assumed| {
        ports.push(AuthorityChange {
            is_assumed,
            ..AuthorityChange::new(MismatchCause::Port, text, rule)
        });
    };
    if own.is_some() {
        add(host.to_vec(), PortRule::Rfc, true);
        add(sent.clone(), PortRule::Verbatim, true);
    }
    if let Some(port) = forwarded_port(evidence) {
        add(with(port), PortRule::Rfc, false);
    }
    for port in DEFAULT_PORTS {
        add(with(port), PortRule::Verbatim, true);
    }
    for port in COMMON_PORTS {
        add(with(port), PortRule::Rfc, true);
    }
    ports
}

/// Returns the changes to every host that the request or a proxy names, and to other spellings of
/// its own.
fn hosts(evidence: &MismatchEvidence<'_>, signed: &SignedRequest<'_>) -> Vec<AuthorityChange> {
    let (own, _) = split_port(evidence.request.authority);
    let others = candidates(evidence, signed.realm()).into_iter();
    let guesses = guessed(evidence, signed.consumer_key());
    others
        .chain(guesses)
        .map(|candidate| host(own, candidate))
        .collect()
}

/// Returns the guesses of which no header tells.
fn guessed(evidence: &MismatchEvidence<'_>, consumer_key: &[u8]) -> Vec<HostCandidate> {
    let found = guesses(evidence.request.authority, consumer_key).into_iter();
    found
        .map(|guess| HostCandidate {
            authority: guess.authority,
            source: HostSource::Spelling,
            is_verbatim: guess.verbatim.is_some(),
            is_one_of_many: false,
            is_guess: true,
            remedy: guess.verbatim,
        })
        .collect()
}

fn host(own: &[u8], candidate: HostCandidate) -> AuthorityChange {
    let HostCandidate {
        authority,
        source,
        is_verbatim,
        is_one_of_many,
        is_guess,
        remedy,
    } = candidate;
    let is_own = split_port(&authority).0.eq_ignore_ascii_case(own);
    let has_capitals = authority.iter().any(u8::is_ascii_uppercase);
    let cause = match (is_own, is_verbatim) {
        (true, true) if has_capitals => MismatchCause::HostCase,
        (true, _) => MismatchCause::Port,
        (false, _) => MismatchCause::Host,
    };
    let rule = if is_verbatim {
        PortRule::Verbatim
    } else {
        PortRule::Rfc
    };
    AuthorityChange {
        remedy: remedy.or(match source {
            HostSource::Received => Some(remedy::MISCONFIGURED),
            HostSource::Named => None,
            HostSource::NamedByClient | HostSource::Spelling => Some(remedy::OTHER_HOST),
        }),
        is_assumed: !is_verbatim
            && matches!(source, HostSource::NamedByClient | HostSource::Spelling),
        is_likely: source != HostSource::Spelling || is_www_of(&authority, own),
        is_one_of_many,
        is_guess,
        ..AuthorityChange::new(cause, authority, rule)
    }
}

/// Returns whether one of two hosts is the other with `www.`, as after a redirect.
fn is_www_of(authority: &[u8], own: &[u8]) -> bool {
    let (host, _) = split_port(authority);
    let is_longer = |one: &[u8], other: &[u8]| one.strip_prefix(b"www.") == Some(other);
    is_longer(host, own) || is_longer(own, host)
}

/// Returns the changes to the host in capitals, as it arrived or all of it.
fn host_case(evidence: &MismatchEvidence<'_>) -> Vec<AuthorityChange> {
    let sent = evidence.request.authority;
    let default_port = evidence.request.scheme.default_port();
    let (host, port) = split_port(sent);
    let mut texts = vec![sent.to_vec(), sent.to_ascii_uppercase()];
    if port == Some(default_port) {
        texts.push(host.to_vec());
    }
    texts.retain(|text| text.iter().any(u8::is_ascii_uppercase));
    let to = |text| AuthorityChange::new(MismatchCause::HostCase, text, PortRule::Verbatim);
    texts.into_iter().map(to).collect()
}

/// The headers that name a scheme, except `X-Forwarded-Proto`.
const SCHEME_HEADERS: [ForwardedHeader; 7] = [
    ForwardedHeader::XForwardedProtocol,
    ForwardedHeader::XForwardedScheme,
    ForwardedHeader::XScheme,
    ForwardedHeader::XUrlScheme,
    ForwardedHeader::XForwardedSsl,
    ForwardedHeader::FrontEndHttps,
    ForwardedHeader::CloudfrontForwardedProto,
];

/// The default ports of both schemes.
const DEFAULT_PORTS: [&[u8]; 2] = [b"80", b"443"];

/// The usual ports of development servers and gateways.
const COMMON_PORTS: [&[u8]; 9] = [
    b"8080", b"8443", b"8000", b"3000", b"5000", b"9000", b"10000", b"8888", b"8081",
];

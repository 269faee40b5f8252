//! Authorities that clients sign without a header that names them: short names of services, other
//! subdomains, other spellings of addresses, and ports that are no numbers.

use std::net::Ipv6Addr;

use super::hosts::{joined, split_port};
use super::remedy;

/// An authority that the client may have signed.
pub(super) struct HostGuess {
    pub(super) authority: Vec<u8>,
    /// The remedy of a client that signs exactly this text, which no request could have.
    pub(super) verbatim: Option<&'static str>,
}

/// Returns every guess for the authority that arrived.
pub(super) fn guesses(sent: &[u8], consumer_key: &[u8]) -> Vec<HostGuess> {
    if sent.len() > MAX_LEN {
        return Vec::new();
    }
    let sent = sent.to_ascii_lowercase();
    let (host, port) = split_port(&sent);
    let mut guesses = names(host, port);
    guesses.extend(addresses(host, port));
    let wrong_ports = WRONG_PORTS.map(|wrong| [host, b":", wrong].concat());
    let wrong_ports = wrong_ports.map(|authority| verbatim(authority, remedy::HOST_WITHOUT_PORT));
    guesses.extend(wrong_ports);
    let user = [consumer_key, b"@", &sent].concat();
    guesses.push(verbatim(user, remedy::HOST_WITH_USER));
    guesses.push(verbatim(
        [&sent[..], b" "].concat(),
        remedy::HOST_WITH_SPACE,
    ));
    guesses
}

const fn verbatim(authority: Vec<u8>, remedy: &'static str) -> HostGuess {
    HostGuess {
        authority,
        verbatim: Some(remedy),
    }
}

/// Returns the other names of the host, each with the port and without.
fn names(host: &[u8], port: Option<&[u8]>) -> Vec<HostGuess> {
    let mut names = Vec::new();
    let dots: Vec<_> = (0..host.len()).filter(|&at| host[at] == b'.').collect();
    if host.ends_with(b".cluster.local") || dots.len() == 1 {
        names.extend(dots.iter().map(|&at| host[..at].to_vec()));
    }
    if let [first, .., _] = dots[..] {
        names.push(host[first + 1..].to_vec());
    }
    if let [_, ..] = dots[..] {
        names.extend(SUBDOMAINS.map(|label| [label, b".", host].concat()));
    }
    let is_internal =
        dots.is_empty() || host.ends_with(b".cluster.local") || host.ends_with(b".local");
    let local = LOCAL_PORTS
        .into_iter()
        .filter(|_| is_internal)
        .map(|port| joined(b"localhost", Some(port)));
    let named = names
        .into_iter()
        .flat_map(|name| [joined(&name, port), name]);
    named
        .chain(local)
        .map(|authority| HostGuess {
            authority,
            verbatim: None,
        })
        .collect()
}

/// Returns the other spellings of an IPv6 address (RFC 5952).
fn addresses(host: &[u8], port: Option<&[u8]>) -> Vec<HostGuess> {
    let inner = host
        .strip_prefix(b"[")
        .and_then(|rest| rest.strip_suffix(b"]"));
    let Some(inner) = inner.and_then(|inner| str::from_utf8(inner).ok()) else {
        return Vec::new();
    };
    let Ok(address) = inner.parse::<Ipv6Addr>() else {
        return Vec::new();
    };
    let segments = address.segments();
    let short = segments.map(|segment| format!("{segment:x}")).join(":");
    let long = segments.map(|segment| format!("{segment:04x}")).join(":");
    let bracketed = [address.to_string(), short, long].map(|text| format!("[{text}]"));
    let texts = bracketed.into_iter().chain([inner.to_owned()]);
    texts
        .map(|text| verbatim(joined(text.as_bytes(), port), remedy::HOST_IN_OTHER_DIGITS))
        .collect()
}

/// The longest authority with guesses, in bytes: a name in the DNS and a port (RFC 1035 section 2.3.4).
const MAX_LEN: usize = 261;

/// The labels that one side may have in front of the host.
const SUBDOMAINS: [&[u8]; 7] = [
    b"api", b"m", b"app", b"dev", b"test", b"staging", b"sandbox",
];

/// The ports of this machine that a container has under another name.
const LOCAL_PORTS: [&[u8]; 6] = [b"80", b"443", b"8080", b"8443", b"8000", b"3000"];

/// The texts that languages have for no port.
const WRONG_PORTS: [&[u8]; 7] = [b"", b"undefined", b"null", b"None", b"NaN", b"-1", b"0"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_host_has_its_guesses() {
        for (sent, guess) in [
            (
                "backend.default.svc.cluster.local:8080",
                "backend.default:8080",
            ),
            ("backend.default.svc.cluster.local:8080", "backend"),
            ("backend", "localhost:8080"),
            ("example.com", "api.example.com"),
            ("api.example.com", "example.com"),
            ("[2001:DB8::1]:8443", "[2001:db8:0:0:0:0:0:1]:8443"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("api.example.com:8443", "api.example.com:undefined"),
            ("api.example.com", "key@api.example.com"),
        ] {
            let found = guesses(sent.as_bytes(), b"key");
            assert!(
                found
                    .iter()
                    .any(|found| found.authority == guess.as_bytes()),
                "{sent}: {guess}"
            );
        }
        for sent in ["", ".", "[", "[::", "a.b.c.d.e.f", "..", ":"] {
            assert!(guesses(sent.as_bytes(), b"").len() < 40, "{sent}");
        }
        // Each dot is a guess as long as the host: it must not cost the square of its length.
        let long = "a.".repeat(29_000) + "svc.cluster.local";
        assert!(guesses(long.as_bytes(), b"").is_empty());
        let dotted = "a.".repeat(120) + "cluster.local";
        assert!(guesses(dotted.as_bytes(), b"").len() < 300);
    }
}

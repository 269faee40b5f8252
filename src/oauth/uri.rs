//! The base string URI (RFC 5849 section 3.4.1.2), from what stands on the wire and never through a URL parser: those
//! decode, merge and sort, and the client signed none of it.

use std::borrow::Cow;

use memchr::memchr;

use super::encode::{encode, is_unreserved};
use super::scan::{all, split_once};
use super::{Rejection, Request, Scheme};

/// Scheme, authority and path, as they are signed.
pub(super) struct BaseUri<'a> {
    scheme: Scheme,
    authority: Cow<'a, [u8]>,
    path_prefix: &'a [u8],
    path: &'a [u8],
}

impl<'a> BaseUri<'a> {
    /// The base string URI of a request.
    ///
    /// # Errors
    /// When the authority or the target is malformed.
    pub(super) fn of(request: &Request<'a>) -> Result<Self, Rejection> {
        let authority = signed_authority(request.scheme, request.authority)
            .ok_or(Rejection::AuthorityMalformed)?;
        let path = root_or(split_target(request.target).0);
        if !path.starts_with(b"/") || memchr(b'#', request.target).is_some() {
            return Err(Rejection::TargetMalformed);
        }
        Ok(Self {
            scheme: request.scheme,
            authority,
            path_prefix: request.path_prefix,
            path,
        })
    }

    /// Writes it percent-encoded.
    pub(super) fn write_encoded(&self, write: &mut impl FnMut(&[u8])) {
        write(match self.scheme {
            Scheme::Http => b"http%3A%2F%2F",
            Scheme::Https => b"https%3A%2F%2F",
        });
        encode(&self.authority, write);
        encode(self.path_prefix, write);
        encode(self.path, write);
    }
}

/// Path and query, split at the first `?`.
pub(super) fn split_target(target: &[u8]) -> (&[u8], &[u8]) {
    split_once(target, b'?').unwrap_or((target, b""))
}

/// A path, which is never empty.
pub(super) const fn root_or(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"/" } else { path }
}

/// Host in lower case, with its port unless it is the default of the scheme.
fn signed_authority(scheme: Scheme, authority: &[u8]) -> Option<Cow<'_, [u8]>> {
    authority_without(|port| port == scheme.default_port(), authority)
}

/// Host in lower case, with its port unless that is to be left out; `None` when it is malformed.
#[inline]
pub(super) fn authority_without(
    is_left_out: impl FnOnce(&[u8]) -> bool,
    authority: &[u8],
) -> Option<Cow<'_, [u8]>> {
    let host_len = host_len(authority)?;
    let port = match &authority[host_len..] {
        [] => &[][..],
        [b':', port @ ..] if port.iter().all(u8::is_ascii_digit) => port,
        _ => return None,
    };
    let signed = if port.is_empty() || is_left_out(port) {
        &authority[..host_len]
    } else {
        authority
    };
    let lower = all(signed, |byte| byte.wrapping_sub(b'A') >= 26);
    Some(if lower {
        Cow::Borrowed(signed)
    } else {
        Cow::Owned(signed.to_ascii_lowercase())
    })
}

/// How many of the first bytes are the host (RFC 3986 section 3.2.2): an address in brackets, or a name.
fn host_len(authority: &[u8]) -> Option<usize> {
    if let Some(literal) = authority.strip_prefix(b"[") {
        let len = literal.iter().position(|&byte| byte == b']')?;
        let valid = len > 0
            && literal[..len]
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b":.-".contains(byte));
        return valid.then_some(len + 2);
    }
    let len = memchr(b':', authority).unwrap_or(authority.len());
    let name = &authority[..len];
    (len > 0 && (all(name, is_unreserved) || name.iter().all(|&byte| is_host_name(byte))))
        .then_some(len)
}

/// What a registered name is made of. The comma belongs to it too, but it is how proxies join two `Host` headers.
const fn is_host_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\''
        )
        || matches!(byte, b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

impl Scheme {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Http => Self::Https,
            Self::Https => Self::Http,
        }
    }

    pub(super) const fn default_port(self) -> &'static [u8] {
        match self {
            Self::Http => b"80",
            Self::Https => b"443",
        }
    }
}

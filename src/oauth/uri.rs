//! The base string URI (RFC 5849 section 3.4.1.2).
//!
//! It consists of the bytes on the wire, without a URL parser: parsers decode, merge and sort, and
//! clients sign none of that.

use std::borrow::Cow;

use memchr::memchr;

use super::encode::{encode, is_unreserved};
use super::scan::{all, split_once};
use super::{Rejection, Request, Scheme};

/// Scheme, authority and path as the client signs them.
pub(super) struct BaseUri<'a> {
    scheme: Scheme,
    authority: Cow<'a, [u8]>,
    path_prefix: &'a [u8],
    path: &'a [u8],
}

impl<'a> BaseUri<'a> {
    /// Reads the base string URI of a request.
    ///
    /// [RFC 5849 section 3.4.1.2](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.1.2)
    ///
    /// # Errors
    /// A malformed authority or target.
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

    /// Writes the URI percent-encoded.
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

/// Splits path and query at the first `?`.
pub(super) fn split_target(target: &[u8]) -> (&[u8], &[u8]) {
    split_once(target, b'?').unwrap_or((target, b""))
}

/// Returns the path, or `/` if it is empty.
pub(super) const fn root_or(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"/" } else { path }
}

/// Returns the host in lower case, with its port unless it is the default of the scheme.
fn signed_authority(scheme: Scheme, authority: &[u8]) -> Option<Cow<'_, [u8]>> {
    authority_without(|port| port == scheme.default_port(), authority)
}

/// Returns the host in lower case, with its port unless `is_left_out` says otherwise; `None` if it
/// is malformed.
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
    Some(lower_case(signed))
}

#[inline]
fn lower_case(authority: &[u8]) -> Cow<'_, [u8]> {
    if all(authority, |byte| byte.wrapping_sub(b'A') >= 26) {
        Cow::Borrowed(authority)
    } else {
        Cow::Owned(authority.to_ascii_lowercase())
    }
}

/// Returns the length of the host: an address in brackets, or a name.
///
/// [RFC 3986 section 3.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2)
fn host_len(authority: &[u8]) -> Option<usize> {
    if let Some(literal) = authority.strip_prefix(b"[") {
        let len = literal.iter().position(|&byte| byte == b']')?;
        return is_address(&literal[..len]).then_some(len + 2);
    }
    let len = memchr(b':', authority).unwrap_or(authority.len());
    let name = &authority[..len];
    let is_name = all(name, is_unreserved) || name.iter().all(|&byte| is_host_name(byte));
    (len > 0 && is_name).then_some(len)
}

fn is_address(literal: &[u8]) -> bool {
    !literal.is_empty()
        && literal
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b":.-".contains(byte))
}

/// Returns whether a registered name may hold the byte. RFC 3986 allows a comma too, but proxies
/// join two `Host` headers with one.
const fn is_host_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&' | b'\''
        )
        || matches!(byte, b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

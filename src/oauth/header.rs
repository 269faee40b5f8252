//! The `Authorization` header (RFC 5849 section 3.5.1).
//!
//! Proxies join repeated headers with a comma, so one value may hold the credentials of several
//! schemes. If `OAuth` is one of several, the request is refused: another reader of the header may
//! choose another scheme.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::Rejection;
use super::encode::is_unreserved;
use super::scan::{all, split_once};

/// Returns the credentials after the `OAuth` scheme, or `None` without that scheme.
///
/// [RFC 5849 section 3.5.1](https://www.rfc-editor.org/rfc/rfc5849#section-3.5.1)
///
/// # Errors
/// [`Rejection::SeveralAuthorizations`] if there is another scheme in addition to `OAuth`.
pub(super) fn oauth_credentials<'a>(headers: &[&'a [u8]]) -> Result<Option<&'a [u8]>, Rejection> {
    let mut found = None;
    for header in headers {
        let (scheme, credentials) = split_token(trim(header));
        if scheme.eq_ignore_ascii_case(SCHEME) {
            found = Some(credentials);
        } else if holds_oauth_too(header) {
            return Err(Rejection::SeveralAuthorizations);
        }
    }
    match found {
        Some(_) if headers.len() > 1 => Err(Rejection::SeveralAuthorizations),
        Some([first, ..]) if !is_space(*first) => Err(Rejection::HeaderMalformed),
        found => Ok(found),
    }
}

/// One `name="value"` as on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AuthParam<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

impl AuthParam<'_> {
    /// Returns whether this is the realm: a quoted string (RFC 2617 section 1.2), not a protocol
    /// parameter.
    pub(super) fn is_realm(&self) -> bool {
        self.name.eq_ignore_ascii_case(b"realm")
    }

    /// Returns whether the name and the value mean something. A backslash escapes the next
    /// character in the realm only; section 3.6 encodes it everywhere else.
    fn is_readable(&self) -> bool {
        !self.name.is_empty() && (self.is_realm() || memchr(b'\\', self.value).is_none())
    }
}

/// The `name="value"` pairs after the scheme.
pub(super) struct AuthParams<'a> {
    rest: &'a [u8],
}

impl<'a> AuthParams<'a> {
    pub(super) const fn new(credentials: &'a [u8]) -> Self {
        Self { rest: credentials }
    }

    /// Splits off the name. Most names are unreserved and end directly before the `=`, which is
    /// faster to find.
    fn split_name(&self) -> (&'a [u8], &'a [u8]) {
        match split_once(self.rest, b'=') {
            Some((name, _)) if all(name, is_unreserved) => self.rest.split_at(name.len()),
            Some(_) | None => split_token(self.rest),
        }
    }

    fn pair(&mut self) -> Result<AuthParam<'a>, Rejection> {
        let (name, after_name) = self.split_name();
        let at_equals = trim_start(after_name);
        let Some((b'=', after_equals)) = at_equals.split_first() else {
            return Err(not_a_pair(name, after_name, at_equals));
        };
        let (value, after_value) =
            split_value(trim_start(after_equals)).ok_or(Rejection::HeaderMalformed)?;
        self.rest = trim_start(after_value);
        let pair = AuthParam { name, value };
        if matches!(self.rest, [] | [b',', ..]) && pair.is_readable() {
            Ok(pair)
        } else {
            Err(Rejection::HeaderMalformed)
        }
    }
}

impl<'a> Iterator for AuthParams<'a> {
    type Item = Result<AuthParam<'a>, Rejection>;

    fn next(&mut self) -> Option<Self::Item> {
        // A recipient ignores empty list elements (RFC 9110 section 5.6.1.2).
        while let Some((&first, after)) = self.rest.split_first()
            && (first == b',' || is_space(first))
        {
            self.rest = after;
        }
        if self.rest.is_empty() {
            None
        } else {
            Some(self.pair())
        }
    }
}

/// Returns the text of a quoted string, without its quotes already.
///
/// [RFC 9110 section 5.6.4](https://www.rfc-editor.org/rfc/rfc9110#section-5.6.4)
pub(super) fn unquote(quoted: &[u8]) -> Cow<'_, [u8]> {
    if !quoted.contains(&b'\\') {
        return Cow::Borrowed(quoted);
    }
    let mut text = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' {
            bytes.next().unwrap_or(byte)
        } else {
            byte
        };
        text.push(*byte);
    }
    Cow::Owned(text)
}

/// Returns whether `,OAuth` begins further credentials. It ignores quotes: they would make hiding
/// too easy.
fn holds_oauth_too(header: &[u8]) -> bool {
    header.split(|&byte| byte == b',').skip(1).any(|element| {
        let (token, after) = split_token(trim_start(element));
        token.eq_ignore_ascii_case(SCHEME) && after.first().is_none_or(|&byte| is_space(byte))
    })
}

/// Classifies an element without `=`: a token and a space begin further credentials.
fn not_a_pair(name: &[u8], after_name: &[u8], at_equals: &[u8]) -> Rejection {
    let spaced = after_name.len() > at_equals.len() && !matches!(at_equals, [] | [b',', ..]);
    if !name.is_empty() && (spaced || name.eq_ignore_ascii_case(SCHEME)) {
        Rejection::SeveralAuthorizations
    } else {
        Rejection::HeaderMalformed
    }
}

/// Splits a quoted value from the text after it.
fn split_value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (b'"', quoted) = text.split_first()? else {
        return None;
    };
    let first = memchr2(b'"', b'\\', quoted)?;
    if quoted[first] == b'"' {
        return Some((&quoted[..first], &quoted[first + 1..]));
    }
    let mut escaped = false;
    let end = quoted.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    Some((&quoted[..end], &quoted[end + 1..]))
}

fn split_token(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(
        text.iter()
            .position(|&byte| !is_token(byte))
            .unwrap_or(text.len()),
    )
}

/// Returns whether the byte is a `tchar` (RFC 9110 section 5.6.2).
pub(crate) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

fn trim(text: &[u8]) -> &[u8] {
    let end = text
        .iter()
        .rposition(|&byte| !is_space(byte))
        .map_or(0, |last| last + 1);
    trim_start(&text[..end])
}

fn trim_start(text: &[u8]) -> &[u8] {
    &text[text
        .iter()
        .position(|&byte| !is_space(byte))
        .unwrap_or(text.len())..]
}

/// Returns whether the byte is linear white space (RFC 2616 section 2.2), folded lines included;
/// RFC 5849 allows it between parameters.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The scheme, in any case.
const SCHEME: &[u8] = b"OAuth";

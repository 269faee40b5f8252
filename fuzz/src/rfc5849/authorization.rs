//! The `Authorization` header (section 3.5.1): a scheme and a list of `name="value"`.
//!
//! The list is that of RFC 9110 section 11.4: commas with optional white space around them, and
//! empty elements. White space around `=` is allowed too.

use super::escape::unescape;
use super::form::FormField;

/// A header, as far as it concerns OAuth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// Another scheme.
    Other,
    /// A list of parameters, decoded, without the realm.
    OAuth {
        /// The parameters in their order.
        parameters: Vec<FormField>,
        /// The realm without its quotes.
        realm: Option<Vec<u8>>,
    },
    /// The scheme `OAuth` with anything else.
    Malformed,
}

/// Reads one header.
pub fn read_authorization(header: &[u8]) -> Authorization {
    // A form feed is no white space of a header.
    let start = header.iter().position(|&byte| !is_space(byte));
    let text = &header[start.unwrap_or(header.len())..];
    if text.len() < 5 || !text[..5].eq_ignore_ascii_case(b"oauth") {
        return Authorization::Other;
    }
    let after = &text[5..];
    match after.first() {
        Some(byte) if is_tchar(*byte) => Authorization::Other,
        Some(byte) if !is_space(*byte) => Authorization::Malformed,
        _ => Reader { rest: after }
            .list()
            .unwrap_or(Authorization::Malformed),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn list(&mut self) -> Option<Authorization> {
        let (mut parameters, mut realm) = (Vec::new(), None);
        loop {
            self.skip_spaces();
            match self.rest.first() {
                None => return Some(Authorization::OAuth { parameters, realm }),
                Some(b',') => {
                    self.rest = &self.rest[1..];
                    continue;
                }
                Some(_) => {}
            }
            let name = self.token()?;
            self.skip_spaces();
            self.expect(b'=')?;
            self.skip_spaces();
            let quoted = self.quoted_string()?;
            if name.eq_ignore_ascii_case(b"realm") {
                if realm.replace(without_backslashes(&quoted)).is_some() {
                    return None;
                }
            } else if quoted.contains(&b'\\') {
                return None;
            } else {
                parameters.push((unescape(&name)?, unescape(&quoted)?));
            }
            self.skip_spaces();
            if !matches!(self.rest.first(), None | Some(b',')) {
                return None;
            }
        }
    }

    fn skip_spaces(&mut self) {
        while self.rest.first().is_some_and(|&byte| is_space(byte)) {
            self.rest = &self.rest[1..];
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    fn token(&mut self) -> Option<Vec<u8>> {
        let mut token = Vec::new();
        while let Some(&byte) = self.rest.first().filter(|&&byte| is_tchar(byte)) {
            token.push(byte);
            self.rest = &self.rest[1..];
        }
        (!token.is_empty()).then_some(token)
    }

    /// Reads up to the closing quote, and keeps backslashes.
    fn quoted_string(&mut self) -> Option<Vec<u8>> {
        self.expect(b'"')?;
        let mut inside = Vec::new();
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if byte == b'"' {
                return Some(inside);
            }
            inside.push(byte);
            if byte == b'\\' {
                let (&next, rest) = self.rest.split_first()?;
                self.rest = rest;
                inside.push(next);
            }
        }
    }
}

fn without_backslashes(quoted: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut at = 0;
    while at < quoted.len() {
        if quoted[at] == b'\\' && at + 1 < quoted.len() {
            at += 1;
        }
        text.push(quoted[at]);
        at += 1;
    }
    text
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_space(byte: u8) -> bool {
    b" \t\r\n".contains(&byte)
}

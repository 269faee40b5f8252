//! A request as it arrived, and the parts that are signed.

use super::authorization::{Authorization, read_authorization};
use super::form::{FormField, read_form};

/// A request as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlainRequest {
    /// The HTTP method.
    pub method: Vec<u8>,
    /// True for https.
    pub is_https: bool,
    /// The `Host` header.
    pub host: Vec<u8>,
    /// Path and query.
    pub target: Vec<u8>,
    /// Every `Authorization` header.
    pub authorization: Vec<Vec<u8>>,
    /// Every `Content-Type` header.
    pub content_type: Vec<Vec<u8>>,
    /// The body.
    pub body: Vec<u8>,
}

impl PlainRequest {
    /// Returns the path.
    pub fn path(&self) -> &[u8] {
        self.split().0
    }

    /// Returns the query without its `?`.
    pub fn query(&self) -> &[u8] {
        self.split().1
    }

    fn split(&self) -> (&[u8], &[u8]) {
        match self.target.iter().position(|&byte| byte == b'?') {
            Some(at) => (&self.target[..at], &self.target[at + 1..]),
            None => (&self.target, &[]),
        }
    }

    /// Returns the decoded parameters of query and form body; `None` if an escape is malformed.
    pub fn form_parameters(&self) -> Option<Vec<FormField>> {
        let mut all = read_form(self.query())?;
        if is_form(&self.content_type) {
            all.extend(read_form(&self.body)?);
        }
        Some(all)
    }

    /// Returns the decoded parameters of the `OAuth` header; `None` if it is malformed.
    pub fn header_parameters(&self) -> Option<Vec<FormField>> {
        let mut all = Vec::new();
        for header in &self.authorization {
            match read_authorization(header) {
                Authorization::Other => {}
                Authorization::OAuth { parameters, .. } => all.extend(parameters),
                Authorization::Malformed => return None,
            }
        }
        Some(all)
    }

    /// Returns all decoded parameters except the realm (section 3.4.1.3.1); `None` if the request is
    /// malformed.
    pub fn parameters(&self) -> Option<Vec<FormField>> {
        let mut all = self.header_parameters()?;
        all.extend(self.form_parameters()?);
        Some(all)
    }

    /// Returns the only value of a parameter; `None` if it is missing or repeated.
    pub fn single(&self, name: &str) -> Option<Vec<u8>> {
        let mut values = self
            .parameters()?
            .into_iter()
            .filter(|(other, _)| other == name.as_bytes());
        let (_, value) = values.next()?;
        values.next().is_none().then_some(value)
    }
}

/// Returns true if the body is a form: one header, whose media type is that of a form in any case.
/// A space or a control character ends the media type as `;` does.
pub fn is_form(content_type: &[Vec<u8>]) -> bool {
    let [one] = content_type else { return false };
    let text = one.trim_ascii_start();
    let end = text.iter().position(|&byte| byte == b';' || byte <= b' ');
    text[..end.unwrap_or(text.len())].eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

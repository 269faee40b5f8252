//! The fields of a query or a form (`application/x-www-form-urlencoded`).
//!
//! Parsing is strict: ambiguous input (a repeated name, a bad escape, bytes that are not UTF-8) is
//! refused.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use crate::server::body::{BodyBudget, BodyFault};

/// Fields by name. One may be a password, so there is no `Debug`, and every copy is wiped when it is
/// dropped.
pub(in crate::server) struct FormFields(Vec<(String, Zeroizing<String>)>);

/// An error in a query or a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum FormError {
    /// The media type is not that of a form.
    MediaType,
    /// The body is longer than [`BODY_LIMIT`].
    TooLarge,
    /// The body did not arrive in time, or ended early.
    Broken,
    /// The bodies of other requests use up the memory.
    Busy,
    /// There are too many fields, a repeated name, a bad escape, or bytes that are not UTF-8.
    Ambiguous,
}

impl FormError {
    /// Returns the status of the response.
    pub(in crate::server) const fn status(self) -> StatusCode {
        match self {
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Ambiguous => StatusCode::BAD_REQUEST,
        }
    }
}

impl FormFields {
    /// Parses a query, or the body of a form.
    pub(in crate::server) fn parse(text: &[u8]) -> Result<Self, FormError> {
        let mut fields = Self(Vec::new());
        let pairs = text.split(|&byte| byte == b'&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            fields.push(pair)?;
        }
        Ok(fields)
    }

    fn push(&mut self, pair: &[u8]) -> Result<(), FormError> {
        let mut parts = pair.splitn(2, |&byte| byte == b'=');
        let name = decoded(parts.next().unwrap_or_default())?;
        let value = decoded(parts.next().unwrap_or_default())?;
        if self.get(&name).is_some() || self.0.len() == MAX_FIELDS {
            return Err(FormError::Ambiguous);
        }
        self.0.push((name.to_string(), value));
        Ok(())
    }

    /// Reads and parses the body of a form.
    pub(in crate::server) async fn read(
        headers: &HeaderMap,
        body: Body,
        bodies: &BodyBudget,
    ) -> Result<Self, FormError> {
        if !is_form(headers) {
            return Err(FormError::MediaType);
        }
        if declared_length(headers).is_some_and(|length| length > BODY_LIMIT as u64) {
            return Err(FormError::TooLarge);
        }
        Self::parse(&bodies.read(body, BODY_LIMIT).await?)
    }

    /// Returns the value of a field, if it was sent.
    pub(in crate::server) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the value of a field; empty if it was not sent.
    pub(in crate::server) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return false;
    };
    let text = only.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

impl From<BodyFault> for FormError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge => Self::TooLarge,
            BodyFault::TooSlow | BodyFault::Broken => Self::Broken,
            BodyFault::Busy => Self::Busy,
        }
    }
}

fn decoded(text: &[u8]) -> Result<Zeroizing<String>, FormError> {
    if !has_valid_escapes(text) {
        return Err(FormError::Ambiguous);
    }
    let plus_as_space = |&byte: &u8| if byte == b'+' { b' ' } else { byte };
    let spaced: Zeroizing<Vec<u8>> = Zeroizing::new(text.iter().map(plus_as_space).collect());
    // With all of its capacity from the start, so that growth leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(spaced.len()));
    bytes.extend(percent_decode(&spaced));
    let decoded = str::from_utf8(&bytes).map_err(|_| FormError::Ambiguous)?;
    Ok(Zeroizing::new(decoded.to_owned()))
}

fn has_valid_escapes(text: &[u8]) -> bool {
    let is_escape = |at: usize| {
        text.get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    (0..text.len()).all(|at| text[at] != b'%' || is_escape(at))
}

/// Enough for the longest user name and password with every byte escaped.
const BODY_LIMIT: usize = 16 * 1024;

/// Twice the fields of any form of ours; a client may add its own parameters to the query.
const MAX_FIELDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_and_an_escape_a_byte() {
        let fields = FormFields::parse(b"username=jane+d%C3%B6e%2B&empty=&bare&&x%3Dy=1")
            .ok()
            .unwrap();
        assert_eq!(fields.get("username"), Some("jane döe+"));
        assert_eq!(
            (fields.get("empty"), fields.get("bare"), fields.get("x=y")),
            (Some(""), Some(""), Some("1"))
        );
        assert_eq!((fields.get("no"), fields.text("no")), (None, ""));
    }

    #[test]
    fn ambiguous_fields_are_refused() {
        let many = (0..17)
            .map(|nth| format!("f{nth}="))
            .collect::<Vec<_>>()
            .join("&");
        for wrong in [
            "a=1&a=2",
            "a=1&%61=2",
            "a=%",
            "a=%4",
            "a=%zz",
            "%=a",
            "a=%FF",
            many.as_str(),
        ] {
            assert_eq!(
                FormFields::parse(wrong.as_bytes()).err(),
                Some(FormError::Ambiguous),
                "{wrong}"
            );
        }
    }

    #[tokio::test]
    async fn only_forms_up_to_the_limit_are_read() {
        let headers = |media_type: &str| {
            HeaderMap::from_iter([(header::CONTENT_TYPE, media_type.parse().unwrap())])
        };
        let form = headers("Application/X-WWW-Form-Urlencoded; charset=UTF-8");
        assert_eq!(
            read(&form, Body::from("a=1")).await.ok().unwrap().text("a"),
            "1"
        );
        let long = format!("a={}", "x".repeat(BODY_LIMIT - 1));
        assert_eq!(
            read(&form, Body::from(long)).await.err(),
            Some(FormError::TooLarge)
        );
        for other in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencodedx",
            "",
        ] {
            let refused = read(&headers(other), Body::from("a=1")).await.err();
            assert_eq!(refused, Some(FormError::MediaType), "{other}");
        }
        assert_eq!(
            read(&HeaderMap::new(), Body::empty()).await.err(),
            Some(FormError::MediaType)
        );
    }

    async fn read(headers: &HeaderMap, body: Body) -> Result<FormFields, FormError> {
        FormFields::read(headers, body, &BodyBudget::default()).await
    }
}

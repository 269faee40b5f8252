//! The fields of a query or a form (`application/x-www-form-urlencoded`).
//!
//! Read strictly: what two readers may take differently (a name twice, a bad escape, bytes that are not UTF-8) is refused.
//! What the fields mean is left to who asks for them.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header};
use percent_encoding::percent_decode;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Fields by their names. One may be a password, so there is no `Debug`.
pub(in crate::server) struct Fields(Vec<(String, Zeroizing<String>)>);

/// Why fields can not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum BadFields {
    /// Not of the media type of a form.
    MediaType,
    /// The body is longer than [`BODY_LIMIT`].
    TooLarge,
    /// The body did not arrive in time, or broke off.
    Broken,
    /// More fields than any form of ours has, one of them twice, a bad escape, or bytes that are not UTF-8.
    Ambiguous,
}

impl BadFields {
    /// What whoever sent them is answered.
    pub(in crate::server) const fn status(self) -> StatusCode {
        match self {
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::REQUEST_TIMEOUT,
            Self::Ambiguous => StatusCode::BAD_REQUEST,
        }
    }
}

impl Fields {
    /// Reads a query, or the body of a form.
    pub(in crate::server) fn parse(text: &[u8]) -> Result<Self, BadFields> {
        let mut fields = Self(Vec::new());
        for pair in text
            .split(|&byte| byte == b'&')
            .filter(|pair| !pair.is_empty())
        {
            let at = pair
                .iter()
                .position(|&byte| byte == b'=')
                .unwrap_or(pair.len());
            let (name, value) = (
                decoded(&pair[..at])?,
                decoded(pair.get(at + 1..).unwrap_or_default())?,
            );
            if fields.get(&name).is_some() || fields.0.len() == FIELD_LIMIT {
                return Err(BadFields::Ambiguous);
            }
            fields.0.push((name.to_string(), value));
        }
        Ok(fields)
    }

    /// Reads the body of a form that was posted.
    pub(in crate::server) async fn posted(
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Self, BadFields> {
        if !is_form(headers) {
            return Err(BadFields::MediaType);
        }
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: u64| length > BODY_LIMIT as u64) {
            return Err(BadFields::TooLarge);
        }
        match timeout(BODY_TIME, to_bytes(body, BODY_LIMIT)).await {
            Ok(Ok(body)) => Self::parse(&body),
            Ok(Err(error)) if is_too_large(&error) => Err(BadFields::TooLarge),
            Ok(Err(_)) | Err(_) => Err(BadFields::Broken),
        }
    }

    /// The value of a field, if it was sent.
    pub(in crate::server) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a field; empty when it was not sent.
    pub(in crate::server) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return false;
    };
    let media_type = only
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    media_type
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn is_too_large(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

fn decoded(text: &[u8]) -> Result<Zeroizing<String>, BadFields> {
    let escaped = |at: usize| {
        text.get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    if (0..text.len()).any(|at| text[at] == b'%' && !escaped(at)) {
        return Err(BadFields::Ambiguous);
    }
    let spaced: Zeroizing<Vec<u8>> = Zeroizing::new(
        text.iter()
            .map(|&byte| if byte == b'+' { b' ' } else { byte })
            .collect(),
    );
    let bytes: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(bytes)
        .map(Zeroizing::new)
        .map_err(|_| BadFields::Ambiguous)
}

/// Ample for the longest name and password, each byte of them escaped.
const BODY_LIMIT: usize = 16 * 1024;

/// Ample for that on a slow line.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Twice what any form of ours has; a client may have put parameters of its own into the query.
const FIELD_LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_and_an_escape_a_byte() {
        let fields = Fields::parse(b"username=jane+d%C3%B6e%2B&empty=&bare&&x%3Dy=1")
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
    fn what_two_readers_may_take_differently_is_refused() {
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
                Fields::parse(wrong.as_bytes()).err(),
                Some(BadFields::Ambiguous),
                "{wrong}"
            );
        }
    }

    #[tokio::test]
    async fn only_a_form_of_bounded_length_is_read() {
        let headers = |media_type: &str| {
            HeaderMap::from_iter([(header::CONTENT_TYPE, media_type.parse().unwrap())])
        };
        let form = headers("Application/X-WWW-Form-Urlencoded; charset=UTF-8");
        assert_eq!(
            Fields::posted(&form, Body::from("a=1"))
                .await
                .ok()
                .unwrap()
                .text("a"),
            "1"
        );
        let long = format!("a={}", "x".repeat(BODY_LIMIT - 1));
        assert_eq!(
            Fields::posted(&form, Body::from(long)).await.err(),
            Some(BadFields::TooLarge)
        );
        for other in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencodedx",
            "",
        ] {
            let refused = Fields::posted(&headers(other), Body::from("a=1"))
                .await
                .err();
            assert_eq!(refused, Some(BadFields::MediaType), "{other}");
        }
        assert_eq!(
            Fields::posted(&HeaderMap::new(), Body::empty()).await.err(),
            Some(BadFields::MediaType)
        );
    }
}

//! Whether the body that Envoy sent is the whole body.
//!
//! A form whose body is not wholly here must never be verified as empty or as its beginning: the rest would reach the
//! backend unsigned. Envoy's own `x-envoy-auth-partial-body: false` is no proof, because a body of exactly
//! `max_request_bytes` with more to come says so too when `allow_partial_message` is on. Only `Content-Length` is, or
//! the operator's word that Envoy is configured to send whole bodies or none.

use super::attributes::Attributes;
use crate::verify::BodyGap;

/// The whole body.
///
/// # Errors
/// The [`BodyGap`] when it is not certain that this is all of it.
pub(super) fn whole<'a>(
    attributes: &Attributes<'a>,
    envoy_sends_whole_bodies: bool,
) -> Result<&'a [u8], BodyGap> {
    let headers = &attributes.headers;
    let body = attributes.body;
    let mark = &headers.partial_body;
    if attributes.size < 0 || mark.iter().any(|value| value != b"false") {
        return Err(BodyGap::Partial);
    }
    if attributes.body_is_text && body.contains(&b'!') {
        return Err(BodyGap::Altered);
    }
    match *headers.content_length {
        [length] => match decimal(length) {
            Some(length) if length == body.len() => Ok(body),
            Some(_) if body.is_empty() => Err(BodyGap::NotForwarded),
            Some(_) | None => Err(BodyGap::LengthMismatch),
        },
        [_, _, ..] => Err(BodyGap::LengthMismatch),
        // Envoy does not buffer a request that asks for an upgrade: bytes may follow that nobody saw.
        [] if !headers.upgrade.is_empty() => Err(BodyGap::NotForwarded),
        // Nor on a route where buffering is off. It marks every body that it looked at.
        [] if body.is_empty() && mark.is_empty() && !is_usual_without_body(attributes.method) => {
            Err(BodyGap::NotForwarded)
        }
        [] if envoy_sends_whole_bodies => Ok(body),
        [] => Err(BodyGap::LengthUnknown),
    }
}

/// Methods whose body no backend reads (RFC 9110 section 9.3); without one they have no `Content-Length: 0` either
/// (section 8.6).
fn is_usual_without_body(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

fn decimal(text: &[u8]) -> Option<usize> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::ext_authz::headers::Headers;

    const MARK: &str = "x-envoy-auth-partial-body";

    /// What [`whole`] says of a body that came with these headers.
    fn said(headers: &[(&str, &str)], body: &str, asserted: bool) -> Result<usize, BodyGap> {
        let mut attributes = Attributes::of_headers(Headers::joined(headers));
        attributes.body = body.as_bytes();
        whole(&attributes, asserted).map(<[u8]>::len)
    }

    #[test]
    fn a_body_is_whole_when_its_length_is_what_content_length_says() {
        assert_eq!(
            said(&[("content-length", "3"), (MARK, "false")], "a=1", false),
            Ok(3)
        );
        assert_eq!(said(&[("content-length", "0")], "", false), Ok(0));
    }

    #[test]
    fn a_part_of_a_body_is_never_whole() {
        assert_eq!(
            said(&[("content-length", "3"), (MARK, "true")], "a=1", true),
            Err(BodyGap::Partial)
        );
        assert_eq!(
            said(&[("content-length", "9"), (MARK, "false")], "a=1", true),
            Err(BodyGap::LengthMismatch)
        );
        assert_eq!(
            said(&[("content-length", "2")], "a=1", true),
            Err(BodyGap::LengthMismatch)
        );
        assert_eq!(
            said(&[("content-length", "3,3")], "a=1", true),
            Err(BodyGap::LengthMismatch)
        );
    }

    #[test]
    fn two_lengths_are_no_length() {
        let headers = Headers::raw(&[("content-length", b"3"), ("Content-Length", b"3")]);
        let attributes = Attributes {
            body: b"a=1",
            ..Attributes::of_headers(headers)
        };
        assert_eq!(whole(&attributes, true), Err(BodyGap::LengthMismatch));
    }

    #[test]
    fn a_body_that_was_not_forwarded_is_not_empty() {
        assert_eq!(
            said(&[("content-length", "3")], "", true),
            Err(BodyGap::NotForwarded)
        );
        assert_eq!(
            said(&[("upgrade", "websocket")], "", true),
            Err(BodyGap::NotForwarded)
        );
    }

    #[test]
    fn without_a_length_only_the_operators_word_counts() {
        assert_eq!(
            said(&[(MARK, "false")], "a=1", false),
            Err(BodyGap::LengthUnknown)
        );
        assert_eq!(said(&[(MARK, "false")], "a=1", true), Ok(3));
        assert_eq!(said(&[], "", true), Ok(0));
    }

    #[test]
    fn a_body_that_envoy_did_not_look_at_is_not_empty() {
        let marked = [(MARK, "false")];
        for (method, headers, whole_body) in [
            ("POST", &[][..], Err(BodyGap::NotForwarded)),
            ("get", &[], Err(BodyGap::NotForwarded)),
            ("POST", &marked, Ok(&b""[..])),
            ("GET", &[], Ok(&b""[..])),
        ] {
            let attributes = Attributes {
                method,
                ..Attributes::of_headers(Headers::joined(headers))
            };
            assert_eq!(whole(&attributes, true), whole_body, "{method}");
        }
    }

    #[test]
    fn a_negative_size_is_a_part() {
        let mut attributes = Attributes::of_headers(Headers::default());
        attributes.size = -1;
        assert_eq!(whole(&attributes, true), Err(BodyGap::Partial));
    }

    #[test]
    fn a_text_body_that_envoy_may_have_altered_is_not_whole() {
        let mut attributes = Attributes::of_headers(Headers::joined(&[("content-length", "3")]));
        attributes.body = b"a=!";
        assert_eq!(whole(&attributes, true), Ok(&b"a=!"[..]));
        attributes.body_is_text = true;
        assert_eq!(whole(&attributes, true), Err(BodyGap::Altered));
    }
}

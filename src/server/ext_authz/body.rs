//! Completeness of the body that Envoy sent.
//!
//! An incomplete form must never be verified as empty or by its beginning: the rest would reach the
//! backend unsigned. Envoy's own `x-envoy-auth-partial-body: false` proves nothing, because with
//! `allow_partial_message` it also marks the first `max_request_bytes` of a longer body. Only
//! `Content-Length`, or the operator's statement that Envoy sends whole bodies or none, is proof.

use super::attributes::RequestAttributes;
use crate::verify::BodyGap;

/// Returns the whole body.
///
/// # Errors
/// The [`BodyGap`], if the body may be incomplete.
pub(super) fn whole<'a>(
    attributes: &RequestAttributes<'a>,
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
        // Envoy does not buffer an upgrade request: more bytes may follow unseen.
        [] if !headers.upgrade.is_empty() => Err(BodyGap::NotForwarded),
        // Envoy does not buffer on a route where buffering is off either. It marks buffered bodies.
        [] if body.is_empty() && mark.is_empty() && !is_usual_without_body(attributes.method) => {
            Err(BodyGap::NotForwarded)
        }
        [] if envoy_sends_whole_bodies => Ok(body),
        [] => Err(BodyGap::LengthUnknown),
    }
}

/// Returns true if nothing shows that the request has a body: none arrived, no length announces one,
/// and the method is usual without one, or Envoy sends every body.
///
/// DELETE is usual without a body, but may have one, so a form is not [`whole`] then.
pub(super) fn is_unseen(
    attributes: &RequestAttributes<'_>,
    envoy_sends_whole_bodies: bool,
) -> bool {
    let headers = &attributes.headers;
    let is_marked = !headers.partial_body.is_empty()
        && headers.partial_body.iter().all(|value| value == b"false");
    let may_omit_it = match attributes.method {
        "GET" => true,
        method => {
            headers.upgrade.is_empty()
                && (is_marked
                    || envoy_sends_whole_bodies
                    || is_usual_without_body(method)
                    || method == "DELETE")
        }
    };
    attributes.body.is_empty()
        && attributes.size == 0
        && headers.content_length.is_empty()
        && may_omit_it
}

/// Returns true for methods whose body no backend reads (RFC 9110 section 9.3); without a body they
/// have no `Content-Length: 0` either (section 8.6).
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
    use crate::server::ext_authz::headers::CheckHeaders;

    const MARK: &str = "x-envoy-auth-partial-body";

    /// Runs [`whole`] on a body that came with these headers.
    fn length(headers: &[(&str, &str)], body: &str, asserted: bool) -> Result<usize, BodyGap> {
        let mut attributes = RequestAttributes::of_headers(CheckHeaders::joined(headers));
        attributes.body = body.as_bytes();
        whole(&attributes, asserted).map(<[u8]>::len)
    }

    #[test]
    fn a_body_of_the_length_in_content_length_is_whole() {
        assert_eq!(
            length(&[("content-length", "3"), (MARK, "false")], "a=1", false),
            Ok(3)
        );
        assert_eq!(length(&[("content-length", "0")], "", false), Ok(0));
    }

    #[test]
    fn a_part_of_a_body_is_never_whole() {
        assert_eq!(
            length(&[("content-length", "3"), (MARK, "true")], "a=1", true),
            Err(BodyGap::Partial)
        );
        assert_eq!(
            length(&[("content-length", "9"), (MARK, "false")], "a=1", true),
            Err(BodyGap::LengthMismatch)
        );
        assert_eq!(
            length(&[("content-length", "2")], "a=1", true),
            Err(BodyGap::LengthMismatch)
        );
        assert_eq!(
            length(&[("content-length", "3,3")], "a=1", true),
            Err(BodyGap::LengthMismatch)
        );
        assert_eq!(
            length(&[("content-length", "+3")], "a=1", true),
            Err(BodyGap::LengthMismatch)
        );
    }

    #[test]
    fn two_lengths_are_no_length() {
        let headers = CheckHeaders::raw(&[("content-length", b"3"), ("Content-Length", b"3")]);
        let attributes = RequestAttributes {
            body: b"a=1",
            ..RequestAttributes::of_headers(headers)
        };
        assert_eq!(whole(&attributes, true), Err(BodyGap::LengthMismatch));
    }

    #[test]
    fn a_body_that_was_not_forwarded_is_not_empty() {
        assert_eq!(
            length(&[("content-length", "3")], "", true),
            Err(BodyGap::NotForwarded)
        );
        assert_eq!(
            length(&[("upgrade", "websocket")], "", true),
            Err(BodyGap::NotForwarded)
        );
    }

    #[test]
    fn without_a_length_only_the_operators_statement_counts() {
        assert_eq!(
            length(&[(MARK, "false")], "a=1", false),
            Err(BodyGap::LengthUnknown)
        );
        assert_eq!(length(&[(MARK, "false")], "a=1", true), Ok(3));
        assert_eq!(length(&[], "", true), Ok(0));
    }

    #[test]
    fn a_body_that_envoy_did_not_buffer_is_not_empty() {
        let marked = [(MARK, "false")];
        for (method, headers, whole_body) in [
            ("POST", &[][..], Err(BodyGap::NotForwarded)),
            ("get", &[], Err(BodyGap::NotForwarded)),
            ("POST", &marked, Ok(&b""[..])),
            ("GET", &[], Ok(&b""[..])),
        ] {
            let attributes = RequestAttributes {
                method,
                ..RequestAttributes::of_headers(CheckHeaders::joined(headers))
            };
            assert_eq!(whole(&attributes, true), whole_body, "{method}");
        }
    }

    #[test]
    fn a_post_without_any_sign_of_a_body_has_none_if_envoy_sends_every_body() {
        let of = |headers: &[(&str, &str)], asserted| {
            let attributes = RequestAttributes {
                method: "POST",
                ..RequestAttributes::of_headers(CheckHeaders::joined(headers))
            };
            is_unseen(&attributes, asserted)
        };
        assert!(of(&[], true) && of(&[(MARK, "false")], false));
        for (headers, asserted) in [
            (&[][..], false),
            (&[(MARK, "true")], false),
            (&[("content-length", "3")], true),
            (&[("upgrade", "websocket")], true),
        ] {
            assert!(!of(headers, asserted), "{headers:?}");
        }
    }

    #[test]
    fn a_request_whose_method_is_usual_without_a_body_has_none_unless_something_announces_one() {
        let of = |method, headers: &[(&str, &str)]| {
            let attributes = RequestAttributes {
                method,
                ..RequestAttributes::of_headers(CheckHeaders::joined(headers))
            };
            is_unseen(&attributes, false)
        };
        for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
            assert!(of(method, &[]), "{method}");
            assert!(!of(method, &[("content-length", "0")]), "{method}");
        }
        assert!(!of("POST", &[]) && !of("PUT", &[]));
    }

    #[test]
    fn a_negative_size_is_a_part() {
        let mut attributes = RequestAttributes::of_headers(CheckHeaders::default());
        attributes.size = -1;
        assert_eq!(whole(&attributes, true), Err(BodyGap::Partial));
    }

    #[test]
    fn a_text_body_that_envoy_may_have_altered_is_not_whole() {
        let mut attributes =
            RequestAttributes::of_headers(CheckHeaders::joined(&[("content-length", "3")]));
        attributes.body = b"a=!";
        assert_eq!(whole(&attributes, true), Ok(&b"a=!"[..]));
        attributes.body_is_text = true;
        assert_eq!(whole(&attributes, true), Err(BodyGap::Altered));
    }
}

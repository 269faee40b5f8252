//! Envoy's description of a request: a `CheckRequest`, read once and completely into borrowed
//! slices.
//!
//! Clients of the ext_authz API fill different fields: `headers` or `header_map`, `body` or
//! `raw_body`, with or without pseudo-headers. No `Option` of the wire gets past this file.

use super::headers::{CheckHeaders, HeaderValues};
use super::wire::HttpRequest;
use crate::oauth::diagnosis::ForwardedHeaders;
use crate::verify::Reason;

/// A request as Envoy describes it.
pub(super) struct RequestAttributes<'a> {
    /// The HTTP method as on the wire.
    pub(super) method: &'a str,
    /// `:scheme`, from the transport or from an `x-forwarded-proto` that Envoy trusts.
    pub(super) scheme: &'a str,
    /// `:authority`.
    pub(super) host: &'a str,
    /// Path and query as Envoy forwards them.
    pub(super) target: &'a [u8],
    /// The headers.
    pub(super) headers: CheckHeaders<'a>,
    /// The part of the body that Envoy sent.
    pub(super) body: &'a [u8],
    /// The body came as text (`pack_as_bytes: false`): a `!` may replace a byte that is not UTF-8.
    pub(super) body_is_text: bool,
    /// The size of the body as Envoy reports it; negative is "more than was sent".
    pub(super) size: i64,
    /// Envoy's id of the request.
    pub(super) id: &'a str,
    /// The address of Envoy's peer.
    pub(super) source: &'a str,
    /// The whole message.
    pub(super) message: &'a [u8],
}

impl<'a> RequestAttributes<'a> {
    /// Reads Envoy's request; `source` is the address of Envoy's peer.
    ///
    /// # Errors
    /// [`Reason::NotHttp`] for a request of the network filter, [`Reason::AmbiguousHeaders`] if
    /// headers or body came in two forms.
    pub(super) fn read(http: Option<HttpRequest<'a>>, source: &'a str) -> Result<Self, Reason> {
        let HttpRequest {
            id,
            method,
            path,
            host,
            scheme,
            size,
            body,
            raw_body,
            mut headers,
            message,
        } = http.ok_or(Reason::NotHttp)?;
        if headers.are_ambiguous() || (!body.is_empty() && !raw_body.is_empty()) {
            return Err(Reason::AmbiguousHeaders);
        }
        split_content_type(&mut headers.content_type);
        Ok(Self {
            method,
            scheme,
            host,
            target: headers.exact_path().unwrap_or(path.as_bytes()),
            headers,
            body: if raw_body.is_empty() {
                body.as_bytes()
            } else {
                raw_body
            },
            body_is_text: raw_body.is_empty(),
            size,
            id,
            source,
            message,
        })
    }

    /// Returns the headers in which Envoy and proxies before it report the client's request. They
    /// are read anew, since only a denial needs them.
    pub(super) fn forwarded(&self) -> ForwardedHeaders<'a> {
        let mut headers = ForwardedHeaders::default();
        // The message is valid: it was read for the check.
        let _: Result<(), _> = HttpRequest::each_header(self.message, |name, value| {
            headers.add(name.as_bytes(), value);
        });
        headers
    }

    /// Returns `x-request-id`, which only a denial needs.
    pub(super) fn request_id(&self) -> Option<&'a [u8]> {
        let mut id = None;
        // The message is valid: it was read for the check.
        let _: Result<(), _> = HttpRequest::each_header(self.message, |name, value| {
            if name.eq_ignore_ascii_case("x-request-id") {
                id = id.or(Some(value));
            }
        });
        id
    }

    /// Returns the path, without the query.
    pub(super) fn path(&self) -> &'a [u8] {
        self.target
            .split(|&byte| byte == b'?')
            .next()
            .unwrap_or_default()
    }

    /// Returns the host in lower case, without its port and the dot of a fully qualified name, as
    /// route rules match it.
    pub(super) fn host_name(&self) -> String {
        let name = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) | None => self.host,
        };
        name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
    }
}

/// Separates repeated `Content-Type` headers, which Envoy joins with a comma in both forms.
fn split_content_type(content_type: &mut HeaderValues<'_>) {
    if content_type.iter().any(|value| value.contains(&b',')) {
        *content_type = content_type
            .iter()
            .copied()
            .flat_map(unquoted_commas)
            .collect();
    }
}

/// Splits at commas outside quoted strings.
fn unquoted_commas(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    value.split(move |&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
}

#[cfg(test)]
impl<'a> RequestAttributes<'a> {
    /// Returns a GET without a body, with these headers.
    pub(super) fn of_headers(headers: CheckHeaders<'a>) -> Self {
        Self {
            method: "GET",
            scheme: "http",
            host: "api.test",
            target: b"/",
            headers,
            body: b"",
            body_is_text: false,
            size: 0,
            id: "",
            source: "",
            message: b"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(http: HttpRequest<'_>) -> Result<RequestAttributes<'_>, Reason> {
        RequestAttributes::read(Some(http), "")
    }

    #[test]
    fn two_answers_to_one_question_are_refused() {
        let mut headers = CheckHeaders::joined(&[("a", "1")]);
        headers.add_raw("a", b"2");
        let headers = HttpRequest {
            headers,
            ..HttpRequest::default()
        };
        let bodies = HttpRequest {
            body: "a",
            raw_body: b"b",
            ..HttpRequest::default()
        };
        for http in [headers, bodies] {
            assert_eq!(read(http).err(), Some(Reason::AmbiguousHeaders));
        }
    }

    #[test]
    fn content_types_that_envoy_joined_are_separate_again() {
        let headers = CheckHeaders::joined(&[("content-type", "a/b; c=\"d,e\",f/g")]);
        let attributes = read(HttpRequest {
            headers,
            ..HttpRequest::default()
        })
        .unwrap();
        let types: Vec<_> = attributes.headers.content_type.iter().copied().collect();
        assert_eq!(types, [&b"a/b; c=\"d,e\""[..], b"f/g"]);
    }

    #[test]
    fn a_request_without_http_attributes_is_refused() {
        assert_eq!(
            RequestAttributes::read(None, "").err(),
            Some(Reason::NotHttp)
        );
    }

    #[test]
    fn the_body_is_read_from_either_field() {
        let text = read(HttpRequest {
            body: "a",
            ..HttpRequest::default()
        })
        .unwrap();
        assert_eq!((text.body, text.body_is_text), (&b"a"[..], true));
        let bytes = read(HttpRequest {
            raw_body: b"a",
            ..HttpRequest::default()
        })
        .unwrap();
        assert_eq!((bytes.body, bytes.body_is_text), (&b"a"[..], false));
    }

    #[test]
    fn the_path_is_taken_as_bytes_where_it_is_there() {
        let headers = CheckHeaders::raw(&[(":path", b"/a\xff")]);
        assert_eq!(
            read(HttpRequest {
                path: "/a!",
                headers,
                ..HttpRequest::default()
            })
            .unwrap()
            .target,
            b"/a\xff"
        );
        let headers = CheckHeaders::joined(&[(":path", "/b")]);
        assert_eq!(
            read(HttpRequest {
                path: "/a",
                headers,
                ..HttpRequest::default()
            })
            .unwrap()
            .target,
            b"/a"
        );
    }

    #[test]
    fn the_host_name_has_no_port_and_no_capitals() {
        let mut attributes = RequestAttributes::of_headers(CheckHeaders::default());
        for (host, name) in [
            ("Api.Test:8080", "api.test"),
            ("api.test.:80", "api.test"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            attributes.host = host;
            assert_eq!(attributes.host_name(), name);
        }
    }
}

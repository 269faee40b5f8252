//! What Envoy says about a request: a `CheckRequest` read once, completely, into borrowed slices.
//!
//! Clients of the ext_authz API fill different fields: `headers` or `header_map`, `body` or `raw_body`, with or without
//! pseudo-headers. No `Option` of the wire gets past this file.

use super::headers::Headers;
use super::wire::HttpRequest;
use crate::verify::Reason;

/// A request as Envoy describes it.
pub(super) struct Attributes<'a> {
    /// The HTTP method as on the wire.
    pub(super) method: &'a str,
    /// `:scheme`, from the transport or from a trusted `x-forwarded-proto`.
    pub(super) scheme: &'a str,
    /// `:authority`.
    pub(super) host: &'a str,
    /// Path and query as Envoy forwards them.
    pub(super) target: &'a [u8],
    /// The headers.
    pub(super) headers: Headers<'a>,
    /// The body as far as it was sent.
    pub(super) body: &'a [u8],
    /// The body came as text (`pack_as_bytes: false`): a `!` may stand for a byte that is not UTF-8.
    pub(super) body_is_text: bool,
    /// The size that the client of this API says the body has; negative is "more than was sent".
    pub(super) size: i64,
    /// The id that Envoy gave the request.
    pub(super) id: &'a str,
    /// The address of Envoy's peer.
    pub(super) source: &'a str,
}

impl<'a> Attributes<'a> {
    /// Reads what Envoy sent; `source` is the address of its peer.
    ///
    /// # Errors
    /// [`Reason::NotHttp`] for the network filter's request, [`Reason::AmbiguousHeaders`] when there are two answers to
    /// what the headers or the body are.
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
            headers,
        } = http.ok_or(Reason::NotHttp)?;
        if headers.are_ambiguous() || (!body.is_empty() && !raw_body.is_empty()) {
            return Err(Reason::AmbiguousHeaders);
        }
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
        })
    }

    /// The path, without the query.
    pub(super) fn path(&self) -> &'a [u8] {
        self.target
            .split(|&byte| byte == b'?')
            .next()
            .unwrap_or_default()
    }

    /// The host in lower case without its port and the dot of a fully qualified name: what route rules are matched
    /// against.
    pub(super) fn host_name(&self) -> String {
        let name = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) | None => self.host,
        };
        name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
    }
}

#[cfg(test)]
impl<'a> Attributes<'a> {
    /// A GET without a body, with these headers.
    pub(super) fn of_headers(headers: Headers<'a>) -> Self {
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(http: HttpRequest<'_>) -> Result<Attributes<'_>, Reason> {
        Attributes::read(Some(http), "")
    }

    #[test]
    fn two_answers_to_one_question_are_refused() {
        let mut headers = Headers::joined(&[("a", "1")]);
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
    fn a_request_without_http_attributes_is_refused() {
        assert_eq!(Attributes::read(None, "").err(), Some(Reason::NotHttp));
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
        let headers = Headers::raw(&[(":path", b"/a\xff")]);
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
        let headers = Headers::joined(&[(":path", "/b")]);
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
        let mut attributes = Attributes::of_headers(Headers::default());
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

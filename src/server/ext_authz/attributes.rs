//! What Envoy says about a request: a [`CheckRequest`] read once, completely, into borrowed slices.
//!
//! Clients of the ext_authz API fill different fields: `headers` or `header_map`, `body` or `raw_body`, with or without
//! pseudo-headers. No `Option` of the wire gets past this file.

use std::collections::HashMap;

use envoy_types::ext_authz::v3::pb::{Address, CheckRequest, HeaderValue};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;

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
    /// Reads what Envoy sent.
    ///
    /// # Errors
    /// [`Reason::NotHttp`] for the network filter's request, [`Reason::AmbiguousHeaders`] when there are two answers to
    /// what the headers or the body are.
    pub(super) fn read(request: &'a CheckRequest) -> Result<Self, Reason> {
        let attributes = request.attributes.as_ref().ok_or(Reason::NotHttp)?;
        let http = attributes.request.as_ref().and_then(|request| request.http.as_ref()).ok_or(Reason::NotHttp)?;
        let headers = Headers::read(http)?;
        if !http.body.is_empty() && !http.raw_body.is_empty() {
            return Err(Reason::AmbiguousHeaders);
        }
        Ok(Self {
            method: &http.method,
            scheme: &http.scheme,
            host: &http.host,
            target: headers.exact_path().unwrap_or(http.path.as_bytes()),
            headers,
            body: if http.raw_body.is_empty() { http.body.as_bytes() } else { &http.raw_body },
            body_is_text: http.raw_body.is_empty(),
            size: http.size,
            id: &http.id,
            source: source_address(request).unwrap_or_default(),
        })
    }

    /// The path, without the query.
    pub(super) fn path(&self) -> &'a [u8] {
        self.target.split(|&byte| byte == b'?').next().unwrap_or_default()
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

/// Envoy's `context_extensions` of the route; clients can not set them.
pub(super) fn context_extensions(request: &CheckRequest) -> Option<&HashMap<String, String>> {
    request.attributes.as_ref().map(|attributes| &attributes.context_extensions)
}

fn source_address(request: &CheckRequest) -> Option<&str> {
    match request.attributes.as_ref()?.source.as_ref()?.address.as_ref()?.address.as_ref()? {
        Address::SocketAddress(socket) => Some(&socket.address),
        Address::Pipe(_) | Address::EnvoyInternalAddress(_) => None,
    }
}

/// The headers, in whichever form Envoy sent them.
#[derive(Clone, Copy)]
pub(super) enum Headers<'a> {
    /// `headers`: lower-case names; repeated ones joined by `,`; not UTF-8 replaced by `!`.
    Joined(&'a HashMap<String, String>),
    /// `header_map` (`encode_raw_headers`): every header by itself, as bytes.
    Raw(&'a [HeaderValue]),
}

impl<'a> Headers<'a> {
    fn read(http: &'a HttpRequest) -> Result<Self, Reason> {
        match &http.header_map {
            Some(map) if !map.headers.is_empty() && !http.headers.is_empty() => Err(Reason::AmbiguousHeaders),
            Some(map) if !map.headers.is_empty() => Ok(Self::Raw(&map.headers)),
            Some(_) | None => Ok(Self::Joined(&http.headers)),
        }
    }

    /// The values of a header; `name` is in lower case.
    pub(super) fn values(self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let (joined, raw): (_, &[HeaderValue]) = match self {
            Headers::Joined(map) => (map.get(name), &[]),
            Headers::Raw(list) => (None, list),
        };
        let raw = raw.iter().filter(move |header| header.key.eq_ignore_ascii_case(name)).map(value);
        joined.map(String::as_bytes).into_iter().chain(raw)
    }

    /// The only value of a header; `None` when there is none or more than one.
    pub(super) fn single(self, name: &'static str) -> Option<&'a [u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// The names of all headers, as often as they are there.
    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        let (joined, raw): (_, &[HeaderValue]) = match self {
            Headers::Joined(map) => (Some(map), &[]),
            Headers::Raw(list) => (None, list),
        };
        joined.into_iter().flat_map(HashMap::keys).map(String::as_str).chain(raw.iter().map(|h| h.key.as_str()))
    }

    /// `:path` as bytes: the `path` attribute has everything that is not UTF-8 replaced.
    fn exact_path(self) -> Option<&'a [u8]> {
        match self {
            Headers::Joined(_) => None,
            Headers::Raw(_) => self.single(":path"),
        }
    }
}

fn value(header: &HeaderValue) -> &[u8] {
    if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value }
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
    use envoy_types::pb::envoy::config::core::v3::HeaderMap;
    use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
    use envoy_types::pb::envoy::service::auth::v3::attribute_context;

    use super::*;

    fn message(http: HttpRequest) -> CheckRequest {
        let request = attribute_context::Request { http: Some(http), ..attribute_context::Request::default() };
        CheckRequest { attributes: Some(AttributeContext { request: Some(request), ..AttributeContext::default() }) }
    }

    fn raw(headers: &[(&str, &[u8])]) -> Option<HeaderMap> {
        let header = |&(key, value): &(&str, &[u8])| HeaderValue {
            key: key.to_owned(),
            raw_value: value.to_vec(),
            ..HeaderValue::default()
        };
        Some(HeaderMap { headers: headers.iter().map(header).collect() })
    }

    #[test]
    fn headers_are_read_from_either_form() {
        let joined = HashMap::from([("accept".to_owned(), "a,b".to_owned())]);
        let one = message(HttpRequest { headers: joined, ..HttpRequest::default() });
        let other =
            message(HttpRequest { header_map: raw(&[("accept", b"a"), ("accept", b"b")]), ..HttpRequest::default() });
        let values = |message| Attributes::read(message).map(|read| read.headers.values("accept").count());
        assert_eq!(values(&one), Ok(1));
        assert_eq!(values(&other), Ok(2));
    }

    #[test]
    fn two_answers_to_one_question_are_refused() {
        let joined = HashMap::from([("a".to_owned(), "1".to_owned())]);
        let headers = HttpRequest { headers: joined, header_map: raw(&[("a", b"2")]), ..HttpRequest::default() };
        let bodies = HttpRequest { body: "a".to_owned(), raw_body: b"b".to_vec(), ..HttpRequest::default() };
        for http in [headers, bodies] {
            assert_eq!(Attributes::read(&message(http)).err(), Some(Reason::AmbiguousHeaders));
        }
    }

    #[test]
    fn a_request_without_http_attributes_is_refused() {
        let nothing = CheckRequest::default();
        let tcp = CheckRequest { attributes: Some(AttributeContext::default()) };
        for request in [nothing, tcp] {
            assert_eq!(Attributes::read(&request).err(), Some(Reason::NotHttp));
        }
    }

    #[test]
    fn the_path_is_taken_as_bytes_where_it_is_there() {
        let http =
            HttpRequest { path: "/a!".to_owned(), header_map: raw(&[(":path", b"/a\xff")]), ..HttpRequest::default() };
        assert_eq!(Attributes::read(&message(http)).unwrap().target, b"/a\xff");
    }

    #[test]
    fn the_host_name_has_no_port_and_no_capitals() {
        let mut attributes = Attributes::of_headers(Headers::Raw(&[]));
        for (host, name) in
            [("Api.Test:8080", "api.test"), ("api.test.:80", "api.test"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")]
        {
            attributes.host = host;
            assert_eq!(attributes.host_name(), name);
        }
    }
}

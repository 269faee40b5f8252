//! A request for credentials as its client signed it, as far as the configuration knows, and as it came: what the verifier
//! reads, and what diagnostics are told.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderName, HeaderValue, request};

use crate::config::HttpConfig;
use crate::diagnostics::SentRequest;
use crate::oauth::diagnosis::{Forwarded, Received, Setting};
use crate::oauth::{self, Body, Limits, Scheme};

/// A request for credentials.
pub(super) struct Signed<'r> {
    head: &'r request::Parts,
    config: &'r HttpConfig,
    authorization: Vec<&'r [u8]>,
    content_type: Vec<&'r [u8]>,
    body: Body<'r>,
}

// === impl Signed ===

impl<'r> Signed<'r> {
    /// What came, at a listener that is configured so.
    pub(super) fn of(head: &'r request::Parts, body: Body<'r>, config: &'r HttpConfig) -> Self {
        let values = |name: &HeaderName| {
            head.headers
                .get_all(name)
                .iter()
                .map(HeaderValue::as_bytes)
                .collect()
        };
        Self {
            head,
            config,
            authorization: values(&AUTHORIZATION),
            content_type: values(&CONTENT_TYPE),
            body,
        }
    }

    /// Its head.
    pub(super) const fn head(&self) -> &'r request::Parts {
        self.head
    }

    /// Its host, as it came.
    pub(super) fn host(&self) -> &'r [u8] {
        self.value(HOST.as_str()).unwrap_or_default()
    }

    /// Its path and query.
    pub(super) fn target(&self) -> &'r [u8] {
        self.head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .as_bytes()
    }

    /// What the verifier reads.
    pub(super) fn request(&self) -> oauth::Request<'_> {
        let origin = self.config.public_url.as_ref();
        oauth::Request {
            method: self.head.method.as_str().as_bytes(),
            scheme: origin.map_or_else(|| self.received_scheme(), |origin| origin.scheme),
            authority: origin.map_or_else(|| self.host(), |origin| origin.authority.as_bytes()),
            path_prefix: origin.map_or(&b""[..], |origin| origin.path_prefix.as_bytes()),
            target: self.target(),
            authorization: &self.authorization,
            content_type: &self.content_type,
            body: self.body,
        }
    }

    /// Whether an operator configured that clients come by https.
    pub(super) fn https_is_configured(&self) -> bool {
        self.config
            .public_url
            .as_ref()
            .is_some_and(|origin| origin.scheme == Scheme::Https)
    }

    /// What it can be explained by, where it is read within these bounds.
    pub(super) fn sent(&self, limits: &Limits) -> SentRequest<'_> {
        let forwarded = Forwarded {
            host: self.value("x-forwarded-host"),
            proto: self.value("x-forwarded-proto"),
            port: self.value("x-forwarded-port"),
            prefix: self.value("x-forwarded-prefix"),
            original_path: self.value("x-envoy-original-path"),
        };
        let received = Received {
            scheme: self.received_scheme(),
            authority: self.host(),
        };
        let received = self.config.public_url.as_ref().map(|_| received);
        SentRequest {
            request: self.request(),
            limits: *limits,
            forwarded,
            received,
            setting: Setting::PublicUrl,
        }
    }

    const fn received_scheme(&self) -> Scheme {
        if self.config.listener.tls.is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// Of a header that came several times, the first.
    fn value(&self, name: &str) -> Option<&'r [u8]> {
        self.head.headers.get(name).map(HeaderValue::as_bytes)
    }
}

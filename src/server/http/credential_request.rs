//! A request for credentials: as the client signed it, for the verifier, and as it arrived, for
//! diagnosis.

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Extensions, HeaderName, HeaderValue, request};

use super::client_address::ClientAddress;
use super::grant::Endpoint;
use crate::config::{HttpConfig, Mode};
use crate::diagnostics::SentRequest;
use crate::oauth::diagnosis::{ForwardedHeaders, OriginSetting, ReceivedOrigin};
use crate::oauth::{self, ParseLimits, RequestBody, Scheme};
use crate::server::denial::report::ReportedRequest;
use crate::server::negotiation::AcceptHeader;
use crate::verify::EndpointRules;

/// A request for credentials.
pub(super) struct CredentialRequest<'r> {
    endpoint: Endpoint,
    head: &'r request::Parts,
    config: &'r HttpConfig,
    authorization: Vec<&'r [u8]>,
    content_type: Vec<&'r [u8]>,
    body: RequestBody<'r>,
}

// === impl CredentialRequest ===

impl<'r> CredentialRequest<'r> {
    /// Returns a request to `endpoint` that arrived at a listener with this configuration.
    pub(super) fn of(
        endpoint: Endpoint,
        head: &'r request::Parts,
        body: RequestBody<'r>,
        config: &'r HttpConfig,
    ) -> Self {
        let values = |name: &HeaderName| {
            head.headers
                .get_all(name)
                .iter()
                .map(HeaderValue::as_bytes)
                .collect()
        };
        Self {
            endpoint,
            head,
            config,
            authorization: values(&AUTHORIZATION),
            content_type: values(&CONTENT_TYPE),
            body,
        }
    }

    /// Returns the extensions that middleware added.
    pub(super) const fn extensions(&self) -> &'r Extensions {
        &self.head.extensions
    }

    /// Returns true if the body is over the limit and was not read.
    pub(super) const fn is_too_large(&self) -> bool {
        matches!(self.body, RequestBody::NotWhole)
    }

    /// Returns the media types that the client accepts.
    pub(super) fn accept(&self) -> AcceptHeader<'r> {
        let values = self.head.headers.get_all(ACCEPT);
        AcceptHeader::parse(values.iter().map(HeaderValue::as_bytes))
    }

    /// Returns the host as it arrived.
    fn host(&self) -> &'r [u8] {
        self.value(HOST.as_str()).unwrap_or_default()
    }

    /// Returns the path and the query.
    fn target(&self) -> &'r [u8] {
        self.head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .as_bytes()
    }

    /// Returns the request as the client signed it.
    pub(super) fn signed(&self) -> oauth::Request<'_> {
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

    /// Returns the rules for reading the request.
    ///
    /// Several PHP clients send `oauth_verifier` in the form. They sign it, so `/oauth/access_token`
    /// accepts it there.
    pub(super) fn rules(&self) -> EndpointRules {
        EndpointRules {
            https_is_configured: self.https_is_configured(),
            verifier_in_form: self.endpoint == Endpoint::AccessToken,
        }
    }

    /// Returns true if the operator configured an https origin.
    fn https_is_configured(&self) -> bool {
        self.config
            .public_url
            .as_ref()
            .is_some_and(|origin| origin.scheme == Scheme::Https)
    }

    /// Returns the request as reports describe it; the verifier read it within `limits`.
    pub(super) fn reported(&self, limits: ParseLimits) -> ReportedRequest<'_> {
        let ClientAddress(address) = ClientAddress::noted(self.extensions());
        ReportedRequest {
            method: self.head.method.as_str().as_bytes(),
            host: self.host(),
            target: self.target(),
            client_address: address.map_or_else(String::new, |address| address.to_string()),
            request_id: self.value("x-request-id").unwrap_or_default(),
            mode: Mode::Enforce,
            sent: Some(self.sent(limits)),
            ..ReportedRequest::default()
        }
    }

    fn sent(&self, limits: ParseLimits) -> SentRequest<'_> {
        let received = ReceivedOrigin {
            scheme: self.received_scheme(),
            authority: self.host(),
        };
        let received = self.config.public_url.as_ref().map(|_| received);
        SentRequest {
            request: self.signed(),
            limits,
            forwarded: ForwardedHeaders::of(|name| self.value(name)),
            received,
            setting: OriginSetting::PublicUrl,
        }
    }

    const fn received_scheme(&self) -> Scheme {
        if self.config.listener.tls.is_some() {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// Returns the first of several headers of one name.
    fn value(&self, name: &str) -> Option<&'r [u8]> {
        self.head.headers.get(name).map(HeaderValue::as_bytes)
    }
}

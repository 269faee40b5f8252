//! A user directory over HTTP/1.1: the client posts a JSON object to `users.url`.
//!
//! | response | meaning |
//! |---|---|
//! | 200 with `{"user_id": "…", "screen_name": "…"}` | the user; `screen_name` is optional |
//! | 204 | no user has that name and password |
//! | anything else | an outage |
//!
//! 401, 403 and 404 are outages: a proxy sends them too, and so does a directory that does not know
//! the token or has moved. The client follows no redirect: a password only goes to the configured
//! URL.

use async_trait::async_trait;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use zeroize::Zeroizing;

use super::{
    CONNECT_TIMEOUT, DirectoryClient, DirectoryConfigError, DirectoryEndpoint, DirectoryReply,
    LoginQuery, MAX_REPLY_LEN,
};
use crate::issue::DirectoryError;

/// A client over HTTP.
pub(super) struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    authorization: Option<HeaderValue>,
}

// === impl HttpClient ===

impl HttpClient {
    /// Creates a client that connects at its first call, and reuses connections.
    pub(super) fn new(endpoint: DirectoryEndpoint) -> Result<Self, DirectoryConfigError> {
        let DirectoryEndpoint {
            url,
            roots,
            authorization,
        } = endpoint;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| DirectoryConfigError::Url(Box::new(error)))?
            .with_root_certificates(roots.unwrap_or_else(rustls::RootCertStore::empty))
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector.enable_http1().wrap_connector(tcp));
        Ok(Self {
            client,
            url,
            authorization,
        })
    }

    fn request(&self, query: &LoginQuery<'_>) -> Result<Request<Full<Bytes>>, DirectoryError> {
        let mut request = Request::new(Full::new(json(query)?));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ACCEPT, JSON);
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("countersign/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

#[async_trait]
impl DirectoryClient for HttpClient {
    async fn authenticate(
        &self,
        query: LoginQuery<'_>,
    ) -> Result<Option<DirectoryReply>, DirectoryError> {
        let response = self.client.request(self.request(&query)?).await;
        let response = response
            .map_err(|error| DirectoryError::new("cannot reach it").because(with_causes(&error)))?;
        match response.status() {
            StatusCode::OK => read(response.into_body()).await.map(Some),
            StatusCode::NO_CONTENT => Ok(None),
            status => {
                let context = "its HTTP status is neither 200 nor 204";
                Err(DirectoryError::new(context).because(status.as_str()))
            }
        }
    }
}

/// Returns the body, which is wiped after it was sent. Its capacity suffices from the start, so
/// that growth leaves no copy behind.
fn json(query: &LoginQuery<'_>) -> Result<Bytes, DirectoryError> {
    let texts = [
        query.username,
        query.password,
        query.consumer_key,
        query.client_address,
    ];
    let room = texts
        .iter()
        .map(|text| text.len() * LONGEST_ESCAPE)
        .sum::<usize>()
        + NAMES_LEN;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *bytes, query)
        .map_err(|_| DirectoryError::new("cannot write the request"))?;
    Ok(Bytes::from_owner(bytes))
}

/// Reads a response. An error names the position of the problem, never the text.
async fn read(body: Incoming) -> Result<DirectoryReply, DirectoryError> {
    let body = Limited::new(body, MAX_REPLY_LEN)
        .collect()
        .await
        .map_err(|error| {
            let context = "its response was cut off, or longer than 64 KiB";
            DirectoryError::new(context).because(error)
        })?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        let context = "its response is not a JSON object with the string user_id and optionally the string screen_name";
        DirectoryError::new(context).because(format!("line {}, column {}", error.line(), error.column()))
    })
}

/// Returns the text of an error and all of its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The length of `\u0000`.
const LONGEST_ESCAPE: usize = 6;

/// Room for the names and the punctuation.
const NAMES_LEN: usize = 128;

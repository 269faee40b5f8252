//! A user directory over HTTP/1.1: one JSON object is posted to `users.url`.
//!
//! | answer | means |
//! |---|---|
//! | 200 with `{"user_id": "…", "screen_name": "…"}` | they are this user's; `screen_name` may be left out |
//! | 204 | they are nobody's |
//! | anything else | an outage |
//!
//! 401, 403 and 404 are no "nobody's": a proxy in between says them too, and so does a directory that does not know our
//! token or has moved. Redirects are not followed: a password goes where the operator said.

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

use super::{Access, Answer, CONNECT_TIMEOUT, MAX_ANSWER_LEN, OpenError, Peer, Question};
use crate::issue::DirectoryError;

/// The client.
pub(super) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    authorization: Option<HeaderValue>,
}

// === impl Http ===

impl Http {
    /// A client that connects when it is asked, and keeps connections for a while.
    pub(super) fn new(access: Access) -> Result<Self, OpenError> {
        let Access {
            url,
            roots,
            authorization,
        } = access;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .map_err(|error| OpenError::Url(Box::new(error)))?
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

    fn request(&self, question: &Question<'_>) -> Result<Request<Full<Bytes>>, DirectoryError> {
        let mut request = Request::new(Full::new(json(question)?));
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
impl Peer for Http {
    async fn ask(&self, question: Question<'_>) -> Result<Option<Answer>, DirectoryError> {
        let asked = self.client.request(self.request(&question)?).await;
        let response = asked
            .map_err(|error| DirectoryError::new("it can not be reached").because(whole(&error)))?;
        match response.status() {
            StatusCode::OK => read(response.into_body()).await.map(Some),
            StatusCode::NO_CONTENT => Ok(None),
            status => {
                let context = "it answered with an HTTP status that is neither 200 nor 204";
                Err(DirectoryError::new(context).because(status.as_str()))
            }
        }
    }
}

/// Wiped when it was sent; there is room from the beginning, so that no part of it is left behind by growing.
fn json(question: &Question<'_>) -> Result<Bytes, DirectoryError> {
    let texts = [
        question.username,
        question.password,
        question.consumer_key,
        question.client_address,
    ];
    let room = texts
        .iter()
        .map(|text| text.len() * LONGEST_ESCAPE)
        .sum::<usize>()
        + NAMES_LEN;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *bytes, question)
        .map_err(|_| DirectoryError::new("the question could not be written"))?;
    Ok(Bytes::from_owner(bytes))
}

/// What is wrong with an answer is told by its place, never by its text.
async fn read(body: Incoming) -> Result<Answer, DirectoryError> {
    let body = Limited::new(body, MAX_ANSWER_LEN)
        .collect()
        .await
        .map_err(|error| {
            let context = "its answer was cut off, or longer than 64 KiB";
            DirectoryError::new(context).because(error)
        })?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| {
        let context = "its answer is not a JSON object with the text user_id and perhaps the text screen_name";
        DirectoryError::new(context).because(format!("line {}, column {}", error.line(), error.column()))
    })
}

/// An error with all that led to it.
fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `\u0000`.
const LONGEST_ESCAPE: usize = 6;

/// Room for the names and what is between them.
const NAMES_LEN: usize = 128;

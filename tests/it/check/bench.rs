//! A check service in this process, over a store in memory and a clock that stands still, and
//! requests to check.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::clock::{Clock, Entropy, ManualClock, SystemEntropy, UnixTime};
use countersign::config::{Config, StoreConfig, StoreUrl};
use countersign::diagnostics::Diagnostics;
use countersign::issue::{
    Actor, ConsumerAttributes, ConsumerDraft, Expiry, Issuer, IssuerTerms, TokenDraft,
};
use countersign::model::{ConsumerKey, Secret, Token};
use countersign::oauth::{ParseLimits, Request, RequestBody, Scheme};
use countersign::server::ext_authz::CheckService;
use countersign::store::{self, Store};
use countersign::telemetry::Metrics;
use countersign::verify::Verifier;
use envoy_types::ext_authz::v3::pb::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{self, HttpRequest};
use envoy_types::pb::google::protobuf::value::Kind;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message as _;
use sha1::Sha1;
use tonic::Status;

/// The time at which every bench starts, in seconds.
pub(crate) const NOW: u64 = 1_700_000_000;

/// The consumer, token and user of every bench.
pub(crate) const CONSUMER_KEY: &str = "dpf43f3p2l4k3l03";
pub(crate) const CONSUMER_SECRET: &str = "kd94hf93k423kf44";
pub(crate) const TOKEN: &str = "nnch734d00sl2jdk";
pub(crate) const TOKEN_SECRET: &str = "pfkkdhi9sl3r4s00";
pub(crate) const USER: &str = "jane";

/// A check service and its parts.
pub(crate) struct Bench {
    pub(crate) service: CheckService,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: Issuer,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) diagnostics: Diagnostics,
}

impl Bench {
    /// Creates a bench with the default configuration.
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Creates a bench with a changed configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(change, |store| store).await
    }

    /// Creates a bench with a changed configuration, over the store that `wrap` returns.
    pub(crate) async fn over(
        change: impl FnOnce(&mut Config),
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let mut config = Config::default();
        config.check.envoy_sends_whole_bodies = true;
        change(&mut config);
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(NOW)));
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let in_memory = StoreConfig {
            url: StoreUrl::Memory,
            ..config.store.clone()
        };
        let dyn_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let directory = std::env::temp_dir();
        let opened = store::open(
            &in_memory,
            &directory,
            Arc::clone(&dyn_clock),
            Arc::clone(&entropy),
        );
        let store = opened.await.unwrap();
        let issuer = Issuer::new(
            Arc::clone(&store),
            Arc::clone(&dyn_clock),
            Arc::clone(&entropy),
            IssuerTerms::of(&config),
            None,
        );
        issue(&issuer).await;
        let metrics = Arc::new(Metrics::default());
        let diagnostics = Diagnostics::new(
            &config.diagnostics,
            Arc::clone(&dyn_clock),
            Arc::clone(&metrics),
        );
        let verifier = Verifier::new(wrap(store), dyn_clock, &config.verify);
        let service = CheckService::new(
            verifier,
            Arc::new(config),
            Arc::clone(&metrics),
            diagnostics.clone(),
            entropy,
        );
        Self {
            service,
            clock,
            issuer,
            metrics,
            diagnostics,
        }
    }

    /// Checks a request.
    pub(crate) async fn ask(&self, request: CheckRequest) -> Result<CheckResponse, Status> {
        self.ask_within(&HeaderMap::new(), request).await
    }

    /// Checks a request in a call with these headers.
    pub(crate) async fn ask_within(
        &self,
        headers: &HeaderMap,
        request: CheckRequest,
    ) -> Result<CheckResponse, Status> {
        let answer = self
            .service
            .check(headers, &request.encode_to_vec())
            .await?;
        Ok(CheckResponse::decode(answer).unwrap())
    }

    /// Checks a request that must be allowed.
    pub(crate) async fn allowed(&self, request: CheckRequest) -> OkHttpResponse {
        let response = self.ask(request).await.unwrap();
        match (response.status, response.http_response) {
            (Some(status), Some(HttpResponse::OkResponse(ok))) if status.code == 0 => ok,
            other => panic!("not allowed: {other:?}"),
        }
    }

    /// Checks a request that must be denied.
    pub(crate) async fn denied(&self, request: CheckRequest) -> Denied {
        let response = self.ask(request).await.unwrap();
        match (response.status, response.http_response) {
            (Some(status), Some(HttpResponse::DeniedResponse(denied))) if status.code != 0 => {
                Denied(denied)
            }
            other => panic!("not denied: {other:?}"),
        }
    }

    pub(crate) async fn disable_consumer(&self) {
        let key = ConsumerKey::new(CONSUMER_KEY).unwrap();
        self.issuer
            .disable_consumer(&key, &Actor::ADMIN)
            .await
            .unwrap();
    }

    pub(crate) async fn revoke_token(&self) {
        self.issuer
            .revoke_token(&Token::new(TOKEN).unwrap(), None, &Actor::ADMIN)
            .await
            .unwrap();
    }
}

async fn issue(issuer: &Issuer) {
    let consumer = ConsumerDraft {
        consumer_key: Some(CONSUMER_KEY.to_owned()),
        consumer_secret: Some(secret(CONSUMER_SECRET)),
        attributes: ConsumerAttributes {
            name: "Printer Example".to_owned(),
            scopes: vec!["read".to_owned(), "write".to_owned()],
            ..ConsumerAttributes::default()
        },
        ..ConsumerDraft::default()
    };
    issuer
        .create_consumer(&consumer, &Actor::ADMIN)
        .await
        .unwrap();
    let token = TokenDraft {
        token: Some(TOKEN.to_owned()),
        token_secret: Some(secret(TOKEN_SECRET)),
        consumer_key: CONSUMER_KEY.to_owned(),
        user_id: Some(USER.to_owned()),
        scopes: vec!["read".to_owned()],
        expiry: Expiry::Never,
        ..TokenDraft::default()
    };
    issuer.create_token(&token, &Actor::ADMIN).await.unwrap();
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes())
}

/// A denial as the caller receives it.
#[derive(Debug)]
pub(crate) struct Denied(pub(crate) DeniedHttpResponse);

impl Denied {
    pub(crate) fn status(&self) -> i32 {
        self.0.status.as_ref().unwrap().code
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let headers = self
            .0
            .headers
            .iter()
            .filter_map(|option| option.header.as_ref());
        headers
            .into_iter()
            .find(|header| header.key == name)
            .map_or("", |header| header.value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.0.body).unwrap()
    }

    /// Returns the HTTP status and `oauth_problem`.
    pub(crate) fn problem(&self) -> (i32, String) {
        (
            self.status(),
            self.json()["oauth_problem"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }
}

/// Returns a value of the dynamic metadata.
pub(crate) fn metadata(response: &CheckResponse, name: &str) -> Option<String> {
    let value = response.dynamic_metadata.as_ref()?.fields.get(name)?;
    let Kind::StringValue(text) = value.kind.as_ref()? else {
        panic!("{name} is no text: {value:?}")
    };
    Some(text.clone())
}

/// A request to sign and check.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) scheme: Scheme,
    pub(crate) host: &'static str,
    pub(crate) target: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: &'static [u8],
    pub(crate) consumer_key: &'static str,
    pub(crate) consumer_secret: &'static str,
    pub(crate) token: Option<(&'static str, &'static str)>,
    pub(crate) signature_method: &'static str,
    pub(crate) timestamp: u64,
    pub(crate) nonce: String,
    pub(crate) realm: Option<&'static str>,
    pub(crate) more: Vec<(&'static str, String)>,
    /// The scheme, host and path prefix to sign, if they differ from those of the request.
    pub(crate) signed_as: Option<(Scheme, &'static str, &'static str)>,
    pub(crate) extensions: Vec<(&'static str, &'static str)>,
}

impl Call {
    /// Returns a GET with a token and a new nonce.
    pub(crate) fn get(target: &'static str) -> Self {
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random);
        Self {
            method: "GET",
            scheme: Scheme::Http,
            host: "photos.example.net",
            target,
            headers: Vec::new(),
            body: b"",
            consumer_key: CONSUMER_KEY,
            consumer_secret: CONSUMER_SECRET,
            token: Some((TOKEN, TOKEN_SECRET)),
            signature_method: "HMAC-SHA1",
            timestamp: NOW,
            nonce: format!("{:016x}", u64::from_be_bytes(random)),
            realm: None,
            more: Vec::new(),
            signed_as: None,
            extensions: Vec::new(),
        }
    }

    /// Returns the message that Envoy sends for the signed request with `encode_raw_headers:
    /// false`.
    pub(crate) fn signed(&self) -> CheckRequest {
        let authorization = self.authorization();
        self.with_authorization(Some(authorization))
    }

    /// Returns the message for the request without a signature.
    pub(crate) fn unsigned(&self) -> CheckRequest {
        self.with_authorization(None)
    }

    pub(crate) fn with_authorization(&self, authorization: Option<String>) -> CheckRequest {
        let mut headers: HashMap<_, _> = self.headers.iter().cloned().collect();
        headers.extend(authorization.map(|value| ("authorization".to_owned(), value)));
        if !self.body.is_empty() {
            headers.insert("content-length".to_owned(), self.body.len().to_string());
        }
        let http = HttpRequest {
            method: self.method.to_owned(),
            scheme: if self.scheme == Scheme::Http {
                "http"
            } else {
                "https"
            }
            .to_owned(),
            host: self.host.to_owned(),
            path: self.target.to_owned(),
            headers,
            raw_body: self.body.to_vec(),
            ..HttpRequest::default()
        };
        let request = attribute_context::Request {
            http: Some(http),
            ..attribute_context::Request::default()
        };
        let extension = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let attributes = AttributeContext {
            request: Some(request),
            context_extensions: self.extensions.iter().map(extension).collect(),
            ..AttributeContext::default()
        };
        CheckRequest {
            attributes: Some(attributes),
        }
    }

    /// Returns the `Authorization` header. The core gives the base string; the signature is
    /// computed here.
    pub(crate) fn authorization(&self) -> String {
        let unsigned = self.header("AAAA");
        let base_string = self.base_string(&unsigned);
        let token_secret = self.token.map_or("", |(_, secret)| secret);
        let key = format!(
            "{}&{}",
            encoded(self.consumer_secret),
            encoded(token_secret)
        );
        if self.signature_method == "PLAINTEXT" {
            return self.header(&key);
        }
        let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
        mac.update(&base_string);
        self.header(&STANDARD.encode(mac.finalize().into_bytes()))
    }

    fn base_string(&self, authorization: &str) -> Vec<u8> {
        let (scheme, host, path_prefix) = self.signed_as.unwrap_or((self.scheme, self.host, ""));
        let content_type = self.headers.iter().find(|(name, _)| name == "content-type");
        let content_type: Vec<_> = content_type
            .iter()
            .map(|(_, value)| value.as_bytes())
            .collect();
        let request = Request {
            method: self.method.as_bytes(),
            scheme,
            authority: host.as_bytes(),
            path_prefix: path_prefix.as_bytes(),
            target: self.target.as_bytes(),
            authorization: &[authorization.as_bytes()],
            content_type: &content_type,
            body: RequestBody::Whole(self.body),
        };
        let no_limits = ParseLimits {
            form_bytes: usize::MAX,
            ..ParseLimits::default()
        };
        request.parse(&no_limits).unwrap().unwrap().base_string()
    }

    fn header(&self, signature: &str) -> String {
        let mut pairs = vec![
            ("oauth_consumer_key", self.consumer_key.to_owned()),
            ("oauth_signature_method", self.signature_method.to_owned()),
            ("oauth_signature", signature.to_owned()),
        ];
        if self.timestamp > 0 {
            pairs.push(("oauth_timestamp", self.timestamp.to_string()));
        }
        if !self.nonce.is_empty() {
            pairs.push(("oauth_nonce", self.nonce.clone()));
        }
        pairs.extend(
            self.token
                .map(|(token, _)| ("oauth_token", token.to_owned())),
        );
        pairs.extend(self.more.iter().cloned());
        let realm = self.realm.map(|realm| format!("realm=\"{realm}\""));
        let pairs = pairs
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", encoded(value)));
        format!(
            "OAuth {}",
            realm
                .into_iter()
                .chain(pairs)
                .collect::<Vec<_>>()
                .join(", ")
        )
    }
}

fn encoded(text: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, ESCAPED).to_string()
}

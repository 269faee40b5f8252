//! The routes of the http listener in this process, and requests for credentials.

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use axum::body::Body;
use countersign::config::Config;
use countersign::diagnostics::Diagnostics;
use countersign::issue::{Actor, Consent, Issuer, RequestTokenDraft, UserDraft};
use countersign::model::{ConsumerKey, Secret, UserId};
use countersign::server::api::AdminToken;
use countersign::server::{App, http_routes};
use countersign::telemetry::Metrics;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use crate::credentials::{CONSUMERS, Ground, KnownConsumer, NOW};
use crate::rfc5849::{Hash, PlainRequest, SharedKey, base_string, escape, read_form, sign};

/// The http listener without its socket.
pub struct EndpointBench {
    runtime: Runtime,
    routes: axum::Router,
    issuer: Issuer,
    calls: usize,
}

/// Temporary credentials that a user has authorized.
#[derive(Clone, Debug)]
struct Temporary {
    consumer: &'static KnownConsumer,
    token: String,
    secret: Vec<u8>,
    verifier: Vec<u8>,
}

/// A request for credentials.
#[derive(Arbitrary, Debug)]
pub struct CredentialSketch {
    endpoint: Endpoint,
    fields: Vec<FieldChoice>,
    place: Place,
    consumer: u8,
    hash: Hash,
    accept: Accept,
    changes: Vec<(ChangedPart, u16, u8)>,
    more_headers: Vec<(HeaderName, Vec<u8>)>,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    RequestToken,
    AccessToken,
    AccessTokenGet,
    Authorize,
    AuthorizePost,
}

#[derive(Arbitrary, Clone, Debug)]
enum FieldChoice {
    Callback(Callback),
    /// The token of authorized temporary credentials, and its verifier.
    Exchange,
    Verifier(Vec<u8>),
    Token(Vec<u8>),
    XAuth,
    Username(Vec<u8>),
    Password(Vec<u8>),
    Scope(Vec<u8>),
    Other(Vec<u8>, Vec<u8>),
}

#[derive(Arbitrary, Clone, Debug)]
enum Callback {
    OutOfBand,
    Registered,
    WithQuery(Vec<u8>),
    Free(Vec<u8>),
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Header,
    Query,
    Body,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Accept {
    None,
    Json,
    Form,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum ChangedPart {
    Authorization,
    Target,
    Body,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum HeaderName {
    Cookie,
    Origin,
    ForwardedFor,
    ContentType,
    SecFetchSite,
}

impl EndpointBench {
    /// Starts the routes.
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        let runtime = runtime.expect("a runtime");
        let (routes, issuer) = runtime.block_on(routes());
        Self {
            runtime,
            routes,
            issuer,
            calls: 0,
        }
    }

    /// Sends a request twice, and judges both answers.
    pub fn send(&mut self, sketch: &CredentialSketch) {
        self.calls += 1;
        if self.calls > CALLS {
            *self = Self::new();
        }
        let temporary = sketch
            .needs_temporary()
            .then(|| self.authorized(sketch.consumer()));
        let nonce = format!("n{}", self.calls);
        let plain = sketch.request(&nonce, temporary.as_ref());
        let status = self.answer(sketch, &plain, temporary.as_ref());
        let again = self.answer(sketch, &plain, temporary.as_ref());
        let issues = status == Some(200) && sketch.endpoint.issues();
        assert!(
            !issues || again != Some(200),
            "one request got credentials twice"
        );
    }

    /// Returns the status; `None` for a request that no HTTP/1.1 connection can carry.
    fn answer(
        &mut self,
        sketch: &CredentialSketch,
        plain: &PlainRequest,
        temporary: Option<&Temporary>,
    ) -> Option<u16> {
        let request = sketch.http(plain)?;
        let answer = self.runtime.block_on(async {
            let answer = self
                .routes
                .clone()
                .oneshot(request)
                .await
                .expect("infallible");
            let (head, body) = answer.into_parts();
            Response::from_parts(head, body.collect().await.expect("a body").to_bytes())
        });
        let status = answer.status().as_u16();
        assert!(status < 500, "{status}: {:?}", answer.body());
        if sketch.endpoint.issues() && status == 200 {
            judge_issued(sketch, plain, temporary, answer.body());
        } else if sketch.endpoint.issues() {
            let told = answer
                .body()
                .windows(18)
                .any(|part| part == b"oauth_token_secret");
            assert!(!told, "a refusal holds credentials");
        }
        Some(status)
    }

    fn authorized(&self, consumer: &'static KnownConsumer) -> Temporary {
        let draft = RequestTokenDraft {
            consumer_key: ConsumerKey::new(consumer.key).expect("a valid key"),
            callback: "oob".to_owned(),
            scopes: Vec::new(),
        };
        let consent = Consent {
            user_id: UserId::new(USER).expect("a valid id"),
            screen_name: String::new(),
            scopes: Vec::new(),
        };
        self.runtime.block_on(async {
            let issuer = &self.issuer;
            let created = issuer.create_request_token(&draft, &Actor::ADMIN).await;
            let created = created.expect("temporary credentials");
            let consented = issuer.authorize_request_token(&created.token, &consent, &Actor::ADMIN);
            let consented = consented.await.expect("a consent");
            Temporary {
                consumer,
                token: created.token.as_str().to_owned(),
                secret: created.secret.expose().to_vec(),
                verifier: consented.verifier.expose().to_vec(),
            }
        })
    }
}

impl Default for EndpointBench {
    fn default() -> Self {
        Self::new()
    }
}

async fn routes() -> (axum::Router, Issuer) {
    let mut config = Config::default();
    config.diagnostics.explain = false;
    config.http.allow_get = true;
    config.password.memory_kib = 64;
    config.password.iterations = 1;
    config.password.max_delay = Duration::ZERO;
    config.password.address_failures = u32::MAX;
    let Ground {
        clock,
        entropy,
        store,
    } = Ground::new(&config).await;
    let metrics = Arc::new(Metrics::default());
    let diagnostics = Diagnostics::new(
        &config.diagnostics,
        Arc::clone(&clock),
        Arc::clone(&metrics),
    );
    let app = App {
        config: Arc::new(config),
        store,
        clock,
        entropy,
        metrics,
        admin_token: AdminToken::new("0123456789abcdef0123456789abcdef").expect("a token"),
        directory: None,
        logo: None,
        issuer_token: None,
    };
    let issuer = Issuer::new(
        Arc::clone(&app.store),
        Arc::clone(&app.clock),
        Arc::clone(&app.entropy),
        countersign::issue::IssuerTerms::of(&app.config),
        None,
    );
    let user = UserDraft {
        user_id: Some(USER.to_owned()),
        username: USER.to_owned(),
        password: Some(Secret::new(PASSWORD)),
    };
    issuer
        .create_user(&user, &Actor::ADMIN)
        .await
        .expect("a user");
    (http_routes(&app, issuer.clone(), diagnostics), issuer)
}

/// Panics if nobody known signed a request that got credentials.
fn judge_issued(
    sketch: &CredentialSketch,
    plain: &PlainRequest,
    temporary: Option<&Temporary>,
    body: &[u8],
) {
    assert!(body.windows(11).any(|part| part == b"oauth_token"));
    let single = |name: &str| plain.single(name);
    let key = single("oauth_consumer_key").expect("one consumer key");
    let consumer = crate::credentials::consumer(&key).expect("a known consumer");
    let named = single("oauth_token").filter(|token| !token.is_empty());
    let token_secret: &[u8] = match &named {
        None => b"",
        Some(token) => {
            let known = temporary.expect("temporary credentials");
            assert_eq!(token, known.token.as_bytes());
            assert_eq!(known.consumer, consumer);
            assert_eq!(single("oauth_verifier").as_ref(), Some(&known.verifier));
            &known.secret
        }
    };
    if named.is_none() && sketch.endpoint != Endpoint::RequestToken {
        assert_eq!(single("x_auth_username").as_deref(), Some(USER.as_bytes()));
        assert_eq!(single("x_auth_password").as_deref(), Some(PASSWORD));
    }
    let method = single("oauth_signature_method").expect("one method");
    let hash = Hash::of_method(&method).expect("no http listener accepts PLAINTEXT");
    let secrets = SharedKey {
        consumer: consumer.secret.as_bytes(),
        token: token_secret,
    };
    let text = base_string(plain).expect("well-formed");
    assert_eq!(
        single("oauth_signature"),
        Some(sign(hash, secrets, &text).into_bytes())
    );
    let timestamp = String::from_utf8(single("oauth_timestamp").expect("a timestamp"));
    let timestamp: u64 = timestamp.expect("digits").parse().expect("a number");
    assert!(timestamp.abs_diff(NOW) <= 300);
    let query = read_form(plain.query()).expect("well-formed").len();
    assert!(query <= 1000);
}

impl Endpoint {
    const fn issues(self) -> bool {
        matches!(
            self,
            Self::RequestToken | Self::AccessToken | Self::AccessTokenGet
        )
    }

    const fn method(self) -> &'static str {
        match self {
            Self::RequestToken | Self::AccessToken | Self::AuthorizePost => "POST",
            Self::AccessTokenGet | Self::Authorize => "GET",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::RequestToken => "/oauth/request_token",
            Self::AccessToken | Self::AccessTokenGet => "/oauth/access_token",
            Self::Authorize | Self::AuthorizePost => "/oauth/authorize",
        }
    }
}

impl CredentialSketch {
    fn consumer(&self) -> &'static KnownConsumer {
        &CONSUMERS[usize::from(self.consumer) % CONSUMERS.len()]
    }

    fn needs_temporary(&self) -> bool {
        self.fields
            .iter()
            .any(|field| matches!(field, FieldChoice::Exchange))
    }

    fn request(&self, nonce: &str, temporary: Option<&Temporary>) -> PlainRequest {
        let consumer = self.consumer();
        let mut protocol: Vec<(&str, Vec<u8>)> = vec![
            ("oauth_consumer_key", consumer.key.into()),
            ("oauth_nonce", nonce.into()),
            ("oauth_timestamp", NOW.to_string().into()),
            ("oauth_signature_method", self.hash.method().into()),
        ];
        let mut others = Vec::new();
        for field in self.fields.iter().take(MOST_FIELDS) {
            field.write(temporary, &mut protocol, &mut others);
        }
        let key = SharedKey {
            consumer: consumer.secret.as_bytes(),
            token: temporary.map_or(&b""[..], |temporary| &temporary.secret),
        };
        let unsigned = self.with(&protocol, &others);
        let text = base_string(&unsigned).expect("well-formed");
        protocol.push(("oauth_signature", sign(self.hash, key, &text).into()));
        let mut request = self.with(&protocol, &others);
        for (part, at, byte) in self.changes.iter().take(MOST_CHANGES) {
            change(&mut request, *part, *at, *byte);
        }
        request
    }

    fn with(&self, protocol: &[(&str, Vec<u8>)], others: &[(Vec<u8>, Vec<u8>)]) -> PlainRequest {
        let protocol_form = written(
            protocol
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_slice())),
        );
        let form = written(
            others
                .iter()
                .map(|(name, value)| (name.as_slice(), value.as_slice())),
        );
        let (mut target, mut body) = (self.endpoint.path().to_owned(), form);
        let mut authorization = Vec::new();
        match self.place {
            Place::Header => {
                let quoted: Vec<_> = protocol
                    .iter()
                    .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
                    .collect();
                authorization.push(format!("OAuth {}", quoted.join(",")).into_bytes());
            }
            Place::Query => target = format!("{target}?{protocol_form}"),
            Place::Body => body = [body, protocol_form].join("&"),
        }
        PlainRequest {
            method: self.endpoint.method().into(),
            is_https: false,
            host: HOST.into(),
            target: target.into(),
            authorization,
            content_type: vec![b"application/x-www-form-urlencoded".to_vec()],
            body: body.into(),
        }
    }

    /// Returns the request as a connection hands it over.
    fn http(&self, plain: &PlainRequest) -> Option<Request<Body>> {
        let mut builder = Request::builder()
            .method(&plain.method[..])
            .uri(&plain.target[..])
            .header("host", &plain.host[..])
            .header("content-type", &plain.content_type[0][..]);
        for value in &plain.authorization {
            builder = builder.header("authorization", &value[..]);
        }
        builder = match self.accept {
            Accept::None => builder,
            Accept::Json => builder.header("accept", "application/json"),
            Accept::Form => builder.header("accept", "application/x-www-form-urlencoded"),
        };
        if !self.endpoint.issues() {
            for (name, value) in &self.more_headers {
                builder = builder.header(name.name(), &value[..]);
            }
        }
        let request = builder.body(Body::from(plain.body.clone())).ok()?;
        // The target must arrive as it was sent, or else another request is judged.
        let arrived = request.uri().path_and_query()?.as_str().as_bytes() == plain.target;
        (arrived && request.uri().authority().is_none()).then_some(request)
    }
}

fn written<'f>(fields: impl Iterator<Item = (&'f [u8], &'f [u8])>) -> String {
    let pair = |(name, value)| format!("{}={}", escape(name), escape(value));
    fields.map(pair).collect::<Vec<_>>().join("&")
}

impl FieldChoice {
    fn write(
        &self,
        temporary: Option<&Temporary>,
        protocol: &mut Vec<(&'static str, Vec<u8>)>,
        others: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) {
        let mut other = |name: &str, value: &[u8]| others.push((name.into(), value.to_vec()));
        match self {
            Self::Callback(callback) => protocol.push(("oauth_callback", callback.text())),
            Self::Exchange => {
                let known = temporary.expect("the sketch needs temporary credentials");
                protocol.push(("oauth_token", known.token.clone().into()));
                protocol.push(("oauth_verifier", known.verifier.clone()));
            }
            Self::Verifier(verifier) => protocol.push(("oauth_verifier", verifier.clone())),
            Self::Token(token) => protocol.push(("oauth_token", token.clone())),
            Self::XAuth => {
                other("x_auth_mode", b"client_auth");
                other("x_auth_username", USER.as_bytes());
                other("x_auth_password", PASSWORD);
            }
            Self::Username(name) => other("x_auth_username", name),
            Self::Password(password) => other("x_auth_password", password),
            Self::Scope(scope) => other("scope", scope),
            Self::Other(name, value) => others.push((name.clone(), value.clone())),
        }
    }
}

impl Callback {
    fn text(&self) -> Vec<u8> {
        match self {
            Self::OutOfBand => b"oob".to_vec(),
            Self::Registered => REGISTERED.to_vec(),
            Self::WithQuery(query) => [REGISTERED, b"?", &query[..]].concat(),
            Self::Free(text) => text.clone(),
        }
    }
}

impl HeaderName {
    const fn name(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Origin => "origin",
            Self::ForwardedFor => "x-forwarded-for",
            Self::ContentType => "content-type",
            Self::SecFetchSite => "sec-fetch-site",
        }
    }
}

fn change(request: &mut PlainRequest, part: ChangedPart, at: u16, byte: u8) {
    let text = match part {
        ChangedPart::Authorization => request.authorization.first_mut(),
        ChangedPart::Target => Some(&mut request.target),
        ChangedPart::Body => Some(&mut request.body),
    };
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return;
    };
    let at = usize::from(at) % text.len();
    text[at] = byte;
}

const HOST: &str = "oauth.example.com";

const REGISTERED: &[u8] = b"https://client.example/ready";

const USER: &str = "jane";

const PASSWORD: &[u8] = b"correct horse";

const MOST_FIELDS: usize = 6;

const MOST_CHANGES: usize = 3;

/// The calls of one service.
const CALLS: usize = 1024;

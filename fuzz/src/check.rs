//! The check service in this process, and the judgement of its answers by the second
//! implementation.

use std::sync::Arc;

use countersign::config::{Config, Origin};
use countersign::diagnostics::Diagnostics;
use countersign::oauth::Scheme;
use countersign::server::ext_authz::CheckService;
use countersign::store::CachedStore;
use countersign::telemetry::Metrics;
use countersign::verify::Verifier;
use http::HeaderMap;
use prost::Message as _;
use tokio::runtime::{Builder, Runtime};

use crate::credentials::{CONSUMERS, Ground, NOW, TOKENS, consumer, token};
use crate::envoy::{Allowed, CheckRequest, CheckResponse, Denied, HttpRequest};
use crate::rfc5849::{
    Hash, PlainRequest, SharedKey, base_string, body_hash, is_form, read_form, sign,
};

/// The settings of a service that a signature depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, arbitrary::Arbitrary)]
pub enum Setup {
    /// The default configuration.
    Default,
    /// An https origin with a prefix, whole bodies, and the most detailed denials.
    BehindProxy,
}

impl Setup {
    /// Returns the request as its client signed it.
    pub fn signed(self, seen: &PlainRequest) -> PlainRequest {
        match self {
            Self::Default => seen.clone(),
            Self::BehindProxy => PlainRequest {
                is_https: true,
                host: ORIGIN_HOST.into(),
                target: [ORIGIN_PREFIX.as_bytes(), &seen.target].concat(),
                ..seen.clone()
            },
        }
    }

    fn config(self) -> Config {
        let mut config = Config::default();
        // Explanations are found by another thread; the target `explain` searches them itself.
        config.diagnostics.explain = false;
        if self == Self::BehindProxy {
            config.check.envoy_sends_whole_bodies = true;
            config.check.deny_detail = countersign::config::DenyDetail::Debug;
            config.check.policy.origin = Some(Origin {
                scheme: Scheme::Https,
                authority: ORIGIN_HOST.to_owned(),
                path_prefix: ORIGIN_PREFIX.to_owned(),
            });
        }
        config
    }
}

/// A service, and a runtime whose time stands still, so that no deadline passes.
pub struct CheckBench {
    setup: Setup,
    runtime: Runtime,
    service: CheckService,
    calls: usize,
}

/// A judged answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request passes, signed.
    Allowed,
    /// The request passes, unsigned.
    Anonymous,
    /// The caller gets this status.
    Denied(i32),
    /// The gRPC call failed.
    Failed,
}

impl CheckBench {
    /// Starts a service.
    pub fn new(setup: Setup) -> Self {
        let runtime = standing_still();
        let service = runtime.block_on(async {
            let config = setup.config();
            service(&config, Ground::new(&config).await)
        });
        Self {
            setup,
            runtime,
            service,
            calls: 0,
        }
    }

    /// Checks a message, and judges the answer.
    pub fn check(&mut self, message: &[u8]) -> Verdict {
        let service = &self.service;
        let answer = self
            .runtime
            .block_on(service.check(&HeaderMap::new(), message));
        let request = CheckRequest::decode(message).ok();
        match answer {
            Ok(response) => {
                let request = request.expect("prost reads what the service reads");
                judge(self.setup, &request, &response)
            }
            Err(status) => {
                let text = status.message();
                let is_expected = text == "the message is not a CheckRequest"
                    || (text == "the route's context_extensions are invalid"
                        && request.is_none_or(|request| has_extensions(&request)));
                assert!(is_expected, "the service failed: {status:?}");
                Verdict::Failed
            }
        }
    }

    /// Starts a new service once the store has many nonces, which it keeps because time stands
    /// still.
    pub fn renew(&mut self) {
        self.calls += 1;
        if self.calls > CALLS {
            *self = Self::new(self.setup);
        }
    }
}

/// Checks one unsigned request with a configuration, which must not let it pass unless it says so.
pub fn serve_unsigned(config: &Config) {
    let runtime = standing_still();
    let service = runtime.block_on(async { service(config, Ground::empty(config).await) });
    let message = message_of(HttpRequest {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        host: "h".to_owned(),
        scheme: "https".to_owned(),
        ..HttpRequest::default()
    });
    let answer = runtime.block_on(service.check(&HeaderMap::new(), &message));
    let response = CheckResponse::decode(answer.expect("an answer").as_ref()).expect("a response");
    assert_ne!(
        response,
        CheckResponse::default(),
        "the default response allows"
    );
}

/// Returns a message with these attributes alone.
pub fn message_of(http: HttpRequest) -> Vec<u8> {
    use crate::envoy::{AttributeContext, Request};
    let request = Some(Request { http: Some(http) });
    let attributes = AttributeContext {
        request,
        ..AttributeContext::default()
    };
    CheckRequest {
        attributes: Some(attributes),
    }
    .encode_to_vec()
}

fn standing_still() -> Runtime {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.expect("a runtime")
}

fn service(config: &Config, ground: Ground) -> CheckService {
    let Ground {
        clock,
        entropy,
        store,
    } = ground;
    let metrics = Arc::new(Metrics::default());
    let cached = CachedStore::new(
        store,
        Arc::clone(&clock),
        &config.cache,
        Arc::clone(&metrics),
    );
    let diagnostics = Diagnostics::new(
        &config.diagnostics,
        Arc::clone(&clock),
        Arc::clone(&metrics),
    );
    let verifier = Verifier::new(cached, clock, &config.verify);
    CheckService::new(
        verifier,
        Arc::new(config.clone()),
        metrics,
        diagnostics,
        entropy,
    )
}

// === the judgement ===

fn judge(setup: Setup, request: &CheckRequest, response: &[u8]) -> Verdict {
    for secret in CONSUMERS
        .iter()
        .map(|known| known.secret)
        .chain(TOKENS.iter().map(|known| known.secret))
    {
        assert!(
            !contains(response, secret.as_bytes()) || holds(request, secret),
            "the answer holds a secret"
        );
    }
    let response = CheckResponse::decode(response).expect("prost reads the response");
    let code = response.status.as_ref().map_or(0, |status| status.code);
    match (&response.ok, &response.denied) {
        (Some(allowed), None) => {
            assert_eq!(code, 0);
            judge_allowed(setup, request, allowed);
            let is_anonymous = written(&allowed.headers)
                .iter()
                .any(|(name, _)| name == "x-anonymous-consumer");
            if is_anonymous {
                Verdict::Anonymous
            } else {
                Verdict::Allowed
            }
        }
        (None, Some(denied)) => {
            assert_ne!(code, 0, "Envoy allows a response with the code 0");
            Verdict::Denied(judge_denied(denied))
        }
        other => panic!("neither allowed nor denied: {other:?}"),
    }
}

fn judge_denied(denied: &Denied) -> i32 {
    let status = denied.status.as_ref().map_or(0, |status| status.code);
    assert!([400, 401, 403, 413].contains(&status), "{status}");
    let headers = written(&denied.headers);
    let value = |name: &str| {
        headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value)
    };
    assert!(value("www-authenticate").is_some_and(|value| value.starts_with("OAuth realm=")));
    assert_eq!(value("cache-control").map(String::as_str), Some("no-store"));
    for (name, value) in &headers {
        assert!(
            value.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{name}: {value:?}"
        );
    }
    status
}

fn judge_allowed(setup: Setup, request: &CheckRequest, allowed: &Allowed) {
    let headers = written(&allowed.headers);
    let value = |name: &str| {
        headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    for name in IDENTITY {
        let removed = allowed.headers_to_remove.iter().any(|other| other == name);
        assert!(
            value(name).is_some() != removed,
            "{name} is neither set nor removed, or both"
        );
    }
    let http = http_of(request).expect("a request without http attributes is denied");
    for name in names(http) {
        let folded = name.to_ascii_lowercase().replace('_', "-");
        let is_disguised =
            IDENTITY.contains(&folded.as_str()) && folded != name.to_ascii_lowercase();
        assert!(
            !is_disguised || allowed.headers_to_remove.contains(&name),
            "{name} is kept"
        );
    }
    let policy = Policy::of(request);
    if policy.is_exotic {
        return;
    }
    let seen = seen(http);
    if value("x-anonymous-consumer").is_some() {
        assert!(policy.is_optional, "an unsigned request passes");
        assert_has_no_protocol_parameter(&seen);
        return;
    }
    let signer = Signer::of(setup, http, &seen);
    signer.assert_body_is_covered(http, &seen, policy);
    assert_eq!(value("x-credential-identifier"), Some(signer.consumer.key));
    let user = signer.token.and_then(|token| token.user);
    assert_eq!(value("x-authenticated-userid"), user);
    assert!(
        !policy.needs_user || user.is_some(),
        "a request without a user passes"
    );
    if signer.in_header {
        assert!(
            allowed
                .headers_to_remove
                .iter()
                .any(|name| name == "authorization")
        );
    }
}

/// The second opinion on an allowed request: it panics if nobody known signed the request.
struct Signer {
    consumer: &'static crate::credentials::KnownConsumer,
    token: Option<&'static crate::credentials::KnownToken>,
    /// The hash of the signature method; `None` is PLAINTEXT.
    hash: Option<Hash>,
    in_header: bool,
}

impl Signer {
    fn of(setup: Setup, http: &HttpRequest, seen: &PlainRequest) -> Self {
        assert!(setup == Setup::BehindProxy || ["http", "https"].contains(&http.scheme.as_str()));
        let signed = setup.signed(seen);
        let single = |name: &str| signed.single(name);
        let required =
            |name: &str| single(name).unwrap_or_else(|| panic!("{name} is not there once"));
        let consumer = consumer(&required("oauth_consumer_key")).expect("a known consumer");
        let token = match single("oauth_token") {
            Some(name) if !name.is_empty() => Some(token(&name).expect("a known token")),
            _ => None,
        };
        assert!(
            token.is_none_or(|token| token.consumer == consumer),
            "a token of another consumer"
        );
        let key = SharedKey {
            consumer: consumer.secret.as_bytes(),
            token: token.map_or(&b""[..], |token| token.secret.as_bytes()),
        };
        let method = required("oauth_signature_method");
        let hash = Hash::of_method(&method);
        let expected = match hash {
            Some(hash) => sign(
                hash,
                key,
                &base_string(&signed).expect("a well-formed request"),
            ),
            None => {
                assert_eq!(method, b"PLAINTEXT");
                assert!(setup == Setup::BehindProxy && consumer.may_use_plaintext);
                key.text()
            }
        };
        assert_eq!(
            required("oauth_signature"),
            expected.as_bytes(),
            "the signature is another"
        );
        let in_header = assert_one_place(&signed);
        let signer = Self {
            consumer,
            token,
            hash,
            in_header,
        };
        if hash.is_some() || single("oauth_nonce").is_some() {
            assert!(hash.is_none() || !required("oauth_nonce").is_empty());
            let timestamp = String::from_utf8(required("oauth_timestamp")).expect("digits");
            let timestamp: u64 = timestamp.parse().expect("a number");
            assert!(
                timestamp.abs_diff(NOW) <= 300,
                "{timestamp} is outside of the window"
            );
        }
        signer
    }

    /// Panics if an upstream may read something from the body that nobody signed.
    fn assert_body_is_covered(&self, http: &HttpRequest, seen: &PlainRequest, policy: Policy) {
        let form = is_form(&seen.content_type);
        let sent = seen.single("oauth_body_hash");
        let hash = self.hash.unwrap_or(Hash::Sha1);
        let has_hash = sent.is_some_and(|sent| {
            assert_eq!(
                sent,
                body_hash(hash, &seen.body).as_bytes(),
                "the body is another"
            );
            true
        });
        let is_clear = matches!(&seen.content_type[..], [one] if is_clearly_no_form(one));
        assert!(
            form || has_hash || is_clear || seen.body.is_empty(),
            "a body of unclear type passes"
        );
        assert!(form || has_hash || seen.body.is_empty() || !policy.needs_body_hash);
        if form || has_hash {
            assert_whole(http, seen);
        }
    }
}

/// Panics if the body may be a part of a longer one.
fn assert_whole(http: &HttpRequest, seen: &PlainRequest) {
    assert!(http.size >= 0);
    let values = values(http, "x-envoy-auth-partial-body");
    assert!(
        values.iter().all(|value| value == b"false"),
        "a part of a body passes"
    );
    for length in values_of_length(http) {
        assert_eq!(
            length,
            seen.body.len().to_string().into_bytes(),
            "Content-Length differs"
        );
    }
}

fn values_of_length(http: &HttpRequest) -> Vec<Vec<u8>> {
    let digits = |value: &Vec<u8>| {
        let start = value
            .iter()
            .position(|&byte| byte != b'0')
            .unwrap_or(value.len());
        if start == value.len() {
            b"0".to_vec()
        } else {
            value[start..].to_vec()
        }
    };
    values(http, "content-length").iter().map(digits).collect()
}

/// Panics if protocol parameters are in several places; returns true if they are in the header.
fn assert_one_place(signed: &PlainRequest) -> bool {
    let is_protocol = |(name, _): &(Vec<u8>, Vec<u8>)| name.starts_with(b"oauth_");
    let any = |fields: Option<Vec<_>>| fields.iter().flatten().any(is_protocol);
    let header = any(signed.header_parameters());
    let query = any(read_form(signed.query()));
    let body = is_form(&signed.content_type) && any(read_form(&signed.body));
    assert_eq!(
        [header, query, body]
            .iter()
            .filter(|&&is_used| is_used)
            .count(),
        1
    );
    header
}

fn assert_has_no_protocol_parameter(seen: &PlainRequest) {
    let mut fields = seen.form_parameters().unwrap_or_default();
    fields.extend(seen.header_parameters().unwrap_or_default());
    assert!(
        fields.iter().all(|(name, _)| !name.starts_with(b"oauth_")),
        "a signed request is anonymous"
    );
}

/// Returns true for a media type that no lenient upstream takes for a form.
fn is_clearly_no_form(content_type: &[u8]) -> bool {
    let text = content_type.to_ascii_lowercase();
    let named = |name: &[u8]| contains(&text, name);
    let has_type = text.contains(&b'/');
    has_type
        && !named(b"urlencoded")
        && !named(b"url-encoded")
        && (!text.starts_with(b"multipart/") || named(b"boundary="))
}

// === reading the message ===

/// The settings of a route in `context_extensions`.
#[derive(Clone, Copy, Default)]
struct Policy {
    is_optional: bool,
    needs_user: bool,
    needs_body_hash: bool,
    /// Other settings, which change what is signed or enforced.
    is_exotic: bool,
}

impl Policy {
    fn of(request: &CheckRequest) -> Self {
        let mut policy = Self::default();
        let extensions = request
            .attributes
            .iter()
            .flat_map(|context| &context.context_extensions);
        for (name, value) in extensions {
            match (name.as_str(), value.as_str()) {
                ("countersign.require", "optional") => policy.is_optional = true,
                ("countersign.require", "user") => policy.needs_user = true,
                ("countersign.require", "consumer") => {}
                ("countersign.body_hash", "require") => policy.needs_body_hash = true,
                (name, _) => policy.is_exotic |= name.starts_with("countersign."),
            }
        }
        policy
    }
}

fn has_extensions(request: &CheckRequest) -> bool {
    let mut contexts = request.attributes.iter();
    contexts.any(|context| {
        context
            .context_extensions
            .keys()
            .any(|key| key.starts_with("countersign."))
    })
}

fn http_of(request: &CheckRequest) -> Option<&HttpRequest> {
    request.attributes.as_ref()?.request.as_ref()?.http.as_ref()
}

/// Returns the request as an upstream sees it.
fn seen(http: &HttpRequest) -> PlainRequest {
    let path = values(http, ":path");
    let is_raw = http
        .header_map
        .as_ref()
        .is_some_and(|map| !map.headers.is_empty());
    PlainRequest {
        method: http.method.clone().into(),
        is_https: http.scheme == "https",
        host: http.host.clone().into(),
        target: match &path[..] {
            [one] if is_raw => one.clone(),
            _ => http.path.clone().into(),
        },
        authorization: values(http, "authorization"),
        content_type: values(http, "content-type"),
        body: match &http.raw_body[..] {
            [] => http.body.clone().into(),
            raw => raw.to_vec(),
        },
    }
}

/// Returns the values of a header.
fn values(http: &HttpRequest, name: &str) -> Vec<Vec<u8>> {
    let separate = http.header_map.iter().flat_map(|map| &map.headers);
    let separate = separate.filter(|header| header.key.eq_ignore_ascii_case(name));
    let separate = separate.map(|header| match &header.raw_value[..] {
        [] => header.value.clone().into_bytes(),
        raw => raw.to_vec(),
    });
    separate
        .chain(
            http.headers
                .get(name)
                .map(|value| value.clone().into_bytes()),
        )
        .collect()
}

fn names(http: &HttpRequest) -> Vec<String> {
    let separate = http.header_map.iter().flat_map(|map| &map.headers);
    separate
        .map(|header| header.key.clone())
        .chain(http.headers.keys().cloned())
        .collect()
}

/// Returns names and values of headers that are written over existing ones.
fn written(options: &[crate::envoy::HeaderOption]) -> Vec<(String, String)> {
    let one = |option: &crate::envoy::HeaderOption| {
        assert_eq!(
            option.append_action, 2,
            "a header is added to the client's own"
        );
        let header = option.header.clone().expect("a header");
        assert!(!header.value.is_empty() && header.raw_value.is_empty());
        (header.key, header.value)
    };
    options.iter().map(one).collect()
}

/// Returns true if the caller sent the text itself.
fn holds(request: &CheckRequest, text: &str) -> bool {
    contains(&request.encode_to_vec(), text.as_bytes())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

const IDENTITY: [&str; 6] = [
    "x-consumer-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-authenticated-userid",
    "x-authenticated-scope",
    "x-anonymous-consumer",
];

const ORIGIN_HOST: &str = "api.example.com";

const ORIGIN_PREFIX: &str = "/base";

/// The calls of one service.
const CALLS: usize = 4096;

//! The service in this process, over a store in memory and a clock that a test moves, and consumers
//! that request tokens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use countersign::clock::{Clock, ManualClock, SystemClock, SystemEntropy};
use countersign::config::Config;
use countersign::issue::{
    Actor, Consent, ConsentOutcome, ConsumerAttributes, ConsumerDraft, Issuer, IssuerTerms,
    UserDraft,
};
use countersign::model::{RequestTokenState, Secret, Token, UserId};
use countersign::store::Store;
use countersign::telemetry::Metrics;
use percent_encoding::percent_decode_str;

use crate::support::admin_server::memory;
use crate::support::caller::{Caller, Signing};
use crate::support::http::{FORM, Request, Response};
use crate::support::serving::{self, Serving};

/// A running service; stops when dropped.
pub(crate) struct Bench {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) issuer: Issuer,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) metrics: Arc<Metrics>,
    #[expect(dead_code, reason = "the service ends when it is dropped")]
    serving: Serving,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a service with a changed configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = serving::config();
        serving::quick_passwords(&mut config);
        change(&mut config);
        // The caller signs at the system's time.
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let store = memory(clock.clone()).await;
        let issuer = Issuer::new(
            store.clone(),
            clock.clone(),
            Arc::new(SystemEntropy),
            IssuerTerms::of(&config),
            None,
        );
        let app = serving::app(config, store.clone(), clock.clone());
        let metrics = app.metrics.clone();
        let serving = Serving::start(app).await;
        Self {
            address: serving.http(),
            clock,
            issuer,
            store,
            metrics,
            serving,
        }
    }

    /// Creates a consumer with these flows.
    pub(crate) async fn consumer(&self, flows: &[&str]) -> Caller {
        self.consumer_with(flows, &[]).await
    }

    /// Creates a consumer with these flows and compat profiles.
    pub(crate) async fn consumer_with(&self, flows: &[&str], compat_profiles: &[&str]) -> Caller {
        self.create(ConsumerAttributes {
            compat_profiles: texts(compat_profiles),
            flows: texts(flows),
            ..attributes()
        })
        .await
    }

    /// Creates a consumer of the flow `three-legged` with these callbacks.
    pub(crate) async fn consumer_calling_back(&self, callbacks: &[&str]) -> Caller {
        self.create(ConsumerAttributes {
            callbacks: texts(callbacks),
            flows: texts(&["three-legged"]),
            ..attributes()
        })
        .await
    }

    async fn create(&self, attributes: ConsumerAttributes) -> Caller {
        let draft = ConsumerDraft {
            attributes,
            ..ConsumerDraft::default()
        };
        let consumer = self
            .issuer
            .create_consumer(&draft, &Actor::ADMIN)
            .await
            .unwrap()
            .record;
        Caller {
            consumer_key: consumer.key.as_str().to_owned(),
            consumer_secret: text(&consumer.secrets[0].secret),
            token: None,
        }
    }

    /// Creates a user with a password.
    pub(crate) async fn user(&self, username: &str, password: &str) {
        let draft = UserDraft {
            user_id: Some(format!("u-{username}")),
            username: username.to_owned(),
            password: Some(Secret::new(password.as_bytes())),
        };
        self.issuer
            .create_user(&draft, &Actor::ADMIN)
            .await
            .unwrap();
    }

    /// Requests temporary credentials, as the caller that signs with them.
    pub(crate) async fn asks(&self, caller: &Caller) -> Caller {
        let answer = self
            .send(
                &caller
                    .signing()
                    .with("oauth_callback", CALLBACK)
                    .in_header(&requesting()),
            )
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        caller.with_token_of(&answer)
    }

    /// Authorizes a caller's request token as Alice, and returns the verifier.
    pub(crate) async fn allows(&self, caller: &Caller) -> String {
        let consent = Consent {
            user_id: UserId::new("alice").unwrap(),
            screen_name: "Alice".to_owned(),
            scopes: Vec::new(),
        };
        let authorized = self
            .issuer
            .authorize_request_token(&name(caller), &consent, &Actor::ADMIN)
            .await
            .unwrap();
        let ConsentOutcome { verifier, .. } = authorized;
        text(&verifier)
    }

    /// Returns the state of temporary credentials, and the number of wrong verifiers.
    pub(crate) async fn state(&self, caller: &Caller) -> (RequestTokenState, u32) {
        let token = self
            .store
            .request_token(&name(caller))
            .await
            .unwrap()
            .unwrap();
        (token.state, token.wrong_verifiers)
    }

    /// Sends the exchange of temporary credentials.
    pub(crate) async fn exchanges(&self, caller: &Caller, verifier: &str) -> Response {
        self.send(
            &caller
                .signing()
                .with("oauth_verifier", verifier)
                .in_header(&exchanging()),
        )
        .await
    }

    pub(crate) async fn send(&self, request: &Request) -> Response {
        request.send(self.address).await
    }

    /// Sends a request that must be refused, and returns the response.
    pub(crate) async fn refuses(&self, request: &Request, status: u16, problem: &str) -> Response {
        let answer = self.send(request).await;
        assert_refused(&answer, status, problem);
        answer
    }

    /// Returns one of the counters of requests for credentials.
    pub(crate) fn counted(&self, endpoint: &str, result: &str, reason: &str) -> bool {
        let labels = format!(r#"{{endpoint="{endpoint}",result="{result}",reason="{reason}"}} 1"#);
        self.metrics
            .render()
            .contains(&format!("countersign_token_requests_total{labels}\n"))
    }
}

impl Caller {
    /// Returns the same consumer with the token of a response.
    pub(crate) fn with_token_of(&self, answer: &Response) -> Self {
        let fields = fields(answer);
        Self {
            token: Some((
                fields["oauth_token"].clone(),
                fields["oauth_token_secret"].clone(),
            )),
            ..self.clone()
        }
    }

    /// Signs the exchange of a password.
    pub(crate) fn password(&self, username: &str, password: &str) -> Signing {
        self.signing()
            .with("x_auth_mode", "client_auth")
            .with("x_auth_username", username)
            .with("x_auth_password", password)
    }
}

/// Asserts the parts that every refusal has, and its status and problem.
pub(crate) fn assert_refused(answer: &Response, status: u16, problem: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(
        challenge.starts_with(&format!(r#"OAuth realm="api", oauth_problem="{problem}""#)),
        "{challenge}"
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let id = answer.header("x-countersign-decision-id");
    assert_eq!(id, body["decision_id"].as_str(), "{answer:?}");
    assert_eq!(
        (&body["status"], &body["oauth_problem"]),
        (&status.into(), &problem.into()),
        "{body}"
    );
}

/// Asserts that a refusal names a parameter, in the challenge and in the body.
pub(crate) fn assert_names(answer: &Response, list: &str, parameter: &str) {
    assert_eq!(answer.json()[list], parameter, "{answer:?}");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(
        challenge.contains(&format!(r#"{list}="{parameter}""#)),
        "{challenge}"
    );
}

/// Returns the fields of a response that is a form.
pub(crate) fn fields(answer: &Response) -> BTreeMap<String, String> {
    assert_eq!(answer.header("content-type"), Some(FORM), "{answer:?}");
    let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = answer
        .body
        .split('&')
        .map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

pub(crate) fn requesting() -> Request {
    Request::form("POST", "/oauth/request_token", "")
}

pub(crate) fn exchanging() -> Request {
    Request::form("POST", "/oauth/access_token", "")
}

/// Returns the name of a caller's token.
pub(crate) fn name(caller: &Caller) -> Token {
    Token::new(caller.token.clone().unwrap().0).unwrap()
}

fn attributes() -> ConsumerAttributes {
    ConsumerAttributes {
        name: "Printer".to_owned(),
        callbacks: texts(&[CALLBACK]),
        scopes: texts(&["read", "write"]),
        ..ConsumerAttributes::default()
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn text(secret: &Secret) -> String {
    String::from_utf8(secret.expose().into()).unwrap()
}

/// The callback of every consumer here.
pub(crate) const CALLBACK: &str = "https://printer.example.com/ready?order=7";

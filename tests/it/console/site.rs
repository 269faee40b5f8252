//! The service in this process, over a store in memory and with a clock that stands still, and an
//! operator's browser.

use std::net::SocketAddr;
use std::sync::Arc;

use countersign::clock::{Clock, ManualClock, SystemEntropy, UnixTime};
use countersign::config::Config;
use countersign::issue::{Actor, ConsumerAttributes, ConsumerDraft, Issuer, IssuerTerms};
use countersign::model::Secret;
use envoy_types::ext_authz::v3::pb::{CheckRequest, HttpResponse};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tonic::transport::{Channel, Endpoint};

use crate::service::replicas::check_request;
use crate::support::admin_server::memory;
use crate::support::caller::Caller;
use crate::support::http::{Request, Response};
use crate::support::serving::{self, ADMIN_TOKEN, Serving};

/// The consumer of every site here.
pub(crate) const CONSUMER_KEY: &str = "printer";
const CONSUMER_SECRET: &str = "kd94hf93k423kf44";

/// A running service; stops when dropped.
pub(crate) struct Site {
    pub(crate) ops: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    issuer: Issuer,
    checks: AuthorizationClient<Channel>,
    #[expect(dead_code, reason = "the service ends when it is dropped")]
    serving: Serving,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with a changed configuration.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = serving::config();
        change(&mut config);
        let clock = Arc::new(ManualClock::at(UnixTime::from_secs(1_700_000_000)));
        let store = memory(clock.clone()).await;
        let issuer = Issuer::new(
            store.clone(),
            clock.clone(),
            Arc::new(SystemEntropy),
            IssuerTerms::of(&config),
            None,
        );
        let serving = Serving::start(serving::app(config, store, clock.clone())).await;
        let check = format!("http://{}", serving.addresses.check);
        let channel = Endpoint::from_shared(check)
            .unwrap()
            .connect()
            .await
            .unwrap();
        let site = Self {
            ops: serving.ops(),
            clock,
            issuer,
            checks: AuthorizationClient::new(channel),
            serving,
        };
        site.create_consumer(CONSUMER_KEY).await;
        site
    }

    /// Creates a consumer with the printer's secret.
    pub(crate) async fn create_consumer(&self, key: &str) {
        self.create_named(key, "Printer Example").await;
    }

    /// Creates a consumer with that name and the printer's secret.
    pub(crate) async fn create_named(&self, key: &str, name: &str) {
        let consumer = ConsumerDraft {
            consumer_key: Some(key.to_owned()),
            consumer_secret: Some(Secret::new(CONSUMER_SECRET.as_bytes())),
            attributes: ConsumerAttributes {
                name: name.to_owned(),
                ..ConsumerAttributes::default()
            },
            ..ConsumerDraft::default()
        };
        self.issuer
            .create_consumer(&consumer, &Actor::ADMIN)
            .await
            .unwrap();
    }

    /// Returns the printer with its right secret.
    pub(crate) fn printer(&self) -> Caller {
        let (consumer_key, consumer_secret) = (CONSUMER_KEY.to_owned(), CONSUMER_SECRET.to_owned());
        Caller {
            consumer_key,
            consumer_secret,
            token: None,
        }
    }

    /// Checks a request; returns the decision id, if it is denied.
    pub(crate) async fn asked(&self, request: &Request) -> Option<String> {
        self.asked_about(check_request(request)).await
    }

    /// Sends a check; returns the decision id, if it is denied.
    pub(crate) async fn asked_about(&self, request: CheckRequest) -> Option<String> {
        decision(&mut self.checks.clone(), request).await
    }

    /// Checks a request of the printer with a wrong secret; returns the decision id.
    pub(crate) async fn mismatch(&self, target: &str) -> String {
        let wrong = Caller {
            consumer_secret: "wrong".to_owned(),
            ..self.printer()
        };
        self.asked(&wrong.sign(&Request::get(target)))
            .await
            .unwrap()
    }

    /// Checks a request of the printer that is allowed.
    pub(crate) async fn allowed(&self) {
        self.allowed_for(CONSUMER_KEY).await;
    }

    /// Checks a request of a consumer with the printer's secret that is allowed.
    pub(crate) async fn allowed_for(&self, key: &str) {
        let now = self.clock.now().as_secs();
        let caller = Caller {
            consumer_key: key.to_owned(),
            ..self.printer()
        };
        let request = caller.signing().at(now).in_header(&Request::get("/photos"));
        assert_eq!(self.asked(&request).await, None);
    }
}

/// Sends a check as Envoy does; returns the decision id, if it is denied.
pub(crate) async fn decision(
    checks: &mut AuthorizationClient<Channel>,
    request: CheckRequest,
) -> Option<String> {
    let response = checks.check(request).await.unwrap().into_inner();
    match response.http_response.unwrap() {
        HttpResponse::OkResponse(_) => None,
        HttpResponse::DeniedResponse(denied) => {
            let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
            Some(body["decision_id"].as_str().unwrap().to_owned())
        }
        other @ HttpResponse::ErrorResponse(_) => panic!("{other:?}"),
    }
}

/// The state of a browser: its cookie.
pub(crate) struct Browser {
    pub(crate) ops: SocketAddr,
    pub(crate) cookie: Option<String>,
    /// Additional headers of requests.
    pub(crate) says: Vec<(&'static str, &'static str)>,
}

impl Browser {
    pub(crate) fn of(site: &Site) -> Self {
        Self {
            ops: site.ops,
            cookie: None,
            says: Vec::new(),
        }
    }

    /// Returns a browser with a session.
    pub(crate) async fn logged_in(site: &Site) -> Self {
        let mut browser = Self::of(site);
        assert_eq!(browser.log_in(ADMIN_TOKEN).await.status, 303);
        browser
    }

    pub(crate) async fn open(&mut self, target: &str) -> Response {
        self.send(Request::get(target)).await
    }

    pub(crate) async fn log_in(&mut self, token: &str) -> Response {
        self.post("/console/login", &[("token", token), ("then", "")])
            .await
    }

    pub(crate) async fn log_out(&mut self) -> Response {
        self.post("/console/logout", &[]).await
    }

    pub(crate) async fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Response {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        self.send(Request::form("POST", target, &pairs.join("&")))
            .await
    }

    pub(crate) async fn send(&mut self, request: Request) -> Response {
        let request = self
            .says
            .iter()
            .fold(request, |request, (name, value)| request.with(name, value));
        let request = match &self.cookie {
            Some(cookie) => request.with("Cookie", cookie),
            None => request,
        };
        let answer = request.send(self.ops).await;
        if let Some(set) = answer.header("set-cookie") {
            let pair = set.split(';').next().unwrap();
            self.cookie = (!set.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        answer
    }
}

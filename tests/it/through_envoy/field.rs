//! Forty unmodified clients: each request of `tests/clients/field/clients.toml` is allowed or
//! denied as the file says, and allowed with the compat profiles in the file.
//!
//! Each kind of request of each client has a consumer of its own, so that Countersign's report
//! tells the verdict, even if a client hides the response.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use countersign::v1;
use serde_json::{Value, json};
use tokio::task;

use super::clients::rsa_key;
use crate::docs::clients::{FieldClient, field_clients};
use crate::support::envoy::{Deadlines, Envoy, NEWEST, Peers, Shape};
use crate::support::http::{HOST, Request};
use crate::support::observer::Observer;
use crate::support::process::{START, eventually, installed, project};
use crate::support::program::Countersign;
use crate::support::scripted::{self, WsgiUpstream};

#[tokio::test(flavor = "multi_thread")]
async fn every_client_gets_the_verdict_of_the_table() {
    let clients = field_clients();
    let field = Field::start(&clients).await;
    let sent = field.send(&clients, Round::Plain).await;
    assert_eq!(sent, expected_to_send(&clients));
    field.send(&clients, Round::Profiled).await;

    let verdicts = field.verdicts().await;
    let mut wrong = Vec::new();
    for (key, expected) in expected_verdicts(&clients) {
        let verdict = verdicts.get(&key).map_or("not sent", String::as_str);
        if verdict != expected {
            wrong.push(format!("{key}: {verdict}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", field.countersign.log());
}

/// A run of the clients.
#[derive(Clone, Copy, PartialEq)]
enum Round {
    /// Every request, without profiles.
    Plain,
    /// The requests that need a profile, for consumers that have it.
    Profiled,
}

impl Round {
    /// The end of the consumer keys.
    const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Profiled => ".profiled",
        }
    }

    fn sends(self, client: &FieldClient, kind: &str) -> bool {
        self == Self::Plain || client.needs.contains_key(kind)
    }

    /// Returns the consumer keys of the requests.
    fn keys(self, clients: &[FieldClient]) -> Vec<String> {
        let of_client = |client| {
            let kinds = FieldClient::kinds(client).filter(move |kind| self.sends(client, kind));
            kinds.map(move |kind| key(client, kind, self))
        };
        clients.iter().flat_map(of_client).collect()
    }
}

impl FieldClient {
    fn kinds(&self) -> impl Iterator<Item = &str> {
        self.requests.iter().map(String::as_str)
    }

    /// Returns the expected verdict on a kind of request.
    fn expected(&self, kind: &str, round: Round) -> &str {
        let denied = self.refused.get(kind).or_else(|| self.needs.get(kind));
        match (round, denied) {
            (Round::Plain, Some(causes)) => causes,
            (Round::Plain, None) | (Round::Profiled, _) => ALLOWED,
        }
    }
}

fn key(client: &FieldClient, kind: &str, round: Round) -> String {
    let FieldClient { registry, name, .. } = client;
    format!("{registry}.{name}.{kind}{}", round.suffix())
}

/// Returns the version and the kinds of requests of each client, by registry and name.
fn expected_to_send(clients: &[FieldClient]) -> Sent {
    let about = |client: &FieldClient| {
        let kinds = client.requests.iter().cloned().collect();
        let id = format!("{}.{}", client.registry, client.name);
        (id, (client.version.clone(), kinds))
    };
    clients.iter().map(about).collect()
}

fn expected_verdicts(clients: &[FieldClient]) -> BTreeMap<String, String> {
    let mut expected = BTreeMap::new();
    for round in [Round::Plain, Round::Profiled] {
        for client in clients {
            for kind in client.kinds().filter(|kind| round.sends(client, kind)) {
                let verdict = client.expected(kind, round).to_owned();
                expected.insert(key(client, kind, round), verdict);
            }
        }
    }
    expected
}

/// The versions and the kinds of requests by client.
type Sent = BTreeMap<String, (String, BTreeSet<String>)>;

/// Envoy and Countersign, with a consumer for each request.
struct Field {
    countersign: Countersign,
    envoy: Envoy,
    rsa_key: String,
    #[expect(dead_code, reason = "ends the upstream when it is dropped")]
    upstream: WsgiUpstream,
}

impl Field {
    async fn start(clients: &[FieldClient]) -> Self {
        let upstream = WsgiUpstream::start().await;
        let countersign = Countersign::start("memory:", &config()).await;
        let peers = Peers {
            countersign: countersign.check,
            http: countersign.http,
            upstream: upstream.address,
            deadlines: Deadlines::Patient,
        };
        let envoy = Envoy::start(NEWEST, Shape::Deploy, peers).await;
        let (rsa_key, public_key) = task::spawn_blocking(rsa_key).await.unwrap();
        let file = countersign.path("field.jsonl");
        fs::write(&file, credentials(clients, &public_key)).unwrap();
        countersign.admin(&["import", file.to_str().unwrap()]).await;
        Self {
            countersign,
            envoy,
            rsa_key,
            upstream,
        }
    }

    /// Sends the requests of a round, each language in a process of its own.
    async fn send(&self, clients: &[FieldClient], round: Round) -> Sent {
        let given = self.given(clients, round).to_string();
        let mut npm = std::process::Command::new("node");
        npm.arg(project("tests/clients/field/npm.mjs"))
            .arg(&given)
            .env("PACKAGES", installed("target/field/npm/package.json"))
            .env("COUNTERSIGN_ADMIN_TOKEN", self.countersign.admin_token());
        let mut pypi = std::process::Command::new("python3");
        pypi.arg(project("tests/clients/field/pypi.py"))
            .arg(&given)
            .env("PYTHONPATH", installed("target/field/python"));
        let (npm, pypi, mut sent) = tokio::join!(
            scripted::run(npm),
            scripted::run(pypi),
            self.send_with_oauth1_request(round)
        );
        for (registry, printed) in [("npm", npm), ("pypi", pypi)] {
            for (name, about) in printed.as_object().unwrap() {
                let version = about["version"].as_str().unwrap().to_owned();
                let kinds = serde_json::from_value(about["kinds"].clone()).unwrap();
                sent.insert(format!("{registry}.{name}"), (version, kinds));
            }
        }
        sent
    }

    /// Returns the input of the scripts.
    fn given(&self, clients: &[FieldClient], round: Round) -> Value {
        let api = format!("--server=http://{}", self.countersign.api);
        json!({
            "url": format!("http://{}", self.envoy.address),
            "keys": round.keys(clients),
            "suffix": round.suffix(),
            "secret": SECRET,
            "token_secret": TOKEN_SECRET,
            "rsa_key": self.rsa_key,
            "callback": CALLBACK,
            "allow": [
                env!("CARGO_BIN_EXE_countersign"), "request-token", "authorize",
                "--user-id=u-jane", "--output=json", api,
            ],
        })
    }

    /// Sends with the client from crates.io, which this program links.
    async fn send_with_oauth1_request(&self, round: Round) -> Sent {
        let kinds = ["query", "utf8", "form"];
        for kind in kinds.iter().filter(|_| round == Round::Plain) {
            let request = signed_by_oauth1_request(kind);
            request.send(self.envoy.address).await;
        }
        let kinds = kinds.map(str::to_owned).into_iter().collect();
        let id = "crates.oauth1-request".to_owned();
        BTreeMap::from([(id, (locked_version("oauth1-request"), kinds))])
    }

    /// Returns the verdict on each consumer, once the causes of all denials are known.
    async fn verdicts(&self) -> BTreeMap<String, String> {
        let observer = Observer::of(&self.countersign).await;
        eventually("the causes of all denials", START, async || {
            let reports = all_reports(&observer).await;
            let verdicts = reports.iter().map(verdict);
            verdicts.collect::<Option<BTreeMap<_, _>>>()
        })
        .await
    }
}

/// Returns a consumer's key and the verdict on its requests; `None` until the causes are known.
fn verdict(report: &v1::ConsumerReport) -> Option<(String, String)> {
    let names = |counts: &[v1::DenialCount]| {
        let names: Vec<_> = counts.iter().map(|count| count.name.as_str()).collect();
        names.join("+")
    };
    let (reasons, causes) = (names(&report.reasons), names(&report.causes));
    let verdict = match (report.allowed, report.denied) {
        (_, 0) => ALLOWED.to_owned(),
        _ if reasons == "signature_mismatch" => (!causes.is_empty()).then_some(causes)?,
        _ => reasons,
    };
    Some((report.consumer_key.clone(), verdict))
}

async fn all_reports(observer: &Observer) -> Vec<v1::ConsumerReport> {
    let (mut reports, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListConsumerReportsRequest {
            page_size: 100,
            page_token,
        };
        let page = observer.client().list_consumer_reports(request).await;
        let page = page.unwrap().into_inner();
        reports.extend(page.reports);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return reports;
        }
    }
}

/// Returns a file for `countersign import`: a consumer with a token for each request.
fn credentials(clients: &[FieldClient], public_key: &str) -> String {
    let mut lines = Vec::new();
    for round in [Round::Plain, Round::Profiled] {
        for client in clients {
            for kind in client.kinds().filter(|kind| round.sends(client, kind)) {
                lines.extend(credentials_of(
                    client,
                    &key(client, kind, round),
                    round,
                    public_key,
                ));
            }
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn credentials_of(client: &FieldClient, key: &str, round: Round, public_key: &str) -> [Value; 2] {
    let mut consumer = json!({
        "consumer_key": key,
        "consumer_secret": SECRET,
        "name": "Field",
        "flows": ["two-legged", "three-legged"],
        "callbacks": [CALLBACK],
    });
    if SIGN_WITH_RSA.contains(&client.name.as_str()) {
        consumer["rsa_public_keys"] = json!([public_key]);
        consumer["signature_methods"] = json!(["RSA-SHA1", "RSA-SHA256"]);
    }
    if round == Round::Profiled {
        consumer["compat_profiles"] = json!(client.profiles);
    }
    // Xero's private applications use their key as the token.
    let token = match client.name.as_str() {
        "pyxero" => key.to_owned(),
        _ => format!("{key}.token"),
    };
    let token = json!({
        "consumer_key": key, "token": token, "token_secret": TOKEN_SECRET, "user_id": "u-jane",
    });
    [consumer, token]
}

fn signed_by_oauth1_request(kind: &str) -> Request {
    let key = format!("crates.oauth1-request.{kind}");
    let token_key = format!("{key}.token");
    let client = oauth1_request::Credentials::new(&*key, SECRET);
    let token = oauth1_request::Credentials::new(&*token_key, TOKEN_SECRET);
    let token = oauth1_request::Token::new(client, token);
    let text = match kind {
        "utf8" => "caffè 日本",
        _ => "fish & chips/a+b=c*(d)!'~",
    };
    let parameters = oauth1_request::ParameterList::new([("page", "1"), ("q", text)]);
    let uri = format!("http://{HOST}/search");
    if kind == "form" {
        let header = oauth1_request::post(&uri, &parameters, &token, oauth1_request::HMAC_SHA1);
        let form = oauth1_request::to_form(&parameters);
        return Request::form("POST", "/search", &form).with("Authorization", &header);
    }
    let header = oauth1_request::get(&uri, &parameters, &token, oauth1_request::HMAC_SHA1);
    let query = oauth1_request::to_query(uri, &parameters);
    let target = query.strip_prefix(&format!("http://{HOST}")).unwrap();
    Request::get(target).with("Authorization", &header)
}

/// Returns the version of a crate in `Cargo.lock`.
fn locked_version(name: &str) -> String {
    let lock = fs::read_to_string(project("Cargo.lock")).unwrap();
    let begin = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = lock.split_once(&begin).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Returns the configuration: clients of a vendor sign the URL of the vendor.
fn config() -> String {
    let route = |host| format!("\n[[route]]\nhost = \"{host}\"\norigin = \"https://{host}\"\n");
    let routes: String = VENDORS.into_iter().map(route).collect();
    format!("{CONFIG}{routes}")
}

/// The hosts that clients call over https.
const VENDORS: [&str; 6] = [
    "api.discogs.com",
    "api.flickr.com",
    "api.trello.com",
    "api.twitter.com",
    "api.x.com",
    "www.plurk.com",
];

const CONFIG: &str = r#"
check.timeout = "5s"
check.envoy_sends_whole_bodies = true
nonce.trust_envoy_request_id = true
diagnostics.explain_total_rate = 100000
"#;

/// The clients that sign with a private key, whose consumers have its public key.
const SIGN_WITH_RSA: [&str; 3] = ["jira", "mastercard-oauth1-signer", "pyxero"];

const ALLOWED: &str = "allowed";

const SECRET: &str = "kd94hf93k423kf44";
const TOKEN_SECRET: &str = "pfkkdhi9sl3r4s00";
const CALLBACK: &str = "https://printer.example.com/done";

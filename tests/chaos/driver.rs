//! The driver: sends checks at a steady rate to every replica, or through Envoy, and writes each
//! answer to the ledger.
//!
//! Among 20 requests, 11 are valid, 3 have a credential that is revoked during the run, 1 has one
//! that was revoked before, 2 are tampered with, and 3 repeat an earlier request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use envoy_types::ext_authz::v3::pb::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{self, HttpRequest};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tonic::transport::{Channel, Endpoint};

use crate::admin::{Admin, Credential, Role};
use crate::ledger::{Entry, Kind, Ledger, Verdict};
use crate::support::http::Request;

/// Sends the requests of a run.
pub(crate) struct Driver {
    lanes: Vec<Lane>,
    admin: Admin,
    ledger: Arc<Ledger>,
    numbers: Numbers,
    signed: AtomicUsize,
    /// Requests that were allowed.
    allowed: Mutex<Memory>,
    /// Requests that got no verdict.
    failed: Mutex<VecDeque<Signed>>,
}

/// A receiver of requests, and its part of the load.
struct Lane {
    target: Target,
    /// True while a load balancer would send nothing to it.
    rests: AtomicBool,
    in_flight: AtomicUsize,
}

/// A request of a lane without an answer; no longer counted when it is dropped.
struct InFlight<'a>(&'a Lane);

/// Requests to repeat: the last ones, and a sample of older ones.
#[derive(Default)]
struct Memory {
    recent: VecDeque<Signed>,
    older: Vec<Signed>,
}

/// The receiver of requests.
#[derive(Clone)]
pub(crate) enum Target {
    /// The check listener of a replica.
    Check(AuthorizationClient<Channel>),
    /// The listener of an Envoy.
    Envoy(SocketAddr, Client<HttpConnector, Full<Bytes>>),
}

/// A signed request.
#[derive(Clone)]
struct Signed {
    number: usize,
    credential: usize,
    request: Request,
}

/// Numbers that only look random, the same in every run.
pub(crate) struct Numbers(AtomicU64);

// === impl Driver ===

impl Driver {
    /// Returns a driver for the credentials of an administrator.
    pub(crate) fn new(targets: Vec<Target>, admin: Admin, ledger: Arc<Ledger>) -> Self {
        Self {
            lanes: targets.into_iter().map(Lane::of).collect(),
            admin,
            ledger,
            numbers: Numbers::of(1),
            signed: AtomicUsize::new(0),
            allowed: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// Sends so many requests per second until it is aborted.
    pub(crate) async fn drive(self: Arc<Self>, rate: f64) {
        let mut beat = interval(Duration::from_secs_f64(1.0 / rate));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = JoinSet::new();
        for turn in 0.. {
            beat.tick().await;
            let driver = Arc::clone(&self);
            sent.spawn(async move { driver.send(turn).await });
            while sent.try_join_next().is_some() {}
        }
    }

    /// Makes a lane rest, or sends requests to it again.
    pub(crate) fn rest(&self, lanes: Range<usize>, rests: bool) {
        for lane in &self.lanes[lanes] {
            lane.rests.store(rests, Ordering::Relaxed);
        }
    }

    /// Returns the number of requests of a lane without an answer.
    pub(crate) fn in_flight(&self, lane: usize) -> usize {
        self.lanes[lane].in_flight.load(Ordering::Relaxed)
    }

    /// Sends the request of a turn, and writes the answer to the ledger.
    pub(crate) async fn send(&self, turn: usize) {
        let (kind, signed) = self.next(turn);
        let chosen = self.choose();
        let lane = &self.lanes[chosen];
        let in_flight = InFlight::of(lane);
        let sent = Instant::now();
        let verdict = lane.target.ask(&signed.request).await;
        let answered = Instant::now();
        drop(in_flight);
        self.remember(kind, &signed, &verdict);
        self.ledger.add(Entry {
            request: signed.number,
            kind,
            lane: chosen,
            credential: signed.credential,
            sent,
            answered,
            verdict,
        });
    }

    /// Returns a lane that does not rest.
    fn choose(&self) -> usize {
        let first = self.numbers.below(self.lanes.len());
        let lanes = (first..self.lanes.len()).chain(0..first);
        let rests = |&lane: &usize| self.lanes[lane].rests.load(Ordering::Relaxed);
        lanes.into_iter().find(|lane| !rests(lane)).unwrap_or(first)
    }

    /// Returns the request of a turn.
    fn next(&self, turn: usize) -> (Kind, Signed) {
        let number = self.numbers.below(usize::MAX);
        let pick = |role| self.admin.pick(role, number);
        match turn % 20 {
            0 | 7 | 14 => (Kind::Fresh, self.sign(&pick(Role::Doomed))),
            3 => (Kind::Fresh, self.sign(&pick(Role::Revoked))),
            5 | 15 => {
                let signed = self.sign(&pick(Role::Kept));
                (Kind::Tampered, tamper(signed, number))
            }
            2 | 12 => self.repeat(Kind::Replay, number),
            17 => self.repeat(Kind::Retry, number),
            _ => (Kind::Fresh, self.sign(&pick(Role::Kept))),
        }
    }

    fn sign(&self, credential: &Credential) -> Signed {
        let number = self.signed.fetch_add(1, Ordering::Relaxed);
        let request = Request::get(&format!("/photos/{number}?size=large"));
        Signed {
            number,
            credential: credential.index,
            request: credential.caller.sign(&request),
        }
    }

    /// Returns an earlier request: half of the replays are of the last ones, and half of any time
    /// of the run.
    fn repeat(&self, kind: Kind, number: usize) -> (Kind, Signed) {
        if kind == Kind::Retry
            && let Some(failed) = self.failed.lock().unwrap().pop_front()
        {
            return (Kind::Retry, failed);
        }
        let replay = self.allowed.lock().unwrap().choose(number).cloned();
        if let Some(signed) = replay {
            return (Kind::Replay, signed);
        }
        let credential = self.admin.pick(Role::Kept, number);
        (Kind::Fresh, self.sign(&credential))
    }

    fn remember(&self, kind: Kind, signed: &Signed, verdict: &Verdict) {
        if !matches!(kind, Kind::Fresh | Kind::Retry) {
            return;
        }
        match verdict {
            Verdict::Allowed => {
                let number = self.numbers.below(usize::MAX);
                self.allowed.lock().unwrap().add(signed.clone(), number);
            }
            Verdict::Failed(_) if kind == Kind::Fresh => {
                let mut failed = self.failed.lock().unwrap();
                failed.push_back(signed.clone());
                if failed.len() > RECENT {
                    failed.pop_front();
                }
            }
            Verdict::Failed(_) | Verdict::Denied(_) => {}
        }
    }
}

/// Changes a signed request.
fn tamper(signed: Signed, number: usize) -> Signed {
    let mut request = signed.request;
    match number % 4 {
        0 => request.target.push_str("&admin=true"),
        1 => request.method = "DELETE".to_owned(),
        2 => request.target = request.target.replacen("/photos", "/secrets", 1),
        _ => {
            request = request.with_changed("Authorization", |header| {
                let (head, signature) = header.split_once("oauth_signature=\"").unwrap();
                let first = if signature.starts_with('A') { "B" } else { "A" };
                format!("{head}oauth_signature=\"{first}{}", &signature[1..])
            });
        }
    }
    Signed { request, ..signed }
}

// === impl Lane ===

impl Lane {
    fn of(target: Target) -> Self {
        Self {
            target,
            rests: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
        }
    }
}

// === impl InFlight ===

impl<'a> InFlight<'a> {
    fn of(lane: &'a Lane) -> Self {
        lane.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(lane)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Memory ===

impl Memory {
    /// Adds a request. When the sample is full, every thirtieth one replaces another.
    fn add(&mut self, signed: Signed, number: usize) {
        if self.older.len() < OLDER {
            self.older.push(signed.clone());
        } else if number.is_multiple_of(30) {
            self.older[number / 30 % OLDER] = signed.clone();
        }
        self.recent.push_back(signed);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// Returns one of the last requests or one of any time, by a number that may be too large.
    fn choose(&self, number: usize) -> Option<&Signed> {
        if number.is_multiple_of(2) {
            self.recent.get(number / 2 % self.recent.len().max(1))
        } else {
            self.older.get(number / 2 % self.older.len().max(1))
        }
    }
}

// === impl Target ===

impl Target {
    /// Returns the check listener at an address.
    pub(crate) fn check(address: SocketAddr) -> Self {
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_timeout(DEADLINE)
            .connect_lazy();
        Self::Check(AuthorizationClient::new(channel))
    }

    /// Returns the listener of an Envoy.
    pub(crate) fn envoy(address: SocketAddr) -> Self {
        Self::Envoy(address, Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends a request and returns the answer.
    pub(crate) async fn ask(&self, request: &Request) -> Verdict {
        match self {
            Self::Check(client) => {
                let mut call = tonic::Request::new(check_request(request));
                call.set_timeout(DEADLINE);
                match timeout(DEADLINE, client.clone().check(call)).await {
                    Ok(Ok(response)) => verdict(response.into_inner()),
                    Ok(Err(status)) => Verdict::Failed(format!("{:?}", status.code())),
                    Err(_) => Verdict::Failed("no answer".to_owned()),
                }
            }
            Self::Envoy(address, client) => {
                let sent = client.request(http_request(*address, request));
                match timeout(PATIENCE, sent).await {
                    Ok(Ok(response)) => verdict_of_envoy(&response),
                    Ok(Err(_)) => Verdict::Failed("closed".to_owned()),
                    Err(_) => Verdict::Failed("no answer".to_owned()),
                }
            }
        }
    }
}

/// Returns the framed message of a request, as gRPC sends it.
pub(crate) fn message(request: &Request) -> Vec<u8> {
    let message = check_request(request).encode_to_vec();
    let mut framed = vec![0];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    framed
}

/// Returns the message that Envoy sends for a request.
fn check_request(request: &Request) -> CheckRequest {
    let headers = request.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let http = HttpRequest {
        method: request.method.clone(),
        scheme: "http".to_owned(),
        host: request.header("Host").unwrap().to_owned(),
        path: request.target.clone(),
        headers: headers.collect(),
        ..HttpRequest::default()
    };
    let request = attribute_context::Request {
        http: Some(http),
        ..attribute_context::Request::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(request),
            ..AttributeContext::default()
        }),
    }
}

fn verdict(response: CheckResponse) -> Verdict {
    match response.http_response {
        Some(HttpResponse::OkResponse(_)) => Verdict::Allowed,
        Some(HttpResponse::DeniedResponse(denied)) => {
            let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap_or_default();
            let problem = body["oauth_problem"].as_str();
            Verdict::Denied(problem.unwrap_or("denied").to_owned())
        }
        Some(HttpResponse::ErrorResponse(_)) => Verdict::Failed("503".to_owned()),
        None => Verdict::Failed("empty".to_owned()),
    }
}

fn http_request(address: SocketAddr, request: &Request) -> hyper::Request<Full<Bytes>> {
    let mut sent = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(format!("http://{address}{}", request.target));
    for (name, value) in &request.headers {
        sent = sent.header(name, value);
    }
    sent.body(Full::default()).unwrap()
}

fn verdict_of_envoy<B>(response: &hyper::Response<B>) -> Verdict {
    let challenge = response.headers().get("www-authenticate");
    let challenge = challenge.and_then(|value| value.to_str().ok());
    match response.status().as_u16() {
        200 => Verdict::Allowed,
        401 | 403 => {
            let problem = challenge.and_then(|text| text.split("oauth_problem=\"").nth(1));
            let problem = problem.and_then(|text| text.split('"').next());
            Verdict::Denied(problem.unwrap_or("denied").to_owned())
        }
        status => Verdict::Failed(status.to_string()),
    }
}

// === impl Numbers ===

impl Numbers {
    /// Returns the numbers of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Returns the next number below a limit.
    pub(crate) fn below(&self, limit: usize) -> usize {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize % limit
    }
}

/// The time that the driver waits for a check: longer than `check.timeout`.
pub(crate) const DEADLINE: Duration = Duration::from_millis(250);

/// The time that a client of Envoy waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// The number of requests from which recent replays and retries are chosen.
const RECENT: usize = 50;

/// The number of requests of any time from which replays are chosen.
const OLDER: usize = 20_000;

//! Two replicas on one Redis: a change at one reaches the other at once, and a warm check costs one
//! command.
//!
//! The tests print the measured times: `cargo test --test it -- replicas --nocapture`.

use std::time::Duration;

use envoy_types::ext_authz::v3::pb::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{self, HttpRequest};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::process::{START, eventually};
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_by_every_replica_within_a_second() {
    let replicas = Replicas::start(LONG).await;
    let token = &replicas.alice.token.as_ref().unwrap().0;
    replicas
        .refuse_after(
            "revoking a token",
            &["token", "revoke", token, "--yes"],
            "token_revoked",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_consumer_is_refused_by_every_replica_within_a_second() {
    let replicas = Replicas::start(LONG).await;
    let disable = ["consumer", "disable", &replicas.alice.consumer_key];
    replicas
        .refuse_after("disabling a consumer", &disable, "consumer_key_refused")
        .await;
    let enable = ["consumer", "enable", &replicas.alice.consumer_key];
    replicas
        .measure(
            "enabling a consumer",
            &enable,
            &Answer::Allowed("read write".into()),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_consumer_is_refused_by_every_replica_within_a_second() {
    let replicas = Replicas::start(LONG).await;
    let delete = ["consumer", "delete", &replicas.alice.consumer_key, "--yes"];
    replicas
        .refuse_after("deleting a consumer", &delete, "signature_invalid")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_and_a_deleted_user_are_refused_by_every_replica_within_a_second() {
    let replicas = Replicas::start(LONG).await;
    replicas
        .refuse_after(
            "disabling a user",
            &["user", "disable", "alice"],
            "token_rejected",
        )
        .await;
    let allowed = Answer::Allowed("read write".into());
    replicas
        .measure("enabling a user", &["user", "enable", "alice"], &allowed)
        .await;
    replicas
        .refuse_after(
            "deleting a user",
            &["user", "delete", "alice", "--yes"],
            "token_revoked",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_revoked_tokens_of_a_user_or_a_consumer_are_refused_by_every_replica_within_a_second() {
    let replicas = Replicas::start(LONG).await;
    let of_user = ["token", "revoke-all", "--user-id=alice", "--yes"];
    replicas
        .refuse_after("revoking all tokens of a user", &of_user, "token_revoked")
        .await;
    let replicas = Replicas::start(LONG).await;
    let of_consumer = [
        "token",
        "revoke-all",
        "--yes",
        "--consumer-key",
        &replicas.alice.consumer_key,
    ];
    replicas
        .refuse_after(
            "revoking all tokens of a consumer",
            &of_consumer,
            "token_revoked",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn narrowed_scopes_are_known_to_every_replica_within_a_second() {
    let replicas = Replicas::start(LONG).await;
    let narrow = [
        "consumer",
        "update",
        &replicas.alice.consumer_key,
        "--scope=read",
    ];
    replicas
        .measure("narrowing scopes", &narrow, &Answer::Allowed("read".into()))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_created_after_a_miss_is_usable_at_every_replica() {
    let replicas = Replicas::start(LONG).await;
    let newcomer = Caller {
        consumer_key: "newcomer".into(),
        consumer_secret: "its-own-secret-0123".into(),
        token: None,
    };
    assert_eq!(
        replicas.there.check(&newcomer).await,
        Answer::Denied("signature_invalid".into())
    );
    let create = [
        "consumer",
        "create",
        "--name=Newcomer",
        "--consumer-key=newcomer",
        "--consumer-secret=its-own-secret-0123",
        "--scope=read",
    ];
    replicas
        .measure_for(
            &newcomer,
            "creating a consumer",
            &create,
            &Answer::Allowed("read".into()),
        )
        .await;
}

/// Redis forbids every channel, which closes the listening connections.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_channel_cut_a_revoked_token_is_refused_within_max_age() {
    let replicas = Replicas::start("2s").await;
    replicas
        .redis
        .run::<()>(&["ACL", "SETUSER", "default", "resetchannels"]);
    replicas
        .there
        .has_metric("countersign_changes_heard 0")
        .await;
    replicas
        .here
        .has_metric("countersign_changes_heard 0")
        .await;
    let token = &replicas.alice.token.as_ref().unwrap().0;
    let revoked = Answer::Denied("token_revoked".into());
    let took = replicas
        .time(
            "revoking a token, with the channel cut",
            &["token", "revoke", token, "--yes"],
            &revoked,
        )
        .await;
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
    replicas
        .here
        .has_metric("countersign_changes_untold_total 1")
        .await;

    replicas
        .redis
        .run::<()>(&["ACL", "SETUSER", "default", "allchannels"]);
    replicas
        .there
        .has_metric("countersign_changes_heard 1")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cut_connection_is_made_anew_changes_are_known_at_once_again() {
    let replicas = Replicas::start(LONG).await;
    let before = replicas.there.cleared().await;
    assert!(
        replicas
            .redis
            .run::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub"])
            >= 2
    );
    let cleared = async || (replicas.there.cleared().await > before).then_some(());
    eventually("the whole cache is cleared", PATIENCE, cleared).await;
    replicas
        .there
        .has_metric("countersign_changes_heard 1")
        .await;
    let token = &replicas.alice.token.as_ref().unwrap().0;
    replicas
        .refuse_after(
            "revoking a token after a reconnection",
            &["token", "revoke", token, "--yes"],
            "token_revoked",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_warm_checks_cost_redis_a_hundred_claims_and_no_look_up() {
    let replicas = Replicas::start(LONG).await;
    let allowed = Answer::Allowed("read write".into());
    assert_eq!(replicas.there.check(&replicas.alice).await, allowed);
    replicas.redis.run::<()>(&["CONFIG", "RESETSTAT"]);
    for _ in 0..100 {
        assert_eq!(replicas.there.check(&replicas.alice).await, allowed);
    }
    let mut commands = replicas.redis.command_counts();
    show(&format!(
        "commands of 100 warm checks, probes and beats of both replicas among them: {commands:?}"
    ));
    // Of the commands, only `EVAL` belongs to synthetic checks alone. One of each replica may be in
    // progress at both ends of the count.
    let synthetic = commands.remove("eval").unwrap_or_default();
    for (name, expected, why) in [
        ("evalsha", 100 + synthetic, "one script call for each check"),
        ("hsetnx", 100 + synthetic, "one nonce for each check"),
        ("mget", synthetic, "no lookup"),
        ("exists", synthetic, "no lookup"),
        ("get", synthetic, "no lookup"),
    ] {
        let count = commands.remove(name).unwrap_or_default();
        assert!(count.abs_diff(expected) <= 4, "{why}: {name} {count}");
    }
    // The other commands of the script, and the background work of both replicas.
    let others = [
        "hget",
        "hmget",
        "time",
        "pttl",
        "pexpire",
        "config|resetstat",
        "info",
        "ping",
        "publish",
        "set",
    ];
    commands.retain(|name, _| !others.contains(&name.as_str()));
    assert!(commands.is_empty(), "unexpected commands: {commands:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_with_checks_have_separate_redis_connections() {
    let replicas = Replicas::start(LONG).await;
    // The default number of connections of both stores.
    let shared = 2 * 4;
    eventually("more connections than are shared", START, async || {
        assert_eq!(
            replicas.there.check(&replicas.alice).await,
            Answer::Allowed("read write".into())
        );
        let clients: String = replicas.redis.run(&["CLIENT", "LIST", "TYPE", "normal"]);
        let own = clients
            .lines()
            .filter(|client| !client.contains("cmd=client|list"))
            .count();
        (own > shared).then_some(())
    })
    .await;
}

/// Two replicas that listen to each other's changes, with a warm caller at both.
struct Replicas {
    redis: RedisServer,
    here: Replica,
    there: Replica,
    alice: Caller,
}

/// A replica, and a client that acts as Envoy.
pub(crate) struct Replica {
    countersign: Countersign,
    checks: AuthorizationClient<Channel>,
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// An allow, with these scopes.
    Allowed(String),
    /// A denial with this problem.
    Denied(String),
}

impl Replicas {
    async fn start(max_age: &str) -> Self {
        let redis = RedisServer::start();
        let config = format!(
            "cache.max_age = \"{max_age}\"\ncheck.timeout = \"5s\"\nstore.timeout = \"3s\"\n"
        );
        let here = Countersign::start(&redis.url(), &config).await;
        let there = here.beside().await;
        let alice = alice(&here).await;
        let replicas = Self {
            redis,
            here: Replica::of(here).await,
            there: Replica::of(there).await,
            alice,
        };
        for replica in [&replicas.here, &replicas.there] {
            replica.has_metric("countersign_changes_heard 1").await;
            // Both replicas now have copies of every record.
            assert_eq!(
                replica.check(&replicas.alice).await,
                Answer::Allowed("read write".into())
            );
        }
        replicas
    }

    /// Runs a command at one replica that makes both refuse Alice.
    async fn refuse_after(&self, what: &str, command: &[&str], problem: &str) {
        let refused = Answer::Denied(problem.to_owned());
        self.measure(what, command, &refused).await;
        assert_eq!(
            self.here.check(&self.alice).await,
            refused,
            "the replica that made the change"
        );
    }

    async fn measure(&self, what: &str, command: &[&str], expected: &Answer) {
        self.measure_for(&self.alice, what, command, expected).await;
    }

    async fn measure_for(&self, caller: &Caller, what: &str, command: &[&str], expected: &Answer) {
        let took = self.time_for(caller, what, command, expected).await;
        assert!(took < PROMISED + SLACK, "{what}: {took:?}");
    }

    async fn time(&self, what: &str, command: &[&str], expected: &Answer) -> Duration {
        self.time_for(&self.alice, what, command, expected).await
    }

    /// Runs a command at one replica and polls the other one; returns the time from the end of the
    /// command to the expected result.
    async fn time_for(
        &self,
        caller: &Caller,
        what: &str,
        command: &[&str],
        expected: &Answer,
    ) -> Duration {
        let begin = Instant::now();
        let change = async {
            self.here.countersign.admin(command).await;
            Instant::now()
        };
        let known = eventually(what, PATIENCE, async || {
            (self.there.check(caller).await == *expected).then(Instant::now)
        });
        let (changed, known) = tokio::join!(change, known);
        let took = known.saturating_duration_since(changed);
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let (from_begin, from_end) = (ms(known - begin), ms(took));
        show(&format!(
            "{what}: known to the other replica {from_begin:.1} ms after the command began, {from_end:.1} ms after it ended"
        ));
        took
    }
}

impl Replica {
    pub(crate) async fn of(countersign: Countersign) -> Self {
        let channel = Endpoint::from_shared(format!("http://{}", countersign.check))
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self {
            countersign,
            checks: AuthorizationClient::new(channel),
        }
    }

    /// Checks a new request of a caller.
    pub(crate) async fn check(&self, caller: &Caller) -> Answer {
        let request = caller.sign(&Request::get("/photos"));
        let response = self
            .checks
            .clone()
            .check(check_request(&request))
            .await
            .unwrap()
            .into_inner();
        match response.http_response.unwrap() {
            HttpResponse::OkResponse(ok) => {
                let headers = ok.headers.into_iter().filter_map(|option| option.header);
                let scope = headers
                    .filter(|header| header.key == "x-authenticated-scope")
                    .map(|header| header.value);
                Answer::Allowed(scope.collect())
            }
            HttpResponse::DeniedResponse(denied) => {
                let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
                Answer::Denied(body["oauth_problem"].as_str().unwrap().to_owned())
            }
            other @ HttpResponse::ErrorResponse(_) => panic!("{other:?}"),
        }
    }

    /// Returns the number of times that the whole cache was cleared.
    async fn cleared(&self) -> u64 {
        let metrics = self.countersign.metrics().await;
        let series = "countersign_cache_invalidations_total{changed=\"everything\"} ";
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(series))
            .map_or(0, |count| count.parse().unwrap())
    }

    async fn has_metric(&self, line: &str) {
        let seen = async || {
            self.countersign
                .metrics()
                .await
                .lines()
                .any(|seen| seen == line)
                .then_some(())
        };
        eventually(line, PATIENCE, seen).await;
    }
}

/// Creates a user with a token that has every scope of its consumer.
pub(crate) async fn alice(countersign: &Countersign) -> Caller {
    countersign
        .admin(&["user", "create", "--username=alice", "--user-id=alice"])
        .await;
    let consumer = countersign
        .admin(&[
            "consumer",
            "create",
            "--name=Printer",
            "--scope=read",
            "--scope=write",
        ])
        .await;
    let text = |json: &serde_json::Value, field: &str| json[field].as_str().unwrap().to_owned();
    let consumer_key = text(&consumer, "consumer_key");
    let of_alice = [
        "--consumer-key",
        &consumer_key,
        "--user-id=alice",
        "--scope=read",
        "--scope=write",
    ];
    let token = countersign
        .admin(&[&["token", "create"][..], &of_alice].concat())
        .await;
    Caller {
        consumer_key,
        consumer_secret: text(&consumer, "consumer_secret"),
        token: Some((text(&token, "token"), text(&token, "token_secret"))),
    }
}

/// Returns the message that Envoy sends for a request.
pub(crate) fn check_request(request: &Request) -> CheckRequest {
    let headers = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let http = HttpRequest {
        method: request.method.clone(),
        scheme: "http".to_owned(),
        host: request.header("Host").unwrap().to_owned(),
        path: request.target.clone(),
        headers: headers.collect(),
        body: request.body.clone(),
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

#[expect(
    clippy::print_stdout,
    reason = "a measured time is what the test is there to show"
)]
fn show(measured: &str) {
    println!("{measured}");
}

/// Longer than any test takes: only a change can evict a record.
const LONG: &str = "10m";

/// The time within which every replica sees a change while Redis is up.
const PROMISED: Duration = Duration::from_secs(1);

/// The time that a test waits on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The tolerance on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

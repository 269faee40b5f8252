//! Two instances on one Redis: both count the wrong passwords of a caller, and existing and unknown
//! users cost the same commands.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::bench::{assert_refused, exchanging};
use crate::support::caller::Caller;
use crate::support::http::Response;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_at_one_instance_count_for_their_address_at_the_other() {
    let pair = Pair::start("password.address_failures = 3\npassword.free_failures = 100\n").await;
    for username in ["jane", "joe", "jill"] {
        assert_refused(
            &pair.guess(&pair.one, username).await,
            401,
            "permission_denied",
        );
    }
    assert_refused(
        &pair.guess(&pair.other, "jack").await,
        429,
        "permission_denied",
    );
    assert_refused(
        &pair.guess(&pair.one, "jack").await,
        429,
        "permission_denied",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_at_one_instance_delay_the_user_at_the_other() {
    let pair = Pair::start("password.address_failures = 1000\npassword.free_failures = 0\n").await;
    for (instance, least) in [
        (&pair.one, 250),
        (&pair.other, 500),
        (&pair.one, 1000),
        (&pair.other, 2000),
    ] {
        let begin = Instant::now();
        assert_refused(
            &pair.guess(instance, "jane").await,
            401,
            "permission_denied",
        );
        let took = begin.elapsed();
        assert!(
            took >= Duration::from_millis(least),
            "{took:?} instead of {least} ms"
        );
    }
    let answer = pair.log_in(&pair.one, "jane", PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The test counts commands, as times vary on a busy machine.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_and_a_wrong_password_cost_redis_the_same_commands() {
    let pair = Pair::start("").await;
    // The consumer is cached, every script is loaded, and every window is open.
    for username in ["jane", "nobody-of-this-name"] {
        pair.guess(&pair.one, username).await;
    }
    let known = pair.commands_of_a_guess("jane").await;
    let unknown = pair.commands_of_a_guess("nobody-of-this-name").await;
    assert_eq!(known, unknown);
    assert!(known.len() > 1, "no command was counted: {known:?}");
}

/// Two instances, a consumer that may exchange passwords, and Jane.
struct Pair {
    redis: RedisServer,
    one: Countersign,
    other: Countersign,
    app: Caller,
}

impl Pair {
    async fn start(config: &str) -> Self {
        let redis = RedisServer::start();
        let config = format!("{QUICK}{config}");
        let one = Countersign::start(&redis.url(), &config).await;
        let other = one.beside().await;
        let app = Caller {
            consumer_key: "K".into(),
            consumer_secret: "its-own-secret-0123".into(),
            token: None,
        };
        let create = [
            "consumer",
            "create",
            "--name=Phone",
            "--consumer-key=K",
            "--flow=xauth",
        ];
        one.admin(&[&create[..], &["--consumer-secret=its-own-secret-0123"]].concat())
            .await;
        let password = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(password.path(), PASSWORD).unwrap();
        let file = password.path().to_str().unwrap();
        one.admin(&[
            "user",
            "create",
            "--username=jane",
            "--user-id=u-jane",
            "--password-file",
            file,
        ])
        .await;
        Self {
            redis,
            one,
            other,
            app,
        }
    }

    async fn guess(&self, at: &Countersign, username: &str) -> Response {
        self.log_in(at, username, "a wrong guess").await
    }

    async fn log_in(&self, at: &Countersign, username: &str, password: &str) -> Response {
        self.app
            .password(username, password)
            .in_form(&exchanging())
            .send(at.http)
            .await
    }

    /// Returns the calls of each command for one wrong guess, except those that the instances send
    /// on their own, and the claim of the nonce.
    async fn commands_of_a_guess(&self, username: &str) -> BTreeMap<String, u64> {
        self.redis.run::<()>(&["CONFIG", "RESETSTAT"]);
        assert_eq!(self.guess(&self.one, username).await.status, 401);
        let mut commands = self.redis.command_counts();
        // Only the first claim of a second in its bucket sets its expiry.
        let beside = [
            "config|resetstat",
            "info",
            "publish",
            "set",
            "ping",
            "pexpire",
        ];
        commands.retain(|name, _| !beside.contains(&name.as_str()));
        commands
    }
}

const PASSWORD: &str = "correct horse";

/// The cheapest hash, and a long timeout for a busy machine.
const QUICK: &str = "store.timeout = \"3s\"\npassword.memory_kib = 8\npassword.iterations = 1\n";

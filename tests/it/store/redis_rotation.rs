//! Certificates and passwords of connections to Redis that change while the store is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::store::Store;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::bench::{causes, claim_anything};
use super::redis_tls::{PASSWORD, bench};
use crate::support::certificates::Certificates;
use crate::support::process::{START, eventually};
use crate::support::program::Countersign;
use crate::support::redis_tls::{Mount, TlsRedis, users_of};

/// The old password is removed, and every connection closed, right after the file has changed.
#[tokio::test(flavor = "multi_thread")]
async fn no_claim_fails_while_the_password_changes() {
    let authority = Certificates::create();
    let redis = TlsRedis::start(&authority);
    redis.allow("app", PASSWORD);
    let mount = Mount::new(&authority, PASSWORD);
    let store = bench(redis.url("app@"), mount.all()).open().await;
    let claims = Claims::start(&store);
    let mut old = PASSWORD.to_owned();
    for new in ["second", "third"] {
        claims.some_more().await;
        redis.allow("app", new);
        mount.replace(&[&authority], &authority, new);
        redis.forbid("app", &old);
        redis.hang_up();
        claims.some_more().await;
        old = new.to_owned();
    }
    claims.end_without_failure().await;
    let users = users_of(&redis.server, redis.port);
    let are_all = users.iter().all(|user| user == "app");
    assert!(are_all && !users.is_empty(), "{users:?}");
}

/// First both authorities are trusted, then servers and clients get certificates of the new one,
/// then the old one is trusted no more.
#[tokio::test(flavor = "multi_thread")]
async fn no_claim_fails_while_every_certificate_changes() {
    let (old, new) = (Certificates::create(), Certificates::create());
    let names = ["ip:127.0.0.1"];
    let redis = TlsRedis::start(&old);
    redis.allow("app", PASSWORD);
    let mount = Mount::new(&old, PASSWORD);
    let store = bench(redis.url("app@"), mount.all()).open().await;
    let claims = Claims::start(&store);
    claims.some_more().await;

    redis.present(&old, &names, &[&old, &new]);
    mount.replace(&[&old, &new], &new, PASSWORD);
    redis.hang_up();
    claims.some_more().await;

    redis.present(&new, &names, &[&new]);
    redis.hang_up();
    claims.some_more().await;

    mount.replace(&[&new], &new, PASSWORD);
    redis.hang_up();
    claims.some_more().await;
    claims.end_without_failure().await;

    // Nobody trusts the old authority any more.
    let left_behind = Mount::new(&old, PASSWORD);
    let store = bench(redis.url("app@"), left_behind.all()).open().await;
    let said = causes(&claim_anything(&*store).await.unwrap_err());
    assert!(said.contains("UnknownIssuer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_content_stays_in_use_while_a_file_is_broken() {
    let authority = Certificates::create();
    let redis = TlsRedis::start(&authority);
    redis.allow("app", PASSWORD);
    let mount = Mount::new(&authority, PASSWORD);
    let environment = mount.environment();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, path)| (*name, path.as_str()))
        .collect();
    let config = "store.timeout = \"3s\"";
    let program = Countersign::start_in(&environment, &redis.url("app@"), config).await;
    let serves = async || program.is_serving().await.then_some(());
    eventually("it serves", START, serves).await;

    let good: Vec<_> = ["ca.pem", "client.pem", "client.key"]
        .map(|name| mount.text(name))
        .into();
    let [ca, certificate, key] = [&good[0], &good[1], &good[2]];
    mount.replace_with([ca, certificate, "s3cr3t", PASSWORD]);
    let warning = "its last good content stays in use";
    program.logs(warning).await;
    redis.hang_up();
    sleep(Duration::from_secs(3)).await;
    eventually("it serves with the last good content", START, serves).await;
    let log = program.log();
    assert_eq!(log.matches(warning).count(), 1, "{log}");
    let file = mount.path("client.key");
    assert!(log.contains(file.to_str().unwrap()), "{log}");
    assert!(!log.contains("s3cr3t"), "{log}");

    mount.replace_with([ca, certificate, key, PASSWORD]);
    program.logs("can be read again").await;
}

/// Claims of nonces, several at a time and without a pause.
struct Claims {
    is_over: Arc<AtomicBool>,
    done: watch::Sender<u64>,
    tasks: JoinSet<Vec<String>>,
}

// === impl Claims ===

impl Claims {
    fn start(store: &Arc<dyn Store>) -> Self {
        let mut claims = Self {
            is_over: Arc::default(),
            done: watch::Sender::new(0),
            tasks: JoinSet::new(),
        };
        for _ in 0..4 {
            let (store, is_over) = (Arc::clone(store), Arc::clone(&claims.is_over));
            let done = claims.done.clone();
            claims.tasks.spawn(async move {
                let mut failures = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let claimed = claim_anything(&*store).await;
                    failures.extend(claimed.err().map(|error| causes(&error)));
                    done.send_modify(|done| *done += 1);
                }
                failures
            });
        }
        claims
    }

    /// Returns after some more claims.
    async fn some_more(&self) {
        let enough = *self.done.borrow() + 400;
        let mut done = self.done.subscribe();
        let reached = done.wait_for(|&done| done >= enough);
        timeout(START, reached).await.unwrap().unwrap();
    }

    async fn end_without_failure(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let failures = self.tasks.join_all().await.concat();
        assert_eq!(failures, Vec::<String>::new());
    }
}

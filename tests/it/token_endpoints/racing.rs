//! Two instances on one Redis: an exchange on one counts for both.

use futures_util::future::join_all;

use super::bench::{CALLBACK, assert_refused, exchanging, requesting};
use crate::support::caller::Caller;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn of_exchanges_that_race_over_two_instances_one_gets_the_token() {
    let (_redis, one, other) = pair().await;
    let printer = printer(&one).await;
    for round in 0..5 {
        let (temporary, verifier) = allowed(&one, &printer).await;
        let requests: Vec<_> = (0..8)
            .map(|_| {
                temporary
                    .signing()
                    .with("oauth_verifier", &verifier)
                    .in_header(&exchanging())
            })
            .collect();
        let racing = requests.iter().enumerate().map(|(at, request)| {
            let instance = if at % 2 == 0 { &one } else { &other };
            request.send(instance.http)
        });
        let answers = join_all(racing).await;
        let (got, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 200);
        assert_eq!(got.len(), 1, "round {round}: {got:?}");
        refused
            .iter()
            .for_each(|answer| assert_refused(answer, 401, "token_used"));
    }
    let tokens = ["token", "list", "--user-id=alice"];
    assert_eq!(
        other.admin(&tokens).await.as_array().map(Vec::len),
        Some(5),
        "each round issues one token"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_used_up_on_both() {
    let (_redis, one, other) = pair().await;
    let printer = printer(&one).await;
    let request = printer
        .signing()
        .with("oauth_callback", CALLBACK)
        .in_header(&requesting());
    let answers = join_all([&one, &other].map(|instance| request.send(instance.http))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "{answers:?}");
}

async fn pair() -> (RedisServer, Countersign, Countersign) {
    let redis = RedisServer::start();
    let one = Countersign::start(&redis.url(), PATIENT).await;
    let other = one.beside().await;
    (redis, one, other)
}

async fn printer(countersign: &Countersign) -> Caller {
    let callback = format!("--callback={CALLBACK}");
    let consumer = countersign
        .admin(&["consumer", "create", "--name=Printer", &callback])
        .await;
    let text = |field: &str| consumer[field].as_str().unwrap().to_owned();
    Caller {
        consumer_key: text("consumer_key"),
        consumer_secret: text("consumer_secret"),
        token: None,
    }
}

/// Returns temporary credentials that Alice authorized, and the verifier.
async fn allowed(countersign: &Countersign, printer: &Caller) -> (Caller, String) {
    let asking = printer
        .signing()
        .with("oauth_callback", CALLBACK)
        .in_header(&requesting());
    let temporary = printer.with_token_of(&asking.send(countersign.http).await);
    let (name, _) = temporary.token.clone().unwrap();
    let allowed = countersign
        .admin(&["request-token", "authorize", "--user-id=alice", &name])
        .await;
    (temporary, allowed["verifier"].as_str().unwrap().to_owned())
}

/// A long timeout, for a busy machine.
const PATIENT: &str = r#"store.timeout = "3s""#;

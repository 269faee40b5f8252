//! Audit events of the token endpoints: each names the consumer, and no secret.

use super::bench::{Bench, exchanging, fields, name};
use crate::support::audit_log::AuditLog;

#[tokio::test]
async fn whatever_a_consumer_gets_or_tries_leaves_an_audit_event_without_secrets() {
    let bench = Bench::start().await;
    let app = bench.consumer(&["three-legged", "xauth"]).await;
    bench.user("jane", "correct horse & battery").await;
    let log = AuditLog::listen();
    let temporary = bench.asks(&app).await;
    let verifier = bench.allows(&temporary).await;
    bench.exchanges(&temporary, "a-wrong-verifier").await;
    let token = fields(&bench.exchanges(&temporary, &verifier).await);
    bench
        .send(
            &app.password("jane-or-a-password", "a-wrong-password")
                .in_form(&exchanging()),
        )
        .await;
    let by_password = fields(
        &bench
            .send(
                &app.password("jane", "correct horse & battery")
                    .in_form(&exchanging()),
            )
            .await,
    );

    let consumer = format!("consumer {}", app.consumer_key);
    let expected = [
        (&*consumer, "request_token.create"),
        ("admin", "request_token.authorize"),
        (&consumer, "request_token.wrong_verifier"),
        (&consumer, "token.exchange"),
        ("nobody", "log_in.refused"),
        ("nobody", "log_in"),
        (&consumer, "token.exchange_password"),
    ];
    assert_eq!(
        log.events(),
        expected.map(|(actor, action)| format!("{actor}: {action}"))
    );
    let text = log.text();
    for public in [
        name(&temporary).as_str(),
        &token["oauth_token"],
        &by_password["oauth_token"],
    ] {
        assert!(text.contains(public), "{public} is not named in {text}");
    }
    let temporary_secret = temporary.token.unwrap().1;
    for secret in [
        &app.consumer_secret,
        &temporary_secret,
        &verifier,
        &token["oauth_token_secret"],
        &by_password["oauth_token_secret"],
        "correct horse",
        "correct%20horse",
        "a-wrong-verifier",
        "a-wrong-password",
        "jane-or-a-password",
    ] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_proven_leaves_no_audit_event() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let log = AuditLog::listen();
    let stranger = crate::support::caller::Caller {
        consumer_secret: "guessed".to_owned(),
        ..temporary
    };
    assert_eq!(bench.exchanges(&stranger, "00000000").await.status, 401);
    assert_eq!(log.events(), Vec::<String>::new());
}

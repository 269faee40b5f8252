//! The exchange of a password (xAuth): only for consumers with that flow, and no faster than a user
//! types.

use std::time::Duration;

use countersign::model::{ConsumerKey, Token};

use super::bench::{Bench, assert_refused, exchanging, fields};
use crate::support::http::{Request, Response};

#[tokio::test]
async fn a_name_and_a_password_are_exchanged_for_a_token() {
    let bench = Bench::start().await;
    let app = bench.consumer(&["xauth"]).await;
    bench.user("jane", "correct horse & battery").await;
    let answer = bench
        .send(
            &app.password("jane", "correct horse & battery")
                .in_form(&exchanging()),
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answered = fields(&answer);
    assert_eq!(
        (
            answered["user_id"].as_str(),
            answered["screen_name"].as_str(),
            answered["x_auth_expires"].as_str()
        ),
        ("u-jane", "jane", "0")
    );
    let (key, token) = (
        ConsumerKey::new(&*app.consumer_key).unwrap(),
        Token::new(&*answered["oauth_token"]).unwrap(),
    );
    let found = bench
        .store
        .caller_records(&key, Some(&token))
        .await
        .unwrap()
        .token
        .unwrap();
    assert_eq!(
        found.secret.expose(),
        answered["oauth_token_secret"].as_bytes()
    );

    let json = exchanging().with("Accept", "application/json");
    let answer = bench
        .send(
            &app.password("jane", "correct horse & battery")
                .in_form(&json),
        )
        .await;
    assert_eq!(
        (answer.status, &answer.json()["x_auth_expires"]),
        (200, &0.into()),
        "{answer:?}"
    );
}

#[tokio::test]
async fn x_auth_expires_says_for_how_many_seconds_a_token_is_valid() {
    let bench =
        Bench::with(|config| config.issue.access_token_ttl = Some(Duration::from_secs(3600))).await;
    let app = bench.consumer(&["xauth"]).await;
    bench.user("jane", "correct horse").await;
    let answer = bench
        .send(&app.password("jane", "correct horse").in_form(&exchanging()))
        .await;
    assert_eq!(fields(&answer)["x_auth_expires"], "3600");
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_get_the_same_answer() {
    let bench = Bench::start().await;
    let app = bench.consumer(&["xauth"]).await;
    bench.user("jane", "correct horse").await;
    let wrong = bench
        .send(&app.password("jane", "wrong horse").in_form(&exchanging()))
        .await;
    let unknown = bench
        .send(
            &app.password("nobody", "correct horse")
                .in_form(&exchanging()),
        )
        .await;
    assert_refused(&wrong, 401, "permission_denied");
    assert_eq!(told(&wrong), told(&unknown));
    assert!(!bench.counted("access_token", "issue", "ok"));
}

#[tokio::test]
async fn a_consumer_without_the_flow_may_not_exchange_passwords() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["two-legged", "three-legged"]).await;
    bench.user("jane", "correct horse").await;
    let answer = bench
        .send(
            &printer
                .password("jane", "correct horse")
                .in_form(&exchanging()),
        )
        .await;
    assert_refused(&answer, 403, "permission_denied");
}

#[tokio::test]
async fn a_password_is_not_looked_at_before_the_consumer_is_proven() {
    let bench = Bench::with(|config| config.password.address_failures = 1).await;
    let app = bench.consumer(&["xauth"]).await;
    bench.user("jane", "correct horse").await;
    let stranger = crate::support::caller::Caller {
        consumer_secret: "guessed".to_owned(),
        ..app.clone()
    };
    for _ in 0..3 {
        let answer = bench
            .send(&stranger.password("jane", "wrong").in_form(&exchanging()))
            .await;
        assert_refused(&answer, 401, "signature_invalid");
    }
    assert_eq!(
        bench
            .send(&app.password("jane", "correct horse").in_form(&exchanging()))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn guesses_of_one_user_get_a_retry_time() {
    let bench = Bench::with(|config| {
        config.password.address_failures = 2;
        config.password.window = Duration::from_secs(600);
    });
    let bench = bench.await;
    let app = bench.consumer(&["xauth"]).await;
    bench.user("jane", "correct horse").await;
    let mut last = None;
    for _ in 0..4 {
        last = Some(
            bench
                .send(&app.password("jane", "wrong").in_form(&exchanging()))
                .await,
        );
    }
    let last = last.unwrap();
    assert_refused(&last, 429, "permission_denied");
    let seconds: u64 = last.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=600).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_forged_x_forwarded_for_gives_no_more_guesses() {
    let bench = Bench::with(|config| config.password.address_failures = 2).await;
    let app = bench.consumer(&["xauth"]).await;
    bench.user("jane", "correct horse").await;
    let mut statuses = Vec::new();
    for host in 0..4 {
        let from = exchanging().with("X-Forwarded-For", &format!("198.51.100.{host}"));
        statuses.push(
            bench
                .send(&app.password("jane", "wrong").in_form(&from))
                .await
                .status,
        );
    }
    assert_eq!(statuses[3], 429, "{statuses:?}");
}

#[tokio::test]
async fn behind_a_trusted_proxy_addresses_are_limited_apart() {
    let bench = Bench::with(|config| {
        config.password.address_failures = 2;
        config.http.trusted_hops = 1;
    });
    let bench = bench.await;
    let app = bench.consumer(&["xauth"]).await;
    bench.user("jane", "correct horse").await;
    let from =
        |address: &str| exchanging().with("X-Forwarded-For", &format!("203.0.113.1, {address}"));
    let guess = |request: Request| app.password("jane", "wrong").in_form(&request);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(bench.send(&guess(from("198.51.100.1"))).await.status);
    }
    assert_eq!(statuses[3], 429, "{statuses:?}");
    assert_eq!(bench.send(&guess(from("198.51.100.2"))).await.status, 401);
}

#[tokio::test]
async fn a_request_token_may_name_scopes() {
    let bench = Bench::start().await;
    let app = bench.consumer(&["xauth"]).await;
    bench.user("jane", "correct horse").await;
    let answer = bench
        .send(
            &app.password("jane", "correct horse")
                .with("scope", "write")
                .in_form(&exchanging()),
        )
        .await;
    let token = Token::new(&*fields(&answer)["oauth_token"]).unwrap();
    assert_eq!(
        bench.issuer.token(&token).await.unwrap().scopes.to_string(),
        "write"
    );
    let answer = bench
        .send(
            &app.password("jane", "correct horse")
                .with("scope", "admin")
                .in_form(&exchanging()),
        )
        .await;
    assert_refused(&answer, 400, "parameter_rejected");
}

#[tokio::test]
async fn the_answer_to_an_unknown_mode_names_the_only_mode() {
    let bench = Bench::start().await;
    let app = bench.consumer(&["xauth"]).await;
    let asking = app
        .signing()
        .with("x_auth_mode", "reverse_auth")
        .in_form(&exchanging());
    let answer = bench.refuses(&asking, 400, "parameter_rejected").await;
    assert_eq!(
        answer.json()["detail"],
        "Set x_auth_mode to client_auth, the only mode"
    );
}

/// Returns the status and body of a refusal.
fn told(answer: &Response) -> (u16, String) {
    let mut body = answer.json();
    body["decision_id"] = "".into();
    (answer.status, body.to_string())
}

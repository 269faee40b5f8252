//! The exchange of temporary credentials (RFC 5849 section 2.3): once, with the right verifier, by
//! the right consumer.

use std::time::Duration;

use countersign::clock::Clock as _;
use countersign::issue::{Actor, Expiry, TokenDraft};
use countersign::model::{ConsumerKey, RequestTokenState, Token};

use super::bench::{
    Bench, CALLBACK, assert_names, assert_refused, exchanging, fields, name, requesting,
};
use crate::support::caller::{Caller, Signing};
use crate::support::http::Request;

#[tokio::test]
async fn an_authorized_request_token_is_exchanged_once() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let temporary = bench.asks(&printer).await;
    let verifier = bench.allows(&temporary).await;
    let answer = bench.exchanges(&temporary, &verifier).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answered = fields(&answer);
    assert_eq!(
        (
            answered["user_id"].as_str(),
            answered["screen_name"].as_str()
        ),
        ("alice", "Alice")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    let (key, token) = (
        ConsumerKey::new(&*printer.consumer_key).unwrap(),
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
    assert_eq!(found.user_id.as_ref().unwrap().as_str(), "alice");

    assert_refused(
        &bench.exchanges(&temporary, &verifier).await,
        401,
        "token_used",
    );
    assert!(
        bench.counted("access_token", "issue", "ok")
            && bench.counted("access_token", "deny", "token_used")
    );
}

#[tokio::test]
async fn a_token_is_issued_with_the_parameters_in_any_place() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let places: [fn(&Signing, &Request) -> Request; 3] =
        [Signing::in_header, Signing::in_query, Signing::in_form];
    for sign in places {
        let temporary = bench.asks(&printer).await;
        let verifier = bench.allows(&temporary).await;
        let answer = bench
            .send(&sign(
                &temporary.signing().with("oauth_verifier", &verifier),
                &exchanging(),
            ))
            .await;
        assert_eq!(
            (answer.status, fields(&answer)["user_id"].as_str()),
            (200, "alice"),
            "{answer:?}"
        );
    }
}

/// league/oauth1-client, twitteroauth and tmhOAuth send it there.
#[tokio::test]
async fn a_verifier_may_be_in_the_form_of_a_request_that_is_signed_in_its_header() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    let in_form = format!("oauth_verifier={verifier}");
    let sent = |form: &str| temporary.signing().in_header(&exchanging().with_body(form));
    let twice = temporary
        .signing()
        .with("oauth_verifier", &verifier)
        .in_header(&exchanging().with_body(&in_form));
    let answer = bench.refuses(&twice, 400, "parameter_rejected").await;
    assert_names(&answer, "oauth_parameters_rejected", "oauth_verifier");
    for more in ["oauth_language=de", "oauth_version=1.0"] {
        let stray = sent(&format!("{in_form}&{more}"));
        bench.refuses(&stray, 400, "parameter_rejected").await;
    }
    let changed = sent(&in_form).with_body("oauth_verifier=00000000");
    bench.refuses(&changed, 401, "signature_invalid").await;
    assert_eq!(bench.state(&temporary).await.1, 0, "nothing is counted");

    let answer = bench.send(&sent(&in_form)).await;
    assert_eq!(fields(&answer)["user_id"], "alice");
}

#[tokio::test]
async fn no_other_parameter_may_be_in_another_place_than_the_rest() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let temporary = bench.asks(&printer).await;
    let verifier = bench.allows(&temporary).await;
    let in_query = Request::form(
        "POST",
        &format!("/oauth/access_token?oauth_verifier={verifier}"),
        "",
    );
    let in_form = exchanging().with_body(&format!("oauth_verifier={verifier}"));
    for request in [
        temporary.signing().in_header(&in_query),
        temporary.signing().in_query(&in_form),
        printer
            .signing()
            .in_header(&requesting().with_body("oauth_callback=oob")),
        printer
            .signing()
            .with("oauth_callback", CALLBACK)
            .in_header(&requesting().with_body("oauth_verifier=1")),
    ] {
        bench.refuses(&request, 400, "parameter_rejected").await;
    }
    assert_eq!(bench.exchanges(&temporary, &verifier).await.status, 200);
}

/// The page shows `1234 5678`.
#[tokio::test]
async fn a_pin_may_be_sent_as_the_page_shows_it() {
    let bench = Bench::start().await;
    let printer = bench.consumer_calling_back(&["oob"]).await;
    for gap in [" ", "-"] {
        let asked = printer
            .signing()
            .with("oauth_callback", "oob")
            .in_header(&requesting());
        let temporary = printer.with_token_of(&bench.send(&asked).await);
        let pin = bench.allows(&temporary).await;
        let (first, second) = pin.split_at(4);
        let answer = bench
            .exchanges(&temporary, &format!("{first}{gap}{second}"))
            .await;
        assert_eq!(fields(&answer)["user_id"], "alice", "{gap:?}");
    }
}

#[tokio::test]
async fn a_token_is_json_for_a_client_that_prefers_json() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    let request = exchanging().with("Accept", "application/json, */*;q=0.5");
    let answer = bench
        .send(
            &temporary
                .signing()
                .with("oauth_verifier", &verifier)
                .in_form(&request),
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()["user_id"].as_str()),
        (200, Some("alice")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_wrong_verifier_is_counted_and_burns_nothing() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    assert_refused(
        &bench.exchanges(&temporary, "00000000").await,
        401,
        "verifier_invalid",
    );
    assert_eq!(bench.state(&temporary).await.1, 1);
    assert_eq!(bench.exchanges(&temporary, &verifier).await.status, 200);
}

#[tokio::test]
async fn too_many_wrong_verifiers_refuse_for_good() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    for _ in 0..5 {
        assert_eq!(bench.exchanges(&temporary, "00000000").await.status, 401);
    }
    assert_refused(
        &bench.exchanges(&temporary, &verifier).await,
        401,
        "user_refused",
    );
}

#[tokio::test]
async fn a_wrong_signature_is_not_even_counted() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    let (token, _) = temporary.token.clone().unwrap();
    let guessing = Caller {
        token: Some((token, "guessed".to_owned())),
        ..temporary.clone()
    };
    for _ in 0..6 {
        assert_refused(
            &bench.exchanges(&guessing, "00000000").await,
            401,
            "signature_invalid",
        );
    }
    assert_eq!(bench.state(&temporary).await.1, 0);
    assert_eq!(bench.exchanges(&temporary, &verifier).await.status, 200);
}

#[tokio::test]
async fn an_undecided_request_token_is_not_exchanged() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    assert_refused(
        &bench.exchanges(&temporary, "00000000").await,
        401,
        "additional_authorization_required",
    );
    assert_eq!(bench.state(&temporary).await.0, RequestTokenState::Pending);
}

#[tokio::test]
async fn a_refused_request_token_is_not_exchanged() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    bench
        .issuer
        .refuse_request_token(&name(&temporary), &Actor::ADMIN)
        .await
        .unwrap();
    assert_refused(
        &bench.exchanges(&temporary, "00000000").await,
        401,
        "user_refused",
    );
}

#[tokio::test]
async fn an_expired_record_is_reported_as_expired() {
    let bench =
        Bench::with(|config| config.issue.request_token_ttl = Duration::from_secs(60)).await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    bench.clock.advance(Duration::from_secs(60));
    assert_refused(
        &bench.exchanges(&temporary, &verifier).await,
        401,
        "token_expired",
    );
}

#[tokio::test]
async fn temporary_credentials_are_valid_for_ten_minutes_by_default() {
    for (age, status) in [(599, 200), (600, 401)] {
        let bench = Bench::start().await;
        let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
        let verifier = bench.allows(&temporary).await;
        bench.clock.advance(Duration::from_secs(age));
        let signing = temporary
            .signing()
            .with("oauth_verifier", &verifier)
            .at(bench.clock.now().as_secs());
        let answer = bench.send(&signing.in_header(&exchanging())).await;
        assert_eq!(answer.status, status, "{age} s: {answer:?}");
    }
}

#[tokio::test]
async fn temporary_credentials_are_one_consumers_alone() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    let thief = Caller {
        token: temporary.token.clone(),
        ..bench.consumer(&["three-legged"]).await
    };
    assert_refused(
        &bench.exchanges(&thief, &verifier).await,
        401,
        "signature_invalid",
    );
    assert_eq!(bench.state(&temporary).await.1, 0);
}

#[tokio::test]
async fn an_access_token_is_no_temporary_one() {
    let bench = Bench::start().await;
    let printer = bench.consumer(&["three-legged"]).await;
    let draft = TokenDraft {
        consumer_key: printer.consumer_key.clone(),
        user_id: Some("alice".to_owned()),
        expiry: Expiry::Never,
        ..TokenDraft::default()
    };
    let token = bench
        .issuer
        .create_token(&draft, &Actor::ADMIN)
        .await
        .unwrap()
        .record;
    let secret = String::from_utf8(token.secret.expose().into()).unwrap();
    let caller = Caller {
        token: Some((token.token.as_str().to_owned(), secret)),
        ..printer
    };
    assert_refused(
        &bench.exchanges(&caller, "00000000").await,
        401,
        "signature_invalid",
    );
}

#[tokio::test]
async fn a_replayed_exchange_is_refused() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    let request = temporary
        .signing()
        .with("oauth_verifier", &verifier)
        .in_header(&exchanging());
    assert_eq!(bench.send(&request).await.status, 200);
    bench.refuses(&request, 401, "nonce_used").await;
}

#[tokio::test]
async fn of_racing_exchanges_one_succeeds() {
    let bench = Bench::start().await;
    let temporary = bench.asks(&bench.consumer(&["three-legged"]).await).await;
    let verifier = bench.allows(&temporary).await;
    let racing = (0..8).map(|_| bench.exchanges(&temporary, &verifier));
    let answers = futures_util::future::join_all(racing).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses.iter().filter(|&&status| status == 200).count(),
        1,
        "{answers:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|&status| status == 200 || status == 401),
        "{statuses:?}"
    );
}

//! The real program: the page on several instances, and an operator's own page in its place.

use countersign::model::Token;
use countersign::v1;
use countersign::v1::token_service_client::TokenServiceClient;
use tonic::transport::Endpoint;

use super::forms::Browser;
use super::site::{CALLBACK, PASSWORD, USERNAME};
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;
use crate::token_endpoints::bench::{exchanging, fields, requesting};

/// A load balancer may send each request of a user to another instance.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_log_in_at_one_instance_and_decide_at_another() {
    let redis = RedisServer::start();
    let one = Countersign::start(&redis.url(), "store.timeout = \"3s\"").await;
    let other = one.beside().await;
    let printer = printer(&one).await;
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), PASSWORD).unwrap();
    let file = password.path().to_str().unwrap();
    one.admin(&[
        "user",
        "create",
        "--username",
        USERNAME,
        "--user-id=u-jane",
        "--password-file",
        file,
    ])
    .await;

    let temporary = asks(&printer, &one).await;
    let name = Token::new(temporary.token.clone().unwrap().0).unwrap();
    let mut browser = Browser::at(one.http);
    browser.open(&name).await;
    browser.address = other.http;
    assert_eq!(browser.log_in(PASSWORD).await.status, 303);
    browser.address = one.http;
    assert!(
        browser
            .open(&name)
            .await
            .body
            .contains("<h1>Allow access?</h1>")
    );
    browser.address = other.http;
    let allowed = browser.decide("allow").await;
    let verifier = verifier(allowed.header("location").unwrap());
    let token = exchanges(&temporary, &verifier, &one).await;
    assert_eq!(
        (token["user_id"].as_str(), token["screen_name"].as_str()),
        ("u-jane", USERNAME)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_page_decides_with_an_issuer_token() {
    const ISSUER_TOKEN: &str = "a-token-of-the-login-site";
    let config = "[authorize]\nexternal_url = \"https://login.example.com/consent?via=oauth\"\n";
    let countersign = Countersign::start_in(
        &[("COUNTERSIGN_ISSUER_TOKEN", ISSUER_TOKEN)],
        "memory:",
        config,
    )
    .await;
    let printer = printer(&countersign).await;
    let temporary = asks(&printer, &countersign).await;
    let (name, _) = temporary.token.clone().unwrap();
    let arrived = token_at_external_page(&countersign, &name).await;

    let channel = Endpoint::from_shared(format!("http://{}", countersign.api))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut site =
        TokenServiceClient::with_interceptor(channel, |mut request: tonic::Request<()>| {
            request.metadata_mut().insert(
                "authorization",
                format!("Bearer {ISSUER_TOKEN}").parse().unwrap(),
            );
            Ok(request)
        });
    let get = v1::GetRequestTokenRequest {
        token: arrived.clone(),
    };
    let asking = site.get_request_token(get).await.unwrap().into_inner();
    assert_eq!(
        (asking.consumer_name.as_str(), &asking.scopes[..]),
        ("Printer", &["read".into(), "write".into()][..])
    );
    let consent = v1::AuthorizeRequestTokenRequest {
        token: arrived,
        user_id: "jane-of-the-site".to_owned(),
        screen_name: "Jane".to_owned(),
        scopes: vec!["read".to_owned()],
    };
    let allowed = site
        .authorize_request_token(consent)
        .await
        .unwrap()
        .into_inner();
    let token = exchanges(&temporary, &verifier(&allowed.redirect_url), &countersign).await;
    assert_eq!(
        (token["user_id"].as_str(), token["screen_name"].as_str()),
        ("jane-of-the-site", "Jane")
    );

    let (name, _) = asks(&printer, &countersign).await.token.unwrap();
    let refused = site
        .refuse_request_token(v1::RefuseRequestTokenRequest {
            token: name.clone(),
        })
        .await
        .unwrap();
    let expected = format!("{CALLBACK}&oauth_token={name}&oauth_problem=user_refused");
    assert_eq!(refused.into_inner().redirect_url, expected);
}

/// Returns the request token with which the user arrives at the operator's own page.
async fn token_at_external_page(countersign: &Countersign, name: &str) -> String {
    let sent = Request::get(&format!("/oauth/authorize?oauth_token={name}"))
        .send(countersign.http)
        .await;
    let location = sent.header("location").unwrap();
    let token = location.strip_prefix("https://login.example.com/consent?via=oauth&oauth_token=");
    token.unwrap().to_owned()
}

async fn printer(countersign: &Countersign) -> Caller {
    let callback = format!("--callback={CALLBACK}");
    let create = [
        "consumer",
        "create",
        "--name=Printer",
        "--scope=read",
        "--scope=write",
        &callback,
    ];
    let consumer = countersign.admin(&create).await;
    let text = |field: &str| consumer[field].as_str().unwrap().to_owned();
    Caller {
        consumer_key: text("consumer_key"),
        consumer_secret: text("consumer_secret"),
        token: None,
    }
}

/// Requests temporary credentials, as the caller that signs with them.
async fn asks(printer: &Caller, at: &Countersign) -> Caller {
    let request = printer
        .signing()
        .with("oauth_callback", CALLBACK)
        .in_header(&requesting());
    printer.with_token_of(&request.send(at.http).await)
}

async fn exchanges(
    temporary: &Caller,
    verifier: &str,
    at: &Countersign,
) -> std::collections::BTreeMap<String, String> {
    let request = temporary
        .signing()
        .with("oauth_verifier", verifier)
        .in_header(&exchanging());
    fields(&request.send(at.http).await)
}

/// Returns the verifier in the callback's URL.
fn verifier(location: &str) -> String {
    location
        .strip_prefix(CALLBACK)
        .unwrap()
        .split("&oauth_verifier=")
        .nth(1)
        .unwrap()
        .to_owned()
}

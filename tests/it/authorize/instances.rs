//! The page on several replicas, and an operator's own page instead of it, against the real
//! program.

use countersign::model::Token;
use countersign::v1;
use countersign::v1::token_service_client::TokenServiceClient;
use tonic::Status;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use super::forms::Browser;
use super::site::{CALLBACK, PASSWORD, USERNAME};
use crate::support::caller::Caller;
use crate::support::http::Request;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;
use crate::token_endpoints::bench::{exchanging, fields, requesting};

/// A load balancer needs no sticky sessions.
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
async fn an_operators_page_decides_with_the_issuer_token() {
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

    let mut site = operators_page(&countersign).await;
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
    let refuse = v1::RefuseRequestTokenRequest {
        token: name.clone(),
    };
    let refused = site.refuse_request_token(refuse).await.unwrap();
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

/// Returns the client of an operator's page, which has the issuer token.
async fn operators_page(
    countersign: &Countersign,
) -> TokenServiceClient<InterceptedService<Channel, Issuer>> {
    let channel = Endpoint::from_shared(format!("http://{}", countersign.api))
        .unwrap()
        .connect()
        .await
        .unwrap();
    TokenServiceClient::with_interceptor(channel, Issuer)
}

/// Adds the issuer token to calls.
#[derive(Clone)]
struct Issuer;

impl Interceptor for Issuer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let bearer = MetadataValue::from_static(BEARER);
        request.metadata_mut().insert("authorization", bearer);
        Ok(request)
    }
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

/// Requests temporary credentials.
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

/// Returns the verifier of a redirect to the callback.
fn verifier(location: &str) -> String {
    location
        .strip_prefix(CALLBACK)
        .unwrap()
        .split("&oauth_verifier=")
        .nth(1)
        .unwrap()
        .to_owned()
}

const ISSUER_TOKEN: &str = "a-token-of-the-login-site";

/// The credential of the issuer token.
const BEARER: &str = "Bearer a-token-of-the-login-site";

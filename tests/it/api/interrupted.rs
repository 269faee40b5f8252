//! A change whose response is lost, on its way to the caller or from the store: the audit log has
//! it all the same.

use std::time::Duration;

use countersign::v1;
use countersign::v1::consumer_service_client::ConsumerServiceClient;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};

use crate::support::process::eventually;
use crate::support::program::Countersign;
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_caller_went_away_is_in_the_audit_log() {
    let (redis, countersign) = with_consumer("5s").await;
    redis.run::<()>(&["CLIENT", "PAUSE", "1000", "WRITE"]);
    assert!(
        timeout(Duration::from_millis(300), disable(&countersign))
            .await
            .is_err()
    );
    is_disabled(&countersign).await;
    let event = r#""actor":"admin","action":"consumer.disable","consumer_key":"k","target""#;
    countersign.logs(event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_store_did_not_confirm_is_in_the_audit_log_as_such() {
    let (redis, countersign) = with_consumer("300ms").await;
    redis.run::<()>(&["CLIENT", "PAUSE", "1000", "WRITE"]);
    assert_eq!(
        disable(&countersign).await.unwrap_err().code(),
        Code::Unavailable
    );
    let event =
        r#""actor":"admin","action":"consumer.disable","consumer_key":"k","outcome":"unknown""#;
    countersign.logs(event).await;
}

async fn with_consumer(timeout: &str) -> (RedisServer, Countersign) {
    let redis = RedisServer::start();
    let countersign =
        Countersign::start(&redis.url(), &format!("store.timeout = \"{timeout}\"")).await;
    countersign
        .admin(&["consumer", "create", "--name=Printer", "--consumer-key=k"])
        .await;
    (redis, countersign)
}

/// Calls on a separate connection, which ends when the caller stops waiting.
async fn disable(countersign: &Countersign) -> Result<v1::Consumer, Status> {
    let channel = Endpoint::from_shared(format!("http://{}", countersign.api))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut request = Request::new(v1::DisableConsumerRequest {
        consumer_key: "k".to_owned(),
    });
    let token = format!("Bearer {}", countersign.admin_token());
    request
        .metadata_mut()
        .insert("authorization", token.parse().unwrap());
    ConsumerServiceClient::new(channel)
        .disable_consumer(request)
        .await
        .map(tonic::Response::into_inner)
}

/// Waits for the write that Redis applies when its pause ends.
async fn is_disabled(countersign: &Countersign) {
    let get = ["consumer", "get", "k"];
    let made = async || {
        (countersign.admin(&get).await["status"] == "CONSUMER_STATUS_DISABLED").then_some(())
    };
    eventually("the consumer is disabled", PATIENCE, made).await;
}

const PATIENCE: Duration = Duration::from_secs(10);

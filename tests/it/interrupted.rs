//! Who asks for a change and goes away before the answer: what was begun is finished, and the audit log has it.

use std::time::Duration;

use countersign::server::api::v1;
use countersign::server::api::v1::consumer_service_client::ConsumerServiceClient;
use tokio::time::timeout;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::process::eventually;
use crate::program::Countersign;
use crate::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_caller_went_away_is_in_the_audit_log() {
    let redis = RedisServer::start();
    let countersign = Countersign::start(&redis.url(), "store.timeout = \"5s\"").await;
    let channel = Endpoint::from_shared(format!("http://{}", countersign.api)).unwrap().connect().await.unwrap();
    countersign.admin(&["consumer", "create", "--name=Printer", "--consumer-key=k"]).await;
    let mut request = Request::new(v1::DisableConsumerRequest { consumer_key: "k".to_owned() });
    let token = format!("Bearer {}", countersign.admin_token());
    request.metadata_mut().insert("authorization", token.parse().unwrap());

    // Redis takes the write, and does it only later.
    redis.run::<()>(&["CLIENT", "PAUSE", "1000", "WRITE"]);
    let mut consumers = ConsumerServiceClient::new(channel.clone());
    assert!(timeout(Duration::from_millis(300), consumers.disable_consumer(request)).await.is_err());
    drop((consumers, channel));
    let get = ["consumer", "get", "k"];
    let made = async || (countersign.admin(&get).await["status"] == "CONSUMER_STATUS_DISABLED").then_some(());
    eventually("the consumer is disabled", PATIENCE, made).await;
    let logged = async || countersign.log().contains(r#""action":"consumer.disable","consumer_key":"k""#).then_some(());
    eventually("its event is in the log", PATIENCE, logged).await;
}

const PATIENCE: Duration = Duration::from_secs(10);

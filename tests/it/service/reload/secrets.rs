//! Master keys, and the tokens of administrators and issuers.

use std::fs;

use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::{BY_SIGNAL, PATIENCE, refused_reload, reload};
use crate::api::definition::send;
use crate::console::site::Browser;
use crate::support::observer::Observer;
use crate::support::process::eventually;
use crate::support::program::{Countersign, MASTER_KEY, program};
use crate::support::redis::RedisServer;

#[tokio::test(flavor = "multi_thread")]
async fn master_keys_rotate_in_an_embedded_store() {
    master_keys_rotate("embedded:countersign.redb").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn master_keys_rotate_in_redis() {
    let server = RedisServer::start();
    master_keys_rotate(&server.url()).await;
}

async fn master_keys_rotate(store: &str) {
    let mut countersign = Countersign::start(store, BY_SIGNAL).await;
    eventually("ready", PATIENCE, async || {
        countersign.is_serving().await.then_some(())
    })
    .await;
    create(&countersign, "under-the-old-key").await;
    let old = fs::read_to_string(countersign.path(MASTER_KEY)).unwrap();
    let [new, foreign] = [keygen(), keygen()];

    countersign.write_secret(MASTER_KEY, &foreign);
    let refusal = refused_reload(&countersign).await;
    assert!(refusal.contains("store.master_key_file"), "{refusal}");
    assert!(!refusal.contains(foreign.split_once(':').unwrap().1.trim()));

    countersign.write_secret(MASTER_KEY, &format!("{new}{old}"));
    reload(&countersign).await;
    create(&countersign, "under-the-new-key").await;
    assert_eq!(
        consumers(&countersign).await,
        ["under-the-new-key", "under-the-old-key"]
    );

    // The old key cannot go while a record needs it.
    countersign.write_secret(MASTER_KEY, &new);
    eventually("a count that refuses the removal", PATIENCE, async || {
        let refusal = refused_reload(&countersign).await;
        refusal.contains("1 records").then_some(())
    })
    .await;
    let (old_id, old_key) = old.split_once(':').unwrap();
    let (_, other_key) = foreign.split_once(':').unwrap();
    countersign.write_secret(MASTER_KEY, &format!("{new}{old_id}:{other_key}"));
    let refusal = refused_reload(&countersign).await;
    assert!(refusal.contains(&format!("{old_id:?}")), "{refusal}");
    assert!(!refusal.contains(old_key.trim()) && !refusal.contains(other_key.trim()));

    countersign.write_secret(MASTER_KEY, &new);
    countersign.admin(&["rekey"]).await;
    reload(&countersign).await;
    let both = ["under-the-new-key", "under-the-old-key"];
    assert_eq!(consumers(&countersign).await, both);
    assert!(countersign.is_serving().await);
    countersign.restart_killed().await;
    assert_eq!(consumers(&countersign).await, both);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_admin_token_ends_with_its_sessions_and_streams() {
    let countersign = Countersign::start("memory:", BY_SIGNAL).await;
    let old = countersign.admin_token();
    let observer = Observer::of(&countersign).await;
    let mut watch = observer.watch().await;
    let mut browser = Browser {
        ops: countersign.ops,
        cookie: None,
        says: Vec::new(),
    };
    assert_eq!(browser.log_in(&old).await.status, 303);
    assert!(has_session(&mut browser).await);

    reload(&countersign).await;
    assert!(has_session(&mut browser).await, "the same token ends none");

    let new = "another-admin-token-of-this-server";
    countersign.write_secret("admin-token", new);
    reload(&countersign).await;
    let channel = api(&countersign).await;
    assert_eq!(list(&channel, &old).await, Err(Code::Unauthenticated));
    assert_eq!(list(&channel, new).await, Ok(()));
    let ended = watch.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    assert!(!has_session(&mut browser).await);
    assert_ne!(browser.log_in(&old).await.status, 303);
    assert_eq!(browser.log_in(new).await.status, 303);

    fs::remove_file(countersign.path("admin-token")).unwrap();
    let refusal = refused_reload(&countersign).await;
    assert!(refusal.contains("admin-token does not exist"), "{refusal}");
    assert_eq!(list(&channel, new).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_token_is_replaced_during_a_drain() {
    let config = format!("{BY_SIGNAL}shutdown.delay = \"1h\"\n");
    let countersign = Countersign::start("memory:", &config).await;
    let (channel, old) = (api(&countersign).await, countersign.admin_token());
    countersign.terminate();
    countersign.logs("\"draining\"").await;
    assert_eq!(list(&channel, &old).await, Ok(()));

    let new = "another-admin-token-of-this-server";
    countersign.write_secret("admin-token", new);
    reload(&countersign).await;
    assert_eq!(list(&channel, &old).await, Err(Code::Unauthenticated));
    assert_eq!(list(&channel, new).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_issuer_token_ends_at_once() {
    let countersign = Countersign::start("memory:", BY_SIGNAL).await;
    let channel = api(&countersign).await;
    let [old, new] = ["the-first-issuer-token", "the-second-issuer-token"];
    let config = format!(
        "{BY_SIGNAL}api.issuer_token_file = {:?}\n",
        countersign.path("issuer")
    );
    countersign.write_secret("issuer", old);
    countersign.configure(&config);
    assert_eq!(introspect(&channel, old).await, Code::Unauthenticated);
    reload(&countersign).await;
    assert_eq!(introspect(&channel, old).await, Code::InvalidArgument);

    countersign.write_secret("issuer", new);
    reload(&countersign).await;
    assert_eq!(introspect(&channel, old).await, Code::Unauthenticated);
    assert_eq!(introspect(&channel, new).await, Code::InvalidArgument);

    countersign.write_secret("issuer", &countersign.admin_token());
    let refusal = refused_reload(&countersign).await;
    assert!(refusal.contains("holds the admin token"), "{refusal}");
    assert_eq!(introspect(&channel, new).await, Code::InvalidArgument);
}

async fn create(countersign: &Countersign, name: &str) {
    countersign
        .admin(&["consumer", "create", "--name", name])
        .await;
}

async fn consumers(countersign: &Countersign) -> Vec<String> {
    let listed = countersign.admin(&["consumer", "list"]).await;
    let listed = listed.as_array().unwrap().iter();
    let mut names: Vec<_> = listed
        .map(|consumer| consumer["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn keygen() -> String {
    let output = program().arg("keygen").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

async fn has_session(browser: &mut Browser) -> bool {
    !browser
        .open("/console")
        .await
        .body
        .contains("name=\"token\"")
}

async fn api(countersign: &Countersign) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", countersign.api)).unwrap();
    endpoint.connect().await.unwrap()
}

async fn list(channel: &Channel, token: &str) -> Result<(), Code> {
    let path = "/countersign.v1.ConsumerService/ListConsumers";
    let listed = send(channel, path, Some(token), Vec::new()).await;
    listed.map(drop).map_err(|status| status.code())
}

/// Sends garbage to a call that issuers may make.
async fn introspect(channel: &Channel, token: &str) -> Code {
    let path = "/countersign.v1.TokenService/IntrospectToken";
    let answered = send(channel, path, Some(token), vec![0xff]).await;
    answered.unwrap_err().code()
}

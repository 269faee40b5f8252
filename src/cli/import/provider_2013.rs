//! What a consumer of the 2013 provider becomes.
//!
//! It could sign with HMAC-SHA1 alone, without a token or with one by xAuth, so that is what it may do here. Its tokens
//! were kept by the applications around the provider, and can be imported from a file.

use countersign::store::{ProviderConsumer, ProviderConsumers};
use countersign::v1;
use serde_json::Value;
use tokio::sync::mpsc::Sender;

use super::row::{Item, Problem};
use super::source::{Place, Row, not_utf8};

/// Connects, and tells how many consumers there are.
pub(super) async fn open(url: &str, namespace: &str) -> anyhow::Result<(ProviderConsumers, u64)> {
    let mut consumers = ProviderConsumers::open(url, namespace).await?;
    let count = consumers.count().await?;
    Ok((consumers, count))
}

/// Sends every consumer on, until nobody listens any more.
pub(super) async fn send(
    consumers: &mut ProviderConsumers,
    to: &Sender<anyhow::Result<Row>>,
) -> anyhow::Result<()> {
    let mut position = 0;
    while let Some(page) = consumers.next_page().await? {
        for consumer in page {
            position += 1;
            if to.send(Ok(row(&consumer, position))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn row(consumer: &ProviderConsumer, position: u64) -> Row {
    let place = Place::ConsumerKey(String::from_utf8_lossy(&consumer.key).into_owned());
    match item(consumer) {
        Ok((item, note)) => Row {
            place,
            position,
            item: Ok(item),
            note,
        },
        Err(problem) => Row {
            place,
            position,
            item: Err(vec![problem]),
            note: None,
        },
    }
}

fn item(consumer: &ProviderConsumer) -> Result<(Item, Option<String>), Problem> {
    let text = |field, bytes: &[u8]| match str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(Problem {
            field: String::from(field),
            ..not_utf8(error.valid_up_to())
        }),
    };
    let consumer_key = text("consumer_key", &consumer.key)?;
    let consumer_secret = text("consumer_secret", consumer.secret.expose())?;
    if consumer_secret.is_empty() {
        return Err(Problem::new("consumer_secret", "is empty"));
    }
    let about = about(consumer.app_info.as_deref())?;
    let said = |field: &str| match about.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Problem::new(field, "is no text in app_info")),
    };
    let (name, note) = match said("name")? {
        empty if empty.is_empty() => (
            consumer_key.clone(),
            Some("had no name, and is named by its key".to_owned()),
        ),
        name => (name, None),
    };
    let consumer = v1::Consumer {
        consumer_key,
        name,
        description: said("description")?,
        platform: said("platform")?,
        app_url: said("app_url")?,
        flows: FLOWS.map(str::to_owned).into(),
        signature_methods: vec!["HMAC-SHA1".to_owned()],
        ..v1::Consumer::default()
    };
    let request = v1::CreateConsumerRequest {
        consumer: Some(consumer),
        consumer_secret,
        no_shared_secret: false,
        allow_existing: true,
        validate_only: false,
    };
    Ok((Item::Consumer(Box::new(request)), note))
}

fn about(app_info: Option<&[u8]>) -> Result<Value, Problem> {
    let Some(json) = app_info else {
        return Ok(Value::Null);
    };
    let value = serde_json::from_slice(json)
        .ok()
        .filter(|value: &Value| value.is_object() || value.is_null());
    value.ok_or_else(|| Problem::new("app_info", "is no JSON object"))
}

/// What it could do there.
const FLOWS: [&str; 2] = ["two-legged", "xauth"];

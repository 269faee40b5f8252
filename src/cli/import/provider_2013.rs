//! Consumers of the 2013 provider, converted to rows.
//!
//! The provider accepted HMAC-SHA1 alone, without a token or with one from xAuth, so its consumers
//! get no other method or flow. Its tokens were stored by the applications around it; import them
//! from a file.

use countersign::store::ProviderConsumer;
use countersign::v1;
use serde_json::Value;

use super::lines::{Row, RowMark, RowPlace, not_utf8};
use super::row::{Item, Problem};

/// Converts a consumer to the row number `position`.
pub(super) fn row(consumer: &ProviderConsumer, position: u64) -> Row {
    let key = String::from_utf8_lossy(&consumer.key).into_owned();
    let mark = RowMark {
        place: RowPlace::ConsumerKey(key),
        position,
    };
    match message(consumer) {
        Ok(message) => named_row(mark, message),
        Err(problem) => Row {
            mark,
            item: Err(vec![problem].into()),
            note: None,
        },
    }
}

/// Names a consumer without a name by its key.
fn named_row(mark: RowMark, mut request: v1::CreateConsumerRequest) -> Row {
    let nameless = request
        .consumer
        .as_mut()
        .filter(|consumer| consumer.name.is_empty());
    let note = nameless.map(|consumer| {
        consumer.name.clone_from(&consumer.consumer_key);
        "has no name; its key becomes its name".to_owned()
    });
    Row {
        mark,
        item: Ok(Item::Consumer(Box::new(request))),
        note,
    }
}

fn message(consumer: &ProviderConsumer) -> Result<v1::CreateConsumerRequest, Problem> {
    let consumer_secret = text("consumer_secret", consumer.secret.expose())?;
    if consumer_secret.is_empty() {
        return Err(Problem::new("consumer_secret", "is empty"));
    }
    let app_info = app_info(consumer.app_info.as_deref())?;
    let consumer = v1::Consumer {
        consumer_key: text("consumer_key", &consumer.key)?,
        name: app_text(&app_info, "name")?,
        description: app_text(&app_info, "description")?,
        platform: app_text(&app_info, "platform")?,
        app_url: app_text(&app_info, "app_url")?,
        flows: FLOWS.map(str::to_owned).into(),
        signature_methods: vec!["HMAC-SHA1".to_owned()],
        ..v1::Consumer::default()
    };
    Ok(v1::CreateConsumerRequest {
        consumer: Some(consumer),
        consumer_secret,
        no_shared_secret: false,
        allow_existing: true,
        validate_only: false,
    })
}

fn text(field: &str, bytes: &[u8]) -> Result<String, Problem> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(Problem {
            field: field.to_owned(),
            ..not_utf8(error.valid_up_to())
        }),
    }
}

fn app_info(json: Option<&[u8]>) -> Result<Value, Problem> {
    let Some(json) = json else {
        return Ok(Value::Null);
    };
    match serde_json::from_slice(json) {
        Ok(value @ (Value::Object(_) | Value::Null)) => Ok(value),
        Ok(_) | Err(_) => Err(Problem::new("app_info", "is not a JSON object")),
    }
}

fn app_text(app_info: &Value, field: &str) -> Result<String, Problem> {
    match app_info.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Problem::new(field, "is not a text in app_info")),
    }
}

/// The flows that the provider had.
const FLOWS: [&str; 2] = ["two-legged", "xauth"];

//! How a consumer is printed.

use anyhow::Context;
use countersign::v1;
use serde::Serialize;

use crate::cli::client::refused;
use crate::cli::output::{self, Field, Format};

/// What is printed when a secret is made: the consumer and, only here, its secret.
#[derive(Serialize)]
struct WithSecret<'a> {
    #[serde(flatten)]
    consumer: &'a v1::Consumer,
    consumer_secret: Option<&'a str>,
}

/// Prints a consumer that has a secret to be told; none is told where `secret` is empty.
pub(super) fn with_secret(
    output: Format,
    consumer: Option<&v1::Consumer>,
    secret: &str,
) -> anyhow::Result<()> {
    let consumer = consumer.context("the server answered without the consumer")?;
    let consumer_secret = Some(secret).filter(|secret| !secret.is_empty());
    let mut fields = fields(consumer);
    if let Some(secret) = consumer_secret {
        fields.insert(
            1,
            ("consumer secret", format!("{secret}  (shown only now)")),
        );
    }
    output::record(
        output,
        &WithSecret {
            consumer,
            consumer_secret,
        },
        &fields,
    )
}

/// Prints the consumer that was answered.
pub(super) fn show(
    output: Format,
    answer: Result<tonic::Response<v1::Consumer>, tonic::Status>,
) -> anyhow::Result<()> {
    let consumer = answer.map_err(refused)?.into_inner();
    output::record(output, &consumer, &fields(&consumer))
}

/// One line of a list, under [`COLUMNS`].
pub(super) fn row(consumer: &v1::Consumer) -> Vec<String> {
    vec![
        consumer.consumer_key.clone(),
        consumer.name.clone(),
        status(consumer).to_owned(),
        methods(consumer),
        output::time(consumer.create_time),
    ]
}

fn fields(consumer: &v1::Consumer) -> Vec<Field> {
    let keys = consumer
        .rsa_public_keys
        .iter()
        .map(|key| format!("{} bits, SHA-256 {}", key.bits, key.fingerprint));
    vec![
        ("consumer key", consumer.consumer_key.clone()),
        ("name", consumer.name.clone()),
        ("id", consumer.consumer_id.clone()),
        ("status", status(consumer).to_owned()),
        ("description", consumer.description.clone()),
        ("platform", consumer.platform.clone()),
        ("app url", consumer.app_url.clone()),
        ("shared secrets", consumer.secret_count.to_string()),
        ("rsa public keys", keys.collect::<Vec<_>>().join(", ")),
        ("signature methods", methods(consumer)),
        ("flows", consumer.flows.join(" ")),
        ("callbacks", consumer.callbacks.join(" ")),
        ("scopes", consumer.scopes.join(" ")),
        ("compat profiles", consumer.compat_profiles.join(" ")),
        ("deny detail", deny_detail(consumer).to_owned()),
        ("deprecated", output::time(consumer.deprecated_at)),
        ("sunset", output::time(consumer.sunset_at)),
        ("created", output::time(consumer.create_time)),
        ("changed", output::time(consumer.update_time)),
    ]
}

const fn status_word(status: v1::ConsumerStatus) -> &'static str {
    match status {
        v1::ConsumerStatus::Unspecified => "unknown",
        v1::ConsumerStatus::Active => "active",
        v1::ConsumerStatus::Disabled => "disabled",
    }
}

fn status(consumer: &v1::Consumer) -> &'static str {
    status_word(consumer.status())
}

fn methods(consumer: &v1::Consumer) -> String {
    if consumer.signature_methods.is_empty() {
        "default".to_owned()
    } else {
        consumer.signature_methods.join(" ")
    }
}

fn deny_detail(consumer: &v1::Consumer) -> &str {
    if consumer.deny_detail.is_empty() {
        "as configured"
    } else {
        &consumer.deny_detail
    }
}

/// What a list shows.
pub(super) const COLUMNS: [&str; 5] = ["CONSUMER KEY", "NAME", "STATUS", "METHODS", "CREATED"];

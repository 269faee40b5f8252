//! The printed form of a consumer.

use anyhow::Context;
use countersign::oauth::SignatureMethod;
use countersign::v1;
use serde::Serialize;

use crate::cli::client::refused;
use crate::cli::output::{self, Field, Format};

/// A consumer and its secret, for the only commands that print the secret.
#[derive(Serialize)]
struct ConsumerWithSecret<'a> {
    #[serde(flatten)]
    consumer: &'a v1::Consumer,
    consumer_secret: Option<&'a str>,
}

/// Prints a consumer and its secret; an empty `secret` is no secret.
pub(super) fn show_with_secret(
    output: Format,
    consumer: Option<&v1::Consumer>,
    secret: &str,
) -> anyhow::Result<()> {
    let consumer = consumer.context("the response of the server lacks the consumer")?;
    let consumer_secret = Some(secret).filter(|secret| !secret.is_empty());
    let mut fields = fields(consumer);
    if let Some(secret) = consumer_secret {
        let shown = format!("{secret}  (shown only once)");
        fields.insert(1, ("consumer secret", shown));
    }
    let record = ConsumerWithSecret {
        consumer,
        consumer_secret,
    };
    output::record(output, &record, &fields)
}

/// Prints the consumer in a response.
pub(super) fn show(
    output: Format,
    response: Result<tonic::Response<v1::Consumer>, tonic::Status>,
) -> anyhow::Result<()> {
    let consumer = response.map_err(refused)?.into_inner();
    output::record(output, &consumer, &fields(&consumer))
}

/// Returns the row of a consumer in a list, under [`COLUMNS`].
pub(super) fn row(consumer: &v1::Consumer) -> Vec<String> {
    vec![
        consumer.consumer_key.clone(),
        consumer.name.clone(),
        status_word(consumer.status()).to_owned(),
        methods(consumer),
        output::time(consumer.create_time),
    ]
}

fn fields(consumer: &v1::Consumer) -> Vec<Field> {
    let text = |text: &String| text.clone();
    let list = |values: &[String]| values.join(" ");
    vec![
        ("consumer key", text(&consumer.consumer_key)),
        ("name", text(&consumer.name)),
        ("id", text(&consumer.consumer_id)),
        ("status", status_word(consumer.status()).to_owned()),
        ("description", text(&consumer.description)),
        ("platform", text(&consumer.platform)),
        ("app url", text(&consumer.app_url)),
        ("verified", yes_or_no(consumer.verified).to_owned()),
        ("shared secrets", consumer.secret_count.to_string()),
        (
            "overlap ends",
            output::time(consumer.previous_secret_expire_time),
        ),
        ("rsa public keys", rsa_keys(consumer)),
        ("signature methods", methods(consumer)),
        ("flows", list(&consumer.flows)),
        ("callbacks", list(&consumer.callbacks)),
        ("scopes", list(&consumer.scopes)),
        ("compat profiles", list(&consumer.compat_profiles)),
        (
            "deny detail",
            or_word(text(&consumer.deny_detail), "as configured"),
        ),
        ("deprecated", output::time(consumer.deprecated_at)),
        ("sunset", output::time(consumer.sunset_at)),
        ("created", output::time(consumer.create_time)),
        ("updated", output::time(consumer.update_time)),
    ]
}

/// Returns the permitted methods. An empty list permits those that the consumer has key material
/// for, except RSA-SHA1 and PLAINTEXT.
fn methods(consumer: &v1::Consumer) -> String {
    if !consumer.signature_methods.is_empty() {
        return consumer.signature_methods.join(" ");
    }
    let is_permitted = |method: &SignatureMethod| match method {
        SignatureMethod::HmacSha1 | SignatureMethod::HmacSha256 | SignatureMethod::HmacSha512 => {
            consumer.secret_count > 0
        }
        SignatureMethod::RsaSha256 | SignatureMethod::RsaSha512 => {
            !consumer.rsa_public_keys.is_empty()
        }
        SignatureMethod::RsaSha1 | SignatureMethod::Plaintext => false,
    };
    let methods = SignatureMethod::ALL.into_iter().filter(is_permitted);
    let names: Vec<_> = methods.map(SignatureMethod::name).collect();
    format!("{} (default)", names.join(" "))
}

fn rsa_keys(consumer: &v1::Consumer) -> String {
    let keys = consumer.rsa_public_keys.iter();
    keys.map(|key| format!("{} bits, SHA-256 {}", key.bits, key.fingerprint))
        .collect::<Vec<_>>()
        .join(", ")
}

const fn status_word(status: v1::ConsumerStatus) -> &'static str {
    match status {
        v1::ConsumerStatus::Unspecified => "unknown",
        v1::ConsumerStatus::Active => "active",
        v1::ConsumerStatus::Disabled => "disabled",
    }
}

const fn yes_or_no(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

fn or_word(text: String, empty: &str) -> String {
    if text.is_empty() {
        empty.to_owned()
    } else {
        text
    }
}

/// The columns of a list.
pub(super) const COLUMNS: [&str; 5] = ["CONSUMER KEY", "NAME", "STATUS", "METHODS", "CREATED"];

//! The export with secrets in plaintext: the rows that `countersign import` reads, and users.

use anyhow::{Context as _, bail};
use countersign::v1;
use countersign::v1::backup_service_client::BackupServiceClient;
use countersign::v1::export_secrets_response::Record;
use serde::Serialize;
use serde_json::{Map, Value};

use super::ExportWriter;
use crate::cli::client::{AdminChannel, refused};

/// Writes a row for every consumer, token and user.
pub(super) async fn export(
    mut client: BackupServiceClient<AdminChannel>,
    to: &mut ExportWriter,
) -> anyhow::Result<()> {
    let answer = client.export_secrets(v1::ExportSecretsRequest {}).await;
    let mut records = answer.map_err(refused)?.into_inner();
    while let Some(message) = records.message().await.map_err(refused)? {
        let row = match message.record {
            Some(Record::Consumer(consumer)) => {
                to.counts.consumers += 1;
                consumer_row(*consumer)?
            }
            Some(Record::Token(token)) => {
                to.counts.tokens += 1;
                token_row(token)?
            }
            Some(Record::User(user)) => {
                to.counts.users += 1;
                user_row(user)?
            }
            None => bail!("the server sent an unknown kind of record; update this command"),
        };
        to.record(&row)?;
    }
    Ok(())
}

fn consumer_row(message: v1::ConsumerSecrets) -> anyhow::Result<Value> {
    let v1::ConsumerSecrets {
        consumer,
        consumer_secret,
        previous_consumer_secret,
    } = message;
    let secrets = [
        ("consumer_secret", consumer_secret),
        ("previous_consumer_secret", previous_consumer_secret),
    ];
    row("consumer", &consumer, secrets)
}

fn token_row(message: v1::TokenSecrets) -> anyhow::Result<Value> {
    let v1::TokenSecrets {
        token,
        token_secret,
    } = message;
    row("token", &token, [("token_secret", token_secret)])
}

fn user_row(message: v1::UserSecrets) -> anyhow::Result<Value> {
    let v1::UserSecrets {
        user,
        password_hash,
    } = message;
    row("user", &user, [("password_hash", password_hash)])
}

/// Returns the row of a record with its secrets, without empty ones.
fn row<const N: usize>(
    kind: &str,
    record: &Option<impl Serialize>,
    secrets: [(&str, String); N],
) -> anyhow::Result<Value> {
    let record = record.as_ref().context("the server sent an empty record")?;
    let mut row = Map::new();
    row.insert("kind".to_owned(), kind.into());
    let Value::Object(fields) = serde_json::to_value(record)? else {
        bail!("a record is not an object")
    };
    row.extend(fields);
    let secrets = secrets.into_iter().filter(|(_, secret)| !secret.is_empty());
    row.extend(secrets.map(|(name, secret)| (name.to_owned(), secret.into())));
    Ok(Value::Object(row))
}

//! The export as YAML, which `countersign apply` reads: consumers and their tokens, without the
//! records that `apply` cannot make, users and revoked tokens.

use anyhow::{Context as _, bail};
use countersign::v1;
use countersign::v1::backup_service_client::BackupServiceClient;
use countersign::v1::consumer_service_client::ConsumerServiceClient;
use countersign::v1::export_secrets_response::Record;
use countersign::v1::list_tokens_request::Holder;
use countersign::v1::token_service_client::TokenServiceClient;
use serde::Serialize;
use serde_saphyr::LitStr;

use super::ExportWriter;
use crate::cli::client::{AdminChannel, refused};

/// A consumer of the file; empty fields are left out.
#[derive(Serialize)]
struct ConsumerItem<'a> {
    consumer_key: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    platform: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    app_url: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    verified: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    signature_methods: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    flows: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    callbacks: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    scopes: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rsa_public_keys: Vec<KeyItem<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    compat_profiles: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    deny_detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunset_at: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    consumer_secret: &'a str,
}

#[derive(Serialize)]
struct KeyItem<'a> {
    pem: LitStr<'a>,
}

/// A token of the file; empty fields are left out.
#[derive(Serialize)]
struct TokenItem<'a> {
    token: &'a str,
    consumer_key: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_id: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    scopes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_time: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    token_secret: &'a str,
}

/// The lists of the file, each below its name.
struct YamlWriter<'a> {
    to: &'a mut ExportWriter,
    list: &'static str,
}

/// Writes every consumer and its active tokens, without secrets.
pub(super) async fn export(channel: AdminChannel, to: &mut ExportWriter) -> anyhow::Result<()> {
    let mut consumers = ConsumerServiceClient::new(channel.clone());
    let mut tokens = TokenServiceClient::new(channel);
    let mut writer = YamlWriter::new(to)?;
    let (mut keys, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListConsumersRequest {
            page_size: PAGE,
            page_token,
        };
        let page = consumers.list_consumers(request).await;
        let page = page.map_err(refused)?.into_inner();
        for consumer in page.consumers {
            writer.consumer(&consumer, "")?;
            keys.push(consumer.consumer_key);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    for key in keys {
        export_tokens(&mut tokens, key, &mut writer).await?;
    }
    writer.end()
}

async fn export_tokens(
    tokens: &mut TokenServiceClient<AdminChannel>,
    consumer_key: String,
    writer: &mut YamlWriter<'_>,
) -> anyhow::Result<()> {
    let mut page_token = String::new();
    loop {
        let request = v1::ListTokensRequest {
            holder: Some(Holder::ConsumerKey(consumer_key.clone())),
            page_size: PAGE,
            page_token,
        };
        let page = tokens.list_tokens(request).await;
        let page = page.map_err(refused)?.into_inner();
        page.tokens
            .iter()
            .try_for_each(|token| writer.token(token, ""))?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(());
        }
    }
}

/// Writes every consumer and its active tokens with their secrets.
pub(super) async fn export_secrets(
    mut client: BackupServiceClient<AdminChannel>,
    to: &mut ExportWriter,
) -> anyhow::Result<()> {
    let answer = client.export_secrets(v1::ExportSecretsRequest {}).await;
    let mut records = answer.map_err(refused)?.into_inner();
    let mut writer = YamlWriter::new(to)?;
    while let Some(message) = records.message().await.map_err(refused)? {
        match message.record {
            Some(Record::Consumer(record)) => {
                let consumer = record.consumer.as_ref().context(EMPTY)?;
                writer.consumer(consumer, &record.consumer_secret)?;
            }
            Some(Record::Token(record)) => {
                let token = record.token.as_ref().context(EMPTY)?;
                writer.token(token, &record.token_secret)?;
            }
            Some(Record::User(_)) => {}
            None => bail!("the server sent an unknown kind of record; update this command"),
        }
    }
    writer.end()
}

// === impl YamlWriter ===

impl<'a> YamlWriter<'a> {
    fn new(to: &'a mut ExportWriter) -> anyhow::Result<Self> {
        to.text("# Read by `countersign apply -f`.")?;
        Ok(Self { to, list: "" })
    }

    fn consumer(&mut self, consumer: &v1::Consumer, secret: &str) -> anyhow::Result<()> {
        self.begin("consumers")?;
        self.to.counts.consumers += 1;
        self.item(&consumer_item(consumer, secret))
    }

    fn token(&mut self, token: &v1::Token, secret: &str) -> anyhow::Result<()> {
        if token.status() == v1::TokenStatus::Revoked {
            return Ok(());
        }
        self.begin("tokens")?;
        self.to.counts.tokens += 1;
        self.item(&TokenItem {
            token: &token.token,
            consumer_key: &token.consumer_key,
            user_id: &token.user_id,
            scopes: &token.scopes,
            expire_time: token.expire_time.map(|time| time.to_string()),
            token_secret: secret,
        })
    }

    /// Begins a list, unless it is begun.
    fn begin(&mut self, list: &'static str) -> anyhow::Result<()> {
        if self.list == list {
            return Ok(());
        }
        self.list = list;
        self.to.text(&format!("{list}:"))
    }

    fn item(&mut self, item: &impl Serialize) -> anyhow::Result<()> {
        let yaml = serde_saphyr::to_string(&[item])?;
        self.to.record_text(yaml.trim_end())
    }

    fn end(self) -> anyhow::Result<()> {
        if self.list.is_empty() {
            self.to.text("consumers: []")?;
        }
        Ok(())
    }
}

fn consumer_item<'a>(consumer: &'a v1::Consumer, secret: &'a str) -> ConsumerItem<'a> {
    let is_disabled = consumer.status() == v1::ConsumerStatus::Disabled;
    let keys = consumer.rsa_public_keys.iter();
    ConsumerItem {
        consumer_key: &consumer.consumer_key,
        name: &consumer.name,
        description: &consumer.description,
        platform: &consumer.platform,
        app_url: &consumer.app_url,
        verified: consumer.verified,
        status: if is_disabled { "disabled" } else { "" },
        signature_methods: &consumer.signature_methods,
        flows: &consumer.flows,
        callbacks: &consumer.callbacks,
        scopes: &consumer.scopes,
        rsa_public_keys: keys
            .map(|key| KeyItem {
                pem: LitStr(&key.pem),
            })
            .collect(),
        compat_profiles: &consumer.compat_profiles,
        deny_detail: &consumer.deny_detail,
        deprecated_at: consumer.deprecated_at.map(|time| time.to_string()),
        sunset_at: consumer.sunset_at.map(|time| time.to_string()),
        consumer_secret: secret,
    }
}

/// The server's limit.
const PAGE: i32 = 100;

const EMPTY: &str = "the server sent an empty record";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_looks_like_another_type_is_quoted() {
        for text in [
            "yes",
            "null",
            "~",
            "0123",
            "1e3",
            "0x1f",
            ".nan",
            "2030-01-31",
            "- x",
            "a: b",
            "a #b",
            " x ",
            "",
            "'",
            "\"",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "{a",
            "[a",
            "|",
            ">",
            "?",
            "<<",
        ] {
            let consumer = v1::Consumer {
                consumer_key: text.to_owned(),
                name: text.to_owned(),
                scopes: vec![text.to_owned()],
                ..v1::Consumer::default()
            };
            let yaml = serde_saphyr::to_string(&[consumer_item(&consumer, "")]).unwrap();
            let read: Vec<serde_json::Value> = serde_saphyr::from_str(&yaml).unwrap();
            assert_eq!(read[0]["consumer_key"], text, "{yaml}");
            assert_eq!(read[0]["scopes"][0], text, "{yaml}");
        }
    }
}

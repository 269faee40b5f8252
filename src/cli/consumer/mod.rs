//! `countersign consumer`: the applications that sign.

mod create;
mod show;
mod told;
mod update;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Subcommand};
use countersign::model::Secret;
use countersign::v1;
use countersign::v1::consumer_service_client::ConsumerServiceClient;

use self::create::{Create, public_key};
use self::show::{COLUMNS, row, show, with_secret};
use self::update::Update;
use super::client::{AdminArgs, AdminChannel, refused};
use super::output::{self, Format, List};
use super::paging::Paging;
use super::{duration, secret_input};

/// The arguments of `countersign consumer`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates a consumer and shows its secret, this once
    Create(Box<Create>),
    /// Shows a consumer
    Get(Key),
    /// Lists all consumers
    List(Paging),
    /// Changes what is given of a consumer, and leaves the rest
    Update(Box<Update>),
    /// Deletes a consumer and its tokens for good
    Delete {
        #[command(flatten)]
        key: Key,
        /// Refuses if the consumer was changed since it had this etag
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Forbids a consumer to sign
    Disable(Key),
    /// Lets a disabled consumer sign again
    Enable(Key),
    /// Gives a consumer a new secret, and shows it, this once
    RotateSecret(RotateSecret),
    /// Adds an RSA public key to those that a consumer signs with
    AddRsaKey {
        #[command(flatten)]
        key: Key,
        /// A file with an RSA public key or certificate in PEM, at least 2048 bits
        #[arg(long, value_name = "FILE")]
        rsa_public_key: PathBuf,
    },
    /// Removes an RSA public key of a consumer
    RemoveRsaKey {
        #[command(flatten)]
        key: Key,
        /// The SHA-256 of the key, as `countersign consumer get` shows it
        #[arg(long, value_name = "SHA256")]
        fingerprint: String,
    },
}

#[derive(Debug, clap::Args)]
struct RotateSecret {
    #[command(flatten)]
    key: Key,
    /// How much longer the secret that it has is accepted too, for example 7d [default: not at all]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Option<Duration>,
    /// The secret that the application has already [default: a new one]; other users of this machine can see it here,
    /// so prefer --consumer-secret-file
    #[arg(long, value_name = "SECRET", value_parser = secret_input::inline, group = "secret")]
    consumer_secret: Option<Secret>,
    /// A file with that secret; - is standard input
    #[arg(long, value_name = "FILE", group = "secret")]
    consumer_secret_file: Option<PathBuf>,
}

/// A consumer, named by its key.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("key").required(true)))]
struct Key {
    /// Its key
    #[arg(value_name = "CONSUMER_KEY", group = "key")]
    positional: Option<String>,
    /// Its key
    #[arg(long = "consumer-key", value_name = "KEY", group = "key", hide = true)]
    named: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    let output = admin.output;
    match command {
        Command::Create(create) => {
            let request = create.into_request()?;
            let made = connect(&admin)
                .await?
                .create_consumer(request)
                .await
                .map_err(refused)?
                .into_inner();
            with_secret(output, made.consumer.as_ref(), &made.consumer_secret)?;
        }
        Command::Get(key) => {
            let request = v1::GetConsumerRequest {
                consumer_key: key.into_text(),
            };
            show(output, connect(&admin).await?.get_consumer(request).await)?;
        }
        Command::List(paging) => list(connect(&admin).await?, &paging, output).await?,
        Command::Update(update) => {
            let request = update.into_request()?;
            show(
                output,
                connect(&admin).await?.update_consumer(request).await,
            )?;
        }
        Command::Delete { key, etag } => {
            let request = v1::DeleteConsumerRequest {
                consumer_key: key.into_text(),
                etag,
            };
            connect(&admin)
                .await?
                .delete_consumer(request)
                .await
                .map_err(refused)?;
            output::done(output, "deleted")?;
        }
        Command::Disable(key) => {
            let request = v1::DisableConsumerRequest {
                consumer_key: key.into_text(),
            };
            show(
                output,
                connect(&admin).await?.disable_consumer(request).await,
            )?;
        }
        Command::Enable(key) => {
            let request = v1::EnableConsumerRequest {
                consumer_key: key.into_text(),
            };
            show(
                output,
                connect(&admin).await?.enable_consumer(request).await,
            )?;
        }
        Command::RotateSecret(rotate) => {
            let request = rotate.into_request()?;
            let made = connect(&admin)
                .await?
                .rotate_consumer_secret(request)
                .await
                .map_err(refused)?
                .into_inner();
            with_secret(output, made.consumer.as_ref(), &made.consumer_secret)?;
        }
        Command::AddRsaKey {
            key,
            rsa_public_key,
        } => {
            let rsa_public_key = Some(public_key(&rsa_public_key)?);
            let request = v1::AddRsaPublicKeyRequest {
                consumer_key: key.into_text(),
                rsa_public_key,
            };
            show(
                output,
                connect(&admin).await?.add_rsa_public_key(request).await,
            )?;
        }
        Command::RemoveRsaKey { key, fingerprint } => {
            let request = v1::RemoveRsaPublicKeyRequest {
                consumer_key: key.into_text(),
                fingerprint,
            };
            show(
                output,
                connect(&admin).await?.remove_rsa_public_key(request).await,
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<ConsumerServiceClient<AdminChannel>> {
    Ok(ConsumerServiceClient::new(admin.connect().await?))
}

async fn list(
    client: ConsumerServiceClient<AdminChannel>,
    paging: &Paging,
    output: Format,
) -> anyhow::Result<()> {
    let page = async |page_size, page_token| {
        let request = v1::ListConsumersRequest {
            page_size,
            page_token,
        };
        let page = client
            .clone()
            .list_consumers(request)
            .await
            .map_err(refused)?
            .into_inner();
        Ok((page.consumers, page.next_page_token))
    };
    paging
        .print(List::new(output, &COLUMNS, output::stdout()), page, row)
        .await
}

// === impl RotateSecret ===

impl RotateSecret {
    fn into_request(self) -> anyhow::Result<v1::RotateConsumerSecretRequest> {
        let file = self.consumer_secret_file.as_deref();
        let secret = secret_input::read(self.consumer_secret.as_ref(), file, "--consumer-secret")?;
        Ok(v1::RotateConsumerSecretRequest {
            consumer_key: self.key.into_text(),
            consumer_secret: secret_input::text(secret.as_ref())?,
            overlap: duration(self.overlap, "--overlap")?,
        })
    }
}

// === impl Key ===

impl Key {
    fn into_text(self) -> String {
        self.positional.or(self.named).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_consumer_is_named_once() {
        for right in [
            &["get", "K"][..],
            &["get", "--consumer-key", "K"],
            &["disable", "K", "--output=json"],
        ] {
            assert!(parse(right).is_ok(), "{right:?}");
        }
        for wrong in [
            &["get"][..],
            &["get", "K", "--consumer-key", "K"],
            &["create"],
            &["create", "--flow=four"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    pub(super) fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        let command = Cli::try_parse_from([&["countersign", "consumer"], words].concat())?.command;
        let crate::cli::Command::Consumer(args) = command else {
            panic!("{command:?}")
        };
        Ok(args)
    }

    pub(super) fn command(words: &[&str]) -> Result<Command, clap::Error> {
        Ok(parse(words)?.command)
    }
}

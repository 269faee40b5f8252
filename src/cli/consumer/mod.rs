//! `countersign consumer`: administration of the applications that sign.

mod attributes;
mod create;
mod mask;
mod show;
mod update;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Subcommand};
use countersign::model::Secret;
use countersign::v1;
use countersign::v1::consumer_service_client::ConsumerServiceClient;

use self::create::{CreateArgs, public_key};
use self::show::{COLUMNS, row, show, show_with_secret};
use self::update::UpdateArgs;
use super::client::{AdminArgs, AdminChannel, refused};
use super::confirm::Confirmation;
use super::output::{self, List};
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
    /// Create a consumer and print its secret, which is shown only once
    Create(Box<CreateArgs>),
    /// Show a consumer
    Get(ConsumerSelector),
    /// List all consumers
    List(Paging),
    /// Update the given fields of a consumer; the others keep their values
    Update(Box<UpdateArgs>),
    /// Delete a consumer and its tokens permanently
    Delete(DeleteArgs),
    /// Disable a consumer: deny its requests until it is enabled
    Disable(ConsumerArg),
    /// Enable a disabled consumer
    Enable(ConsumerArg),
    /// Give a consumer a new secret and print it; it is shown only once
    RotateSecret(RotateSecretArgs),
    /// End the overlap of a rotation early: the previous secret expires at once
    ExpirePreviousSecret(ExpirePreviousSecretArgs),
    /// Add an RSA public key to a consumer
    AddRsaKey(AddKeyArgs),
    /// Remove an RSA public key from a consumer
    RemoveRsaKey(RemoveKeyArgs),
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    #[command(flatten)]
    consumer: ConsumerArg,
    /// Fail unless the consumer still has this etag [default: delete any state]
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    /// Show the consumer, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, clap::Args)]
struct RotateSecretArgs {
    #[command(flatten)]
    consumer: ConsumerArg,
    /// Time for which the current secret stays valid, for example 7d, at most 90d [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    overlap: Option<Duration>,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, clap::Args)]
struct ExpirePreviousSecretArgs {
    #[command(flatten)]
    consumer: ConsumerArg,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, clap::Args)]
struct AddKeyArgs {
    #[command(flatten)]
    consumer: ConsumerArg,
    /// File with an RSA public key or certificate in PEM of at least 2048 bits
    #[arg(long, value_name = "FILE")]
    rsa_public_key: PathBuf,
}

#[derive(Debug, clap::Args)]
struct RemoveKeyArgs {
    #[command(flatten)]
    consumer: ConsumerArg,
    /// SHA-256 of the key, as `countersign consumer get` shows it
    #[arg(long, value_name = "SHA256")]
    fingerprint: String,
}

/// The shared secret that the application already has.
#[derive(Debug, clap::Args)]
struct SecretArgs {
    /// Secret that the application already has [default: a generated secret]; other users of this
    /// machine can see it here, so prefer --consumer-secret-file
    #[arg(long, value_name = "SECRET", value_parser = secret_input::inline, group = "secret")]
    consumer_secret: Option<Secret>,
    /// File with the secret that the application already has; - is standard input
    #[arg(long, value_name = "FILE", group = "secret")]
    consumer_secret_file: Option<PathBuf>,
}

/// The key that selects a consumer.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("key").required(true)))]
struct ConsumerArg {
    /// Key of the consumer
    #[arg(value_name = "CONSUMER_KEY", group = "key")]
    positional: Option<String>,
    /// Key of the consumer
    #[arg(long = "consumer-key", value_name = "KEY", group = "key", hide = true)]
    named: Option<String>,
}

/// The key or the id that selects a consumer.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("key").required(true)))]
struct ConsumerSelector {
    /// Key of the consumer
    #[arg(value_name = "CONSUMER_KEY", group = "key")]
    positional: Option<String>,
    /// Key of the consumer
    #[arg(long = "consumer-key", value_name = "KEY", group = "key", hide = true)]
    named: Option<String>,
    /// Id of the consumer, which upstreams receive as x-consumer-id, instead of the key
    #[arg(long, value_name = "ID", group = "key")]
    consumer_id: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    match command {
        Command::Create(args) => create(&admin, *args).await?,
        Command::Get(consumer) => get(&admin, consumer).await?,
        Command::List(paging) => list(&admin, &paging).await?,
        Command::Update(args) => update(&admin, *args).await?,
        Command::Delete(args) => delete(&admin, args).await?,
        Command::Disable(consumer) => disable(&admin, consumer).await?,
        Command::Enable(consumer) => enable(&admin, consumer).await?,
        Command::RotateSecret(args) => rotate_secret(&admin, args).await?,
        Command::ExpirePreviousSecret(args) => expire_previous_secret(&admin, args).await?,
        Command::AddRsaKey(args) => add_rsa_key(&admin, args).await?,
        Command::RemoveRsaKey(args) => remove_rsa_key(&admin, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(admin: &AdminArgs, args: CreateArgs) -> anyhow::Result<()> {
    let is_dry = args.dry_run;
    let request = args.into_request()?;
    let response = connect(admin).await?.create_consumer(request).await;
    let created = response.map_err(refused)?.into_inner();
    if is_dry {
        output::note("dry run: would create this consumer; nothing was changed");
    }
    let consumer = created.consumer.as_ref();
    show_with_secret(admin.output, consumer, &created.consumer_secret)
}

async fn get(admin: &AdminArgs, consumer: ConsumerSelector) -> anyhow::Result<()> {
    let request = consumer.into_request();
    show(
        admin.output,
        connect(admin).await?.get_consumer(request).await,
    )
}

async fn list(admin: &AdminArgs, paging: &Paging) -> anyhow::Result<()> {
    let client = connect(admin).await?;
    let page = async |page_size, page_token| {
        let request = v1::ListConsumersRequest {
            page_size,
            page_token,
        };
        let response = client.clone().list_consumers(request).await;
        let page = response.map_err(refused)?.into_inner();
        Ok((page.consumers, page.next_page_token))
    };
    let list = List::new(admin.output, &COLUMNS, output::stdout());
    paging.print(list, page, row).await
}

async fn update(admin: &AdminArgs, args: UpdateArgs) -> anyhow::Result<()> {
    let request = args.into_request()?;
    show(
        admin.output,
        connect(admin).await?.update_consumer(request).await,
    )
}

async fn delete(admin: &AdminArgs, args: DeleteArgs) -> anyhow::Result<()> {
    let must_show = args.dry_run || args.confirmation.must_ask(DELETION)?;
    let mut client = connect(admin).await?;
    let (consumer_key, etag) = (args.consumer.into_key(), args.etag);
    if must_show {
        let found = client.get_consumer(by_key(&consumer_key)).await;
        if args.dry_run {
            output::note("dry run: would delete this consumer and its tokens; nothing was changed");
            return show(admin.output, found);
        }
        let name = found.map_err(refused)?.into_inner().name;
        let question =
            format!("Delete the consumer {consumer_key} ({name}) and its tokens permanently?");
        args.confirmation.ask(DELETION, &question)?;
    }
    let request = v1::DeleteConsumerRequest { consumer_key, etag };
    client.delete_consumer(request).await.map_err(refused)?;
    output::done(admin.output, "deleted")
}

async fn disable(admin: &AdminArgs, consumer: ConsumerArg) -> anyhow::Result<()> {
    let consumer_key = consumer.into_key();
    let request = v1::DisableConsumerRequest { consumer_key };
    show(
        admin.output,
        connect(admin).await?.disable_consumer(request).await,
    )
}

async fn enable(admin: &AdminArgs, consumer: ConsumerArg) -> anyhow::Result<()> {
    let consumer_key = consumer.into_key();
    let request = v1::EnableConsumerRequest { consumer_key };
    show(
        admin.output,
        connect(admin).await?.enable_consumer(request).await,
    )
}

async fn rotate_secret(admin: &AdminArgs, args: RotateSecretArgs) -> anyhow::Result<()> {
    args.confirm()?;
    let request = args.into_request()?;
    let response = connect(admin).await?.rotate_consumer_secret(request).await;
    let rotated = response.map_err(refused)?.into_inner();
    let consumer = rotated.consumer.as_ref();
    show_with_secret(admin.output, consumer, &rotated.consumer_secret)
}

async fn expire_previous_secret(
    admin: &AdminArgs,
    args: ExpirePreviousSecretArgs,
) -> anyhow::Result<()> {
    let consumer_key = args.consumer.into_key();
    let question = format!("Expire the previous secret of the consumer {consumer_key}?");
    let change = "the expiry of a secret";
    args.confirmation.ask(change, &question)?;
    let request = v1::ExpirePreviousConsumerSecretRequest { consumer_key };
    let mut client = connect(admin).await?;
    show(
        admin.output,
        client.expire_previous_consumer_secret(request).await,
    )
}

async fn add_rsa_key(admin: &AdminArgs, args: AddKeyArgs) -> anyhow::Result<()> {
    let request = v1::AddRsaPublicKeyRequest {
        rsa_public_key: Some(public_key(&args.rsa_public_key)?),
        consumer_key: args.consumer.into_key(),
    };
    show(
        admin.output,
        connect(admin).await?.add_rsa_public_key(request).await,
    )
}

async fn remove_rsa_key(admin: &AdminArgs, args: RemoveKeyArgs) -> anyhow::Result<()> {
    let request = v1::RemoveRsaPublicKeyRequest {
        consumer_key: args.consumer.into_key(),
        fingerprint: args.fingerprint,
    };
    show(
        admin.output,
        connect(admin).await?.remove_rsa_public_key(request).await,
    )
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<ConsumerServiceClient<AdminChannel>> {
    Ok(ConsumerServiceClient::new(admin.connect().await?))
}

// === impl RotateSecretArgs ===

impl RotateSecretArgs {
    /// Asks if the current secret expires at once.
    fn confirm(&self) -> anyhow::Result<()> {
        if self.overlap.is_some_and(|overlap| !overlap.is_zero()) {
            return Ok(());
        }
        let key = self.consumer.key();
        let question = format!("Expire the current secret of the consumer {key} at once?");
        let change = "a rotation without --overlap";
        self.confirmation.ask(change, &question)
    }

    fn into_request(self) -> anyhow::Result<v1::RotateConsumerSecretRequest> {
        Ok(v1::RotateConsumerSecretRequest {
            consumer_secret: self.secret.read()?,
            consumer_key: self.consumer.into_key(),
            overlap: duration(self.overlap, "--overlap")?,
        })
    }
}

// === impl SecretArgs ===

impl SecretArgs {
    /// Reads the secret; it is empty if none is given.
    fn read(&self) -> anyhow::Result<String> {
        let file = self.consumer_secret_file.as_deref();
        let secret = secret_input::read(self.consumer_secret.as_ref(), file, "--consumer-secret")?;
        secret_input::text(secret.as_ref())
    }
}

// === impl ConsumerArg ===

impl ConsumerArg {
    fn key(&self) -> &str {
        let key = self.positional.as_deref().or(self.named.as_deref());
        key.unwrap_or_default()
    }

    fn into_key(self) -> String {
        self.positional.or(self.named).unwrap_or_default()
    }
}

// === impl ConsumerSelector ===

impl ConsumerSelector {
    fn into_request(self) -> v1::GetConsumerRequest {
        use v1::get_consumer_request::Name;
        let key = self.positional.or(self.named).map(Name::ConsumerKey);
        let name = key.or_else(|| self.consumer_id.map(Name::ConsumerId));
        v1::GetConsumerRequest { name }
    }
}

fn by_key(key: &str) -> v1::GetConsumerRequest {
    let name = v1::get_consumer_request::Name::ConsumerKey(key.to_owned());
    v1::GetConsumerRequest { name: Some(name) }
}

/// The change that `delete` confirms.
const DELETION: &str = "the deletion of a consumer";

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
            &["get", "--consumer-id", "I"],
            &["disable", "K", "--output=json"],
        ] {
            assert!(parse(right).is_ok(), "{right:?}");
        }
        for wrong in [
            &["get"][..],
            &["get", "K", "--consumer-key", "K"],
            &["get", "K", "--consumer-id", "I"],
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

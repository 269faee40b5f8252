//! `countersign consumer`: the applications that sign.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use anyhow::Context;
use clap::{ArgGroup, Subcommand};
use countersign::model::{Flow, Secret};
use countersign::oauth::SignatureMethod;
use countersign::server::api::v1;
use countersign::server::api::v1::consumer_service_client::ConsumerServiceClient;
use serde::Serialize;

use super::Usage;
use super::client::{AdminArgs, AdminChannel, refused};
use super::output::{self, Field, Format, List};
use super::secret_input;

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
    List {
        /// How many to ask the server for at a time, at most 100
        #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
        page_size: u16,
    },
    /// Forbids a consumer to sign
    Disable(Key),
    /// Lets a disabled consumer sign again
    Enable(Key),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Its name, which upstreams read as x-consumer-username
    #[arg(long)]
    name: String,
    /// The key that the application has already [default: a new one]
    #[arg(long, value_name = "KEY")]
    consumer_key: Option<String>,
    /// The secret that the application has already [default: a new one]; other users of this machine can see it here,
    /// so prefer --consumer-secret-file
    #[arg(long, value_name = "SECRET", value_parser = secret_input::inline, group = "secret")]
    consumer_secret: Option<Secret>,
    /// A file with that secret; - is standard input
    #[arg(long, value_name = "FILE", group = "secret")]
    consumer_secret_file: Option<PathBuf>,
    /// Gives it no secret: it signs with --rsa-public-key alone
    #[arg(long, group = "secret", requires = "rsa_public_key")]
    no_secret: bool,
    /// What it is, in words for a user
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// Where it runs, for example ios
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    platform: String,
    /// Where a user reads about it
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    app_url: String,
    /// A signature method that it may use; may be repeated [default: HMAC-SHA1, -256 and -512, and with a public key
    /// RSA-SHA256 and -512]
    #[arg(long, value_name = "METHOD", value_parser = SignatureMethod::ALL.map(SignatureMethod::name))]
    signature_method: Vec<String>,
    /// A flow that it may use; may be repeated [default: two-legged and three-legged]
    #[arg(long, value_name = "FLOW", value_parser = Flow::ALL.map(Flow::name))]
    flow: Vec<String>,
    /// A URI that users may be sent back to, or oob; may be repeated
    #[arg(long, value_name = "URI")]
    callback: Vec<String>,
    /// A scope that it may have; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// A file with an RSA public key or certificate in PEM, at least 2048 bits; may be repeated
    #[arg(long, value_name = "FILE")]
    rsa_public_key: Vec<PathBuf>,
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

/// What `create` prints: the consumer and, only here, its secret.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    consumer: &'a v1::Consumer,
    consumer_secret: Option<&'a str>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    let output = admin.output;
    match command {
        Command::Create(create) => {
            let request = create.into_request()?;
            created(output, &connect(&admin).await?.create_consumer(request).await.map_err(refused)?.into_inner())?;
        }
        Command::Get(key) => {
            let request = v1::GetConsumerRequest { consumer_key: key.into_text() };
            show(output, connect(&admin).await?.get_consumer(request).await)?;
        }
        Command::List { page_size } => list(connect(&admin).await?, page_size.into(), output).await?,
        Command::Disable(key) => {
            let request = v1::DisableConsumerRequest { consumer_key: key.into_text() };
            show(output, connect(&admin).await?.disable_consumer(request).await)?;
        }
        Command::Enable(key) => {
            let request = v1::EnableConsumerRequest { consumer_key: key.into_text() };
            show(output, connect(&admin).await?.enable_consumer(request).await)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<ConsumerServiceClient<AdminChannel>> {
    Ok(ConsumerServiceClient::new(admin.connect().await?))
}

async fn list(mut client: ConsumerServiceClient<AdminChannel>, page_size: i32, output: Format) -> anyhow::Result<()> {
    let mut list = List::new(output, &COLUMNS, io::stdout());
    let mut page_token = String::new();
    loop {
        let request = v1::ListConsumersRequest { page_size, page_token };
        let page = client.list_consumers(request).await.map_err(refused)?.into_inner();
        list.page(&page.consumers, row)?;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return list.end();
        }
    }
}

fn created(output: Format, answer: &v1::CreateConsumerResponse) -> anyhow::Result<()> {
    let consumer = answer.consumer.as_ref().context("the server answered without the consumer")?;
    let consumer_secret = Some(answer.consumer_secret.as_str()).filter(|secret| !secret.is_empty());
    let mut fields = fields(consumer);
    if let Some(secret) = consumer_secret {
        fields.insert(1, ("consumer secret", format!("{secret}  (shown only now)")));
    }
    output::record(output, &Created { consumer, consumer_secret }, &fields)
}

fn show(output: Format, answer: Result<tonic::Response<v1::Consumer>, tonic::Status>) -> anyhow::Result<()> {
    let consumer = answer.map_err(refused)?.into_inner();
    output::record(output, &consumer, &fields(&consumer))
}

fn fields(consumer: &v1::Consumer) -> Vec<Field> {
    let keys = consumer.rsa_public_keys.iter().map(|key| format!("{} bits, SHA-256 {}", key.bits, key.fingerprint));
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
        ("created", output::time(consumer.create_time)),
        ("changed", output::time(consumer.update_time)),
    ]
}

fn row(consumer: &v1::Consumer) -> Vec<String> {
    vec![
        consumer.consumer_key.clone(),
        consumer.name.clone(),
        status(consumer).to_owned(),
        methods(consumer),
        output::time(consumer.create_time),
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
    if consumer.signature_methods.is_empty() { "default".to_owned() } else { consumer.signature_methods.join(" ") }
}

// === impl Create ===

impl Create {
    fn into_request(self) -> anyhow::Result<v1::CreateConsumerRequest> {
        let file = self.consumer_secret_file.as_deref();
        let secret = secret_input::read(self.consumer_secret.as_ref(), file, "--consumer-secret")?;
        let consumer = v1::Consumer {
            consumer_key: self.consumer_key.unwrap_or_default(),
            name: self.name,
            description: self.description,
            platform: self.platform,
            app_url: self.app_url,
            signature_methods: self.signature_method,
            flows: self.flow,
            callbacks: self.callback,
            scopes: self.scope,
            rsa_public_keys: self.rsa_public_key.iter().map(|file| public_key(file)).collect::<Result<_, _>>()?,
            ..v1::Consumer::default()
        };
        Ok(v1::CreateConsumerRequest {
            consumer: Some(consumer),
            consumer_secret: secret_input::text(secret.as_ref())?,
            no_shared_secret: self.no_secret,
            allow_existing: false,
            validate_only: false,
        })
    }
}

fn public_key(file: &Path) -> anyhow::Result<v1::RsaPublicKey> {
    let pem = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    if pem.contains("PRIVATE KEY-----") {
        let remedy = "is a private key, which stays with the application; `openssl pkey -pubout` makes its public key";
        return Err(Usage(format!("{} {remedy}", file.display())).into());
    }
    Ok(v1::RsaPublicKey { pem, ..v1::RsaPublicKey::default() })
}

// === impl Key ===

impl Key {
    fn into_text(self) -> String {
        self.positional.or(self.named).unwrap_or_default()
    }
}

const COLUMNS: [&str; 5] = ["CONSUMER KEY", "NAME", "STATUS", "METHODS", "CREATED"];

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn existing_credentials_can_be_brought_in() {
        let request = request(&["--name", "N", "--consumer-key", "K", "--consumer-secret", "S"]).unwrap();
        let consumer = request.consumer.unwrap();
        assert_eq!((consumer.name.as_str(), consumer.consumer_key.as_str()), ("N", "K"));
        assert_eq!((request.consumer_secret.as_str(), request.no_shared_secret), ("S", false));
    }

    #[test]
    fn what_may_be_repeated_is_kept_in_order() {
        let consumer =
            request(&["--name=N", "--scope=write", "--scope=read", "--flow=xauth", "--signature-method=PLAINTEXT"])
                .unwrap()
                .consumer
                .unwrap();
        assert_eq!(consumer.scopes, ["write", "read"]);
        assert_eq!(consumer.flows, ["xauth"]);
        assert_eq!(consumer.signature_methods, ["PLAINTEXT"]);
    }

    #[test]
    fn a_secret_is_given_in_one_way_only() {
        for wrong in [
            &["create", "--name=N", "--consumer-secret=S", "--consumer-secret-file=F"][..],
            &["create", "--name=N", "--consumer-secret=S", "--no-secret", "--rsa-public-key=F"],
            &["create", "--name=N", "--no-secret"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        let empty = request(&["--name=N", "--consumer-secret="]).unwrap_err();
        assert!(empty.downcast_ref::<Usage>().is_some(), "{empty}");
    }

    #[test]
    fn a_consumer_is_named_once() {
        for right in [&["get", "K"][..], &["get", "--consumer-key", "K"], &["disable", "K", "--output=json"]] {
            assert!(parse(right).is_ok(), "{right:?}");
        }
        for wrong in [&["get"][..], &["get", "K", "--consumer-key", "K"], &["create"], &["create", "--flow=four"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_private_key_does_not_leave_the_machine() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key.pem");
        fs::write(&file, "-----BEGIN RSA PRIVATE KEY-----\n").unwrap();
        let refused = public_key(&file).unwrap_err();
        assert!(refused.downcast_ref::<Usage>().is_some(), "{refused}");
    }

    #[test]
    fn a_secret_is_not_in_the_debug_form_of_the_command_line() {
        let args = parse(&["create", "--name=N", "--consumer-secret=kd94hf93k423kf44"]).unwrap();
        assert!(!format!("{args:?}").contains("kd94hf93k423kf44"));
    }

    fn request(options: &[&str]) -> anyhow::Result<v1::CreateConsumerRequest> {
        let command = parse(&[&["create"], options].concat())?.command;
        let Command::Create(create) = command else { panic!("{command:?}") };
        create.into_request()
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        let command = Cli::try_parse_from([&["countersign", "consumer"], words].concat())?.command;
        let crate::cli::Command::Consumer(args) = command else { panic!("{command:?}") };
        Ok(args)
    }
}

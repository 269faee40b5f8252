//! `countersign token`: access tokens.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgGroup, Subcommand};
use countersign::model::Secret;
use countersign::server::api::v1;
use countersign::server::api::v1::token_service_client::TokenServiceClient;
use serde::Serialize;

use super::Usage;
use super::client::{AdminArgs, AdminChannel, refused};
use super::output::{self, Field, Format};
use super::secret_input;

/// The arguments of `countersign token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Issues a token and shows its secret, this once
    Create(Box<Create>),
    /// Shows a token
    Get(Name),
    /// Revokes a token for good
    Revoke {
        #[command(flatten)]
        name: Name,
        /// Refuses to revoke a token of another consumer
        #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
        consumer_key: String,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The consumer that it is issued to
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// The user whom it acts for, which upstreams read as x-authenticated-userid [default: none, for a token of the
    /// consumer itself]
    #[arg(long, value_name = "USER")]
    user_id: Option<String>,
    /// The token that the application has already [default: a new one]
    #[arg(long)]
    token: Option<String>,
    /// The token secret that the application has already [default: a new one]; other users of this machine can see it
    /// here, so prefer --token-secret-file
    #[arg(long, value_name = "SECRET", value_parser = secret_input::inline, group = "secret")]
    token_secret: Option<Secret>,
    /// A file with that secret; - is standard input
    #[arg(long, value_name = "FILE", group = "secret")]
    token_secret_file: Option<PathBuf>,
    /// A scope of the consumer's that it gets too; may be repeated [default: none]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// How long it is valid, for example 30d or 12h [default: for ever]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,
}

/// A token, named by itself.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("name").required(true)))]
struct Name {
    /// The token
    #[arg(value_name = "TOKEN", group = "name")]
    positional: Option<String>,
    /// The token
    #[arg(long = "token", value_name = "TOKEN", group = "name", hide = true)]
    named: Option<String>,
}

/// What `create` prints: the token and, only here, its secret.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    token: &'a v1::Token,
    token_secret: &'a str,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    let output = admin.output;
    match command {
        Command::Create(create) => {
            let request = create.into_request()?;
            created(output, &connect(&admin).await?.create_token(request).await.map_err(refused)?.into_inner())?;
        }
        Command::Get(name) => {
            let request = v1::GetTokenRequest { token: name.into_text() };
            show(output, &connect(&admin).await?.get_token(request).await.map_err(refused)?.into_inner())?;
        }
        Command::Revoke { name, consumer_key } => {
            let request = v1::RevokeTokenRequest { token: name.into_text(), consumer_key };
            show(output, &connect(&admin).await?.revoke_token(request).await.map_err(refused)?.into_inner())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<TokenServiceClient<AdminChannel>> {
    Ok(TokenServiceClient::new(admin.connect().await?))
}

fn created(output: Format, answer: &v1::CreateTokenResponse) -> anyhow::Result<()> {
    let token = answer.token.as_ref().context("the server answered without the token")?;
    let token_secret = answer.token_secret.as_str();
    let mut fields = fields(token);
    fields.insert(1, ("token secret", format!("{token_secret}  (shown only now)")));
    output::record(output, &Created { token, token_secret }, &fields)
}

fn show(output: Format, token: &v1::Token) -> anyhow::Result<()> {
    output::record(output, token, &fields(token))
}

fn fields(token: &v1::Token) -> Vec<Field> {
    vec![
        ("token", token.token.clone()),
        ("consumer key", token.consumer_key.clone()),
        ("user id", token.user_id.clone()),
        ("status", status_word(token.status()).to_owned()),
        ("scopes", token.scopes.join(" ")),
        ("created", output::time(token.create_time)),
        ("expires", output::time(token.expire_time)),
    ]
}

const fn status_word(status: v1::TokenStatus) -> &'static str {
    match status {
        v1::TokenStatus::Unspecified => "unknown",
        v1::TokenStatus::Active => "active",
        v1::TokenStatus::Revoked => "revoked",
    }
}

// === impl Create ===

impl Create {
    fn into_request(self) -> anyhow::Result<v1::CreateTokenRequest> {
        let file = self.token_secret_file.as_deref();
        let secret = secret_input::read(self.token_secret.as_ref(), file, "--token-secret")?;
        let ttl = self.expires_in.map(prost_types::Duration::try_from).transpose();
        let token = v1::Token {
            token: self.token.unwrap_or_default(),
            consumer_key: self.consumer_key,
            user_id: self.user_id.unwrap_or_default(),
            scopes: self.scope,
            ..v1::Token::default()
        };
        Ok(v1::CreateTokenRequest {
            token: Some(token),
            token_secret: secret_input::text(secret.as_ref())?,
            ttl: ttl.map_err(|_| Usage("--expires-in is too long".to_owned()))?,
            allow_existing: false,
            validate_only: false,
        })
    }
}

// === impl Name ===

impl Name {
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
    fn an_existing_token_can_be_brought_in() {
        let request =
            request(&["--consumer-key=K", "--user-id=U", "--token=T", "--token-secret=S", "--expires-in=30d"]);
        let token = request.token.unwrap();
        assert_eq!((token.consumer_key.as_str(), token.user_id.as_str(), token.token.as_str()), ("K", "U", "T"));
        assert_eq!(request.token_secret, "S");
        assert_eq!(request.ttl.unwrap().seconds, 30 * 24 * 60 * 60);
    }

    #[test]
    fn a_token_without_options_is_made_by_the_server_and_valid_for_ever() {
        let request = request(&["--consumer-key=K"]);
        assert_eq!((request.token.unwrap().token.as_str(), request.token_secret.as_str(), request.ttl), ("", "", None));
    }

    #[test]
    fn a_token_is_named_once() {
        for right in
            [&["revoke", "T"][..], &["revoke", "--token=T"], &["revoke", "T", "--consumer-key=K"], &["get", "T"]]
        {
            assert!(parse(right).is_ok(), "{right:?}");
        }
        for wrong in [&["revoke"][..], &["revoke", "T", "--token=T"], &["create"], &["create", "--consumer-key=K", "T"]]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    fn request(options: &[&str]) -> v1::CreateTokenRequest {
        let command = parse(&[&["create"], options].concat()).unwrap().command;
        let Command::Create(create) = command else { panic!("{command:?}") };
        create.into_request().unwrap()
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        let command = Cli::try_parse_from([&["countersign", "token"], words].concat())?.command;
        let crate::cli::Command::Token(args) = command else { panic!("{command:?}") };
        Ok(args)
    }
}

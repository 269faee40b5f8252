//! `countersign token`: access tokens.

mod create;
mod show;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Subcommand};
use countersign::v1;
use countersign::v1::token_service_client::TokenServiceClient;

use self::create::Create;
use self::show::{COLUMNS, introspected, row, show};
use super::client::{AdminArgs, AdminChannel, refused};
use super::output::{self, Format, List};
use super::paging::Paging;
use super::secret_input;

pub(super) use self::show::obtained;

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
    /// Lists the tokens of a consumer or of a user
    List {
        #[command(flatten)]
        holder: Holder,
        #[command(flatten)]
        paging: Paging,
    },
    /// Says what a token is good for now; an unknown one is good for nothing, and no error
    Introspect(Name),
    /// Revokes a token for good
    Revoke {
        #[command(flatten)]
        name: Name,
        /// Refuses to revoke a token of another consumer
        #[arg(
            long,
            value_name = "KEY",
            default_value = "",
            hide_default_value = true
        )]
        consumer_key: String,
    },
    /// Revokes all tokens of a consumer, or all of a user
    RevokeAll(Holder),
    /// Exchanges a user's name and password for a token, as xAuth does, and shows its secret, this once
    ExchangePassword(ExchangePassword),
}

#[derive(Debug, clap::Args)]
struct ExchangePassword {
    /// The consumer that the token is issued to; it needs the flow xauth
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// Who logs in
    #[arg(long, value_name = "NAME")]
    username: String,
    /// A file with the user's password; - is standard input
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// A scope of the consumer's that the token gets; may be repeated [default: all]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// The IP address that the user comes from, by which wrong passwords are limited too
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "",
        hide_default_value = true
    )]
    client_address: String,
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

/// Whose tokens.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("holder").required(true)))]
struct Holder {
    /// Those that were issued to this consumer
    #[arg(long, value_name = "KEY", group = "holder")]
    consumer_key: Option<String>,
    /// Those that act for this user
    #[arg(long, value_name = "USER", group = "holder")]
    user_id: Option<String>,
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
                .create_token(request)
                .await
                .map_err(refused)?;
            show::created(output, made.get_ref())?;
        }
        Command::Get(name) => {
            let request = v1::GetTokenRequest {
                token: name.into_text(),
            };
            show(
                output,
                connect(&admin)
                    .await?
                    .get_token(request)
                    .await
                    .map_err(refused)?
                    .get_ref(),
            )?;
        }
        Command::List { holder, paging } => {
            list(connect(&admin).await?, &holder, &paging, output).await?
        }
        Command::Introspect(name) => {
            let request = v1::IntrospectTokenRequest {
                token: name.into_text(),
            };
            let known = connect(&admin)
                .await?
                .introspect_token(request)
                .await
                .map_err(refused)?;
            introspected(output, known.get_ref())?;
        }
        Command::Revoke { name, consumer_key } => {
            let request = v1::RevokeTokenRequest {
                token: name.into_text(),
                consumer_key,
            };
            show(
                output,
                connect(&admin)
                    .await?
                    .revoke_token(request)
                    .await
                    .map_err(refused)?
                    .get_ref(),
            )?;
        }
        Command::RevokeAll(holder) => {
            let request = v1::RevokeTokensRequest {
                holder: holder.of_revocation(),
            };
            connect(&admin)
                .await?
                .revoke_tokens(request)
                .await
                .map_err(refused)?;
            output::done(output, "revoked")?;
        }
        Command::ExchangePassword(exchange) => {
            let request = exchange.into_request()?;
            let issued = connect(&admin)
                .await?
                .exchange_password(request)
                .await
                .map_err(refused)?;
            obtained(output, issued.get_ref())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<TokenServiceClient<AdminChannel>> {
    Ok(TokenServiceClient::new(admin.connect().await?))
}

async fn list(
    client: TokenServiceClient<AdminChannel>,
    holder: &Holder,
    paging: &Paging,
    output: Format,
) -> anyhow::Result<()> {
    let page = async |page_size, page_token| {
        let request = v1::ListTokensRequest {
            holder: holder.of_list(),
            page_size,
            page_token,
        };
        let page = client
            .clone()
            .list_tokens(request)
            .await
            .map_err(refused)?
            .into_inner();
        Ok((page.tokens, page.next_page_token))
    };
    paging
        .print(List::new(output, &COLUMNS, io::stdout()), page, row)
        .await
}

// === impl ExchangePassword ===

impl ExchangePassword {
    fn into_request(self) -> anyhow::Result<v1::ExchangePasswordRequest> {
        let Self {
            consumer_key,
            username,
            password_file,
            scope: scopes,
            client_address,
        } = self;
        let password = secret_input::read(None, Some(&password_file), "--password-file")?;
        let password = secret_input::text(password.as_ref())?;
        Ok(v1::ExchangePasswordRequest {
            consumer_key,
            username,
            password,
            scopes,
            client_address,
        })
    }
}

// === impl Name ===

impl Name {
    fn into_text(self) -> String {
        self.positional.or(self.named).unwrap_or_default()
    }
}

// === impl Holder ===

impl Holder {
    fn of_list(&self) -> Option<v1::list_tokens_request::Holder> {
        use v1::list_tokens_request::Holder;
        let consumer = self.consumer_key.clone().map(Holder::ConsumerKey);
        consumer.or_else(|| self.user_id.clone().map(Holder::UserId))
    }

    fn of_revocation(self) -> Option<v1::revoke_tokens_request::Holder> {
        use v1::revoke_tokens_request::Holder;
        self.consumer_key
            .map(Holder::ConsumerKey)
            .or_else(|| self.user_id.map(Holder::UserId))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn an_existing_token_can_be_brought_in() {
        let request = request(&[
            "--consumer-key=K",
            "--user-id=U",
            "--token=T",
            "--token-secret=S",
            "--expires-in=30d",
        ]);
        let token = request.token.unwrap();
        assert_eq!(
            (
                token.consumer_key.as_str(),
                token.user_id.as_str(),
                token.token.as_str()
            ),
            ("K", "U", "T")
        );
        assert_eq!(request.token_secret, "S");
        assert_eq!(request.ttl.unwrap().seconds, 30 * 24 * 60 * 60);
    }

    #[test]
    fn a_token_without_options_is_made_by_the_server_and_valid_for_ever() {
        let request = request(&["--consumer-key=K"]);
        assert_eq!(
            (
                request.token.unwrap().token.as_str(),
                request.token_secret.as_str(),
                request.ttl
            ),
            ("", "", None)
        );
    }

    #[test]
    fn a_token_is_named_once() {
        for right in [
            &["revoke", "T"][..],
            &["revoke", "--token=T"],
            &["revoke", "T", "--consumer-key=K"],
            &["get", "T"],
        ] {
            assert!(parse(right).is_ok(), "{right:?}");
        }
        for wrong in [
            &["revoke"][..],
            &["revoke", "T", "--token=T"],
            &["create"],
            &["create", "--consumer-key=K", "T"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn all_tokens_are_those_of_one_holder() {
        for right in [
            &["list", "--user-id=U"][..],
            &["revoke-all", "--consumer-key=K"],
        ] {
            assert!(parse(right).is_ok(), "{right:?}");
        }
        for wrong in [
            &["list"][..],
            &["revoke-all"],
            &["revoke-all", "--consumer-key=K", "--user-id=U"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    fn request(options: &[&str]) -> v1::CreateTokenRequest {
        let command = parse(&[&["create"], options].concat()).unwrap().command;
        let Command::Create(create) = command else {
            panic!("{command:?}")
        };
        create.into_request().unwrap()
    }

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        let command = Cli::try_parse_from([&["countersign", "token"], words].concat())?.command;
        let crate::cli::Command::Token(args) = command else {
            panic!("{command:?}")
        };
        Ok(args)
    }
}

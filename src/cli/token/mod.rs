//! `countersign token`: access tokens.

mod create;
mod show;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Subcommand};
use countersign::v1;
use countersign::v1::token_service_client::TokenServiceClient;
use tonic::Status;

use self::create::CreateArgs;
use self::show::{COLUMNS, introspected, row, show};
use super::client::{AdminArgs, AdminChannel, refused};
use super::confirm::Confirmation;
use super::output::{self, List};
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
    /// Create a token; its secret is shown only once
    Create(Box<CreateArgs>),
    /// Show a token
    Get(TokenArg),
    /// List the tokens of a consumer or of a user
    List {
        #[command(flatten)]
        holder: TokenHolder,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show whether a token is active, and its effective scopes; an unknown token is inactive
    Introspect(TokenArg),
    /// Revoke a token permanently
    Revoke(RevokeArgs),
    /// Revoke all tokens of a consumer or of a user
    RevokeAll(RevokeAllArgs),
    /// Exchange a user's name and password for a token (xAuth); its secret is shown only once
    ExchangePassword(ExchangePasswordArgs),
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    #[command(flatten)]
    token: TokenArg,
    /// Fail unless the token belongs to this consumer [default: any consumer]
    #[arg(
        long,
        value_name = "KEY",
        default_value = "",
        hide_default_value = true
    )]
    consumer_key: String,
    /// Show the token, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, clap::Args)]
struct RevokeAllArgs {
    #[command(flatten)]
    holder: TokenHolder,
    /// List the tokens, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

#[derive(Debug, clap::Args)]
struct ExchangePasswordArgs {
    /// Consumer to issue the token to; it needs the flow xauth
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// Name that the user logs in with
    #[arg(long, value_name = "NAME")]
    username: String,
    /// File with the user's password, - for standard input
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// Scope of the consumer that the token gets; repeat for several [default: all]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// IP address of the user, for the limit on wrong passwords [default: none, no such limit]
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "",
        hide_default_value = true
    )]
    client_address: String,
}

/// A token, as a word or as an option.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("name").required(true)))]
struct TokenArg {
    /// The token
    #[arg(value_name = "TOKEN", group = "name")]
    positional: Option<String>,
    /// The token
    #[arg(long = "token", value_name = "TOKEN", group = "name", hide = true)]
    named: Option<String>,
}

/// The consumer or user whose tokens are meant.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("holder").required(true)))]
struct TokenHolder {
    /// The tokens issued to this consumer
    #[arg(long, value_name = "KEY", group = "holder")]
    consumer_key: Option<String>,
    /// The tokens that act for this user
    #[arg(long, value_name = "USER", group = "holder")]
    user_id: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    match command {
        Command::Create(args) => create(&admin, *args).await?,
        Command::Get(token) => get(&admin, token).await?,
        Command::List { holder, paging } => list(&admin, &holder, &paging).await?,
        Command::Introspect(token) => introspect(&admin, token).await?,
        Command::Revoke(args) => revoke(&admin, args).await?,
        Command::RevokeAll(args) => revoke_all(&admin, args).await?,
        Command::ExchangePassword(args) => exchange_password(&admin, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(admin: &AdminArgs, args: CreateArgs) -> anyhow::Result<()> {
    let is_dry = args.dry_run;
    let request = args.into_request()?;
    let answer = connect(admin).await?.create_token(request).await;
    if is_dry && answer.is_ok() {
        output::note("dry run: would create this token; nothing was changed");
    }
    show::created(admin.output, answer.map_err(refused)?.get_ref())
}

async fn get(admin: &AdminArgs, token: TokenArg) -> anyhow::Result<()> {
    let request = v1::GetTokenRequest {
        token: token.into_text(),
    };
    let answer = connect(admin).await?.get_token(request).await;
    show(admin.output, answer.map_err(refused)?.get_ref())
}

async fn list(admin: &AdminArgs, holder: &TokenHolder, paging: &Paging) -> anyhow::Result<()> {
    let client = connect(admin).await?;
    let page = async |page_size, page_token| {
        let request = v1::ListTokensRequest {
            holder: holder.of_list(),
            page_size,
            page_token,
        };
        let answer = client.clone().list_tokens(request).await;
        let page = answer.map_err(refused)?.into_inner();
        Ok((page.tokens, page.next_page_token))
    };
    let tokens = List::new(admin.output, &COLUMNS, output::stdout());
    paging.print(tokens, page, row).await
}

async fn introspect(admin: &AdminArgs, token: TokenArg) -> anyhow::Result<()> {
    let request = v1::IntrospectTokenRequest {
        token: token.into_text(),
    };
    let answer = connect(admin).await?.introspect_token(request).await;
    introspected(admin.output, answer.map_err(refused)?.get_ref())
}

async fn revoke(admin: &AdminArgs, args: RevokeArgs) -> anyhow::Result<()> {
    let must_show = args.dry_run || args.confirmation.must_ask(REVOCATION)?;
    let mut client = connect(admin).await?;
    let token = args.token.into_text();
    if must_show {
        let request = v1::GetTokenRequest {
            token: token.clone(),
        };
        let found = client.get_token(request).await.map_err(refused)?;
        let is_other = found.get_ref().consumer_key != args.consumer_key;
        if is_other && !args.consumer_key.is_empty() {
            return Err(refused(Status::not_found(format!("unknown token {token}"))));
        }
        if args.dry_run {
            output::note("dry run: would revoke this token; nothing was changed");
            return show(admin.output, found.get_ref());
        }
        let consumer = &found.get_ref().consumer_key;
        let question = format!("Revoke the token {token} of the consumer {consumer} permanently?");
        args.confirmation.ask(REVOCATION, &question)?;
    }
    let request = v1::RevokeTokenRequest {
        token,
        consumer_key: args.consumer_key,
    };
    let answer = client.revoke_token(request).await;
    show(admin.output, answer.map_err(refused)?.get_ref())
}

async fn revoke_all(admin: &AdminArgs, args: RevokeAllArgs) -> anyhow::Result<()> {
    if args.dry_run {
        output::note("dry run: would revoke the active ones of these tokens; nothing was changed");
        return list(admin, &args.holder, &Paging::all()).await;
    }
    let question = format!("Revoke every token of the {} permanently?", args.holder);
    args.confirmation.ask(REVOCATION, &question)?;
    let request = v1::RevokeTokensRequest {
        holder: args.holder.of_revocation(),
    };
    let answer = connect(admin).await?.revoke_tokens(request).await;
    answer.map_err(refused)?;
    output::done(admin.output, "revoked")
}

async fn exchange_password(admin: &AdminArgs, args: ExchangePasswordArgs) -> anyhow::Result<()> {
    let request = args.into_request()?;
    let answer = connect(admin).await?.exchange_password(request).await;
    obtained(admin.output, answer.map_err(refused)?.get_ref())
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<TokenServiceClient<AdminChannel>> {
    Ok(TokenServiceClient::new(admin.connect().await?))
}

// === impl ExchangePasswordArgs ===

impl ExchangePasswordArgs {
    fn into_request(self) -> anyhow::Result<v1::ExchangePasswordRequest> {
        let file = Some(self.password_file.as_path());
        let password = secret_input::read(None, file, "--password")?;
        Ok(v1::ExchangePasswordRequest {
            consumer_key: self.consumer_key,
            username: self.username,
            password: secret_input::text(password.as_ref())?,
            scopes: self.scope,
            client_address: self.client_address,
        })
    }
}

// === impl TokenArg ===

impl TokenArg {
    fn into_text(self) -> String {
        self.positional.or(self.named).unwrap_or_default()
    }
}

// === impl TokenHolder ===

impl TokenHolder {
    fn of_list(&self) -> Option<v1::list_tokens_request::Holder> {
        use v1::list_tokens_request::Holder;
        let consumer = self.consumer_key.clone().map(Holder::ConsumerKey);
        consumer.or_else(|| self.user_id.clone().map(Holder::UserId))
    }

    fn of_revocation(self) -> Option<v1::revoke_tokens_request::Holder> {
        use v1::revoke_tokens_request::Holder;
        let consumer = self.consumer_key.map(Holder::ConsumerKey);
        consumer.or_else(|| self.user_id.map(Holder::UserId))
    }
}

impl fmt::Display for TokenHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.consumer_key, &self.user_id) {
            (Some(key), _) => write!(f, "consumer {key}"),
            (None, user) => write!(f, "user {}", user.as_deref().unwrap_or_default()),
        }
    }
}

/// The change that `revoke` and `revoke-all` confirm.
const REVOCATION: &str = "a revocation";

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

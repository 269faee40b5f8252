//! `countersign request-token`: temporary credentials, for an operator's consent page and for
//! tests.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use countersign::v1;
use countersign::v1::token_service_client::TokenServiceClient;
use serde::Serialize;

use super::client::{AdminArgs, AdminChannel, refused};
use super::output::{self, Field, Format};
use super::token::obtained;

/// The arguments of `countersign request-token`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    admin: AdminArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create temporary credentials; their secret is shown only once
    Create(CreateArgs),
    /// Show temporary credentials and the consumer that requests authorization
    Get(TokenArg),
    /// Authorize temporary credentials for a user, and print the URL to send the user to
    Authorize(AuthorizeArgs),
    /// Refuse temporary credentials for a user, and print the URL to send the user to
    Refuse(TokenArg),
    /// Exchange authorized temporary credentials for an access token; its secret is shown only once
    Exchange(ExchangeArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Consumer that requests authorization
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// Callback of the consumer to redirect the user to, or oob to show a verifier
    #[arg(long, value_name = "URI")]
    callback: String,
    /// Scope of the consumer to request; repeat for several [default: all]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct AuthorizeArgs {
    /// Token of the temporary credentials
    token: String,
    /// User who authorizes the consumer
    #[arg(long, value_name = "USER")]
    user_id: String,
    /// Name of the user for the consumer to display [default: none]
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    screen_name: String,
    /// Scope that the user grants; repeat for several [default: all requested]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct ExchangeArgs {
    /// Token of the temporary credentials
    token: String,
    /// Consumer that the credentials were issued to
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// Verifier that the user brought back
    #[arg(long)]
    verifier: String,
}

#[derive(Debug, clap::Args)]
struct TokenArg {
    /// Token of the temporary credentials
    token: String,
}

/// New temporary credentials; only this output contains their secret.
#[derive(Serialize)]
struct NewCredentials<'a> {
    #[serde(flatten)]
    request_token: &'a v1::RequestToken,
    token_secret: &'a str,
}

/// The decision of a user.
#[derive(Serialize)]
struct UserDecision<'a> {
    redirect_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verifier: Option<&'a str>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    match command {
        Command::Create(args) => create(&admin, args).await?,
        Command::Get(TokenArg { token }) => get(&admin, token).await?,
        Command::Authorize(args) => authorize(&admin, args).await?,
        Command::Refuse(TokenArg { token }) => refuse(&admin, token).await?,
        Command::Exchange(args) => exchange(&admin, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(admin: &AdminArgs, args: CreateArgs) -> anyhow::Result<()> {
    let request = v1::CreateRequestTokenRequest {
        consumer_key: args.consumer_key,
        callback: args.callback,
        scopes: args.scope,
    };
    let answer = connect(admin).await?.create_request_token(request).await;
    show_new(admin.output, answer.map_err(refused)?.get_ref())
}

async fn get(admin: &AdminArgs, token: String) -> anyhow::Result<()> {
    let request = v1::GetRequestTokenRequest { token };
    let answer = connect(admin).await?.get_request_token(request).await;
    let request_token = answer.map_err(refused)?.into_inner();
    output::record(admin.output, &request_token, &fields(&request_token))
}

async fn authorize(admin: &AdminArgs, args: AuthorizeArgs) -> anyhow::Result<()> {
    let request = v1::AuthorizeRequestTokenRequest {
        token: args.token,
        user_id: args.user_id,
        screen_name: args.screen_name,
        scopes: args.scope,
    };
    let answer = connect(admin).await?.authorize_request_token(request).await;
    let answer = answer.map_err(refused)?.into_inner();
    let decision = UserDecision {
        redirect_url: &answer.redirect_url,
        verifier: Some(&answer.verifier),
    };
    show_decision(admin.output, &decision)
}

async fn refuse(admin: &AdminArgs, token: String) -> anyhow::Result<()> {
    let request = v1::RefuseRequestTokenRequest { token };
    let answer = connect(admin).await?.refuse_request_token(request).await;
    let answer = answer.map_err(refused)?.into_inner();
    let decision = UserDecision {
        redirect_url: &answer.redirect_url,
        verifier: None,
    };
    show_decision(admin.output, &decision)
}

async fn exchange(admin: &AdminArgs, args: ExchangeArgs) -> anyhow::Result<()> {
    let request = v1::ExchangeRequestTokenRequest {
        consumer_key: args.consumer_key,
        token: args.token,
        verifier: args.verifier,
    };
    let answer = connect(admin).await?.exchange_request_token(request).await;
    obtained(admin.output, answer.map_err(refused)?.get_ref())
}

async fn connect(admin: &AdminArgs) -> anyhow::Result<TokenServiceClient<AdminChannel>> {
    Ok(TokenServiceClient::new(admin.connect().await?))
}

fn show_new(output: Format, answer: &v1::CreateRequestTokenResponse) -> anyhow::Result<()> {
    let credentials = NewCredentials {
        request_token: answer
            .request_token
            .as_ref()
            .context("the server's answer has no credentials")?,
        token_secret: &answer.token_secret,
    };
    let secret = format!("{}  (shown only once)", credentials.token_secret);
    let mut fields = fields(credentials.request_token);
    fields.insert(1, ("token secret", secret));
    output::record(output, &credentials, &fields)
}

fn show_decision(output: Format, decision: &UserDecision<'_>) -> anyhow::Result<()> {
    let verifier = decision.verifier.unwrap_or_default().to_owned();
    let fields = [
        ("redirect url", decision.redirect_url.to_owned()),
        ("verifier", verifier),
    ];
    output::record(output, decision, &fields)
}

fn fields(request_token: &v1::RequestToken) -> Vec<Field> {
    let verified = if request_token.consumer_verified {
        "yes"
    } else {
        "no"
    };
    vec![
        ("token", request_token.token.clone()),
        ("consumer key", request_token.consumer_key.clone()),
        ("consumer name", request_token.consumer_name.clone()),
        ("description", request_token.consumer_description.clone()),
        ("app url", request_token.consumer_app_url.clone()),
        ("verified", verified.to_owned()),
        ("callback", request_token.callback.clone()),
        ("scopes", request_token.scopes.join(" ")),
        ("state", state(request_token).to_owned()),
        ("created", output::time(request_token.create_time)),
        ("expires", output::time(request_token.expire_time)),
    ]
}

fn state(request_token: &v1::RequestToken) -> &'static str {
    match request_token.state() {
        v1::RequestTokenState::Unspecified => "unknown",
        v1::RequestTokenState::Pending => "pending",
        v1::RequestTokenState::Authorized => "authorized",
        v1::RequestTokenState::Refused => "refused",
        v1::RequestTokenState::Used => "used",
    }
}

//! `countersign request-token`: temporary credentials, for a consent page of the operator's and for trying things out.

use std::process::ExitCode;

use anyhow::Context;
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
    /// Issues temporary credentials and shows their secret, this once
    Create(Create),
    /// Shows temporary credentials, and who asks for what with them
    Get(Name),
    /// Says that a user allows it, and where to send the user now
    Authorize(Authorize),
    /// Says that the user refuses, and where to send the user now
    Refuse(Name),
    /// Exchanges authorized temporary credentials for a token and shows its secret, this once
    Exchange(Exchange),
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The consumer
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// Where the user is sent afterwards: one of the consumer's callbacks, or oob
    #[arg(long, value_name = "URI")]
    callback: String,
    /// A scope of the consumer's that it asks for; may be repeated [default: all]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Authorize {
    /// The temporary credentials' token
    token: String,
    /// The user who allows it
    #[arg(long, value_name = "USER")]
    user_id: String,
    /// What the consumer is told to call the user
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    screen_name: String,
    /// A scope that the user gives; may be repeated [default: all that are asked for]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Exchange {
    /// The temporary credentials' token
    token: String,
    /// The consumer that they were issued to
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// The verifier that the user came back with
    #[arg(long)]
    verifier: String,
}

/// Temporary credentials, named by their token.
#[derive(Debug, clap::Args)]
struct Name {
    /// Their token
    token: String,
}

/// What `create` prints: the credentials and, only here, their secret.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    request_token: &'a v1::RequestToken,
    token_secret: &'a str,
}

/// What a decision prints.
#[derive(Serialize)]
struct Decided<'a> {
    redirect_url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verifier: Option<&'a str>,
}

/// Runs the command.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { admin, command } = args;
    let output = admin.output;
    match command {
        Command::Create(Create {
            consumer_key,
            callback,
            scope: scopes,
        }) => {
            let request = v1::CreateRequestTokenRequest {
                consumer_key,
                callback,
                scopes,
            };
            let made = connect(&admin)
                .await?
                .create_request_token(request)
                .await
                .map_err(refused)?;
            created(output, made.get_ref())?;
        }
        Command::Get(Name { token }) => {
            let request = v1::GetRequestTokenRequest { token };
            let found = connect(&admin)
                .await?
                .get_request_token(request)
                .await
                .map_err(refused)?
                .into_inner();
            output::record(output, &found, &fields(&found))?;
        }
        Command::Authorize(Authorize {
            token,
            user_id,
            screen_name,
            scope: scopes,
        }) => {
            let request = v1::AuthorizeRequestTokenRequest {
                token,
                user_id,
                screen_name,
                scopes,
            };
            let answer = connect(&admin)
                .await?
                .authorize_request_token(request)
                .await
                .map_err(refused)?
                .into_inner();
            decided(
                output,
                &Decided {
                    redirect_url: &answer.redirect_url,
                    verifier: Some(&answer.verifier),
                },
            )?;
        }
        Command::Refuse(Name { token }) => {
            let request = v1::RefuseRequestTokenRequest { token };
            let answer = connect(&admin)
                .await?
                .refuse_request_token(request)
                .await
                .map_err(refused)?
                .into_inner();
            decided(
                output,
                &Decided {
                    redirect_url: &answer.redirect_url,
                    verifier: None,
                },
            )?;
        }
        Command::Exchange(Exchange {
            token,
            consumer_key,
            verifier,
        }) => {
            let request = v1::ExchangeRequestTokenRequest {
                consumer_key,
                token,
                verifier,
            };
            let issued = connect(&admin)
                .await?
                .exchange_request_token(request)
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

fn created(output: Format, answer: &v1::CreateRequestTokenResponse) -> anyhow::Result<()> {
    let request_token = answer
        .request_token
        .as_ref()
        .context("the server answered without the credentials")?;
    let token_secret = answer.token_secret.as_str();
    let mut fields = fields(request_token);
    fields.insert(
        1,
        ("token secret", format!("{token_secret}  (shown only now)")),
    );
    output::record(
        output,
        &Created {
            request_token,
            token_secret,
        },
        &fields,
    )
}

fn decided(output: Format, decision: &Decided<'_>) -> anyhow::Result<()> {
    let verifier = decision.verifier.unwrap_or_default().to_owned();
    output::record(
        output,
        decision,
        &[
            ("redirect url", decision.redirect_url.to_owned()),
            ("verifier", verifier),
        ],
    )
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

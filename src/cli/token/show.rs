//! The output of tokens.

use anyhow::Context as _;
use countersign::v1;
use serde::Serialize;

use crate::cli::output::{self, Field, Format};

/// A new token; only this output contains its secret.
#[derive(Serialize)]
struct NewToken<'a> {
    #[serde(flatten)]
    token: &'a v1::Token,
    token_secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    screen_name: Option<&'a str>,
}

/// Prints a token that an administrator created.
pub(crate) fn created(output: Format, answer: &v1::CreateTokenResponse) -> anyhow::Result<()> {
    issued(output, answer.token.as_ref(), &answer.token_secret, None)
}

/// Prints a token that was exchanged for other credentials.
pub(crate) fn obtained(output: Format, answer: &v1::IssuedToken) -> anyhow::Result<()> {
    issued(
        output,
        answer.token.as_ref(),
        &answer.token_secret,
        Some(&answer.screen_name),
    )
}

/// Prints a token.
pub(super) fn show(output: Format, token: &v1::Token) -> anyhow::Result<()> {
    output::record(output, token, &fields(token))
}

/// Prints the introspection of a token.
pub(super) fn introspected(
    output: Format,
    answer: &v1::IntrospectTokenResponse,
) -> anyhow::Result<()> {
    let word = |yes: bool| if yes { "yes" } else { "no" };
    let mut all = vec![
        ("active", word(answer.active).to_owned()),
        ("why not", answer.inactive_reason.clone()),
    ];
    all.extend(answer.token.iter().flat_map(fields));
    all.push(("consumer id", answer.consumer_id.clone()));
    all.push(("consumer name", answer.consumer_name.clone()));
    all.push(("effective scopes", answer.effective_scopes.join(" ")));
    output::record(output, answer, &all)
}

/// Returns a row of a list, under [`COLUMNS`].
pub(super) fn row(token: &v1::Token) -> Vec<String> {
    vec![
        token.token.clone(),
        token.consumer_key.clone(),
        token.user_id.clone(),
        status_word(token.status()).to_owned(),
        output::time(token.expire_time),
    ]
}

fn issued(
    output: Format,
    token: Option<&v1::Token>,
    secret: &str,
    screen_name: Option<&str>,
) -> anyhow::Result<()> {
    let token = token.context("the server's answer has no token")?;
    let mut fields = fields(token);
    fields.insert(1, ("token secret", format!("{secret}  (shown only once)")));
    fields.push(("screen name", screen_name.unwrap_or_default().to_owned()));
    let token = NewToken {
        token,
        token_secret: secret,
        screen_name,
    };
    output::record(output, &token, &fields)
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

/// The columns of a list.
pub(super) const COLUMNS: [&str; 5] = ["TOKEN", "CONSUMER KEY", "USER ID", "STATUS", "EXPIRES"];

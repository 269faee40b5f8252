//! `countersign token create`.

use std::path::PathBuf;
use std::time::Duration;

use countersign::model::Secret;
use countersign::v1;

use crate::cli::{duration, secret_input};

/// A token to be issued.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
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

// === impl Create ===

impl Create {
    /// What the server is asked.
    pub(super) fn into_request(self) -> anyhow::Result<v1::CreateTokenRequest> {
        let file = self.token_secret_file.as_deref();
        let secret = secret_input::read(self.token_secret.as_ref(), file, "--token-secret")?;
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
            ttl: duration(self.expires_in, "--expires-in")?,
            allow_existing: false,
            validate_only: false,
        })
    }
}

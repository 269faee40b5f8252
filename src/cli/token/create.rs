//! `countersign token create`.

use std::path::PathBuf;
use std::time::Duration;

use countersign::model::Secret;
use countersign::v1;

use crate::cli::input::duration;
use crate::cli::secret_input;

/// The arguments of `countersign token create`.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Consumer to issue the token to
    #[arg(long, value_name = "KEY")]
    consumer_key: String,
    /// User that the token acts for, in upstreams x-authenticated-userid [default: none, only the
    /// consumer]
    #[arg(long, value_name = "USER")]
    user_id: Option<String>,
    /// Token that the application already has [default: a random token]
    #[arg(long)]
    token: Option<String>,
    /// Token secret; other users of this machine can see it, so prefer the file [default: a random
    /// secret]
    #[arg(long, value_name = "SECRET", value_parser = secret_input::inline, group = "secret")]
    token_secret: Option<Secret>,
    /// File with the token secret that the application already has, - for standard input
    #[arg(long, value_name = "FILE", group = "secret")]
    token_secret_file: Option<PathBuf>,
    /// Scope of the consumer that the token gets; repeat for several [default: none]
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// Lifetime of the token, for example 12h or 30d [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,
    /// Check every value, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

// === impl CreateArgs ===

impl CreateArgs {
    /// Returns the request for the server.
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
            validate_only: self.dry_run,
        })
    }
}

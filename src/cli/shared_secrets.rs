//! The secrets that a signature is made of, as `sign` and `explain` are given them.

use std::path::PathBuf;

use countersign::model::Secret;

use super::secret_input;

/// `--consumer-secret` and `--token-secret`, each also as a file or in the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct SharedSecrets {
    /// Visible to other users of this machine; better COUNTERSIGN_CONSUMER_SECRET or --consumer-secret-file
    #[arg(
        long,
        value_name = "SECRET",
        env = "COUNTERSIGN_CONSUMER_SECRET",
        hide_env_values = true
    )]
    #[arg(value_parser = secret_input::inline, conflicts_with = "consumer_secret_file")]
    consumer_secret: Option<Secret>,
    /// A file with the consumer secret, `-` for standard input
    #[arg(long, value_name = "FILE")]
    consumer_secret_file: Option<PathBuf>,
    /// Visible to other users of this machine; better COUNTERSIGN_TOKEN_SECRET or --token-secret-file
    #[arg(
        long,
        value_name = "SECRET",
        env = "COUNTERSIGN_TOKEN_SECRET",
        hide_env_values = true
    )]
    #[arg(value_parser = secret_input::inline, conflicts_with = "token_secret_file")]
    token_secret: Option<Secret>,
    /// A file with the token secret, `-` for standard input
    #[arg(long, value_name = "FILE")]
    token_secret_file: Option<PathBuf>,
}

impl SharedSecrets {
    /// The consumer's secret, if it was given.
    pub(crate) fn consumer(&self) -> anyhow::Result<Option<Secret>> {
        secret_input::read(
            self.consumer_secret.as_ref(),
            self.consumer_secret_file.as_deref(),
            "--consumer-secret",
        )
    }

    /// The token's secret, if it was given. There are providers whose tokens have the empty one.
    pub(crate) fn token(&self) -> anyhow::Result<Option<Secret>> {
        if let Some(empty) = self
            .token_secret
            .as_ref()
            .filter(|secret| secret.expose().is_empty())
        {
            return Ok(Some(empty.clone()));
        }
        secret_input::read(
            self.token_secret.as_ref(),
            self.token_secret_file.as_deref(),
            "--token-secret",
        )
    }
}

//! The shared secrets of a signature, as options of `sign` and `explain`.

use std::path::PathBuf;

use countersign::model::Secret;

use super::secret_input;

/// `--consumer-secret` and `--token-secret`, each also as a file or in the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct SharedSecrets {
    /// Consumer secret; other users of this machine can see it, so prefer the variable or the file
    #[arg(
        long,
        value_name = "SECRET",
        env = "COUNTERSIGN_CONSUMER_SECRET",
        hide_env_values = true
    )]
    #[arg(value_parser = secret_input::inline, conflicts_with = "consumer_secret_file")]
    consumer_secret: Option<Secret>,
    /// File with the consumer secret, - for standard input
    #[arg(long, value_name = "FILE")]
    consumer_secret_file: Option<PathBuf>,
    /// Token secret; other users of this machine can see it, so prefer the variable or the file
    #[arg(
        long,
        value_name = "SECRET",
        env = "COUNTERSIGN_TOKEN_SECRET",
        hide_env_values = true
    )]
    #[arg(value_parser = secret_input::inline, conflicts_with = "token_secret_file")]
    token_secret: Option<Secret>,
    /// File with the token secret, - for standard input
    #[arg(long, value_name = "FILE")]
    token_secret_file: Option<PathBuf>,
}

impl SharedSecrets {
    /// Returns the consumer secret, if it was given.
    pub(crate) fn consumer(&self) -> anyhow::Result<Option<Secret>> {
        secret_input::read(
            self.consumer_secret.as_ref(),
            self.consumer_secret_file.as_deref(),
            "--consumer-secret",
        )
    }

    /// Returns the token secret, if it was given. It may be empty, because some providers issue
    /// tokens without a secret.
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

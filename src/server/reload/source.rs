//! The origin of a configuration, which is read again at a reload.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;

use super::files::FileStates;
use crate::config::{self, Config, ConfigError, Sources};
use crate::server::api::AdminToken;
use crate::store;
use crate::telemetry::LogFilter;

/// Environment variables with tokens, as they were at the start.
#[derive(Clone, Default)]
pub struct TokenVariables {
    /// The value of [`AdminToken::VARIABLE`].
    pub admin: Option<String>,
    /// The value of [`IssuerToken::VARIABLE`](crate::server::api::IssuerToken::VARIABLE).
    pub issuer: Option<String>,
}

/// The sources of a configuration, and the requests to read them again.
pub struct ReloadSource {
    pub(super) sources: Sources,
    pub(super) variables: TokenVariables,
    pub(super) requests: Arc<Notify>,
    pub(super) log: Option<LogFilter>,
    /// The contents of the files when they were last read.
    pub(super) files: FileStates,
}

impl ReloadSource {
    /// Reads the configuration for the first time. Each of `requests` asks for a reload.
    ///
    /// # Errors
    /// When there is a mistake; the error lists all of them.
    pub fn load(
        sources: Sources,
        variables: TokenVariables,
        requests: Arc<Notify>,
    ) -> Result<(Config, Self), ConfigError> {
        // Before they are read, so that no later change is missed.
        let mut files = FileStates::of(sources.file.iter().cloned());
        let config = config::load(&sources)?;
        files.extend(files_of(&config, &variables));
        let source = Self {
            sources,
            variables,
            requests,
            log: None,
            files,
        };
        Ok((config, source))
    }

    /// Replaces the filter of `log` at each reload.
    #[must_use]
    pub fn with_log(self, log: LogFilter) -> Self {
        Self {
            log: Some(log),
            ..self
        }
    }

    /// Returns the configuration file and the files that `config` names.
    pub(super) fn files(&self, config: &Config) -> Vec<PathBuf> {
        let named = files_of(config, &self.variables);
        self.sources.file.iter().cloned().chain(named).collect()
    }
}

/// Returns the files that `config` names and that are read at a reload.
pub(super) fn files_of(config: &Config, variables: &TokenVariables) -> Vec<PathBuf> {
    let listeners = [
        &config.check.listener,
        &config.api.listener,
        &config.http.listener,
        &config.ops.listener,
    ];
    let tls = listeners
        .into_iter()
        .filter_map(|listener| listener.tls.as_ref());
    let mut files: Vec<PathBuf> = tls
        .flat_map(|tls| {
            [
                Some(&tls.certificate_file),
                Some(&tls.key_file),
                tls.client_ca_file.as_ref(),
            ]
        })
        .flatten()
        .cloned()
        .collect();
    files.extend(store::master_key_file(&config.store, &config.data_dir));
    files.extend(config.users.ca_file.clone());
    files.extend(config.authorize.logo_file.clone());
    files.extend(config.users.token_file.clone());
    if variables.admin.is_none() {
        files.push(config.data_dir.join(AdminToken::FILE));
    }
    if variables.issuer.is_none() {
        files.extend(config.api.issuer_token_file.clone());
    }
    files
}

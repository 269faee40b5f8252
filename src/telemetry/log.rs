//! Logs on standard error, and their filter.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use tracing_subscriber::{EnvFilter, reload};

use crate::config::LogConfig;

/// Writes logs to standard error from now on.
///
/// # Errors
/// When the filter is invalid, or logs are written already.
pub fn log_to_stderr(config: &LogConfig) -> Result<LogFilter, LogError> {
    // A terminal shows colors; in a file, escape sequences could forge lines.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter(&config.filter)?)
        .with_writer(io::stderr)
        .with_ansi(!config.json && io::stderr().is_terminal());
    if config.json {
        let logs = logs.json().flatten_event(true).with_filter_reloading();
        let handle = logs.reload_handle();
        logs.try_init().map_err(LogError)?;
        Ok(LogFilter(Arc::new(move |filter| handle.reload(filter))))
    } else {
        let logs = logs.with_filter_reloading();
        let handle = logs.reload_handle();
        logs.try_init().map_err(LogError)?;
        Ok(LogFilter(Arc::new(move |filter| handle.reload(filter))))
    }
}

/// The filter of the logs, which can be replaced.
#[derive(Clone)]
pub struct LogFilter(Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl LogFilter {
    /// Replaces the filter.
    ///
    /// # Errors
    /// When the filter is invalid.
    pub fn set(&self, text: &str) -> Result<(), LogError> {
        (self.0)(filter(text)?).map_err(|error| LogError(Box::new(error)))
    }
}

fn filter(text: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(text).map_err(|error| LogError(Box::new(error)))
}

/// The reason why logs cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write logs")]
pub struct LogError(#[source] Box<dyn std::error::Error + Send + Sync>);

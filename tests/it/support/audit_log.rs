//! The audit log of one test: all events on its thread, and so of every server that runs on it.

use std::fs::{self, File};
use std::sync::Arc;

use serde_json::Value;
use tempfile::NamedTempFile;
use tracing::dispatcher::DefaultGuard;
use tracing::{Dispatch, Level};

/// The log of this thread, from its creation on.
pub(crate) struct AuditLog {
    file: NamedTempFile,
    #[expect(dead_code, reason = "it listens until it is dropped")]
    listening: (Dispatch, DefaultGuard),
}

impl AuditLog {
    pub(crate) fn listen() -> Self {
        Self::by(|writer| {
            let json = tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_max_level(Level::TRACE);
            Dispatch::new(json.with_writer(writer).finish())
        })
    }

    /// Starts to record the log as text.
    pub(crate) fn listen_as_text() -> Self {
        Self::by(|writer| {
            Dispatch::new(
                tracing_subscriber::fmt()
                    .with_ansi(false)
                    .with_writer(writer)
                    .finish(),
            )
        })
    }

    fn by(subscriber: impl FnOnce(Arc<File>) -> Dispatch) -> Self {
        let file = NamedTempFile::new().unwrap();
        let subscriber = subscriber(Arc::new(file.reopen().unwrap()));
        // A second dispatcher keeps other threads from disabling the callsites for all.
        let other = Dispatch::new(tracing_subscriber::registry());
        Self {
            file,
            listening: (other, tracing::dispatcher::set_default(&subscriber)),
        }
    }

    /// Returns all log lines, at every level and of every module.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.file.path()).unwrap()
    }

    /// Returns the audit events, each as actor and action.
    pub(crate) fn events(&self) -> Vec<String> {
        let all = self.text();
        let events = all
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let audit = events.filter(|event| event["target"] == "countersign::audit");
        let text = |value: &Value| value.as_str().unwrap_or("nobody").to_owned();
        audit
            .map(|event| format!("{}: {}", text(&event["actor"]), text(&event["action"])))
            .collect()
    }
}

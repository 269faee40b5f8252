//! The audit log of one test: what was logged on its thread, and so by every server that runs on it.

use std::fs;
use std::sync::Arc;

use serde_json::Value;
use tempfile::NamedTempFile;
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};

/// What is logged on this thread from now on.
pub(crate) struct AuditLog {
    file: NamedTempFile,
    #[expect(dead_code, reason = "it listens until it is dropped")]
    listening: (Dispatch, DefaultGuard),
}

impl AuditLog {
    pub(crate) fn listen() -> Self {
        let file = NamedTempFile::new().unwrap();
        let writer = Arc::new(file.reopen().unwrap());
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_max_level(Level::TRACE).with_writer(writer);
        // While there is one dispatcher alone, another thread that comes first to an event has it switched off for all.
        let other = Dispatch::new(tracing_subscriber::registry());
        Self { file, listening: (other, tracing::subscriber::set_default(subscriber.finish())) }
    }

    /// Everything that was logged, at every level, in whatever module.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.file.path()).unwrap()
    }

    /// The audit events, each as who did what.
    pub(crate) fn events(&self) -> Vec<String> {
        let all = self.text();
        let events = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let audit = events.filter(|event| event["target"] == "countersign::audit");
        let text = |value: &Value| value.as_str().unwrap_or("nobody").to_owned();
        audit.map(|event| format!("{}: {}", text(&event["actor"]), text(&event["action"]))).collect()
    }
}

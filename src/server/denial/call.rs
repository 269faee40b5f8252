//! A call, and its outcome.

use std::fmt;
use std::time::Duration;

use strum::IntoStaticStr;
use tokio::time::Instant;

use super::decision_id::DecisionId;
use crate::config::Mode;
use crate::store::StoreError;

/// The outcome of a call, as metrics, log events and dynamic metadata name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub(crate) enum Outcome {
    /// A proven request passes.
    Allow,
    /// An unsigned request passes.
    Anonymous,
    /// A consumer gets credentials.
    Issue,
    /// The request is denied.
    Deny,
    /// The request passes only because its route is in shadow mode.
    WouldDeny,
    /// Countersign failed.
    Error,
}

/// One call: a check or a request for credentials.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) kind: CallKind,
    pub(crate) id: DecisionId,
    pub(crate) start: Instant,
}

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A check.
    Check,
    /// A request for credentials at the endpoint of this name.
    Credentials(&'static str),
}

/// A failure of Countersign, independent of the caller.
pub(crate) trait OwnFailure: fmt::Display {
    /// Returns the label in logs and metrics.
    fn label(&self) -> &'static str;

    /// Returns the error of the store, if the store failed.
    fn store_error(&self) -> Option<&StoreError>;
}

// === impl Outcome ===

impl Outcome {
    /// Returns the outcome's name.
    pub(crate) const fn name(self) -> &'static str {
        self.into_str()
    }

    /// Returns the outcome of a denial on a route in this mode.
    pub(crate) const fn denied(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Deny,
            Mode::Shadow => Self::WouldDeny,
        }
    }
}

// === impl Call ===

impl Call {
    /// Starts a call now.
    pub(crate) fn start(kind: CallKind, id: DecisionId) -> Self {
        Self {
            kind,
            id,
            start: Instant::now(),
        }
    }

    pub(super) fn latency(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn latency_us(&self) -> u64 {
        u64::try_from(self.latency().as_micros()).unwrap_or(u64::MAX)
    }
}

impl CallKind {
    /// Returns the message of the call's log events.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Credentials(_) => "token request",
        }
    }

    pub(super) const fn endpoint(self) -> Option<&'static str> {
        match self {
            Self::Check => None,
            Self::Credentials(endpoint) => Some(endpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_keep_the_names_that_dashboards_use() {
        let names = [
            (Outcome::Allow, "allow"),
            (Outcome::Anonymous, "anonymous"),
            (Outcome::Issue, "issue"),
            (Outcome::Deny, "deny"),
            (Outcome::WouldDeny, "would_deny"),
            (Outcome::Error, "error"),
        ];
        for (outcome, name) in names {
            assert_eq!(outcome.name(), name);
        }
    }
}

//! The limits of an HTTP/2 connection that a peer can exceed.

use std::io;
use std::sync::{Arc, OnceLock};

/// An exceeded limit. It ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    /// More SETTINGS, PING, PRIORITY or WINDOW_UPDATE frames than requests and time allow.
    #[error("the client sent too many control frames")]
    ControlFrames,
    /// More RST_STREAM frames than time allows.
    #[error("the client reset too many requests")]
    Resets,
    /// Responses that the client does not let us send.
    #[error("the client does not read its responses")]
    UnreadAnswers,
}

/// The first violation of a connection. hyper reports only that reading or writing failed.
#[derive(Clone, Debug, Default)]
pub(super) struct FirstViolation(Arc<OnceLock<Violation>>);

impl Violation {
    /// Returns the metric label.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::ControlFrames => "control_frames",
            Self::Resets => "resets",
            Self::UnreadAnswers => "unread_answers",
        }
    }
}

impl FirstViolation {
    /// Notes a violation; returns the error that ends the connection.
    pub(super) fn note(&self, violation: Violation) -> io::Error {
        let first = *self.0.get_or_init(|| violation);
        io::Error::other(first)
    }

    /// Returns the violation, if there was one.
    pub(super) fn get(&self) -> Option<Violation> {
        self.0.get().copied()
    }
}

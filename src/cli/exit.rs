//! Exit statuses, and the errors that decide between them.

use std::fmt;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use countersign::config::without_credentials;

use super::output::{self, is_output_closed};

/// Wrong usage of a command, a wrong configuration, or an unreadable file that either names.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

/// A call that the server refused or did not answer.
#[derive(Debug)]
pub(crate) struct CallError {
    pub(crate) kind: CallErrorKind,
    pub(crate) message: String,
}

/// The kinds of failed calls that scripts tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallErrorKind {
    /// The record does not exist.
    NotFound,
    /// The server could not be reached, did not answer, or cannot answer for now.
    Unavailable,
    /// The caller may not make the call: no token, a wrong one, or another role.
    Denied,
    /// Any other refusal.
    Other,
}

/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

/// `EX_NOINPUT` of sysexits.h.
const NOT_FOUND: u8 = 66;

/// `EX_UNAVAILABLE` of sysexits.h.
const UNAVAILABLE: u8 = 69;

/// Some replicas did not answer: `EX_TEMPFAIL` of sysexits.h.
pub(crate) const PARTIAL: u8 = 75;

/// `EX_NOPERM` of sysexits.h.
const DENIED: u8 = 77;

/// The status of a program that SIGPIPE ends, 128 + 13.
const OUTPUT_CLOSED: u8 = 141;

// === impl Usage ===

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

// === impl CallError ===

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}

// === impl CallErrorKind ===

impl CallErrorKind {
    fn exit_code(self) -> ExitCode {
        match self {
            Self::NotFound => ExitCode::from(NOT_FOUND),
            Self::Unavailable => ExitCode::from(UNAVAILABLE),
            Self::Denied => ExitCode::from(DENIED),
            Self::Other => ExitCode::FAILURE,
        }
    }
}

/// Prints why a command failed, and returns its exit status.
///
/// If the reader of the output closed it, as `head` does, nothing is printed. The status is not 0
/// even then, because the output may be incomplete and the verdict of `explain` unknown.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    if is_output_closed(error) {
        return ExitCode::from(OUTPUT_CLOSED);
    }
    output::note(&format!("error: {error:#}"));
    if error.is::<Usage>() {
        return ExitCode::from(USAGE);
    }
    let call = error.downcast_ref::<CallError>();
    call.map_or(ExitCode::FAILURE, |call| call.kind.exit_code())
}

/// Prints help, the version or a mistake in the arguments, and returns the exit status: 64 for a
/// mistake, instead of clap's 2.
pub(crate) fn not_run(reason: clap::Error) -> ExitCode {
    let reason = redacted(reason);
    match (reason.print(), reason.use_stderr()) {
        (_, true) => ExitCode::from(USAGE),
        (Ok(()), false) => ExitCode::SUCCESS,
        (Err(_), false) => ExitCode::from(OUTPUT_CLOSED),
    }
}

/// Redacts the credentials of an address that clap refused.
fn redacted(mut reason: clap::Error) -> clap::Error {
    let shown = match reason.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(given)) if given.contains('@') => without_credentials(given),
        Some(_) | None => return reason,
    };
    reason.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    reason
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_refused_address_is_shown_without_its_password() {
        for server in [
            "http://bob:hunter2@h:1",
            "bob:hunter2@h",
            "x://bob:hunter2@h?hunter2",
        ] {
            let words = ["countersign", "consumer", "list", "--server", server];
            let shown = redacted(Cli::try_parse_from(words).unwrap_err()).to_string();
            assert!(!shown.contains("hunter2@"), "{shown}");
            assert!(shown.contains("***@h"), "{shown}");
        }
        let words = ["countersign", "keygen", "--colour"];
        let shown = redacted(Cli::try_parse_from(words).unwrap_err()).to_string();
        assert!(shown.contains("--colour"), "{shown}");
    }
}

//! A row of the table: a fault, what is expected under it, and what it may cost.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::run::Evidence;

/// A fault and the promise under it.
pub(crate) struct Row {
    /// The name for the command line.
    pub(crate) name: &'static str,
    /// The fault, as the table shows it.
    pub(crate) fault: &'static str,
    /// The expectation, as the table shows it.
    pub(crate) expected: &'static str,
    pub(crate) allowance: Allowance,
    /// True for the two-minute selection.
    pub(crate) short: bool,
    /// Runs it.
    pub(crate) run: fn() -> Running,
}

/// A row that runs.
pub(crate) type Running = Pin<Box<dyn Future<Output = Evidence> + Send>>;

/// The cost that the documentation admits for a fault. Everything else fails the row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    /// The longest time until valid requests pass again; `None` if they do not have to.
    pub(crate) recovery: Option<Recovery>,
    /// True if the documentation says that replays pass.
    pub(crate) replays: bool,
    /// True if the documentation says that revoked credentials pass.
    pub(crate) revoked: bool,
    /// True if the documentation says that valid requests are refused.
    pub(crate) refused: bool,
    /// True if the documentation says that acknowledged writes are lost.
    pub(crate) lost: bool,
    /// The longest time from an acknowledged revocation to its effect.
    pub(crate) revocation: Duration,
    /// The longest time for the answer to a valid request.
    pub(crate) slowest: Duration,
}

/// A bound on the time to recover.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    pub(crate) since: Since,
    pub(crate) within: Duration,
}

/// The moment from which the time to recover counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// The beginning of the fault.
    Began,
    /// The end of the fault.
    Cleared,
}

impl Row {
    /// Returns a row that admits nothing, and recovers within a second after the fault ends.
    pub(crate) fn new(
        name: &'static str,
        fault: &'static str,
        expected: &'static str,
        run: fn() -> Running,
    ) -> Self {
        Self {
            name,
            fault,
            expected,
            allowance: Allowance::NOTHING,
            short: false,
            run,
        }
    }

    /// Puts the row in the two-minute selection.
    #[must_use]
    pub(crate) fn short(mut self) -> Self {
        self.short = true;
        self
    }

    /// Sets the longest time to recover after the fault ended.
    #[must_use]
    pub(crate) fn recovers_within(mut self, seconds: f64) -> Self {
        self.allowance.recovery = Some(Recovery {
            since: Since::Cleared,
            within: Duration::from_secs_f64(seconds),
        });
        self
    }

    /// Sets the longest time to recover from the beginning of the fault, while it lasts.
    #[must_use]
    pub(crate) fn recovers_while_it_lasts(mut self, seconds: f64) -> Self {
        self.allowance.recovery = Some(Recovery {
            since: Since::Began,
            within: Duration::from_secs_f64(seconds),
        });
        self
    }

    /// Sets the longest time for the answer to a valid request, in milliseconds.
    #[must_use]
    pub(crate) fn answers_within(mut self, milliseconds: u64) -> Self {
        self.allowance.slowest = Duration::from_millis(milliseconds);
        self
    }

    /// Admits that valid requests do not pass again.
    #[must_use]
    pub(crate) fn never_recovers(mut self) -> Self {
        self.allowance.recovery = None;
        self
    }

    /// Admits other documented costs.
    #[must_use]
    pub(crate) fn admits(mut self, admit: fn(&mut Allowance)) -> Self {
        admit(&mut self.allowance);
        self
    }
}

impl Allowance {
    pub(crate) const NOTHING: Self = Self {
        recovery: Some(Recovery {
            since: Since::Cleared,
            within: Duration::from_secs(1),
        }),
        replays: false,
        revoked: false,
        refused: false,
        lost: false,
        revocation: Duration::from_secs(1),
        // `check.timeout` is 180 ms; the rest is for a busy machine and a debug build.
        slowest: Duration::from_millis(240),
    };
}

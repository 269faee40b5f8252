//! `[log]`, `[ops]`, `[reload]` and `[shutdown]`: the operation of the process.

use std::time::Duration;

use super::listener::ListenerConfig;
use super::reader::Reader;
use super::value::{self, HOUR, ValueProblem};

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A `tracing` filter, for example `info` or `info,countersign=debug`.
    pub filter: String,
    /// Writes one JSON object a line instead of text.
    pub json: bool,
}

/// `[ops]`.
#[derive(Clone, Debug)]
pub struct OpsConfig {
    /// The listener of probes, metrics and the console.
    pub listener: ListenerConfig,
    /// Serves `/console`.
    pub console: bool,
}

/// `[reload]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadConfig {
    /// The time between two looks at the files; zero looks at none.
    pub interval: Duration,
}

/// `[shutdown]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// The time between health turning NOT_SERVING and the closing of connections.
    pub delay: Duration,
    /// The time that requests in flight then have to finish.
    pub timeout: Duration,
}

impl LogConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            filter: reader.text("log.filter", value::log_filter),
            json: reader.boolean("log.json"),
        }
    }
}

impl OpsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            listener: ListenerConfig::read(reader, "ops"),
            console: reader.boolean("ops.console"),
        }
    }
}

impl ReloadConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            interval: reader.text("reload.interval", interval),
        }
    }
}

/// Parses the time between two looks; a shorter one would keep a processor busy.
fn interval(text: &str) -> Result<Duration, ValueProblem> {
    let shortest = Duration::from_millis(100);
    value::duration(text, &(Duration::ZERO..=HOUR))
        .ok()
        .filter(|interval| interval.is_zero() || *interval >= shortest)
        .ok_or_else(|| {
            let expected = "\"0s\", or a duration from 100ms to 1h, for example \"5s\"";
            ValueProblem::shape(expected, text)
        })
}

impl ShutdownConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            delay: reader.duration("shutdown.delay", Duration::ZERO..=HOUR),
            timeout: reader.duration("shutdown.timeout", Duration::ZERO..=HOUR),
        }
    }
}

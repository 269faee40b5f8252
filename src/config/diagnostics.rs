//! `[diagnostics]`: recent denials, counts and explanations.

use super::reader::Reader;

/// `[diagnostics]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticsConfig {
    /// The most denials kept in memory.
    pub recent: usize,
    /// The most memory for denials, in bytes.
    pub max_bytes: usize,
    /// The most consumers counted on each thread that answers checks.
    pub consumers: usize,
    /// Searches for the reason why a signature did not match.
    pub explain: bool,
    /// The most explanations a minute for each consumer.
    pub explain_rate: u64,
    /// The most explanations a minute for all consumers together.
    pub explain_total_rate: u64,
}

impl DiagnosticsConfig {
    pub(super) fn read(reader: &mut Reader) -> Self {
        Self {
            recent: reader.integer("diagnostics.recent", 0..=100_000),
            max_bytes: reader.integer("diagnostics.max_bytes", 0..=1024 * 1024 * 1024),
            consumers: reader.integer("diagnostics.consumers", 0..=1_000_000),
            explain: reader.boolean("diagnostics.explain"),
            explain_rate: reader.integer("diagnostics.explain_rate", 0..=1_000_000),
            explain_total_rate: reader.integer("diagnostics.explain_total_rate", 0..=1_000_000),
        }
    }
}

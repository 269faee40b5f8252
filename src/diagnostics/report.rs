//! The counts of one consumer, summed over all threads.

use super::counts::{ConsumerCounts, RefusalKind};
use super::tally::WordTally;
use crate::clock::UnixTime;
use crate::oauth::SignatureMethod;

/// The decisions for one consumer since recording started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerReport {
    /// The consumer key; empty for requests that name no known consumer.
    pub consumer_key: String,
    /// The consumer's name at its last request; empty for such requests too.
    pub consumer_name: String,
    /// The number of allowed requests, without those that only shadow mode let through.
    pub allowed: u64,
    /// All other requests by reason.
    pub reasons: Vec<WordTally>,
    /// Signature mismatches by the words of their [`Explanation`](super::Explanation). A request
    /// with a pair of causes counts for both.
    pub causes: Vec<WordTally>,
    /// Requests by signature method, in the order of [`SignatureMethod::ALL`]. Requests that name
    /// no method are not counted.
    pub methods: Vec<(SignatureMethod, u64)>,
    /// The time of the last request.
    pub last_seen: UnixTime,
}

impl ConsumerReport {
    /// Returns the number of requests.
    pub fn seen(&self) -> u64 {
        self.allowed + self.denied() + self.would_deny()
    }

    /// Returns the number of refused requests.
    pub fn denied(&self) -> u64 {
        self.reasons.iter().map(|tally| tally.denied).sum()
    }

    /// Returns the number of requests that shadow mode let through.
    pub fn would_deny(&self) -> u64 {
        self.reasons.iter().map(|tally| tally.would_deny).sum()
    }

    /// Adds the counts of one thread.
    pub(super) fn add(&mut self, counts: &ConsumerCounts) {
        if counts.last_seen >= self.last_seen {
            self.last_seen = counts.last_seen;
            str::clone_into(&counts.name, &mut self.consumer_name);
        }
        self.allowed += counts.anonymous + counts.allowed.iter().sum::<u64>();
        for (method, count) in SignatureMethod::ALL.into_iter().zip(counts.allowed) {
            self.add_method(method, count);
        }
        for (kind, count) in &counts.refused {
            self.add_refused(kind, *count);
        }
        WordTally::add_all(&mut self.causes, &counts.causes);
    }

    fn add_refused(&mut self, kind: &RefusalKind, count: u64) {
        WordTally::entry(&mut self.reasons, kind.reason).add(kind.mode, count);
        if let Some(method) = kind.method {
            self.add_method(method, count);
        }
    }

    fn add_method(&mut self, method: SignatureMethod, count: u64) {
        if count == 0 {
            return;
        }
        let found = self
            .methods
            .binary_search_by_key(&method, |(method, _)| *method);
        match found {
            Ok(at) => self.methods[at].1 += count,
            Err(at) => self.methods.insert(at, (method, count)),
        }
    }
}

//! The counts of one consumer on one thread.

use super::explanation::Explanation;
use super::hour::ConsumerSlots;
use super::refused_request::RefusedRequest;
use super::tally::WordTally;
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::oauth::SignatureMethod;

/// The counts of one consumer.
#[derive(Clone, Default)]
pub(super) struct ConsumerCounts {
    /// The consumer's name.
    pub(super) name: Box<str>,
    /// Unsigned requests that were allowed.
    pub(super) anonymous: u64,
    /// Allowed requests, by the index of their signature method.
    pub(super) allowed: [u64; SignatureMethod::ALL.len()],
    /// Refused requests.
    pub(super) refused: Vec<(RefusalKind, u64)>,
    /// Refused requests by the words of their explanations.
    pub(super) causes: Vec<WordTally>,
    /// The time of the last request.
    pub(super) last_seen: UnixTime,
    /// The requests of the last hour.
    pub(super) hour: ConsumerSlots,
}

/// The attributes by which refused requests are counted. All are from closed sets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct RefusalKind {
    /// The reason of the denial.
    pub(super) reason: &'static str,
    /// The signature method that the request names.
    pub(super) method: Option<SignatureMethod>,
    /// The mode of the route.
    pub(super) mode: Mode,
}

impl ConsumerCounts {
    /// Counts an allowed request.
    pub(super) fn add_allowed(&mut self, method: SignatureMethod, now: UnixTime) {
        self.allowed[method as usize] += 1;
        self.hour.at(now).allowed += 1;
        self.last_seen = self.last_seen.max(now);
    }

    /// Counts an unsigned request that was allowed.
    pub(super) fn add_anonymous(&mut self, now: UnixTime) {
        self.anonymous += 1;
        self.hour.at(now).allowed += 1;
        self.last_seen = self.last_seen.max(now);
    }

    /// Counts a refused request.
    pub(super) fn add_refused(&mut self, kind: RefusalKind, now: UnixTime) {
        match self.refused.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => self.refused.push((kind, 1)),
        }
        self.hour.at(now).add_refused(kind.mode);
        self.last_seen = self.last_seen.max(now);
    }

    /// Counts the explanation of a request that is counted as refused already.
    pub(super) fn add_explanation(&mut self, explanation: &Explanation, mode: Mode) {
        for word in explanation.words() {
            WordTally::entry(&mut self.causes, word).add(mode, 1);
        }
    }
}

impl From<&RefusedRequest<'_>> for RefusalKind {
    fn from(refused: &RefusedRequest<'_>) -> Self {
        Self {
            reason: refused.reason,
            method: refused.signature_method(),
            mode: refused.mode,
        }
    }
}

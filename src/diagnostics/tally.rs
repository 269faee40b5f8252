//! The number of refused requests by reason or cause.

use crate::config::Mode;

/// The number of requests that one word applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordTally {
    /// The word: a reason or a cause.
    pub name: &'static str,
    /// The number of refused requests.
    pub denied: u64,
    /// The number of requests that shadow mode let through.
    pub would_deny: u64,
}

impl WordTally {
    /// Returns the tally of a word in a list that is ordered by word; adds it if the list has none.
    pub(super) fn entry<'t>(tallies: &'t mut Vec<Self>, name: &'static str) -> &'t mut Self {
        let at = tallies
            .binary_search_by_key(&name, |tally| tally.name)
            .unwrap_or_else(|at| {
                tallies.insert(at, Self::zero(name));
                at
            });
        &mut tallies[at]
    }

    /// Adds tallies to a list that is ordered by word.
    pub(super) fn add_all(tallies: &mut Vec<Self>, more: &[Self]) {
        for tally in more {
            let total = Self::entry(tallies, tally.name);
            total.denied += tally.denied;
            total.would_deny += tally.would_deny;
        }
    }

    /// Returns the number of requests.
    pub const fn total(&self) -> u64 {
        self.denied + self.would_deny
    }

    const fn zero(name: &'static str) -> Self {
        Self {
            name,
            denied: 0,
            would_deny: 0,
        }
    }

    /// Adds `count` requests on a route with that mode.
    pub(super) const fn add(&mut self, mode: Mode, count: u64) {
        match mode {
            Mode::Enforce => self.denied += count,
            Mode::Shadow => self.would_deny += count,
        }
    }
}

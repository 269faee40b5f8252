//! The denials of a replica that are printed, so that none is printed twice.

use std::collections::{HashSet, VecDeque};

use countersign::v1;
use prost_types::Timestamp;

/// The latest denials that are printed.
#[derive(Debug, Default)]
pub(super) struct Progress {
    latest: Option<Timestamp>,
    ids: HashSet<String>,
    order: VecDeque<String>,
}

impl Progress {
    /// Returns a time before the latest printed denial, early enough for denials that threads
    /// recorded in another order; `None` before the first.
    pub(super) fn latest(&self) -> Option<Timestamp> {
        self.latest.map(|time| Timestamp {
            seconds: time.seconds.saturating_sub(MARGIN),
            ..time
        })
    }

    /// Remembers a denial. Returns false if it is remembered already.
    pub(super) fn advance(&mut self, denial: &v1::Denial) -> bool {
        let id = denial.decision_id.clone();
        if !self.ids.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MOST_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        let moment = |time: &Timestamp| (time.seconds, time.nanos);
        let times = [self.latest, denial.decision_time];
        self.latest = times.into_iter().flatten().max_by_key(moment);
        true
    }
}

/// The seconds in which denials may be recorded in another order than decided.
const MARGIN: i64 = 2;

/// The number of ids to remember: more than a replica keeps by default.
const MOST_IDS: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_denial_is_printed_once() {
        let mut progress = Progress::default();
        assert_eq!(progress.latest(), None);
        for (id, seconds, is_new) in [
            ("a", 7, true),
            ("b", 9, true),
            ("c", 8, true),
            ("b", 9, false),
        ] {
            assert_eq!(progress.advance(&denial(id, seconds)), is_new, "{id}");
        }
        assert_eq!(progress.latest().map(|time| time.seconds), Some(7));
    }

    #[test]
    fn memory_is_bounded() {
        let mut progress = Progress::default();
        for id in 0..=MOST_IDS {
            assert!(progress.advance(&denial(&id.to_string(), 1)));
        }
        assert_eq!(
            (progress.ids.len(), progress.order.len()),
            (MOST_IDS, MOST_IDS)
        );
        assert!(!progress.advance(&denial("1", 1)) && progress.advance(&denial("0", 1)));
    }

    fn denial(id: &str, seconds: i64) -> v1::Denial {
        v1::Denial {
            decision_id: id.to_owned(),
            decision_time: Some(Timestamp { seconds, nanos: 0 }),
            ..v1::Denial::default()
        }
    }
}

//! Streams of new denials.

use std::fmt;
use std::sync::Arc;

use super::buffer::DenialBuffer;
use super::explanation::Explanation;
use super::filter::DenialFilter;
use super::recent::RecentDenials;
use super::record::DenialRecord;

/// A stream of the denials that are added from now on. A slow reader misses the oldest and learns
/// how many.
pub struct DenialWatch {
    recent: Arc<RecentDenials>,
    filter: DenialFilter,
    next_sequence: u64,
}

/// The denials that were added since the previous read.
#[derive(Clone, Debug, Default)]
pub struct NewDenials {
    /// The number of denials that were evicted before they could be read, whether or not they match
    /// the filter.
    pub missed: u64,
    /// The denials that are left, the oldest first.
    pub denials: Vec<DenialRecord>,
}

impl DenialWatch {
    /// Watches the denials that match `filter`.
    pub(super) fn new(recent: Arc<RecentDenials>, filter: DenialFilter) -> Self {
        let next_sequence = recent.buffer().next_sequence();
        Self {
            recent,
            filter,
            next_sequence,
        }
    }

    /// Waits for new denials.
    pub async fn next(&mut self) -> NewDenials {
        let recent = Arc::clone(&self.recent);
        loop {
            let mut changed = std::pin::pin!(recent.changed.notified());
            // Registers before reading, so that no change in between is lost.
            changed.as_mut().enable();
            let start = self.next_sequence;
            let new = self.read();
            if new.missed > 0 || !new.denials.is_empty() {
                return new;
            }
            if self.next_sequence == start {
                changed.await;
            }
        }
    }

    /// Reads the next batch.
    fn read(&mut self) -> NewDenials {
        let (new, end) = batch(&self.recent.buffer(), self.next_sequence, &self.filter);
        self.next_sequence = end;
        new
    }
}

/// Returns the stored denials from `start` on, up to the first that is still being explained, and
/// the sequence number after them.
fn batch(buffer: &DenialBuffer, start: u64, filter: &DenialFilter) -> (NewDenials, u64) {
    let (mut new, mut stored, mut end) = (NewDenials::default(), 0, buffer.next_sequence());
    for denial in buffer.starting_at(start) {
        if matches!(denial.explanation, Explanation::Pending) || stored == MAX_BATCH {
            end = denial.sequence;
            break;
        }
        stored += 1;
        if filter.matches(denial) {
            new.denials.push(denial.clone());
        }
    }
    // Every other number in the range belonged to an evicted denial.
    new.missed = end - start - stored;
    (new, end)
}

impl fmt::Debug for DenialWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenialWatch")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

/// The number of denials that are copied under one lock, while other threads wait to add theirs.
const MAX_BATCH: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::CompatSet;

    fn recent(max_count: usize) -> Arc<RecentDenials> {
        Arc::new(RecentDenials::new(max_count, usize::MAX))
    }

    fn add(recent: &RecentDenials, reason: &'static str) -> u64 {
        recent.add(true, |denial| denial.reason = reason)
    }

    fn reasons(denials: &[DenialRecord]) -> Vec<&'static str> {
        denials.iter().map(|denial| denial.reason).collect()
    }

    #[tokio::test]
    async fn a_denial_is_seen_once_it_is_explained_and_later_denials_after_it() {
        let recent = recent(10);
        let mut watch = DenialWatch::new(Arc::clone(&recent), DenialFilter::default());
        let pending = recent.add(true, |denial| denial.explanation = Explanation::Pending);
        recent.add(false, |denial| denial.reason = "unsigned");
        let (seen, ()) = tokio::join!(watch.next(), async {
            recent.explain(pending, Explanation::Skipped, CompatSet::NONE)
        });
        assert_eq!((seen.missed, seen.denials.len()), (0, 2));
        assert!(matches!(seen.denials[0].explanation, Explanation::Skipped));
    }

    #[tokio::test]
    async fn a_watch_sees_the_denials_after_its_start() {
        let recent = recent(3);
        add(&recent, "before");
        let mut watch = DenialWatch::new(Arc::clone(&recent), DenialFilter::default());
        add(&recent, "a");
        add(&recent, "b");
        let seen = watch.next().await;
        assert_eq!((seen.missed, reasons(&seen.denials)), (0, vec!["a", "b"]));
        let (seen, ()) = tokio::join!(watch.next(), async {
            add(&recent, "c");
        });
        assert_eq!(reasons(&seen.denials), ["c"]);
    }

    #[tokio::test]
    async fn a_slow_reader_misses_the_oldest_and_learns_how_many() {
        let recent = recent(2);
        let mut watch = DenialWatch::new(Arc::clone(&recent), DenialFilter::default());
        for reason in ["a", "b", "c", "d", "e"] {
            add(&recent, reason);
        }
        let seen = watch.next().await;
        assert_eq!((seen.missed, reasons(&seen.denials)), (3, vec!["d", "e"]));
        add(&recent, "f");
        assert_eq!(watch.next().await.missed, 0);
    }

    #[tokio::test]
    async fn a_watch_sees_matching_denials() {
        let recent = recent(1000);
        let mut watch = DenialWatch::new(Arc::clone(&recent), of_reason("b"));
        for _ in 0..3 * MAX_BATCH {
            add(&recent, "a");
        }
        add(&recent, "b");
        assert_eq!(reasons(&watch.next().await.denials), ["b"]);
    }

    fn of_reason(reason: &str) -> DenialFilter {
        DenialFilter {
            reason: Some(reason.to_owned()),
            ..DenialFilter::default()
        }
    }
}

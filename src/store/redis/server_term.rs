//! The term of the servers: it ends when Sentinels or a Cluster replace a primary, and ends every
//! connection that was made in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// The current term.
#[derive(Debug, Default)]
pub(super) struct ServerTerm {
    number: AtomicU64,
    ended: Notify,
}

/// A term that was current once.
#[derive(Clone, Debug)]
pub(super) struct TermMark {
    current: Arc<ServerTerm>,
    number: u64,
}

// === impl ServerTerm ===

impl ServerTerm {
    /// Returns a mark of the current term.
    pub(super) fn mark(self: &Arc<Self>) -> TermMark {
        TermMark {
            number: self.number.load(Ordering::SeqCst),
            current: Arc::clone(self),
        }
    }

    /// Ends the current term, and begins the next.
    pub(super) fn end(&self) {
        self.number.fetch_add(1, Ordering::SeqCst);
        self.ended.notify_waiters();
    }
}

// === impl TermMark ===

impl TermMark {
    /// Returns `true` if the term has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.current.number.load(Ordering::SeqCst) != self.number
    }

    /// Returns when the term has ended.
    pub(super) async fn end(&self) {
        loop {
            let ended = self.current.ended.notified();
            if self.has_ended() {
                return;
            }
            ended.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mark_notices_the_end_of_its_term_alone() {
        let term = Arc::new(ServerTerm::default());
        let first = term.mark();
        assert!(!first.has_ended());
        term.end();
        first.end().await;
        assert!(first.has_ended() && !term.mark().has_ended());
    }
}

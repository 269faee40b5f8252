//! The ledger of a run: every request with its answer, and every credential with its fate.
//!
//! Threads only append to it. `judge.rs` reads it at the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

/// The record of a run.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: Mutex<Vec<Entry>>,
    verdicts: AtomicUsize,
    fates: Mutex<Vec<Fate>>,
}

/// A request that was sent, with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The signed request: the same number stands for the same bytes.
    pub(crate) request: usize,
    pub(crate) kind: Kind,
    /// The index of the receiver.
    pub(crate) lane: usize,
    /// The index of the credential that it names.
    pub(crate) credential: usize,
    pub(crate) sent: Instant,
    pub(crate) answered: Instant,
    pub(crate) verdict: Verdict,
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Signed correctly, and sent for the first time.
    Fresh,
    /// The bytes of a request that was allowed before.
    Replay,
    /// The bytes of a request that got no verdict.
    Retry,
    /// Changed after it was signed.
    Tampered,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    /// Denied, with the problem in the answer.
    Denied(String),
    /// No verdict: a gRPC status other than OK, 503, or no answer in time.
    Failed(String),
}

/// The administrative writes to a credential, in the order of the fields.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    /// The time of the acknowledgement that it exists.
    pub(crate) created: Option<Instant>,
    /// The time when its revocation was sent.
    pub(crate) revoking: Option<Instant>,
    /// The time when its revocation was acknowledged.
    pub(crate) revoked: Option<Instant>,
}

impl Ledger {
    /// Adds a request with its answer.
    pub(crate) fn add(&self, entry: Entry) {
        let verdict = !matches!(entry.verdict, Verdict::Failed(_));
        self.verdicts
            .fetch_add(usize::from(verdict), Ordering::Relaxed);
        self.entries.lock().unwrap().push(entry);
    }

    /// Adds a credential, and returns its index.
    pub(crate) fn add_credential(&self, created: Option<Instant>) -> usize {
        let mut fates = self.fates.lock().unwrap();
        fates.push(Fate {
            created,
            ..Fate::default()
        });
        fates.len() - 1
    }

    /// Notes that the revocation of a credential is being sent.
    pub(crate) fn revoking(&self, credential: usize) {
        self.fates.lock().unwrap()[credential].revoking = Some(Instant::now());
    }

    /// Notes that the revocation of a credential was acknowledged.
    pub(crate) fn revoked(&self, credential: usize) {
        self.fates.lock().unwrap()[credential].revoked = Some(Instant::now());
    }

    /// Returns the fate of a credential.
    pub(crate) fn fate(&self, credential: usize) -> Fate {
        self.fates.lock().unwrap()[credential]
    }

    /// Returns the number of fresh requests since a moment, and of the allowed ones among them.
    pub(crate) fn fresh_since(&self, moment: Instant) -> (usize, usize) {
        let entries = self.entries.lock().unwrap();
        let recent = entries
            .iter()
            .rev()
            .take_while(|entry| entry.answered >= moment);
        let fresh: Vec<_> = recent.filter(|entry| entry.kind == Kind::Fresh).collect();
        let allowed = fresh
            .iter()
            .filter(|entry| entry.verdict == Verdict::Allowed);
        (fresh.len(), allowed.count())
    }

    /// Returns the number of verdicts so far.
    pub(crate) fn verdicts(&self) -> usize {
        self.verdicts.load(Ordering::Relaxed)
    }

    /// Takes the requests since the last call, and returns them with a copy of the fates.
    pub(crate) fn take(&self) -> (Vec<Entry>, Vec<Fate>) {
        let entries = std::mem::take(&mut *self.entries.lock().unwrap());
        (entries, self.fates.lock().unwrap().clone())
    }

    /// Returns a copy of all requests and fates.
    pub(crate) fn read(&self) -> (Vec<Entry>, Vec<Fate>) {
        let entries = self.entries.lock().unwrap().clone();
        (entries, self.fates.lock().unwrap().clone())
    }
}

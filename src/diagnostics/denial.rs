//! One request that was refused, as operators are shown it.

use super::{Explanation, RefusedRequest, masked};
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::oauth::SignatureMethod;

/// A request that was refused, or would have been if its route were not in shadow mode.
#[derive(Clone, Debug)]
pub struct DenialRecord {
    /// Counts the denials of this process; none has the number of another.
    pub sequence: u64,
    /// What the decision is found by in logs and answers.
    pub decision_id: String,
    /// When it was decided.
    pub time: UnixTime,
    /// The consumer key that it names, proven or not; empty when it names none.
    pub consumer_key: String,
    /// Whether it is proven that this consumer sent it.
    pub proven: bool,
    /// Why it was refused: a word of a closed list.
    pub reason: &'static str,
    /// The signature method that it names.
    pub signature_method: Option<SignatureMethod>,
    /// The HTTP method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path, and the query with its values masked.
    pub path: String,
    /// Whether it was refused, or let through and reported.
    pub mode: Mode,
    /// Why its signature did not match, where that is the reason.
    pub explanation: Explanation,
}

impl DenialRecord {
    /// Nothing yet, of that number.
    pub(super) const fn empty() -> Self {
        Self {
            sequence: 0,
            decision_id: String::new(),
            time: UnixTime::from_millis(0),
            consumer_key: String::new(),
            proven: false,
            reason: "",
            signature_method: None,
            method: String::new(),
            host: String::new(),
            path: String::new(),
            mode: Mode::Enforce,
            explanation: Explanation::NotSought,
        }
    }

    /// Becomes the denial of `refused`, in the memory that it has already.
    pub(super) fn fill(
        &mut self,
        refused: &RefusedRequest<'_>,
        explanation: Explanation,
        now: UnixTime,
    ) {
        let Self {
            sequence: _,
            decision_id,
            time,
            consumer_key,
            proven,
            reason,
            signature_method,
            ..
        } = self;
        masked::put(decision_id, refused.decision_id.as_bytes());
        *time = now;
        *reason = refused.reason;
        let (identity, claimed) = refused.denial.map_or((None, None), |denial| {
            (
                denial.identity.as_ref(),
                denial.claimed_consumer_key.as_ref(),
            )
        });
        let key = identity.map(|identity| identity.consumer_key()).or(claimed);
        // A key has visible ASCII alone. Escaped, one with a quote would not be found by itself.
        consumer_key.clear();
        consumer_key.push_str(key.map_or("", |key| key.as_str()));
        *proven = identity.is_some();
        *signature_method = refused.denial.and_then(|denial| denial.signature_method);
        masked::put(&mut self.method, refused.method);
        masked::put(&mut self.host, refused.host);
        masked::put_target(&mut self.path, refused.target);
        self.mode = refused.mode;
        self.explanation = explanation;
    }

    /// How many bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        let Self {
            decision_id,
            consumer_key,
            method,
            host,
            path,
            ..
        } = self;
        let texts = [decision_id, consumer_key, method, host, path];
        size_of::<Self>()
            + texts.into_iter().map(String::capacity).sum::<usize>()
            + self.explanation.weight()
    }
}

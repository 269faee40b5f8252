//! A stored denial, as operators see it.

use super::explanation::Explanation;
use super::masking;
use super::refused_request::RefusedRequest;
use crate::clock::UnixTime;
use crate::config::Mode;
use crate::oauth::{CompatSet, SignatureMethod};

/// A stored denial: a request that was refused, or would have been if its route were not in shadow
/// mode.
#[derive(Clone, Debug)]
pub struct DenialRecord {
    /// The sequence number, unique in this process.
    pub sequence: u64,
    /// The decision id, as in logs and responses.
    pub decision_id: String,
    /// The time of the decision.
    pub time: UnixTime,
    /// The consumer key that the request names, proven or not; empty if it names none.
    pub consumer_key: String,
    /// True if the request proved that the consumer sent it.
    pub proven: bool,
    /// The reason, a word from a closed set.
    pub reason: &'static str,
    /// The signature method that the request names.
    pub signature_method: Option<SignatureMethod>,
    /// The HTTP method.
    pub method: String,
    /// The host.
    pub host: String,
    /// The path and the query, with query values masked.
    pub path: String,
    /// The mode of the route: the denial was enforced, or only reported.
    pub mode: Mode,
    /// The explanation, if the signature did not match.
    pub explanation: Explanation,
    /// The compat profiles that would have let the request pass, and that its consumer lacks.
    pub profiles: CompatSet,
}

impl DenialRecord {
    /// Returns a record without content.
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
            profiles: CompatSet::NONE,
        }
    }

    /// Overwrites the record, except for its sequence number, and reuses its memory.
    pub(super) fn fill(
        &mut self,
        refused: &RefusedRequest<'_>,
        explanation: Explanation,
        now: UnixTime,
    ) {
        self.time = now;
        self.proven = refused.is_proven();
        self.reason = refused.reason;
        self.signature_method = refused.signature_method();
        self.mode = refused.mode;
        self.explanation = explanation;
        self.profiles = CompatSet::NONE;
        // A key is visible ASCII. Escaping would break searches for a key with a quote.
        self.consumer_key.clear();
        self.consumer_key
            .push_str(refused.named_key().map_or("", |key| key.as_str()));
        masking::set(&mut self.decision_id, refused.decision_id.as_bytes());
        masking::set(&mut self.method, refused.method);
        masking::set(&mut self.host, refused.host);
        masking::set_target(&mut self.path, refused.target);
    }

    /// Returns the memory that the record uses, in bytes.
    pub(super) fn size(&self) -> usize {
        let Self {
            decision_id,
            consumer_key,
            method,
            host,
            path,
            ..
        } = self;
        let texts = [decision_id, consumer_key, method, host, path];
        let capacity: usize = texts.into_iter().map(String::capacity).sum();
        size_of::<Self>() + capacity + self.explanation.heap_size()
    }
}

//! A stored denial, as operators see it.

use super::details::DenialDetails;
use super::explanation::Explanation;
use super::masking;
use super::refused_request::{RefusalContext, RefusedRequest};
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
    /// The name of the consumer with that key; empty if no consumer has it.
    pub consumer_name: String,
    /// The address of the client, or of a proxy in front of Envoy; empty if it is unknown.
    pub client_address: String,
    /// `x-request-id`; empty if the request has none.
    pub request_id: String,
    /// The rule of the configuration that decided; empty if no rule applies.
    pub rule: String,
    /// The HTTP status of the answer; 0 if a failure of ours was the reason.
    pub status: u16,
    /// `oauth_problem` of the answer; empty if a failure of ours was the reason.
    pub problem: &'static str,
    /// `oauth_problem_advice` of the answer.
    pub advice: String,
    /// The facts for operators.
    pub details: DenialDetails,
    /// The remedy for the reason.
    reason_remedy: &'static str,
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
            consumer_name: String::new(),
            client_address: String::new(),
            request_id: String::new(),
            rule: String::new(),
            status: 0,
            problem: "",
            advice: String::new(),
            details: DenialDetails::NONE,
            reason_remedy: "",
        }
    }

    /// Returns the remedy: that of the explanation, if one was sought, else that of the reason.
    /// Empty while the search goes on.
    pub fn remedy(&self) -> &str {
        if let Explanation::NotSought = self.explanation {
            return self.reason_remedy;
        }
        self.explanation.remedy()
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
        self.fill_context(refused);
    }

    fn fill_context(&mut self, refused: &RefusedRequest<'_>) {
        let RefusalContext {
            client_address,
            request_id,
            rule,
            told,
            details,
        } = refused.context;
        self.reason_remedy = refused.remedy();
        self.status = told.map_or(0, |told| told.status);
        self.problem = told.map_or("", |told| told.problem);
        masking::set(&mut self.client_address, client_address);
        masking::set(&mut self.request_id, request_id);
        self.details.set(details);
        let texts = [
            (&mut self.consumer_name, refused.consumer_name()),
            (&mut self.rule, rule),
            (&mut self.advice, told.map_or("", |told| told.advice)),
        ];
        for (text, value) in texts {
            text.clear();
            masking::append(text, value, MAX_TEXT_LEN);
        }
    }

    /// Returns the memory that the record uses, in bytes.
    pub(super) fn size(&self) -> usize {
        let Self {
            decision_id,
            consumer_key,
            method,
            host,
            path,
            consumer_name,
            client_address,
            request_id,
            rule,
            advice,
            ..
        } = self;
        let request = [decision_id, consumer_key, method, host, path];
        let context = [consumer_name, client_address, request_id, rule, advice];
        let texts = request.into_iter().chain(context);
        let capacity: usize = texts.map(String::capacity).sum();
        let details = self.details.heap_size();
        size_of::<Self>() + capacity + details + self.explanation.heap_size()
    }
}

/// The longest text of ours that is stored, in bytes.
const MAX_TEXT_LEN: usize = 1024;

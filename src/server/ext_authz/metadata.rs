//! Dynamic metadata of a decision: for access logs and rate limits, under
//! `envoy.filters.http.ext_authz`.

use super::wire::Writer;
use crate::model::{ConsumerKey, UserId};
use crate::server::denial::decision_id::DecisionId;
use crate::server::denial::report::Outcome;
use crate::server::denial::sunset;
use crate::verify::{Denial, Identity, Weakened};

/// Dynamic metadata of a decision.
pub(super) struct Metadata<'a> {
    /// The outcome.
    pub(super) outcome: Outcome,
    /// The id of the decision.
    pub(super) decision_id: DecisionId,
    /// The reason of a denial, or of a failure.
    pub(super) problem: Option<&'static str>,
    /// The signature method that the request names.
    pub(super) signature_method: Option<&'static str>,
    /// The parts of the check that an outage of the store weakened.
    pub(super) weakened: Weakened,
    /// The caller.
    pub(super) caller: MetadataCaller<'a>,
}

/// The caller, as metadata may name it.
#[derive(Clone, Copy)]
pub(super) enum MetadataCaller<'a> {
    /// The request names no consumer.
    Nobody,
    /// The request names a consumer and is not proven. Rate limits must not count it for that
    /// consumer.
    Claimed(&'a ConsumerKey),
    /// The caller is proven.
    Proven(&'a Identity),
}

impl<'a> MetadataCaller<'a> {
    /// Returns the caller of a denied request.
    pub(super) fn of(denial: &'a Denial) -> Self {
        match (&denial.identity, &denial.claimed_consumer_key) {
            (Some(identity), _) => Self::Proven(identity),
            (None, Some(key)) => Self::Claimed(key),
            (None, None) => Self::Nobody,
        }
    }
}

impl<'a> Metadata<'a> {
    /// Returns the metadata that every decision has.
    pub(super) const fn of(outcome: Outcome, decision_id: DecisionId) -> Self {
        Self {
            outcome,
            decision_id,
            problem: None,
            signature_method: None,
            weakened: Weakened {
                nonce_is_local: false,
                credentials_are_stale: false,
            },
            caller: MetadataCaller::Nobody,
        }
    }

    /// Returns the headers that announce to a proven caller that its access ends.
    pub(super) fn sunset_headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let consumer = self.proven().map(Identity::consumer);
        consumer.into_iter().flat_map(sunset::headers)
    }

    /// Writes a `google.protobuf.Struct`.
    pub(super) fn write(&self, fields: &mut Writer) {
        let id = self.decision_id.hex();
        put(fields, "decision", Some(self.outcome.name()));
        put(fields, "decision_id", Some(id.as_str()));
        put(fields, "problem", self.problem);
        put(fields, "signature_method", self.signature_method);
        let Weakened {
            nonce_is_local,
            credentials_are_stale,
        } = self.weakened;
        put(fields, "nonce_check", nonce_is_local.then_some("local"));
        put(
            fields,
            "credentials",
            credentials_are_stale.then_some("stale"),
        );
        match self.caller {
            MetadataCaller::Nobody => {}
            MetadataCaller::Claimed(key) => {
                put(fields, "claimed_consumer_key", Some(key.as_str()));
            }
            MetadataCaller::Proven(identity) => put_identity(fields, identity),
        }
    }

    const fn proven(&self) -> Option<&'a Identity> {
        match self.caller {
            MetadataCaller::Proven(identity) => Some(identity),
            MetadataCaller::Nobody | MetadataCaller::Claimed(_) => None,
        }
    }
}

fn put_identity(fields: &mut Writer, identity: &Identity) {
    let scopes = identity.scopes().as_str();
    put(fields, "consumer_id", Some(identity.consumer_id().as_str()));
    put(
        fields,
        "consumer_key",
        Some(identity.consumer_key().as_str()),
    );
    put(
        fields,
        "consumer_name",
        Some(identity.consumer_name().as_str()),
    );
    put(fields, "user_id", identity.user_id().map(UserId::as_str));
    put(
        fields,
        "scopes",
        Some(scopes).filter(|scopes| !scopes.is_empty()),
    );
}

/// Writes an entry with a text, or nothing.
fn put(fields: &mut Writer, name: &str, value: Option<&str>) {
    let Some(value) = value else { return };
    fields.nested(1, |entry| {
        entry.text(1, name);
        entry.nested(2, |kind| kind.text(3, value));
    });
}

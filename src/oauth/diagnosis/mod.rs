//! Finds out why a signature does not match: signs the request again with each known deviation of
//! clients and proxies, and names the deviation that produces the signature.
//!
//! A match is not a guess, because only the client's secret can produce it. So a wrong secret and a
//! tampered request have no cause here. One case is ambiguous: a query that somebody added on the
//! way looks like a query that the client did not sign.
//!
//! The search tries, in this order, and ends at the first match:
//!
//! 1. other readings of the signature's text;
//! 2. one [`MismatchCause`] that changes the base string, in the order of [`MismatchCause::ALL`];
//! 3. one that changes the key or the method;
//! 4. a change of one byte of the path;
//! 5. two causes of 2 that change different parts of the base string;
//! 6. one cause of 2 with one of 3.
//!
//! If two ways lead to the same bytes, the first one counts. The caller bounds the work
//! ([`diagnose`]).
//!
//! # Security
//! A diagnosis only explains, and never changes a refusal. The caller decides who sees it
//! ([`MismatchCause::depends_on_secret`]) and how often it runs.

mod body_hash;
mod cause;
mod change;
mod changes;
mod content;
mod display;
mod encoding;
mod evidence;
mod keys;
mod location;
mod path;
mod profiles;
mod reading;
mod remedy;
mod search;

pub use cause::MismatchCause;
pub use evidence::{ForwardedHeaders, MismatchEvidence, OriginSetting, ReceivedOrigin};
pub use profiles::passing_profiles;

use super::variant::BaseStringVariant;
use super::wire::WireParameters;
use super::{BodyHashRule, KeySchedule, Rejection, RejectionKind, SignedRequest};
use display::{DisplayString, display_text};
use remedy::RemedyContext;
use search::{CauseSearch, SearchHit};

/// A budget for every search with HMAC. One with RSA costs more and may end early.
pub const BUDGET: u32 = 3000;

/// The explanation of a signature that does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// One cause, or two that occur together.
    pub causes: Vec<MismatchCause>,
    /// The base string of the request, with the application's values as `***`.
    pub base_string: String,
    /// The base string that the client signed, masked in the same way.
    pub client_base_string: String,
    /// The byte offset of the first difference, or of the masked value around it. `None` if the
    /// base strings are equal.
    pub first_difference: Option<usize>,
    /// The change to make.
    pub remedy: String,
}

impl Diagnosis {
    /// Returns the cause in one word; two are joined by `+`.
    pub fn cause(&self) -> String {
        let names: Vec<_> = self.causes.iter().map(|cause| cause.name()).collect();
        names.join("+")
    }

    /// Returns whether a cause reveals something about a secret, so that the sender must not learn
    /// it.
    pub fn depends_on_secret(&self) -> bool {
        self.causes.iter().any(|cause| cause.depends_on_secret())
    }

    /// Explains a request whose base string is the one that the client signed.
    fn of_same_string(
        cause: MismatchCause,
        hashed: &str,
        evidence: &MismatchEvidence<'_>,
        signed: &SignedRequest<'_>,
    ) -> Self {
        let base_string = display_text(&if evidence.reveal {
            signed.base_string()
        } else {
            signed.masked_base_string()
        });
        let context = RemedyContext {
            evidence,
            client: &BaseStringVariant::rfc(evidence.request),
            label: signed.signature_method(),
            hashed,
        };
        Self {
            causes: vec![cause],
            client_base_string: base_string.clone(),
            base_string,
            first_difference: None,
            remedy: context.remedy(&[cause], &[None]),
        }
    }

    /// Explains a request whose signature the search found.
    fn of_hit(
        hit: SearchHit<'_>,
        evidence: &MismatchEvidence<'_>,
        signed: &SignedRequest<'_>,
        wire: &WireParameters<'_>,
    ) -> Self {
        let ours = display(&hit.base, wire, evidence.reveal);
        let theirs = display(&hit.variant, wire, evidence.reveal);
        let context = RemedyContext {
            evidence,
            client: &hit.variant,
            label: signed.signature_method(),
            hashed: "",
        };
        Self {
            first_difference: ours.first_difference(&theirs),
            base_string: ours.text(),
            client_base_string: theirs.text(),
            remedy: context.remedy(&hit.causes, &hit.remedies),
            causes: hit.causes,
        }
    }
}

/// Explains why the signature of a request does not match.
///
/// `budget` bounds the work: each base string and each HMAC costs one, or more if the base string
/// is long, and a verification by RSA with 2048 bits costs five.
///
/// Returns `None` if no known cause explains the request, if it cannot be parsed, and if its
/// signature matches.
pub fn diagnose(evidence: &MismatchEvidence<'_>, budget: u32) -> Option<Diagnosis> {
    let signed = evidence.request.parse(evidence.limits).ok().flatten()?;
    let rejection = rejection(evidence, &signed)?;
    if rejection == Rejection::VersionUnsupported {
        let cause = MismatchCause::VersionText;
        return Some(Diagnosis::of_same_string(cause, "", evidence, &signed));
    }
    if rejection == Rejection::BodyHashMismatch {
        let cause = MismatchCause::BodyHash;
        let hashed = body_hash::hashed(evidence.request, &signed, budget)?;
        return Some(Diagnosis::of_same_string(cause, &hashed, evidence, &signed));
    }
    if rejection.kind() != RejectionKind::NotProven {
        return None;
    }
    let wire = WireParameters::of(evidence.request)?;
    let hit = CauseSearch::new(evidence, &signed, &wire, budget).run()?;
    Some(Diagnosis::of_hit(hit, evidence, &signed, &wire))
}

fn rejection(evidence: &MismatchEvidence<'_>, signed: &SignedRequest<'_>) -> Option<Rejection> {
    let schedule = KeySchedule::default();
    let proven = signed.prove_under(
        evidence.compat,
        &evidence.keys,
        &schedule,
        BodyHashRule::Accept,
    );
    let verdict = proven.and_then(|scope| scope.check_body(signed, None));
    verdict.err()
}

fn display(
    variant: &BaseStringVariant<'_>,
    wire: &WireParameters<'_>,
    reveal: bool,
) -> DisplayString {
    match variant.base_string(wire) {
        Some(text) => DisplayString::of(&text, reveal),
        None => DisplayString::default(),
    }
}

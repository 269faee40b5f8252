//! Finds out why a signature does not match: signs the request again with each known deviation of
//! clients and proxies, and names the deviation that produces the signature.
//!
//! A match proves that the owner of the secrets signed the other base string. It does not prove the
//! origin of the difference: the client, a proxy, or an attacker who changed the request, or who sent
//! a request for another server here. A remedy says so if the difference could be an attack. A request
//! that was changed in another way, and one with an unknown secret, have no cause. One match proves
//! nothing: a key of consumer key and token alone ([`MismatchCause::SecretIsIdentifier`]) can be
//! anybody's.
//!
//! The search tries the right secrets, in this order, and ends at the first match:
//!
//! 1. other readings of the signature's text;
//! 2. one [`MismatchCause`] that changes the base string, in the order of [`MismatchCause::ALL`];
//! 3. another method or padding, and the name of another method with its key;
//! 4. two likely causes of 2 that change different parts of the base string, for example one that a
//!    header of a proxy names;
//! 5. one of many similar changes, for example of one byte of the path;
//! 6. the scheme with every other cause of 2;
//! 7. a likely cause of 2 with one of 3;
//! 8. the scheme with every one of 5, and every other pair of 2;
//! 9. a guess: a change that left no trace in the request, or another spelling. A part of the work is
//!    kept for this stage;
//! 10. the scheme with every one of 9.
//!
//! Then it tries the secrets that clients make of the right ones, with another part of the work:
//!
//! 11. without another cause;
//! 12. with the scheme;
//! 13. the frequent ones, with one cause of 2.
//!
//! If two ways lead to the same bytes, the first one counts. The caller bounds the work
//! ([`diagnose`]). The changes are made before the work is counted, so each limits the length of its
//! names and values.
//!
//! # Security
//! A diagnosis only explains, and never changes a refusal. The caller decides who sees it
//! ([`MismatchCause::depends_on_secret`]) and how often it runs. A sender who waits for its cause
//! must be answered before stage 11 ([`diagnose_in_steps`]): the time of the answer would show
//! whether the cause depends on a secret.

mod arrays;
mod base_text;
mod body;
mod body_hash;
mod budget;
mod cause;
mod change;
mod changes;
mod characters;
mod charset;
mod client_origin;
mod content;
mod display;
mod encoding;
mod evidence;
mod forwarded;
mod gzip;
mod host_guesses;
mod hosts;
mod joined;
mod json;
mod json_value;
mod keys;
mod location;
mod method;
mod multipart;
mod named_query;
mod named_url;
mod names;
mod one_value;
mod order;
mod parameters;
mod path;
mod path_guesses;
mod path_spelling;
mod profiles;
mod query_text;
mod reading;
mod remedies;
mod remedy;
mod search;
mod secret_keys;
mod secret_padding;
mod secrets;
mod sent;
mod spelling;
mod stamp;
mod unicode;
mod unsent;
mod uri_form;
mod value_guesses;
mod value_texts;
mod values;
mod wrong_key;

#[cfg(test)]
pub(crate) use budget::spent;
pub use cause::MismatchCause;
pub use evidence::{MismatchEvidence, OriginSetting, ReceivedOrigin};
pub use forwarded::{ForwardedHeader, ForwardedHeaders};
pub use profiles::passing_profiles;

use super::variant::BaseStringVariant;
use super::wire::WireParameters;
use super::{
    BodyHashRule, CompatProfile, CompatSet, KeySchedule, Rejection, RejectionKind, SignedRequest,
};
use display::{DisplayString, display_text};
use remedy::{FoundCause, RemedyContext};
use search::{CauseSearch, SearchHit};

/// A budget for every search with HMAC. One with RSA costs more and may end early.
pub const BUDGET: u32 = 5000;

/// The explanation of a signature that does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// One cause, or two that occur together.
    pub causes: Vec<MismatchCause>,
    /// The base string of the request, with the application's values as `***`.
    pub base_string: String,
    /// The base string that the client signed, masked in the same way; without the change of a
    /// client that changes the finished text.
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
        hashed: Option<&str>,
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
            signed,
            client: &BaseStringVariant::rfc(evidence.request),
            hashed,
            secret: "",
            encoding: "",
        };
        let lenient = CompatProfile::VersionLenient;
        let found = FoundCause {
            profile: verifies_under(lenient, evidence, signed).then_some(lenient),
            ..FoundCause::of(cause)
        };
        Self {
            causes: vec![cause],
            client_base_string: base_string.clone(),
            base_string,
            first_difference: None,
            remedy: context.remedy(&[found]),
        }
    }

    /// Explains a request whose signature the search found.
    fn of_hit(
        mut hit: SearchHit<'_>,
        evidence: &MismatchEvidence<'_>,
        signed: &SignedRequest<'_>,
        wire: &WireParameters<'_>,
    ) -> Self {
        let ours = display(&hit.base, wire, evidence.reveal);
        let theirs = display(&hit.variant, wire, evidence.reveal);
        if let [only] = &mut hit.causes[..] {
            let verifies = |profile: &CompatProfile| verifies_under(*profile, evidence, signed);
            only.profile = only.profile.filter(verifies);
        }
        let context = RemedyContext {
            evidence,
            signed,
            client: &hit.variant,
            hashed: None,
            secret: hit.secret,
            encoding: hit.encoding,
        };
        Self {
            first_difference: ours.first_difference(&theirs),
            base_string: ours.text(),
            client_base_string: theirs.text(),
            remedy: context.remedy(&hit.causes),
            causes: hit.causes.iter().map(|found| found.cause).collect(),
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
    diagnose_in_steps(evidence, budget, |_| ())
}

/// Explains like [`diagnose`], and calls `disclose` once with the diagnosis that the sender may
/// learn, before any work that depends on a wrong secret.
pub fn diagnose_in_steps(
    evidence: &MismatchEvidence<'_>,
    budget: u32,
    disclose: impl FnOnce(Option<&Diagnosis>),
) -> Option<Diagnosis> {
    let mut disclose = Some(disclose);
    let mut disclose_once = |public: Option<&Diagnosis>| {
        if let Some(disclose) = disclose.take() {
            disclose(public);
        }
    };
    let found = explain(evidence, budget, || disclose_once(None));
    disclose_once(found.as_ref().filter(|found| !found.depends_on_secret()));
    found
}

/// Explains, and calls `nothing_public` before the search for causes that depend on a secret.
fn explain(
    evidence: &MismatchEvidence<'_>,
    budget: u32,
    nothing_public: impl FnOnce(),
) -> Option<Diagnosis> {
    let signed = evidence.request.parse(evidence.limits).ok().flatten()?;
    let rejection = rejection(evidence, &signed)?;
    if rejection == Rejection::VersionUnsupported {
        let cause = MismatchCause::VersionText;
        return Some(Diagnosis::of_same_string(cause, None, evidence, &signed));
    }
    if rejection == Rejection::BodyHashMismatch {
        let cause = MismatchCause::BodyHash;
        let hashed = body_hash::hashed(evidence.request, &signed, budget);
        let hashed = hashed.as_deref();
        return Some(Diagnosis::of_same_string(cause, hashed, evidence, &signed));
    }
    if rejection.kind() != RejectionKind::NotProven {
        return None;
    }
    let wire = WireParameters::of(evidence.request)?;
    let mut search = CauseSearch::new(evidence, &signed, &wire, budget);
    let hit = match search.find_public() {
        Some(hit) => hit,
        None => {
            nothing_public();
            search.find_secret()?
        }
    };
    Some(Diagnosis::of_hit(hit, evidence, &signed, &wire))
}

fn rejection(evidence: &MismatchEvidence<'_>, signed: &SignedRequest<'_>) -> Option<Rejection> {
    verdict_under(evidence.compat, evidence, signed).err()
}

/// Returns whether the request verifies under one more profile.
fn verifies_under(
    profile: CompatProfile,
    evidence: &MismatchEvidence<'_>,
    signed: &SignedRequest<'_>,
) -> bool {
    verdict_under(evidence.compat.with(profile), evidence, signed).is_ok()
}

fn verdict_under(
    compat: CompatSet,
    evidence: &MismatchEvidence<'_>,
    signed: &SignedRequest<'_>,
) -> Result<(), Rejection> {
    let schedule = KeySchedule::default();
    let proven = signed.prove_under(compat, &evidence.keys, &schedule, BodyHashRule::Accept);
    proven.and_then(|scope| scope.check_body(signed, None))
}

fn display(
    variant: &BaseStringVariant<'_>,
    wire: &WireParameters<'_>,
    reveal: bool,
) -> DisplayString {
    match variant.clone().masked_as(wire).base_string(wire) {
        Some(text) => DisplayString::of(&text, reveal),
        None => DisplayString::default(),
    }
}

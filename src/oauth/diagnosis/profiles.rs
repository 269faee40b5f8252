//! The compat profiles that would prove a refused request.
//!
//! # Security
//! The result is for operators alone. It is no advice to set a profile: a request that somebody
//! changed on the way may pass under one, too. Only the owner of the client knows what it signs.

use std::collections::HashSet;

use super::super::compat::compat_variants;
use super::super::variant::BaseStringVariant;
use super::super::wire::WireParameters;
use super::super::{
    BodyHashRule, CompatProfile, CompatSet, KeySchedule, SignatureMethod, SignedRequest,
};
use super::budget::{RSA_COST, WorkBudget, length_cost};
use super::evidence::{MismatchEvidence, OriginSetting};

/// Returns the profiles that the consumer lacks and that would prove the request: one, or two if no
/// single one does. Empty if none do.
///
/// If several would, those with the least risk are returned. `excluded` are those that the consumer
/// must not have. `budget` bounds the work as in [`diagnose`](super::diagnose).
pub fn passing_profiles(
    evidence: &MismatchEvidence<'_>,
    excluded: CompatSet,
    budget: u32,
) -> CompatSet {
    let signed = evidence.request.parse(evidence.limits).ok().flatten();
    let wire = WireParameters::of(evidence.request);
    let (Some(signed), Some(wire)) = (signed, wire) else {
        return CompatSet::NONE;
    };
    // PLAINTEXT has no base string.
    if signed.signature_method() == SignatureMethod::Plaintext || signed.is_too_long_for_variants()
    {
        return CompatSet::NONE;
    }
    let search = ProfileSearch {
        evidence,
        signed: &signed,
        wire: &wire,
        refuted: HashSet::new(),
        budget: WorkBudget::new(budget),
    };
    search.run(excluded).unwrap_or(CompatSet::NONE)
}

/// A search for the profiles that prove one request.
struct ProfileSearch<'e, 's> {
    evidence: &'s MismatchEvidence<'e>,
    signed: &'s SignedRequest<'e>,
    wire: &'s WireParameters<'e>,
    /// The base strings that the client did not sign.
    refuted: HashSet<Vec<u8>>,
    budget: WorkBudget,
}

impl ProfileSearch<'_, '_> {
    fn run(mut self, excluded: CompatSet) -> Option<CompatSet> {
        let held = self.evidence.compat;
        // Profiles of the consumer that do not apply to the request must not be suggested either.
        let unusable = match self.evidence.setting {
            OriginSetting::PublicUrl => CompatSet::OF_QUERY,
            OriginSetting::Origin => CompatSet::NONE,
        };
        let missing = BY_RISK
            .into_iter()
            .filter(|&profile| !held.union(excluded).union(unusable).contains(profile));
        let missing: Vec<_> = missing.map(CompatSet::only).collect();
        // Fills `refuted`, so that each further base string is a difference that a profile makes.
        if self.passes_with(CompatSet::NONE) {
            return None;
        }
        let mut relevant = Vec::new();
        for &one in &missing {
            let refuted = self.refuted.len();
            if self.passes_with(one) {
                return Some(one);
            }
            relevant.push(self.refuted.len() > refuted || self.lacks_only_version(one));
        }
        for (at, &one) in missing.iter().enumerate() {
            for (other, &second) in missing.iter().enumerate().skip(at + 1) {
                let both = one.union(second);
                if (relevant[at] || relevant[other]) && self.passes_with(both) {
                    return Some(both);
                }
            }
        }
        None
    }

    /// Returns whether the profile lets an `oauth_version` pass that would be refused.
    fn lacks_only_version(&self, profile: CompatSet) -> bool {
        profile.contains(CompatProfile::VersionLenient)
            && !self.signed.credentials.has_strict_version
    }

    /// Returns whether the consumer would pass with `added` profiles.
    fn passes_with(&mut self, added: CompatSet) -> bool {
        let compat = self.evidence.compat.union(added);
        if compat.conflict().is_some() {
            return false;
        }
        let request = self.evidence.request;
        let mut variants = vec![BaseStringVariant::rfc(request)];
        variants.extend(compat_variants(compat, request, self.wire));
        variants
            .iter()
            .any(|variant| self.proves(variant) && self.accepts(variant.with_form, compat))
    }

    /// Returns whether the client signed this variant; `false` if the budget is exhausted.
    fn proves(&mut self, variant: &BaseStringVariant<'_>) -> bool {
        let Some(text) = variant.base_string(self.wire).map(|text| text.to_vec()) else {
            return false;
        };
        let cost = 1 + length_cost(text.len());
        let is_new = !self.refuted.contains(&text);
        let per_key = if self.signed.signature_method().is_rsa() {
            RSA_COST
        } else {
            1
        };
        let cost = cost + u32::from(is_new) * per_key;
        if self.budget.spend(cost).is_none() {
            return false;
        }
        let keys = &self.evidence.keys;
        if is_new && self.signed.signs(&text, keys, &KeySchedule::default()) {
            return true;
        }
        self.refuted.insert(text);
        false
    }

    /// Returns whether the rest of the request is in order once its signature is proven.
    fn accepts(&self, with_form: bool, compat: CompatSet) -> bool {
        let scope = self
            .signed
            .proven_scope(with_form, compat, BodyHashRule::Accept);
        scope
            .and_then(|scope| scope.check_body(self.signed, None))
            .is_ok()
    }
}

/// Every profile, those with the least risk first.
const BY_RISK: [CompatProfile; CompatProfile::ALL.len()] = [
    CompatProfile::VersionLenient,
    CompatProfile::NoRootSlash,
    CompatProfile::EmptyUnsent,
    CompatProfile::SlashPlain,
    CompatProfile::CharactersPlain,
    CompatProfile::FormEncoding,
    CompatProfile::BracketsOnce,
    CompatProfile::BodyUnsignedForm,
    CompatProfile::DefaultPortAny,
    CompatProfile::RepeatedOnce,
    CompatProfile::PlusLiteral,
    CompatProfile::SchemeAny,
    CompatProfile::RawValues,
    CompatProfile::IgnoreQueryOnPost,
];

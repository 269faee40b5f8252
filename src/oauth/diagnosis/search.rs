//! The search for the cause: its candidates, their order, and its budget.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::ControlFlow;

use super::super::SignedRequest;
use super::super::compat::compat_variants;
use super::super::variant::BaseStringVariant;
use super::super::wire::WireParameters;
use super::change::BaseStringChange;
use super::changes::changes;
use super::keys::CandidateKey;
use super::reading::{SignatureReading, readings};
use super::{MismatchCause, MismatchEvidence};

/// The way in which the client made its signature.
pub(super) struct SearchHit<'e> {
    pub(super) causes: Vec<MismatchCause>,
    /// For each cause, a remedy that is more precise than its general one.
    pub(super) remedies: Vec<Option<Cow<'static, str>>>,
    /// The variant that the verifier expects.
    pub(super) base: BaseStringVariant<'e>,
    /// The variant that the client signed.
    pub(super) variant: BaseStringVariant<'e>,
}

/// A search for the cause of one mismatch.
pub(super) struct CauseSearch<'e, 's> {
    wire: &'s WireParameters<'e>,
    readings: Vec<SignatureReading>,
    right_keys: Vec<CandidateKey<'e>>,
    wrong_keys: Vec<CandidateKey<'e>>,
    changes: Vec<BaseStringChange<'e>>,
    /// The variants that the verifier accepts: RFC 5849, and the consumer's profiles.
    bases: Vec<BaseStringVariant<'e>>,
    /// Hashes of the base strings so far. If two collide, the second is not tried.
    seen: HashSet<u64>,
    budget: SearchBudget,
}

/// A variant that may be the client's.
struct Candidate<'e> {
    variant: BaseStringVariant<'e>,
    /// The index of the base that is changed.
    base: usize,
    /// The indices of the changes to it.
    changes: Vec<usize>,
}

/// A step of the search; a break ends it.
type Step<'e, T = ()> = ControlFlow<SearchEnd<'e>, T>;

enum SearchEnd<'e> {
    Hit(Box<SearchHit<'e>>),
    OutOfBudget,
}

#[derive(Clone, Copy)]
enum Keyring {
    Right,
    Wrong,
}

impl<'e, 's> CauseSearch<'e, 's> {
    /// Prepares a search.
    pub(super) fn new(
        evidence: &MismatchEvidence<'e>,
        signed: &SignedRequest<'e>,
        wire: &'s WireParameters<'e>,
        budget: u32,
    ) -> Self {
        let mut bases = vec![BaseStringVariant::rfc(evidence.request)];
        if !evidence.compat.is_empty() {
            bases.extend(compat_variants(evidence.compat, evidence.request, wire));
        }
        Self {
            wire,
            readings: readings(signed.signature()),
            right_keys: CandidateKey::right(&evidence.keys, signed),
            wrong_keys: CandidateKey::wrong(evidence, signed),
            changes: changes(evidence, signed, wire),
            bases,
            seen: HashSet::new(),
            budget: SearchBudget(budget),
        }
    }

    /// Runs the search to its first hit.
    pub(super) fn run(mut self) -> Option<SearchHit<'e>> {
        match self.try_stages() {
            ControlFlow::Break(SearchEnd::Hit(hit)) => Some(*hit),
            ControlFlow::Break(SearchEnd::OutOfBudget) | ControlFlow::Continue(()) => None,
        }
    }

    /// Tries the stages in the order of the [module](super)'s list.
    fn try_stages(&mut self) -> Step<'e> {
        let unchanged = self.try_fresh(self.unchanged())?;
        let changed_once = self.try_fresh(self.changed_once(false))?;
        self.try_all(&unchanged, Keyring::Wrong)?;
        self.try_fresh(self.changed_once(true))?;
        self.try_pairs(&changed_once)?;
        self.try_all(&changed_once, Keyring::Wrong)
    }

    fn unchanged(&self) -> Vec<Candidate<'e>> {
        let bases = self.bases.iter().enumerate();
        bases
            .map(|(base, variant)| Candidate {
                variant: variant.clone(),
                base,
                changes: Vec::new(),
            })
            .collect()
    }

    /// Returns each base with each change: the many similar ones, or all others.
    fn changed_once(&self, of_many: bool) -> Vec<Candidate<'e>> {
        let unchanged = self.unchanged();
        let changes = self.changes.iter().enumerate();
        changes
            .filter(|(_, change)| change.is_one_of_many == of_many)
            .flat_map(|(at, _)| unchanged.iter().map(move |base| self.changed(base, at)))
            .collect()
    }

    fn try_pairs(&mut self, changed_once: &[Candidate<'e>]) -> Step<'e> {
        for (at, one) in changed_once.iter().enumerate() {
            let others = &changed_once[at + 1..];
            let pairs = others.iter().filter_map(|other| self.pair(one, other));
            self.try_fresh(pairs.collect())?;
        }
        Step::Continue(())
    }

    /// Returns the changes of two candidates together, if they have the same base and change
    /// different parts.
    fn pair(&self, one: &Candidate<'e>, other: &Candidate<'e>) -> Option<Candidate<'e>> {
        let (&first, &second) = (one.changes.first()?, other.changes.first()?);
        let differ = self.changes[first].part != self.changes[second].part;
        (one.base == other.base && differ).then(|| self.changed(one, second))
    }

    fn changed(&self, candidate: &Candidate<'e>, change: usize) -> Candidate<'e> {
        Candidate {
            variant: self.changes[change].of(&candidate.variant),
            base: candidate.base,
            changes: candidate.changes.iter().copied().chain([change]).collect(),
        }
    }

    /// Tries the right keys on every base string that is new, and returns the candidates with a new
    /// one.
    fn try_fresh(&mut self, candidates: Vec<Candidate<'e>>) -> Step<'e, Vec<Candidate<'e>>> {
        let mut fresh = Vec::new();
        for candidate in candidates {
            let Some(text) = self.base_string(&candidate)? else {
                continue;
            };
            if self.seen.insert(hash_of(&text)) {
                self.try_keys(&candidate, &text, Keyring::Right)?;
                fresh.push(candidate);
            }
        }
        Step::Continue(fresh)
    }

    fn try_all(&mut self, candidates: &[Candidate<'e>], keyring: Keyring) -> Step<'e> {
        for candidate in candidates {
            if let Some(text) = self.base_string(candidate)? {
                self.try_keys(candidate, &text, keyring)?;
            }
        }
        Step::Continue(())
    }

    /// Makes the base string; `None` if the request cannot be read in this way.
    fn base_string(&mut self, candidate: &Candidate<'e>) -> Step<'e, Option<Vec<u8>>> {
        let text = candidate
            .variant
            .base_string(self.wire)
            .map(|text| text.to_vec());
        self.budget
            .spend(1 + length_cost(text.as_ref().map_or(0, Vec::len)))?;
        Step::Continue(text)
    }

    fn try_keys(&mut self, candidate: &Candidate<'e>, text: &[u8], keyring: Keyring) -> Step<'e> {
        let keys = match keyring {
            Keyring::Right => &self.right_keys,
            Keyring::Wrong => &self.wrong_keys,
        };
        for key in keys {
            self.budget
                .spend(key.cost() + length_cost(text.len()) / 2)?;
            let hit = key
                .proves(text, &self.readings)
                .and_then(|reading| self.hit(candidate, key, reading));
            if let Some(hit) = hit {
                return Step::Break(SearchEnd::Hit(Box::new(hit)));
            }
        }
        Step::Continue(())
    }

    /// Returns the hit; `None` if it takes more than two causes, which is unlikely to be the
    /// explanation.
    fn hit(
        &self,
        candidate: &Candidate<'e>,
        key: &CandidateKey<'e>,
        reading: &SignatureReading,
    ) -> Option<SearchHit<'e>> {
        let changes = candidate.changes.iter().map(|&at| &self.changes[at]);
        let mut reasons: Vec<_> = changes
            .map(|change| (change.cause, change.remedy.clone()))
            .collect();
        reasons.extend(key.cause.map(|cause| (cause, None)));
        reasons.extend((!reading.is_strict).then_some((MismatchCause::SignatureEncoding, None)));
        reasons.dedup_by_key(|(cause, _)| *cause);
        let (causes, remedies): (Vec<_>, Vec<_>) = reasons.into_iter().unzip();
        (1..=2).contains(&causes.len()).then(|| SearchHit {
            causes,
            remedies,
            base: self.bases[candidate.base].clone(),
            variant: candidate.variant.clone(),
        })
    }
}

/// The work that is left.
struct SearchBudget(u32);

impl SearchBudget {
    fn spend<'e>(&mut self, cost: u32) -> Step<'e> {
        match self.0.checked_sub(cost) {
            Some(left) => {
                self.0 = left;
                Step::Continue(())
            }
            None => Step::Break(SearchEnd::OutOfBudget),
        }
    }
}

fn hash_of(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Returns the extra cost of a long text.
fn length_cost(len: usize) -> u32 {
    u32::try_from(len / USUAL_LEN).unwrap_or(u32::MAX)
}

/// The length up to which a base string costs nothing extra.
const USUAL_LEN: usize = 768;

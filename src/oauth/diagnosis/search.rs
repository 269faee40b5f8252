//! The search for the cause: its candidates, their order, and its two parts.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::ControlFlow;

use super::super::compat::compat_variants;
use super::super::variant::BaseStringVariant;
use super::super::wire::WireParameters;
use super::super::{CompatProfile, ProtocolParameter, SignedRequest};
use super::budget::{WorkBudget, length_cost};
use super::change::{BaseStringChange, BaseStringPart};
use super::changes::changes;
use super::keys::CandidateKey;
use super::reading::{SignatureReading, readings};
use super::remedy::FoundCause;
use super::{MismatchCause, MismatchEvidence};

/// The way in which the client made its signature.
pub(super) struct SearchHit<'e> {
    /// One cause, or two.
    pub(super) causes: Vec<FoundCause>,
    /// The secret at fault, for people.
    pub(super) secret: &'static str,
    /// The wrong encoding of the signature, for people.
    pub(super) encoding: &'static str,
    /// The variant that the verifier expects.
    pub(super) base: BaseStringVariant<'e>,
    /// The variant that the client signed.
    pub(super) variant: BaseStringVariant<'e>,
}

/// A search for the cause of one mismatch.
pub(super) struct CauseSearch<'e, 's> {
    evidence: MismatchEvidence<'e>,
    wire: &'s WireParameters<'e>,
    readings: Vec<SignatureReading>,
    right_keys: Vec<CandidateKey<'e>>,
    other_methods: Vec<CandidateKey<'e>>,
    without_hmac: Vec<CandidateKey<'e>>,
    wrong_secrets: Vec<CandidateKey<'e>>,
    changes: Vec<BaseStringChange<'e>>,
    /// The variants that the verifier accepts: RFC 5849, and the consumer's profiles.
    bases: Vec<BaseStringVariant<'e>>,
    /// Hashes of the base strings so far. If two collide, the second is not tried.
    seen: HashSet<u64>,
    budget: WorkBudget,
    /// The work that only guesses may do.
    kept_for_guesses: u32,
    /// The work that only [`find_secret`](Self::find_secret) may do.
    kept_for_secrets: u32,
    /// The candidates without a change and with one change, each with another base string.
    unchanged: Vec<Candidate>,
    once: Vec<Candidate>,
    /// The first hit that depends on a secret.
    secret_hit: Option<Box<SearchHit<'e>>>,
}

/// A variant that may be the client's. It is made only when it is tried, because there may be many,
/// and each may be long.
#[derive(Clone)]
struct Candidate {
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyring {
    Right,
    /// The right keys with other methods.
    OtherMethods,
    /// The right keys, used without HMAC.
    WithoutHmac,
    /// Every key of wrong secrets.
    WrongSecrets,
    /// The keys of wrong secrets that are tried with a change of the base string.
    UsualWrongSecrets,
}

/// The stage at which a change is tried alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChangeKind {
    Usual,
    OneOfMany,
    Guess,
}

impl ChangeKind {
    const fn of(change: &BaseStringChange<'_>) -> Self {
        match (change.is_guess, change.is_one_of_many) {
            (true, _) => Self::Guess,
            (false, true) => Self::OneOfMany,
            (false, false) => Self::Usual,
        }
    }
}

/// The likelihood that two changes occur together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PairRank {
    /// One of them is that of the scheme.
    WithScheme,
    /// Both are likely.
    Likely,
    /// One of them is likely.
    WithLikely,
    Unlikely,
}

impl PairRank {
    fn of(one: &BaseStringChange<'_>, other: &BaseStringChange<'_>) -> Self {
        let is_scheme = |change: &BaseStringChange<'_>| change.part == BaseStringPart::Scheme;
        if is_scheme(one) || is_scheme(other) {
            Self::WithScheme
        } else {
            match (one.is_likely, other.is_likely) {
                (true, true) => Self::Likely,
                (true, false) | (false, true) => Self::WithLikely,
                (false, false) => Self::Unlikely,
            }
        }
    }
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
        if !evidence.compat.is_empty() && !signed.is_too_long_for_variants() {
            bases.extend(compat_variants(evidence.compat, evidence.request, wire));
        }
        let kept_for_guesses = budget / GUESS_SHARE;
        let kept_for_secrets = budget / SECRET_SHARE;
        Self {
            evidence: *evidence,
            wire,
            readings: readings(signed.signature()),
            right_keys: CandidateKey::right(&evidence.keys, signed),
            other_methods: CandidateKey::of_other_methods(&evidence.keys, signed),
            without_hmac: CandidateKey::without_hmac(&evidence.keys, signed),
            wrong_secrets: CandidateKey::of_wrong_secrets(evidence, signed),
            changes: changes(evidence, signed, wire),
            bases,
            seen: HashSet::new(),
            budget: WorkBudget::new(budget - kept_for_guesses - kept_for_secrets),
            kept_for_guesses,
            kept_for_secrets,
            unchanged: Vec::new(),
            once: Vec::new(),
            secret_hit: None,
        }
    }

    /// Searches for a hit with the right secrets, up to the first one.
    pub(super) fn find_public(&mut self) -> Option<SearchHit<'e>> {
        let mut end = self.try_right_secrets();
        if !matches!(end, ControlFlow::Break(SearchEnd::Hit(_))) {
            self.budget.add(self.kept_for_guesses);
            end = self.try_guesses();
        }
        match end {
            ControlFlow::Break(SearchEnd::Hit(hit)) => Some(*hit),
            ControlFlow::Break(SearchEnd::OutOfBudget) | ControlFlow::Continue(()) => None,
        }
    }

    /// Searches for a hit with wrong secrets, after [`find_public`](Self::find_public) found none.
    ///
    /// # Security
    /// Goes on after a hit, so that the time of the next explanation does not show whether there was
    /// one.
    pub(super) fn find_secret(mut self) -> Option<SearchHit<'e>> {
        self.budget.add(self.kept_for_secrets);
        // Both ends leave the hit behind.
        let _: Step<'e> = self.try_wrong_secrets();
        self.secret_hit.map(|hit| *hit)
    }

    /// Tries the stages 1 to 8 of the [module](super)'s list.
    fn try_right_secrets(&mut self) -> Step<'e> {
        self.unchanged = self.try_fresh(self.every_base())?;
        self.once = self.try_fresh(self.changed_once(ChangeKind::Usual))?;
        let (unchanged, once) = (self.unchanged.clone(), self.once.clone());
        self.try_all(&unchanged, Keyring::OtherMethods)?;
        let labels = self.of_part(&once, BaseStringPart::Label);
        self.try_all(&labels, Keyring::OtherMethods)?;
        self.try_pairs(&once, PairRank::Likely)?;
        let of_many = self.try_fresh(self.changed_once(ChangeKind::OneOfMany))?;
        self.try_pairs(&once, PairRank::WithScheme)?;
        let likely = once.iter().filter(|one| self.is_likely(one));
        let likely: Vec<_> = likely.cloned().collect();
        self.try_all(&likely, Keyring::OtherMethods)?;
        let schemes = self.of_part(&once, BaseStringPart::Scheme);
        let with_many = [schemes, of_many].concat();
        self.try_pairs(&with_many, PairRank::WithScheme)?;
        self.try_pairs(&once, PairRank::WithLikely)?;
        self.try_pairs(&once, PairRank::Unlikely)
    }

    /// Tries the stages 9 and 10 of the [module](super)'s list.
    fn try_guesses(&mut self) -> Step<'e> {
        let schemes = self.of_part(&self.once, BaseStringPart::Scheme);
        let plain = [self.unchanged.clone(), schemes.clone()].concat();
        self.try_all(&plain, Keyring::WithoutHmac)?;
        let guesses = self.try_fresh(self.changed_once(ChangeKind::Guess))?;
        self.try_pairs(&[schemes, guesses].concat(), PairRank::WithScheme)
    }

    /// Tries the stages 11 to 13 of the [module](super)'s list.
    fn try_wrong_secrets(&mut self) -> Step<'e> {
        let (unchanged, once) = (self.unchanged.clone(), self.once.clone());
        self.try_all(&unchanged, Keyring::WrongSecrets)?;
        let schemes = self.of_part(&once, BaseStringPart::Scheme);
        self.try_all(&schemes, Keyring::WrongSecrets)?;
        let (likely, others): (Vec<_>, Vec<_>) =
            once.into_iter().partition(|one| self.is_likely(one));
        self.try_all(&likely, Keyring::UsualWrongSecrets)?;
        self.try_all(&others, Keyring::UsualWrongSecrets)
    }

    /// Returns the candidates whose first change is of that part.
    fn of_part(&self, candidates: &[Candidate], part: BaseStringPart) -> Vec<Candidate> {
        let candidates = candidates.iter();
        let of_part = candidates.filter(|one| self.part(one) == Some(part));
        of_part.cloned().collect()
    }

    /// Returns the part that a candidate changes first.
    fn part(&self, candidate: &Candidate) -> Option<BaseStringPart> {
        let first = candidate.changes.first()?;
        Some(self.changes[*first].part)
    }

    fn is_likely(&self, candidate: &Candidate) -> bool {
        let mut changes = candidate.changes.iter();
        changes.all(|&at| self.changes[at].is_likely)
    }

    fn every_base(&self) -> Vec<Candidate> {
        let bases = 0..self.bases.len();
        bases
            .map(|base| Candidate {
                base,
                changes: Vec::new(),
            })
            .collect()
    }

    /// Returns each base with each change of a kind.
    fn changed_once(&self, kind: ChangeKind) -> Vec<Candidate> {
        let unchanged = self.every_base();
        let changes = self.changes.iter().enumerate();
        changes
            .filter(|(_, change)| ChangeKind::of(change) == kind)
            .flat_map(|(at, _)| unchanged.iter().map(move |base| base.with(at)))
            .collect()
    }

    fn try_pairs(&mut self, changed_once: &[Candidate], rank: PairRank) -> Step<'e> {
        for (at, one) in changed_once.iter().enumerate() {
            let others = &changed_once[at + 1..];
            let pairs = others
                .iter()
                .filter_map(|other| self.pair(one, other, rank));
            self.try_fresh(pairs.collect())?;
        }
        Step::Continue(())
    }

    /// Returns the changes of two candidates together, if they have the same base, change different
    /// parts, and are as likely together as `rank` says.
    fn pair(&self, one: &Candidate, other: &Candidate, rank: PairRank) -> Option<Candidate> {
        let (&first, &second) = (one.changes.first()?, other.changes.first()?);
        let (of_one, of_other) = (&self.changes[first], &self.changes[second]);
        let fits = one.base == other.base
            && of_one.part != of_other.part
            && PairRank::of(of_one, of_other) == rank;
        fits.then(|| one.with(second))
    }

    /// Makes the variant of a candidate.
    fn variant(&self, candidate: &Candidate) -> BaseStringVariant<'e> {
        let base = self.bases[candidate.base].clone();
        let changes = candidate.changes.iter().map(|&at| &self.changes[at]);
        changes.fold(base, |variant, change| change.of(&variant))
    }

    /// Tries the right keys on every base string that is new, and returns the candidates with a new
    /// one.
    fn try_fresh(&mut self, candidates: Vec<Candidate>) -> Step<'e, Vec<Candidate>> {
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

    fn try_all(&mut self, candidates: &[Candidate], keyring: Keyring) -> Step<'e> {
        for candidate in candidates {
            if let Some(text) = self.base_string(candidate)? {
                self.try_keys(candidate, &text, keyring)?;
            }
        }
        Step::Continue(())
    }

    /// Makes the base string; `None` if the request cannot be read in this way.
    fn base_string(&mut self, candidate: &Candidate) -> Step<'e, Option<Vec<u8>>> {
        let variant = self.variant(candidate);
        let text = variant.base_string(self.wire).map(|text| text.to_vec());
        self.spend(1 + length_cost(text.as_ref().map_or(0, Vec::len)))?;
        Step::Continue(text)
    }

    fn try_keys(&mut self, candidate: &Candidate, text: &[u8], keyring: Keyring) -> Step<'e> {
        for at in 0..self.keys(keyring).len() {
            let key = &self.keys(keyring)[at];
            if keyring == Keyring::UsualWrongSecrets && !key.is_usual {
                continue;
            }
            let cost = key.cost() + length_cost(text.len()) / 2;
            self.spend(cost)?;
            let key = &self.keys(keyring)[at];
            let hit = key
                .proves(text, &self.readings)
                .and_then(|reading| self.hit(candidate, text, key, reading));
            match (hit, keyring) {
                (None, _) => {}
                (Some(hit), Keyring::Right | Keyring::OtherMethods | Keyring::WithoutHmac) => {
                    return Step::Break(SearchEnd::Hit(Box::new(hit)));
                }
                (Some(hit), Keyring::WrongSecrets | Keyring::UsualWrongSecrets) => {
                    self.secret_hit.get_or_insert_with(|| Box::new(hit));
                }
            }
        }
        Step::Continue(())
    }

    fn keys(&self, keyring: Keyring) -> &[CandidateKey<'e>] {
        match keyring {
            Keyring::Right => &self.right_keys,
            Keyring::OtherMethods => &self.other_methods,
            Keyring::WithoutHmac => &self.without_hmac,
            Keyring::WrongSecrets | Keyring::UsualWrongSecrets => &self.wrong_secrets,
        }
    }

    fn spend(&mut self, cost: u32) -> Step<'e> {
        match self.budget.spend(cost) {
            Some(()) => Step::Continue(()),
            None => Step::Break(SearchEnd::OutOfBudget),
        }
    }

    /// Returns the hit; `None` if it takes more than two causes, which is unlikely to be the
    /// explanation.
    fn hit(
        &self,
        candidate: &Candidate,
        text: &[u8],
        key: &CandidateKey<'e>,
        reading: &SignatureReading,
    ) -> Option<SearchHit<'e>> {
        let mut causes: Vec<_> = candidate
            .changes
            .iter()
            .map(|&at| FoundCause {
                cause: self.changes[at].cause,
                remedy: self.changes[at].remedy.clone(),
                profile: self.profile(candidate, at, text),
                is_assumed: self.changes[at].is_assumed,
            })
            .collect();
        causes.extend(key.cause.map(|cause| {
            let is_named = causes.iter().any(|found| found.cause == cause);
            FoundCause {
                remedy: key.remedy.clone().filter(|_| !is_named),
                ..FoundCause::of(cause)
            }
        }));
        causes.extend(
            reading
                .encoding
                .map(|_| FoundCause::of(MismatchCause::SignatureEncoding)),
        );
        causes.dedup_by(|second, first| first.absorbs(second));
        (1..=2).contains(&causes.len()).then(|| SearchHit {
            causes,
            secret: key.secret,
            encoding: reading.encoding.unwrap_or_default(),
            base: self.bases[candidate.base].clone(),
            variant: self.variant(candidate),
        })
    }

    /// Returns the compat profile under which the verifier expects `text`, if the candidate's other
    /// changes are undone.
    fn profile(&self, candidate: &Candidate, undone: usize, text: &[u8]) -> Option<CompatProfile> {
        let others = candidate.changes.iter().filter(|&&at| at != undone);
        let others: Vec<_> = others.map(|&at| &self.changes[at]).collect();
        CompatProfile::ALL.into_iter().find(|&profile| {
            let compat = self.evidence.compat.with(profile);
            self.is_offered(profile)
                && compat_variants(compat, self.evidence.request, self.wire)
                    .into_iter()
                    .map(|variant| {
                        let changed = others.iter();
                        changed.fold(variant, |variant, change| change.of(&variant))
                    })
                    .any(|variant| {
                        let other = variant.base_string(self.wire);
                        other.is_some_and(|other| other.to_vec() == text)
                    })
        })
    }

    /// Returns whether a remedy may name a profile. That which leaves a query unsigned is for the
    /// operator to weigh.
    fn is_offered(&self, profile: CompatProfile) -> bool {
        let compat = self.evidence.compat;
        let has_hash = self.wire.position(ProtocolParameter::BodyHash).is_some();
        profile != CompatProfile::IgnoreQueryOnPost
            && !compat.contains(profile)
            && compat.with(profile).conflict().is_none()
            && (profile != CompatProfile::BodyUnsignedForm || has_hash)
    }
}

impl Candidate {
    /// Returns the candidate with another change.
    fn with(&self, change: usize) -> Self {
        Self {
            base: self.base,
            changes: self.changes.iter().copied().chain([change]).collect(),
        }
    }
}

fn hash_of(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The part of the budget that is kept for guesses: one divided by this.
const GUESS_SHARE: u32 = 5;

/// The part of the budget that is kept for wrong secrets: one divided by this.
const SECRET_SHARE: u32 = 5;

//! The search: what is tried, in which order, and until when.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::super::SignedRequest;
use super::super::compat::compat_variants;
use super::super::variant::Variant;
use super::super::wire::Wire;
use super::changes::{Change, changes};
use super::keys::Key;
use super::written::{Reading, readings};
use super::{MismatchCause, MismatchEvidence};

/// What a signature turned out to sign.
pub(super) struct Found<'e> {
    pub(super) causes: Vec<MismatchCause>,
    /// What to do, where that depends on more than the causes.
    pub(super) remedy: Option<&'static str>,
    /// How the base string was made that it was held against.
    pub(super) base: Variant<'e>,
    /// How the client made it.
    pub(super) variant: Variant<'e>,
}

/// A way to make a base string.
struct Candidate<'e> {
    variant: Variant<'e>,
    /// Which of the base variants it is made of.
    base: usize,
    /// Which of the changes were made to it.
    changes: Vec<usize>,
}

/// One search.
pub(super) struct Search<'e, 's> {
    wire: &'s Wire<'e>,
    readings: Vec<Reading>,
    right: Vec<Key<'e>>,
    wrong: Vec<Key<'e>>,
    changes: Vec<Change<'e>>,
    /// As RFC 5849 has it, and as the consumer's profiles do.
    bases: Vec<Variant<'e>>,
    /// Hashes of the base strings that were tried. Should two have the same, the second is not tried.
    seen: HashSet<u64>,
    left: u32,
}

/// Why a search ends before it has tried everything.
enum End<'e> {
    Found(Box<Found<'e>>),
    /// The budget is spent.
    Spent,
}

/// Which keys a base string is held against.
#[derive(Clone, Copy)]
enum Keyring {
    Right,
    Wrong,
}

impl<'e, 's> Search<'e, 's> {
    /// Prepares one.
    pub(super) fn new(
        evidence: &MismatchEvidence<'e>,
        signed: &SignedRequest<'e>,
        wire: &'s Wire<'e>,
        budget: u32,
    ) -> Self {
        let mut bases = vec![Variant::rfc(evidence.request)];
        if !evidence.compat.is_empty() {
            bases.extend(compat_variants(evidence.compat, evidence.request, wire));
        }
        Self {
            wire,
            readings: readings(signed.signature()),
            right: Key::right(&evidence.keys, signed),
            wrong: Key::wrong(evidence, signed),
            changes: changes(evidence, signed, wire),
            bases,
            seen: HashSet::new(),
            left: budget,
        }
    }

    /// Runs it.
    pub(super) fn run(mut self) -> Option<Found<'e>> {
        match self.stages() {
            Err(End::Found(found)) => Some(*found),
            Err(End::Spent) | Ok(()) => None,
        }
    }

    /// The stages in their order.
    fn stages(&mut self) -> Result<(), End<'e>> {
        let plain = (0..self.bases.len()).map(|base| self.base(base));
        let plain = plain.collect::<Vec<_>>();
        let plain = self.try_fresh(plain)?;
        let few = self.singles(false);
        let few = self.try_fresh(few)?;
        self.try_all(&plain, Keyring::Wrong)?;
        let many = self.singles(true);
        self.try_fresh(many)?;
        for (at, one) in few.iter().enumerate() {
            let pairs = few[at + 1..]
                .iter()
                .filter_map(|other| self.pair(one, other));
            let pairs = pairs.collect::<Vec<_>>();
            self.try_fresh(pairs)?;
        }
        self.try_all(&few, Keyring::Wrong)
    }

    fn base(&self, base: usize) -> Candidate<'e> {
        Candidate {
            variant: self.bases[base].clone(),
            base,
            changes: Vec::new(),
        }
    }

    /// Every change alone, of one kind.
    fn singles(&self, one_of_many: bool) -> Vec<Candidate<'e>> {
        let changes = (0..self.changes.len())
            .filter(|&change| self.changes[change].is_one_of_many == one_of_many);
        let of_bases = |change| (0..self.bases.len()).map(move |base| (change, base));
        changes
            .flat_map(of_bases)
            .map(|(change, base)| self.changed(&self.base(base), change))
            .collect()
    }

    /// What two candidates of one base changed, together; `None` when both changed the same part.
    fn pair(&self, one: &Candidate<'e>, other: &Candidate<'e>) -> Option<Candidate<'e>> {
        let part = |candidate: &Candidate<'_>| {
            candidate
                .changes
                .first()
                .map(|&change| self.changes[change].part)
        };
        let differ = one.base == other.base && part(one) != part(other);
        differ
            .then(|| {
                other
                    .changes
                    .first()
                    .map(|&change| self.changed(one, change))
            })
            .flatten()
    }

    fn changed(&self, candidate: &Candidate<'e>, change: usize) -> Candidate<'e> {
        Candidate {
            variant: self.changes[change].of(&candidate.variant),
            base: candidate.base,
            changes: candidate.changes.iter().copied().chain([change]).collect(),
        }
    }

    /// Holds the signature against the base strings that were not there before, with the right keys; returns those.
    fn try_fresh(&mut self, candidates: Vec<Candidate<'e>>) -> Result<Vec<Candidate<'e>>, End<'e>> {
        let mut fresh = Vec::new();
        for candidate in candidates {
            let Some(text) = self.make(&candidate)? else {
                continue;
            };
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            if self.seen.insert(hasher.finish()) {
                self.try_keys(&candidate, &text, Keyring::Right)?;
                fresh.push(candidate);
            }
        }
        Ok(fresh)
    }

    fn try_all(&mut self, candidates: &[Candidate<'e>], keyring: Keyring) -> Result<(), End<'e>> {
        for candidate in candidates {
            if let Some(text) = self.make(candidate)? {
                self.try_keys(candidate, &text, keyring)?;
            }
        }
        Ok(())
    }

    /// The base string; `None` when the request has something that can not be read in this way.
    fn make(&mut self, candidate: &Candidate<'e>) -> Result<Option<Vec<u8>>, End<'e>> {
        let made = candidate
            .variant
            .base_string(self.wire)
            .map(|made| made.to_vec());
        // One that is long takes as long as several.
        self.spend(1 + cost(made.as_ref().map_or(0, Vec::len)))?;
        Ok(made)
    }

    /// Holds the signature against a base string with each key.
    fn try_keys(
        &mut self,
        candidate: &Candidate<'e>,
        text: &[u8],
        keyring: Keyring,
    ) -> Result<(), End<'e>> {
        let count = self.keys(keyring).len();
        for at in 0..count {
            self.spend(self.keys(keyring)[at].cost() + cost(text.len()) / 2)?;
            let key = &self.keys(keyring)[at];
            if let Some(reading) = key.proves(text, &self.readings)
                && let Some(found) = self.found(candidate, key.cause, &self.readings[reading])
            {
                return Err(End::Found(Box::new(found)));
            }
        }
        Ok(())
    }

    fn keys(&self, keyring: Keyring) -> &[Key<'e>] {
        match keyring {
            Keyring::Right => &self.right,
            Keyring::Wrong => &self.wrong,
        }
    }

    /// What was found; `None` when it would take more than two causes, which is no likely story.
    fn found(
        &self,
        candidate: &Candidate<'e>,
        of_key: Option<MismatchCause>,
        reading: &Reading,
    ) -> Option<Found<'e>> {
        let mut causes: Vec<_> = candidate
            .changes
            .iter()
            .map(|&change| self.changes[change].cause)
            .collect();
        causes.extend(of_key);
        causes.extend((!reading.is_strict).then_some(MismatchCause::SignatureEncoding));
        causes.dedup();
        let remedy = candidate
            .changes
            .first()
            .and_then(|&change| self.changes[change].remedy);
        let (base, variant) = (
            self.bases[candidate.base].clone(),
            candidate.variant.clone(),
        );
        (1..=2).contains(&causes.len()).then_some(Found {
            causes,
            remedy,
            base,
            variant,
        })
    }

    fn spend(&mut self, cost: u32) -> Result<(), End<'e>> {
        self.left = self.left.checked_sub(cost).ok_or(End::Spent)?;
        Ok(())
    }
}

/// What a text of so many bytes costs beside what every one does.
fn cost(len: usize) -> u32 {
    u32::try_from(len / USUAL).unwrap_or(u32::MAX)
}

/// A base string of so many bytes is nothing special.
const USUAL: usize = 768;

//! The search: what is tried, in which order, and until when.

use std::collections::HashSet;

use super::super::SignedRequest;
use super::super::compat::compat_variants;
use super::super::variant::Variant;
use super::super::wire::Wire;
use super::changes::{Change, changes};
use super::keys::Key;
use super::written::{Reading, readings};
use super::{Cause, Evidence};

/// What a signature turned out to sign.
pub(super) struct Found<'e> {
    pub(super) causes: Vec<Cause>,
    /// What to do, where that depends on more than the causes.
    pub(super) remedy: Option<&'static str>,
    /// How the base string was made that it was held against.
    pub(super) base: Variant<'e>,
    /// How the client made it.
    pub(super) variant: Variant<'e>,
}

/// A base string to try.
struct Candidate<'e> {
    variant: Variant<'e>,
    /// Which of the base variants it is made of.
    base: usize,
    causes: Vec<Cause>,
    remedy: Option<&'static str>,
    text: Vec<u8>,
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
    seen: HashSet<Vec<u8>>,
    left: u32,
}

/// The budget is spent.
struct Spent;

impl<'e, 's> Search<'e, 's> {
    /// Prepares one.
    pub(super) fn new(evidence: &Evidence<'e>, signed: &SignedRequest<'e>, wire: &'s Wire<'e>, budget: u32) -> Self {
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
        let found = self.stages().unwrap_or(None)?;
        Some(Found {
            causes: found.causes,
            remedy: found.remedy,
            base: self.bases.swap_remove(found.base),
            variant: found.variant,
        })
    }

    /// The stages in their order.
    fn stages(&mut self) -> Result<Option<Candidate<'e>>, Spent> {
        let plain = self.plain();
        let singles = self.singles();
        let (many, few): (Vec<_>, Vec<_>) =
            singles.into_iter().partition(|(_, change)| self.changes[*change].is_one_of_many);
        for candidate in plain.iter().chain(few.iter().map(|(candidate, _)| candidate)) {
            if let Some(found) = self.try_right(candidate)? {
                return Ok(Some(found));
            }
        }
        for candidate in &plain {
            if let Some(found) = self.try_wrong(candidate)? {
                return Ok(Some(found));
            }
        }
        for (candidate, _) in &many {
            if let Some(found) = self.try_right(candidate)? {
                return Ok(Some(found));
            }
        }
        for (at, (candidate, change)) in few.iter().enumerate() {
            for (_, other) in &few[at + 1..] {
                if let Some(pair) = self.paired(candidate, *change, *other)
                    && let Some(found) = self.try_right(&pair)?
                {
                    return Ok(Some(found));
                }
            }
        }
        for (candidate, _) in &few {
            if let Some(found) = self.try_wrong(candidate)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The base strings that it was held against.
    fn plain(&mut self) -> Vec<Candidate<'e>> {
        let variants = self.bases.clone().into_iter().enumerate();
        variants.filter_map(|(base, variant)| self.fresh(variant, base, Vec::new(), None)).collect()
    }

    /// Every change alone, and its number.
    fn singles(&mut self) -> Vec<(Candidate<'e>, usize)> {
        let mut singles = Vec::new();
        for change in 0..self.changes.len() {
            for base in 0..self.bases.len() {
                let Change { cause, remedy, .. } = self.changes[change];
                let variant = self.changes[change].of(&self.bases[base]);
                let fresh = self.fresh(variant, base, vec![cause], remedy);
                singles.extend(fresh.map(|candidate| (candidate, change)));
            }
        }
        singles
    }

    /// One change and another one, of different parts.
    fn paired(&mut self, candidate: &Candidate<'e>, change: usize, other: usize) -> Option<Candidate<'e>> {
        let (one, two) = (&self.changes[change], &self.changes[other]);
        if one.part == two.part {
            return None;
        }
        let causes = if one.cause == two.cause { vec![one.cause] } else { vec![one.cause, two.cause] };
        let variant = two.of(&candidate.variant);
        self.fresh(variant, candidate.base, causes, None)
    }

    /// A candidate, unless its base string was there before.
    fn fresh(
        &mut self,
        variant: Variant<'e>,
        base: usize,
        causes: Vec<Cause>,
        remedy: Option<&'static str>,
    ) -> Option<Candidate<'e>> {
        let text = variant.base_string(self.wire)?.to_vec();
        self.seen.insert(text.clone()).then_some(Candidate { variant, base, causes, remedy, text })
    }

    fn try_right(&mut self, candidate: &Candidate<'e>) -> Result<Option<Candidate<'e>>, Spent> {
        try_keys(&self.right, &self.readings, &mut self.left, candidate)
    }

    fn try_wrong(&mut self, candidate: &Candidate<'e>) -> Result<Option<Candidate<'e>>, Spent> {
        try_keys(&self.wrong, &self.readings, &mut self.left, candidate)
    }
}

/// Holds the signature against a base string with each of these keys.
fn try_keys<'e>(
    keys: &[Key<'_>],
    readings: &[Reading],
    left: &mut u32,
    candidate: &Candidate<'e>,
) -> Result<Option<Candidate<'e>>, Spent> {
    for key in keys {
        *left = left.checked_sub(key.cost()).ok_or(Spent)?;
        let Some(reading) = key.proves(&candidate.text, readings) else { continue };
        let mut causes = candidate.causes.clone();
        causes.extend(key.cause);
        causes.extend((!readings[reading].is_strict).then_some(Cause::SignatureEncoding));
        // More than two at once would be no likely story.
        if (1..=2).contains(&causes.len()) {
            let Candidate { variant, base, remedy, text, .. } = candidate;
            return Ok(Some(Candidate {
                variant: variant.clone(),
                base: *base,
                causes,
                remedy: *remedy,
                text: text.clone(),
            }));
        }
    }
    Ok(None)
}

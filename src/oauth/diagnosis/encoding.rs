//! Changes of the number of times that names and values are decoded and encoded (RFC 5849 sections
//! 3.4.1.3.1 and 3.6).

use super::super::ParameterPlace;
use super::super::encode::EscapeSyntax;
use super::super::variant::{ByteSet, Encoding, Reading, TextForm};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};
use super::characters::{SentText, encoder_of, is_of_a_library, listed};
use super::sent::{Bytes, SentParameters};

/// Returns every change of the number of decodings and encodings.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let usual = USUAL_FORMS.iter().map(|form| form.change().likely());
    let forms = usual.chain(FORMS.iter().map(FormChange::change));
    let unencoded = UNENCODED.iter().filter_map(|scope| scope.unencoded(sent));
    let as_sent = AS_SENT.iter().map(|scope| {
        let change = scope.as_sent(sent);
        if scope.names && scope.values {
            change.likely()
        } else {
            change
        }
    });
    forms
        .chain(as_sent)
        .chain(unencoded)
        .chain(as_sent_and_component(sent))
        .collect()
}

/// Returns the changes of clients that sign names and values as they send them, and encode the
/// result with JavaScript's `encodeURIComponent`: with all characters that it leaves plain, and with
/// those that are left after some are replaced.
fn as_sent_and_component<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let raw: ByteSet = sent
        .iter()
        .flat_map(|one| [one.wire.name, one.wire.value])
        .flatten()
        .copied()
        .collect();
    let mut sets: Vec<_> = [&b"!*'()"[..], b"'()", b"!'()"]
        .into_iter()
        .map(|set| raw.and(ByteSet::of(set)))
        .filter(|set| !set.is_empty())
        .collect();
    sets.dedup();
    sets.into_iter()
        .map(|set| {
            let [everywhere, ..] = AS_SENT;
            let change = everywhere.changed(MismatchCause::EncodedOnce, |form| {
                form.reading = Reading::AsSent;
            });
            let change = change.and(BaseStringPart::Values, move |variant| {
                variant.joined_encoding = Encoding {
                    plain: Encoding::RFC.plain.or(set),
                    ..Encoding::RFC
                };
            });
            change.guess().with_own_remedy(format!(
                "the client signs names and values as it sends them, and leaves {} unencoded in the base \
                 string: make it decode names and values, encode them, and encode the joined \
                 parameters again, every character except letters, digits and `-._~` (RFC 5849 \
                 section 3.4.1.3.2)",
                listed(set)
            ))
        })
        .collect()
}

/// The names and values that a change is about.
#[derive(Clone, Copy)]
struct Scope {
    places: &'static [ParameterPlace],
    names: bool,
    values: bool,
}

/// A cause, its scope, and the change of each form.
struct FormChange {
    cause: MismatchCause,
    scope: Scope,
    change: fn(&mut TextForm),
}

impl FormChange {
    fn change<'e>(&self) -> BaseStringChange<'e> {
        self.scope.changed(self.cause, self.change)
    }
}

impl Scope {
    const fn all(places: &'static [ParameterPlace]) -> Self {
        Self {
            places,
            names: true,
            values: true,
        }
    }

    const fn names(places: &'static [ParameterPlace]) -> Self {
        Self {
            places,
            names: true,
            values: false,
        }
    }

    const fn values(places: &'static [ParameterPlace]) -> Self {
        Self {
            places,
            names: false,
            values: true,
        }
    }

    fn changed<'e>(self, cause: MismatchCause, change: fn(&mut TextForm)) -> BaseStringChange<'e> {
        let part = if self.values {
            BaseStringPart::Values
        } else {
            BaseStringPart::Names
        };
        BaseStringChange::new(cause, part, move |variant| {
            for &place in self.places {
                if self.names {
                    change(&mut variant.names[place as usize]);
                }
                if self.values {
                    change(&mut variant.values[place as usize]);
                }
            }
        })
    }

    /// Returns the change to names and values as they are sent.
    fn as_sent<'e>(self, sent: &SentParameters<'e>) -> BaseStringChange<'e> {
        let change = |cause| self.changed(cause, |form| form.reading = Reading::AsSent);
        match encoder_of(&self.sent_texts(sent)) {
            Some((cause, remedy)) => change(cause).with_own_remedy(remedy),
            None => change(self.cause_of_once()),
        }
    }

    /// Returns the texts of this scope: as sent, and decoded.
    fn sent_texts<'p>(self, sent: &'p SentParameters<'_>) -> Vec<SentText<'p>> {
        let there = sent
            .iter()
            .filter(|one| self.places.contains(&one.wire.place));
        let names = there.clone().filter(|_| self.names);
        let names = names.map(|one| (one.wire.name, &*one.name));
        let values = there.filter(|_| self.values);
        names
            .chain(values.map(|one| (one.wire.value, &*one.value)))
            .collect()
    }

    /// Returns the change to decoded names and values without an encoding, if it has an effect.
    fn unencoded<'e>(self, sent: &SentParameters<'e>) -> Option<BaseStringChange<'e>> {
        let in_names = self.reserved(self.names, &sent.name_bytes());
        let in_values = self.reserved(self.values, &sent.value_bytes());
        let plain = in_names.or(in_values);
        if plain.is_empty() || (plain == ByteSet::of(b"%") && sent.has_escapes()) {
            // Decoding twice gives the same bytes.
            return None;
        }
        let (cause, whose) = if in_values.is_empty() {
            (MismatchCause::NamesNotEncoded, "names")
        } else {
            let cause = if is_of_a_library(plain) {
                MismatchCause::CharactersNotEncoded
            } else {
                MismatchCause::EncodedOnce
            };
            let are_values = in_names.is_empty();
            (
                cause,
                if are_values {
                    "values"
                } else {
                    "names and values"
                },
            )
        };
        let change = self
            .changed(cause, |form| form.encoding = Encoding::NONE)
            .with_own_remedy(format!(
                "the client leaves {} unencoded in {whose} that it signs: make it encode every name \
                 and value before it joins and encodes them (RFC 5849 section 3.4.1.3.2)",
                listed(plain)
            ));
        Some(if cause == MismatchCause::CharactersNotEncoded {
            change.likely()
        } else {
            change
        })
    }

    /// Returns the reserved bytes of this scope.
    fn reserved(self, is_meant: bool, bytes: &Bytes) -> ByteSet {
        let places = self.places.iter().filter(|_| is_meant);
        let there = places.map(|&place| bytes[place as usize]);
        there
            .fold(ByteSet::NONE, ByteSet::or)
            .without(ByteSet::UNRESERVED)
    }

    const fn cause_of_once(self) -> MismatchCause {
        if self.values {
            MismatchCause::EncodedOnce
        } else {
            MismatchCause::NamesNotEncoded
        }
    }
}

const HEADER: ParameterPlace = ParameterPlace::Header;
const QUERY: ParameterPlace = ParameterPlace::Query;
const BODY: ParameterPlace = ParameterPlace::Body;
const EVERYWHERE: &[ParameterPlace] = &[HEADER, QUERY, BODY];
const OUTSIDE_HEADER: &[ParameterPlace] = &[QUERY, BODY];

/// The scopes of names and values that are signed as sent.
const AS_SENT: [Scope; 5] = [
    Scope::all(EVERYWHERE),
    Scope::all(&[HEADER, QUERY]),
    Scope::all(OUTSIDE_HEADER),
    Scope::values(OUTSIDE_HEADER),
    Scope::names(OUTSIDE_HEADER),
];

/// The scopes of names and values that are decoded and not encoded again.
const UNENCODED: [Scope; 4] = [
    Scope::names(EVERYWHERE),
    Scope::all(EVERYWHERE),
    Scope::all(OUTSIDE_HEADER),
    Scope::values(EVERYWHERE),
];

const fn form(cause: MismatchCause, scope: Scope, change: fn(&mut TextForm)) -> FormChange {
    FormChange {
        cause,
        scope,
        change,
    }
}

/// Frequent changes of forms.
const USUAL_FORMS: [FormChange; 4] = [
    form(
        MismatchCause::BracketsOnce,
        Scope::names(EVERYWHERE),
        |form| {
            form.encoding = Encoding::RFC.leaving(b"[]");
        },
    ),
    form(
        MismatchCause::PlusLiteral,
        Scope::all(&[QUERY]),
        plus_literal,
    ),
    form(
        MismatchCause::PlusLiteral,
        Scope::all(OUTSIDE_HEADER),
        plus_literal,
    ),
    form(MismatchCause::EncodedTwice, Scope::names(&[QUERY]), twice),
];

const FORMS: [FormChange; 13] = [
    form(
        MismatchCause::EncodedTwice,
        Scope::names(OUTSIDE_HEADER),
        twice,
    ),
    form(MismatchCause::EncodedTwice, Scope::all(EVERYWHERE), twice),
    form(
        MismatchCause::EncodedTwice,
        Scope::all(OUTSIDE_HEADER),
        twice,
    ),
    form(
        MismatchCause::EncodedTwice,
        Scope::values(EVERYWHERE),
        twice,
    ),
    form(
        MismatchCause::EncodedTwice,
        Scope::values(OUTSIDE_HEADER),
        twice,
    ),
    form(
        MismatchCause::EncodedTwice,
        Scope::names(&[QUERY]),
        undecoded,
    ),
    form(MismatchCause::EncodedTwice, Scope::all(&[QUERY]), undecoded),
    form(
        MismatchCause::EncodedTwice,
        Scope::all(OUTSIDE_HEADER),
        undecoded,
    ),
    form(
        MismatchCause::EncodedTwice,
        Scope::values(OUTSIDE_HEADER),
        undecoded,
    ),
    form(
        MismatchCause::DecodedTwice,
        Scope::all(EVERYWHERE),
        decoded_twice,
    ),
    form(
        MismatchCause::DecodedTwice,
        Scope::all(OUTSIDE_HEADER),
        decoded_twice,
    ),
    form(
        MismatchCause::DecodedTwice,
        Scope::values(EVERYWHERE),
        decoded_twice,
    ),
    form(
        MismatchCause::DecodedTwice,
        Scope::all(OUTSIDE_HEADER),
        |form| {
            form.reading = Reading::Twice(EscapeSyntax::Form);
        },
    ),
];

const fn plus_literal(form: &mut TextForm) {
    form.reading = Reading::PlusLiteral;
}

const fn twice(form: &mut TextForm) {
    form.is_encoded_twice = true;
}

const fn undecoded(form: &mut TextForm) {
    form.reading = Reading::Undecoded;
}

const fn decoded_twice(form: &mut TextForm) {
    form.reading = Reading::Twice(EscapeSyntax::Percent);
}

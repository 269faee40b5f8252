//! Changes of single values: not signed or signed in part, signed for none, or decoded or encoded
//! once too often.

use std::borrow::Cow;

use super::super::encode::{decode, encoded};
use super::super::variant::SignedParameter;
use super::MismatchCause;
use super::change::BaseStringChange;
use super::parameters::instead;
use super::sent::{SentParameter, SentParameters};
use super::spelling::{changed_list, listed};

/// Returns the changes of clients that do not sign a value, or only its beginning, of those that sign
/// a value for none, and of those that decode or encode one value again.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let mut changes = Vec::new();
    for (by, cut) in CUTS {
        changes.extend(cut_values(sent, by, cut));
    }
    changes.extend(ENDS.iter().filter_map(|&end| ended_values(sent, end)));
    changes.extend(without_values(sent));
    changes.extend(values_for_none(sent));
    changes.extend(one_converted(sent));
    changes
}

fn cut_values<'e>(
    sent: &SentParameters<'e>,
    by: u8,
    cut: fn(&[u8], usize) -> &[u8],
) -> Option<BaseStringChange<'e>> {
    let has = |one: &SentParameter<'_>| one.wire.value.contains(&by);
    let names = sent.named(sent.application().filter(|one| has(one)));
    let list = listed(sent, |one| {
        let at = one.wire.value.iter().position(|&byte| byte == by)?;
        let value = Cow::Owned(cut(one.wire.value, at).to_vec());
        Some(vec![SignedParameter {
            value,
            ..one.signed()
        }])
    })?;
    Some(
        instead(MismatchCause::ValueLeftOut, list).with_own_remedy(format!(
            "the client splits the value of {names} at a `{}`, and signs only a part, or somebody \
             added the rest on the way: make it split each parameter at its first `=` alone, and sign \
             the whole value",
            char::from(by)
        )),
    )
}

/// Returns the changes of clients that sign names alone: all, or one of them.
fn without_values<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let valued: Vec<_> = sent
        .application()
        .filter(|one| !one.value.is_empty())
        .collect();
    let without = |these: &dyn Fn(usize) -> bool| {
        let list = listed(sent, |one| {
            let is_meant = these(one.at) && !one.value.is_empty();
            is_meant.then(|| vec![one.with_value(b"")])
        })?;
        let names = sent.named(sent.application().filter(|one| these(one.at)));
        Some(
            instead(MismatchCause::ValueLeftOut, list).with_own_remedy(format!(
                "the client signs {names} without a value, or somebody added one on the way: make it \
                 sign the value that it sends (RFC 5849 section 3.4.1.3.1)"
            )),
        )
    };
    let all = without(&|_| true).into_iter();
    let each = valued.iter().filter_map(|one| without(&|at| at == one.at));
    all.chain(each.map(BaseStringChange::among_many)).collect()
}

fn values_for_none<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let with = |value: &dyn Fn(&SentParameter<'e>) -> Vec<u8>| {
        let list = listed(sent, |one| {
            one.value
                .is_empty()
                .then(|| vec![one.with_value(&value(one))])
        })?;
        let names = sent.named(sent.application().filter(|one| one.value.is_empty()));
        Some(
            instead(MismatchCause::EmptyValue, list).with_own_remedy(format!(
                "the client signs a value for {names}, but sends none, or somebody removed it on the \
                 way: make it sign an empty value (RFC 5849 section 3.4.1.3.1)"
            )),
        )
    };
    let words = WORDS_FOR_NONE.into_iter();
    let words = words.filter_map(|word| with(&|_| word.to_vec()));
    let words = words.chain(with(&|one| one.name.clone()));
    let falsy = FALSY_WORDS.into_iter();
    let falsy = falsy.filter_map(|word| with(&|_| word.to_vec()));
    words.chain(falsy.map(BaseStringChange::guess)).collect()
}

/// Returns the change of a client that signs the values up to a character that it decodes first.
fn ended_values<'e>(sent: &SentParameters<'e>, end: u8) -> Option<BaseStringChange<'e>> {
    let list = listed(sent, |one| {
        let at = one.value.iter().position(|&byte| byte == end)?;
        Some(vec![one.with_value(&one.value[..at])])
    })?;
    let at = if end == b' ' {
        "space".to_owned()
    } else {
        format!("`{}`", char::from(end))
    };
    let remedy = format!(
        "the client signs the value of {{names}} only up to the first {at}, or somebody added the \
         rest on the way: make it split the parameters before it decodes them, and sign the whole \
         value (RFC 5849 section 3.4.1.3.1)"
    );
    Some(changed_list(
        MismatchCause::ValueLeftOut,
        sent,
        list,
        &remedy,
    ))
}

/// Returns the changes of clients that decode or encode a single value again.
fn one_converted<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let mut changes = Vec::new();
    for one in sent.application().take(MAX_CONVERTED) {
        let mut add = |cause, value: &[u8], remedy| {
            let list = listed(sent, |other| {
                (other.at == one.at && *value != *one.value).then(|| vec![one.with_value(value)])
            });
            changes.extend(list.map(|list| changed_list(cause, sent, list, remedy).among_many()));
        };
        let decoded = decode(&Cow::Borrowed(&one.value));
        add(MismatchCause::DecodedTwice, &decoded, DECODED_AGAIN);
        let again = encoded(&one.value);
        add(MismatchCause::EncodedTwice, again.as_bytes(), ENCODED_AGAIN);
    }
    changes
}

type Cut = fn(&[u8], usize) -> &[u8];

/// A byte, and the part of a value that is signed if the client splits at that byte.
const CUTS: [(u8, Cut); 5] = [
    (b'=', |value, at| &value[..at]),
    (b'=', |value, _| {
        value
            .rsplit(|&byte| byte == b'=')
            .next()
            .unwrap_or_default()
    }),
    (b'?', |value, at| &value[..at]),
    (b';', |value, at| &value[..at]),
    (b'#', |value, at| &value[..at]),
];

/// The words that languages have for no value.
const WORDS_FOR_NONE: [&[u8]; 7] = [
    b"null",
    b"undefined",
    b"None",
    b"nil",
    b"true",
    b"1",
    b"True",
];

/// The words for values that languages take for none.
const FALSY_WORDS: [&[u8]; 2] = [b"0", b"false"];

/// The characters in front of which clients end a value that they decode before they split it.
const ENDS: [u8; 7] = *b"&=#?; +";

/// The most values that are converted one by one.
const MAX_CONVERTED: usize = 20;

const DECODED_AGAIN: &str = "the client decodes the value of {names} twice before it signs: make it decode every value once \
     (RFC 5849 section 3.4.1.3.1)";

const ENCODED_AGAIN: &str = "the client encodes the value of {names} before its OAuth library does: make it pass the plain \
     value to the library";

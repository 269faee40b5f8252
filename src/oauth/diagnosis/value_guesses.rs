//! Changes of the spelling of values: a language prints a word, a number or a date in another way
//! than the request has it, or a framework escapes or trims a text.

use std::borrow::Cow;

use super::super::encode::encoded;
use super::super::variant::SignedParameter;
use super::MismatchCause;
use super::change::BaseStringChange;
use super::parameters::instead;
use super::sent::{SentParameter, SentParameters};
use super::value_texts::{CHANGES, ValueChange};

/// Returns every change of values that would differ from the sent ones.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    if !sent.has_short_names() || !sent.has_short_values() {
        return Vec::new();
    }
    let mut changes: Vec<_> = CHANGES
        .iter()
        .flat_map(|change| of_application(sent, change))
        .collect();
    changes.extend(quoted(sent));
    changes.extend(exchanged(sent));
    changes
}

/// Returns the change of all values that it applies to, and of one of several.
fn of_application<'e>(
    sent: &SentParameters<'e>,
    change: &ValueChange,
) -> Vec<BaseStringChange<'e>> {
    let mut others = Vec::new();
    for one in sent.application() {
        if let Some(other) = change.of(&one.value) {
            others.push((one, other));
        }
    }
    let all = (!others.is_empty()).then(|| changed(sent, &others, change.how));
    let mut changes: Vec<_> = all.into_iter().collect();
    if others.len() > 1 {
        let each = others.chunks(1).take(MAX_SINGLES);
        changes.extend(each.map(|one| changed(sent, one, change.how)));
    }
    changes
}

/// A parameter, and the value that the client signs.
type OtherValue<'p, 'e> = (&'p SentParameter<'e>, String);

fn changed<'e>(
    sent: &SentParameters<'e>,
    others: &[OtherValue<'_, 'e>],
    how: &str,
) -> BaseStringChange<'e> {
    let names = sent.named(others.iter().map(|(one, _)| *one));
    instead(MismatchCause::ValuesChanged, with_values(sent, others))
        .guess()
        .with_own_remedy(format!(
            "the client signs the value of {names} {how}, or somebody changed it on the way: make it \
             sign the value that it sends (RFC 5849 section 3.4.1.3.1)"
        ))
}

/// Returns the parameters with some other values.
fn with_values<'e>(
    sent: &SentParameters<'e>,
    others: &[OtherValue<'_, 'e>],
) -> Vec<SignedParameter<'e>> {
    let signed = |one: &SentParameter<'e>| {
        let other = others.iter().find(|(changed, _)| changed.at == one.at);
        match other {
            Some((_, value)) => with_value(one, value),
            None => one.signed(),
        }
    };
    sent.iter().map(signed).collect()
}

fn with_value<'e>(one: &SentParameter<'e>, value: &str) -> SignedParameter<'e> {
    SignedParameter {
        value: Cow::Owned(encoded(value.as_bytes()).into_bytes()),
        ..one.signed()
    }
}

/// Returns the change of a client that signs the protocol's values in quotes, as the header has them.
fn quoted<'e>(sent: &SentParameters<'e>) -> Option<BaseStringChange<'e>> {
    let protocol = sent.iter().filter(|one| one.is_protocol());
    let quoted: Option<Vec<_>> = protocol
        .map(|one| Some((one, format!("\"{}\"", str::from_utf8(&one.value).ok()?))))
        .collect();
    Some(changed(sent, &quoted?, "in quotes, as the header has it"))
}

/// Returns the change of a client that signs name and value of its only parameter the other way
/// round.
fn exchanged<'e>(sent: &SentParameters<'e>) -> Option<BaseStringChange<'e>> {
    let list: Vec<_> = sent
        .iter()
        .map(|one| match one.is_protocol() {
            true => one.signed(),
            false => SignedParameter {
                name: Cow::Owned(encoded(&one.value).into_bytes()),
                value: Cow::Owned(encoded(&one.name).into_bytes()),
                hides_name: true,
                ..one.signed()
            },
        })
        .collect();
    sent.application().next()?;
    let change = instead(MismatchCause::ValuesChanged, list).guess();
    Some(change.with_remedy(Some(EXCHANGED)))
}

/// The most values that are changed one by one.
const MAX_SINGLES: usize = 6;

const EXCHANGED: &str = "the client swaps names and values before it signs, or somebody did on the way: make it sign \
     each name with its value";

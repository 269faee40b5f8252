//! Changes of the spelling of parameters: other names, and other separators.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::super::variant::SignedParameter;
use super::MismatchCause;
use super::change::BaseStringChange;
use super::parameters::instead;
use super::sent::{SentParameter, SentParameters};

/// Returns every change of names and separators that would differ from the sent parameters.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let mut changes = separators(sent);
    if sent.has_short_names() {
        changes.extend(names(sent));
    }
    changes
}

/// Returns the changes of clients that write names in another way.
fn names<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let renames: [(Rename, &str); 3] = [
        (php_name, PHP_NAMES),
        (|name, _| Some(name.to_ascii_lowercase()), LOWER_CASE_NAMES),
        (|name, _| Some(name.strip_prefix(b"amp;")?.to_vec()), HTML),
    ];
    let lists = renames.into_iter();
    lists
        .filter_map(|(rename, remedy)| Some((renamed(sent, rename)?, remedy)))
        .map(|(list, remedy)| changed_list(MismatchCause::NamesChanged, sent, list, remedy))
        .collect()
}

/// Returns the changes of clients for which more characters separate parameters.
fn separators<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let split = |by: u8| {
        listed(sent, |one| {
            let segment = segment(one);
            if !segment.contains(&by) {
                return None;
            }
            let parts = segment.split(|&byte| byte == by).enumerate();
            let parts = parts.filter(|(_, part)| !part.is_empty());
            let list = parts.map(|(at, part)| SignedParameter {
                // Behind the first separator, the name is a part of the value.
                hides_name: at > 0,
                ..of_segment(one, part)
            });
            Some(list.collect())
        })
    };
    split(b';')
        .map(|list| changed_list(MismatchCause::SemicolonSeparator, sent, list, SEMICOLON))
        .into_iter()
        .collect()
}

/// Returns the change of a client that signs another list. `{names}` in the remedy stands for the
/// parameters that the list does not have as they are sent.
pub(super) fn changed_list<'e>(
    cause: MismatchCause,
    sent: &SentParameters<'e>,
    list: Vec<SignedParameter<'e>>,
    remedy: &str,
) -> BaseStringChange<'e> {
    let unchanged: HashSet<_> = list
        .iter()
        .map(|one| (one.sent, &*one.name, &*one.value))
        .collect();
    let is_changed =
        |one: &&SentParameter<'e>| !unchanged.contains(&(one.at, one.wire.name, one.wire.value));
    let names = sent.named(sent.application().filter(is_changed));
    let remedy = remedy.replace("{names}", &names);
    instead(cause, list).with_own_remedy(remedy)
}

/// A function from a decoded name and the number of its earlier occurrences to the signed name;
/// `None` leaves the name as it is.
pub(super) type Rename = fn(&[u8], Occurrence) -> Option<Vec<u8>>;

/// The occurrence of a name.
#[derive(Clone, Copy)]
pub(super) struct Occurrence {
    /// The occurrences before it.
    pub(super) before: usize,
    /// All occurrences.
    pub(super) all: usize,
}

/// Returns the parameters with other names; `None` if all stay the same.
pub(super) fn renamed<'e>(
    sent: &SentParameters<'e>,
    rename: Rename,
) -> Option<Vec<SignedParameter<'e>>> {
    let mut counts = HashMap::<Vec<u8>, Occurrence>::new();
    for one in sent.application() {
        let none = Occurrence { before: 0, all: 0 };
        counts.entry(one.name.clone()).or_insert(none).all += 1;
    }
    let mut change = |one: &SentParameter<'e>| {
        let occurrence = counts.get_mut(&one.name)?;
        let this = *occurrence;
        occurrence.before += 1;
        let name = rename(&one.name, this).filter(|name| *name != one.name)?;
        Some(vec![one.renamed(&name)])
    };
    listed(sent, &mut change)
}

/// Returns the list that is signed if `change` gives other parameters for some of the
/// application's; `None` if it gives none.
pub(super) fn listed<'e>(
    sent: &SentParameters<'e>,
    mut change: impl FnMut(&SentParameter<'e>) -> Option<Vec<SignedParameter<'e>>>,
) -> Option<Vec<SignedParameter<'e>>> {
    let mut is_changed = false;
    let mut list = Vec::new();
    for one in sent.iter() {
        match (!one.is_protocol()).then(|| change(one)).flatten() {
            Some(others) => {
                is_changed = true;
                list.extend(others);
            }
            None => list.push(one.signed()),
        }
    }
    is_changed.then_some(list)
}

/// Returns the name that PHP's `$_GET` and `parse_str` have for a name.
fn php_name(name: &[u8], _: Occurrence) -> Option<Vec<u8>> {
    let end = name
        .iter()
        .position(|&byte| byte == b'[')
        .unwrap_or(name.len());
    let mut out = name.to_vec();
    out[..end]
        .iter_mut()
        .filter(|byte| matches!(byte, b'.' | b' '))
        .for_each(|byte| *byte = b'_');
    Some(out)
}

/// Returns a parameter as the wire has it, with its `=`.
fn segment(one: &SentParameter<'_>) -> Vec<u8> {
    if one.wire.value.is_empty() {
        one.wire.name.to_vec()
    } else {
        [one.wire.name, b"=", one.wire.value].concat()
    }
}

fn of_segment<'e>(one: &SentParameter<'e>, segment: &[u8]) -> SignedParameter<'e> {
    let at = segment.iter().position(|&byte| byte == b'=');
    let (name, value) = at.map_or((segment, &b""[..]), |at| {
        (&segment[..at], &segment[at + 1..])
    });
    SignedParameter {
        name: Cow::Owned(name.to_vec()),
        value: Cow::Owned(value.to_vec()),
        ..one.signed()
    }
}

const SEMICOLON: &str = "the client treats the `;` in {names} as a separator of parameters: make it split them only at `&`, or \
     send `%3B`";

const PHP_NAMES: &str = "the client signs {names} with `_` instead of a `.` or a space, as PHP's `$_GET` has it: make it \
     sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const LOWER_CASE_NAMES: &str = "the client signs {names} in lowercase, but sends uppercase letters: make it sign the names that it sends \
     (RFC 5849 section 3.4.1.3.1)";

const HTML: &str = "the client sends `&amp;` between parameters, and signs `&`: make it send the URL without the \
     escapes of HTML";

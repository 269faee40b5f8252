//! Changes of arrays and objects: clients write them in many ways, and sign another one than they
//! send.

use std::borrow::Cow;

use super::super::encode::encoded;
use super::super::variant::SignedParameter;
use super::MismatchCause;
use super::change::BaseStringChange;
use super::sent::SentParameters;
use super::spelling::{Occurrence, Rename, changed_list, listed, renamed};

/// Returns the changes of clients that write arrays and objects in another way.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    if !sent.has_short_names() {
        return Vec::new();
    }
    let change = |list, remedy| changed_list(MismatchCause::ArraySyntax, sent, list, remedy);
    let renames = RENAMES
        .iter()
        .filter_map(|(rename, remedy)| Some(change(renamed(sent, *rename)?, *remedy).likely()));
    let mut changes: Vec<_> = renames.collect();
    let others = joined_arrays(sent).into_iter().chain(as_words(sent));
    changes.extend(others.map(|(list, remedy)| change(list, remedy)));
    changes.extend(split_arrays(sent).map(|list| change(list, SPLIT)));
    changes
}

/// Returns the lists with one parameter for each array: its values joined.
fn joined_arrays<'e>(sent: &SentParameters<'e>) -> Vec<(Vec<SignedParameter<'e>>, &'static str)> {
    let names: [NamePart; 2] = [without_index, |name| name];
    let ways = names.into_iter().flat_map(|name| {
        let separators = SEPARATORS.into_iter();
        separators.map(move |separator| joined_array(sent, name, separator))
    });
    ways.flatten().map(|list| (list, JOINED)).collect()
}

fn joined_array<'e>(
    sent: &SentParameters<'e>,
    name_of: NamePart,
    separator: &[u8],
) -> Option<Vec<SignedParameter<'e>>> {
    let mut values = std::collections::HashMap::<&[u8], Vec<&[u8]>>::new();
    for one in sent.application() {
        let name = without_index(&one.name);
        values.entry(name).or_default().push(&one.value);
    }
    if values.values().all(|values| values.len() < 2) {
        return None;
    }
    listed(sent, |one| {
        let key = without_index(&one.name);
        match values.get_mut(key) {
            Some(these) if these.len() > 1 => {
                let joined = these.join(separator);
                these.clear();
                let value = Cow::Owned(encoded(&joined).into_bytes());
                let named = one.renamed(name_of(&one.name));
                Some(vec![SignedParameter { value, ..named }])
            }
            Some(these) if these.is_empty() => Some(Vec::new()),
            _ => None,
        }
    })
}

/// Returns the lists with one parameter for each part of a value with commas.
fn split_arrays<'e>(sent: &SentParameters<'e>) -> impl Iterator<Item = Vec<SignedParameter<'e>>> {
    let suffixes = [&b""[..], b"[]"].into_iter();
    suffixes.filter_map(move |suffix| {
        listed(sent, |one| {
            let count = one.value.split(|&byte| byte == b',').count();
            // Each part repeats the name.
            if !(2..=MAX_PARTS).contains(&count) || one.name.len() > MAX_REPEATED_LEN {
                return None;
            }
            let name = [&one.name, suffix].concat();
            let parts = one.value.split(|&byte| byte == b',');
            let with = |part: &[u8]| SignedParameter {
                name: one.renamed(&name).name,
                ..one.with_value(part)
            };
            Some(parts.map(with).collect())
        })
    })
}

/// Returns the lists with a word for each array or object: what a language makes of one.
fn as_words<'e>(sent: &SentParameters<'e>) -> Vec<(Vec<SignedParameter<'e>>, &'static str)> {
    let words: [ArrayWord; 4] = [
        (b"Array", before_brackets),
        (b"", before_brackets),
        (b"[object Object]", before_brackets),
        (b"[object Object]", before_last_brackets),
    ];
    let lists = words.into_iter().filter_map(|(word, name_of)| {
        let mut seen = std::collections::HashSet::new();
        listed(sent, |one| {
            let name = name_of(&one.name)?;
            if !seen.insert(name.to_vec()) {
                return Some(Vec::new());
            }
            let named = one.renamed(name);
            Some(vec![SignedParameter {
                name: named.name,
                ..one.with_value(word)
            }])
        })
    });
    lists.map(|list| (list, WORDS)).collect()
}

/// The most parts of a value that are signed as parameters of their own.
const MAX_PARTS: usize = 100;

/// The longest name that is repeated for each part, in bytes.
const MAX_REPEATED_LEN: usize = 256;

/// A part of a name.
type NamePart = fn(&[u8]) -> &[u8];

/// A word for an array or object, and the name that it is signed under.
type ArrayWord = (&'static [u8], fn(&[u8]) -> Option<&[u8]>);

/// Returns the name without `[]` or `[0]` at its end.
fn without_index(name: &[u8]) -> &[u8] {
    let is_index = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    match name
        .strip_suffix(b"]")
        .and_then(|rest| rest.iter().rposition(|&byte| byte == b'['))
    {
        Some(at) if at > 0 && is_index(&name[at + 1..name.len() - 1]) => &name[..at],
        _ => name,
    }
}

fn before_brackets(name: &[u8]) -> Option<&[u8]> {
    let at = name.iter().position(|&byte| byte == b'[')?;
    (at > 0).then(|| &name[..at])
}

/// Returns `a[b]` for `a[b][c]`.
fn before_last_brackets(name: &[u8]) -> Option<&[u8]> {
    let at = name.iter().rposition(|&byte| byte == b'[')?;
    name[..at].contains(&b'[').then(|| &name[..at])
}

/// Returns the name with an index, if it stands for a member of an array.
fn indexed(name: &[u8], occurrence: Occurrence) -> Option<Vec<u8>> {
    let base = name.strip_suffix(b"[]");
    if base.is_none() && occurrence.all < 2 {
        return None;
    }
    let index = format!("[{}]", occurrence.before);
    Some([base.unwrap_or(name), index.as_bytes()].concat())
}

/// Returns the name with an index behind it, whatever it ends with, if it is repeated.
fn indexed_again(name: &[u8], occurrence: Occurrence) -> Option<Vec<u8>> {
    let index = format!("[{}]", occurrence.before);
    (occurrence.all > 1).then(|| [name, index.as_bytes()].concat())
}

fn with_brackets(name: &[u8], occurrence: Occurrence) -> Option<Vec<u8>> {
    let base = without_index(name);
    let is_array = base.len() < name.len() || occurrence.all > 1;
    is_array.then(|| [base, b"[]"].concat())
}

/// Returns `a.b` for `a[b]`.
fn dotted(name: &[u8], _: Occurrence) -> Option<Vec<u8>> {
    name.contains(&b'[').then(|| {
        let inner = name.iter().filter(|&&byte| byte != b']');
        inner
            .map(|&byte| if byte == b'[' { b'.' } else { byte })
            .collect()
    })
}

/// Returns `a[b]` for `a.b`.
fn bracketed(name: &[u8], _: Occurrence) -> Option<Vec<u8>> {
    let mut parts = name.split(|&byte| byte == b'.');
    let mut out = parts.next()?.to_vec();
    for part in parts {
        out.extend_from_slice(&[b"[", part, b"]"].concat());
    }
    Some(out)
}

const RENAMES: [(Rename, &str); 6] = [
    (
        |name, _| Some(without_index(name).to_vec()),
        BRACKETS_TAKEN_OFF,
    ),
    (indexed, INDEXED),
    (indexed_again, INDEXED),
    (with_brackets, BRACKETS_ADDED),
    (dotted, NESTED),
    (bracketed, NESTED),
];

/// The texts between the values of an array that is signed as one parameter.
const SEPARATORS: [&[u8]; 5] = [b",", b", ", b" ", b";", b"|"];

const BRACKETS_TAKEN_OFF: &str = "the client signs {names} without the brackets that it sends: make it sign the names that it \
     sends (RFC 5849 section 3.4.1.3.1)";

const BRACKETS_ADDED: &str = "the client signs {names} as an array with brackets that it does not send, such as `a[]` for `a`: \
     make it sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const INDEXED: &str = "the client signs {names} with indices that it does not send, such as `a[0]` and `a[1]`: make it \
     sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const NESTED: &str = "the client signs {names} in a different syntax than it sends, such as `a.b` for `a[b]`: make it sign \
     the names that it sends (RFC 5849 section 3.4.1.3.1)";

const JOINED: &str = "the client signs {names} as one parameter with its values joined, but sends one parameter for \
     each value: make it sign every parameter that it sends (RFC 5849 section 3.4.1.3.1)";

const SPLIT: &str = "the client signs one parameter for each part of {names} between commas, but sends the value as a \
     whole: make it sign the parameters that it sends (RFC 5849 section 3.4.1.3.1)";

const WORDS: &str = "the client signs a word such as `Array` or `[object Object]` instead of the members of {names}: \
     make it sign every parameter that it sends (RFC 5849 section 3.4.1.3.1)";

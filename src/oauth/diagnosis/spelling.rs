//! Changes of the names and values of sent parameters: arrays, separators, and parts that are not
//! signed.

use std::borrow::Cow;

use super::super::encode::encoded;
use super::super::variant::SignedParameter;
use super::MismatchCause;
use super::change::BaseStringChange;
use super::parameters::instead;
use super::sent::{SentParameter, SentParameters};

/// Returns every change that would differ from the sent parameters.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let mut changes = arrays(sent);
    changes.extend(names(sent));
    changes.extend(separators(sent));
    changes.extend(values(sent));
    changes
}

/// Returns the changes of clients that write arrays and objects in another way.
fn arrays<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let change = |list, remedy| instead(MismatchCause::ArraySyntax, list).with_remedy(Some(remedy));
    let renames = RENAMES
        .iter()
        .filter_map(|(rename, remedy)| Some(change(renamed(sent, *rename)?, *remedy).likely()));
    let mut changes: Vec<_> = renames.collect();
    let others = joined_arrays(sent).into_iter().chain(as_words(sent));
    changes.extend(others.map(|(list, remedy)| change(list, remedy)));
    changes.extend(split_arrays(sent).map(|list| change(list, SPLIT)));
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
        .map(|(list, remedy)| instead(MismatchCause::NamesChanged, list).with_remedy(Some(remedy)))
        .collect()
}

/// Returns the changes of clients for which more characters separate parameters.
fn separators<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let split = |by: u8| {
        listed(sent, |one| {
            let segment = segment(one);
            let parts: Vec<_> = segment.split(|&byte| byte == by).collect();
            let parts = parts.into_iter().filter(|part| !part.is_empty());
            Some(parts.map(|part| of_segment(one, part)).collect())
        })
    };
    split(b';')
        .map(|list| instead(MismatchCause::SemicolonSeparator, list))
        .into_iter()
        .collect()
}

/// Returns the changes of clients that do not sign a value, or only its beginning, and of those that
/// sign a value for none.
fn values<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let mut changes = Vec::new();
    for (by, cut) in CUTS {
        changes.extend(cut_values(sent, by, cut));
    }
    changes.extend(without_values(sent));
    changes.extend(values_for_none(sent));
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
            "the client splits the value of {names} at a `{}`, and signs only a part: make it \
             split each parameter at its first `=` alone, and sign the whole value",
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
                "the client signs {names} without a value: make it sign the value that it sends \
                 (RFC 5849 section 3.4.1.3.1)"
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
                "the client signs a value for {names}, but sends none: make it sign an empty \
                 value (RFC 5849 section 3.4.1.3.1)"
            )),
        )
    };
    let words = WORDS_FOR_NONE.into_iter();
    let words = words.filter_map(|word| with(&|_| word.to_vec()));
    words.chain(with(&|one| one.name.clone())).collect()
}

/// A function from a decoded name and the number of its earlier occurrences to the signed name;
/// `None` leaves the name as it is.
type Rename = fn(&[u8], Occurrence) -> Option<Vec<u8>>;

/// The occurrence of a name.
#[derive(Clone, Copy)]
struct Occurrence {
    /// The occurrences before it.
    before: usize,
    /// All occurrences.
    all: usize,
}

/// Returns the parameters with other names; `None` if all stay the same.
fn renamed<'e>(sent: &SentParameters<'e>, rename: Rename) -> Option<Vec<SignedParameter<'e>>> {
    let mut counts = std::collections::HashMap::<Vec<u8>, Occurrence>::new();
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
fn listed<'e>(
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

const BRACKETS_TAKEN_OFF: &str = "the client signs an array without the brackets that it sends, such as `a` for `a[]`: make it \
     sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const BRACKETS_ADDED: &str = "the client signs an array with brackets that it does not send, such as `a[]` for `a`: make it \
     sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const INDEXED: &str = "the client signs an array with indices that it does not send, such as `a[0]` and `a[1]`: make \
     it sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const NESTED: &str = "the client signs a nested name in a different syntax than it sends, such as `a.b` for `a[b]`: \
     make it sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const JOINED: &str = "the client signs an array as one parameter with its values joined, but sends one parameter \
     for each value: make it sign every parameter that it sends (RFC 5849 section 3.4.1.3.1)";

const SPLIT: &str = "the client signs one parameter for each part of a value with commas, but sends the value as \
     a whole: make it sign the parameters that it sends (RFC 5849 section 3.4.1.3.1)";

const WORDS: &str = "the client signs a word such as `Array` or `[object Object]` instead of the members of an \
     array or object: make it sign every parameter that it sends (RFC 5849 section 3.4.1.3.1)";

const PHP_NAMES: &str = "the client signs names with `_` instead of a `.` or a space, as PHP's `$_GET` has them: make \
     it sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const LOWER_CASE_NAMES: &str = "the client signs names in lower case, but sends capitals: make it sign the names that it \
     sends (RFC 5849 section 3.4.1.3.1)";

const HTML: &str = "the client sends `&amp;` between parameters, and signs `&`: make it send the URL without the \
     escapes of HTML";

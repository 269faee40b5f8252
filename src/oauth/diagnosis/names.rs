//! Changes of the spelling of names: of the application's parameters, and of the protocol's.

use std::borrow::Cow;

use super::super::ParameterPlace;
use super::super::encode::encoded;
use super::super::parameter::PREFIX;
use super::super::variant::SignedParameter;
use super::MismatchCause;
use super::change::BaseStringChange;
use super::parameters::instead;
use super::sent::{SentParameter, SentParameters};
use super::spelling::listed;

/// Returns every change of names that would differ from the sent ones.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    if !sent.has_short_names() {
        return Vec::new();
    }
    let change = |list, remedy| {
        instead(MismatchCause::NamesChanged, list)
            .with_remedy(Some(remedy))
            .guess()
    };
    let renamed = RENAMES
        .iter()
        .filter_map(|(rename, remedy)| Some(change(renamed(sent, *rename)?, *remedy)));
    let mut changes: Vec<_> = renamed.collect();
    changes.extend(escaped_separators(sent).map(|list| change(list, HTML)));
    changes.extend(without_prefix(sent).map(|list| change(list, PREFIX_MISSING)));
    changes
}

type Rename = fn(&str) -> Option<String>;

/// Returns the parameters with other names; `None` if all stay the same.
fn renamed<'e>(sent: &SentParameters<'e>, rename: Rename) -> Option<Vec<SignedParameter<'e>>> {
    listed(sent, |one| {
        let name = str::from_utf8(&one.name).ok()?;
        let other = rename(name).filter(|other| other != name)?;
        Some(vec![one.renamed(other.as_bytes())])
    })
}

/// Returns the parameters of a client that signs the `&amp;` of a page as `amp;` in front of names.
fn escaped_separators<'e>(sent: &SentParameters<'e>) -> Option<Vec<SignedParameter<'e>>> {
    let first = sent.application().map(|one| one.at).next()?;
    listed(sent, |one| {
        let is_behind = one.at > first && one.wire.place == ParameterPlace::Query;
        is_behind.then(|| vec![one.renamed(&[b"amp;", &*one.name].concat())])
    })
}

/// Returns the parameters of a client that signs the protocol's names without their `oauth_`.
fn without_prefix<'e>(sent: &SentParameters<'e>) -> Option<Vec<SignedParameter<'e>>> {
    let short = |one: &SentParameter<'e>| match one.name.strip_prefix(PREFIX) {
        Some(rest) => SignedParameter {
            name: Cow::Owned(encoded(rest).into_bytes()),
            ..one.signed()
        },
        None => one.signed(),
    };
    Some(sent.iter().map(short).collect())
}

/// Returns `page_size` for `pageSize`, with another separator.
fn separated(name: &str, separator: char) -> Option<String> {
    let mut out = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push(separator);
        }
        out.push(letter.to_ascii_lowercase());
    }
    Some(out)
}

/// Returns `pageSize` for `page_size` and `page-size`.
fn camel(name: &str) -> Option<String> {
    let mut words = name.split(['_', '-']);
    let first = words.next()?.to_owned();
    Some(words.fold(first, |all, word| all + &capitalized(word)))
}

fn capitalized(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}

fn lower_first(name: &str) -> Option<String> {
    let mut name = name.to_owned();
    name.get_mut(..1)?.make_ascii_lowercase();
    Some(name)
}

/// Returns `b` for `a[b]`.
fn in_brackets(name: &str) -> Option<String> {
    let (_, inner) = name.strip_suffix(']')?.split_once('[')?;
    (!inner.is_empty()).then(|| inner.to_owned())
}

const RENAMES: [(Rename, &str); 15] = [
    (|name| separated(name, '_'), CASE),
    (|name| separated(name, '-'), CASE),
    (camel, CASE),
    (|name| Some(capitalized(&camel(name)?)), CASE),
    (lower_first, CASE),
    (|name| Some(name.to_ascii_uppercase()), CASE),
    (|name| Some(name.replace('-', "_")), CASE),
    (|name| Some(name.replace('_', "-")), CASE),
    (|name| Some(name.trim().to_owned()), AROUND),
    (|name| Some(name.strip_prefix('?')?.to_owned()), AROUND),
    (|name| Some(name.strip_prefix('$')?.to_owned()), AROUND),
    (|name| Some(name.strip_prefix('@')?.to_owned()), AROUND),
    (|name| Some(name.strip_prefix('\u{FEFF}')?.to_owned()), MARK),
    (in_brackets, BRACKETS),
    (|name| Some(name.replace(['[', ']'], "")), BRACKETS),
];

const CASE: &str = "the client signs names in a different case or with different separators than it sends, such as `page_size` for \
     `pageSize`: make it sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const AROUND: &str = "the client sends names with a `?`, `$`, `@` or white space at the beginning or end, but signs \
     them without it: make it sign the names that it sends (RFC 5849 section 3.4.1.3.1)";

const MARK: &str = "the client sends a byte order mark in front of the form, but signs the first name without it: \
     make it send the form without the mark";

const BRACKETS: &str = "the client signs a nested name without its brackets, such as `b` for `a[b]`: make it sign the \
     names that it sends (RFC 5849 section 3.4.1.3.1)";

const HTML: &str = "the client signs `&amp;` between parameters, as in HTML, but sends `&`: make it sign the URL without \
     HTML escapes";

const PREFIX_MISSING: &str = "the client signs the `oauth_` parameters without that prefix: make it sign the names that it sends \
     (RFC 5849 section 3.4.1.3.1)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_that_of_its_clients() {
        let of = |name: &str| -> Vec<String> {
            let renames = RENAMES.iter();
            renames.filter_map(|(rename, _)| rename(name)).collect()
        };
        for (name, other) in [
            ("pageSize", "page_size"),
            ("pageSize", "page-size"),
            ("page_size", "pageSize"),
            ("page-size", "PageSize"),
            ("PageSize", "pageSize"),
            ("size", "SIZE"),
            ("page-size", "page_size"),
            (" page", "page"),
            ("?a", "a"),
            ("$filter", "filter"),
            ("\u{FEFF}a", "a"),
            ("filter[name]", "name"),
        ] {
            assert!(of(name).iter().any(|made| made == other), "{name}: {other}");
        }
        for name in ["", "é", "[", "]", "_", "[]"] {
            of(name);
        }
    }
}

//! Changes of the query or the form as a whole: decoded before it is split, split elsewhere, or taken
//! for a single text.

use std::collections::HashSet;

use super::super::encode::{EscapeSyntax, decode, encoded, normalize};
use super::super::uri::split_target;
use super::super::variant::SignedParameter;
use super::super::wire::form;
use super::super::{ParameterPlace, Request, RequestBody};
use super::MismatchCause;
use super::change::BaseStringChange;
use super::parameters::instead;
use super::sent::{SentParameter, SentParameters};

/// Returns every change of the whole text of query and form.
pub(super) fn changes<'e>(
    request: &Request<'e>,
    sent: &SentParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = Vec::new();
    let query = (ParameterPlace::Query, split_target(request.target).1);
    let body = match request.body {
        RequestBody::Whole(body) if sent.has_form() => body,
        RequestBody::Whole(_) | RequestBody::NotWhole | RequestBody::Unseen => b"",
    };
    for (place, text) in [query, (ParameterPlace::Body, body)] {
        if (1..=MAX_LEN).contains(&text.len()) {
            changes.extend(read_otherwise(sent, place, text));
        }
    }
    changes
}

/// Returns the changes of clients that read the text in another way.
fn read_otherwise<'e>(
    sent: &SentParameters<'e>,
    place: ParameterPlace,
    text: &[u8],
) -> Vec<BaseStringChange<'e>> {
    let mut changes = Vec::new();
    if let Some(early) = decoded_early(text) {
        let pairs = replaced(sent, place, &early);
        let change = instead(MismatchCause::DecodedTwice, pairs);
        changes.push(change.with_remedy(Some(EARLY)).guess());
    }
    for separator in SEPARATORS {
        if text.contains(&separator) {
            let text: Vec<_> = text
                .iter()
                .map(|&byte| if byte == separator { b'&' } else { byte })
                .collect();
            let change = instead(
                MismatchCause::SemicolonSeparator,
                replaced(sent, place, &text),
            );
            changes.push(change.guess().with_own_remedy(format!(
                "the client treats a `{}` as a separator of parameters: make it split them only at `&`, \
                 or escape the character",
                char::from(separator).escape_default()
            )));
        }
    }
    changes.extend(one_text(sent, place, text));
    changes
}

/// Returns the text decoded before it is split, if that makes a difference.
fn decoded_early(text: &[u8]) -> Option<Vec<u8>> {
    let is_separator =
        |escape: &[u8]| escape.eq_ignore_ascii_case(b"%26") || escape.eq_ignore_ascii_case(b"%3D");
    text.windows(3).any(is_separator).then_some(())?;
    let normal = normalize(text, EscapeSyntax::Form).ok()?;
    let decoded = decode(&normal).into_owned();
    // Without another decoding.
    let encoded = decoded.split(|&byte| byte == b'&').map(|segment| {
        let mut parts = segment.splitn(2, |&byte| byte == b'=');
        let name = encoded(parts.next().unwrap_or_default());
        let value = encoded(parts.next().unwrap_or_default());
        format!("{name}={value}").into_bytes()
    });
    Some(encoded.collect::<Vec<_>>().join(&b'&'))
}

/// Returns the changes of clients that take the text for one name, or for a list of characters.
fn one_text<'e>(
    sent: &SentParameters<'e>,
    place: ParameterPlace,
    text: &[u8],
) -> Vec<BaseStringChange<'e>> {
    let mark: &[u8] = if place == ParameterPlace::Query {
        b"?"
    } else {
        b""
    };
    let name = |text: &[u8]| format!("{}=", encoded(text)).into_bytes();
    let mut texts = vec![name(text), name(&[mark, text].concat())];
    if let (true, Ok(text)) = (text.len() <= MAX_CHARACTERS, str::from_utf8(text)) {
        let each = text
            .chars()
            .enumerate()
            .map(|(at, one)| format!("{at}={}", encoded(one.encode_utf8(&mut [0; 4]).as_bytes())));
        texts.push(each.collect::<Vec<_>>().join("&").into_bytes());
    }
    texts.dedup();
    texts
        .iter()
        .map(|text| {
            let list = replaced(sent, place, text);
            let change = instead(MismatchCause::NamesChanged, list);
            change.with_remedy(Some(ONE_TEXT)).guess()
        })
        .collect()
}

/// Returns the list that is signed if one place has the parameters of another text. A name that is
/// not sent there is made of a value.
fn replaced<'e>(
    sent: &SentParameters<'e>,
    place: ParameterPlace,
    text: &[u8],
) -> Vec<SignedParameter<'e>> {
    let is_kept = |one: &&SentParameter<'e>| one.wire.place != place || one.is_protocol();
    let others = sent.iter().filter(is_kept).map(|one| one.signed());
    let names: HashSet<_> = sent
        .iter()
        .filter(|one| one.wire.place == place && sent.shown(&one.name, &one.value).is_some())
        .map(|one| one.wire.name)
        .collect();
    let own = form(place, text).take(MAX_PARAMETERS);
    let own = own.filter(|parameter| !parameter.is_protocol());
    let own = own.map(|parameter| SignedParameter {
        sent: usize::MAX,
        place,
        name: parameter.name.to_vec().into(),
        value: parameter.value.to_vec().into(),
        hides_name: !names.contains(parameter.name),
    });
    others.chain(own).collect()
}

/// The characters that clients take for an `&`, except `;`.
const SEPARATORS: [u8; 4] = *b"?,\n|";

/// The longest query or form that is read in another way, in bytes.
const MAX_LEN: usize = 8 * 1024;

/// The longest text of which each character is a parameter.
const MAX_CHARACTERS: usize = 256;

/// The most parameters that are read from a text.
const MAX_PARAMETERS: usize = 200;

const EARLY: &str = "the client decodes the query or form before it splits it at `&` and `=`: make it split first, and \
     then decode each name and value (RFC 5849 section 3.4.1.3.1)";

const ONE_TEXT: &str = "the client signs the whole query or form as a single text instead of its parameters: make it pass a list \
     of names and values to its OAuth library";

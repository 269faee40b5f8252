//! Changes of the body's part in the base string (RFC 5849 section 3.4.1.3.1): only a form is
//! signed, as it is sent.

use super::super::encode::{EscapeSyntax, normalize};
use super::super::form::BodyType;
use super::super::pair::ParameterPair;
use super::super::variant::SignedParameter;
use super::super::wire::{WireParameter, form};
use super::super::{ParameterPlace, Request, RequestBody};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};
use super::gzip::decompressed;
use super::json::json_readings;
use super::multipart::multipart_readings;
use super::parameters::instead;
use super::sent::SentParameters;

/// Returns every change of the body's part.
pub(super) fn changes<'e>(
    request: &Request<'e>,
    sent: &SentParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let RequestBody::Whole(body) = request.body else {
        return Vec::new();
    };
    if !(1..=MAX_BODY_LEN).contains(&body.len()) {
        return Vec::new();
    }
    match BodyType::of(request.content_type) {
        Ok(BodyType::Form) => compressed_form(body, sent).into_iter().collect(),
        Ok(_) => included(request, body),
        Err(_) => Vec::new(),
    }
}

/// Returns the changes that sign a body that is not a form.
fn included<'e>(request: &Request<'e>, body: &[u8]) -> Vec<BaseStringChange<'e>> {
    let plain = [as_form(body), Some(as_name(body)), as_characters(body)];
    let as_text = is_json(body).then_some(JSON_TEXT);
    let plain = plain.into_iter().flatten().map(|pairs| (pairs, as_text));
    let fields = json_readings(body)
        .into_iter()
        .map(|pairs| (pairs, Some(JSON)));
    let content_type = request.content_type.first().copied().unwrap_or_default();
    let parts = multipart_readings(content_type, body).into_iter();
    let parts = parts.map(|pairs| (pairs, Some(MULTIPART)));
    plain
        .chain(fields)
        .chain(parts)
        .filter(|(pairs, _)| !pairs.is_empty())
        .map(|(pairs, remedy)| signed_too(pairs).with_remedy(remedy))
        .chain(named(body))
        .collect()
}

/// Returns the changes that sign the whole body under a name.
fn named<'e>(body: &[u8]) -> impl Iterator<Item = BaseStringChange<'e>> {
    BODY_NAMES.into_iter().map(|name| {
        let pairs = vec![ParameterPair::encode(name, body)];
        signed_too(pairs).with_remedy(Some(NAMED)).guess()
    })
}

/// Returns whether the body is a JSON object or array.
fn is_json(body: &[u8]) -> bool {
    let begins = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
    begins && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

fn signed_too<'e>(pairs: Vec<ParameterPair<'static>>) -> BaseStringChange<'e> {
    BaseStringChange::new(
        MismatchCause::BodyIncluded,
        BaseStringPart::Body,
        move |variant| variant.unsent.extend(pairs.iter().cloned()),
    )
}

fn as_form(body: &[u8]) -> Option<Vec<ParameterPair<'static>>> {
    form(ParameterPlace::Body, body)
        .take(MAX_PARAMETERS)
        .map(|parameter| normal_pair(&parameter))
        .collect()
}

fn normal_pair(parameter: &WireParameter<'_>) -> Option<ParameterPair<'static>> {
    let normal = |raw| Some(normalize(raw, EscapeSyntax::Form).ok()?.into_owned().into());
    Some(ParameterPair {
        name: normal(parameter.name)?,
        value: normal(parameter.value)?,
        hides_name: false,
    })
}

/// Reads the whole body as a name.
fn as_name(body: &[u8]) -> Vec<ParameterPair<'static>> {
    vec![ParameterPair::encode(body, b"")]
}

/// Reads every character as a value, with its index as the name: what a loop over the fields of a
/// JavaScript string gives.
fn as_characters(body: &[u8]) -> Option<Vec<ParameterPair<'static>>> {
    if body.len() > MAX_CHARACTERS {
        return None;
    }
    let mut at = 0;
    let pairs = str::from_utf8(body).ok()?.chars().map(|character| {
        let pair = ParameterPair::encode(
            at.to_string().as_bytes(),
            character.encode_utf8(&mut [0; 4]).as_bytes(),
        );
        at += character.len_utf16();
        pair
    });
    Some(pairs.collect())
}

/// Returns the change of a client that signs a form and sends it compressed.
fn compressed_form<'e>(body: &[u8], sent: &SentParameters<'e>) -> Option<BaseStringChange<'e>> {
    let body = decompressed(body, MAX_BODY_LEN)?;
    let others = sent
        .iter()
        .filter(|one| one.wire.place != ParameterPlace::Body);
    let others = others.map(|one| one.signed());
    let fields = form(ParameterPlace::Body, &body).take(MAX_PARAMETERS);
    let fields = fields.map(|field| SignedParameter {
        sent: usize::MAX,
        place: ParameterPlace::Body,
        name: field.name.to_vec().into(),
        value: field.value.to_vec().into(),
        hides_name: false,
    });
    Some(instead(
        MismatchCause::FormCompressed,
        others.chain(fields).collect(),
    ))
}

/// The longest body that is read as parameters, in bytes.
const MAX_BODY_LEN: usize = 64 * 1024;

/// The most parameters that are read from a body.
const MAX_PARAMETERS: usize = 200;

/// The longest body of which each character is a parameter.
const MAX_CHARACTERS: usize = 512;

/// The names under which clients sign a whole body.
const BODY_NAMES: [&[u8]; 5] = [b"body", b"data", b"payload", b"json", b"params"];

const NAMED: &str = "the client signs the whole body as the value of a parameter: make it sign without the body, with \
     an `oauth_body_hash` to protect it";

const JSON: &str = "the client signs the fields of a JSON body as parameters: make it sign without the body, with \
     an `oauth_body_hash` to protect it, or send a form instead";

const JSON_TEXT: &str = "the client signs the text of a JSON body as a parameter: make it sign without the body, with an \
     `oauth_body_hash` to protect it";

const MULTIPART: &str = "the client signs the fields of a multipart body as parameters: make it sign without the body, \
     or send the fields as `application/x-www-form-urlencoded`";

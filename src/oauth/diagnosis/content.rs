//! Changes of the signed content: method, query, body and protocol parameters (RFC 5849 section
//! 3.4.1.3.1).

use std::borrow::Cow;

use serde_json::Value;

use super::super::encode::{EscapeSyntax, normalize};
use super::super::form::is_form;
use super::super::pair::ParameterPair;
use super::super::uri::split_target;
use super::super::wire::{WireParameter, WireParameters, form};
use super::super::{ParameterPlace, ProtocolParameter, Request, RequestBody, SignedRequest};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};

/// Returns every change of the content that may explain the request.
pub(super) fn changes<'e>(
    request: &Request<'e>,
    signed: &SignedRequest<'e>,
    wire: &WireParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = vec![query_left_out(), form_left_out(), version(wire)];
    changes.extend(methods());
    changes.extend(query_in_uri(request, wire));
    changes.extend(body_included(request));
    changes.extend(empty_token(signed, wire));
    changes.extend(realm_included(signed));
    changes
}

fn methods<'e>() -> impl Iterator<Item = BaseStringChange<'e>> {
    let methods: [&[u8]; 6] = [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD"];
    methods.into_iter().map(|method| {
        BaseStringChange::new(
            MismatchCause::Method,
            BaseStringPart::Method,
            move |variant| variant.method = Cow::Borrowed(method),
        )
    })
}

fn query_left_out<'e>() -> BaseStringChange<'e> {
    BaseStringChange::new(
        MismatchCause::QueryLeftOut,
        BaseStringPart::Query,
        |variant| variant.with_query = false,
    )
}

fn form_left_out<'e>() -> BaseStringChange<'e> {
    BaseStringChange::new(
        MismatchCause::FormLeftOut,
        BaseStringPart::Form,
        |variant| variant.with_form = false,
    )
}

/// Returns the changes that sign the query in the URI: instead of its parameters, and in addition
/// to them.
fn query_in_uri<'e>(request: &Request<'e>, wire: &WireParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let query = split_target(request.target).1;
    if query.is_empty() || wire.has_protocol(ParameterPlace::Query) {
        return Vec::new();
    }
    let change = |with_query| {
        BaseStringChange::new(
            MismatchCause::QueryInUri,
            BaseStringPart::Query,
            move |variant| {
                variant.uri_query = Some(Cow::Borrowed(query));
                variant.with_query = with_query;
            },
        )
    };
    vec![change(false), change(true)]
}

/// Returns the changes that sign a body that is not a form: read as a form, and as a JSON object.
fn body_included<'e>(request: &Request<'e>) -> impl Iterator<Item = BaseStringChange<'e>> {
    let body = match (request.body, is_form(request.content_type)) {
        (RequestBody::Whole(body), Ok(false)) if (1..=MAX_BODY_LEN).contains(&body.len()) => {
            Some(body)
        }
        _ => None,
    };
    let readings = body
        .into_iter()
        .flat_map(|body| [as_form(body), as_json(body)]);
    readings.flatten().map(|pairs| {
        BaseStringChange::new(
            MismatchCause::BodyIncluded,
            BaseStringPart::Body,
            move |variant| variant.unsent.extend(pairs.iter().cloned()),
        )
    })
}

fn as_form(body: &[u8]) -> Option<Vec<ParameterPair<'_>>> {
    form(ParameterPlace::Body, body)
        .take(MAX_PARAMETERS)
        .map(|parameter| normal_pair(&parameter))
        .collect()
}

fn normal_pair<'a>(parameter: &WireParameter<'a>) -> Option<ParameterPair<'a>> {
    Some(ParameterPair {
        name: normalize(parameter.name, EscapeSyntax::Form).ok()?,
        value: normalize(parameter.value, EscapeSyntax::Form).ok()?,
    })
}

/// Returns the fields of a JSON object, as a client signs them that takes them for parameters;
/// `None` if a field is an array or an object.
fn as_json(body: &[u8]) -> Option<Vec<ParameterPair<'_>>> {
    let Value::Object(fields) = serde_json::from_slice(body).ok()? else {
        return None;
    };
    let pairs = fields.iter().take(MAX_PARAMETERS).map(|(name, value)| {
        let text = plain_text(value)?;
        Some(ParameterPair::encode(name.as_bytes(), text.as_bytes()))
    });
    pairs.collect()
}

fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) | Value::Null => Some(value.to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn empty_token<'e>(
    signed: &SignedRequest<'e>,
    wire: &WireParameters<'e>,
) -> Option<BaseStringChange<'e>> {
    let (cause, part) = (MismatchCause::EmptyToken, BaseStringPart::Token);
    signed
        .token()
        .is_none()
        .then(|| match wire.position(ProtocolParameter::Token) {
            Some(at) => not_signed(cause, part, at),
            None => not_sent(cause, part, ParameterPair::encode(b"oauth_token", b"")),
        })
}

fn version<'e>(wire: &WireParameters<'e>) -> BaseStringChange<'e> {
    let (cause, part) = (MismatchCause::Version, BaseStringPart::Version);
    match wire.position(ProtocolParameter::Version) {
        Some(at) => not_signed(cause, part, at),
        None => not_sent(cause, part, ParameterPair::encode(b"oauth_version", b"1.0")),
    }
}

fn realm_included<'e>(signed: &SignedRequest<'e>) -> Option<BaseStringChange<'e>> {
    let realm = ParameterPair::encode(b"realm", signed.realm()?);
    Some(not_sent(
        MismatchCause::RealmIncluded,
        BaseStringPart::Realm,
        realm,
    ))
}

/// Returns the change of a client that sends a parameter but does not sign it.
fn not_signed<'e>(cause: MismatchCause, part: BaseStringPart, at: usize) -> BaseStringChange<'e> {
    BaseStringChange::new(cause, part, move |variant| variant.left_out.push(at))
}

/// Returns the change of a client that signs a parameter but does not send it as one.
fn not_sent<'e>(
    cause: MismatchCause,
    part: BaseStringPart,
    pair: ParameterPair<'static>,
) -> BaseStringChange<'e> {
    BaseStringChange::new(cause, part, move |variant| {
        variant.unsent.push(pair.clone());
    })
}

/// The longest body that is read as parameters, in bytes.
const MAX_BODY_LEN: usize = 64 * 1024;

/// The most parameters that are read from a body.
const MAX_PARAMETERS: usize = 200;

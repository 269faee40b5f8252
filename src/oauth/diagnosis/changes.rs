//! The changes of a base string that are tried, but for those of where the request goes.

use std::borrow::Cow;

use serde_json::Value;

use super::super::encode::{Syntax, normalize};
use super::super::media_type::is_form;
use super::super::params::Pair;
use super::super::uri::split_target;
use super::super::variant::{Order, Values, Variant};
use super::super::wire::{Wire, form};
use super::super::{ParameterPlace, ProtocolParameter, Request, RequestBody, SignedRequest};
use super::{MismatchCause, MismatchEvidence, location, path};

/// One way in which the base string may have been made otherwise.
pub(super) struct Change<'e> {
    pub(super) cause: MismatchCause,
    /// What it changes: two changes of one part are never tried together.
    pub(super) part: Part,
    /// What to do, where that depends on more than the cause.
    pub(super) remedy: Option<&'static str>,
    /// Whether it is one of many, which are tried last and alone.
    pub(super) is_one_of_many: bool,
    apply: Box<dyn Fn(&mut Variant<'e>) + 'e>,
}

/// A part of how a base string is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Scheme,
    Authority,
    Path,
    Method,
    Query,
    Form,
    Body,
    Token,
    Version,
    Realm,
    Values,
    Names,
    Order,
}

impl<'e> Change<'e> {
    pub(super) fn new(
        cause: MismatchCause,
        part: Part,
        apply: impl Fn(&mut Variant<'e>) + 'e,
    ) -> Self {
        Self {
            cause,
            part,
            remedy: None,
            is_one_of_many: false,
            apply: Box::new(apply),
        }
    }

    pub(super) const fn with_remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = Some(remedy);
        self
    }

    pub(super) const fn among_many(mut self) -> Self {
        self.is_one_of_many = true;
        self
    }

    /// A variant with this change too.
    pub(super) fn of(&self, variant: &Variant<'e>) -> Variant<'e> {
        let mut changed = variant.clone();
        (self.apply)(&mut changed);
        changed
    }
}

/// Every change that may explain this request, in the order of [`MismatchCause::ALL`].
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    signed: &SignedRequest<'e>,
    wire: &Wire<'e>,
) -> Vec<Change<'e>> {
    let request = evidence.request;
    let mut changes = location::changes(evidence, signed.realm());
    changes.extend(path::changes(evidence));
    changes.extend(methods());
    changes.extend(queries(request, wire));
    changes.extend(bodies(request));
    changes.push(Change::new(
        MismatchCause::BracketsOnce,
        Part::Names,
        |variant| variant.brackets_once = true,
    ));
    changes.extend(values());
    changes.push(Change::new(
        MismatchCause::EncodedTwice,
        Part::Names,
        |variant| variant.query_names_twice = true,
    ));
    for order in [
        Order::Decoded,
        Order::Name,
        Order::Joined,
        Order::AsSent,
        Order::ProtocolLast,
    ] {
        changes.push(Change::new(
            MismatchCause::Sorting,
            Part::Order,
            move |variant| variant.order = order,
        ));
    }
    changes.extend(protocol(signed, wire));
    changes.sort_by_key(|change| change.cause);
    changes
}

fn methods<'e>() -> impl Iterator<Item = Change<'e>> {
    let methods: [&[u8]; 6] = [b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD"];
    methods.into_iter().map(|method| {
        Change::new(MismatchCause::Method, Part::Method, move |variant| {
            variant.method = Cow::Borrowed(method)
        })
    })
}

fn queries<'e>(request: &Request<'e>, wire: &Wire<'e>) -> Vec<Change<'e>> {
    let query = split_target(request.target).1;
    let mut changes = vec![Change::new(
        MismatchCause::QueryLeftOut,
        Part::Query,
        |variant| variant.query = false,
    )];
    if !query.is_empty() && !wire.signed_in(ParameterPlace::Query) {
        for also_parameters in [false, true] {
            changes.push(Change::new(
                MismatchCause::QueryInUri,
                Part::Query,
                move |variant| {
                    variant.uri_query = Some(Cow::Borrowed(query));
                    variant.query = also_parameters;
                },
            ));
        }
    }
    changes.push(Change::new(
        MismatchCause::FormLeftOut,
        Part::Form,
        |variant| variant.form = false,
    ));
    changes
}

/// A body that is no form, read as one, and as an object in JSON.
fn bodies<'e>(request: &Request<'e>) -> impl Iterator<Item = Change<'e>> {
    let body = match (request.body, is_form(request.content_type)) {
        (RequestBody::Whole(body), Ok(false)) if !body.is_empty() && body.len() <= LARGEST_BODY => {
            Some(body)
        }
        _ => None,
    };
    let readings = body
        .into_iter()
        .flat_map(|body| [as_form(body), as_json(body)]);
    readings.flatten().map(|added| {
        Change::new(MismatchCause::BodyIncluded, Part::Body, move |variant| {
            variant.added.extend(added.iter().cloned())
        })
    })
}

fn as_form(body: &[u8]) -> Option<Vec<Pair<'_>>> {
    let pairs = form(ParameterPlace::Body, body)
        .take(MOST_PARAMETERS)
        .map(|parameter| {
            let name = normalize(parameter.name, Syntax::Form).ok()?;
            Some(Pair {
                name,
                value: normalize(parameter.value, Syntax::Form).ok()?,
            })
        });
    pairs.collect()
}

/// The fields of an object as a client writes them that takes them for parameters; `None` when it has others inside.
fn as_json(body: &[u8]) -> Option<Vec<Pair<'_>>> {
    let Value::Object(fields) = serde_json::from_slice(body).ok()? else {
        return None;
    };
    let pairs = fields.iter().take(MOST_PARAMETERS).map(|(name, value)| {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) | Value::Null => value.to_string(),
            Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Pair::encode(name.as_bytes(), value.as_bytes()))
    });
    pairs.collect()
}

fn values<'e>() -> impl Iterator<Item = Change<'e>> {
    let everywhere = |values| [values; 3];
    let not_in_the_header = |values| [Values::Rfc, values, values];
    let ways: [(_, _, &[u8]); 14] = [
        (
            MismatchCause::PlusLiteral,
            [Values::Rfc, Values::PlusLiteral, Values::Rfc],
            b"",
        ),
        (
            MismatchCause::PlusLiteral,
            not_in_the_header(Values::PlusLiteral),
            b"",
        ),
        (
            MismatchCause::SpaceAsPlus,
            everywhere(Values::SpaceAsPlus),
            b"",
        ),
        (MismatchCause::SpaceAsPlus, everywhere(Values::Java), b""),
        (MismatchCause::SpaceAsPlus, everywhere(Values::Java), b"*"),
        (MismatchCause::EncodedOnce, everywhere(Values::AsSent), b""),
        (
            MismatchCause::EncodedOnce,
            [Values::AsSent, Values::AsSent, Values::Rfc],
            b"",
        ),
        (
            MismatchCause::EncodedOnce,
            not_in_the_header(Values::AsSent),
            b"",
        ),
        (MismatchCause::EncodedOnce, everywhere(Values::Decoded), b""),
        (
            MismatchCause::EncodedOnce,
            not_in_the_header(Values::Decoded),
            b"",
        ),
        (MismatchCause::EncodedTwice, everywhere(Values::Twice), b""),
        (
            MismatchCause::EncodedTwice,
            not_in_the_header(Values::Twice),
            b"",
        ),
        (
            MismatchCause::CharactersNotEncoded,
            everywhere(Values::Component),
            b"",
        ),
        (
            MismatchCause::CharactersNotEncoded,
            everywhere(Values::Component),
            b"!*'()",
        ),
    ];
    ways.into_iter().map(|(cause, values, left_plain)| {
        Change::new(cause, Part::Values, move |variant| {
            variant.values = values;
            variant.left_plain = left_plain;
        })
    })
}

/// What is sent and not signed, or signed and not sent.
fn protocol<'e>(signed: &SignedRequest<'e>, wire: &Wire<'e>) -> Vec<Change<'e>> {
    let without = |parameter| move |variant: &mut Variant<'e>| variant.without = Some(parameter);
    let with = |name: &[u8], value: &[u8]| {
        let added = Pair::encode(name, value);
        move |variant: &mut Variant<'e>| variant.added.push(added.clone())
    };
    let is_sent = |parameter: ProtocolParameter| {
        wire.parameters.iter().any(|sent| {
            sent.normal_name()
                .is_some_and(|name| *name == *parameter.name().as_bytes())
        })
    };
    let mut changes = Vec::new();
    if signed.token().is_none() {
        changes.push(if is_sent(ProtocolParameter::Token) {
            Change::new(
                MismatchCause::EmptyToken,
                Part::Token,
                without(ProtocolParameter::Token),
            )
        } else {
            Change::new(
                MismatchCause::EmptyToken,
                Part::Token,
                with(b"oauth_token", b""),
            )
        });
    }
    changes.push(if is_sent(ProtocolParameter::Version) {
        Change::new(
            MismatchCause::Version,
            Part::Version,
            without(ProtocolParameter::Version),
        )
    } else {
        Change::new(
            MismatchCause::Version,
            Part::Version,
            with(b"oauth_version", b"1.0"),
        )
    });
    if let Some(realm) = signed.realm() {
        changes.push(Change::new(
            MismatchCause::RealmIncluded,
            Part::Realm,
            with(b"realm", realm),
        ));
    }
    changes
}

/// The longest body that is read as parameters.
const LARGEST_BODY: usize = 64 * 1024;

/// The most parameters that are read of it.
const MOST_PARAMETERS: usize = 200;

//! The parameters of a parsed request as the wire has them, for readings that deviate from RFC
//! 5849.
//!
//! [`Request::parse`] decides whether the request is well-formed.

use std::borrow::Cow;

use super::encode::{EscapeSyntax, normalize};
use super::form::{form_pairs, is_form};
use super::header::{AuthParams, oauth_credentials};
use super::parameter::PREFIX;
use super::uri::split_target;
use super::{ParameterPlace, ProtocolParameter, Request, RequestBody};

/// The parameters of a signed request on the wire, without `oauth_signature` and the realm.
pub(super) struct WireParameters<'a> {
    parameters: Vec<WireParameter<'a>>,
}

/// A parameter on the wire.
#[derive(Clone, Copy)]
pub(super) struct WireParameter<'a> {
    /// The place.
    pub(super) place: ParameterPlace,
    /// The name, not decoded.
    pub(super) name: &'a [u8],
    /// The value, not decoded.
    pub(super) value: &'a [u8],
}

impl<'a> WireParameters<'a> {
    /// Reads the parameters of a request; `None` if it cannot be parsed.
    pub(super) fn of(request: &Request<'a>) -> Option<Self> {
        let mut parameters = header(request)?;
        parameters.extend(form(ParameterPlace::Query, split_target(request.target).1));
        if let (true, RequestBody::Whole(body)) =
            (is_form(request.content_type).ok()?, request.body)
        {
            parameters.extend(form(ParameterPlace::Body, body));
        }
        parameters.retain(|parameter| !parameter.is_named(ProtocolParameter::Signature));
        Some(Self { parameters })
    }

    /// Returns the parameters in the order of the wire.
    pub(super) fn iter(&self) -> impl Iterator<Item = &WireParameter<'a>> {
        self.parameters.iter()
    }

    /// Returns the index of a protocol parameter, if the client sent it.
    pub(super) fn position(&self, parameter: ProtocolParameter) -> Option<usize> {
        self.iter().position(|sent| sent.is_named(parameter))
    }

    /// Returns whether that place holds protocol parameters.
    pub(super) fn has_protocol(&self, place: ParameterPlace) -> bool {
        self.protocol(place).next().is_some()
    }

    /// Returns whether a protocol parameter in that place has a `+` that is not encoded.
    pub(super) fn has_protocol_plus(&self, place: ParameterPlace) -> bool {
        self.protocol(place)
            .any(|one| one.name.contains(&b'+') || one.value.contains(&b'+'))
    }

    /// Returns whether raw names and values stay distinct once they are joined: none of them holds
    /// an `&`.
    pub(super) fn can_be_joined(&self) -> bool {
        self.iter()
            .all(|parameter| !parameter.value.contains(&b'&') && !parameter.name.contains(&b'&'))
    }

    fn protocol(&self, place: ParameterPlace) -> impl Iterator<Item = &WireParameter<'a>> {
        self.iter()
            .filter(move |parameter| parameter.place == place && parameter.is_protocol())
    }
}

impl WireParameter<'_> {
    /// Returns the name in normal form.
    pub(super) fn normal_name(&self) -> Option<Cow<'_, [u8]>> {
        normalize(self.name, EscapeSyntax::of(self.place)).ok()
    }

    fn is_named(&self, parameter: ProtocolParameter) -> bool {
        self.normal_name()
            .is_some_and(|name| *name == *parameter.name().as_bytes())
    }

    /// Returns whether the name begins with `oauth_`.
    pub(super) fn is_protocol(&self) -> bool {
        self.normal_name()
            .is_some_and(|name| name.starts_with(PREFIX))
    }
}

fn header<'a>(request: &Request<'a>) -> Option<Vec<WireParameter<'a>>> {
    let Some(credentials) = oauth_credentials(request.authorization).ok()? else {
        return Some(Vec::new());
    };
    let mut parameters = Vec::new();
    for parameter in AuthParams::new(credentials) {
        let parameter = parameter.ok()?;
        if !parameter.is_realm() {
            parameters.push(WireParameter {
                place: ParameterPlace::Header,
                name: parameter.name,
                value: parameter.value,
            });
        }
    }
    Some(parameters)
}

/// Returns the parameters of a query or form body.
pub(super) fn form(place: ParameterPlace, form: &[u8]) -> impl Iterator<Item = WireParameter<'_>> {
    form_pairs(form).map(move |(name, value)| WireParameter { place, name, value })
}

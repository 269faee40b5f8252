//! The parameters of a request that was parsed already, once more and as they stand on the wire.
//!
//! Whoever reads them otherwise than RFC 5849 does needs them so. What makes a request malformed is left to
//! [`Request::parse`].

use std::borrow::Cow;

use super::encode::{Syntax, normalize};
use super::header::{AuthParams, oauth_credentials};
use super::media_type::is_form;
use super::parameter::PREFIX;
use super::scan::split_once;
use super::uri::split_target;
use super::{ParameterPlace, ProtocolParameter, Request, RequestBody};

/// The parameters of a signed request as they stand on the wire, without `oauth_signature` and the realm.
pub(super) struct Wire<'a> {
    pub(super) parameters: Vec<WireParameter<'a>>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct WireParameter<'a> {
    /// Where it stands.
    pub(super) place: ParameterPlace,
    /// Its name, not decoded.
    pub(super) name: &'a [u8],
    /// Its value, not decoded.
    pub(super) value: &'a [u8],
}

impl<'a> Wire<'a> {
    /// Takes a request apart; `None` unless it can be parsed.
    pub(super) fn of(request: &Request<'a>) -> Option<Self> {
        let mut parameters = Vec::new();
        if let Some(credentials) = oauth_credentials(request.authorization).ok()? {
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
        }
        parameters.extend(form(ParameterPlace::Query, split_target(request.target).1));
        if let (true, RequestBody::Whole(body)) =
            (is_form(request.content_type).ok()?, request.body)
        {
            parameters.extend(form(ParameterPlace::Body, body));
        }
        parameters.retain(|parameter| !parameter.is_signature());
        Some(Self { parameters })
    }

    /// Whether the protocol parameters, or some of them, stand there.
    pub(super) fn signed_in(&self, place: ParameterPlace) -> bool {
        self.parameters
            .iter()
            .any(|parameter| parameter.place == place && parameter.is_protocol())
    }

    /// Whether a protocol parameter there has a plus in it that is not encoded.
    pub(super) fn has_protocol_plus(&self, place: ParameterPlace) -> bool {
        let has_plus =
            |one: &WireParameter<'_>| one.name.contains(&b'+') || one.value.contains(&b'+');
        self.parameters
            .iter()
            .any(|one| one.place == place && one.is_protocol() && has_plus(one))
    }

    /// Whether values that are joined as they are can be told apart again: what separates them is in none.
    pub(super) fn can_be_joined(&self) -> bool {
        self.parameters
            .iter()
            .all(|parameter| !parameter.value.contains(&b'&') && !parameter.name.contains(&b'&'))
    }
}

impl WireParameter<'_> {
    fn is_signature(&self) -> bool {
        self.normal_name()
            .is_some_and(|name| *name == *ProtocolParameter::Signature.name().as_bytes())
    }

    fn is_protocol(&self) -> bool {
        self.normal_name()
            .is_some_and(|name| name.starts_with(PREFIX))
    }

    /// Its name in normal form.
    pub(super) fn normal_name(&self) -> Option<Cow<'_, [u8]>> {
        normalize(self.name, Syntax::of(self.place)).ok()
    }
}

/// The parameters of a query or form body.
pub(super) fn form(place: ParameterPlace, form: &[u8]) -> impl Iterator<Item = WireParameter<'_>> {
    let segments = form
        .split(|&byte| byte == b'&')
        .filter(|segment| !segment.is_empty());
    segments.map(move |segment| {
        let (name, value) = split_once(segment, b'=').unwrap_or((segment, b""));
        WireParameter { place, name, value }
    })
}

//! Collects the parameters of a request (RFC 5849 section 3.4.1.3.1), and holds protocol parameters
//! to their rules: each at most once (section 3.1), all in one place (section 3.5).

use std::borrow::Cow;

use super::encode::{EscapeSyntax, decode, normalize};
use super::form::form_pairs;
use super::header::{AuthParams, unquote};
use super::pair::ParameterPair;
use super::{ParameterPlace, ParameterSet, ParseLimits, ProtocolParameter, Rejection};

/// The decoded values of the known protocol parameters.
#[derive(Default)]
pub(super) struct ProtocolValues<'a>([Option<Cow<'a, [u8]>>; ProtocolParameter::ALL.len()]);

impl<'a> ProtocolValues<'a> {
    pub(super) fn value(&self, parameter: ProtocolParameter) -> Option<&[u8]> {
        self.0[parameter as usize].as_deref()
    }

    /// Returns the parameters that the client sent.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ProtocolParameter, &[u8])> {
        ProtocolParameter::ALL
            .into_iter()
            .filter_map(|parameter| Some((parameter, self.value(parameter)?)))
    }

    /// Returns the set of the parameters that the client sent.
    pub(super) fn names(&self) -> ParameterSet {
        self.iter()
            .fold(ParameterSet::NONE, |names, (parameter, _)| {
                names.with(parameter)
            })
    }

    pub(super) fn take(&mut self, parameter: ProtocolParameter) -> Option<Cow<'a, [u8]>> {
        self.0[parameter as usize].take()
    }

    /// Takes the value of a parameter without which no signature can be verified.
    pub(super) fn require(
        &mut self,
        parameter: ProtocolParameter,
    ) -> Result<Cow<'a, [u8]>, Rejection> {
        self.take(parameter)
            .ok_or_else(|| Rejection::Absent(ParameterSet::only(parameter)))
    }

    /// Stores a value, and returns the previous one.
    fn replace(
        &mut self,
        parameter: ProtocolParameter,
        value: Cow<'a, [u8]>,
    ) -> Option<Cow<'a, [u8]>> {
        self.0[parameter as usize].replace(value)
    }
}

/// A collector of the parameters of one request.
pub(super) struct ParameterCollector<'a> {
    limit: usize,
    byte_limit: usize,
    verifier_in_form: bool,
    count: usize,
    pairs: Vec<ParameterPair<'a>>,
    protocol: ProtocolValues<'a>,
    place: Option<ParameterPlace>,
    bad_escape: Option<ParameterPlace>,
}

/// The parameters of a request that has protocol parameters.
pub(super) struct CollectedParameters<'a> {
    /// Every parameter except `oauth_signature` and the realm, in the order of the wire.
    pub(super) pairs: Vec<ParameterPair<'a>>,
    /// The known protocol parameters.
    pub(super) protocol: ProtocolValues<'a>,
    /// The place of the protocol parameters.
    pub(super) place: ParameterPlace,
}

impl<'a> ParameterCollector<'a> {
    pub(super) fn new(limits: &ParseLimits) -> Self {
        Self {
            limit: limits.parameters,
            byte_limit: limits.form_bytes,
            verifier_in_form: limits.verifier_in_form,
            count: 0,
            pairs: Vec::with_capacity(USUAL_COUNT),
            protocol: ProtocolValues::default(),
            place: None,
            bad_escape: None,
        }
    }

    /// Adds the parameters of the `Authorization` header, and returns the realm.
    ///
    /// [RFC 5849 section 3.5.1](https://www.rfc-editor.org/rfc/rfc5849#section-3.5.1)
    pub(super) fn add_header(
        &mut self,
        credentials: &'a [u8],
    ) -> Result<Option<Cow<'a, [u8]>>, Rejection> {
        self.refuse_long(ParameterPlace::Header, credentials)?;
        let mut realm = None;
        for param in AuthParams::new(credentials) {
            let param = param?;
            if !param.is_realm() {
                self.add(ParameterPlace::Header, param.name, param.value)?;
            } else if realm.replace(unquote(param.value)).is_some() {
                return Err(Rejection::HeaderMalformed);
            }
        }
        Ok(realm)
    }

    /// Adds the parameters of a query or form body.
    ///
    /// [RFC 5849 section 3.4.1.3.1](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.1.3.1)
    pub(super) fn add_form(
        &mut self,
        place: ParameterPlace,
        form: &'a [u8],
    ) -> Result<(), Rejection> {
        self.refuse_long(place, form)?;
        for (name, value) in form_pairs(form) {
            self.add(place, name, value)?;
        }
        Ok(())
    }

    /// Refuses a text that would hold its thread for too long.
    fn refuse_long(&self, place: ParameterPlace, text: &[u8]) -> Result<(), Rejection> {
        let limit = self.byte_limit;
        if text.len() > limit {
            Err(Rejection::ParametersTooLarge { place, limit })
        } else {
            Ok(())
        }
    }

    /// Returns the parameters, or `None` if no protocol parameter is among them.
    ///
    /// # Errors
    /// A malformed escape in a signed request.
    pub(super) fn finish(self) -> Result<Option<CollectedParameters<'a>>, Rejection> {
        match (self.place, self.bad_escape) {
            (None, _) => Ok(None),
            (Some(_), Some(bad)) => Err(Rejection::BadEscape(bad)),
            (Some(place), None) => Ok(Some(CollectedParameters {
                pairs: self.pairs,
                protocol: self.protocol,
                place,
            })),
        }
    }

    /// Returns the parameters of a request that a client is about to sign, or `None` if it has
    /// protocol parameters already.
    ///
    /// # Errors
    /// A malformed escape anywhere.
    pub(super) fn finish_unsigned(self) -> Result<Option<Vec<ParameterPair<'a>>>, Rejection> {
        match self.bad_escape {
            Some(bad) => Err(Rejection::BadEscape(bad)),
            None => Ok(self.place.is_none().then_some(self.pairs)),
        }
    }

    /// Adds one parameter from the wire.
    ///
    /// A malformed value counts only once the request turns out to be signed. A malformed name is
    /// refused at once, since it may be meant as a protocol parameter's.
    fn add(
        &mut self,
        place: ParameterPlace,
        name: &'a [u8],
        value: &'a [u8],
    ) -> Result<(), Rejection> {
        self.count += 1;
        if self.count > self.limit {
            return Err(Rejection::TooManyParameters);
        }
        let syntax = EscapeSyntax::of(place);
        let name = normalize(name, syntax).map_err(|_| Rejection::BadEscape(place))?;
        let value = normalize(value, syntax).unwrap_or_else(|_| {
            self.bad_escape = Some(place);
            Cow::Borrowed(b"")
        });
        let pair = ParameterPair {
            name,
            value,
            hides_name: false,
        };
        if pair.is_protocol() {
            return self.add_protocol(place, pair);
        }
        self.pairs.push(pair);
        Ok(())
    }

    fn add_protocol(
        &mut self,
        place: ParameterPlace,
        pair: ParameterPair<'a>,
    ) -> Result<(), Rejection> {
        let known = ProtocolParameter::from_name(&pair.name);
        let first = *self.place.get_or_insert(place);
        if first != place && !self.is_verifier_in_form(known, first, place) {
            return Err(Rejection::SeveralPlaces);
        }
        if let Some(parameter) = known
            && self
                .protocol
                .replace(parameter, decode(&pair.value))
                .is_some()
        {
            return Err(Rejection::Duplicate { parameter, place });
        }
        if known != Some(ProtocolParameter::Signature) {
            self.pairs.push(pair);
        }
        Ok(())
    }

    /// Returns whether the parameter is a verifier that may be in the form, after all others in the
    /// header.
    fn is_verifier_in_form(
        &self,
        known: Option<ProtocolParameter>,
        first: ParameterPlace,
        place: ParameterPlace,
    ) -> bool {
        self.verifier_in_form
            && known == Some(ProtocolParameter::Verifier)
            && (first, place) == (ParameterPlace::Header, ParameterPlace::Body)
    }
}

/// Room for the parameters of most requests.
const USUAL_COUNT: usize = 16;

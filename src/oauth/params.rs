//! Collecting parameters (RFC 5849 section 3.4.1.3.1) and the rules about protocol parameters among them: each at most
//! once (section 3.1), all in one place (section 3.5).

use std::borrow::Cow;

use super::encode::{Syntax, decode, encoded, normalize};
use super::header::{AuthParams, unquote};
use super::parameter::PREFIX;
use super::scan::split_once;
use super::{ParameterPlace, ParameterSet, ParseLimits, ProtocolParameter, Rejection};

/// A parameter of the base string, in normal form.
#[derive(Clone)]
pub(super) struct Pair<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
}

impl Pair<'_> {
    /// The pair of a name and a value that are not encoded yet.
    pub(super) fn encode(name: &[u8], value: &[u8]) -> Self {
        Self {
            name: Cow::Owned(encoded(name).into()),
            value: Cow::Owned(encoded(value).into()),
        }
    }

    /// Whether it is a protocol parameter; also one that is not known here.
    pub(super) fn is_protocol(&self) -> bool {
        self.name.starts_with(PREFIX)
    }
}

/// The decoded values of the protocol parameters that are known here.
#[derive(Default)]
pub(super) struct Protocol<'a>([Option<Cow<'a, [u8]>>; ProtocolParameter::ALL.len()]);

impl<'a> Protocol<'a> {
    pub(super) fn value(&self, parameter: ProtocolParameter) -> Option<&[u8]> {
        self.0[parameter as usize].as_deref()
    }

    /// Those that were sent.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ProtocolParameter, &[u8])> {
        ProtocolParameter::ALL
            .into_iter()
            .filter_map(|parameter| Some((parameter, self.value(parameter)?)))
    }

    /// The set of those that were sent.
    pub(super) fn names(&self) -> ParameterSet {
        self.iter()
            .fold(ParameterSet::NONE, |names, (parameter, _)| {
                names.with(parameter)
            })
    }

    pub(super) fn take(&mut self, parameter: ProtocolParameter) -> Option<Cow<'a, [u8]>> {
        self.0[parameter as usize].take()
    }
}

/// Gathers the parameters of one request.
pub(super) struct Collector<'a> {
    limit: usize,
    count: usize,
    pairs: Vec<Pair<'a>>,
    protocol: Protocol<'a>,
    place: Option<ParameterPlace>,
    bad_escape: Option<ParameterPlace>,
}

/// What was gathered from a request with protocol parameters.
pub(super) struct Collected<'a> {
    /// Every parameter but `oauth_signature` and the realm, in the order of the wire.
    pub(super) pairs: Vec<Pair<'a>>,
    /// The protocol parameters that are known here.
    pub(super) protocol: Protocol<'a>,
    /// Where the protocol parameters stand.
    pub(super) place: ParameterPlace,
}

impl<'a> Collector<'a> {
    pub(super) fn new(limits: &ParseLimits) -> Self {
        Self {
            limit: limits.parameters,
            count: 0,
            pairs: Vec::with_capacity(USUAL),
            protocol: Protocol::default(),
            place: None,
            bad_escape: None,
        }
    }

    /// Takes the parameters of the `Authorization` header; returns the realm.
    pub(super) fn header(
        &mut self,
        credentials: &'a [u8],
    ) -> Result<Option<Cow<'a, [u8]>>, Rejection> {
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

    /// Takes the parameters of a query or form body. Only `&` separates; an empty segment is no parameter.
    pub(super) fn form(&mut self, place: ParameterPlace, form: &'a [u8]) -> Result<(), Rejection> {
        for segment in form
            .split(|&byte| byte == b'&')
            .filter(|segment| !segment.is_empty())
        {
            let (name, value) = split_once(segment, b'=').unwrap_or((segment, b""));
            self.add(place, name, value)?;
        }
        Ok(())
    }

    /// What was gathered; `None` when there was no protocol parameter.
    ///
    /// # Errors
    /// A bad escape anywhere, now that something has to be verified.
    pub(super) fn finish(self) -> Result<Option<Collected<'a>>, Rejection> {
        match (self.place, self.bad_escape) {
            (None, _) => Ok(None),
            (Some(_), Some(bad)) => Err(Rejection::BadEscape(bad)),
            (Some(place), None) => Ok(Some(Collected {
                pairs: self.pairs,
                protocol: self.protocol,
                place,
            })),
        }
    }

    /// What was gathered from a request that is yet to be signed; `None` when it has protocol parameters already.
    ///
    /// # Errors
    /// A bad escape anywhere.
    pub(super) fn unsigned(self) -> Result<Option<Vec<Pair<'a>>>, Rejection> {
        match self.bad_escape {
            Some(bad) => Err(Rejection::BadEscape(bad)),
            None => Ok(self.place.is_none().then_some(self.pairs)),
        }
    }

    /// Takes one parameter, as it stands on the wire.
    ///
    /// A value with a bad escape only counts once the request turns out to be signed; a name might be meant to be a
    /// protocol parameter's, so it is refused at once.
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
        let syntax = Syntax::of(place);
        let name = normalize(name, syntax).map_err(|_| Rejection::BadEscape(place))?;
        let value = normalize(value, syntax).unwrap_or_else(|_| {
            self.bad_escape = Some(place);
            Cow::Borrowed(b"")
        });
        let pair = Pair { name, value };
        if pair.is_protocol() {
            self.add_protocol(place, pair)
        } else {
            self.pairs.push(pair);
            Ok(())
        }
    }

    fn add_protocol(&mut self, place: ParameterPlace, pair: Pair<'a>) -> Result<(), Rejection> {
        if *self.place.get_or_insert(place) != place {
            return Err(Rejection::SeveralPlaces);
        }
        let known = ProtocolParameter::from_name(&pair.name);
        if let Some(parameter) = known
            && self.protocol.0[parameter as usize]
                .replace(decode(&pair.value))
                .is_some()
        {
            return Err(Rejection::Duplicate { parameter, place });
        }
        if known != Some(ProtocolParameter::Signature) {
            self.pairs.push(pair);
        }
        Ok(())
    }
}

/// Room for the parameters that most requests have.
const USUAL: usize = 16;

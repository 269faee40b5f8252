//! The parameters that a request sent, for changes that depend on them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::super::ParameterPlace;
use super::super::encode::{EscapeSyntax, decode, encoded, normalize};
use super::super::pair::ParameterPair;
use super::super::parameter::PREFIX;
use super::super::variant::{ByteSet, SignedParameter};
use super::super::wire::{WireParameter, WireParameters};

/// The parameters of a request: decoded, and as sent.
pub(super) struct SentParameters<'e> {
    parameters: Vec<SentParameter<'e>>,
    /// Names and values may be shown.
    reveal: bool,
}

/// One parameter of a request.
pub(super) struct SentParameter<'e> {
    /// The index on the wire.
    pub(super) at: usize,
    /// Name and value as sent.
    pub(super) wire: WireParameter<'e>,
    /// The decoded name.
    pub(super) name: Vec<u8>,
    /// The decoded value.
    pub(super) value: Vec<u8>,
}

/// The bytes of decoded names or values, by [`ParameterPlace`].
pub(super) type Bytes = [ByteSet; 3];

impl<'e> SentParameters<'e> {
    /// Reads the parameters; those behind the first [`MAX_PARAMETERS`] are left out.
    pub(super) fn of(wire: &WireParameters<'e>, reveal: bool) -> Self {
        let parameters = wire.iter().take(MAX_PARAMETERS).enumerate();
        let parameters = parameters.filter_map(|(at, parameter)| SentParameter::of(at, *parameter));
        Self {
            parameters: parameters.collect(),
            reveal,
        }
    }

    /// Returns every parameter in the order of the wire.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SentParameter<'e>> + Clone {
        self.parameters.iter()
    }

    /// Returns whether the application's names are short enough to be spelled in other ways. The
    /// budget counts only the changes that are tried, and each copies every name.
    pub(super) fn has_short_names(&self) -> bool {
        let names = self.application().map(|one| one.name.len());
        names.sum::<usize>() <= MAX_NAMES_LEN
    }

    /// Returns whether the application's values are short enough to be spelled in other ways.
    pub(super) fn has_short_values(&self) -> bool {
        let values = self.application().map(|one| one.value.len());
        values.sum::<usize>() <= MAX_VALUES_LEN
    }

    /// Returns whether a form body has parameters.
    pub(super) fn has_form(&self) -> bool {
        self.iter()
            .any(|one| one.wire.place == ParameterPlace::Body)
    }

    /// Returns whether a parameter of the application occurs twice with the same value.
    pub(super) fn has_repeated(&self) -> bool {
        let mut seen = HashSet::new();
        self.application()
            .any(|one| !seen.insert((&one.name, &one.value)))
    }

    /// Returns the application's parameters in the order of the wire.
    pub(super) fn application(&self) -> impl Iterator<Item = &SentParameter<'e>> + Clone {
        self.iter().filter(|parameter| !parameter.is_protocol())
    }

    /// Returns the list that is signed if nothing is changed.
    pub(super) fn unchanged(&self) -> Vec<SignedParameter<'e>> {
        self.iter().map(SentParameter::signed).collect()
    }

    /// Returns the bytes of the names.
    pub(super) fn name_bytes(&self) -> Bytes {
        self.bytes(|parameter| &parameter.name)
    }

    /// Returns the bytes of the values.
    pub(super) fn value_bytes(&self) -> Bytes {
        self.bytes(|parameter| &parameter.value)
    }

    fn bytes(&self, of: impl for<'p> Fn(&'p SentParameter<'e>) -> &'p [u8]) -> Bytes {
        PLACES.map(|place| {
            let there = self
                .iter()
                .filter(|parameter| parameter.wire.place == place);
            there
                .flat_map(|parameter| of(parameter).iter().copied())
                .collect()
        })
    }

    /// Returns whether a name or value has one of these bytes.
    pub(super) fn has_any(&self, bytes: ByteSet) -> bool {
        let names = self.name_bytes().into_iter();
        names
            .chain(self.value_bytes())
            .any(|present| !present.and(bytes).is_empty())
    }

    /// Returns whether all names and values are UTF-8.
    pub(super) fn is_utf8(&self) -> bool {
        let mut texts = self.iter().flat_map(|one| [&one.name, &one.value]);
        texts.all(|text| str::from_utf8(text).is_ok())
    }

    /// Returns whether a decoded name or value has an escape.
    pub(super) fn has_escapes(&self) -> bool {
        let has_escape = |text: &Vec<u8>| *decode(&Cow::Borrowed(text)) != **text;
        self.iter()
            .any(|one| has_escape(&one.name) || has_escape(&one.value))
    }

    /// Names some parameters for people, each once.
    pub(super) fn named<'p>(
        &self,
        parameters: impl Iterator<Item = &'p SentParameter<'e>>,
    ) -> String
    where
        'e: 'p,
    {
        let mut names: Vec<_> = parameters.map(|parameter| self.label(parameter)).collect();
        names.sort();
        names.dedup();
        if names.len() > MAX_NAMED {
            let others = names.len() - MAX_NAMED;
            names.truncate(MAX_NAMED);
            names.push(format!("{others} more"));
        }
        match &names[..] {
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            names => names.concat(),
        }
    }

    /// Returns the name of a parameter for people, if it may be shown.
    pub(super) fn shown(&self, name: &[u8], value: &[u8]) -> Option<String> {
        let pair = ParameterPair::encode(name, value);
        (self.reveal || pair.visibility().name).then(|| format!("`{}`", name.escape_ascii()))
    }

    /// Returns the name of a parameter if it may be shown, else its position.
    fn label(&self, parameter: &SentParameter<'e>) -> String {
        if let Some(name) = self.shown(&parameter.name, &parameter.value) {
            return name;
        }
        let place = parameter.wire.place;
        let before = self.iter().take_while(|other| other.at < parameter.at);
        let number = before.filter(|other| other.wire.place == place).count() + 1;
        format!("parameter {number} of {place}")
    }
}

impl<'e> SentParameter<'e> {
    fn of(at: usize, wire: WireParameter<'e>) -> Option<Self> {
        let syntax = EscapeSyntax::of(wire.place);
        let decoded = |raw| Some(decode(&normalize(raw, syntax).ok()?).into_owned());
        Some(Self {
            at,
            wire,
            name: decoded(wire.name)?,
            value: decoded(wire.value)?,
        })
    }

    /// Returns whether the name begins with `oauth_`.
    pub(super) fn is_protocol(&self) -> bool {
        self.name.starts_with(PREFIX)
    }

    /// Returns the parameter as it is signed if nothing is changed.
    pub(super) const fn signed(&self) -> SignedParameter<'e> {
        SignedParameter::of(self.at, &self.wire)
    }

    /// Returns the parameter with another name, which is not encoded.
    pub(super) fn renamed(&self, name: &[u8]) -> SignedParameter<'e> {
        SignedParameter {
            name: Cow::Owned(encoded(name).into_bytes()),
            ..self.signed()
        }
    }

    /// Returns the parameter with another value, which is not encoded.
    pub(super) fn with_value(&self, value: &[u8]) -> SignedParameter<'e> {
        SignedParameter {
            value: Cow::Owned(encoded(value).into_bytes()),
            ..self.signed()
        }
    }
}

const PLACES: [ParameterPlace; 3] = [
    ParameterPlace::Header,
    ParameterPlace::Query,
    ParameterPlace::Body,
];

/// The most parameters of a request that changes look at.
const MAX_PARAMETERS: usize = 200;

/// The longest names together, in bytes, that are spelled in other ways.
const MAX_NAMES_LEN: usize = 4 * 1024;

/// The longest values together, in bytes, that are spelled in other ways.
const MAX_VALUES_LEN: usize = 8 * 1024;

/// The most parameters that a remedy names.
const MAX_NAMED: usize = 4;

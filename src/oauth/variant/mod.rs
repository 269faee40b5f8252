//! Variants of the signature base string: knobs whose first position is RFC 5849 section 3.4.1.
//!
//! Every other position is a known deviation of clients. There are two uses: a consumer's compat
//! profiles, under which a request can be proven
//! ([`compat_variants`](super::compat::compat_variants)), and the diagnosis, which only explains. A
//! check without profiles takes the shorter way of [`BaseString`](super::base_string::BaseString),
//! which gives the same bytes as the first positions.

mod charset;
mod encoding;
mod list;
mod order;
mod text;

pub(super) use charset::{Charset, SurrogateForm, TextChange, UnitForm};
pub(super) use encoding::{ByteSet, Encoding};
pub(super) use list::SignedParameter;
pub(super) use order::ParameterOrder;
pub(super) use text::{Reading, TextForm};

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use memchr::memmem;

use super::base_string::upper_case;
use super::mask::Visibility;
use super::pair::ParameterPair;
use super::parameter::PREFIX;
use super::uri::{authority_without, root_or, split_target};
use super::wire::{WireParameter, WireParameters};
use super::{ParameterPlace, Request, Scheme};

/// A way to make the base string of a request.
#[derive(Clone)]
pub(super) struct BaseStringVariant<'v> {
    /// The HTTP method as it is signed: in capitals.
    pub(super) method: Cow<'v, [u8]>,
    /// The scheme.
    pub(super) scheme: Scheme,
    /// The host, and the port if it is sent.
    pub(super) authority: Cow<'v, [u8]>,
    /// The rule for the port.
    pub(super) port: PortRule,
    /// The path before it is encoded, from its first `/`.
    pub(super) path: Cow<'v, [u8]>,
    /// The whole URI, if it is not made of scheme, authority and path.
    pub(super) uri: Option<Cow<'v, [u8]>>,
    /// A query that is part of the base string URI.
    pub(super) uri_query: Option<Cow<'v, [u8]>>,
    /// The application's parameters in the query are signed.
    pub(super) with_query: bool,
    /// The application's parameters in a form body are signed.
    pub(super) with_form: bool,
    /// The indices of parameters that are sent but not signed.
    pub(super) left_out: Vec<usize>,
    /// A pair that repeats another one of the query, with the same name and value under RFC 5849
    /// and in this variant, is not signed.
    pub(super) repeated_once: bool,
    /// The parameters that are signed instead of the sent ones.
    pub(super) instead: Option<Rc<[SignedParameter<'v>]>>,
    /// Parameters that are signed but not sent, already encoded.
    pub(super) unsent: Vec<ParameterPair<'v>>,
    /// The form of names, by [`ParameterPlace`].
    pub(super) names: [TextForm; 3],
    /// The form of values, by [`ParameterPlace`].
    pub(super) values: [TextForm; 3],
    /// The encoding of one value, and the index of its parameter.
    pub(super) one_value: Option<(usize, Encoding)>,
    /// A parameter without a value is signed without its `=`.
    pub(super) equals_left_out: bool,
    /// The encoding of method and URI as the parts of the base string.
    pub(super) uri_encoding: Encoding,
    /// The encoding of the joined parameters as the third part of the base string.
    pub(super) joined_encoding: Encoding,
    /// The joined parameters are encoded once more.
    pub(super) is_joined_twice: bool,
    /// The order of the parameters.
    pub(super) order: ParameterOrder,
    /// The indices of parameters whose names are masked, whatever they are in this variant.
    pub(super) hidden_names: Vec<usize>,
    /// A change of the finished base string, which is not shown to people.
    pub(super) finish: Option<Finish>,
}

/// A function from the finished base string to the text that is signed.
pub(super) type Finish = fn(&[u8]) -> Vec<u8>;

/// The rule for the port in the base string URI.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PortRule {
    /// The host is in lower case, and the default port of the scheme is left out (section 3.4.1.2).
    Rfc,
    /// The ports 80 and 443 are left out with either scheme.
    EitherDefault,
    /// The authority is signed as it is here, even if no request could have it.
    Verbatim,
}

impl<'v> BaseStringVariant<'v> {
    /// Returns every knob in its first position: RFC 5849.
    pub(super) fn rfc(request: &Request<'v>) -> Self {
        Self {
            method: upper_case(request.method),
            scheme: request.scheme,
            authority: Cow::Borrowed(request.authority),
            port: PortRule::Rfc,
            path: whole_path(request),
            uri: None,
            uri_query: None,
            with_query: true,
            with_form: true,
            left_out: Vec::new(),
            repeated_once: false,
            instead: None,
            unsent: Vec::new(),
            names: [TextForm::RFC; 3],
            values: [TextForm::RFC; 3],
            one_value: None,
            equals_left_out: false,
            uri_encoding: Encoding::RFC,
            joined_encoding: Encoding::RFC,
            is_joined_twice: false,
            order: ParameterOrder::Rfc,
            hidden_names: Vec::new(),
            finish: None,
        }
    }

    /// Makes the base string; `None` if the request cannot be read in this way.
    pub(super) fn base_string<'s>(
        &'s self,
        wire: &WireParameters<'s>,
    ) -> Option<VariantString<'s>> {
        let mut pairs = match &self.instead {
            None => self.pairs(wire.iter().map(|one| (*one, false)).enumerate())?,
            Some(list) => {
                let list = list.iter();
                self.pairs(list.map(|one| (one.sent, (one.as_wire(), one.hides_name))))?
            }
        };
        pairs.extend(self.unsent.iter().cloned());
        self.order.sort(&mut pairs);
        Some(VariantString {
            variant: self,
            authority: self.signed_authority()?,
            pairs,
        })
    }

    /// Returns the variant for people: a name that is masked in the request is masked in every
    /// variant.
    pub(super) fn masked_as(mut self, wire: &WireParameters<'_>) -> Self {
        let is_hidden = |one: &WireParameter<'_>| {
            let read = |raw| TextForm::RFC.read(raw, one.place);
            let pair = read(one.name).zip(read(one.value));
            pair.is_none_or(|(name, value)| {
                let pair = ParameterPair {
                    name,
                    value,
                    hides_name: false,
                };
                !pair.visibility().name
            })
        };
        let hidden = wire.iter().enumerate().filter(|(_, one)| is_hidden(one));
        self.hidden_names = hidden.map(|(at, _)| at).collect();
        self
    }

    /// Reads the signed ones of some parameters, each with its index and whether its name is hidden.
    fn pairs<'w>(
        &self,
        parameters: impl Iterator<Item = (usize, (WireParameter<'w>, bool))>,
    ) -> Option<Vec<ParameterPair<'w>>> {
        let mut pairs = Vec::new();
        let mut seen = BTreeSet::new();
        for (at, (sent, hides_name)) in parameters {
            if !self.signs(at, &sent) {
                continue;
            }
            let mut pair = self.pair(at, &sent)?;
            pair.hides_name |= hides_name;
            if self.may_drop(&sent) && !seen.insert(identity(&sent, &pair)?) {
                continue;
            }
            pairs.push(pair);
        }
        Some(pairs)
    }

    /// Returns whether the parameter is not signed if it repeats another one.
    fn may_drop(&self, sent: &WireParameter<'_>) -> bool {
        self.repeated_once && sent.place == ParameterPlace::Query && !sent.is_protocol()
    }

    /// Returns the authority as the base string URI has it; `None` if no host is.
    pub(super) fn signed_authority(&self) -> Option<Cow<'_, [u8]>> {
        let default = self.scheme.default_port();
        match self.port {
            PortRule::Rfc => authority_without(|port| port == default, &self.authority),
            PortRule::EitherDefault => {
                authority_without(|port| port == b"80" || port == b"443", &self.authority)
            }
            PortRule::Verbatim => Some(Cow::Borrowed(&*self.authority)),
        }
    }

    fn signs(&self, at: usize, sent: &WireParameter<'_>) -> bool {
        if self.left_out.contains(&at) {
            return false;
        }
        let is_protocol = |name: Cow<'_, [u8]>| name.starts_with(PREFIX);
        match sent.place {
            ParameterPlace::Header => true,
            ParameterPlace::Query if self.with_query => true,
            ParameterPlace::Body if self.with_form => true,
            ParameterPlace::Query | ParameterPlace::Body => {
                sent.normal_name().is_none_or(is_protocol)
            }
        }
    }

    /// Reads name and value in the form of their place.
    fn pair<'w>(&self, at: usize, sent: &WireParameter<'w>) -> Option<ParameterPair<'w>> {
        let place = sent.place as usize;
        let mut value = self.values[place];
        if let Some((_, encoding)) = self.one_value.filter(|(index, _)| *index == at) {
            value.encoding = encoding;
        }
        Some(ParameterPair {
            name: self.names[place].read(sent.name, sent.place)?,
            value: value.read(sent.value, sent.place)?,
            hides_name: self.hidden_names.contains(&at),
        })
    }
}

/// Returns name and value under RFC 5849 and in a variant. A pair repeats another only if all four
/// are equal: a `+` that a variant takes for a plus may be a space to the upstream.
fn identity<'w>(sent: &WireParameter<'w>, pair: &ParameterPair<'w>) -> Option<[Cow<'w, [u8]>; 4]> {
    let rfc = |raw| TextForm::RFC.read(raw, sent.place);
    Some([
        rfc(sent.name)?,
        rfc(sent.value)?,
        pair.name.clone(),
        pair.value.clone(),
    ])
}

/// A base string that a [`BaseStringVariant`] made.
pub(super) struct VariantString<'s> {
    variant: &'s BaseStringVariant<'s>,
    authority: Cow<'s, [u8]>,
    /// Sorted.
    pairs: Vec<ParameterPair<'s>>,
}

impl VariantString<'_> {
    /// Returns the whole text.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_LEN);
        self.write(&mut |bytes, _| out.extend_from_slice(bytes));
        match self.variant.finish {
            Some(finish) => finish(&out),
            None => out,
        }
    }

    /// Writes the text piece by piece, and with each piece whether only the sender may see it. A
    /// hidden text begins with an empty piece.
    pub(super) fn write(&self, write: &mut impl FnMut(&[u8], bool)) {
        self.put_uri(&self.variant.method, true, write);
        write(b"&", false);
        self.write_uri(write);
        write(b"&", false);
        self.write_parameters(write);
    }

    fn write_uri(&self, write: &mut impl FnMut(&[u8], bool)) {
        let BaseStringVariant {
            scheme,
            path,
            uri,
            uri_query,
            ..
        } = self.variant;
        match uri {
            Some(uri) => self.put_uri(uri, true, write),
            None => {
                for part in [scheme.name().as_bytes(), b"://", &self.authority, path] {
                    self.put_uri(part, true, write);
                }
            }
        }
        if let Some(query) = uri_query {
            self.put_uri(b"?", true, write);
            self.put_uri(query, false, write);
        }
    }

    fn write_parameters(&self, write: &mut impl FnMut(&[u8], bool)) {
        for (at, pair) in self.pairs.iter().enumerate() {
            if at > 0 {
                self.put_joined(b"&", true, write);
            }
            let Visibility { name, value } = pair.visibility();
            self.put_joined(&pair.name, name, write);
            if !(self.variant.equals_left_out && pair.value.is_empty()) {
                self.put_joined(b"=", true, write);
            }
            self.put_joined(&pair.value, value, write);
        }
    }

    fn put_uri(&self, bytes: &[u8], is_visible: bool, write: &mut impl FnMut(&[u8], bool)) {
        put(&self.variant.uri_encoding, bytes, is_visible, write);
    }

    fn put_joined(&self, bytes: &[u8], is_visible: bool, write: &mut impl FnMut(&[u8], bool)) {
        let encoding = &self.variant.joined_encoding;
        if self.variant.is_joined_twice {
            let once = encoding.encoded(&Cow::Borrowed(bytes));
            put(encoding, &once, is_visible, write);
        } else {
            put(encoding, bytes, is_visible, write);
        }
    }
}

/// Writes `bytes` encoded.
fn put(encoding: &Encoding, bytes: &[u8], is_visible: bool, write: &mut impl FnMut(&[u8], bool)) {
    let is_hidden = !is_visible;
    if is_hidden {
        write(b"", is_hidden);
    }
    encoding.write(bytes, &mut |piece| write(piece, is_hidden));
}

/// Returns the path with the prefix in front of it; most requests have no prefix.
fn whole_path<'a>(request: &Request<'a>) -> Cow<'a, [u8]> {
    let path = root_or(split_target(request.target).0);
    if request.path_prefix.is_empty() {
        Cow::Borrowed(path)
    } else {
        [request.path_prefix, path].concat().into()
    }
}

/// Replaces every occurrence of one part.
pub(super) fn replaced_part(text: &[u8], part: &[u8], instead: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memmem::find(rest, part) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(instead);
        rest = &rest[at + part.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Room for the base string of most requests.
const USUAL_LEN: usize = 512;

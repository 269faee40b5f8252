//! Variants of the signature base string: knobs whose first position is RFC 5849 section 3.4.1.
//!
//! Every other position is a known deviation of clients. There are two uses: a consumer's compat
//! profiles, under which a request can be proven
//! ([`compat_variants`](super::compat::compat_variants)), and the diagnosis, which only explains. A
//! check without profiles takes the shorter way of [`BaseString`](super::base_string::BaseString),
//! which gives the same bytes as the first positions.

use std::borrow::Cow;

use memchr::memmem;

use super::encode::{EscapeSyntax, decode, encode, encoded, normalize};
use super::mask::Visibility;
use super::pair::ParameterPair;
use super::parameter::PREFIX;
use super::uri::{authority_without, root_or, split_target};
use super::wire::{WireParameter, WireParameters};
use super::{ParameterPlace, ProtocolParameter, Request, Scheme};

/// A way to make the base string of a request.
#[derive(Clone)]
pub(super) struct BaseStringVariant<'v> {
    /// The HTTP method, in any case.
    pub(super) method: Cow<'v, [u8]>,
    /// The scheme.
    pub(super) scheme: Scheme,
    /// The host, and the port if it is sent.
    pub(super) authority: Cow<'v, [u8]>,
    /// The rule for the port.
    pub(super) port: PortRule,
    /// The path before it is encoded, from its first `/`.
    pub(super) path: Cow<'v, [u8]>,
    /// A query that is part of the base string URI.
    pub(super) uri_query: Option<Cow<'v, [u8]>>,
    /// The application's parameters in the query are signed.
    pub(super) with_query: bool,
    /// The application's parameters in a form body are signed.
    pub(super) with_form: bool,
    /// A protocol parameter that is sent but not signed.
    pub(super) unsigned: Option<ProtocolParameter>,
    /// Parameters that are signed but not sent.
    pub(super) unsent: Vec<ParameterPair<'v>>,
    /// The form of names and values, by [`ParameterPlace`].
    pub(super) values: [ValueForm; 3],
    /// `[` and `]` in names are encoded once, everything else twice.
    pub(super) brackets_once: bool,
    /// Names in the query are encoded once more.
    pub(super) query_names_twice: bool,
    /// The bytes that stay plain when the parameters are joined and encoded.
    pub(super) left_plain: &'static [u8],
    /// The order of the parameters.
    pub(super) order: ParameterOrder,
}

/// The rule for the port in the base string URI.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PortRule {
    /// The host is in lower case, and the default port of the scheme is left out (section 3.4.1.2).
    Rfc,
    /// The ports 80 and 443 are left out with either scheme.
    EitherDefault,
    /// The authority is signed as it is sent.
    AsSent,
}

/// The form of names and values before they are joined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueForm {
    /// Decoded, then encoded as section 3.6 says.
    Rfc,
    /// As [`Rfc`](Self::Rfc), with a `+` in query or form as a plus instead of a space.
    PlusLiteral,
    /// As sent.
    AsSent,
    /// Decoded, and not encoded again.
    Decoded,
    /// Encoded once more.
    Twice,
    /// As [`Rfc`](Self::Rfc), with `+` for a space.
    SpaceAsPlus,
    /// As [`SpaceAsPlus`](Self::SpaceAsPlus), with a plain `*` and an encoded `~`, like
    /// `java.net.URLEncoder`.
    Java,
    /// As [`Rfc`](Self::Rfc), with a plain `!*'()`, like `encodeURIComponent`.
    Component,
}

/// The order of the parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ParameterOrder {
    /// By encoded name, then by encoded value (section 3.4.1.3.2).
    Rfc,
    /// By decoded name, then by decoded value.
    Decoded,
    /// By `name=value`.
    Joined,
    /// By name only; values of one name stay as sent.
    Name,
    /// Unsorted: header, query, body.
    AsSent,
    /// Unsorted, with the protocol parameters last.
    ProtocolLast,
}

impl<'v> BaseStringVariant<'v> {
    /// Returns every knob in its first position: RFC 5849.
    pub(super) fn rfc(request: &Request<'v>) -> Self {
        Self {
            method: Cow::Borrowed(request.method),
            scheme: request.scheme,
            authority: Cow::Borrowed(request.authority),
            port: PortRule::Rfc,
            path: whole_path(request),
            uri_query: None,
            with_query: true,
            with_form: true,
            unsigned: None,
            unsent: Vec::new(),
            values: [ValueForm::Rfc; 3],
            brackets_once: false,
            query_names_twice: false,
            left_plain: b"",
            order: ParameterOrder::Rfc,
        }
    }

    /// Makes the base string; `None` if the request cannot be read in this way.
    pub(super) fn base_string<'s>(
        &'s self,
        wire: &WireParameters<'s>,
    ) -> Option<VariantString<'s>> {
        let mut pairs = wire
            .iter()
            .filter(|sent| self.signs(sent))
            .map(|sent| self.pair(sent))
            .collect::<Option<Vec<_>>>()?;
        pairs.extend(self.unsent.iter().cloned());
        self.order.sort(&mut pairs);
        Some(VariantString {
            variant: self,
            authority: self.signed_authority()?,
            pairs,
        })
    }

    fn signed_authority(&self) -> Option<Cow<'_, [u8]>> {
        let default = self.scheme.default_port();
        match self.port {
            PortRule::Rfc => authority_without(|port| port == default, &self.authority),
            PortRule::EitherDefault => {
                authority_without(|port| port == b"80" || port == b"443", &self.authority)
            }
            PortRule::AsSent => authority_without(|_| false, &self.authority)
                .map(|_| Cow::Borrowed(&*self.authority)),
        }
    }

    fn signs(&self, sent: &WireParameter<'_>) -> bool {
        let Some(name) = sent.normal_name() else {
            return true;
        };
        if name.starts_with(PREFIX) {
            return self
                .unsigned
                .is_none_or(|unsigned| *name != *unsigned.name().as_bytes());
        }
        match sent.place {
            ParameterPlace::Header => true,
            ParameterPlace::Query => self.with_query,
            ParameterPlace::Body => self.with_form,
        }
    }

    /// Reads name and value in the form of their place.
    fn pair<'w>(&self, sent: &WireParameter<'w>) -> Option<ParameterPair<'w>> {
        let values = self.values[sent.place as usize];
        let mut name = values.read(sent.name, sent.place)?;
        if self.brackets_once {
            name = replaced(name, &[(b"%5B", b"["), (b"%5D", b"]")]);
        }
        if self.query_names_twice && sent.place == ParameterPlace::Query {
            name = Cow::Owned(encoded(&name).into_bytes());
        }
        Some(ParameterPair {
            name,
            value: values.read(sent.value, sent.place)?,
        })
    }
}

impl ValueForm {
    fn read(self, raw: &[u8], place: ParameterPlace) -> Option<Cow<'_, [u8]>> {
        let syntax = match self {
            Self::AsSent => return Some(Cow::Borrowed(raw)),
            Self::PlusLiteral => EscapeSyntax::Percent,
            Self::Rfc
            | Self::Decoded
            | Self::Twice
            | Self::SpaceAsPlus
            | Self::Java
            | Self::Component => EscapeSyntax::of(place),
        };
        normalize(raw, syntax).ok().map(|normal| self.of(normal))
    }

    /// Returns this form of a normal form.
    fn of(self, normal: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
        match self {
            Self::Rfc | Self::PlusLiteral | Self::AsSent => normal,
            Self::Decoded => decode(&normal),
            Self::Twice => Cow::Owned(encoded(&normal).into_bytes()),
            Self::SpaceAsPlus => replaced(normal, &[(b"%20", b"+")]),
            Self::Java => replaced(normal, JAVA),
            Self::Component => replaced(normal, COMPONENT),
        }
    }
}

impl ParameterOrder {
    fn sort(self, pairs: &mut [ParameterPair<'_>]) {
        match self {
            Self::Rfc => {
                pairs.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.value.cmp(&b.value)));
            }
            Self::Decoded => pairs.sort_by_cached_key(|pair| {
                let (name, value) = (decode(&pair.name), decode(&pair.value));
                (name.into_owned(), value.into_owned())
            }),
            Self::Joined => {
                pairs.sort_by_cached_key(|pair| [&*pair.name, b"=", &*pair.value].concat());
            }
            Self::Name => pairs.sort_by(|a, b| a.name.cmp(&b.name)),
            Self::AsSent => {}
            Self::ProtocolLast => pairs.sort_by_key(ParameterPair::is_protocol),
        }
    }
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
        out
    }

    /// Writes the text piece by piece, and with each piece whether only the sender may see it. A
    /// hidden text begins with an empty piece.
    pub(super) fn write(&self, write: &mut impl FnMut(&[u8], bool)) {
        self.put(&self.variant.method.to_ascii_uppercase(), true, write);
        write(b"&", false);
        self.write_uri(write);
        write(b"&", false);
        self.write_parameters(write);
    }

    fn write_uri(&self, write: &mut impl FnMut(&[u8], bool)) {
        let BaseStringVariant {
            scheme,
            path,
            uri_query,
            ..
        } = self.variant;
        for part in [scheme.name().as_bytes(), b"://", &self.authority, path] {
            self.put(part, true, write);
        }
        if let Some(query) = uri_query {
            self.put(b"?", true, write);
            self.put(query, false, write);
        }
    }

    fn write_parameters(&self, write: &mut impl FnMut(&[u8], bool)) {
        for (at, pair) in self.pairs.iter().enumerate() {
            if at > 0 {
                write(b"%26", false);
            }
            let Visibility { name, value } = pair.visibility();
            self.put(&pair.name, name, write);
            write(b"%3D", false);
            self.put(&pair.value, value, write);
        }
    }

    /// Writes `bytes` percent-encoded, except for those that the variant leaves plain.
    fn put(&self, bytes: &[u8], is_visible: bool, write: &mut impl FnMut(&[u8], bool)) {
        let is_hidden = !is_visible;
        if is_hidden {
            write(b"", is_hidden);
        }
        let is_plain = |byte: &u8| self.variant.left_plain.contains(byte);
        for part in bytes.chunk_by(|a, b| is_plain(a) == is_plain(b)) {
            if part.iter().all(is_plain) {
                write(part, is_hidden);
            } else {
                encode(part, &mut |piece| write(piece, is_hidden));
            }
        }
    }
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

/// A text, and its replacement.
type Replacement = (&'static [u8], &'static [u8]);

/// Replaces every occurrence; borrowed if there is nothing to replace.
fn replaced<'a>(text: Cow<'a, [u8]>, replacements: &[Replacement]) -> Cow<'a, [u8]> {
    let mut out = text;
    for (part, instead) in replacements {
        if memmem::find(&out, part).is_some() {
            out = Cow::Owned(replaced_part(&out, part, instead));
        }
    }
    out
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

/// The differences of `java.net.URLEncoder` from section 3.6.
const JAVA: &[Replacement] = &[(b"%20", b"+"), (b"%2A", b"*"), (b"~", b"%7E")];

/// The differences of `encodeURIComponent` from section 3.6.
const COMPONENT: &[Replacement] = &[
    (b"%21", b"!"),
    (b"%2A", b"*"),
    (b"%27", b"'"),
    (b"%28", b"("),
    (b"%29", b")"),
];

/// Room for the base string of most requests.
const USUAL_LEN: usize = 512;

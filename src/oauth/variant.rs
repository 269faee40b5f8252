//! How a signature base string is made, as knobs whose first position is RFC 5849 section 3.4.1.
//!
//! Every other position is a way in which clients are known to deviate. Two readers use them: a consumer's compat profiles,
//! under which a request can be proven ([`compat_variants`](super::compat::compat_variants)), and the diagnosis, which only
//! explains. The checks of everyone else take the short way of [`BaseString`](super::base_string::BaseString), which gives the
//! same bytes as the first positions.

use std::borrow::Cow;

use memchr::memmem;

use super::base_string::Message;
use super::encode::{Syntax, decode, encode, encoded, normalize};
use super::parameter::PREFIX;
use super::params::Pair;
use super::uri::{authority_without, root_or, split_target};
use super::wire::{Wire, WireParameter};
use super::{ParameterPlace, ProtocolParameter, Request, Scheme};

/// How one base string is made of a request.
#[derive(Clone)]
pub(super) struct Variant<'v> {
    /// The HTTP method, in any case.
    pub(super) method: Cow<'v, [u8]>,
    /// The scheme.
    pub(super) scheme: Scheme,
    /// Host, and port if it is sent.
    pub(super) authority: Cow<'v, [u8]>,
    /// How the authority is written.
    pub(super) port: Port,
    /// The path before it is encoded, from its first `/`.
    pub(super) path: Cow<'v, [u8]>,
    /// A query that is part of the base string URI.
    pub(super) uri_query: Option<Cow<'v, [u8]>>,
    /// Whether what the application sends in the query is in it.
    pub(super) query: bool,
    /// Whether what the application sends in a form body is in it.
    pub(super) form: bool,
    /// A protocol parameter that is sent, and not signed.
    pub(super) without: Option<ProtocolParameter>,
    /// What is signed, and not sent as a parameter.
    pub(super) added: Vec<Pair<'v>>,
    /// What names and values are made of, by the [`ParameterPlace`] where they stand.
    pub(super) values: [Values; 3],
    /// Whether `[` and `]` in names are encoded once, where everything else is encoded twice.
    pub(super) brackets_once: bool,
    /// Whether names in the query are encoded once more.
    pub(super) query_names_twice: bool,
    /// What is not encoded when all is joined, and should be.
    pub(super) left_plain: &'static [u8],
    /// What the parameters are sorted by.
    pub(super) order: Order,
}

/// How the authority is written in the base string URI.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// Without the default port of the scheme, in lower case (section 3.4.1.2).
    Rfc,
    /// Without the ports 80 and 443, whatever the scheme is.
    EitherDefault,
    /// As it is sent.
    AsSent,
}

/// What names and values are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// They are decoded, and encoded as section 3.6 says.
    Rfc,
    /// A `+` in query or form is a plus, not a space.
    PlusLiteral,
    /// They stay as they were sent.
    AsSent,
    /// They are decoded, and not encoded again.
    Decoded,
    /// They are encoded once more.
    Twice,
    /// A space is encoded as `+`.
    SpaceAsPlus,
    /// As [`SpaceAsPlus`](Self::SpaceAsPlus), and as `java.net.URLEncoder` has it: `*` is not encoded, `~` is.
    Java,
    /// `!*'()` are not encoded, as `encodeURIComponent` has it.
    Component,
}

/// What the parameters are sorted by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Encoded name, then encoded value (section 3.4.1.3.2).
    Rfc,
    /// Name and value before they are encoded.
    Decoded,
    /// `name=value`.
    Joined,
    /// The name alone; those of one name as they are sent.
    Name,
    /// They are not sorted: header, query, body.
    AsSent,
    /// They are not sorted, and those of the protocol come last.
    ProtocolLast,
}

impl<'v> Variant<'v> {
    /// Every knob in its first position: RFC 5849.
    pub(super) fn rfc(request: &Request<'v>) -> Self {
        Self {
            method: Cow::Borrowed(request.method),
            scheme: request.scheme,
            authority: Cow::Borrowed(request.authority),
            port: Port::Rfc,
            path: path(request),
            uri_query: None,
            query: true,
            form: true,
            without: None,
            added: Vec::new(),
            values: [Values::Rfc; 3],
            brackets_once: false,
            query_names_twice: false,
            left_plain: b"",
            order: Order::Rfc,
        }
    }

    /// The base string; `None` when the request has something that can not be read in this way.
    pub(super) fn base_string<'s>(&'s self, wire: &Wire<'s>) -> Option<VariantString<'s>> {
        let sent = wire
            .parameters
            .iter()
            .filter(|parameter| self.holds(parameter));
        let mut parameters = sent.map(|one| self.pair(one)).collect::<Option<Vec<_>>>()?;
        parameters.extend(self.added.iter().cloned());
        self.order.sort(&mut parameters);
        let port = self.port;
        let left_out = |sent: &[u8]| match port {
            Port::Rfc => sent == self.scheme.default_port(),
            Port::EitherDefault => sent == b"80" || sent == b"443",
            Port::AsSent => false,
        };
        let authority = authority_without(left_out, &self.authority)?;
        let authority = if port == Port::AsSent {
            Cow::Borrowed(&*self.authority)
        } else {
            authority
        };
        Some(VariantString {
            variant: self,
            authority,
            parameters,
        })
    }

    fn holds(&self, parameter: &WireParameter<'_>) -> bool {
        let Some(name) = parameter.normal_name() else {
            return true;
        };
        if name.starts_with(PREFIX) {
            return self
                .without
                .is_none_or(|without| *name != *without.name().as_bytes());
        }
        match parameter.place {
            ParameterPlace::Header => true,
            ParameterPlace::Query => self.query,
            ParameterPlace::Body => self.form,
        }
    }

    /// Name and value, encoded once as far as they are.
    fn pair<'w>(&self, parameter: &WireParameter<'w>) -> Option<Pair<'w>> {
        let values = self.values[parameter.place as usize];
        let name = values.read(parameter.name, parameter.place)?;
        let name = if self.brackets_once {
            replaced(name, &[(b"%5B", b"["), (b"%5D", b"]")])
        } else {
            name
        };
        let twice = self.query_names_twice && parameter.place == ParameterPlace::Query;
        let name = if twice {
            Cow::Owned(encoded(&name).into_bytes())
        } else {
            name
        };
        Some(Pair {
            name,
            value: values.read(parameter.value, parameter.place)?,
        })
    }
}

impl Values {
    fn read(self, raw: &[u8], place: ParameterPlace) -> Option<Cow<'_, [u8]>> {
        let normal = |syntax| normalize(raw, syntax).ok();
        let rfc = Syntax::of(place);
        Some(match self {
            Self::Rfc => normal(rfc)?,
            Self::PlusLiteral => normal(Syntax::Percent)?,
            Self::AsSent => Cow::Borrowed(raw),
            Self::Decoded => decode(&normal(rfc)?),
            Self::Twice => Cow::Owned(encoded(&normal(rfc)?).into_bytes()),
            Self::SpaceAsPlus => replaced(normal(rfc)?, &[(b"%20", b"+")]),
            Self::Java => replaced(
                normal(rfc)?,
                &[(b"%20", b"+"), (b"%2A", b"*"), (b"~", b"%7E")],
            ),
            Self::Component => replaced(normal(rfc)?, COMPONENT),
        })
    }
}

impl Order {
    fn sort(self, parameters: &mut [Pair<'_>]) {
        match self {
            Self::Rfc => {
                parameters.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.value.cmp(&b.value)))
            }
            Self::Decoded => parameters.sort_by_cached_key(|pair| {
                (
                    decode(&pair.name).into_owned(),
                    decode(&pair.value).into_owned(),
                )
            }),
            Self::Joined => {
                parameters.sort_by_cached_key(|pair| [&*pair.name, b"=", &*pair.value].concat())
            }
            Self::Name => parameters.sort_by(|a, b| a.name.cmp(&b.name)),
            Self::AsSent => {}
            Self::ProtocolLast => parameters.sort_by_key(Pair::is_protocol),
        }
    }
}

/// A base string that was made as a [`Variant`] says.
pub(super) struct VariantString<'s> {
    variant: &'s Variant<'s>,
    authority: Cow<'s, [u8]>,
    /// Sorted.
    parameters: Vec<Pair<'s>>,
}

impl VariantString<'_> {
    /// The whole of it.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL);
        self.write(&mut |bytes, _| out.extend_from_slice(bytes));
        out
    }

    /// Writes it piece by piece, and of each whether only its sender may see it. A hidden text begins with an empty
    /// piece.
    pub(super) fn write(&self, write: &mut impl FnMut(&[u8], bool)) {
        let variant = self.variant;
        let scheme: &[u8] = match variant.scheme {
            Scheme::Http => b"http://",
            Scheme::Https => b"https://",
        };
        let put =
            |bytes: &[u8], hidden, write: &mut _| put(bytes, variant.left_plain, hidden, write);
        put(&variant.method.to_ascii_uppercase(), false, write);
        write(b"&", false);
        for part in [scheme, &self.authority, &variant.path] {
            put(part, false, write);
        }
        if let Some(query) = &variant.uri_query {
            put(b"?", false, write);
            put(query, true, write);
        }
        write(b"&", false);
        for (at, pair) in self.parameters.iter().enumerate() {
            if at > 0 {
                write(b"%26", false);
            }
            put(&pair.name, !pair.shows_name(), write);
            write(b"%3D", false);
            put(&pair.value, !pair.shows_value(), write);
        }
    }
}

/// Writes `bytes` percent-encoded, but for those that are left plain.
fn put(bytes: &[u8], left_plain: &[u8], hidden: bool, write: &mut impl FnMut(&[u8], bool)) {
    if hidden {
        write(b"", true);
    }
    for part in bytes.split_inclusive(|byte| left_plain.contains(byte)) {
        let (encoded, plain) = match part.split_last() {
            Some((last, before)) if left_plain.contains(last) => part.split_at(before.len()),
            _ => (part, &[][..]),
        };
        encode(encoded, &mut |piece| write(piece, hidden));
        write(plain, hidden);
    }
}

/// The path with the prefix in front of it; mostly there is none.
fn path<'a>(request: &Request<'a>) -> Cow<'a, [u8]> {
    let path = root_or(split_target(request.target).0);
    if request.path_prefix.is_empty() {
        Cow::Borrowed(path)
    } else {
        [request.path_prefix, path].concat().into()
    }
}

/// A text with every one of some parts replaced, or as it is when there is none.
fn replaced<'a>(text: Cow<'a, [u8]>, parts: &[(&[u8], &[u8])]) -> Cow<'a, [u8]> {
    if !parts
        .iter()
        .any(|(part, _)| memmem::find(&text, part).is_some())
    {
        return text;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = &*text;
    while let Some((&first, after)) = rest.split_first() {
        match parts.iter().find(|(part, _)| rest.starts_with(part)) {
            Some((part, instead)) => {
                out.extend_from_slice(instead);
                rest = &rest[part.len()..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    out.into()
}

impl Message for [u8] {
    fn write(&self, write: &mut impl FnMut(&[u8])) {
        write(self);
    }
}

/// What `encodeURIComponent` does not encode, and section 3.6 does.
const COMPONENT: &[(&[u8], &[u8])] = &[
    (b"%21", b"!"),
    (b"%2A", b"*"),
    (b"%27", b"'"),
    (b"%28", b"("),
    (b"%29", b")"),
];

/// Room for the base string of most requests.
const USUAL: usize = 512;

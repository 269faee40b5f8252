//! How a signature base string is made, as knobs whose first position is RFC 5849 section 3.4.1.
//!
//! Every other position is a way in which clients are known to deviate. Two readers use them: a consumer's compat profiles,
//! under which a request can be proven ([`compat_variants`]), and the diagnosis, which only explains. The checks of everyone
//! else take the short way of [`BaseString`](super::base_string::BaseString), which gives the same bytes as the first
//! positions.

use std::borrow::Cow;

use super::base_string::Message;
use super::encode::{Syntax, encode, normalize};
use super::header::{AuthParams, oauth_credentials};
use super::media_type::is_form;
use super::parameter::PREFIX;
use super::params::Pair;
use super::scan::split_once;
use super::uri::{authority_without, root_or, split_target};
use super::{Body, Compat, CompatProfile, Parameter, Place, Request, Scheme};

/// The parameters of a signed request as they stand on the wire, without `oauth_signature` and the realm.
pub(super) struct Wire<'a> {
    parameters: Vec<WireParameter<'a>>,
}

#[derive(Clone, Copy)]
struct WireParameter<'a> {
    place: Place,
    name: &'a [u8],
    value: &'a [u8],
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
                        place: Place::Header,
                        name: parameter.name,
                        value: parameter.value,
                    });
                }
            }
        }
        parameters.extend(form(Place::Query, split_target(request.target).1));
        if let (true, Body::Whole(body)) = (is_form(request.content_type).ok()?, request.body) {
            parameters.extend(form(Place::Body, body));
        }
        parameters.retain(|parameter| !parameter.is_signature());
        Some(Self { parameters })
    }

    /// Whether the protocol parameters, or some of them, stand there.
    fn signed_in(&self, place: Place) -> bool {
        self.parameters.iter().any(|parameter| parameter.place == place && parameter.is_protocol())
    }

    /// Whether values that are joined as they are can be told apart again: what separates them is in none.
    fn can_be_joined(&self) -> bool {
        self.parameters.iter().all(|parameter| !parameter.value.contains(&b'&') && !parameter.name.contains(&b'&'))
    }
}

impl WireParameter<'_> {
    fn is_signature(&self) -> bool {
        self.normal_name().is_some_and(|name| *name == *Parameter::Signature.name().as_bytes())
    }

    fn is_protocol(&self) -> bool {
        self.normal_name().is_some_and(|name| name.starts_with(PREFIX))
    }

    fn normal_name(&self) -> Option<Cow<'_, [u8]>> {
        normalize(self.name, Syntax::of(self.place)).ok()
    }
}

fn form(place: Place, form: &[u8]) -> impl Iterator<Item = WireParameter<'_>> {
    let segments = form.split(|&byte| byte == b'&').filter(|segment| !segment.is_empty());
    segments.map(move |segment| {
        let (name, value) = split_once(segment, b'=').unwrap_or((segment, b""));
        WireParameter { place, name, value }
    })
}

/// How one base string is made of a request.
#[derive(Clone)]
pub(super) struct Variant<'v> {
    /// The HTTP method, in any case.
    pub(super) method: Cow<'v, [u8]>,
    /// The scheme.
    pub(super) scheme: Scheme,
    /// Host, and port if it is sent.
    pub(super) authority: Cow<'v, [u8]>,
    /// Which ports are left out.
    pub(super) port: Port,
    /// The path before it is encoded, from its first `/`.
    pub(super) path: Cow<'v, [u8]>,
    /// Whether the parameters of the query are in it.
    pub(super) query: bool,
    /// Whether the parameters of a form body are in it.
    pub(super) form: bool,
    /// What names and values are made of.
    pub(super) values: Values,
    /// What a `+` in the query means.
    pub(super) plus: Plus,
    /// Whether `[` and `]` in names are encoded once, where everything else is encoded twice.
    pub(super) brackets_once: bool,
}

/// Which ports are left out of the base string URI.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    /// The default port of the scheme (section 3.4.1.2).
    Rfc,
    /// 80 and 443, whatever the scheme is.
    EitherDefault,
}

/// What names and values in header and query are made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// They are decoded, and encoded as section 3.6 says.
    Rfc,
    /// They stay as they were sent.
    AsSent,
}

/// What a `+` in the query means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plus {
    /// A space, as in every form.
    Space,
    /// A plus.
    Plus,
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
            query: true,
            form: true,
            values: Values::Rfc,
            plus: Plus::Space,
            brackets_once: false,
        }
    }

    /// The base string; `None` when the request has something that can not be read in this way.
    pub(super) fn base_string(&self, wire: &Wire<'_>) -> Option<Vec<u8>> {
        let mut parameters: Vec<_> = wire
            .parameters
            .iter()
            .filter(|parameter| self.holds(parameter))
            .map(|one| self.pair(one))
            .collect::<Option<_>>()?;
        parameters.sort_unstable_by(|a, b| a.name.cmp(&b.name).then_with(|| a.value.cmp(&b.value)));
        let mut out = Vec::with_capacity(USUAL);
        encode(&self.method.to_ascii_uppercase(), &mut |piece| out.extend_from_slice(piece));
        out.push(b'&');
        self.write_uri(&mut out)?;
        out.push(b'&');
        for (at, Pair { name, value }) in parameters.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(b"%26");
            }
            encode(name, &mut |piece| out.extend_from_slice(piece));
            out.extend_from_slice(b"%3D");
            encode(value, &mut |piece| out.extend_from_slice(piece));
        }
        Some(out)
    }

    fn holds(&self, parameter: &WireParameter<'_>) -> bool {
        match parameter.place {
            Place::Header => true,
            Place::Query => self.query,
            Place::Body => self.form,
        }
    }

    /// Name and value, encoded once as far as they are.
    fn pair<'w>(&self, parameter: &WireParameter<'w>) -> Option<Pair<'w>> {
        let WireParameter { place, name, value } = *parameter;
        if self.values == Values::AsSent && place != Place::Body {
            return Some(Pair { name: Cow::Borrowed(name), value: Cow::Borrowed(value) });
        }
        let plain_plus = self.plus == Plus::Plus && place == Place::Query;
        let syntax = if plain_plus { Syntax::Percent } else { Syntax::of(place) };
        let name = normalize(name, syntax).ok()?;
        let name = if self.brackets_once { with_brackets(name) } else { name };
        Some(Pair { name, value: normalize(value, syntax).ok()? })
    }

    fn write_uri(&self, out: &mut Vec<u8>) -> Option<()> {
        let port = self.port;
        let left_out = |sent: &[u8]| match port {
            Port::Rfc => sent == self.scheme.default_port(),
            Port::EitherDefault => sent == b"80" || sent == b"443",
        };
        out.extend_from_slice(match self.scheme {
            Scheme::Http => b"http%3A%2F%2F",
            Scheme::Https => b"https%3A%2F%2F",
        });
        encode(&authority_without(left_out, &self.authority)?, &mut |piece| out.extend_from_slice(piece));
        encode(&self.path, &mut |piece| out.extend_from_slice(piece));
        Some(())
    }
}

/// How else a request may be signed by a consumer that has these profiles; RFC 5849 itself is not among them.
///
/// # Security
/// What a variant leaves out is not signed. Protocol parameters are never left out, or a request could be replayed with
/// another nonce; who leaves out the form has to hold the body against `oauth_body_hash`.
pub(super) fn compat_variants<'v>(compat: Compat, request: &Request<'v>, wire: &Wire<'_>) -> Vec<Variant<'v>> {
    let rfc = Variant::rfc(request);
    let profiled = under(compat, &rfc, wire);
    let mut variants = vec![profiled.clone()];
    if compat.contains(CompatProfile::SchemeAny) {
        let scheme = rfc.scheme.other();
        variants.extend([Variant { scheme, ..rfc }, Variant { scheme, ..profiled }]);
    }
    variants
}

/// RFC 5849 but for what the profiles change together.
fn under<'v>(compat: Compat, rfc: &Variant<'v>, wire: &Wire<'_>) -> Variant<'v> {
    let has = |profile| compat.contains(profile);
    let mut variant = rfc.clone();
    if has(CompatProfile::NoRootSlash) && *variant.path == *b"/" {
        variant.path = Cow::Borrowed(b"");
    }
    if has(CompatProfile::PlusLiteral) {
        variant.plus = Plus::Plus;
    }
    if has(CompatProfile::RawValues) && wire.can_be_joined() {
        variant.values = Values::AsSent;
    }
    if has(CompatProfile::BodyUnsignedForm) && !wire.signed_in(Place::Body) {
        variant.form = false;
    }
    let is_post = variant.method.eq_ignore_ascii_case(b"POST");
    if has(CompatProfile::IgnoreQueryOnPost) && is_post && !wire.signed_in(Place::Query) {
        variant.query = false;
    }
    variant.brackets_once = has(CompatProfile::BracketsOnce);
    if has(CompatProfile::DefaultPortAny) {
        variant.port = Port::EitherDefault;
    }
    variant
}

/// The path with the prefix in front of it; mostly there is none.
fn path<'a>(request: &Request<'a>) -> Cow<'a, [u8]> {
    let path = root_or(split_target(request.target).0);
    if request.path_prefix.is_empty() { Cow::Borrowed(path) } else { [request.path_prefix, path].concat().into() }
}

/// A name in normal form, with its brackets decoded.
fn with_brackets(name: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    if !name.windows(3).any(|escape| escape == b"%5B" || escape == b"%5D") {
        return name;
    }
    let mut out = Vec::with_capacity(name.len());
    let mut rest = &*name;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match rest {
            [b'%', b'5', b'B', after @ ..] => (b'[', after),
            [b'%', b'5', b'D', after @ ..] => (b']', after),
            _ => (first, after),
        };
        out.push(byte);
        rest = after;
    }
    out.into()
}

impl Message for [u8] {
    fn write(&self, write: &mut impl FnMut(&[u8])) {
        write(self);
    }
}

/// Room for the base string of most requests.
const USUAL: usize = 512;

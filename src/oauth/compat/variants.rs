//! From profiles to base strings.

use std::borrow::Cow;

use super::super::pair::ParameterPair;
use super::super::variant::{BaseStringVariant, PortRule, Reading};
use super::super::wire::WireParameters;
use super::super::{ParameterPlace, ProtocolParameter, Request};
use super::encoding::ENCODING_CHANGES;
use super::profile::CompatProfile;
use super::set::CompatSet;

/// Returns the other base strings that a consumer with these profiles may sign, at most
/// [`MAX_VARIANTS`]; that of RFC 5849 is not among them.
///
/// # Security
/// A variant does not sign the parts that it leaves out. It never leaves out a protocol parameter:
/// a request could be replayed with another nonce. If it leaves out the form, the caller must
/// compare the body with `oauth_body_hash`.
pub(in crate::oauth) fn compat_variants<'v>(
    compat: CompatSet,
    request: &Request<'v>,
    wire: &WireParameters<'_>,
) -> Vec<BaseStringVariant<'v>> {
    let rfc = BaseStringVariant::rfc(request);
    let mut variants = under_all(compat, &rfc, wire);
    if compat.contains(CompatProfile::SchemeAny) {
        let scheme = rfc.scheme.other();
        let others = variants.clone();
        variants.push(BaseStringVariant { scheme, ..rfc });
        variants.extend(
            others
                .into_iter()
                .map(|other| BaseStringVariant { scheme, ..other }),
        );
    }
    variants.truncate(MAX_VARIANTS);
    variants
}

/// Returns RFC 5849 as changed by all of the profiles together, in each way in which their clients
/// are known to sign.
fn under_all<'v>(
    compat: CompatSet,
    rfc: &BaseStringVariant<'v>,
    wire: &WireParameters<'_>,
) -> Vec<BaseStringVariant<'v>> {
    let mut variant = rfc.clone();
    variant.repeated_once = compat.contains(CompatProfile::RepeatedOnce);
    change_uri(compat, &mut variant);
    change_reading(compat, wire, &mut variant);
    change_scope(compat, wire, &mut variant);
    let mut variants = encoded(compat, variant);
    if compat.contains(CompatProfile::EmptyUnsent) {
        variants = with_empty(variants, wire);
    }
    variants
}

fn change_uri(compat: CompatSet, variant: &mut BaseStringVariant<'_>) {
    if compat.contains(CompatProfile::NoRootSlash) && *variant.path == *b"/" {
        variant.path = Cow::Borrowed(b"");
    }
    if compat.contains(CompatProfile::DefaultPortAny) {
        variant.port = PortRule::EitherDefault;
    }
}

/// Changes how names and values are read.
///
/// Nonce and token are always read as RFC 5849 says. If one of them has a `+` in the query, the
/// profiles that would sign it as a plus are ignored: the verifier reads a space.
fn change_reading(
    compat: CompatSet,
    wire: &WireParameters<'_>,
    variant: &mut BaseStringVariant<'_>,
) {
    if wire.has_protocol_plus(ParameterPlace::Query) {
        return;
    }
    if compat.contains(CompatProfile::PlusLiteral) {
        read_as(Reading::PlusLiteral, ParameterPlace::Query, variant);
    }
    if compat.contains(CompatProfile::RawValues) && wire.can_be_joined() {
        read_as(Reading::AsSent, ParameterPlace::Header, variant);
        read_as(Reading::AsSent, ParameterPlace::Query, variant);
    }
}

fn read_as(reading: Reading, place: ParameterPlace, variant: &mut BaseStringVariant<'_>) {
    variant.names[place as usize].reading = reading;
    variant.values[place as usize].reading = reading;
}

/// Leaves out a form or a query, unless it has the protocol parameters.
fn change_scope(compat: CompatSet, wire: &WireParameters<'_>, variant: &mut BaseStringVariant<'_>) {
    if compat.contains(CompatProfile::BodyUnsignedForm) && !wire.has_protocol(ParameterPlace::Body)
    {
        variant.with_form = false;
    }
    if compat.contains(CompatProfile::IgnoreQueryOnPost)
        && variant.method.eq_ignore_ascii_case(b"POST")
        && !wire.has_protocol(ParameterPlace::Query)
    {
        variant.with_query = false;
    }
}

/// Returns the variant in each encoding of the profiles' clients.
///
/// In each of them every byte has one form, which no other byte has. So a base string still stands
/// for one list of names and values.
fn encoded<'v>(compat: CompatSet, variant: BaseStringVariant<'v>) -> Vec<BaseStringVariant<'v>> {
    let changes = ENCODING_CHANGES
        .iter()
        .filter(|(profile, _)| compat.contains(*profile));
    changes.fold(vec![variant], |variants, (_, changes)| {
        product(&variants, changes, |variant, change| change.apply(variant))
    })
}

/// Adds the empty parameters that clients sign without sending them: callback and verifier, with or
/// without the token, or the token alone.
fn with_empty<'v>(
    variants: Vec<BaseStringVariant<'v>>,
    wire: &WireParameters<'_>,
) -> Vec<BaseStringVariant<'v>> {
    let is_unsent = |parameter: &ProtocolParameter| wire.position(*parameter).is_none();
    let lists = EMPTY_UNSENT.iter().map(|list| {
        let unsent = list.iter().copied().filter(is_unsent);
        unsent.collect::<Vec<_>>()
    });
    let mut lists: Vec<_> = lists.filter(|list| !list.is_empty()).collect();
    lists.dedup();
    if lists.is_empty() {
        return variants;
    }
    product(&variants, &lists, |variant, list| {
        let empty = |name: &ProtocolParameter| ParameterPair::encode(name.name().as_bytes(), b"");
        variant.unsent.extend(list.iter().map(empty));
    })
}

/// Returns each variant with each change.
fn product<'v, C>(
    variants: &[BaseStringVariant<'v>],
    changes: &[C],
    apply: impl Fn(&mut BaseStringVariant<'v>, &C),
) -> Vec<BaseStringVariant<'v>> {
    let changed = |variant: &BaseStringVariant<'v>, change: &C| {
        let mut variant = variant.clone();
        apply(&mut variant, change);
        variant
    };
    variants
        .iter()
        .flat_map(|variant| changes.iter().map(move |change| (variant, change)))
        .map(|(variant, change)| changed(variant, change))
        .collect()
}

/// The empty parameters that clients are known to sign together.
const EMPTY_UNSENT: [&[ProtocolParameter]; 3] = [
    &[ProtocolParameter::Callback, ProtocolParameter::Verifier],
    &[
        ProtocolParameter::Callback,
        ProtocolParameter::Verifier,
        ProtocolParameter::Token,
    ],
    &[ProtocolParameter::Token],
];

/// The most base strings that profiles add to that of RFC 5849. A consumer with several profiles
/// whose clients sign in several ways may have more; those are not tried.
const MAX_VARIANTS: usize = 8;

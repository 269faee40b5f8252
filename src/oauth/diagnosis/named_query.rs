//! Queries that a header of a proxy names, if another one arrived.

use std::borrow::Cow;
use std::collections::HashSet;

use super::super::ParameterPlace;
use super::super::encode::{EscapeSyntax, decode, normalize};
use super::super::uri::{root_or, split_target};
use super::super::variant::SignedParameter;
use super::super::wire::{WireParameter, form};
use super::change::{BaseStringChange, BaseStringPart};
use super::forwarded::ForwardedHeader;
use super::named_url::NamedUrl;
use super::parameters::instead;
use super::sent::SentParameters;
use super::{MismatchCause, MismatchEvidence};

/// Returns the changes to every query that a header names.
pub(super) fn changes<'e>(
    evidence: &MismatchEvidence<'e>,
    sent: &SentParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let arrived = split_target(evidence.request.target).1;
    let headers = evidence.forwarded.iter();
    let named = headers.filter(|(header, _)| HEADERS.contains(header));
    let named = named.map(|(header, url)| (header, query_of(url)));
    named
        .filter(|(_, query)| !query.is_empty() && *query != arrived)
        .filter_map(|(header, query)| change(sent, header, query))
        .chain(whole_urls(evidence, sent))
        .collect()
}

/// Returns the changes of clients that sign the host and the path of a named URL too.
fn whole_urls<'e>(
    evidence: &MismatchEvidence<'e>,
    sent: &SentParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let headers = evidence.forwarded.iter();
    let named = headers.filter(|(header, _)| HEADERS.contains(header));
    let whole = named.filter_map(|(header, url)| {
        let NamedUrl { authority, path } = NamedUrl::of(url);
        let change = change(sent, header, query_of(url)).filter(|_| !authority.is_empty())?;
        Some(change.and(BaseStringPart::Query, move |variant| {
            variant.authority = Cow::Borrowed(authority);
            variant.path = Cow::Borrowed(root_or(path));
        }))
    });
    whole.map(BaseStringChange::guess).collect()
}

/// Returns the change of a client that signs a named query instead of the one that arrived.
fn change<'e>(
    sent: &SentParameters<'e>,
    header: ForwardedHeader,
    query: &'e [u8],
) -> Option<BaseStringChange<'e>> {
    let named: Vec<_> = form(ParameterPlace::Query, query)
        .take(MAX_PARAMETERS)
        .filter(|one| one.name != b"oauth_signature")
        .map(|one| Some((one, decoded(one.name)?, decoded(one.value)?)))
        .collect::<Option<_>>()?;
    let arrived: HashSet<_> = sent.iter().map(|one| (&*one.name, &*one.value)).collect();
    let missing = named
        .iter()
        .filter(|(_, name, value)| !arrived.contains(&(&**name, &**value)));
    let missing: Vec<_> = missing
        .map(|(_, name, value)| {
            let shown = sent.shown(name, value);
            shown.unwrap_or_else(|| "a parameter".to_owned())
        })
        .collect();
    if missing.is_empty() {
        return None;
    }
    let others = sent.iter();
    let others = others.filter(|one| one.wire.place != ParameterPlace::Query);
    let list = others.map(|one| one.signed());
    let list = list.chain(named.iter().map(|(one, ..)| signed(one)));
    let change = instead(MismatchCause::ParameterNotSent, list.collect()).likely();
    Some(change.with_own_remedy(format!(
        "the client signs {}, which `{}` names but which did not arrive: call Countersign before a \
         proxy changes the query",
        missing.join(" and "),
        header.name()
    )))
}

fn decoded(raw: &[u8]) -> Option<Vec<u8>> {
    let normal = normalize(raw, EscapeSyntax::Form).ok()?;
    Some(decode(&normal).into_owned())
}

fn signed<'e>(parameter: &WireParameter<'e>) -> SignedParameter<'e> {
    SignedParameter {
        sent: usize::MAX,
        place: ParameterPlace::Query,
        name: Cow::Borrowed(parameter.name),
        value: Cow::Borrowed(parameter.value),
        hides_name: false,
    }
}

/// Returns the query of a URL or of a path.
fn query_of(url: &[u8]) -> &[u8] {
    let url = url.split(|&byte| byte == b'#').next().unwrap_or_default();
    split_target(url).1
}

/// The headers that name a path with its query.
const HEADERS: [ForwardedHeader; 8] = [
    ForwardedHeader::XEnvoyOriginalPath,
    ForwardedHeader::XOriginalUrl,
    ForwardedHeader::XOriginalUri,
    ForwardedHeader::XForwardedUri,
    ForwardedHeader::XForwardedUrl,
    ForwardedHeader::XRewriteUrl,
    ForwardedHeader::XWawsUnencodedUrl,
    ForwardedHeader::XRequestUri,
];

/// The most parameters that are read from a header.
const MAX_PARAMETERS: usize = 50;

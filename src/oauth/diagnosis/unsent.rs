//! Protocol parameters that few clients sign without sending them.

use std::collections::BTreeSet;

use super::super::pair::ParameterPair;
use super::super::{ProtocolParameter, Request, RequestBody, SignatureMethod, body_hash};
use super::change::BaseStringChange;
use super::parameters::{MAX_BODY_LEN, these_not_sent, unsent_pairs};
use super::sent::SentParameters;

/// Returns every change of a client that signs such a parameter.
pub(super) fn changes<'e>(
    request: &Request<'e>,
    sent: &SentParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let mut changes = hash_not_sent(request, sent);
    changes.extend(rarely_signed(sent));
    changes
}

/// Returns the changes of clients that sign one of [`RARELY_SIGNED`] without sending it.
fn rarely_signed<'e>(sent: &SentParameters<'e>) -> impl Iterator<Item = BaseStringChange<'e>> {
    let is_sent = |name: &str| sent.iter().any(|one| one.name == name.as_bytes());
    let unsent = RARELY_SIGNED.into_iter();
    let unsent = unsent.filter(move |(name, _)| !is_sent(name));
    unsent.map(|one| these_not_sent(&[one]).guess())
}

/// Returns the changes of clients that sign the `oauth_body_hash` of the body, or of none, without
/// sending it.
fn hash_not_sent<'e>(
    request: &Request<'e>,
    sent: &SentParameters<'e>,
) -> Vec<BaseStringChange<'e>> {
    let name = ProtocolParameter::BodyHash.name().as_bytes();
    if sent.iter().any(|one| one.name == name) {
        return Vec::new();
    }
    let body = match request.body {
        RequestBody::Whole(body) if body.len() <= MAX_BODY_LEN => body,
        RequestBody::Whole(_) | RequestBody::NotWhole | RequestBody::Unseen => b"",
    };
    let bodies = BTreeSet::from([body, b""]).into_iter();
    let hashes = bodies.flat_map(|body| {
        let methods = [SignatureMethod::HmacSha1, SignatureMethod::HmacSha256];
        methods.map(|method| body_hash(method, body))
    });
    hashes
        .map(|hash| {
            let pair = ParameterPair::encode(name, hash.as_bytes());
            unsent_pairs(vec![pair])
                .with_remedy(Some(HASH_NOT_SENT))
                .guess()
        })
        .collect()
}

/// The protocol parameters, and the words for a missing value, that few clients sign without sending
/// them.
const RARELY_SIGNED: [(&str, &str); 4] = [
    ("oauth_token", "undefined"),
    ("oauth_token", "null"),
    ("oauth_token", "None"),
    ("oauth_session_handle", ""),
];

const HASH_NOT_SENT: &str = "the client signs an `oauth_body_hash` that it does not send: make it send the hash too, or leave it \
     out of the signature";

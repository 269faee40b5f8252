//! The evidence that a diagnosis has.

use super::super::{CompatSet, ParseLimits, Request, Scheme, VerificationKeys};
use super::ForwardedHeaders;

/// The evidence about a request whose signature does not match.
#[derive(Clone, Copy)]
pub struct MismatchEvidence<'e> {
    /// The request as it was verified.
    pub request: &'e Request<'e>,
    /// The bounds under which it was parsed.
    pub limits: &'e ParseLimits,
    /// The consumer's compat profiles.
    pub compat: CompatSet,
    /// The keys that did not match.
    pub keys: VerificationKeys<'e>,
    /// Former secrets of the consumer.
    pub expired_secrets: &'e [&'e [u8]],
    /// The proxies' account of the request that the client sent.
    pub forwarded: ForwardedHeaders<'e>,
    /// The origin on arrival, if [`Self::request`] has a configured one.
    pub received: Option<ReceivedOrigin<'e>>,
    /// The setting that names the origin which clients sign.
    pub setting: OriginSetting,
    /// Shows the values of an application instead of masking them, to somebody who has the request
    /// anyway.
    pub reveal: bool,
}

/// The operator's setting for clients that sign another scheme, host, port or path prefix than the
/// one that arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OriginSetting {
    /// `origin` of the route.
    #[default]
    Origin,
    /// `http.public_url`, of the token endpoints.
    PublicUrl,
}

/// The scheme and authority of a request on arrival.
#[derive(Clone, Copy)]
pub struct ReceivedOrigin<'e> {
    /// The scheme.
    pub scheme: Scheme,
    /// The `Host` header or `:authority`.
    pub authority: &'e [u8],
}

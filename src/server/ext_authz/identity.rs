//! The headers that name the caller to the upstream, and the removal of all headers that look like
//! one.

use crate::model::UserId;
use crate::verify::Identity;

/// The six headers, in the order of [`UpstreamCaller::values`].
pub(super) const NAMES: [&str; 6] = [
    "x-consumer-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-authenticated-userid",
    "x-authenticated-scope",
    "x-anonymous-consumer",
];

/// The caller, as the upstream may know it.
#[derive(Clone, Copy)]
pub(super) enum UpstreamCaller<'i> {
    /// A proven consumer.
    Proven(&'i Identity),
    /// An unsigned request on a route that requires no signature.
    Anonymous,
    /// A denied request that passes in shadow mode.
    Unknown,
}

impl<'i> UpstreamCaller<'i> {
    /// Returns the value of each of [`NAMES`]; `None` is a header to remove.
    pub(super) fn values(self) -> [Option<&'i str>; 6] {
        match self {
            Self::Proven(identity) => [
                Some(identity.consumer_id().as_str()),
                Some(identity.consumer_name().as_str()),
                Some(identity.consumer_key().as_str()),
                identity.user_id().map(UserId::as_str),
                Some(identity.scopes().as_str()).filter(|scopes| !scopes.is_empty()),
                None,
            ],
            Self::Anonymous => [None, None, None, None, None, Some("true")],
            Self::Unknown => [const { None }; 6],
        }
    }
}

/// Returns true for a different spelling that a WSGI or CGI upstream reads as one of the six
/// headers. Most upstreams read only `_` as `-`, but lighttpd and older Apache read every other
/// character so.
///
/// The six names themselves do not count: they are overwritten or removed anyway, and a removal
/// after that would lose them.
pub(super) fn is_disguised(name: &str) -> bool {
    NAMES
        .iter()
        .any(|identity| reads_as(name, identity) && !name.eq_ignore_ascii_case(identity))
}

fn reads_as(name: &str, identity: &str) -> bool {
    let fold = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            byte.to_ascii_lowercase()
        } else {
            b'-'
        }
    };
    name.len() == identity.len() && name.bytes().map(fold).eq(identity.bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_header_is_recognized_in_any_spelling() {
        for name in [
            "x_consumer_id",
            "X-Consumer-ID",
            "X_Consumer-Id",
            "x-consumer_id",
            "x.consumer~id",
        ] {
            assert!(reads_as(name, "x-consumer-id"), "{name}");
        }
        for name in [
            "x-consumer-ids",
            "y-consumer-id",
            "xconsumerid",
            "consumer-id",
            "",
        ] {
            assert!(
                !NAMES.iter().any(|identity| reads_as(name, identity)),
                "{name}"
            );
        }
    }
}

//! The headers that tell the upstream who called, and the removal of everything that looks like one.

use crate::model::UserId;
use crate::verify::Identity;

/// The six headers, in the order of [`Caller::values`].
pub(super) const NAMES: [&str; 6] = [
    "x-consumer-id",
    "x-consumer-username",
    "x-credential-identifier",
    "x-authenticated-userid",
    "x-authenticated-scope",
    "x-anonymous-consumer",
];

/// Who called, as far as the upstream may know.
#[derive(Clone, Copy)]
pub(super) enum Caller<'i> {
    /// A proven consumer.
    Proven(&'i Identity),
    /// Nobody signed, and nobody had to.
    Anonymous,
    /// Nothing is known: a shadowed denial.
    Unknown,
}

impl<'i> Caller<'i> {
    /// The value of each of [`NAMES`]; `None` is one to remove.
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

/// Whether a WSGI or CGI upstream reads a header of this name as one of the six although it is spelled otherwise: most
/// know only `_` beside `-`, but lighttpd and older Apache make every other character the same `_`.
///
/// The six themselves are not among them: they are overwritten or removed anyway, and removing after setting would lose
/// them.
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
    fn an_identity_header_is_known_in_any_spelling() {
        for name in [
            "x_consumer_id",
            "X-Consumer-ID",
            "X_Consumer-Id",
            "x-consumer_id",
            "x.consumer~id",
        ] {
            assert!(reads_as(name, "x-consumer-id"), "{name}");
        }
        for name in ["x-consumer-ids", "xconsumerid", "consumer-id", ""] {
            assert!(
                !NAMES.iter().any(|identity| reads_as(name, identity)),
                "{name}"
            );
        }
    }
}

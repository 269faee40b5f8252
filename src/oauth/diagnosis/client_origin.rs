//! The origin to configure, so that the request verifies as the client signed it.

use super::super::uri::{authority_without, root_or, split_target};
use super::super::variant::BaseStringVariant;
use super::{MismatchCause, MismatchEvidence};

/// The scheme, host, port and path prefix to configure.
pub(super) struct ClientOrigin {
    text: String,
    /// The client signs this host and port.
    corrects_authority: bool,
    /// The client signs the path that arrived behind this prefix, and not behind the one that is
    /// configured.
    corrects_path: bool,
}

impl ClientOrigin {
    /// Returns the origin that the client signs, as far as a setting can express it; `None` if none
    /// can.
    pub(super) fn of(
        evidence: &MismatchEvidence<'_>,
        client: &BaseStringVariant<'_>,
    ) -> Option<Self> {
        let request = evidence.request;
        let default_port = client.scheme.default_port();
        let signed = client.signed_authority()?;
        let by_rfc = authority_without(|port| port == default_port, &signed);
        let corrects_authority = by_rfc.is_some_and(|by_rfc| by_rfc == signed);
        let authority = if corrects_authority {
            &signed
        } else {
            request.authority
        };
        let arrived = root_or(split_target(request.target).0);
        let prefix = client.path.strip_suffix(arrived);
        let prefix = prefix.filter(|prefix| is_prefix(prefix));
        let text = [
            client.scheme.name().as_bytes(),
            b"://",
            authority,
            prefix.unwrap_or(request.path_prefix),
        ];
        Some(Self {
            text: String::from_utf8(text.concat()).ok()?,
            corrects_authority,
            corrects_path: prefix.is_some_and(|prefix| prefix != request.path_prefix),
        })
    }

    /// Returns whether the setting corrects a cause.
    pub(super) const fn corrects(&self, cause: MismatchCause) -> bool {
        if matches!(cause, MismatchCause::Port | MismatchCause::Host) {
            return self.corrects_authority;
        }
        let is_path = matches!(
            cause,
            MismatchCause::PathPrefixStripped
                | MismatchCause::PathPrefixAdded
                | MismatchCause::PathRewritten
        );
        matches!(cause, MismatchCause::Scheme) || (is_path && self.corrects_path)
    }

    /// Returns the value of the setting.
    pub(super) fn text(&self) -> String {
        self.text.clone()
    }
}

/// Returns whether an origin can have the prefix: empty, or with a `/` at its beginning and none at
/// its end.
fn is_prefix(prefix: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(byte);
    prefix.is_empty()
        || (prefix.starts_with(b"/") && !prefix.ends_with(b"/") && prefix.iter().all(is_plain))
}

//! Redaction rules for request parameters that are shown to anyone but the sender.
//!
//! - The value of a known protocol parameter is shown. The exceptions are `oauth_verifier`, which
//!   is a secret, and `oauth_callback`, whose query may hold one. A value with a separator in it is
//!   masked too: it may be several values that a client joined wrongly.
//! - Every other value is masked. Clients send secrets under other `oauth_` names as well.
//! - The name of an application's parameter is shown if it is short and plain and has a value. Any
//!   other name may be a body, a token or a key in the wrong place. A name that a diagnosis makes of
//!   a value is masked too.

use std::borrow::Cow;

use super::ProtocolParameter;
use super::encode::decode;
use super::pair::ParameterPair;

/// The text that replaces a hidden name or value. No name or value encodes to it.
pub(super) const MASK: &[u8] = b"***";

/// The visible parts of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visibility {
    /// The name is visible.
    pub(super) name: bool,
    /// The value is visible.
    pub(super) value: bool,
}

impl Visibility {
    /// Name and value are visible.
    pub(super) const FULL: Self = Self {
        name: true,
        value: true,
    };
}

impl ParameterPair<'_> {
    /// Returns which parts of the parameter other people may see.
    pub(super) fn visibility(&self) -> Visibility {
        match ProtocolParameter::from_name(&self.name) {
            Some(parameter) => Visibility {
                name: true,
                value: !is_private(parameter) && is_one_value(&plain(&self.value)),
            },
            None => Visibility {
                name: !self.hides_name && shows_name(&self.name, &self.value),
                value: false,
            },
        }
    }
}

const fn is_private(parameter: ProtocolParameter) -> bool {
    matches!(
        parameter,
        ProtocolParameter::Verifier | ProtocolParameter::Callback
    )
}

/// Returns whether other people may see the name of an application's parameter; name and value are
/// encoded.
///
/// A name without a value, or before a value of `=` alone, may be a value itself: base64 in the
/// place of a name.
pub fn shows_name(name: &[u8], value: &[u8]) -> bool {
    plain(value).iter().any(|&byte| byte != b'=') && is_plain_name(&plain(name))
}

/// Returns whether other people may see a value as it was sent: it is one value of at most `limit`
/// bytes. Any other may hold a secret that a client joined to it.
pub fn shows_value(value: &[u8], limit: usize) -> bool {
    value.len() <= limit && is_one_value(&plain(value))
}

/// Decodes twice, since some clients encode twice.
fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let once = decode(&Cow::Borrowed(text)).into_owned();
    Cow::Owned(decode(&once.into()).into_owned())
}

/// Returns whether a decoded value has no byte that joins values.
fn is_one_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !b";,&\"'{}<>\\".contains(byte))
}

/// Returns whether a decoded name is short and has only letters, digits and `-._~[]`.
fn is_plain_name(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~[]".contains(byte);
    (1..=MAX_NAME_LEN).contains(&name.len()) && name.iter().all(is_plain)
}

/// The longest visible name, in bytes.
const MAX_NAME_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_protocol_parameter_is_shown_except_verifier_and_callback() {
        for parameter in ProtocolParameter::ALL {
            let is_shown = !matches!(
                parameter,
                ProtocolParameter::Verifier | ProtocolParameter::Callback
            );
            assert_eq!(
                shown(parameter.name().as_bytes(), b"x"),
                (true, is_shown),
                "{parameter}"
            );
        }
    }

    #[test]
    fn an_unknown_protocol_parameter_has_no_visible_value() {
        for name in [
            &b"oauth_token_secret"[..],
            b"oauth_consumer_secret",
            b"oauth_session_handle",
        ] {
            assert_eq!(shown(name, b"x"), (true, false));
        }
        assert_eq!(
            shown(b"oauth_token_SECRET{\"pw\":\"hunter2\"}", b"1"),
            (false, false)
        );
    }

    #[test]
    fn a_value_is_shown_unless_it_may_be_several() {
        for joined in [
            &b"n;oauth_verifier=x"[..],
            b"n&b",
            b"n%3Boauth_verifier=x",
            b"{\"a\":1}",
            b"a b",
            b"\xff",
        ] {
            let text = joined.escape_ascii();
            assert_eq!(shown(b"oauth_nonce", joined), (true, false), "{text}");
        }
        for value in [
            &b"2jmj7l5rSw0yVb/vlWAYkK/YBwk="[..],
            b"HMAC-SHA1",
            b"key!with$other~characters",
            b"",
        ] {
            let text = value.escape_ascii();
            assert_eq!(shown(b"oauth_nonce", value), (true, true), "{text}");
        }
    }

    #[test]
    fn an_application_shows_only_plain_names_that_have_a_value() {
        for name in [&b"page"[..], b"a[b][]", b"x.y-z_1~"] {
            assert_eq!(shown(name, b"x"), (true, false));
            for nothing in [&b""[..], b"=", b"=="] {
                assert_eq!(shown(name, nothing), (false, false), "may be a value");
            }
        }
        for name in [
            &br#"{"password":"x","a":"b"#[..],
            b"a b",
            b"\xff",
            b"",
            &[b'x'; 65],
        ] {
            assert_eq!(shown(name, b"x"), (false, false));
        }
    }

    fn shown(name: &[u8], value: &[u8]) -> (bool, bool) {
        let Visibility { name, value } = ParameterPair::encode(name, value).visibility();
        (name, value)
    }
}

//! What of a request's parameters may be shown to others than who sent it.
//!
//! Of the protocol, what has a meaning here, but for the verifier, with which temporary credentials can be exchanged, and the
//! callback, which has a query of its own; and no value that may be several, joined otherwise than was meant. Clients are known
//! to send secrets under other names that begin with `oauth_` too. Of an application, short plain names of what has a value:
//! anything else may be a body, a token or a key that was sent as if it were a name.

use std::borrow::Cow;

use super::ProtocolParameter;
use super::encode::decode;
use super::params::Pair;

/// What stands for a text that is not shown; no value is encoded to it.
pub(super) const MASK: &[u8] = b"***";

impl Pair<'_> {
    /// Whether its value may be shown.
    pub(super) fn shows_value(&self) -> bool {
        let is_shown = |parameter| {
            !matches!(
                parameter,
                ProtocolParameter::Verifier | ProtocolParameter::Callback
            )
        };
        ProtocolParameter::from_name(&self.name).is_some_and(is_shown)
            && is_one_value(&plain(&self.value))
    }

    /// Whether its name may be shown.
    pub(super) fn shows_name(&self) -> bool {
        ProtocolParameter::from_name(&self.name).is_some() || shows_name(&self.name, &self.value)
    }
}

/// Whether the name of an application's parameter may be shown; name and value are encoded.
///
/// What has no value may be one, and so may what ends with `=`: base64 that was sent as if it were a name.
pub fn shows_name(name: &[u8], value: &[u8]) -> bool {
    plain(value).iter().any(|&byte| byte != b'=') && is_plain_name(&plain(name))
}

/// As it was before it was encoded: clients are explained that do so twice.
fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    // As most texts are.
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    decode(&decode(&Cow::Borrowed(text)).into_owned().into())
        .into_owned()
        .into()
}

/// Whether a value, decoded, has nothing that joins values.
fn is_one_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| byte.is_ascii_graphic() && !b";,&\"'{}<>\\".contains(byte))
}

/// Whether a name, decoded, is one that may be shown: a few letters, digits and `-._~[]`.
fn is_plain_name(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~[]".contains(byte);
    (1..=LONGEST).contains(&name.len()) && name.iter().all(is_plain)
}

/// The most bytes of a name that is shown.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &[u8], value: &[u8]) -> (bool, bool) {
        let pair = Pair::encode(name, value);
        (pair.shows_name(), pair.shows_value())
    }

    #[test]
    fn of_the_protocol_what_is_known_here_is_shown_but_for_the_verifier_and_the_callback() {
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
        for joined in [
            &b"n;oauth_verifier=x"[..],
            b"n&b",
            b"n%3Boauth_verifier=x",
            b"{\"a\":1}",
            b"a b",
            b"\xff",
        ] {
            assert_eq!(
                shown(b"oauth_nonce", joined),
                (true, false),
                "{}",
                joined.escape_ascii()
            );
        }
        for value in [
            &b"2jmj7l5rSw0yVb/vlWAYkK/YBwk="[..],
            b"HMAC-SHA1",
            b"key!with$other~characters",
            b"",
        ] {
            assert_eq!(
                shown(b"oauth_nonce", value),
                (true, true),
                "{}",
                value.escape_ascii()
            );
        }
    }

    #[test]
    fn of_an_application_plain_names_of_values_are_shown() {
        for name in [&b"page"[..], b"a[b][]", b"x.y-z_1~"] {
            assert_eq!(shown(name, b"x"), (true, false));
            for nothing in [&b""[..], b"=", b"=="] {
                assert_eq!(
                    shown(name, nothing),
                    (false, false),
                    "a text that was sent as if it were a name"
                );
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
}

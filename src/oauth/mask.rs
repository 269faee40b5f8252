//! What of a request's parameters may be shown to others than who sent it.
//!
//! Of the protocol, what has a meaning here, but for the verifier: who has it can exchange temporary credentials. Clients are
//! known to send secrets under other names that begin with `oauth_` too. Of an application, short plain names of what has a
//! value: anything else may be a body, a token or a key that was sent as if it were a name.

use super::Parameter;
use super::encode::decode;
use super::params::Pair;

/// What stands for a text that is not shown; no value is encoded to it.
pub(super) const MASK: &[u8] = b"***";

impl Pair<'_> {
    /// Whether its value may be shown.
    pub(super) fn shows_value(&self) -> bool {
        Parameter::from_name(&self.name).is_some_and(|parameter| parameter != Parameter::Verifier)
    }

    /// Whether its name may be shown.
    pub(super) fn shows_name(&self) -> bool {
        // Clients are explained that encode twice.
        let name = || decode(&decode(&self.name).into_owned().into()).into_owned();
        self.is_protocol() || (!self.value.is_empty() && is_plain_name(&name()))
    }
}

/// Whether a name, decoded, is one that may be shown: a few letters, digits and `-._~[]`.
pub fn is_plain_name(name: &[u8]) -> bool {
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
    fn of_the_protocol_what_is_known_here_is_shown_but_for_the_verifier() {
        for parameter in Parameter::ALL {
            let is_shown = parameter != Parameter::Verifier;
            assert_eq!(shown(parameter.name().as_bytes(), b"x"), (true, is_shown), "{parameter}");
        }
        for name in [&b"oauth_token_secret"[..], b"oauth_consumer_secret", b"oauth_session_handle"] {
            assert_eq!(shown(name, b"x"), (true, false));
        }
    }

    #[test]
    fn of_an_application_plain_names_of_values_are_shown() {
        for name in [&b"page"[..], b"a[b][]", b"x.y-z_1~"] {
            assert_eq!(shown(name, b"x"), (true, false));
            assert_eq!(shown(name, b""), (false, false), "a text that was sent as if it were a name");
        }
        for name in [&br#"{"password":"x","a":"b"#[..], b"a b", b"\xff", b"", &[b'x'; 65]] {
            assert_eq!(shown(name, b"="), (false, false));
        }
    }
}

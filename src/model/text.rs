//! Keys, tokens, ids and names: text that an HTTP header can carry.

use std::fmt;

/// Why a value can not become a key, a name or a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The value is empty.
    #[error("must not be empty")]
    Empty,
    /// The value is longer than the limit.
    #[error("is {len} bytes long, the limit is {limit}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The most bytes that are allowed.
        limit: usize,
    },
    /// A character that may not stand there.
    #[error("has the character {found:?} at byte {at}; allowed are {allowed}")]
    Character {
        /// The character.
        found: char,
        /// Its place, in bytes.
        at: usize,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

/// The longest key, token, id or name, in bytes.
pub const MAX_VALUE_LEN: usize = 255;

pub(super) fn visible_ascii(value: &str, spaces: bool) -> Result<(), ValueError> {
    let allowed = if spaces {
        "visible ASCII characters and inner spaces"
    } else {
        "visible ASCII characters"
    };
    if value.is_empty() {
        return Err(ValueError::Empty);
    }
    if value.len() > MAX_VALUE_LEN {
        return Err(ValueError::TooLong {
            len: value.len(),
            limit: MAX_VALUE_LEN,
        });
    }
    let edge = |at: usize| at == 0 || at + 1 == value.len();
    let wrong =
        |&(at, c): &(usize, char)| !(c.is_ascii_graphic() || (spaces && c == ' ' && !edge(at)));
    match value.char_indices().find(wrong) {
        Some((at, found)) => Err(ValueError::Character { found, at, allowed }),
        None => Ok(()),
    }
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, spaces: $spaces:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and takes a value.
            ///
            /// # Errors
            /// When it is empty, too long or has a character that can not stand in an HTTP header.
            pub fn new(value: impl Into<Box<str>>) -> Result<Self, ValueError> {
                let value = value.into();
                visible_ascii(&value, $spaces)?;
                Ok(Self(value))
            }

            /// The value of these bytes, or `None` where [`new`](Self::new) would refuse them.
            pub fn from_bytes(value: &[u8]) -> Option<Self> {
                Self::new(std::str::from_utf8(value).ok()?).ok()
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

text_newtype! {
    /// `oauth_consumer_key`: the public name of a consumer's credentials (`x-credential-identifier`).
    ConsumerKey, spaces: false
}
text_newtype! {
    /// `oauth_token`: the public name of an access token.
    Token, spaces: false
}
text_newtype! {
    /// The stable id of a consumer (`x-consumer-id`), made by Countersign.
    ConsumerId, spaces: false
}
text_newtype! {
    /// The name of a consumer (`x-consumer-username`).
    ConsumerName, spaces: true
}
text_newtype! {
    /// The id of the user whom a token acts for (`x-authenticated-userid`).
    UserId, spaces: true
}
text_newtype! {
    /// The name that a user logs in with (`screen_name`); compared without regard to ASCII case.
    Username, spaces: false
}

impl Username {
    /// The form by which it is found: phones begin a name with a capital letter.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_holds_only_what_a_header_can_carry() {
        assert_eq!(ConsumerKey::new(""), Err(ValueError::Empty));
        assert!(ConsumerKey::new("dpf43f3p2l4k3l03").is_ok());
        for wrong in ["a b", "a\r\nx: y", "schlüssel", "a\0"] {
            assert!(
                matches!(ConsumerKey::new(wrong), Err(ValueError::Character { .. })),
                "{wrong:?}"
            );
        }
        assert!(ConsumerName::new("Printer Example").is_ok());
        assert!(ConsumerName::new(" Printer").is_err());
        assert!(matches!(
            Token::new("t".repeat(256)),
            Err(ValueError::TooLong {
                len: 256,
                limit: 255
            })
        ));
    }
}

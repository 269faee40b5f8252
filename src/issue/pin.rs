//! A PIN as a user types it.
//!
//! The page shows the eight digits of a PIN in two groups, and users copy the gap: `1234 5678`,
//! `1234-5678`. The gap is no part of the PIN. Every text stands for one PIN at most, and every
//! wrong one is counted, so that a guess is worth no more than without the gap.

use std::borrow::Cow;

use zeroize::Zeroizing;

use crate::model::{Callback, Secret};

/// Returns the verifier that `sent` stands for: without blanks and hyphens if the user typed it, and
/// as it is if a redirect carried it.
pub(super) fn typed<'s>(callback: &Callback, sent: &'s Secret) -> Cow<'s, Secret> {
    match callback {
        Callback::Uri(_) => Cow::Borrowed(sent),
        Callback::OutOfBand => without_gaps(sent),
    }
}

/// Removes blanks and hyphens; a text that is not UTF-8 stays as it is, and is no PIN.
fn without_gaps(sent: &Secret) -> Cow<'_, Secret> {
    let Ok(text) = str::from_utf8(sent.expose()) else {
        return Cow::Borrowed(sent);
    };
    let mut pin = Zeroizing::new(String::with_capacity(text.len()));
    pin.extend(text.chars().filter(|&character| !is_gap(character)));
    Cow::Owned(Secret::new(pin.as_bytes()))
}

/// Returns whether the character may stand between two groups: white space, or one of the hyphens
/// and dashes that keyboards and text fields make.
fn is_gap(character: char) -> bool {
    character.is_whitespace() || matches!(character, '-' | '\u{2010}'..='\u{2015}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_pin_may_have_gaps() {
        for sent in [
            "12345678",
            "1234 5678",
            "1234-5678",
            " 1234\u{a0}5678\n",
            "1234\u{2013}5678",
            "1 2 3 4 5 6 7 8",
        ] {
            assert_eq!(meant(&Callback::OutOfBand, sent), "12345678", "{sent:?}");
        }
    }

    #[test]
    fn nothing_else_is_removed_from_a_pin() {
        for sent in [
            "1234.5678",
            "1234_5678",
            "1234+5678",
            "1234\u{200b}5678",
            "",
        ] {
            assert_eq!(meant(&Callback::OutOfBand, sent), sent);
        }
        let bytes = Secret::new(*b"1234 5678\xff");
        assert_eq!(*typed(&Callback::OutOfBand, &bytes), bytes);
    }

    #[test]
    fn a_verifier_from_a_redirect_is_compared_as_it_is() {
        let callback = Callback::Uri("https://example.com/cb".to_owned());
        for sent in ["ab-cd ef", "1234 5678"] {
            assert_eq!(meant(&callback, sent), sent);
        }
    }

    fn meant(callback: &Callback, sent: &str) -> String {
        let sent = Secret::new(sent.as_bytes());
        let meant = typed(callback, &sent);
        String::from_utf8(meant.expose().into()).unwrap()
    }
}

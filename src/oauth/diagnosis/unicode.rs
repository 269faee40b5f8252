//! The normalization forms of Unicode.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// A form in which a client may have signed a text (Unicode Standard Annex 15).
#[derive(Clone, Copy)]
pub(super) enum UnicodeForm {
    /// NFC: `è` is one character.
    Composed,
    /// NFD: `è` is an `e` and an accent.
    Decomposed,
    /// NFKC: NFC, and `ﬁ` is `fi`.
    Compatible,
}

impl UnicodeForm {
    /// Returns the text in this form.
    pub(super) fn of(self, text: &str) -> String {
        match self {
            Self::Composed => ComposingNormalizerBorrowed::new_nfc().normalize(text),
            Self::Compatible => ComposingNormalizerBorrowed::new_nfkc().normalize(text),
            Self::Decomposed => DecomposingNormalizerBorrowed::new_nfd().normalize(text),
        }
        .into_owned()
    }
}

//! Texts that people read as they are stored: characters that hide, or that change the order of
//! others, can make a text look like another.

use std::borrow::Cow;

/// Returns whether a character is a control character, is invisible, or changes the direction of the
/// text around it.
///
/// Joiners and variation selectors are not among them, although they are invisible: Persian, Indic
/// scripts and emoji need them.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || DECEPTIVE
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&c))
}

/// Returns a text without its deceptive characters; borrowed if it has none.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.contains(is_deceptive) {
        Cow::Owned(text.replace(is_deceptive, ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// The first and the last character of each range.
const DECEPTIVE: [(char, char); 19] = [
    ('\u{ad}', '\u{ad}'),       // soft hyphen
    ('\u{34f}', '\u{34f}'),     // combining grapheme joiner
    ('\u{61c}', '\u{61c}'),     // Arabic letter mark
    ('\u{115f}', '\u{1160}'),   // Hangul fillers
    ('\u{17b4}', '\u{17b5}'),   // Khmer inherent vowels
    ('\u{180b}', '\u{180f}'),   // Mongolian separators
    ('\u{200b}', '\u{200b}'),   // zero width space
    ('\u{200e}', '\u{200f}'),   // left-to-right and right-to-left mark
    ('\u{2028}', '\u{202e}'),   // line separators, embeddings and overrides of direction
    ('\u{2060}', '\u{206f}'),   // word joiner, isolates of direction
    ('\u{2800}', '\u{2800}'),   // blank Braille pattern
    ('\u{3164}', '\u{3164}'),   // Hangul filler
    ('\u{fdd0}', '\u{fdef}'),   // not characters
    ('\u{feff}', '\u{feff}'),   // byte order mark
    ('\u{ffa0}', '\u{ffa0}'),   // halfwidth Hangul filler
    ('\u{fff0}', '\u{fffb}'),   // annotations
    ('\u{1bca0}', '\u{1bca3}'), // shorthand format controls
    ('\u{1d173}', '\u{1d17a}'), // musical format controls
    ('\u{e0000}', '\u{e0fff}'), // tags
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_looks_like_another_is_found() {
        for text in [
            "Bank\u{202e}gnp.exe",
            "\u{2067}a\u{2069}",
            "Pho\u{200b}tos",
            "a\u{feff}",
            "a\u{e0041}",
            "a\nb",
            "\u{3164}",
        ] {
            assert!(text.contains(is_deceptive), "{text:?}");
            assert!(!visible(text).contains(is_deceptive), "{text:?}");
        }
        assert_eq!(visible("Pho\u{200b}tos\u{202e}"), "Photos");
    }

    #[test]
    fn ordinary_text_is_left_as_it_is() {
        for text in [
            "Übersicht",
            "صور",
            "می\u{200c}خواهم",
            "👩\u{200d}🚀 ❤\u{fe0f}",
            "Фото",
            "写真",
            "a b",
        ] {
            assert!(
                matches!(visible(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }
}

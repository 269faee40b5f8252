//! `authorize.accent_color`: the color of buttons and links on the authorize page.

use std::fmt;

use super::value::ValueProblem;

/// A color on which white text is readable, and that is readable on white: their contrast is at
/// least 4.5 (WCAG 2.2 section 1.4.3).
///
/// ```
/// use countersign::config::AccentColor;
///
/// let color = AccentColor::parse("#8B0000").unwrap();
/// assert_eq!(color.to_string(), "#8b0000");
/// assert!(AccentColor::parse("#ffcc00").is_err(), "too bright for white text");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccentColor([u8; 3]);

impl AccentColor {
    /// Parses `#rrggbb`.
    ///
    /// # Errors
    /// If the text is no such color, or its contrast is too low.
    pub fn parse(text: &str) -> Result<Self, ValueProblem> {
        let Some(color) = channels(text) else {
            return Err(ValueProblem::shape("a color such as \"#0b57d0\"", text));
        };
        let contrast = contrast(color, WHITE);
        if contrast < READABLE {
            // Rounded down, so that no refused contrast is shown as the lowest accepted one.
            let shown = (contrast * 10.0).floor() / 10.0;
            let expected = format!(
                "a darker color: text needs a contrast to white of at least {READABLE}, and this \
                 color has {shown:.1}"
            );
            return Err(ValueProblem::shape(expected, text));
        }
        Ok(Self(color))
    }

    /// Returns the color, lightened until it is readable on a dark card.
    #[must_use]
    pub fn on_dark(self) -> Self {
        let lightened = (0..=STEPS).map(|step| self.0.map(|channel| lighten(channel, step)));
        let readable = |color: &[u8; 3]| contrast(*color, DARK_CARD) >= READABLE;
        Self(lightened.into_iter().find(readable).unwrap_or(WHITE))
    }
}

impl fmt::Display for AccentColor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// Parses a color; the empty text is `None`.
pub(super) fn optional(text: &str) -> Result<Option<AccentColor>, ValueProblem> {
    if text.is_empty() {
        Ok(None)
    } else {
        AccentColor::parse(text).map(Some)
    }
}

fn channels(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#')?;
    if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let channel = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    Some([channel(0)?, channel(2)?, channel(4)?])
}

/// Returns the contrast of two colors, 1 to 21.
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Returns the relative luminance of a color, 0 to 1 (WCAG 2.2).
fn luminance(color: [u8; 3]) -> f64 {
    let [red, green, blue] = color.map(|channel| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.040_45 {
            share / 12.92
        } else {
            ((share + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/// Moves a channel towards white.
fn lighten(channel: u8, step: u16) -> u8 {
    let added = (255 - u16::from(channel)) * step / STEPS;
    u8::try_from(u16::from(channel) + added).unwrap_or(u8::MAX)
}

/// The lowest contrast of readable text.
const READABLE: f64 = 4.5;

const WHITE: [u8; 3] = [255; 3];

/// The background of the page's card in the dark color scheme.
const DARK_CARD: [u8; 3] = [0x18, 0x1c, 0x22];

/// The steps from a color to white.
const STEPS: u16 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        AccentColor::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_color_has_six_hexadecimal_digits() {
        for wrong in [
            "blue", "#123", "0b57d0", "#0b57d", "#0b57d00", "#0b57dg", "#+b57d0", "#é57d0",
        ] {
            let expected = format!("must be a color such as \"#0b57d0\", not {wrong:?}");
            assert_eq!(problem(wrong), expected);
        }
        assert_eq!(optional(""), Ok(None));
    }

    #[test]
    fn a_color_is_refused_if_text_on_it_is_hard_to_read() {
        assert_eq!(
            problem("#ffcc00"),
            "must be a darker color: text needs a contrast to white of at least 4.5, and this \
             color has 1.5, not \"#ffcc00\""
        );
        // 4.54 and 4.47.
        assert!(AccentColor::parse("#767676").is_ok());
        assert!(problem("#777777").contains("this color has 4.4"));
    }

    #[test]
    fn contrasts_are_those_of_the_guideline() {
        assert!((contrast([0; 3], WHITE) - 21.0).abs() < 1e-9);
        assert!((contrast([255, 0, 0], WHITE) - 3.998).abs() < 1e-3);
    }

    #[test]
    fn every_color_is_readable_on_a_dark_card_once_it_is_lightened() {
        for text in [
            "#000000", "#0b57d0", "#8b0000", "#006400", "#767676", "#0000ff",
        ] {
            let AccentColor(dark) = AccentColor::parse(text).unwrap().on_dark();
            assert!(contrast(dark, DARK_CARD) >= READABLE, "{text}");
        }
        let light_enough = AccentColor([0x8a, 0xb4, 0xf8]);
        assert_eq!(light_enough.on_dark(), light_enough);
    }
}

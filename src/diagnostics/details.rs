//! The facts about one denial that only operators see.

use std::fmt;

use super::masking;

/// Named facts about a denial, for example the difference between two clocks, in the order in which
/// an operator reads them.
///
/// All values share one text, so that a stored record reuses its memory. Their number and length
/// are bounded, and everything except printable ASCII is escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DenialDetails {
    text: String,
    /// The name of each fact, and the end of its value in `text`.
    entries: Vec<(&'static str, usize)>,
}

impl DenialDetails {
    /// No facts.
    pub(super) const NONE: Self = Self {
        text: String::new(),
        entries: Vec::new(),
    };

    /// Adds a fact. An empty value, and a fact beyond the largest number, are left out.
    pub fn add(&mut self, name: &'static str, value: impl fmt::Display) {
        self.push(name, |text| masking::append(text, value, MAX_VALUE_LEN));
    }

    /// Adds a fact whose value is a text of the caller.
    pub fn add_bytes(&mut self, name: &'static str, value: &[u8]) {
        self.push(name, |text| {
            masking::append_bytes(text, value, MAX_VALUE_LEN)
        });
    }

    fn push(&mut self, name: &'static str, append: impl FnOnce(&mut String)) {
        let start = self.text.len();
        if self.entries.len() == MAX_ENTRIES {
            return;
        }
        append(&mut self.text);
        if self.text.len() > start {
            self.entries.push((name, self.text.len()));
        }
    }

    /// Returns the facts: names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let starts = self.entries.iter().map(|(_, end)| *end);
        let starts = std::iter::once(0).chain(starts);
        let entries = self.entries.iter().zip(starts);
        entries.map(|(&(name, end), start)| (name, &self.text[start..end]))
    }

    /// Overwrites these facts with others, and reuses their memory.
    pub(super) fn set(&mut self, other: Option<&Self>) {
        self.text.clear();
        self.entries.clear();
        if let Some(other) = other {
            self.text.push_str(&other.text);
            self.entries.extend_from_slice(&other.entries);
        }
    }

    /// Returns the memory that the facts use, in bytes.
    pub(super) fn heap_size(&self) -> usize {
        self.text.capacity() + self.entries.capacity() * size_of::<(&str, usize)>()
    }
}

/// Writes `name: value` pairs, as in a log line. A value with a comma or a quote, which could look
/// like another fact, is in quotes.
impl fmt::Display for DenialDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (name, value)) in self.iter().enumerate() {
            let before = if nth == 0 { "" } else { ", " };
            write!(f, "{before}{name}: ")?;
            if value.contains([',', '"']) {
                // Backslashes are escaped already.
                write!(f, "\"{}\"", value.replace('"', "\\\""))?;
            } else {
                f.write_str(value)?;
            }
        }
        Ok(())
    }
}

/// The most facts of a denial.
const MAX_ENTRIES: usize = 16;

/// The longest value, in bytes.
const MAX_VALUE_LEN: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_keep_their_order_and_their_values() {
        let mut details = DenialDetails::default();
        details.add("window", "300 s");
        details.add("realm", "");
        details.add("nonce", "a\nb\u{202e}");
        let facts: Vec<_> = details.iter().collect();
        assert_eq!(facts, [("window", "300 s"), ("nonce", r"a\nb\xe2\x80\xae")]);
        assert_eq!(
            details.to_string(),
            r"window: 300 s, nonce: a\nb\xe2\x80\xae"
        );
        let mut copy = DenialDetails::default();
        copy.add("older", "1");
        copy.set(Some(&details));
        assert_eq!(copy, details);
        copy.set(None);
        assert_eq!(copy.iter().count(), 0);
    }

    #[test]
    fn a_text_of_the_caller_cannot_forge_a_fact() {
        let mut details = DenialDetails::default();
        details.add("realm_needed", "api");
        details.add_bytes("realm_sent", b"x, token_belongs_to: user admin");
        details.add_bytes("nonce", br#"x", user: admin, a: "\"#);
        assert_eq!(
            details.to_string(),
            r#"realm_needed: api, realm_sent: "x, token_belongs_to: user admin", nonce: "x\", user: admin, a: \"\\""#
        );
    }

    #[test]
    fn facts_are_bounded() {
        let mut details = DenialDetails::default();
        for _ in 0..100 {
            details.add("nonce", "\u{1}".repeat(1000));
        }
        assert_eq!(details.iter().count(), MAX_ENTRIES);
        assert!(details.text.len() <= MAX_ENTRIES * MAX_VALUE_LEN);
    }
}

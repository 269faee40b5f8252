//! The query of the page, and the links that change one part of it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::paths::PATH;
use crate::diagnostics::DenialFilter;
use crate::model::MAX_VALUE_LEN;
use crate::server::pages::{FormError, FormFields};

/// The query of the page. A part that is `None` selects everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsoleQuery {
    /// Selects denials by consumer key. The empty key selects denials that name none.
    pub(super) consumer: Option<String>,
    /// Selects denials by reason.
    pub(super) reason: Option<String>,
    /// Selects denials by the cause of a signature mismatch.
    pub(super) cause: Option<String>,
    /// Opens the denial of this decision.
    pub(super) decision: Option<String>,
    /// Selects denials older than this sequence number.
    pub(super) before: Option<u64>,
    /// Selects consumers after this key.
    pub(super) after: Option<String>,
    /// True if the page may reload itself.
    pub(super) live: bool,
}

impl ConsoleQuery {
    /// Parses a query.
    ///
    /// # Errors
    /// If the query is malformed or ambiguous.
    pub(super) fn parse(query: &str) -> Result<Self, FormError> {
        let fields = FormFields::parse(query.as_bytes())?;
        let text = |name: &str| fields.get(name).map(printable);
        Ok(Self {
            consumer: text("consumer"),
            reason: text("reason").filter(|reason| !reason.is_empty()),
            cause: text("cause").filter(|cause| !cause.is_empty()),
            decision: text("decision").filter(|id| !id.is_empty()),
            before: fields.get("before").and_then(|number| number.parse().ok()),
            after: text("after"),
            live: fields.get("live") != Some("off"),
        })
    }

    /// Returns the filter of the denials.
    pub(super) fn filter(&self) -> DenialFilter {
        let Self {
            consumer,
            reason,
            cause,
            ..
        } = self.clone();
        DenialFilter {
            consumer_key: consumer,
            reason,
            cause,
            ..DenialFilter::default()
        }
    }

    /// Returns whether the page reloads itself: only if it shows the newest denials and none is
    /// opened.
    pub(super) const fn is_live(&self) -> bool {
        self.live && self.decision.is_none() && self.before.is_none() && self.after.is_none()
    }

    /// Returns the encoded query.
    pub(super) fn encoded(&self) -> String {
        let Self {
            consumer,
            reason,
            cause,
            decision,
            before,
            after,
            live,
        } = self;
        let before = before.map(|before| before.to_string());
        let fields = [
            ("consumer", consumer.as_deref()),
            ("reason", reason.as_deref()),
            ("cause", cause.as_deref()),
            ("decision", decision.as_deref()),
            ("before", before.as_deref()),
            ("after", after.as_deref()),
            ("live", (!live).then_some("off")),
        ];
        let pairs = fields
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| encoded_pair(name, value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// Returns the address of the page.
    pub(super) fn address(&self) -> String {
        match self.encoded() {
            query if query.is_empty() => PATH.to_owned(),
            query => format!("{PATH}?{query}"),
        }
    }

    /// Narrows to a consumer key, from the newest denial.
    pub(super) fn with_consumer(&self, key: &str) -> Self {
        Self {
            consumer: Some(key.to_owned()),
            ..self.newest()
        }
    }

    /// Removes the consumer filter.
    pub(super) fn without_consumer(&self) -> Self {
        Self {
            consumer: None,
            ..self.newest()
        }
    }

    /// Narrows to the consumer of a row of counts. The row with the empty key counts all unknown
    /// keys, so it removes the filter.
    pub(super) fn with_row(&self, key: &str) -> Self {
        if key.is_empty() {
            self.without_consumer()
        } else {
            self.with_consumer(key)
        }
    }

    /// Narrows to a reason, from the newest denial.
    pub(super) fn with_reason(&self, reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..self.newest()
        }
    }

    /// Removes the reason filter.
    pub(super) fn without_reason(&self) -> Self {
        Self {
            reason: None,
            ..self.newest()
        }
    }

    /// Narrows to a cause, from the newest denial.
    pub(super) fn with_cause(&self, cause: &str) -> Self {
        Self {
            cause: Some(cause.to_owned()),
            ..self.newest()
        }
    }

    /// Removes the cause filter.
    pub(super) fn without_cause(&self) -> Self {
        Self {
            cause: None,
            ..self.newest()
        }
    }

    /// Returns whether a filter is set.
    pub(super) const fn is_filtered(&self) -> bool {
        self.consumer.is_some() || self.reason.is_some() || self.cause.is_some()
    }

    /// Opens a denial.
    pub(super) fn opened(&self, decision: &str) -> Self {
        Self {
            decision: Some(decision.to_owned()),
            ..self.clone()
        }
    }

    /// Closes the opened denial.
    pub(super) fn closed(&self) -> Self {
        Self {
            decision: None,
            ..self.clone()
        }
    }

    /// Moves to older denials.
    pub(super) fn older(&self, before: u64) -> Self {
        Self {
            before: Some(before),
            decision: None,
            ..self.clone()
        }
    }

    /// Moves to the newest denials.
    pub(super) fn newest(&self) -> Self {
        Self {
            before: None,
            decision: None,
            ..self.clone()
        }
    }

    /// Moves to the consumers after a key.
    pub(super) fn consumers_after(&self, key: &str) -> Self {
        Self {
            after: Some(key.to_owned()),
            decision: None,
            ..self.clone()
        }
    }

    /// Moves to the first consumers.
    pub(super) fn first_consumers(&self) -> Self {
        Self {
            after: None,
            decision: None,
            ..self.clone()
        }
    }

    /// Moves to the newest denials and the first consumers, and sets whether the page reloads
    /// itself.
    pub(super) fn with_live(&self, live: bool) -> Self {
        Self {
            live,
            after: None,
            ..self.newest()
        }
    }
}

impl Default for ConsoleQuery {
    /// Selects everything, and reloads.
    fn default() -> Self {
        Self {
            consumer: None,
            reason: None,
            cause: None,
            decision: None,
            before: None,
            after: None,
            live: true,
        }
    }
}

fn encoded_pair(name: &str, value: &str) -> String {
    format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
}

/// Truncates a text to the longest searchable one. Characters other than printable ASCII, which no
/// key has, are escaped.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for character in text.chars() {
        if character.is_ascii_graphic() || character == ' ' {
            printable.push(character);
        } else {
            printable.extend(character.escape_default());
        }
        if printable.len() >= MAX_LEN {
            printable.truncate(MAX_LEN);
            break;
        }
    }
    printable
}

/// The length of the longest consumer key; no id of ours is longer.
const MAX_LEN: usize = MAX_VALUE_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded_as_it_was_parsed() {
        for query in [
            "",
            "consumer=",
            "consumer=a%26b%3D%22%3Cscript%3E&reason=nonce%5Fused&live=off",
            "before=12&after=k%2B",
        ] {
            assert_eq!(ConsoleQuery::parse(query).unwrap().encoded(), query);
        }
        assert_eq!(
            ConsoleQuery::parse("reason=&decision=&before=x&unknown=1&live=on").unwrap(),
            ConsoleQuery::default()
        );
        assert!(ConsoleQuery::parse("consumer=a&consumer=b").is_err());
        assert!(ConsoleQuery::parse("consumer=%").is_err());
    }

    #[test]
    fn control_characters_are_escaped_and_long_texts_truncated() {
        let shown = |text: &str| {
            let query = format!("consumer={}", utf8_percent_encode(text, NON_ALPHANUMERIC));
            ConsoleQuery::parse(&query).unwrap().consumer.unwrap()
        };
        assert_eq!(
            shown("a\u{202e}b\r\n\u{1b}\0"),
            r"a\u{202e}b\r\n\u{1b}\u{0}"
        );
        assert_eq!(shown(r"\x1b"), r"\x1b");
        assert_eq!(shown("o'brien\"\\"), "o'brien\"\\", "keys may have these");
        assert_eq!(shown(&"x".repeat(8192)).len(), MAX_LEN);
        assert_eq!(shown(&"\u{202e}".repeat(8192)).len(), MAX_LEN);
    }

    #[test]
    fn an_opened_denial_stops_the_reload() {
        let live = |query: &str| ConsoleQuery::parse(query).unwrap().is_live();
        assert!(live("") && live("consumer=a&reason=b"));
        assert!(!live("live=off") && !live("decision=1") && !live("before=1") && !live("after=a"));
    }

    #[test]
    fn a_link_changes_one_part_and_starts_at_the_newest() {
        let query =
            ConsoleQuery::parse("consumer=a&reason=b&cause=e&decision=c&before=1&after=d&live=off")
                .unwrap();
        let link = |query: ConsoleQuery| query.address();
        assert_eq!(
            link(query.with_consumer("x")),
            "/console?consumer=x&reason=b&cause=e&after=d&live=off"
        );
        assert_eq!(
            link(query.without_reason()),
            "/console?consumer=a&cause=e&after=d&live=off"
        );
        assert_eq!(
            link(query.without_cause()),
            "/console?consumer=a&reason=b&after=d&live=off"
        );
        assert_eq!(
            link(query.closed()),
            "/console?consumer=a&reason=b&cause=e&before=1&after=d&live=off"
        );
        assert_eq!(
            link(query.with_live(true)),
            "/console?consumer=a&reason=b&cause=e"
        );
        assert_eq!(link(ConsoleQuery::default()), "/console");
    }
}

//! What an operator asks to see: the query of the page, and the links that change one thing about it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::PATH;
use crate::diagnostics::DenialFilter;
use crate::model::MAX_VALUE_LEN;
use crate::server::pages::{BadFields, Fields};

/// What is asked for; what is `None` is not narrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The denials that name this consumer key; the empty key is that of those who name none.
    pub(super) consumer: Option<String>,
    /// The denials for this reason.
    pub(super) reason: Option<String>,
    /// The denials whose signature did not match for this cause.
    pub(super) cause: Option<String>,
    /// The denial of this decision, opened.
    pub(super) decision: Option<String>,
    /// The denials before the one of this number.
    pub(super) before: Option<u64>,
    /// The consumers whose keys come after this one.
    pub(super) after: Option<String>,
    /// Whether the page may load itself again.
    pub(super) live: bool,
}

impl Asked {
    /// Reads a query.
    ///
    /// # Errors
    /// When it can not be read, or could be in two ways.
    pub(super) fn parse(query: &str) -> Result<Self, BadFields> {
        let fields = Fields::parse(query.as_bytes())?;
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

    /// The denials that are asked for.
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
            since: None,
        }
    }

    /// Whether the page loads itself again: only where it shows the newest, and nobody reads one of them.
    pub(super) const fn is_live(&self) -> bool {
        self.live && self.decision.is_none() && self.before.is_none() && self.after.is_none()
    }

    /// The query that asks for this.
    pub(super) fn query(&self) -> String {
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
        let live = (!live).then(|| "off".to_owned());
        let fields = [
            ("consumer", consumer),
            ("reason", reason),
            ("cause", cause),
            ("decision", decision),
            ("before", &before),
            ("after", after),
            ("live", &live),
        ];
        let written = |(name, value): (&str, &Option<String>)| {
            value
                .as_ref()
                .map(|value| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        };
        fields
            .into_iter()
            .filter_map(written)
            .collect::<Vec<_>>()
            .join("&")
    }

    /// Where this is shown.
    pub(super) fn address(&self) -> String {
        match self.query() {
            query if query.is_empty() => PATH.to_owned(),
            query => format!("{PATH}?{query}"),
        }
    }

    /// The newest denials that name this key.
    pub(super) fn with_consumer(&self, key: &str) -> Self {
        Self {
            consumer: Some(key.to_owned()),
            ..self.newest()
        }
    }

    /// The newest denials of any consumer.
    pub(super) fn without_consumer(&self) -> Self {
        Self {
            consumer: None,
            ..self.newest()
        }
    }

    /// The newest denials of whom a row of counts is about: those of all unknown keys are counted in the row that has none.
    pub(super) fn with_counted(&self, key: &str) -> Self {
        if key.is_empty() {
            self.without_consumer()
        } else {
            self.with_consumer(key)
        }
    }

    /// The newest denials for this reason.
    pub(super) fn with_reason(&self, reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..self.newest()
        }
    }

    /// The newest denials for any reason.
    pub(super) fn without_reason(&self) -> Self {
        Self {
            reason: None,
            ..self.newest()
        }
    }

    /// The newest denials for this cause.
    pub(super) fn with_cause(&self, cause: &str) -> Self {
        Self {
            cause: Some(cause.to_owned()),
            ..self.newest()
        }
    }

    /// The newest denials for any cause or none.
    pub(super) fn without_cause(&self) -> Self {
        Self {
            cause: None,
            ..self.newest()
        }
    }

    /// Whether not all denials are asked for.
    pub(super) const fn is_narrow(&self) -> bool {
        self.consumer.is_some() || self.reason.is_some() || self.cause.is_some()
    }

    /// The same, and one of them opened.
    pub(super) fn opened(&self, decision: &str) -> Self {
        Self {
            decision: Some(decision.to_owned()),
            ..self.clone()
        }
    }

    /// The same, and none opened.
    pub(super) fn closed(&self) -> Self {
        Self {
            decision: None,
            ..self.clone()
        }
    }

    /// What came before the denial of that number.
    pub(super) fn older(&self, before: u64) -> Self {
        Self {
            before: Some(before),
            decision: None,
            ..self.clone()
        }
    }

    /// The newest denials, the rest as it is.
    pub(super) fn newest(&self) -> Self {
        Self {
            before: None,
            decision: None,
            ..self.clone()
        }
    }

    /// The consumers after that key.
    pub(super) fn consumers_after(&self, key: &str) -> Self {
        Self {
            after: Some(key.to_owned()),
            decision: None,
            ..self.clone()
        }
    }

    /// The first consumers.
    pub(super) fn first_consumers(&self) -> Self {
        Self {
            after: None,
            decision: None,
            ..self.clone()
        }
    }

    /// The newest of both, which load themselves again or not.
    pub(super) fn lively(&self, live: bool) -> Self {
        Self {
            live,
            after: None,
            ..self.newest()
        }
    }
}

impl Default for Asked {
    /// Everything that is new, again and again.
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

/// As much of a text as there can be something to find by it; what is not printable ASCII, and so in no key, is escaped.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for character in text.chars() {
        if character.is_ascii_graphic() || character == ' ' {
            printable.push(character);
        } else {
            printable.extend(character.escape_default());
        }
        if printable.len() >= LONGEST {
            printable.truncate(LONGEST);
            break;
        }
    }
    printable
}

/// A longer text is no consumer key, and no id of ours.
const LONGEST: usize = MAX_VALUE_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_was_read_asks_for_the_same_when_it_is_written() {
        for query in [
            "",
            "consumer=",
            "consumer=a%26b%3D%22%3Cscript%3E&reason=nonce%5Fused&live=off",
            "before=12&after=k%2B",
        ] {
            assert_eq!(Asked::parse(query).unwrap().query(), query);
        }
        assert_eq!(
            Asked::parse("reason=&decision=&before=x&unknown=1&live=on").unwrap(),
            Asked::default()
        );
        assert!(Asked::parse("consumer=a&consumer=b").is_err());
        assert!(Asked::parse("consumer=%").is_err());
    }

    #[test]
    fn what_could_deceive_is_escaped_and_what_is_long_is_cut() {
        let shown = |text: &str| {
            let query = format!("consumer={}", utf8_percent_encode(text, NON_ALPHANUMERIC));
            Asked::parse(&query).unwrap().consumer.unwrap()
        };
        assert_eq!(
            shown("a\u{202e}b\r\n\u{1b}\0"),
            r"a\u{202e}b\r\n\u{1b}\u{0}"
        );
        assert_eq!(shown(r"\x1b"), r"\x1b");
        assert_eq!(shown("o'brien\"\\"), "o'brien\"\\", "keys may have them");
        assert_eq!(shown(&"x".repeat(8192)).len(), LONGEST);
        assert_eq!(shown(&"\u{202e}".repeat(8192)).len(), LONGEST);
    }

    #[test]
    fn one_that_is_read_does_not_go_away_by_itself() {
        let live = |query: &str| Asked::parse(query).unwrap().is_live();
        assert!(live("") && live("consumer=a&reason=b"));
        assert!(!live("live=off") && !live("decision=1") && !live("before=1") && !live("after=a"));
    }

    #[test]
    fn a_link_changes_one_thing_and_begins_at_the_newest() {
        let asked =
            Asked::parse("consumer=a&reason=b&cause=e&decision=c&before=1&after=d&live=off")
                .unwrap();
        let link = |asked: Asked| asked.address();
        assert_eq!(
            link(asked.with_consumer("x")),
            "/console?consumer=x&reason=b&cause=e&after=d&live=off"
        );
        assert_eq!(
            link(asked.without_reason()),
            "/console?consumer=a&cause=e&after=d&live=off"
        );
        assert_eq!(
            link(asked.without_cause()),
            "/console?consumer=a&reason=b&after=d&live=off"
        );
        assert_eq!(
            link(asked.closed()),
            "/console?consumer=a&reason=b&cause=e&before=1&after=d&live=off"
        );
        assert_eq!(
            link(asked.lively(true)),
            "/console?consumer=a&reason=b&cause=e"
        );
        assert_eq!(link(Asked::default()), "/console");
    }
}

//! Parsers for single values: from the text of a setting to its type.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use strum::VariantNames;

use super::redaction::without_credentials;
use super::web_url::WebUrl;
use crate::model::is_deceptive;

/// The reason why a text is not valid for a key; continues the sentence after the key's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueProblem {
    /// An unknown key of a route's policy.
    #[error("is unknown; the keys are {}", known.join(", "))]
    UnknownKey {
        /// The keys of a route's policy.
        known: &'static [&'static str],
    },
    /// A value of another shape.
    #[error("must be {expected}, not {found}")]
    Shape {
        /// The expected shape.
        expected: Cow<'static, str>,
        /// The given value, as it is written.
        found: String,
    },
    /// A value of another shape that may hold a secret, and so is not repeated.
    #[error("must be {expected}")]
    SecretShape {
        /// The expected shape.
        expected: &'static str,
    },
}

impl ValueProblem {
    /// Creates the problem of a text `found` that is not of the shape `expected`.
    pub(super) fn shape(expected: impl Into<Cow<'static, str>>, found: &str) -> Self {
        Self::Shape {
            expected: expected.into(),
            found: format!("{found:?}"),
        }
    }

    /// Creates the problem of an address `found`, whose credentials are not repeated.
    pub(super) fn address(expected: impl Into<Cow<'static, str>>, found: &str) -> Self {
        Self::shape(expected, &without_credentials(found))
    }

    /// Creates the problem of a value `found` that is written without quotes.
    pub(super) fn unquoted(expected: impl Into<Cow<'static, str>>, found: &str) -> Self {
        Self::Shape {
            expected: expected.into(),
            found: found.to_owned(),
        }
    }
}

/// Parses a word of a closed list that has a type of its own.
pub(super) fn word<T: FromStr + VariantNames>(text: &str) -> Result<T, ValueProblem> {
    text.parse().map_err(|_| no_choice(text, T::VARIANTS))
}

/// Parses a word of a closed list.
pub(super) fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, ValueProblem> {
    let choice = choices.iter().find(|(word, _)| *word == text);
    choice.map(|&(_, value)| value).ok_or_else(|| {
        let words: Vec<_> = choices.iter().map(|&(word, _)| word).collect();
        no_choice(text, &words)
    })
}

fn no_choice(text: &str, words: &[&str]) -> ValueProblem {
    let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    ValueProblem::shape(words.join(" or "), text)
}

/// Parses `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, ValueProblem> {
    text.parse()
        .map_err(|_| ValueProblem::shape("true or false", text))
}

/// Parses a whole number within bounds.
pub(super) fn integer<N>(text: &str, within: &RangeInclusive<N>) -> Result<N, ValueProblem>
where
    N: FromStr + PartialOrd + fmt::Display,
{
    let (least, most) = (within.start(), within.end());
    text.parse()
        .ok()
        .filter(|number| within.contains(number))
        .ok_or_else(|| ValueProblem::shape(format!("a whole number from {least} to {most}"), text))
}

/// Parses a duration within bounds.
pub(super) fn duration(
    text: &str,
    within: &RangeInclusive<Duration>,
) -> Result<Duration, ValueProblem> {
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| within.contains(duration))
        .ok_or_else(|| {
            let [least, most] =
                [within.start(), within.end()].map(|&bound| humantime::format_duration(bound));
            ValueProblem::shape(
                format!("a duration from {least} to {most}, for example \"1s\" or \"80ms\""),
                text,
            )
        })
}

/// Parses a path.
pub(super) fn path(text: &str) -> Result<PathBuf, ValueProblem> {
    if text.is_empty() {
        Err(ValueProblem::shape("a path", text))
    } else {
        Ok(text.into())
    }
}

/// Parses a path; the empty text is `None`.
pub(super) fn optional_path(text: &str) -> Result<Option<PathBuf>, ValueProblem> {
    Ok((!text.is_empty()).then(|| text.into()))
}

/// Parses a text that people read, of one line and at most `limit` bytes; the empty text is `None`.
pub(super) fn optional_caption(text: &str, limit: usize) -> Result<Option<String>, ValueProblem> {
    if text.is_empty() {
        return Ok(None);
    }
    caption(text, limit).map(Some)
}

/// Parses a text that people read, of one line and at most `limit` bytes.
pub(super) fn caption(text: &str, limit: usize) -> Result<String, ValueProblem> {
    if text.trim().is_empty() || text.len() > limit || text.contains(is_deceptive) {
        let expected =
            format!("a text of one line, at most {limit} bytes, without invisible characters");
        return Err(ValueProblem::shape(expected, text));
    }
    Ok(text.to_owned())
}

/// Splits words at spaces.
pub(super) fn words(text: &str) -> Result<Vec<String>, ValueProblem> {
    Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
}

/// Parses a URL; the empty text is `None`.
pub(super) fn optional_url(text: &str) -> Result<Option<String>, ValueProblem> {
    if text.is_empty() {
        return Ok(None);
    }
    let expected =
        "a URL such as \"https://login.example.com/oauth\", without user name and fragment";
    match WebUrl::parse(text) {
        Some(_) => Ok(Some(text.to_owned())),
        None => Err(ValueProblem::address(expected, text)),
    }
}

/// Parses a log filter.
pub(super) fn log_filter(text: &str) -> Result<String, ValueProblem> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(ValueProblem::shape(
            "a log filter such as \"info\" or \"info,countersign=debug\"",
            text,
        )),
    }
}

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const TEN_SECONDS: Duration = Duration::from_secs(10);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);
pub(super) const TEN_YEARS: Duration = Duration::from_hours(24 * 3650);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_stays_within_its_bounds() {
        let bounds = Duration::from_millis(1)..=Duration::from_secs(60);
        assert_eq!(duration("1m", &bounds), Ok(Duration::from_secs(60)));
        for wrong in ["0s", "61s", "fast", "80", "-1s"] {
            let problem = duration(wrong, &bounds).unwrap_err();
            assert_eq!(
                problem.to_string(),
                format!(
                    "must be a duration from 1ms to 1m, for example \"1s\" or \"80ms\", not {wrong:?}"
                )
            );
        }
    }

    #[test]
    fn a_word_is_of_its_closed_list() {
        assert_eq!(one_of("b", &[("a", 1), ("b", 2)]), Ok(2));
        let problem = one_of("B", &[("a", 1), ("b", 2)]).unwrap_err();
        assert_eq!(problem.to_string(), "must be \"a\" or \"b\", not \"B\"");
    }
}

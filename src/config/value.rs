//! The shapes of single values: from the text of a setting to its type.
//!
//! Where a text stands, and what is said about it as a whole, is left to [`super::read`].

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::{ListenAddress, RoutePolicy, StoreUrl};

/// Why a text is not the value of a key; reads on after the key's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueProblem {
    /// There is no such key in a route's policy.
    #[error("is unknown; the keys are {}", RoutePolicy::KEYS.join(", "))]
    UnknownKey,
    /// The value has another shape.
    #[error("must be {expected}, not {found:?}")]
    Shape {
        /// The shape it must have.
        expected: Cow<'static, str>,
        /// What is there instead.
        found: String,
    },
    /// The value has another shape, and may carry a secret.
    #[error("must be {expected}")]
    SecretShape {
        /// The shape it must have.
        expected: &'static str,
    },
}

impl ValueProblem {
    /// `found` is not of the shape `expected`.
    pub(super) fn shape(expected: impl Into<Cow<'static, str>>, found: &str) -> Self {
        Self::Shape {
            expected: expected.into(),
            found: found.to_owned(),
        }
    }
}

/// A word of a closed list.
pub(super) fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Result<T, ValueProblem> {
    choices
        .iter()
        .find(|(word, _)| *word == text)
        .map(|&(_, value)| value)
        .ok_or_else(|| {
            let words: Vec<_> = choices
                .iter()
                .map(|(word, _)| format!("{word:?}"))
                .collect();
            ValueProblem::shape(words.join(" or "), text)
        })
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, ValueProblem> {
    text.parse()
        .map_err(|_| ValueProblem::shape("true or false", text))
}

/// A whole number within bounds.
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

/// A duration within bounds.
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

/// A path.
pub(super) fn path(text: &str) -> Result<PathBuf, ValueProblem> {
    if text.is_empty() {
        Err(ValueProblem::shape("a path", text))
    } else {
        Ok(text.into())
    }
}

/// A path; empty is none.
pub(super) fn optional_path(text: &str) -> Result<Option<PathBuf>, ValueProblem> {
    Ok((!text.is_empty()).then(|| text.into()))
}

/// Words separated by spaces.
pub(super) fn words(text: &str) -> Result<Vec<String>, ValueProblem> {
    Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
}

/// The address of a page or a service; empty is none.
pub(super) fn optional_url(text: &str) -> Result<Option<String>, ValueProblem> {
    if text.is_empty() {
        return Ok(None);
    }
    let is_url = text.parse::<http::Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url
                .authority()
                .is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if is_url && !text.contains('#') {
        Ok(Some(text.to_owned()))
    } else {
        Err(ValueProblem::shape(
            "a URL such as \"https://login.example.com/oauth\", without user name and fragment",
            text,
        ))
    }
}

/// Where to listen.
pub(super) fn address(text: &str) -> Result<ListenAddress, ValueProblem> {
    let read = match text.strip_prefix("unix:") {
        Some("") => None,
        Some(path) => Some(ListenAddress::Unix(path.into())),
        None => text.parse().ok().map(ListenAddress::Tcp),
    };
    read.ok_or_else(|| {
        ValueProblem::shape(
            "an IP address and port such as \"127.0.0.1:50051\", or \"unix:PATH\"",
            text,
        )
    })
}

/// Which store; the text may carry a password, so no problem repeats it.
pub(super) fn store_url(text: &str) -> Result<StoreUrl, ValueProblem> {
    let redis = |scheme: &&str| text.len() > scheme.len() && text.starts_with(*scheme);
    match text.strip_prefix("embedded:") {
        Some(path) if !path.is_empty() => Ok(StoreUrl::Embedded(path.into())),
        None if text == "memory:" => Ok(StoreUrl::Memory),
        None if REDIS_SCHEMES.iter().any(redis) => Ok(StoreUrl::Redis(text.to_owned())),
        Some(_) | None => Err(ValueProblem::SecretShape {
            expected: "\"embedded:FILE\", \"memory:\", or an address that begins with redis://, rediss://, \
                       redis+sentinel:// or redis+cluster://",
        }),
    }
}

/// A log filter.
pub(super) fn log_filter(text: &str) -> Result<String, ValueProblem> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(ValueProblem::shape(
            "a log filter such as \"info\" or \"info,countersign=debug\"",
            text,
        )),
    }
}

const REDIS_SCHEMES: [&str; 4] = [
    "redis://",
    "rediss://",
    "redis+sentinel://",
    "redis+cluster://",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_and_port_or_a_socket_path() {
        assert_eq!(
            address("[::1]:1"),
            Ok(ListenAddress::Tcp("[::1]:1".parse().unwrap()))
        );
        assert_eq!(
            address("unix:/run/c.sock"),
            Ok(ListenAddress::Unix("/run/c.sock".into()))
        );
        for wrong in [
            "",
            "50051",
            ":50051",
            "localhost:50051",
            "127.0.0.1",
            "127.0.0.1:65536",
            "unix:",
        ] {
            let problem = address(wrong).unwrap_err();
            assert_eq!(
                problem.to_string(),
                format!(
                    "must be an IP address and port such as \"127.0.0.1:50051\", or \"unix:PATH\", not {wrong:?}"
                )
            );
        }
    }

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
    fn a_store_address_that_is_wrong_is_not_repeated() {
        assert_eq!(
            store_url("embedded:a.redb"),
            Ok(StoreUrl::Embedded("a.redb".into()))
        );
        assert_eq!(store_url("memory:"), Ok(StoreUrl::Memory));
        assert!(matches!(
            store_url("redis+cluster://a,b"),
            Ok(StoreUrl::Redis(_))
        ));
        for wrong in [
            "",
            "embedded:",
            "memory:x",
            "redis://",
            "http://user:hunter2@host",
        ] {
            assert!(
                !store_url(wrong)
                    .unwrap_err()
                    .to_string()
                    .contains("hunter2")
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

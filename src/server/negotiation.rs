//! Content negotiation by `Accept` (RFC 9110 section 12.5.1): a form or JSON.
//!
//! Quality values decide. On a tie, each kind of answer has its default:
//!
//! | answer | default | on a tie |
//! |---|---|---|
//! | credentials | a form, which every OAuth 1.0a client parses (RFC 5849 section 2.1) | the form |
//! | denial | problem+json (RFC 9457) | the form if the header names it, else problem+json |
//!
//! `*/*` covers both formats, so that it prefers neither. A header that accepts neither gets the
//! default too, and a malformed media range is ignored.

/// The format of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerFormat {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`, or `application/problem+json` for a denial.
    Json,
}

/// The media ranges of a request's `Accept` headers.
pub(super) struct AcceptHeader<'h> {
    ranges: Vec<MediaRange<'h>>,
}

impl<'h> AcceptHeader<'h> {
    /// Parses the values of all `Accept` headers of a request.
    pub(super) fn parse(values: impl IntoIterator<Item = &'h [u8]>) -> Self {
        let ranges = values
            .into_iter()
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .filter_map(MediaRange::parse)
            .take(MAX_RANGES)
            .collect();
        Self { ranges }
    }

    /// Returns the format for credentials: JSON only if it is preferred to the form.
    pub(super) fn credentials(&self) -> AnswerFormat {
        if self.preference(JSON).quality > self.preference(FORM).quality {
            AnswerFormat::Json
        } else {
            AnswerFormat::Form
        }
    }

    /// Returns the format for a denial: the form only if it is preferred to JSON, or if it is named
    /// and equally preferred.
    pub(super) fn denial(&self) -> AnswerFormat {
        let form = self.preference(FORM);
        let json = self.preference(JSON).quality;
        let json = json.max(self.preference(PROBLEM_JSON).quality);
        if form.quality > json || form.quality == json && form.is_named && json > 0 {
            AnswerFormat::Form
        } else {
            AnswerFormat::Json
        }
    }

    /// Returns the preference for a media type, by the most specific range that covers it.
    fn preference(&self, media_type: (&str, &str)) -> Preference {
        let best = self
            .ranges
            .iter()
            .filter(|range| range.covers(media_type))
            .max_by_key(|range| range.specificity());
        best.map_or_else(Preference::default, |range| Preference {
            quality: range.quality,
            is_named: range.specificity() == 2,
        })
    }
}

/// The preference of a client for a media type.
#[derive(Clone, Copy, Default)]
struct Preference {
    /// The quality value in thousandths; 0 is not acceptable.
    quality: u16,
    /// The header names the media type itself, not only a wildcard.
    is_named: bool,
}

/// A media range with its quality value.
struct MediaRange<'h> {
    main: &'h str,
    sub: &'h str,
    quality: u16,
}

impl<'h> MediaRange<'h> {
    fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim_ascii);
        let (main, sub) = parts.next()?.split_once('/')?;
        let weight = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim_ascii().eq_ignore_ascii_case("q"));
        let quality = weight.map_or(Some(1000), |(_, value)| thousandths(value.trim_ascii()))?;
        Some(Self { main, sub, quality })
    }

    fn covers(&self, (main, sub): (&str, &str)) -> bool {
        (self.main == "*" || self.main.eq_ignore_ascii_case(main))
            && (self.sub == "*" || self.sub.eq_ignore_ascii_case(sub))
    }

    fn specificity(&self) -> u8 {
        u8::from(self.main != "*") + u8::from(self.sub != "*")
    }
}

/// Parses a `qvalue` (RFC 9110 section 12.4.2).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let whole: u16 = match whole {
        "0" => 0,
        "1" => 1000,
        _ => return None,
    };
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    Some(whole + decimals).filter(|&quality| quality <= 1000)
}

const FORM: (&str, &str) = ("application", "x-www-form-urlencoded");

const JSON: (&str, &str) = ("application", "json");

const PROBLEM_JSON: (&str, &str) = ("application", "problem+json");

/// More media ranges than any client sends.
const MAX_RANGES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(accept: &[&str]) -> AnswerFormat {
        AcceptHeader::parse(accept.iter().map(|value| value.as_bytes())).credentials()
    }

    fn denial(accept: &str) -> AnswerFormat {
        AcceptHeader::parse([accept.as_bytes()]).denial()
    }

    #[test]
    fn credentials_are_json_only_if_json_is_preferred_to_the_form() {
        for accept in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/html, application/json;q=0.9, */*;q=0.8",
            "application/x-www-form-urlencoded;q=0.5, application/json",
            "application/x-www-form-urlencoded;q=0, */*",
            "application/json;q=0.001",
        ] {
            assert_eq!(credentials(&[accept]), AnswerFormat::Json, "{accept}");
        }
        assert_eq!(
            credentials(&["text/plain;q=0.5", "application/json"]),
            AnswerFormat::Json
        );
    }

    #[test]
    fn all_other_credentials_are_a_form() {
        assert_eq!(credentials(&[]), AnswerFormat::Form);
        for accept in [
            // Axios and fetch wrappers send this by default.
            "application/json, text/plain, */*",
            "*/*",
            "",
            "text/html",
            "application/*",
            "application/json;q=0",
            "application/json;q=0.0, */*",
            "application/json;q=0.5, */*",
            "application/json, application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded, application/json;q=0.9",
            "application/json;q=1.001",
            "application/json;q=.5",
            "application/json;q=",
            "application",
        ] {
            assert_eq!(credentials(&[accept]), AnswerFormat::Form, "{accept}");
        }
    }

    #[test]
    fn a_denial_is_a_form_if_the_form_is_preferred_or_named_and_as_good() {
        for accept in [
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded;q=0.1",
            "application/x-www-form-urlencoded, */*",
            "application/x-www-form-urlencoded, application/json",
            "application/x-www-form-urlencoded, application/problem+json;q=0.9",
        ] {
            assert_eq!(denial(accept), AnswerFormat::Form, "{accept}");
        }
    }

    #[test]
    fn all_other_denials_are_problem_json() {
        for accept in [
            "",
            "*/*",
            "text/html",
            "application/json, text/plain, */*",
            "application/json, application/x-www-form-urlencoded;q=0.1",
            "application/problem+json, application/x-www-form-urlencoded;q=0.9",
            "application/x-www-form-urlencoded;q=0.5, */*",
            "application/x-www-form-urlencoded;q=0",
            "application/x-www-form-urlencoded;q=0, text/plain",
            "text/x-application/x-www-form-urlencoded",
        ] {
            assert_eq!(denial(accept), AnswerFormat::Json, "{accept}");
        }
    }
}

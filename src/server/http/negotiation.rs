//! What an answer is written in (RFC 9110 section 12.5.1): a form, as RFC 5849 has it, or JSON where the client says that
//! it would rather have that.
//!
//! JSON has to be named: `*/*`, which most clients send without thinking, is no wish. Of two that are liked as much, the
//! one that is named wins, and the form if both are. Who likes neither gets a form all the same. A header that can not be
//! read says nothing.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// What an answer is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
}

impl Format {
    /// What these request headers ask for.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let ranges = Range::all(headers);
        let (form, json) = (Liking::of(&ranges, FORM), Liking::of(&ranges, JSON));
        let preferred = json.quality > form.quality || json.quality == form.quality && !form.named;
        if json.named && json.quality > 0 && preferred {
            Self::Json
        } else {
            Self::Form
        }
    }
}

/// Whether a denial is better written as a form than as problem+json: only where the form is named.
pub(super) fn wants_form_denial(headers: &HeaderMap) -> bool {
    let ranges = Range::all(headers);
    let (form, json) = (Liking::of(&ranges, FORM), Liking::of(&ranges, JSON));
    form.named && form.quality > 0 && (form.quality >= json.quality || !json.named)
}

/// How much a media type is liked.
#[derive(Clone, Copy)]
struct Liking {
    /// In thousandths.
    quality: u16,
    /// It stands there itself, and not a wildcard.
    named: bool,
}

impl Liking {
    /// The most specific range that covers it counts.
    fn of(ranges: &[Range<'_>], (main, sub): (&str, &str)) -> Self {
        let covering = |range: &&Range<'_>| {
            (range.main == "*" || range.main.eq_ignore_ascii_case(main))
                && (range.sub == "*" || range.sub.eq_ignore_ascii_case(sub))
        };
        let best = ranges
            .iter()
            .filter(covering)
            .max_by_key(|range| range.specificity());
        best.map_or(
            Self {
                quality: 0,
                named: false,
            },
            |range| Self {
                quality: range.quality,
                named: range.specificity() == 2,
            },
        )
    }
}

/// A media range and its weight.
struct Range<'h> {
    main: &'h str,
    sub: &'h str,
    quality: u16,
}

impl<'h> Range<'h> {
    fn all(headers: &'h HeaderMap) -> Vec<Self> {
        let texts = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        texts
            .flat_map(|text| text.split(','))
            .filter_map(Self::parse)
            .take(RANGES)
            .collect()
    }

    fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim_ascii);
        let (main, sub) = parts.next()?.split_once('/')?;
        let weight = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim_ascii().eq_ignore_ascii_case("q"));
        let quality = weight.map_or(Some(1000), |(_, value)| thousandths(value.trim_ascii()))?;
        Some(Self { main, sub, quality })
    }

    fn specificity(&self) -> u8 {
        u8::from(self.main != "*") + u8::from(self.sub != "*")
    }
}

/// A `qvalue` (RFC 9110 section 12.4.2).
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

/// As many as any client sends.
const RANGES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &[&str]) -> HeaderMap {
        accept
            .iter()
            .map(|value| (ACCEPT, value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn json_is_for_who_names_it_and_likes_it_most() {
        for accept in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json, text/plain, */*",
            "text/html, application/json;q=0.9, */*;q=0.8",
            "application/x-www-form-urlencoded;q=0.5, application/json",
            "application/json;q=0.001",
        ] {
            assert_eq!(
                Format::wanted(&headers(&[accept])),
                Format::Json,
                "{accept}"
            );
        }
        assert_eq!(
            Format::wanted(&headers(&["text/plain;q=0.5", "application/json"])),
            Format::Json
        );
    }

    #[test]
    fn everybody_else_gets_a_form() {
        assert_eq!(Format::wanted(&headers(&[])), Format::Form);
        for accept in [
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
            assert_eq!(
                Format::wanted(&headers(&[accept])),
                Format::Form,
                "{accept}"
            );
        }
    }

    #[test]
    fn a_denial_is_a_form_only_for_who_names_it() {
        let wants = |accept: &str| wants_form_denial(&headers(&[accept]));
        assert!(wants("application/x-www-form-urlencoded"));
        assert!(wants("application/x-www-form-urlencoded, */*"));
        assert!(!wants("*/*"));
        assert!(!wants(
            "application/json, application/x-www-form-urlencoded;q=0.1"
        ));
        assert!(!wants("application/x-www-form-urlencoded;q=0"));
    }
}

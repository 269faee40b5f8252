//! Other spellings of a value that mean the same to the program that prints them.

use serde_json::Value;

use super::json_value::json_value;
use super::unicode::UnicodeForm;

/// A function from a value to another spelling; `None` if it has none.
type Respell = fn(&str) -> Option<String>;

/// A change of a value, and the words for it.
pub(super) struct ValueChange {
    respell: Respell,
    /// The manner in which the client signs the value.
    pub(super) how: &'static str,
}

impl ValueChange {
    /// Returns the other spelling of a value; `None` if it stays the same.
    pub(super) fn of(&self, value: &[u8]) -> Option<String> {
        if value.len() > MAX_LEN {
            return None;
        }
        let value = str::from_utf8(value).ok()?;
        (self.respell)(value).filter(|other| other != value)
    }
}

const fn change(how: &'static str, respell: Respell) -> ValueChange {
    ValueChange { respell, how }
}

/// Every change, the frequent ones first.
pub(super) const CHANGES: [ValueChange; 62] = [
    change(WORD, |text| word(text, PYTHON)),
    change(WORD, |text| word(text, JAVASCRIPT)),
    change(WORD, |text| word(text, PHP)),
    change(WORD, |text| word(text, NUMBERS)),
    change(WORD, |text| word(text, FROM_NUMBERS)),
    change(WORD, |text| word(text, FROM_NUMBERS_PYTHON)),
    change(WORD, |text| word(text, ON)),
    change(WORD, |text| word(text, CAPITALS)),
    change("empty", |text| NOTHING.contains(&text).then(String::new)),
    change(NUMBER, shortest),
    change(NUMBER, |text| is_integer(text).then(|| format!("{text}.0"))),
    change(NUMBER, |text| {
        is_integer(text).then(|| format!("{text}.00"))
    }),
    change(NUMBER, |text| {
        same_number(text, format!("{:.2}", number(text)?))
    }),
    change(NUMBER, |text| {
        number(text).map(|number| format!("{number:e}"))
    }),
    change(NUMBER, c_exponent),
    change(NUMBER, |text| {
        text.contains(['e', 'E'])
            .then(|| number(text))?
            .map(|one| one.to_string())
    }),
    change(NUMBER, |text| with_other_point(text, ".", ",")),
    change(NUMBER, |text| with_other_point(text, ",", ".")),
    change(NUMBER, ungrouped),
    change(NUMBER, |text| is_integer(text).then(|| grouped(text))),
    change(NUMBER, |text| {
        same_number(text, text.trim_start_matches('0').to_owned())
    }),
    change(NUMBER, |text| {
        number(text.strip_prefix('+')?).map(|_| text[1..].to_owned())
    }),
    change(UNICODE, |text| Some(UnicodeForm::Composed.of(text))),
    change(UNICODE, |text| Some(UnicodeForm::Decomposed.of(text))),
    change(UNICODE, |text| Some(UnicodeForm::Compatible.of(text))),
    change("without accents", |text| Some(without_accents(text))),
    change(DROPPED, |text| {
        Some(text.chars().filter(|&one| !is_emoji(one)).collect())
    }),
    change(DROPPED, |text| Some(without_marks(text))),
    change(REPLACED, |text| Some(with_emoji(text, "\u{FFFD}"))),
    change(REPLACED, |text| Some(with_emoji(text, "?"))),
    change(REPLACED, |text| Some(text.replace('\u{A0}', " "))),
    change(REPLACED, |text| Some(plain_quotes(text))),
    change("with characters as `\\u00e9`", |text| {
        Some(json_escaped(text))
    }),
    change(HTML, |text| Some(html(text))),
    change(HTML, |text| Some(html(text).replace('"', "&quot;"))),
    change(HTML, |text| {
        Some(html(text).replace('"', "&quot;").replace('\'', "&#39;"))
    }),
    change(HTML, |text| {
        Some(html(text).replace('"', "&quot;").replace('\'', "&apos;"))
    }),
    change(HTML, |text| {
        Some(html(text).replace('"', "&quot;").replace('\'', "&#039;"))
    }),
    change("without the HTML escapes that it sends", |text| {
        Some(from_html(text))
    }),
    change(BACKSLASHES, |text| Some(slashed(text))),
    change(BACKSLASHES, |text| Some(text.replace('/', "\\/"))),
    change("without the backslashes that it sends", |text| {
        Some(text.replace('\\', ""))
    }),
    change("in quotes", |text| Some(format!("\"{text}\""))),
    change("in quotes", |text| Some(format!("'{text}'"))),
    change("in quotes", |text| Some(format!("b'{text}'"))),
    change("without the quotes that it sends", unquoted),
    change(SPACE, |text| {
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }),
    change(SPACE, |text| Some(text.trim_end().to_owned())),
    change(SPACE, |text| Some(text.trim_start().to_owned())),
    change(SPACE, |text| {
        Some(text.replace("\r\n", "\n").replace(['\n', '\t'], " "))
    }),
    change(SPACE, |text| Some(text.replace(['\r', '\n'], ""))),
    change(SPACE, |text| Some(text.replace('\n', "\\n"))),
    change(SPACE, |text| Some(format!("{text} "))),
    change(SPACE, |text| Some(text.replace(' ', ""))),
    change(JSON, |text| respaced(text, "")),
    change(JSON, |text| respaced(text, " ")),
    change(JSON, sorted),
    change(DATE, date),
    change(DATE, |text| date_with(text, 'T', " ")),
    change(DATE, |text| date_with(text, ' ', "T")),
    change("with or without a `/` at the end", last_slash),
    change("with the list written differently", list),
];

/// Words, and the words that a language has for them.
type Words = &'static [(&'static str, &'static str)];

fn word(text: &str, words: Words) -> Option<String> {
    let found = words.iter().find(|(from, _)| *from == text)?;
    Some(found.1.to_owned())
}

fn number(text: &str) -> Option<f64> {
    let is_plain = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    text.parse()
        .ok()
        .filter(|one: &f64| is_plain && one.is_finite() && one.abs() < LARGEST)
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the number without the zeros behind its point.
fn shortest(text: &str) -> Option<String> {
    number(text)?;
    text.contains('.').then(|| {
        let short = text.trim_end_matches('0');
        short.trim_end_matches('.').to_owned()
    })
}

/// Returns `1e+06` for `1000000`, like `printf`.
fn c_exponent(text: &str) -> Option<String> {
    let text = format!("{:e}", number(text)?);
    let (mantissa, exponent) = text.split_once('e')?;
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    Some(format!("{mantissa}e{sign}{digits:0>2}"))
}

/// Returns `1,000` for `1000`.
fn grouped(text: &str) -> String {
    let digits = text.trim_start_matches('-');
    let mut out = text[..text.len() - digits.len()].to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns `1000` for `1,000`.
fn ungrouped(text: &str) -> Option<String> {
    let plain = text.replace(',', "");
    (is_integer(&plain) && grouped(&plain) == text).then_some(plain)
}

/// Returns `1,5` for `1.5`. With three digits behind it, the point may be that of thousands.
fn with_other_point(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, fraction) = text.split_once(from)?;
    number(&text.replace(',', "."))?;
    (fraction.len() != 3).then(|| text.replace(from, to))
}

/// Returns the other spelling of a number, if it has the same value.
fn same_number(text: &str, other: String) -> Option<String> {
    let is_same = number(text)? == number(&other)?;
    is_same.then_some(other)
}

fn without_accents(text: &str) -> String {
    let is_accent = |one: &char| ('\u{300}'..='\u{36F}').contains(one);
    let text = UnicodeForm::Decomposed.of(text);
    text.chars().filter(|one| !is_accent(one)).collect()
}

const fn is_emoji(one: char) -> bool {
    one as u32 > 0xFFFF
}

fn with_emoji(text: &str, instead: &str) -> String {
    let one = |one: char| match is_emoji(one) {
        true => instead.to_owned(),
        false => one.to_string(),
    };
    text.chars().map(one).collect()
}

/// Removes marks without a width: those of byte order, and joiners.
fn without_marks(text: &str) -> String {
    let is_mark = |one: char| {
        matches!(
            one,
            '\u{FEFF}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{AD}'
        )
    };
    text.replace(is_mark, "")
}

fn plain_quotes(text: &str) -> String {
    let text = text.replace(['\u{2018}', '\u{2019}'], "'");
    let text = text.replace(['\u{201C}', '\u{201D}'], "\"");
    text.replace(['\u{2013}', '\u{2014}'], "-")
}

fn json_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

fn html(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

fn from_html(text: &str) -> String {
    let quotes = text.replace("&quot;", "\"").replace("&#39;", "'");
    let quotes = quotes.replace("&#039;", "'").replace("&apos;", "'");
    let signs = quotes.replace("&lt;", "<").replace("&gt;", ">");
    signs.replace("&amp;", "&")
}

/// Puts a backslash in front of quotes and backslashes, like PHP's `addslashes`.
fn slashed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for one in text.chars() {
        if matches!(one, '\'' | '"' | '\\') {
            out.push('\\');
        }
        out.push(one);
    }
    out
}

fn unquoted(text: &str) -> Option<String> {
    let inner = ['"', '\''].into_iter().find_map(|quote| {
        text.strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    });
    inner.map(str::to_owned)
}

/// Returns a JSON text with `space` behind each comma and colon, and no other white space.
fn respaced(text: &str, space: &str) -> Option<String> {
    json(text)?;
    let mut out = String::with_capacity(text.len() + 8);
    let (mut is_text, mut is_escaped) = (false, false);
    for one in text.chars() {
        if is_text || !one.is_ascii_whitespace() {
            out.push(one);
        }
        if !is_text && matches!(one, ',' | ':') {
            out.push_str(space);
        }
        is_text ^= one == '"' && !is_escaped;
        is_escaped = is_text && one == '\\' && !is_escaped;
    }
    Some(out)
}

/// Returns a JSON text with sorted names; `None` if a name repeats.
fn sorted(text: &str) -> Option<String> {
    Some(json(text)?.to_string())
}

fn json(text: &str) -> Option<Value> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    json_value(text.as_bytes())
}

/// Returns the other spelling of a date in UTC, or the date without its thousandths.
fn date(text: &str) -> Option<String> {
    let is_date = text.len() >= 19 && text.as_bytes()[4] == b'-' && text.contains('T');
    if !is_date {
        return None;
    }
    if text.contains(".000") {
        return Some(text.replace(".000", ""));
    }
    match text.strip_suffix('Z') {
        Some(local) => Some(format!("{local}+00:00")),
        None => Some(format!("{}Z", text.strip_suffix("+00:00")?)),
    }
}

/// Returns a date with another character in front of its time.
fn date_with(text: &str, from: char, to: &str) -> Option<String> {
    let (day, time) = text.split_once(from)?;
    let is_date = day.len() == 10 && day.as_bytes()[4] == b'-' && time.contains(':');
    is_date.then(|| [day, to, time].concat())
}

fn last_slash(text: &str) -> Option<String> {
    text.contains("://").then(|| match text.strip_suffix('/') {
        Some(shorter) => shorter.to_owned(),
        None => format!("{text}/"),
    })
}

/// Returns `1,2` for `[1,2]`, and Python's list for `1,2`.
fn list(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[') {
        return Some(inner.strip_suffix(']')?.to_owned());
    }
    text.contains(',').then(|| {
        let members = text.split(',').map(|member| format!("'{member}'"));
        format!("[{}]", members.collect::<Vec<_>>().join(", "))
    })
}

const PYTHON: Words = &[
    ("true", "True"),
    ("false", "False"),
    ("null", "None"),
    ("undefined", "None"),
];

const JAVASCRIPT: Words = &[
    ("True", "true"),
    ("False", "false"),
    ("None", "null"),
    ("TRUE", "true"),
    ("FALSE", "false"),
];

const PHP: Words = &[("true", "1"), ("false", ""), ("True", "1"), ("False", "")];

const NUMBERS: Words = &[("true", "1"), ("false", "0"), ("True", "1"), ("False", "0")];

const FROM_NUMBERS: Words = &[("1", "true"), ("0", "false")];

const FROM_NUMBERS_PYTHON: Words = &[("1", "True"), ("0", "False")];

const ON: Words = &[
    ("on", "true"),
    ("off", "false"),
    ("yes", "true"),
    ("no", "false"),
];

const CAPITALS: Words = &[("true", "TRUE"), ("false", "FALSE"), ("null", "NULL")];

/// The words for no value.
const NOTHING: [&str; 8] = [
    "null",
    "undefined",
    "None",
    "nil",
    "NULL",
    "0",
    "false",
    "NaN",
];

/// The longest value that is spelled otherwise, in bytes.
const MAX_LEN: usize = 1024;

/// The most digits of an integer.
const MAX_DIGITS: usize = 20;

/// The number up to which a spelling has few digits.
const LARGEST: f64 = 1e21;

const WORD: &str = "as a different word for true, false or null";

const NUMBER: &str = "with the number written differently";

const UNICODE: &str = "in a different Unicode normalization form";

const DROPPED: &str = "without some characters that it sends";

const REPLACED: &str = "with different characters than it sends";

const HTML: &str = "with HTML escapes";

const BACKSLASHES: &str = "with backslashes that it does not send";

const SPACE: &str = "with different white space than it sends";

const JSON: &str = "as JSON with different white space or in a different order";

const DATE: &str = "with the date written differently";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_that_of_its_clients() {
        for (sent, signed) in [
            ("true", "True"),
            ("False", "false"),
            ("false", ""),
            ("1", "true"),
            ("1.0", "1"),
            ("1.50", "1.5"),
            ("1", "1.0"),
            ("1000", "1e3"),
            ("1000000", "1e+06"),
            ("1e3", "1000"),
            ("1.5", "1,5"),
            ("1,50", "1.50"),
            ("1,000", "1000"),
            ("2024-01-02 03:04", "2024-01-02T03:04"),
            ("1000", "1,000"),
            ("-1234567", "-1,234,567"),
            ("007", "7"),
            ("+5", "5"),
            ("caff\u{e8}", "caffe\u{300}"),
            ("caffe\u{300}", "caff\u{e8}"),
            ("caff\u{e8}", "caffe"),
            ("\u{fb01}n", "fin"),
            ("hi \u{1F600}", "hi \u{FFFD}"),
            ("\u{FEFF}a", "a"),
            ("\u{e9}", "\\u00e9"),
            ("a&b<c", "a&amp;b&lt;c"),
            ("it's", "it&#039;s"),
            ("it&#39;s", "it's"),
            ("it's", "it\\'s"),
            ("a", "\"a\""),
            ("a  b", "a b"),
            ("{\"a\": \"x, y\"}", "{\"a\":\"x, y\"}"),
            ("{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"),
            ("[1,2]", "[1, 2]"),
            ("[1,2]", "1,2"),
            ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05+00:00"),
            ("https://a.example", "https://a.example/"),
        ] {
            let mut all = CHANGES.iter().filter_map(|one| one.of(sent.as_bytes()));
            assert!(all.any(|made| made == signed), "{sent}: {signed}");
        }
    }

    #[test]
    fn no_spelling_has_another_meaning() {
        for (sent, other) in [
            ("true", "false"),
            ("1", "0"),
            ("10", "1"),
            ("100", "1.00"),
            ("5", "-5"),
            ("2024-01-02T03:04:05+02:00", "2024-01-02T03:04:05Z"),
        ] {
            let mut all = CHANGES.iter().filter_map(|one| one.of(sent.as_bytes()));
            assert!(all.all(|made| made != other), "{sent}: {other}");
        }
    }
}

//! JSON bodies, read as the parameters that clients make of them.

use serde_json::{Map, Value};

use super::super::pair::ParameterPair;
use super::json_value::json_value;

/// Returns the readings of a JSON object as parameters; none if the body is no object, or if a name
/// repeats.
pub(super) fn json_readings(body: &[u8]) -> Vec<Vec<ParameterPair<'static>>> {
    let Some(Value::Object(fields)) = json_value(body) else {
        return Vec::new();
    };
    let is_flat = fields
        .values()
        .all(|value| !value.is_object() && !value.is_array());
    let styles = STYLES
        .iter()
        .filter(|style| !is_flat || style.differs_if_flat);
    styles.map(|style| style.pairs(&fields)).collect()
}

/// A way to make parameters of a JSON object.
struct JsonStyle {
    /// The word for `true`, `false` and `null`; `None` leaves the parameter out.
    words: [Option<&'static str>; 3],
    nested: NestedStyle,
    /// The style matters for an object without arrays and objects.
    differs_if_flat: bool,
}

/// A way to make parameters of arrays and objects.
#[derive(Clone, Copy)]
enum NestedStyle {
    /// `a[b]` and `a[0]`.
    Indexed,
    /// `a.b` and `a[0]`.
    Dotted,
    /// `a[b]` and `a[]`.
    Brackets,
    /// `a[b]`, and `a` for each member of an array.
    Repeated,
    /// Values joined by a comma, and `[object Object]`, like JavaScript's `toString`.
    Text,
    /// The JSON text.
    Json,
    /// Not signed.
    LeftOut,
}

impl JsonStyle {
    const fn nested(nested: NestedStyle) -> Self {
        Self {
            words: JSON_WORDS,
            nested,
            differs_if_flat: false,
        }
    }

    const fn words(words: [Option<&'static str>; 3]) -> Self {
        Self {
            words,
            nested: NestedStyle::Indexed,
            differs_if_flat: true,
        }
    }

    fn pairs(&self, fields: &Map<String, Value>) -> Vec<ParameterPair<'static>> {
        let mut pairs = BoundedPairs::default();
        for (name, value) in fields {
            self.push(name, value, &mut pairs);
        }
        pairs.pairs
    }

    /// Adds the parameters of a value, until the pairs are full.
    fn push(&self, name: &str, value: &Value, pairs: &mut BoundedPairs) {
        if pairs.is_full() {
            return;
        }
        match (value, self.nested) {
            (Value::Array(_) | Value::Object(_), NestedStyle::LeftOut) => {}
            // Each member repeats the name.
            (Value::Array(_) | Value::Object(_), _) if name.len() > MAX_REPEATED_LEN => {}
            (Value::Array(_) | Value::Object(_), NestedStyle::Json) => {
                pairs.push(name, &value.to_string());
            }
            (Value::Array(_) | Value::Object(_), NestedStyle::Text) => {
                pairs.push(name, &javascript_text(value));
            }
            (Value::Array(values), style) => {
                for (at, value) in values.iter().enumerate().take(MAX_PARAMETERS) {
                    self.push(&style.member(name, at), value, pairs);
                }
            }
            (Value::Object(fields), _) => {
                for (field, value) in fields.iter().take(MAX_PARAMETERS) {
                    self.push(&self.nested.field(name, field), value, pairs);
                }
            }
            _ => {
                if let Some(text) = self.text(value) {
                    pairs.push(name, &text);
                }
            }
        }
    }

    /// Returns the text of a value that is no array and no object.
    fn text(&self, value: &Value) -> Option<String> {
        let [yes, no, null] = self.words;
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(true) => yes.map(str::to_owned),
            Value::Bool(false) => no.map(str::to_owned),
            Value::Null => null.map(str::to_owned),
            Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
        }
    }
}

impl NestedStyle {
    /// Returns the name of a field of an object.
    fn field(self, name: &str, field: &str) -> String {
        match self {
            Self::Dotted => format!("{name}.{field}"),
            Self::Indexed
            | Self::Brackets
            | Self::Repeated
            | Self::Text
            | Self::Json
            | Self::LeftOut => format!("{name}[{field}]"),
        }
    }

    /// Returns the name of a member of an array.
    fn member(self, name: &str, at: usize) -> String {
        match self {
            Self::Brackets => format!("{name}[]"),
            Self::Repeated => name.to_owned(),
            Self::Indexed | Self::Dotted | Self::Text | Self::Json | Self::LeftOut => {
                format!("{name}[{at}]")
            }
        }
    }
}

/// Pairs up to a number and a length: the parameters of an array repeat its name.
#[derive(Default)]
struct BoundedPairs {
    pairs: Vec<ParameterPair<'static>>,
    /// The length of all names and values, encoded.
    len: usize,
}

impl BoundedPairs {
    const fn is_full(&self) -> bool {
        self.pairs.len() >= MAX_PARAMETERS || self.len >= MAX_LEN
    }

    fn push(&mut self, name: &str, value: &str) {
        let pair = ParameterPair::encode(name.as_bytes(), value.as_bytes());
        self.len += pair.name.len() + pair.value.len();
        self.pairs.push(pair);
    }
}

fn javascript_text(value: &Value) -> String {
    match value {
        Value::Array(values) => values
            .iter()
            .map(javascript_text)
            .collect::<Vec<_>>()
            .join(","),
        Value::Object(_) => "[object Object]".to_owned(),
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

const JSON_WORDS: [Option<&str>; 3] = [Some("true"), Some("false"), Some("null")];

/// The styles of clients: JavaScript, Python, PHP, and those that leave out null.
const STYLES: [JsonStyle; 12] = [
    JsonStyle::words(JSON_WORDS),
    JsonStyle::words([Some("true"), Some("false"), None]),
    JsonStyle::words([Some("true"), Some("false"), Some("")]),
    JsonStyle::words([Some("True"), Some("False"), Some("None")]),
    JsonStyle::words([Some("1"), Some(""), Some("")]),
    JsonStyle::words([Some("1"), Some("0"), None]),
    JsonStyle::nested(NestedStyle::Brackets),
    JsonStyle::nested(NestedStyle::Dotted),
    JsonStyle::nested(NestedStyle::Repeated),
    JsonStyle::nested(NestedStyle::Text),
    JsonStyle::nested(NestedStyle::Json),
    JsonStyle::nested(NestedStyle::LeftOut),
];

/// The most parameters that are read from a body.
const MAX_PARAMETERS: usize = 200;

/// The longest name of an array or object, in bytes.
const MAX_REPEATED_LEN: usize = 1024;

/// The length of all names and values behind which no more parameters are read, in bytes.
const MAX_LEN: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_names_what_a_client_would() {
        let body = br#"{"a":[1,"b"],"c":{"d":true},"e":null}"#;
        let readings: Vec<_> = json_readings(body)
            .iter()
            .map(|pairs| text(pairs))
            .collect();
        for expected in [
            "a%5B0%5D=1&a%5B1%5D=b&c%5Bd%5D=true&e=null",
            "a%5B0%5D=1&a%5B1%5D=b&c%5Bd%5D=1",
            "a%5B%5D=1&a%5B%5D=b&c%5Bd%5D=true&e=null",
            "a=1&a=b&c%5Bd%5D=true&e=null",
            "a%5B0%5D=1&a%5B1%5D=b&c.d=true&e=null",
            "a=1%2Cb&c=%5Bobject%20Object%5D&e=null",
            "a=%5B1%2C%22b%22%5D&c=%7B%22d%22%3Atrue%7D&e=null",
            "e=null",
        ] {
            assert!(readings.iter().any(|text| text == expected), "{expected}");
        }
        for other in [&b"[1]"[..], b"{", br#"{"a":1,"a":2}"#] {
            assert!(json_readings(other).is_empty());
        }
        assert_eq!(json_readings(br#"{"a":1}"#).len(), 6);
    }

    fn text(pairs: &[ParameterPair<'_>]) -> String {
        let pairs = pairs
            .iter()
            .map(|pair| [&*pair.name, b"=", &*pair.value].concat());
        let pairs: Vec<_> = pairs.collect();
        String::from_utf8(pairs.join(&b'&')).unwrap()
    }
}

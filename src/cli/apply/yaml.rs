//! YAML with the line of every value, and limits on its size, depth and aliases.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Spanned, UserMessageFormatter};

use super::mistake::Mistake;

/// A value and its line. It may be a secret, so it cannot be printed.
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Value,
}

/// A value of YAML.
pub(super) enum Value {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its line, and its value.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: u64,
    pub(super) node: Node,
}

struct ValueVisitor;

/// Reads the documents of a text; empty ones are left out.
///
/// # Errors
/// The first mistake of the syntax, a key that a mapping has twice, or an exceeded limit.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Mistake> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: MAX_NODES * 2,
            max_aliases: MAX_ALIASES,
            max_merge_keys: MAX_ALIASES,
            max_recorded_anchor_events: MAX_ALIASES,
            // The limit on replayed events bounds what aliases can cost.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
        },
        // Its lines could be secrets.
        with_snippet: false,
        // `no` and `off` are words.
        strict_booleans: true,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| mistake(&error))
}

fn mistake(error: &Error) -> Mistake {
    let error = error.without_snippet();
    let line = error.location().map_or(0, |location| location.line());
    Mistake::new(line, "", problem(error))
}

fn problem(error: &Error) -> String {
    if exceeds_limit(error) {
        format!(
            "exceeds a limit: {MAX_NODES} values, {MAX_DEPTH} levels, {MAX_ALIASES} values with aliases"
        )
    } else if repeats_value(error) {
        UNREADABLE_VALUE.to_owned()
    } else {
        error.render_with_formatter(&UserMessageFormatter)
    }
}

fn exceeds_limit(error: &Error) -> bool {
    if let Error::AliasError { error, .. } = error {
        return exceeds_limit(error);
    }
    matches!(error, Error::Budget { .. })
}

/// Returns true if the text of an error repeats a value, which may be a secret: `12345e67890` is a
/// number that is too large.
fn repeats_value(error: &Error) -> bool {
    if let Error::AliasError { error, .. } = error {
        return repeats_value(error);
    }
    matches!(
        error,
        Error::NonFiniteFloat { .. }
            | Error::QuotingRequired { .. }
            | Error::SerdeInvalidType { .. }
            | Error::SerdeInvalidValue { .. }
            | Error::SerdeUnknownVariant { .. }
            | Error::TaggedEnumMismatch { .. }
    )
}

// === impl Node ===

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(from)?;
        Ok(Self {
            line: spanned.referenced.line(),
            value: spanned.value,
        })
    }
}

// === impl Value ===

impl Value {
    /// Returns the text, if the value is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number | Self::List(_) | Self::Map(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Value::deserialize(from)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_i128<E>(self, _value: i128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u128<E>(self, _value: u128) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = from.next_entry::<Spanned<String>, Node>()? {
            entries.push(Entry {
                line: key.referenced.line(),
                key: key.value,
                node,
            });
        }
        Ok(Value::Map(entries))
    }
}

const UNREADABLE_VALUE: &str = "has a value that YAML cannot read: put the value in quotes";

/// A file needs 6 levels.
const MAX_DEPTH: usize = 16;

/// Enough for tens of thousands of consumers.
const MAX_NODES: usize = 1_000_000;

const MAX_ALIASES: usize = 50_000;

/// The values that aliases may add to those of the file.
const MAX_REPLAYED: usize = 200_000;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn every_value_has_its_line() {
        let text = "a: x\nb:\n  - 1\n  - c: null\n    d: 'yes'\n---\n- no\n- {e: true, f: 1.5}\n";
        assert_eq!(
            shown(text),
            "1:{a@1=1:\"x\" b@2=3:[3:number 4:{c@4=4:null d@5=5:\"yes\"}]}\n\
             7:[7:\"no\" 8:{e@8=8:true f@8=8:number}]\n"
        );
    }

    #[test]
    fn a_mapping_can_be_merged() {
        let text = "a: &a\n  x: y\nb:\n  <<: *a\n  z: w\n";
        assert!(shown(text).contains("x@"), "{}", shown(text));
    }

    #[test]
    fn a_mistake_of_the_syntax_has_its_line_and_no_value() {
        for (text, line) in [
            ("a: 1\nb: [s3cret\n", 2..=3),
            ("a: s3cret\na: s3cret\n", 2..=2),
            ("a: \"s3cret\n", 1..=2),
            ("a: *s3cret\n", 1..=1),
            ("a: @s3cret\n", 1..=1),
            ("a: `s3cret\n", 1..=1),
            ("a: \"\\s3cret\"\n", 1..=1),
            ("a:\n\tb: s3cret\n", 1..=2),
            ("a: 12345e67890123\n", 1..=1),
            ("a: [0, 12345e67890123]\n", 1..=1),
        ] {
            let mistake = documents(text).err().unwrap();
            assert!(line.contains(&mistake.line), "{text:?}: {mistake:?}");
            for secret in ["s3cret", "12345e"] {
                assert!(!mistake.problem.contains(secret), "{mistake:?}");
            }
        }
    }

    #[test]
    fn aliases_and_depth_are_bounded() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            writeln!(bomb, "a{level}: &a{level} [{before}]").unwrap();
        }
        assert!(documents(&"[".repeat(100_000)).is_err());
        for text in [bomb, "- ".repeat(100_000)] {
            let mistake = documents(&text).err().unwrap();
            assert!(
                mistake.problem.starts_with("exceeds a limit: "),
                "{mistake:?}"
            );
        }
    }

    fn shown(text: &str) -> String {
        let mut out = String::new();
        for document in documents(text).unwrap() {
            writeln!(out, "{}", node(&document)).unwrap();
        }
        out
    }

    fn node(Node { line, value }: &Node) -> String {
        let value = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number => "number".to_owned(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(node).collect();
                format!("[{}]", items.join(" "))
            }
            Value::Map(entries) => {
                let entry =
                    |entry: &Entry| format!("{}@{}={}", entry.key, entry.line, node(&entry.node));
                let entries: Vec<_> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(" "))
            }
        };
        format!("{line}:{value}")
    }
}

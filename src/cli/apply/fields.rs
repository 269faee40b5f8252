//! The fields of a record in the file, each with its line.

use std::collections::HashMap;

use prost_types::Timestamp;

use super::mistake::Mistake;
use super::yaml::{Entry, Node, Value};

/// The lines of a record and of its fields.
pub(super) struct FieldLines {
    /// The record for people, for example `consumer printer`.
    pub(super) record: String,
    line: u64,
    fields: HashMap<String, u64>,
}

/// The fields of a record that are not read yet.
pub(super) struct Fields<'a> {
    entries: Vec<Entry>,
    pub(super) lines: FieldLines,
    mistakes: &'a mut Vec<Mistake>,
}

// === impl FieldLines ===

impl FieldLines {
    /// Returns a mistake at a field by its name in `proto/`, for example `callbacks[1]`.
    pub(super) fn mistake(&self, field: &str, problem: &str) -> Mistake {
        let list = field.split('[').next().unwrap_or(field);
        let field_line = self.fields.get(field.trim_end_matches(".pem"));
        let line = field_line.or_else(|| self.fields.get(list));
        let problem = format!("{field} {problem}");
        let line = line.copied().unwrap_or(self.line);
        Mistake::new(line, &self.record, problem)
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Begins to read a record of a kind, which the field `name` identifies.
    pub(super) fn of(
        node: Node,
        kind: &str,
        name: &str,
        mistakes: &'a mut Vec<Mistake>,
    ) -> Option<Self> {
        let Value::Map(entries) = node.value else {
            let problem = format!("the {kind} is no mapping of fields");
            mistakes.push(Mistake::new(node.line, "", problem));
            return None;
        };
        let named = entries.iter().find(|entry| entry.key == name);
        let named = named.and_then(|entry| entry.node.value.text());
        let named = named.filter(|name| !name.is_empty());
        let lines = FieldLines {
            record: named.map_or_else(|| kind.to_owned(), |name| format!("{kind} {}", cut(name))),
            line: node.line,
            fields: HashMap::new(),
        };
        Some(Self {
            entries,
            lines,
            mistakes,
        })
    }

    /// Returns a text; a missing one is empty.
    pub(super) fn text(&mut self, field: &str) -> String {
        let node = self.take(field);
        node.and_then(|node| self.text_of(field, node))
            .unwrap_or_default()
    }

    /// Returns a text that must not be missing.
    pub(super) fn required(&mut self, field: &str) -> String {
        let before = self.mistakes.len();
        let text = self.text(field);
        if text.is_empty() && self.mistakes.len() == before {
            self.wrong(field, "is missing");
        }
        text
    }

    /// Returns a flag; a missing one is false.
    pub(super) fn flag(&mut self, field: &str) -> bool {
        match self.take(field).map(|node| node.value) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.wrong(field, "must be true or false");
                false
            }
        }
    }

    /// Returns a time.
    pub(super) fn time(&mut self, field: &str) -> Option<Timestamp> {
        let text = self.text(field);
        if text.is_empty() {
            return None;
        }
        let time = text.parse().ok();
        if time.is_none() {
            self.wrong(field, "must be a time such as 2030-01-31T00:00:00Z");
        }
        time
    }

    /// Returns the value of a word.
    pub(super) fn word<T: Copy>(&mut self, field: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(field);
        if text.is_empty() {
            return None;
        }
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let problem = format!("must be one of {}", known.join(", "));
            self.wrong(field, &problem);
        }
        found.map(|(_, value)| *value)
    }

    /// Returns a list of texts.
    pub(super) fn list(&mut self, field: &str) -> Vec<String> {
        let items = self.nodes(field);
        let items = items.into_iter();
        let text = |(item, node): (String, Node)| self.text_of(&item, node);
        items.filter_map(text).collect()
    }

    /// Returns the values of a list, each with its name, for example `callbacks[1]`.
    pub(super) fn nodes(&mut self, field: &str) -> Vec<(String, Node)> {
        let items = match self.take(field).map(|node| node.value) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::List(items)) => items,
            Some(_) => {
                self.wrong(field, "must be a list");
                Vec::new()
            }
        };
        let mut named = Vec::new();
        for (at, node) in items.into_iter().enumerate() {
            let name = format!("{field}[{at}]");
            self.lines.fields.insert(name.clone(), node.line);
            named.push((name, node));
        }
        named
    }

    /// Returns a node as text.
    pub(super) fn text_of(&mut self, field: &str, node: Node) -> Option<String> {
        match node.value {
            Value::Null => None,
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Number => {
                self.wrong(field, "must be text: put the value in quotes");
                None
            }
            Value::List(_) | Value::Map(_) => {
                self.wrong(field, "must be text");
                None
            }
        }
    }

    /// Refuses a record that is longer than any of its kind.
    pub(super) fn fits(&mut self, bytes: usize) {
        if bytes > MAX_RECORD {
            let problem = format!("the record has more than {MAX_RECORD} bytes");
            let mistake = Mistake::new(self.lines.line, &self.lines.record, problem);
            self.mistakes.push(mistake);
        }
    }

    /// Adds a mistake.
    pub(super) fn wrong(&mut self, field: &str, problem: &str) {
        self.mistakes.push(self.lines.mistake(field, problem));
    }

    /// Refuses the fields that were not read, and returns the lines of the others.
    pub(super) fn end(self, known: &[&str]) -> FieldLines {
        for Entry { key, line, .. } in &self.entries {
            let problem = if OUTPUT_ONLY.contains(&key.as_str()) {
                format!("{key} is set by the server: remove it")
            } else {
                format!("{} is unknown; known are {}", cut(key), known.join(", "))
            };
            let mistake = Mistake::new(*line, &self.lines.record, problem);
            self.mistakes.push(mistake);
        }
        self.lines
    }

    fn take(&mut self, field: &str) -> Option<Node> {
        let at = self.entries.iter().position(|entry| entry.key == field)?;
        let entry = self.entries.swap_remove(at);
        self.lines.fields.insert(entry.key, entry.line);
        Some(entry.node)
    }
}

/// Returns the beginning of a name, if it is long.
pub(super) fn cut(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_SHOWN).map(|(at, _)| at);
    end.and_then(|at| name.get(..at)).unwrap_or(name)
}

/// The fields that only the server sets.
pub(super) const OUTPUT_ONLY: [&str; 7] = [
    "consumer_id",
    "create_time",
    "etag",
    "existed",
    "previous_secret_expire_time",
    "secret_count",
    "update_time",
];

/// The longest record in bytes: more than the limits of all its fields.
const MAX_RECORD: usize = 256 << 10;

/// The longest part of a name that a mistake shows, in characters: no key is longer.
const MAX_SHOWN: usize = 255;

//! The sources of a configuration, laid over each other: default, file, environment, flags.
//!
//! What comes out is the strongest setting of every key, and where it stands. Whether its value makes sense is left to
//! [`super::read`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Place};

/// Where a configuration is read from; each field is stronger than the one before it.
#[derive(Clone, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// The variables of the environment; only those that begin with `COUNTERSIGN_` are looked at.
    pub env: Vec<(String, String)>,
    /// Keys such as `check.listen`, with the values that flags gave them.
    pub flags: Vec<(&'static str, String)>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A value as it was written.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// From the environment or a flag: only the key says what it is.
    Untyped(String),
    /// A TOML string.
    String(String),
    /// A TOML integer, in decimal digits.
    Integer(String),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    Array(Vec<Setting>),
    /// A TOML table.
    Table(BTreeMap<String, Setting>),
    /// A TOML value that no key takes.
    Other(String),
}

/// Every key with its strongest setting.
#[derive(Debug)]
pub(super) struct Settings {
    /// What the compiled-in file says: every key there is.
    pub(super) defaults: BTreeMap<String, Setting>,
    /// What stronger sources say instead.
    pub(super) overrides: BTreeMap<String, Setting>,
    /// `[[route]]`, in order.
    pub(super) routes: Vec<Setting>,
    /// `[scopes]`.
    pub(super) scopes: BTreeMap<String, Setting>,
}

impl Settings {
    /// Reads every source; what can not be read, or is unknown, becomes a mistake.
    pub(super) fn gather(sources: &Sources, mistakes: &mut Vec<Mistake>) -> Self {
        let defaults = flatten(parse(DEFAULT, |_| Place::Default).unwrap_or_default());
        let mut settings = Self {
            defaults,
            overrides: BTreeMap::new(),
            routes: Vec::new(),
            scopes: BTreeMap::new(),
        };
        if let Some(path) = &sources.file {
            settings.add_file(path, mistakes);
        }
        for (name, value) in &sources.env {
            settings.add_variable(name, value, mistakes);
        }
        for (key, value) in &sources.flags {
            let place = Place::Flag(format!("--{}", flag_of(key)));
            settings.add(
                key,
                Setting {
                    value: Value::Untyped(value.clone()),
                    place,
                },
                mistakes,
            );
        }
        settings
    }

    /// The strongest setting of `key`.
    pub(super) fn strongest(&self, key: &str) -> Option<&Setting> {
        self.overrides.get(key).or_else(|| self.defaults.get(key))
    }

    fn add_file(&mut self, path: &Path, mistakes: &mut Vec<Mistake>) {
        let path: Arc<Path> = path.into();
        let at = |line| Place::File {
            path: Arc::clone(&path),
            line,
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                return mistakes.push(Mistake::new(&at(0), format!("can not be read: {error}")));
            }
        };
        match parse(&text, at) {
            Ok(mut table) => {
                self.add_routes(table.remove(ROUTE), mistakes);
                self.add_scopes(table.remove(SCOPES), mistakes);
                for (key, setting) in flatten(table) {
                    self.add(&key, setting, mistakes);
                }
            }
            Err(errors) => mistakes.extend(errors),
        }
    }

    fn add_routes(&mut self, setting: Option<Setting>, mistakes: &mut Vec<Mistake>) {
        match setting {
            Some(Setting {
                value: Value::Array(routes),
                ..
            }) => self.routes = routes,
            Some(Setting { place, .. }) => {
                mistakes.push(Mistake::new(&place, "`route` must be written as [[route]]"))
            }
            None => {}
        }
    }

    fn add_scopes(&mut self, setting: Option<Setting>, mistakes: &mut Vec<Mistake>) {
        match setting {
            Some(Setting {
                value: Value::Table(scopes),
                ..
            }) => self.scopes = flatten(scopes),
            Some(Setting { place, .. }) => mistakes.push(Mistake::new(
                &place,
                "`scopes` is a section: write [scopes]",
            )),
            None => {}
        }
    }

    fn add_variable(&mut self, name: &str, value: &str, mistakes: &mut Vec<Mistake>) {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            return;
        };
        let place = Place::Variable(name.to_owned());
        match self
            .defaults
            .keys()
            .find(|key| variable_of(key) == name)
            .cloned()
        {
            Some(key) => self.add(
                &key,
                Setting {
                    value: Value::Untyped(value.to_owned()),
                    place,
                },
                mistakes,
            ),
            None if rest.starts_with("ROUTE__") => {
                mistakes.push(Mistake::new(&place, "routes can be set only in a file"));
            }
            None if rest.starts_with("SCOPES__") => {
                mistakes.push(Mistake::new(
                    &place,
                    "words for scopes can be set only in a file",
                ));
            }
            // Without a section it may be a secret for a command, or what Kubernetes sets for a Service of our name.
            None if !rest.contains("__") => {}
            None => {
                let known: Vec<_> = self.defaults.keys().map(|key| variable_of(key)).collect();
                mistakes.push(Mistake::unknown(
                    &place,
                    name,
                    known.iter().map(String::as_str),
                ));
            }
        }
    }

    fn add(&mut self, key: &str, setting: Setting, mistakes: &mut Vec<Mistake>) {
        let section = |known: &String| {
            known
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        if self.defaults.contains_key(key) {
            self.overrides.insert(key.to_owned(), setting);
        } else if !self.defaults.keys().any(section) {
            let keys = self.defaults.keys().map(String::as_str);
            let sections = keys
                .clone()
                .filter_map(|key| key.rsplit_once('.').map(|(section, _)| section));
            mistakes.push(Mistake::unknown(&setting.place, key, keys.chain(sections)));
        } else if !matches!(setting.value, Value::Table(_)) {
            mistakes.push(Mistake::new(
                &setting.place,
                format!("`{key}` is a section: write [{key}]"),
            ));
        }
    }
}

/// The name of a key in the environment.
fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// The name of a key as a flag.
fn flag_of(key: &str) -> String {
    let name = key
        .strip_suffix(".listen")
        .or_else(|| key.strip_suffix(".url"))
        .unwrap_or(key);
    name.strip_prefix("store.")
        .unwrap_or(name)
        .replace('_', "-")
}

/// Reads TOML; `at` makes a place of a line number.
fn parse(
    text: &str,
    at: impl Fn(usize) -> Place,
) -> Result<BTreeMap<String, Setting>, Vec<Mistake>> {
    let place = |offset: usize| at(1 + text[..offset.min(text.len())].matches('\n').count());
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(convert(table.get_ref(), &place));
    }
    let mistake = |error: &toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        Mistake::new(&place(offset), format!("is not TOML: {}", error.message()))
    };
    let mut mistakes: Vec<_> = errors.iter().map(mistake).collect();
    // The first error of a line explains it; those after it are its echo.
    mistakes.dedup_by(|next, first| next.place == first.place);
    Err(mistakes)
}

fn convert(table: &DeTable<'_>, place: &impl Fn(usize) -> Place) -> BTreeMap<String, Setting> {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = key.get_ref();
        (
            name.to_string(),
            Setting {
                value: value_of(value.get_ref(), place),
                place: place(key.span().start),
            },
        )
    };
    table.iter().map(entry).collect()
}

fn value_of(value: &DeValue<'_>, place: &impl Fn(usize) -> Place) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Table(table) => Value::Table(convert(table, place)),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| Setting {
                    value: value_of(item.get_ref(), place),
                    place: place(item.span().start),
                })
                .collect(),
        ),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number.to_string()),
            Err(_) => Value::Other(number.to_string()),
        },
        DeValue::Float(number) => Value::Other(number.to_string()),
        DeValue::Datetime(time) => Value::Other(time.to_string()),
    }
}

/// Names every value by its path: `{check: {tls: {key_file: …}}}` becomes `check.tls.key_file`. An empty table stays.
fn flatten(table: BTreeMap<String, Setting>) -> BTreeMap<String, Setting> {
    let mut flat = BTreeMap::new();
    for (name, setting) in table {
        if let Value::Table(inner) = &setting.value
            && !inner.is_empty()
        {
            let inner = flatten(inner.clone()).into_iter();
            flat.extend(inner.map(|(key, setting)| (format!("{name}.{key}"), setting)));
        } else {
            flat.insert(name, setting);
        }
    }
    flat
}

/// What `countersign config default` prints.
pub(super) const DEFAULT: &str = include_str!("../../config.default.toml");

const PREFIX: &str = "COUNTERSIGN_";

const ROUTE: &str = "route";

const SCOPES: &str = "scopes";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_name_in_each_source() {
        assert_eq!(
            variable_of("check.tls.key_file"),
            "COUNTERSIGN_CHECK__TLS__KEY_FILE"
        );
        assert_eq!(variable_of("data_dir"), "COUNTERSIGN_DATA_DIR");
        let keys = [
            "data_dir",
            "store.url",
            "store.master_key_file",
            "check.listen",
            "ops.listen",
            "workers",
        ];
        assert_eq!(
            keys.map(flag_of),
            [
                "data-dir",
                "store",
                "master-key-file",
                "check",
                "ops",
                "workers"
            ]
        );
    }

    #[test]
    fn numbers_are_decimal_whatever_base_they_are_written_in() {
        let table = parse("a = 0x10\nb = 1_000", |_| Place::Default).unwrap();
        assert!(matches!(&table["a"].value, Value::Integer(text) if text == "16"));
        assert!(matches!(&table["b"].value, Value::Integer(text) if text == "1000"));
    }
}

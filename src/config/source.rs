//! The sources of a configuration: default, file, environment and flags, each stronger than the one
//! before it.
//!
//! The result is the strongest setting of each key and its place. [`super::reader`] parses the
//! values.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::mistake::{Mistake, SettingPlace};
use super::setting::{RawValue, Setting, flatten, parse};

/// The sources that a configuration is read from; each field is stronger than the one before it.
#[derive(Clone, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// The environment; variables that do not begin with `COUNTERSIGN_` are ignored.
    pub env: Vec<(String, String)>,
    /// Keys such as `check.listen` with the values of their flags.
    pub flags: Vec<(&'static str, String)>,
}

/// The settings of every key.
#[derive(Debug)]
pub(super) struct Settings {
    /// Every key, from the compiled-in file.
    pub(super) defaults: BTreeMap<String, Setting>,
    /// The keys that stronger sources set.
    pub(super) overrides: BTreeMap<String, Setting>,
    /// `[[route]]`, in order.
    pub(super) routes: Vec<Setting>,
    /// `[scopes]`.
    pub(super) scopes: BTreeMap<String, Setting>,
}

impl Settings {
    /// Reads every source; adds a mistake for each source and key that is unreadable or unknown.
    pub(super) fn gather(sources: &Sources, mistakes: &mut Vec<Mistake>) -> Self {
        let defaults = flatten(parse(DEFAULT, |_| SettingPlace::Default).unwrap_or_default());
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
            let place = SettingPlace::Flag(format!("--{}", flag_of(key)));
            settings.add(
                key,
                Setting {
                    value: RawValue::Untyped(value.clone()),
                    place,
                },
                mistakes,
            );
        }
        settings
    }

    /// Returns the strongest setting of `key`.
    pub(super) fn strongest(&self, key: &str) -> Option<&Setting> {
        self.overrides.get(key).or_else(|| self.defaults.get(key))
    }

    fn add_file(&mut self, path: &Path, mistakes: &mut Vec<Mistake>) {
        let path: Arc<Path> = path.into();
        let at = |line| SettingPlace::File {
            path: Arc::clone(&path),
            line,
        };
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(error) => {
                return mistakes.push(Mistake::new(
                    &at(0),
                    format!("cannot read this file: {error}"),
                ));
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
                value: RawValue::Array(routes),
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
                value: RawValue::Table(scopes),
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
        let place = SettingPlace::Variable(name.to_owned());
        match self
            .defaults
            .keys()
            .find(|key| variable_of(key) == name)
            .cloned()
        {
            Some(key) => self.add(
                &key,
                Setting {
                    value: RawValue::Untyped(value.to_owned()),
                    place,
                },
                mistakes,
            ),
            None if rest.starts_with("ROUTE__") => {
                mistakes.push(Mistake::new(
                    &place,
                    "a variable cannot set routes; set them in a file",
                ));
            }
            None if rest.starts_with("SCOPES__") => {
                mistakes.push(Mistake::new(
                    &place,
                    "a variable cannot describe scopes; set [scopes] in a file",
                ));
            }
            // Without a section it may be a secret for a command, or one of the variables that
            // Kubernetes sets for a Service named countersign.
            None if !rest.contains("__") && !self.lacks_an_underscore(name) => {}
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

    /// Returns true for the variable of a key with one `_` after the section instead of two.
    fn lacks_an_underscore(&self, name: &str) -> bool {
        let mut known = self.defaults.keys().map(|key| variable_of(key));
        known.any(|known| known.replace("__", "_") == name)
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
        } else if !matches!(setting.value, RawValue::Table(_)) {
            mistakes.push(Mistake::new(
                &setting.place,
                format!("`{key}` is a section: write [{key}]"),
            ));
        }
    }
}

/// Reads the file, if it is not longer than any configuration.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE_LEN + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_LEN {
        let problem = format!("it is longer than {MAX_FILE_LEN} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    Ok(text)
}

/// Returns the environment variable of a key.
fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('.', "__"))
}

/// Returns the flag of a key.
fn flag_of(key: &str) -> String {
    let name = key
        .strip_suffix(".listen")
        .or_else(|| key.strip_suffix(".url"))
        .unwrap_or(key);
    name.strip_prefix("store.")
        .unwrap_or(name)
        .replace('_', "-")
}

/// The file that `countersign config default` prints.
pub(super) const DEFAULT: &str = include_str!("../../config.default.toml");

/// Room for tens of thousands of routes.
const MAX_FILE_LEN: u64 = 4 * 1024 * 1024;

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
}

//! The value of every key with its source, for operators.

use std::collections::BTreeMap;

use toml::Value;

use super::load::load;
use super::mistake::{ConfigError, SettingPlace};
use super::reader::written;
use super::redaction::without_credentials;
use super::setting::{RawValue, Setting, flatten, parse};
use super::source::{DEFAULT, Settings, Sources};

/// A key with its value in effect.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectiveSetting {
    /// The section, such as `check.tls`, `route[1]`, or empty.
    pub section: String,
    /// The name within the section.
    pub name: String,
    /// The value; passwords in it are redacted.
    pub value: Value,
    /// The kind of source.
    pub source: SettingSource,
    /// The line of the file, the variable or the flag; `default` for a default.
    pub place: String,
}

/// The kind of source that a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum SettingSource {
    /// The compiled-in file.
    Default,
    /// The operator's file.
    File,
    /// An environment variable.
    Variable,
    /// A flag.
    Flag,
}

/// Returns every key in the order of the default file, then the routes and the scopes.
///
/// # Errors
/// When there is a mistake; the error lists all of them.
pub fn effective(sources: &Sources) -> Result<Vec<EffectiveSetting>, ConfigError> {
    load(sources)?;
    let settings = Settings::gather(sources, &mut Vec::new());
    let mut keys: Vec<(usize, &String)> = lines_of_default()
        .into_iter()
        .filter_map(|(key, line)| Some((line, settings.defaults.get_key_value(&key)?.0)))
        .collect();
    keys.sort_unstable();
    let keyed = keys.iter().filter_map(|(_, key)| of_key(&settings, key));
    let routes = settings.routes.iter().enumerate();
    let routes = routes.flat_map(|(at, route)| of_route(at + 1, route));
    let scopes = settings.scopes.iter();
    let scopes =
        scopes.map(|(name, setting)| one("scopes", name, setting, value_of(setting, None)));
    Ok(keyed.chain(routes).chain(scopes).collect())
}

/// Returns the line of each key in the default file.
fn lines_of_default() -> BTreeMap<String, usize> {
    let at = |line| SettingPlace::File {
        path: std::path::Path::new("").into(),
        line,
    };
    let settings = flatten(parse(DEFAULT, at).unwrap_or_default());
    let line = |setting: &Setting| match setting.place {
        SettingPlace::File { line, .. } => line,
        SettingPlace::Default | SettingPlace::Variable(_) | SettingPlace::Flag(_) => 0,
    };
    settings
        .into_iter()
        .map(|(key, setting)| (key, line(&setting)))
        .collect()
}

fn of_key(settings: &Settings, key: &str) -> Option<EffectiveSetting> {
    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    let setting = settings.strongest(key)?;
    let mut value = value_of(setting, settings.defaults.get(key));
    if let (Value::String(url), "store.url" | "users.url") = (&mut value, key) {
        *url = without_credentials(url);
    }
    Some(one(section, name, setting, value))
}

fn of_route(number: usize, route: &Setting) -> Vec<EffectiveSetting> {
    let section = format!("route[{number}]");
    let RawValue::Table(keys) = &route.value else {
        return Vec::new();
    };
    keys.iter()
        .map(|(name, setting)| one(&section, name, setting, value_of(setting, None)))
        .collect()
}

fn one(section: &str, name: &str, setting: &Setting, value: Value) -> EffectiveSetting {
    EffectiveSetting {
        section: section.to_owned(),
        name: name.to_owned(),
        value,
        source: match setting.place {
            SettingPlace::Default => SettingSource::Default,
            SettingPlace::File { .. } => SettingSource::File,
            SettingPlace::Variable(_) => SettingSource::Variable,
            SettingPlace::Flag(_) => SettingSource::Flag,
        },
        place: setting.place.to_string(),
    }
}

/// Returns the value of a setting; an untyped one has the type of its default.
fn value_of(setting: &Setting, default: Option<&Setting>) -> Value {
    let text = || written(&setting.value).into_owned();
    let kind = match (&setting.value, default) {
        (RawValue::Untyped(_), Some(default)) => &default.value,
        (value, _) => value,
    };
    match kind {
        RawValue::Boolean(_) => text()
            .parse()
            .map_or_else(|_| text().into(), Value::Boolean),
        RawValue::Integer(_) => text()
            .parse()
            .map_or_else(|_| text().into(), Value::Integer),
        RawValue::Array(items) => {
            Value::Array(items.iter().map(|item| value_of(item, None)).collect())
        }
        RawValue::Untyped(_) | RawValue::String(_) | RawValue::Table(_) | RawValue::Other(_) => {
            text().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_value_has_its_source() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.toml");
        fs::write(&file, FILE).unwrap();
        let sources = Sources {
            file: Some(file.clone()),
            env: vec![
                ("COUNTERSIGN_WORKERS".to_owned(), "3".to_owned()),
                (
                    "COUNTERSIGN_CHECK__REFLECTION".to_owned(),
                    "true".to_owned(),
                ),
            ],
            flags: vec![("check.listen", "127.0.0.1:1".to_owned())],
        };
        let settings = effective(&sources).unwrap();
        let found = |section: &str, name: &str| {
            let setting = settings
                .iter()
                .find(|one| one.section == section && one.name == name)
                .unwrap();
            let place = setting.place.replace(&file.display().to_string(), "c.toml");
            format!("{} {} {place}", setting.value, setting.source)
        };
        for (section, name, expected) in [
            ("", "data_dir", "\"./data\" default default"),
            ("", "workers", "3 variable COUNTERSIGN_WORKERS"),
            ("check", "realm", "\"photos\" file c.toml:3"),
            ("check", "listen", "\"127.0.0.1:1\" flag --check"),
            (
                "check",
                "reflection",
                "true variable COUNTERSIGN_CHECK__REFLECTION",
            ),
            ("check.tls", "key_file", "\"\" default default"),
            ("route[1]", "methods", "[\"GET\", \"PUT\"] file c.toml:6"),
            ("scopes", "read", "\"See it\" file c.toml:8"),
        ] {
            assert_eq!(found(section, name), expected, "{section} {name}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_default_file_and_each_section_is_in_one_piece() {
        let settings = effective(&Sources::default()).unwrap();
        assert_eq!(
            (settings[0].name.as_str(), settings[1].name.as_str()),
            ("data_dir", "workers")
        );
        let mut sections: Vec<_> = settings.iter().map(|one| &one.section).collect();
        sections.dedup();
        let all = sections.len();
        sections.sort_unstable();
        sections.dedup();
        assert_eq!(sections.len(), all);
    }

    #[test]
    fn no_credential_of_an_address_is_shown() {
        let sources = Sources {
            flags: vec![
                ("store.url", "redis://:hunter2@h".to_owned()),
                ("store.master_key_file", "keys".to_owned()),
                ("users.directory", "http".to_owned()),
                (
                    "users.url",
                    "https://users.example.com/?token=hunter2".to_owned(),
                ),
            ],
            ..Sources::default()
        };
        assert!(!format!("{:?}", effective(&sources).unwrap()).contains("hunter2"));
    }

    #[test]
    fn a_configuration_with_a_mistake_has_no_effective_values() {
        let sources = Sources {
            flags: vec![("workers", "many".to_owned())],
            ..Sources::default()
        };
        assert!(effective(&sources).is_err());
    }

    const FILE: &str = "\
[check]
# a comment
realm = \"photos\"
[[route]]
host = \"h\"
methods = [\"GET\", \"PUT\"]
[scopes]
read = \"See it\"
";
}

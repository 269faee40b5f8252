//! `countersign config show`: prints the value of every key, and its source.

use countersign::config::{EffectiveSetting, effective};
use serde::Serialize;

use super::SourceArgs;
use crate::cli::exit::Usage;
use crate::cli::output;

/// The arguments of `countersign config show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    sources: SourceArgs,
    /// Print only keys that differ from the default file
    #[arg(long)]
    changed: bool,
    /// Format of the output
    #[arg(long, short, value_enum, value_name = "FORMAT", default_value_t)]
    output: ShowFormat,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum ShowFormat {
    /// TOML, with the source of each value as a comment
    #[default]
    Toml,
    /// JSON for programs: a list of objects
    Json,
}

/// The fields of `--output json`.
#[derive(Serialize)]
struct ShownSetting<'a> {
    /// The key, such as `check.realm` or `route[1].host`.
    key: String,
    value: &'a toml::Value,
    /// `default`, `file`, `variable` or `flag`.
    source: String,
    /// The line of the file, the variable or the flag.
    place: &'a str,
}

/// Runs the command.
pub(super) fn run(args: Args) -> anyhow::Result<()> {
    let sources = args.sources.flags.into_sources(args.sources.file);
    let mut settings = effective(&sources).map_err(|error| Usage(error.to_string()))?;
    if args.changed {
        settings.retain(|setting| setting.place != "default");
    }
    match args.output {
        ShowFormat::Toml => toml(&settings)
            .iter()
            .try_for_each(|line| output::line(line)),
        ShowFormat::Json => output::line(&serde_json::to_string_pretty(&shown(&settings))?),
    }
}

fn shown(settings: &[EffectiveSetting]) -> Vec<ShownSetting<'_>> {
    settings
        .iter()
        .map(|setting| ShownSetting {
            key: key(setting),
            value: &setting.value,
            source: setting.source.to_string(),
            place: &setting.place,
        })
        .collect()
}

fn key(setting: &EffectiveSetting) -> String {
    match setting.section.as_str() {
        "" => setting.name.clone(),
        section => format!("{section}.{}", setting.name),
    }
}

/// Returns the lines of a TOML file with these settings.
fn toml(settings: &[EffectiveSetting]) -> Vec<String> {
    let assignments: Vec<_> = settings
        .iter()
        .map(|setting| format!("{} = {}", quoted(&setting.name), setting.value))
        .collect();
    let lengths = assignments.iter().map(|text| text.chars().count());
    let width = lengths.filter(|len| *len <= WIDEST).max().unwrap_or(0);
    let mut lines = Vec::new();
    let mut section = "";
    for (setting, assignment) in settings.iter().zip(assignments) {
        if setting.section != section {
            section = &setting.section;
            lines.extend([String::new(), header(section)]);
        }
        lines.push(format!("{assignment:width$}  # {}", setting.place));
    }
    lines
}

fn header(section: &str) -> String {
    match section.split_once('[') {
        Some((list, _)) => format!("[[{list}]]"),
        None => format!("[{section}]"),
    }
}

/// Returns the name as TOML needs it: in quotes, unless it is a word.
fn quoted(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.chars().all(is_bare) {
        name.to_owned()
    } else {
        toml::Value::from(name).to_string()
    }
}

/// The widest assignment behind which all sources begin in one column.
const WIDEST: usize = 48;

#[cfg(test)]
mod tests {
    use std::fs;

    use countersign::config::{Sources, load};

    use super::*;

    #[test]
    fn the_text_is_a_file_with_the_same_values() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.toml");
        fs::write(&file, FILE).unwrap();
        let sources = |file| Sources {
            file: Some(file),
            ..Sources::default()
        };
        let settings = effective(&sources(file)).unwrap();
        let again = directory.path().join("again.toml");
        fs::write(&again, toml(&settings).join("\n")).unwrap();
        assert!(load(&sources(again.clone())).is_ok());
        let values = |settings: &[EffectiveSetting]| {
            let values = settings.iter().map(|one| (key(one), one.value.clone()));
            values.collect::<Vec<_>>()
        };
        assert_eq!(
            values(&effective(&sources(again)).unwrap()),
            values(&settings)
        );
    }

    #[test]
    fn sections_routes_and_odd_names_are_toml() {
        assert_eq!(
            (header("check.tls").as_str(), header("route[2]").as_str()),
            ("[check.tls]", "[[route]]")
        );
        assert_eq!(
            (quoted("a_b-1"), quoted("orders.read")),
            ("a_b-1".to_owned(), "\"orders.read\"".to_owned())
        );
    }

    const FILE: &str = "\
[check]
realm = \"a realm\"
[[route]]
host = \"a.example.com\"
methods = [\"GET\"]
[[route]]
path_prefix = \"/b\"
max_form_bytes = 10
[scopes]
\"orders.read\" = \"See your orders\"
";
}

//! Settings as written in a TOML file: values with their places.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, SettingPlace};

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) value: RawValue,
    pub(super) place: SettingPlace,
}

/// A value as written.
#[derive(Clone, Debug)]
pub(super) enum RawValue {
    /// A value from the environment or a flag, whose type only the key determines.
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

/// Parses TOML; `at` turns a line number into a place.
pub(super) fn parse(
    text: &str,
    at: impl Fn(usize) -> SettingPlace,
) -> Result<BTreeMap<String, Setting>, Vec<Mistake>> {
    let place = |offset: usize| at(1 + text[..offset.min(text.len())].matches('\n').count());
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(convert(table.get_ref(), &place));
    }
    let mistake = |error: &toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        Mistake::new(&place(offset), format!("invalid TOML: {}", error.message()))
    };
    let mut mistakes: Vec<_> = errors.iter().map(mistake).collect();
    // Errors after the first one of a line are consequences of it.
    mistakes.dedup_by(|next, first| next.place == first.place);
    Err(mistakes)
}

fn convert(
    table: &DeTable<'_>,
    place: &impl Fn(usize) -> SettingPlace,
) -> BTreeMap<String, Setting> {
    let entry = |(key, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let setting = Setting {
            value: value_of(value.get_ref(), place),
            place: place(key.span().start),
        };
        (key.get_ref().to_string(), setting)
    };
    table.iter().map(entry).collect()
}

fn value_of(value: &DeValue<'_>, place: &impl Fn(usize) -> SettingPlace) -> RawValue {
    match value {
        DeValue::String(text) => RawValue::String(text.to_string()),
        DeValue::Boolean(value) => RawValue::Boolean(*value),
        DeValue::Table(table) => RawValue::Table(convert(table, place)),
        DeValue::Array(items) => {
            let item = |item: &Spanned<DeValue<'_>>| Setting {
                value: value_of(item.get_ref(), place),
                place: place(item.span().start),
            };
            RawValue::Array(items.iter().map(item).collect())
        }
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => RawValue::Integer(number.to_string()),
            Err(_) => RawValue::Other(number.to_string()),
        },
        DeValue::Float(number) => RawValue::Other(number.to_string()),
        DeValue::Datetime(time) => RawValue::Other(time.to_string()),
    }
}

/// Names every value by its path: `{check: {tls: {key_file: …}}}` becomes `check.tls.key_file`.
/// Empty tables remain.
pub(super) fn flatten(table: BTreeMap<String, Setting>) -> BTreeMap<String, Setting> {
    let mut flat = BTreeMap::new();
    for (name, setting) in table {
        if let RawValue::Table(inner) = &setting.value
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_whatever_base_they_are_written_in() {
        let table = parse("a = 0x10\nb = 1_000", |_| SettingPlace::Default).unwrap();
        assert!(matches!(&table["a"].value, RawValue::Integer(text) if text == "16"));
        assert!(matches!(&table["b"].value, RawValue::Integer(text) if text == "1000"));
    }
}

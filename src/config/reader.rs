//! Turns settings into values, and collects mistakes until all keys are read.
//!
//! If the setting of a key is wrong, the key gets its default, so that the keys after it are
//! checked as well.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use strum::VariantNames;

use super::mistake::{ConfigError, Mistake, SettingPlace};
use super::setting::{RawValue, Setting};
use super::source::{Settings, Sources};
use super::value::{self, ValueProblem};

/// Reads keys and collects their mistakes.
pub(super) struct Reader {
    settings: Settings,
    mistakes: Vec<Mistake>,
    shapes: BTreeMap<String, Shape>,
}

/// The values that a key takes, as far as a schema can say it.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    Boolean,
    Words(Vec<&'static str>),
    Integer { least: u64, most: u64 },
    Duration,
}

/// The TOML type that a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueKind {
    String,
    Integer,
    Boolean,
}

// === impl Reader ===

impl Reader {
    /// Collects the settings of all sources.
    pub(super) fn new(sources: &Sources) -> Self {
        let mut mistakes = Vec::new();
        let settings = Settings::gather(sources, &mut mistakes);
        Self {
            settings,
            mistakes,
            shapes: BTreeMap::new(),
        }
    }

    /// Ends reading.
    ///
    /// # Errors
    /// When there was a mistake.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        ConfigError::of(self.mistakes).map_or(Ok(()), Err)
    }

    /// Reads a text with a parser of its own.
    pub(super) fn text<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, ValueProblem>,
    ) -> T {
        self.shaped(key, Shape::Text);
        self.read(key, ValueKind::String, parse)
    }

    /// Reads a word of a closed list that has a type of its own.
    pub(super) fn word<T: FromStr + VariantNames>(&mut self, key: &str) -> T {
        self.shaped(key, Shape::Words(T::VARIANTS.to_vec()));
        self.read(key, ValueKind::String, value::word)
    }

    /// Reads a word of a closed list.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&'static str, T)]) -> T {
        let words = choices.iter().map(|&(word, _)| word).collect();
        self.shaped(key, Shape::Words(words));
        self.read(key, ValueKind::String, |text| value::one_of(text, choices))
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self, key: &str) -> bool {
        self.shaped(key, Shape::Boolean);
        self.read(key, ValueKind::Boolean, value::boolean)
    }

    /// Reads a whole number within bounds.
    pub(super) fn integer<N>(&mut self, key: &str, within: RangeInclusive<N>) -> N
    where
        N: FromStr + PartialOrd + fmt::Display + Copy + TryInto<u64>,
    {
        let bound = |number: &N| (*number).try_into().unwrap_or(u64::MAX);
        let (least, most) = (bound(within.start()), bound(within.end()));
        self.shaped(key, Shape::Integer { least, most });
        self.read(key, ValueKind::Integer, |text| {
            value::integer(text, &within)
        })
    }

    /// Reads a duration within bounds.
    pub(super) fn duration(&mut self, key: &str, within: RangeInclusive<Duration>) -> Duration {
        self.shaped(key, Shape::Duration);
        self.read(key, ValueKind::String, |text| {
            value::duration(text, &within)
        })
    }

    fn shaped(&mut self, key: &str, shape: Shape) {
        self.shapes.insert(key.to_owned(), shape);
    }

    /// Returns the shapes of the keys that were read, and the settings of the default file.
    pub(super) fn shapes(&self) -> (&BTreeMap<String, Shape>, &BTreeMap<String, Setting>) {
        (&self.shapes, &self.settings.defaults)
    }

    fn read<T>(
        &mut self,
        key: &str,
        kind: ValueKind,
        parse: impl Fn(&str) -> Result<T, ValueProblem>,
    ) -> T {
        if let Some(setting) = self.settings.overrides.get(key) {
            match typed(&setting.value, kind, &parse) {
                Ok(value) => return value,
                Err(problem) => {
                    let mistake = Mistake::value(&setting.place, key, &problem);
                    self.mistakes.push(mistake);
                }
            }
        }
        let default = self.settings.defaults.get(key);
        default
            .and_then(|setting| typed(&setting.value, kind, &parse).ok())
            .expect("the compiled-in default has a valid value for every key; a test proves it")
    }

    /// Returns `[[route]]`, in order.
    pub(super) fn routes(&self) -> Vec<Setting> {
        self.settings.routes.clone()
    }

    /// Returns `[scopes]`.
    pub(super) fn scopes(&self) -> BTreeMap<String, Setting> {
        self.settings.scopes.clone()
    }

    /// Returns the place of the route `index`, counted from 0.
    pub(super) fn place_of_route(&self, index: usize) -> SettingPlace {
        let setting = self.settings.routes.get(index);
        setting.map_or(SettingPlace::Default, |setting| setting.place.clone())
    }

    /// Adds a mistake about `key`; `problem` continues the sentence after the name of the key.
    pub(super) fn reject(&mut self, key: &str, problem: &str) {
        let setting = self.settings.strongest(key);
        let place = setting.map_or(SettingPlace::Default, |setting| setting.place.clone());
        self.add(Mistake::new(&place, format!("`{key}` {problem}")));
    }

    /// Adds a mistake.
    pub(super) fn add(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }
}

/// Parses a value that must be a text.
pub(super) fn string<T>(
    value: &RawValue,
    parse: impl FnOnce(&str) -> Result<T, ValueProblem>,
) -> Result<T, ValueProblem> {
    typed(value, ValueKind::String, parse)
}

/// Parses a value that must be of `kind`. A problem of the parser takes precedence, because the
/// parser knows the expected shape.
fn typed<T>(
    value: &RawValue,
    kind: ValueKind,
    parse: impl FnOnce(&str) -> Result<T, ValueProblem>,
) -> Result<T, ValueProblem> {
    let text = written(value);
    let parsed = parse(&text)?;
    let fits = match value {
        RawValue::Untyped(_) => true,
        RawValue::String(_) => kind == ValueKind::String,
        RawValue::Integer(_) => kind == ValueKind::Integer,
        RawValue::Boolean(_) => kind == ValueKind::Boolean,
        RawValue::Array(_) | RawValue::Table(_) | RawValue::Other(_) => false,
    };
    let expected = match kind {
        ValueKind::String => "a text in quotes",
        ValueKind::Integer | ValueKind::Boolean => "written without quotes",
    };
    if fits {
        Ok(parsed)
    } else if kind == ValueKind::String {
        Err(ValueProblem::unquoted(expected, &text))
    } else {
        Err(ValueProblem::shape(expected, &text))
    }
}

/// Returns the value as an error message shows it.
pub(super) fn written(value: &RawValue) -> Cow<'_, str> {
    match value {
        RawValue::Untyped(text)
        | RawValue::String(text)
        | RawValue::Integer(text)
        | RawValue::Other(text) => text.into(),
        RawValue::Boolean(true) => "true".into(),
        RawValue::Boolean(false) => "false".into(),
        RawValue::Array(_) => "a list".into(),
        RawValue::Table(_) => "a section".into(),
    }
}

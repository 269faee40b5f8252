//! The field mask of `update`, and `--clear`.

use clap::ValueEnum;
use prost_types::FieldMask;

use crate::cli::Usage;

/// The fields that a command line sets or clears.
#[derive(Debug, Default)]
pub(super) struct UpdateMask {
    cleared: Vec<String>,
    paths: Vec<String>,
    contradictions: Vec<String>,
}

/// A field that `--clear` can empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ClearableField {
    /// Permit the default methods: HMAC-SHA1, HMAC-SHA256 and HMAC-SHA512, and with a public key
    /// RSA-SHA256 and RSA-SHA512
    SignatureMethods,
    /// Permit no callback
    Callbacks,
    /// Permit no scope
    Scopes,
    /// Accept no deviation from RFC 5849
    CompatProfiles,
    /// Deny with the detail in check.deny_detail
    DenyDetail,
    /// Announce no deprecation
    DeprecatedAt,
    /// Announce no sunset
    SunsetAt,
}

// === impl UpdateMask ===

impl UpdateMask {
    /// Returns an empty mask that the cleared fields join in their turn.
    pub(super) fn clearing(fields: &[ClearableField]) -> Self {
        Self {
            cleared: fields.iter().copied().filter_map(field_name).collect(),
            ..Self::default()
        }
    }

    /// Adds the field if it has a value or is cleared, and returns the value.
    pub(super) fn optional<T>(&mut self, field: &str, value: Option<T>) -> Option<T> {
        let is_cleared = self.cleared.iter().any(|cleared| cleared == field);
        if is_cleared || value.is_some() {
            self.paths.push(field.to_owned());
        }
        if is_cleared && value.is_some() {
            self.contradictions.push(field.to_owned());
        }
        value
    }

    /// Does the same for a field with an empty value.
    pub(super) fn value<T: Default>(&mut self, field: &str, value: Option<T>) -> T {
        self.optional(field, value).unwrap_or_default()
    }

    /// Does the same for a list; an empty list is no value.
    pub(super) fn list(&mut self, field: &str, values: Vec<String>) -> Vec<String> {
        self.value(field, Some(values).filter(|values| !values.is_empty()))
    }

    /// Returns the mask.
    ///
    /// # Errors
    /// If no field is in it, or a field is both set and cleared.
    pub(super) fn into_message(self) -> Result<FieldMask, Usage> {
        if let [field, ..] = &self.contradictions[..] {
            let cleared = field.replace('_', "-");
            return Err(Usage(format!(
                "--clear {cleared} contradicts a new value of {field}: omit one of them"
            )));
        }
        if self.paths.is_empty() {
            return Err(Usage(
                "no field to update: pass a new value, for example --name, or --clear".to_owned(),
            ));
        }
        Ok(FieldMask { paths: self.paths })
    }
}

fn field_name(field: ClearableField) -> Option<String> {
    let value = field.to_possible_value()?;
    Some(value.get_name().replace('-', "_"))
}

//! Reading the fields of a request; the error lists every invalid field by its name in `proto/`.

use tonic::Status;

use super::errors;
use crate::issue::Violations;

/// The invalid fields of a request.
#[derive(Debug, Default)]
pub(super) struct Fields(Violations);

impl Fields {
    /// Returns the value of a field, or adds its problem.
    pub(super) fn take<T, E: ToString>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        self.0.check(field, value)
    }

    /// Returns the value of an optional field; proto3 cannot tell an empty one from a missing one.
    pub(super) fn optional<T, E: ToString>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Option<Option<T>> {
        if text.is_empty() {
            Some(None)
        } else {
            self.take(field, parse(text.to_owned())).map(Some)
        }
    }

    /// Returns the value, or adds its violations.
    pub(super) fn merge<T>(&mut self, value: Result<T, Violations>) -> Option<T> {
        self.0.merge(value)
    }

    /// Adds the problem of a field without a value.
    pub(super) fn wrong(&mut self, field: &str, problem: impl ToString) {
        self.0.add(field, problem);
    }

    /// Returns the value that the fields led to, if all of them are valid.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every invalid field.
    pub(super) fn all<T>(self, made: Option<T>) -> Result<T, Status> {
        match made {
            Some(made) if self.0.iter().next().is_none() => Ok(made),
            _ => Err(errors::invalid(&self.0)),
        }
    }
}

/// Checks a text that a person typed: 1 to `limit` bytes, no control characters.
pub(super) fn typed(text: &str, limit: usize) -> Result<&str, String> {
    match text.len() {
        0 => Err("must not be empty".to_owned()),
        len if len > limit => Err(format!("is {len} bytes long, the limit is {limit}")),
        _ if text.contains(char::is_control) => Err("has a control character".to_owned()),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::model::{ConsumerKey, Token};

    #[test]
    fn the_error_lists_every_invalid_field() {
        let mut fields = Fields::default();
        let key = fields.take("consumer_key", ConsumerKey::new("a b"));
        let token = fields.optional("token", "\n", Token::new);
        let refused = fields.all(key.zip(token)).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(
            refused.message().contains("consumer_key has")
                && refused.message().contains("token has"),
            "{refused}"
        );
    }

    #[test]
    fn a_missing_optional_field_is_none() {
        let mut fields = Fields::default();
        assert_eq!(fields.optional("token", "", Token::new), Some(None));
        assert_eq!(fields.all(Some(())).unwrap(), ());
    }

    #[test]
    fn an_added_problem_refuses_complete_values() {
        let mut fields = Fields::default();
        fields.wrong("token", "is another's");
        assert!(fields.all(Some(())).is_err());
    }

    #[test]
    fn a_typed_text_has_no_control_character() {
        assert_eq!(typed("caffè latte", 255), Ok("caffè latte"));
        for (wrong, problem) in [
            ("", "must not be empty"),
            ("four", "is 4 bytes long, the limit is 3"),
            ("a\n", "has a control character"),
            ("\u{85}", "has a control character"),
        ] {
            assert_eq!(typed(wrong, 3).unwrap_err(), problem);
        }
    }
}

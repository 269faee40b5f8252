//! The fields of a request, one by one: every one that is wrong is told, by its name in `proto/`.

use tonic::Status;

use super::errors;
use crate::issue::Violations;

/// Takes the fields of a request, and notes what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Fields(Violations);

impl Fields {
    /// The value of a field, unless it is wrong.
    pub(super) fn take<T, E: ToString>(&mut self, field: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|problem| self.0.add(field, problem)).ok()
    }

    /// The value of a field that may be left out, which in a proto without presence is to be empty.
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

    /// Notes what is wrong with a field of which there is no value to take.
    pub(super) fn wrong(&mut self, field: &str, problem: impl ToString) {
        self.0.add(field, problem);
    }

    /// What was made of the fields, if all of them are right.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every field that is wrong.
    pub(super) fn all<T>(self, made: Option<T>) -> Result<T, Status> {
        match made {
            Some(made) if self.0.iter().next().is_none() => Ok(made),
            _ => Err(errors::invalid(&self.0)),
        }
    }
}

/// Text that a person typed: 1 to `limit` bytes, no control characters.
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
    fn every_wrong_field_is_told_at_once() {
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
    fn a_field_that_may_be_left_out_is_empty_then() {
        let mut fields = Fields::default();
        assert_eq!(fields.optional("token", "", Token::new), Some(None));
        assert_eq!(fields.all(Some(())).unwrap(), ());
    }

    #[test]
    fn what_is_wrong_is_told_even_if_everything_could_be_taken() {
        let mut fields = Fields::default();
        fields.wrong("token", "is another's");
        assert!(fields.all(Some(())).is_err());
    }

    #[test]
    fn nobody_types_a_line_break() {
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

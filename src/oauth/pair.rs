//! Parameters as the base string holds them.

use std::borrow::Cow;

use super::encode::encoded;
use super::parameter::PREFIX;

/// A name and a value of the base string, both in normal form.
#[derive(Clone)]
pub(super) struct ParameterPair<'a> {
    pub(super) name: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
    /// The name is masked whatever it is: a reading of the request made it of a value.
    pub(super) hides_name: bool,
}

impl ParameterPair<'_> {
    /// Encodes a plain name and value.
    pub(super) fn encode(name: &[u8], value: &[u8]) -> Self {
        Self {
            name: Cow::Owned(encoded(name).into()),
            value: Cow::Owned(encoded(value).into()),
            hides_name: false,
        }
    }

    /// Returns whether the name begins with `oauth_`.
    pub(super) fn is_protocol(&self) -> bool {
        self.name.starts_with(PREFIX)
    }
}

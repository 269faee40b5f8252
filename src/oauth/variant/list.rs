//! Lists of signed parameters that differ from the sent ones.

use std::borrow::Cow;

use super::super::ParameterPlace;
use super::super::wire::WireParameter;

/// A parameter that is signed instead of a sent one.
#[derive(Clone)]
pub(in crate::oauth) struct SignedParameter<'a> {
    /// The index of the sent parameter.
    pub(in crate::oauth) sent: usize,
    /// The place of the sent parameter.
    pub(in crate::oauth) place: ParameterPlace,
    /// The name, not decoded.
    pub(in crate::oauth) name: Cow<'a, [u8]>,
    /// The value, not decoded.
    pub(in crate::oauth) value: Cow<'a, [u8]>,
    /// The name is made of a value, and so is masked.
    pub(in crate::oauth) hides_name: bool,
}

impl<'a> SignedParameter<'a> {
    /// Returns a sent parameter without a change.
    pub(in crate::oauth) const fn of(sent: usize, parameter: &WireParameter<'a>) -> Self {
        Self {
            sent,
            place: parameter.place,
            name: Cow::Borrowed(parameter.name),
            value: Cow::Borrowed(parameter.value),
            hides_name: false,
        }
    }

    /// Returns the parameter as the wire would have it.
    pub(super) fn as_wire(&self) -> WireParameter<'_> {
        WireParameter {
            place: self.place,
            name: &self.name,
            value: &self.value,
        }
    }
}

//! Changes of the encoding and the order of parameters (RFC 5849 sections 3.4.1.3.2 and 3.6).

use super::super::variant::{ParameterOrder, ValueForm};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};

/// Returns every change of encoding and order.
pub(super) fn changes<'e>() -> Vec<BaseStringChange<'e>> {
    values().chain(names()).chain(orders()).collect()
}

fn names<'e>() -> Vec<BaseStringChange<'e>> {
    vec![
        BaseStringChange::new(
            MismatchCause::BracketsOnce,
            BaseStringPart::Names,
            |variant| variant.brackets_once = true,
        ),
        BaseStringChange::new(
            MismatchCause::EncodedTwice,
            BaseStringPart::Names,
            |variant| variant.query_names_twice = true,
        ),
    ]
}

fn values<'e>() -> impl Iterator<Item = BaseStringChange<'e>> {
    VALUE_FORMS.into_iter().map(|(cause, values, left_plain)| {
        BaseStringChange::new(cause, BaseStringPart::Values, move |variant| {
            variant.values = values;
            variant.left_plain = left_plain;
        })
    })
}

fn orders<'e>() -> impl Iterator<Item = BaseStringChange<'e>> {
    ORDERS.into_iter().map(|order| {
        BaseStringChange::new(
            MismatchCause::Sorting,
            BaseStringPart::Order,
            move |variant| variant.order = order,
        )
    })
}

const ORDERS: [ParameterOrder; 5] = [
    ParameterOrder::Decoded,
    ParameterOrder::Name,
    ParameterOrder::Joined,
    ParameterOrder::AsSent,
    ParameterOrder::ProtocolLast,
];

/// A cause, the forms of header, query and body, and the bytes that stay plain when all is joined.
type ValueChange = (MismatchCause, [ValueForm; 3], &'static [u8]);

const VALUE_FORMS: [ValueChange; 14] = [
    (
        MismatchCause::PlusLiteral,
        [ValueForm::Rfc, ValueForm::PlusLiteral, ValueForm::Rfc],
        b"",
    ),
    outside_header(MismatchCause::PlusLiteral, ValueForm::PlusLiteral),
    everywhere(MismatchCause::SpaceAsPlus, ValueForm::SpaceAsPlus, b""),
    everywhere(MismatchCause::SpaceAsPlus, ValueForm::Java, b""),
    everywhere(MismatchCause::SpaceAsPlus, ValueForm::Java, b"*"),
    everywhere(MismatchCause::EncodedOnce, ValueForm::AsSent, b""),
    (
        MismatchCause::EncodedOnce,
        [ValueForm::AsSent, ValueForm::AsSent, ValueForm::Rfc],
        b"",
    ),
    outside_header(MismatchCause::EncodedOnce, ValueForm::AsSent),
    everywhere(MismatchCause::EncodedOnce, ValueForm::Decoded, b""),
    outside_header(MismatchCause::EncodedOnce, ValueForm::Decoded),
    everywhere(MismatchCause::EncodedTwice, ValueForm::Twice, b""),
    outside_header(MismatchCause::EncodedTwice, ValueForm::Twice),
    everywhere(
        MismatchCause::CharactersNotEncoded,
        ValueForm::Component,
        b"",
    ),
    everywhere(
        MismatchCause::CharactersNotEncoded,
        ValueForm::Component,
        b"!*'()",
    ),
];

const fn everywhere(
    cause: MismatchCause,
    form: ValueForm,
    left_plain: &'static [u8],
) -> ValueChange {
    (cause, [form; 3], left_plain)
}

const fn outside_header(cause: MismatchCause, form: ValueForm) -> ValueChange {
    (cause, [ValueForm::Rfc, form, form], b"")
}

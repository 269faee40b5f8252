//! Changes of the encoding and the order of parameters (RFC 5849 sections 3.4.1.3.2 and 3.6).

use super::super::encode::EscapeSyntax;
use super::super::variant::{Encoding, ParameterOrder, Reading, TextForm};
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
            |variant| variant.names = [TextForm::encoded_as(Encoding::RFC.leaving(b"[]")); 3],
        ),
        BaseStringChange::new(
            MismatchCause::EncodedTwice,
            BaseStringPart::Names,
            |variant| variant.names[1].is_encoded_twice = true,
        ),
    ]
}

fn values<'e>() -> impl Iterator<Item = BaseStringChange<'e>> {
    VALUE_FORMS.into_iter().map(|(cause, forms, joined)| {
        BaseStringChange::new(cause, BaseStringPart::Values, move |variant| {
            variant.names = forms;
            variant.values = forms;
            variant.joined_encoding = joined;
            variant.uri_encoding = joined;
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

/// A cause, the forms of header, query and body, and the encoding of the joined text.
type ValueChange = (MismatchCause, [TextForm; 3], Encoding);

const VALUE_FORMS: [ValueChange; 14] = [
    (
        MismatchCause::PlusLiteral,
        [TextForm::RFC, PLUS, TextForm::RFC],
        Encoding::RFC,
    ),
    outside_header(MismatchCause::PlusLiteral, PLUS),
    everywhere(
        MismatchCause::SpaceAsPlus,
        Encoding::RFC.with_plus(),
        Encoding::RFC,
    ),
    everywhere(MismatchCause::SpaceAsPlus, JAVA, Encoding::RFC),
    everywhere(
        MismatchCause::SpaceAsPlus,
        JAVA,
        Encoding::RFC.leaving(b"*"),
    ),
    (MismatchCause::EncodedOnce, [AS_SENT; 3], Encoding::RFC),
    (
        MismatchCause::EncodedOnce,
        [AS_SENT, AS_SENT, TextForm::RFC],
        Encoding::RFC,
    ),
    outside_header(MismatchCause::EncodedOnce, AS_SENT),
    everywhere(MismatchCause::EncodedOnce, Encoding::NONE, Encoding::RFC),
    outside_header(
        MismatchCause::EncodedOnce,
        TextForm::encoded_as(Encoding::NONE),
    ),
    (MismatchCause::EncodedTwice, [TWICE; 3], Encoding::RFC),
    outside_header(MismatchCause::EncodedTwice, TWICE),
    everywhere(
        MismatchCause::CharactersNotEncoded,
        COMPONENT,
        Encoding::RFC,
    ),
    everywhere(MismatchCause::CharactersNotEncoded, COMPONENT, COMPONENT),
];

const fn everywhere(cause: MismatchCause, each: Encoding, joined: Encoding) -> ValueChange {
    (cause, [TextForm::encoded_as(each); 3], joined)
}

const fn outside_header(cause: MismatchCause, form: TextForm) -> ValueChange {
    (cause, [TextForm::RFC, form, form], Encoding::RFC)
}

const PLUS: TextForm = TextForm::read_as(Reading::PlusLiteral);

const AS_SENT: TextForm = TextForm::read_as(Reading::AsSent);

const TWICE: TextForm = TextForm {
    is_encoded_twice: true,
    ..TextForm::RFC
};

/// The encoding of `java.net.URLEncoder`.
const JAVA: Encoding = Encoding::RFC.with_plus().leaving(b"*").escaping(b"~");

/// The encoding of `encodeURIComponent`.
const COMPONENT: Encoding = Encoding::RFC.leaving(b"!*'()");

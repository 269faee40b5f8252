//! Changes of the order of parameters (RFC 5849 section 3.4.1.3.2).

use super::super::variant::ParameterOrder;
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};

/// Returns every change of the order.
pub(super) fn changes<'e>() -> impl Iterator<Item = BaseStringChange<'e>> {
    ORDERS.into_iter().map(|(order, does)| {
        let change = BaseStringChange::new(
            MismatchCause::Sorting,
            BaseStringPart::Order,
            move |variant| variant.order = order,
        )
        .with_own_remedy(format!(
            "the client {does}: make it sort by encoded name, then by encoded value (RFC 5849 \
             section 3.4.1.3.2)"
        ));
        if order == ParameterOrder::SortedProtocolFirst {
            change.likely()
        } else {
            change
        }
    })
}

/// The orders of clients, the most frequent ones first, and what such a client does.
const ORDERS: [(ParameterOrder, &str); 17] = [
    (
        ParameterOrder::Decoded,
        "sorts the parameters before it encodes them",
    ),
    (
        ParameterOrder::Name,
        "sorts the parameters only by name, not by value",
    ),
    (
        ParameterOrder::Joined,
        "sorts the parameters as texts `name=value`",
    ),
    (ParameterOrder::AsSent, "does not sort the parameters"),
    (
        ParameterOrder::NoCase,
        "sorts the parameters without regard to case",
    ),
    (ParameterOrder::ProtocolFirst, PROTOCOL_FIRST),
    (ParameterOrder::ProtocolLast, PROTOCOL_LAST),
    (ParameterOrder::SortedProtocolFirst, PROTOCOL_FIRST),
    (ParameterOrder::SortedProtocolLast, PROTOCOL_LAST),
    (
        ParameterOrder::OthersAsSent,
        "sorts only the `oauth_` parameters",
    ),
    (ParameterOrder::Natural, "sorts digits as numbers"),
    (
        ParameterOrder::NaturalValue,
        "sorts the digits of values as numbers",
    ),
    (
        ParameterOrder::NoCaseName,
        "sorts the names without regard to case",
    ),
    (
        ParameterOrder::Collated,
        "sorts the parameters by the rules of a language",
    ),
    (
        ParameterOrder::NameReversed,
        "reverses the values of one name",
    ),
    (
        ParameterOrder::ValueDescending,
        "sorts the values of one name in descending order",
    ),
    (
        ParameterOrder::Reversed,
        "sorts the parameters in descending order",
    ),
];

const PROTOCOL_FIRST: &str = "puts the `oauth_` parameters before the others";

const PROTOCOL_LAST: &str = "puts the `oauth_` parameters after the others";

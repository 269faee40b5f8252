//! Changes of the order of parameters (RFC 5849 section 3.4.1.3.2).

use super::super::variant::ParameterOrder;
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};

/// Returns every change of the order.
pub(super) fn changes<'e>() -> impl Iterator<Item = BaseStringChange<'e>> {
    ORDERS.into_iter().map(|order| {
        BaseStringChange::new(
            MismatchCause::Sorting,
            BaseStringPart::Order,
            move |variant| variant.order = order,
        )
    })
}

/// The orders of clients, the most frequent ones first.
const ORDERS: [ParameterOrder; 17] = [
    ParameterOrder::Decoded,
    ParameterOrder::Name,
    ParameterOrder::Joined,
    ParameterOrder::AsSent,
    ParameterOrder::NoCase,
    ParameterOrder::ProtocolFirst,
    ParameterOrder::ProtocolLast,
    ParameterOrder::SortedProtocolFirst,
    ParameterOrder::SortedProtocolLast,
    ParameterOrder::OthersAsSent,
    ParameterOrder::Natural,
    ParameterOrder::NaturalValue,
    ParameterOrder::NoCaseName,
    ParameterOrder::Collated,
    ParameterOrder::NameReversed,
    ParameterOrder::ValueDescending,
    ParameterOrder::Reversed,
];

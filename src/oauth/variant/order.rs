//! Orders of the parameters (RFC 5849 section 3.4.1.3.2).

use std::borrow::Cow;

use super::super::encode::decode;
use super::super::pair::ParameterPair;

/// An order of the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::oauth) enum ParameterOrder {
    /// By encoded name, then by encoded value (section 3.4.1.3.2).
    Rfc,
    /// By decoded name, then by decoded value.
    Decoded,
    /// By `name=value`.
    Joined,
    /// By name only; values of one name stay as sent.
    Name,
    /// By name only; values of one name in the reverse order.
    NameReversed,
    /// By name, then by value from the last to the first.
    ValueDescending,
    /// By name without case, then by value.
    NoCase,
    /// By name without case only; names that differ in case alone stay as sent.
    NoCaseName,
    /// By name, in which digits count as a number, then by value in the same way.
    Natural,
    /// By name, then by value, in which digits count as a number.
    NaturalValue,
    /// By name and value as people sort words: punctuation, digits, letters without case.
    Collated,
    /// Unsorted: header, query, body.
    AsSent,
    /// Unsorted, with the protocol parameters first.
    ProtocolFirst,
    /// Unsorted, with the protocol parameters last.
    ProtocolLast,
    /// Sorted, with the protocol parameters first.
    SortedProtocolFirst,
    /// Sorted, with the protocol parameters last.
    SortedProtocolLast,
    /// The protocol parameters sorted, then the others as sent.
    OthersAsSent,
    /// The reverse of [`Rfc`](Self::Rfc).
    Reversed,
}

impl ParameterOrder {
    /// Sorts the parameters.
    pub(super) fn sort(self, pairs: &mut [ParameterPair<'_>]) {
        match self {
            Self::Rfc => pairs.sort_by(by_name_and_value),
            Self::Decoded => by_key(pairs, |text| text),
            Self::Joined => {
                pairs.sort_by_cached_key(|pair| [&*pair.name, b"=", &*pair.value].concat());
            }
            Self::Name => pairs.sort_by(|a, b| a.name.cmp(&b.name)),
            Self::NameReversed => {
                pairs.reverse();
                pairs.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Self::ValueDescending => {
                pairs.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| b.value.cmp(&a.value)));
            }
            Self::NoCase => by_key(pairs, |text| text.to_ascii_lowercase()),
            Self::NoCaseName => pairs.sort_by_cached_key(|pair| pair.name.to_ascii_lowercase()),
            Self::Natural => by_key(pairs, |text| natural_key(&text)),
            Self::NaturalValue => pairs.sort_by_cached_key(|pair| {
                (
                    pair.name.clone().into_owned(),
                    natural_key(&decode(&pair.value)),
                )
            }),
            Self::Collated => by_key(pairs, |text| collation_key(&text)),
            Self::AsSent => {}
            Self::ProtocolFirst => pairs.sort_by_key(|pair| !pair.is_protocol()),
            Self::ProtocolLast => pairs.sort_by_key(ParameterPair::is_protocol),
            Self::SortedProtocolFirst => {
                pairs.sort_by(by_name_and_value);
                pairs.sort_by_key(|pair| !pair.is_protocol());
            }
            Self::SortedProtocolLast => {
                pairs.sort_by(by_name_and_value);
                pairs.sort_by_key(ParameterPair::is_protocol);
            }
            Self::OthersAsSent => {
                pairs.sort_by_key(|pair| !pair.is_protocol());
                let protocol = pairs.partition_point(ParameterPair::is_protocol);
                pairs[..protocol].sort_by(by_name_and_value);
            }
            Self::Reversed => pairs.sort_by(|a, b| by_name_and_value(b, a)),
        }
    }
}

fn by_name_and_value(a: &ParameterPair<'_>, b: &ParameterPair<'_>) -> std::cmp::Ordering {
    a.name.cmp(&b.name).then_with(|| a.value.cmp(&b.value))
}

/// Sorts by a key of the decoded name, then of the decoded value.
fn by_key(pairs: &mut [ParameterPair<'_>], key: impl Fn(Vec<u8>) -> Vec<u8>) {
    let decoded = |text: &Cow<'_, [u8]>| decode(text).into_owned();
    pairs.sort_by_cached_key(|pair| (key(decoded(&pair.name)), key(decoded(&pair.value))));
}

/// Puts the number of its digits in front of each number, so that numbers sort by size.
fn natural_key(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * text.len());
    for part in text.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        if part[0].is_ascii_digit() {
            let zeros = part.iter().take_while(|&&digit| digit == b'0').count();
            let number = &part[zeros..];
            // Below every other character, like the digits themselves.
            out.push(b'0');
            out.extend((number.len() as u32).to_be_bytes());
            out.extend_from_slice(number);
        } else {
            out.extend_from_slice(part);
        }
    }
    out
}

/// Returns the ranks of the characters, then the text itself with small letters first.
fn collation_key(text: &[u8]) -> Vec<u8> {
    let rank = |byte: &u8| {
        let byte = byte.to_ascii_lowercase();
        let punctuation = PUNCTUATION.iter().position(|&other| other == byte);
        punctuation.map_or(byte | 0x80, |at| at as u8 + 1)
    };
    let swapped = text.iter().map(|byte| match byte {
        byte if byte.is_ascii_alphabetic() => byte ^ 0x20,
        byte => *byte,
    });
    text.iter().map(rank).chain([0]).chain(swapped).collect()
}

/// Punctuation as the Unicode collation algorithm sorts it.
const PUNCTUATION: &[u8] = b"_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_puts_the_parameters_where_its_clients_do() {
        let sent = [
            "b=2",
            "oauth_x=1",
            "a10=1",
            "B=1",
            "a9=10",
            "a9=9",
            "a_b=1",
            "aB=1",
        ];
        for (order, expected) in [
            (
                ParameterOrder::Rfc,
                "B=1 a10=1 a9=10 a9=9 aB=1 a_b=1 b=2 oauth_x=1",
            ),
            (
                ParameterOrder::NoCase,
                "a10=1 a9=10 a9=9 a_b=1 aB=1 B=1 b=2 oauth_x=1",
            ),
            (
                ParameterOrder::Natural,
                "B=1 a9=9 a9=10 a10=1 aB=1 a_b=1 b=2 oauth_x=1",
            ),
            (
                ParameterOrder::NaturalValue,
                "B=1 a10=1 a9=9 a9=10 aB=1 a_b=1 b=2 oauth_x=1",
            ),
            (
                ParameterOrder::Collated,
                "a_b=1 a10=1 a9=10 a9=9 aB=1 b=2 B=1 oauth_x=1",
            ),
            (
                ParameterOrder::NameReversed,
                "B=1 a10=1 a9=9 a9=10 aB=1 a_b=1 b=2 oauth_x=1",
            ),
            (
                ParameterOrder::ValueDescending,
                "B=1 a10=1 a9=9 a9=10 aB=1 a_b=1 b=2 oauth_x=1",
            ),
            (
                ParameterOrder::SortedProtocolFirst,
                "oauth_x=1 B=1 a10=1 a9=10 a9=9 aB=1 a_b=1 b=2",
            ),
            (
                ParameterOrder::ProtocolFirst,
                "oauth_x=1 b=2 a10=1 B=1 a9=10 a9=9 a_b=1 aB=1",
            ),
            (
                ParameterOrder::Reversed,
                "oauth_x=1 b=2 a_b=1 aB=1 a9=9 a9=10 a10=1 B=1",
            ),
        ] {
            let mut pairs: Vec<_> = sent.iter().map(|text| pair(text)).collect();
            order.sort(&mut pairs);
            let sorted: Vec<_> = pairs.iter().map(text).collect();
            assert_eq!(sorted.join(" "), expected, "{order:?}");
        }
    }

    fn pair(text: &str) -> ParameterPair<'static> {
        let (name, value) = text.split_once('=').unwrap();
        ParameterPair::encode(name.as_bytes(), value.as_bytes())
    }

    fn text(pair: &ParameterPair<'_>) -> String {
        let bytes = [&*pair.name, b"=", &*pair.value].concat();
        String::from_utf8(bytes).unwrap()
    }
}

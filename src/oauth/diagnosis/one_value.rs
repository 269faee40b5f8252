//! Changes of the encoding of one value: clients that encode the text of a search in another way
//! than all other parameters.

use super::super::variant::{ByteSet, Encoding};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};
use super::characters::listed;
use super::sent::{SentParameter, SentParameters};

/// Returns the changes of each value that an encoder of [`ENCODINGS`] would change, if the request
/// has another one too.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let reserved = |one: &&SentParameter<'e>| !one.reserved().is_empty();
    let values: Vec<_> = sent
        .application()
        .filter(reserved)
        .take(MAX_VALUES)
        .collect();
    values
        .into_iter()
        .flat_map(|one| encodings(one).map(move |encoding| changed(sent, one, encoding)))
        .collect()
}

/// Returns the encodings that differ for this value.
fn encodings(one: &SentParameter<'_>) -> impl Iterator<Item = Encoding> {
    let mut plain: Vec<_> = ENCODINGS
        .iter()
        .map(|set| ByteSet::of(set).and(one.reserved()))
        .collect();
    plain.dedup();
    plain
        .into_iter()
        .filter(|set| !set.is_empty())
        .map(|set| Encoding {
            plain: ByteSet::UNRESERVED.or(set),
            ..Encoding::RFC
        })
}

fn changed<'e>(
    sent: &SentParameters<'e>,
    one: &SentParameter<'e>,
    encoding: Encoding,
) -> BaseStringChange<'e> {
    let at = one.at;
    let change = BaseStringChange::new(
        MismatchCause::CharactersNotEncoded,
        BaseStringPart::Values,
        move |variant| variant.one_value = Some((at, encoding)),
    );
    let left_plain = encoding.plain.without(ByteSet::UNRESERVED);
    let name = sent.named(std::iter::once(one));
    change.guess().with_own_remedy(format!(
        "the client leaves {} unencoded only in the value of {name}: make it encode that value like all \
         others, every character except letters, digits and `-._~` (RFC 5849 section 3.6)",
        listed(left_plain)
    ))
}

impl SentParameter<'_> {
    /// Returns the reserved bytes of the value.
    fn reserved(&self) -> ByteSet {
        let present: ByteSet = self.value.iter().copied().collect();
        present.without(ByteSet::UNRESERVED)
    }
}

/// The characters that clients leave plain in one value.
const ENCODINGS: [&[u8]; 6] = [
    b"$:!?/()'*@",
    b"/",
    b"!*'()",
    b";/?:@&=+$,#!*'()",
    b":/?#[]@!$&'()*+,;=",
    b" ",
];

/// The most values that are tried.
const MAX_VALUES: usize = 6;

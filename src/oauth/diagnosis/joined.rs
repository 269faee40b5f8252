//! Changes of the way in which the parts of the base string are joined (RFC 5849 section 3.4.1.1).

use super::super::variant::{BaseStringVariant, Encoding};
use super::MismatchCause;
use super::change::{BaseStringChange, BaseStringPart};
use super::sent::SentParameters;

/// Returns every change of the joined parts.
pub(super) fn changes<'e>(sent: &SentParameters<'e>) -> Vec<BaseStringChange<'e>> {
    let changes = CHANGES.into_iter().map(|(cause, remedy, change)| {
        BaseStringChange::new(cause, BaseStringPart::Joined, change).with_remedy(Some(remedy))
    });
    changes.chain(equals_left_out(sent)).collect()
}

/// Returns the change of a client that signs a name without a value as the name alone.
fn equals_left_out<'e>(sent: &SentParameters<'e>) -> Option<BaseStringChange<'e>> {
    let mut empty = sent.iter().filter(|one| one.value.is_empty()).peekable();
    empty.peek()?;
    let names = sent.named(empty);
    let change = BaseStringChange::new(
        MismatchCause::EmptyValue,
        BaseStringPart::Joined,
        |variant| variant.equals_left_out = true,
    );
    Some(change.with_own_remedy(format!(
        "the client signs {names} as a name alone, without `=`: make it sign `name=` with an empty \
         value (RFC 5849 section 3.4.1.3.2)"
    )))
}

type JoinedChange = (MismatchCause, &'static str, fn(&mut BaseStringVariant<'_>));

const CHANGES: [JoinedChange; 9] = [
    (MismatchCause::EncodedOnce, THIRD_PART, |variant| {
        variant.joined_encoding = Encoding::NONE;
    }),
    (MismatchCause::EncodedOnce, PARTS, |variant| {
        variant.joined_encoding = Encoding::NONE;
        variant.uri_encoding = Encoding::NONE;
    }),
    (MismatchCause::EncodedOnce, URI, |variant| {
        variant.uri_encoding = Encoding::NONE;
    }),
    (MismatchCause::EncodedOnce, NOTHING, |variant| {
        nothing_encoded(variant);
        variant.uri_encoding = Encoding::NONE;
    }),
    (MismatchCause::EncodedOnce, NOTHING, nothing_encoded),
    (MismatchCause::EncodedOnce, SEPARATORS, |variant| {
        variant.joined_encoding = Encoding::RFC.leaving(b"=&");
    }),
    (MismatchCause::EncodedOnce, SEPARATORS, |variant| {
        variant.joined_encoding = Encoding::RFC.leaving(b"&");
    }),
    (MismatchCause::EncodedOnce, SEPARATORS, |variant| {
        variant.joined_encoding = Encoding::RFC.leaving(b"=");
    }),
    (MismatchCause::EncodedTwice, THIRD_PART_TWICE, |variant| {
        variant.is_joined_twice = true;
    }),
];

fn nothing_encoded(variant: &mut BaseStringVariant<'_>) {
    variant.joined_encoding = Encoding::NONE;
    for texts in [&mut variant.names, &mut variant.values] {
        texts
            .iter_mut()
            .for_each(|text| text.encoding = Encoding::NONE);
    }
}

const THIRD_PART: &str = "the client joins the encoded parameters but does not encode the result: make it encode the \
     joined parameters once more as the third part of the base string (RFC 5849 section 3.4.1.1)";

const PARTS: &str = "the client does not encode the URI and the joined parameters: make it encode each part of \
     the base string before it joins them with `&` (RFC 5849 section 3.4.1.1)";

const URI: &str = "the client does not encode the URI: make it encode each part of the base string before it \
     joins them with `&` (RFC 5849 section 3.4.1.1)";

const NOTHING: &str = "the client joins plain names and values, and does not encode the result: make it encode \
     names and values, and then each part of the base string (RFC 5849 section 3.4.1.1)";

const SEPARATORS: &str = "the client does not encode the `=` or `&` between the parameters: make it encode the joined \
     parameters as a whole (RFC 5849 section 3.4.1.1)";

const THIRD_PART_TWICE: &str = "the client encodes the joined parameters twice: make it encode them once as the third part \
     of the base string (RFC 5849 section 3.4.1.1)";

//! The signature base string (RFC 5849 section 3.4.1).

use std::borrow::Cow;

use super::encode::{decode, encode, encode_normal};
use super::mask::{MASK, Visibility};
use super::message::{Message, PieceBuffer};
use super::pair::ParameterPair;
use super::uri::BaseUri;
use super::{ParameterPlace, Rejection};

/// The base string of a request: method, URI and parameters.
pub(super) struct BaseString<'a> {
    method: Cow<'a, [u8]>,
    uri: BaseUri<'a>,
    pairs: Vec<ParameterPair<'a>>,
}

impl<'a> BaseString<'a> {
    /// Sorts the parameters by encoded name, then by encoded value.
    ///
    /// [RFC 5849 section 3.4.1.3.2](https://www.rfc-editor.org/rfc/rfc5849#section-3.4.1.3.2)
    pub(super) fn new(
        method: &'a [u8],
        uri: BaseUri<'a>,
        mut pairs: Vec<ParameterPair<'a>>,
    ) -> Self {
        pairs.sort_unstable_by(|a, b| a.name.cmp(&b.name).then_with(|| a.value.cmp(&b.value)));
        Self {
            method: upper_case(method),
            uri,
            pairs,
        }
    }

    /// Refuses a request that repeats a protocol parameter.
    ///
    /// [RFC 5849 section 3.1](https://www.rfc-editor.org/rfc/rfc5849#section-3.1)
    pub(super) fn refuse_duplicates(&self, place: ParameterPlace) -> Result<(), Rejection> {
        let is_repeated =
            |pair: &[ParameterPair<'_>]| pair[0].is_protocol() && pair[0].name == pair[1].name;
        if self.pairs.windows(2).any(is_repeated) {
            Err(Rejection::DuplicateExtension(place))
        } else {
            Ok(())
        }
    }

    /// Returns the decoded values of a parameter; `name` has unreserved characters only.
    pub(super) fn values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = Cow<'a, [u8]>> + 's {
        self.pairs
            .iter()
            .filter(move |pair| *pair.name == *name)
            .map(|pair| decode(&pair.value))
    }

    /// Returns the whole text.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        self.render(|_| Visibility::FULL)
    }

    /// Returns the text with `***` for every name and value that only the sender may see.
    pub(super) fn to_masked_vec(&self) -> Vec<u8> {
        self.render(|pair| pair.visibility())
    }

    fn render(&self, visibility: impl Fn(&ParameterPair<'_>) -> Visibility) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL_LEN);
        self.write_with(visibility, &mut |piece: &[u8]| out.extend_from_slice(piece));
        out
    }

    /// Writes the three parts, joined by `&`.
    ///
    /// The pairs are in normal form, so joining and encoding them (section 3.4.1.1) only adds to
    /// their escapes.
    fn write_with(
        &self,
        visibility: impl Fn(&ParameterPair<'_>) -> Visibility,
        write: &mut impl FnMut(&[u8]),
    ) {
        encode(&self.method, write);
        write(b"&");
        self.uri.write_encoded(write);
        write(b"&");
        for (at, pair) in self.pairs.iter().enumerate() {
            if at > 0 {
                write(b"%26");
            }
            let Visibility { name, value } = visibility(pair);
            write_visible(&pair.name, name, write);
            write(b"%3D");
            write_visible(&pair.value, value, write);
        }
    }
}

impl Message for BaseString<'_> {
    fn write(&self, write: &mut impl FnMut(&[u8])) {
        let mut buffer = PieceBuffer::new(write);
        self.write_with(|_| Visibility::FULL, &mut |piece: &[u8]| buffer.put(piece));
        buffer.flush();
    }
}

#[inline]
fn write_visible(normal: &[u8], is_visible: bool, write: &mut impl FnMut(&[u8])) {
    if is_visible {
        encode_normal(normal, write);
    } else {
        write(MASK);
    }
}

/// Returns the method in capitals.
pub(super) fn upper_case(method: &[u8]) -> Cow<'_, [u8]> {
    if method.iter().any(u8::is_ascii_lowercase) {
        Cow::Owned(method.to_ascii_uppercase())
    } else {
        Cow::Borrowed(method)
    }
}

/// Room for the base string of most requests.
const USUAL_LEN: usize = 512;

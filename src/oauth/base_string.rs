//! The signature base string (RFC 5849 section 3.4.1).
//!
//! It is written piece by piece into whatever computes with it, so that a check needs no copy of the request.

use std::borrow::Cow;

use super::encode::{decode, encode, encode_normal};
use super::mask::MASK;
use super::params::Pair;
use super::uri::BaseUri;
use super::{ParameterPlace, Rejection};

/// Something that is signed, handed over piece by piece.
pub(super) trait Message {
    /// Calls `write` with each piece, in order.
    fn write(&self, write: &mut impl FnMut(&[u8]));
}

/// Everything that is signed of one request.
pub(super) struct BaseString<'a> {
    method: Cow<'a, [u8]>,
    uri: BaseUri<'a>,
    pairs: Vec<Pair<'a>>,
}

impl<'a> BaseString<'a> {
    /// Puts the parameters in order: by encoded name, then by encoded value (section 3.4.1.3.2).
    pub(super) fn new(method: &'a [u8], uri: BaseUri<'a>, mut pairs: Vec<Pair<'a>>) -> Self {
        pairs.sort_unstable_by(|a, b| a.name.cmp(&b.name).then_with(|| a.value.cmp(&b.value)));
        Self {
            method: upper_case(method),
            uri,
            pairs,
        }
    }

    /// Refuses a protocol parameter that stands there twice (section 3.1).
    pub(super) fn refuse_duplicates(&self, place: ParameterPlace) -> Result<(), Rejection> {
        let twice = self
            .pairs
            .windows(2)
            .any(|pair| pair[0].is_protocol() && pair[0].name == pair[1].name);
        if twice {
            Err(Rejection::DuplicateExtension(place))
        } else {
            Ok(())
        }
    }

    /// The decoded values of the parameters of a name that has unreserved characters only.
    pub(super) fn values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = Cow<'a, [u8]>> + 's {
        self.pairs
            .iter()
            .filter(move |pair| *pair.name == *name)
            .map(|pair| decode(&pair.value))
    }

    /// The whole of it.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL);
        self.write_with(&mut |piece: &[u8]| out.extend_from_slice(piece), |_| {
            (true, true)
        });
        out
    }

    /// The whole of it, with `***` instead of every name and value that may not be shown.
    pub(super) fn to_masked_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(USUAL);
        let shows = |pair: &Pair<'_>| (pair.shows_name(), pair.shows_value());
        self.write_with(&mut |piece: &[u8]| out.extend_from_slice(piece), shows);
        out
    }

    /// The pairs are in normal form already: joined and encoded (section 3.4.1.1), each escape in them gets another. `shows`
    /// says of which the name, and of which the value is shown.
    fn write_with(&self, write: &mut impl FnMut(&[u8]), shows: impl Fn(&Pair<'_>) -> (bool, bool)) {
        encode(&self.method, write);
        write(b"&");
        self.uri.write_encoded(write);
        write(b"&");
        for (at, pair) in self.pairs.iter().enumerate() {
            if at > 0 {
                write(b"%26");
            }
            let (name, value) = shows(pair);
            if name {
                encode_normal(&pair.name, write)
            } else {
                write(MASK)
            }
            write(b"%3D");
            if value {
                encode_normal(&pair.value, write)
            } else {
                write(MASK)
            }
        }
    }
}

impl Message for BaseString<'_> {
    fn write(&self, write: &mut impl FnMut(&[u8])) {
        let mut gather = Gather {
            buffer: [0; GATHERED],
            len: 0,
            write,
        };
        self.write_with(&mut |piece: &[u8]| gather.put(piece), |_| (true, true));
        gather.flush();
    }
}

/// Gathers pieces, so that whatever computes with them gets few and long ones.
struct Gather<W> {
    buffer: [u8; GATHERED],
    len: usize,
    write: W,
}

impl<W: FnMut(&[u8])> Gather<W> {
    fn put(&mut self, piece: &[u8]) {
        if piece.len() > GATHERED - self.len {
            self.flush();
        }
        match self.buffer.get_mut(self.len..self.len + piece.len()) {
            Some(room) => {
                room.copy_from_slice(piece);
                self.len += piece.len();
            }
            None => (self.write)(piece),
        }
    }

    fn flush(&mut self) {
        (self.write)(&self.buffer[..self.len]);
        self.len = 0;
    }
}

fn upper_case(method: &[u8]) -> Cow<'_, [u8]> {
    if method.iter().any(u8::is_ascii_lowercase) {
        Cow::Owned(method.to_ascii_uppercase())
    } else {
        Cow::Borrowed(method)
    }
}

/// Room for most of a base string, in blocks of every hash.
pub(super) const GATHERED: usize = 1024;

/// Room for the base string of most requests.
const USUAL: usize = 512;

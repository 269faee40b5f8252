//! Scanning many bytes at a time, in vector instructions.

use memchr::memchr;

/// Whether every byte is such as `fits` says, which should have no branches: then sixteen are looked at at once.
#[inline]
pub(super) fn all(bytes: &[u8], fits: impl Fn(u8) -> bool) -> bool {
    let (chunks, rest) = bytes.as_chunks::<16>();
    // The last ones overlap with those before.
    let rest_fits = || match (
        bytes.last_chunk::<16>(),
        bytes.first_chunk::<8>(),
        bytes.last_chunk::<8>(),
    ) {
        (Some(last), ..) => every(last, &fits),
        (None, Some(first), Some(last)) => every(first, &fits) && every(last, &fits),
        (None, ..) => rest.iter().all(|&byte| fits(byte)),
    };
    chunks.iter().all(|chunk| every(chunk, &fits)) && (rest.is_empty() || rest_fits())
}

/// Without an early end: that is what lets it be one comparison.
#[inline]
fn every<const N: usize>(chunk: &[u8; N], fits: impl Fn(u8) -> bool) -> bool {
    chunk.iter().fold(true, |all, &byte| all & fits(byte))
}

/// What stands before a byte, and what after it; `None` where it does not stand.
#[inline]
pub(super) fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    memchr(at, bytes).map(|at| (&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_that_does_not_fit_is_found_wherever_it_stands() {
        for len in 0..50 {
            let mut bytes = vec![b'a'; len];
            assert!(all(&bytes, |byte| byte == b'a'));
            for at in 0..len {
                bytes[at] = b'%';
                assert!(!all(&bytes, |byte| byte == b'a'), "{at} of {len}");
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn what_is_split_is_split_at_the_first() {
        assert_eq!(split_once(b"a=b=c", b'='), Some((&b"a"[..], &b"b=c"[..])));
        assert_eq!(split_once(b"abc", b'='), None);
    }
}

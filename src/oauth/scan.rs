//! Scans of many bytes at a time, in vector instructions.

use memchr::memchr;

/// Returns whether `fits` holds for every byte. Without branches in `fits`, sixteen bytes are
/// compared at once.
#[inline]
pub(super) fn all(bytes: &[u8], fits: impl Fn(u8) -> bool) -> bool {
    let (chunks, rest) = bytes.as_chunks::<16>();
    chunks.iter().all(|chunk| every(chunk, &fits)) && (rest.is_empty() || end(bytes, rest, fits))
}

/// Compares the bytes after the last whole chunk, in a chunk that overlaps those before.
#[inline]
fn end(bytes: &[u8], rest: &[u8], fits: impl Fn(u8) -> bool) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        return every(last, &fits);
    }
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => every(first, &fits) && every(last, &fits),
        _ => rest.iter().all(|&byte| fits(byte)),
    }
}

/// Compares a chunk without an early return, so that it compiles to one comparison.
#[inline]
fn every<const N: usize>(chunk: &[u8; N], fits: impl Fn(u8) -> bool) -> bool {
    chunk.iter().fold(true, |all, &byte| all & fits(byte))
}

/// Splits at the first occurrence of a byte; `None` if there is no such byte.
#[inline]
pub(super) fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    memchr(at, bytes).map(|at| (&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_that_does_not_fit_is_found_at_every_position() {
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
    fn bytes_are_split_at_the_first_separator() {
        assert_eq!(split_once(b"a=b=c", b'='), Some((&b"a"[..], &b"b=c"[..])));
        assert_eq!(split_once(b"abc", b'='), None);
    }
}

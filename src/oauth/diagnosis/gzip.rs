//! Compressed bodies (RFC 1952 and RFC 1950).

use miniz_oxide::inflate::{decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit};

/// Returns the body that was compressed with gzip, or with `deflate`; `None` if it was not, or is
/// longer than `limit`. The checksum of gzip does not matter: the signature covers the body.
pub(super) fn decompressed(body: &[u8], limit: usize) -> Option<Vec<u8>> {
    gunzipped(body, limit).or_else(|| decompress_to_vec_zlib_with_limit(body, limit).ok())
}

fn gunzipped(body: &[u8], limit: usize) -> Option<Vec<u8>> {
    let [0x1F, 0x8B, DEFLATE, flags, _, _, _, _, _, _, rest @ ..] = body else {
        return None;
    };
    let mut rest = rest;
    if flags & EXTRA != 0 {
        let (len, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*len))..)?;
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    decompress_to_vec_with_limit(rest, limit).ok()
}

const DEFLATE: u8 = 8;

const HEADER_CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_decompressed_up_to_a_limit() {
        let deflated = miniz_oxide::deflate::compress_to_vec(b"title=summer&size=1", 6);
        let plain = [&b"\x1f\x8b\x08\x00\0\0\0\0\0\x03"[..], &deflated].concat();
        let all_fields = [
            &b"\x1f\x8b\x08\x1e\0\0\0\0\0\x03\x02\x00xxname\0comment\0cc"[..],
            &deflated,
        ]
        .concat();
        let zlib = miniz_oxide::deflate::compress_to_vec_zlib(b"title=summer&size=1", 6);
        for body in [plain, all_fields, zlib] {
            assert_eq!(decompressed(&body, 100).unwrap(), b"title=summer&size=1");
            assert_eq!(decompressed(&body, 10), None);
            for end in 0..body.len() {
                decompressed(&body[..end], 100);
            }
        }
        assert_eq!(decompressed(b"title=summer", 100), None);
    }
}

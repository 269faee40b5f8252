//! What a signature may have been before it was written into `oauth_signature`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::encode::decode;

/// One way to read `oauth_signature`.
pub(super) struct Reading {
    /// Its bytes, for HMAC and RSA.
    pub(super) bytes: Option<Vec<u8>>,
    /// Its text, for PLAINTEXT.
    pub(super) text: Option<Vec<u8>>,
    /// Whether it is the one that is verified.
    pub(super) is_strict: bool,
}

/// Every way to read it, the strict one first.
pub(super) fn readings(sent: &[u8]) -> Vec<Reading> {
    let strict = STANDARD.decode(sent).ok();
    let mut readings = vec![Reading {
        bytes: strict,
        text: Some(sent.to_vec()),
        is_strict: true,
    }];
    let once_more = decode(&Cow::Borrowed(sent)).into_owned();
    if once_more != sent {
        let text = Some(once_more.clone());
        readings.push(Reading {
            bytes: lenient(&once_more),
            text,
            is_strict: false,
        });
    }
    let others = [
        lenient(sent),
        hexadecimal(sent),
        STANDARD
            .decode(sent)
            .ok()
            .and_then(|text| hexadecimal(&text)),
    ];
    for bytes in others.into_iter().flatten() {
        if readings
            .iter()
            .all(|reading| reading.bytes.as_ref() != Some(&bytes))
        {
            readings.push(Reading {
                bytes: Some(bytes),
                text: None,
                is_strict: false,
            });
        }
    }
    readings
}

/// Base64 however it was treated: spaces for `+`, line breaks, no padding, the alphabet for URLs.
fn lenient(text: &[u8]) -> Option<Vec<u8>> {
    let plain: Vec<u8> = text
        .iter()
        .filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\t' | b'='))
        .map(|&byte| match byte {
            b' ' | b'-' => b'+',
            b'_' => b'/',
            byte => byte,
        })
        .collect();
    LENIENT.decode(plain).ok()
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| {
        let digits = str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        u8::from_str_radix(digits?, 16).ok()
    };
    pairs.iter().map(byte).collect()
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_however_it_was_written() {
        let mac = [0xfb_u8, 0xef, 0xbe, 0x01];
        for sent in [
            "++++AQ==",
            "    AQ==",
            "++++AQ",
            "----AQ",
            "%2B%2B%2B%2BAQ%3D%3D",
            "++++\r\nAQ==",
            "fbefbe01",
            "FBEFBE01",
        ] {
            let found = readings(sent.as_bytes())
                .into_iter()
                .find(|reading| reading.bytes.as_deref() == Some(&mac));
            assert_eq!(
                found.map(|reading| reading.is_strict),
                Some(sent == "++++AQ=="),
                "{sent}"
            );
        }
        let of_hex = STANDARD.encode("fbefbe01");
        assert!(
            readings(of_hex.as_bytes())
                .iter()
                .any(|reading| reading.bytes.as_deref() == Some(&mac))
        );
    }
}

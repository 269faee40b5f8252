//! Readings of `oauth_signature` that undo a wrong encoding.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::encode::decode;

/// A way to read `oauth_signature`.
pub(super) struct SignatureReading {
    /// The bytes, for HMAC and RSA.
    pub(super) bytes: Option<Vec<u8>>,
    /// The text, for PLAINTEXT.
    pub(super) text: Option<Vec<u8>>,
    /// This is the reading of the verifier.
    pub(super) is_strict: bool,
}

/// Returns every reading, the strict one first.
pub(super) fn readings(sent: &[u8]) -> Vec<SignatureReading> {
    let mut readings = vec![SignatureReading {
        bytes: STANDARD.decode(sent).ok(),
        text: Some(sent.to_vec()),
        is_strict: true,
    }];
    readings.extend(decoded_again(sent));
    let lenient = [
        lenient(sent),
        hexadecimal(sent),
        base64_of_hexadecimal(sent),
    ];
    for bytes in lenient.into_iter().flatten() {
        let is_known = |reading: &SignatureReading| reading.bytes.as_ref() == Some(&bytes);
        if !readings.iter().any(is_known) {
            readings.push(SignatureReading {
                bytes: Some(bytes),
                text: None,
                is_strict: false,
            });
        }
    }
    readings
}

/// Reads a signature that was percent-encoded twice.
fn decoded_again(sent: &[u8]) -> Option<SignatureReading> {
    let text = decode(&Cow::Borrowed(sent)).into_owned();
    (text != sent).then(|| SignatureReading {
        bytes: lenient(&text),
        text: Some(text),
        is_strict: false,
    })
}

/// Decodes damaged base64: spaces for `+`, line breaks, no padding, the URL alphabet.
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

fn base64_of_hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    hexadecimal(&STANDARD.decode(text).ok()?)
}

fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    pairs.iter().map(hexadecimal_byte).collect()
}

fn hexadecimal_byte(pair: &[u8; 2]) -> Option<u8> {
    if !pair.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()
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
    fn a_signature_is_read_in_every_known_encoding() {
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

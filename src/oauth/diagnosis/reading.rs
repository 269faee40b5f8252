//! Readings of `oauth_signature` that undo a wrong encoding.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::super::encode::decode;
use super::super::variant::replaced_part;

/// A way to read `oauth_signature`.
pub(super) struct SignatureReading {
    /// The bytes, for HMAC and RSA.
    pub(super) bytes: Option<Vec<u8>>,
    /// The text, for PLAINTEXT.
    pub(super) text: Option<Vec<u8>>,
    /// The wrong encoding that it undoes, for people; `None` for the reading of the verifier.
    pub(super) encoding: Option<&'static str>,
}

/// Returns every reading, the strict one first.
pub(super) fn readings(sent: &[u8]) -> Vec<SignatureReading> {
    let mut readings = vec![SignatureReading {
        bytes: STANDARD.decode(sent).ok(),
        text: Some(sent.to_vec()),
        encoding: None,
    }];
    readings.extend(texts(sent));
    for (bytes, encoding) in bytes(sent) {
        let is_known = |reading: &SignatureReading| reading.bytes.as_ref() == Some(&bytes);
        if !readings.iter().any(is_known) {
            readings.push(SignatureReading {
                bytes: Some(bytes),
                text: None,
                encoding: Some(encoding),
            });
        }
    }
    readings
}

/// Returns the readings that change the text, for every method.
fn texts(sent: &[u8]) -> Vec<SignatureReading> {
    let once = decode(&Cow::Borrowed(sent)).into_owned();
    let twice = decode(&Cow::Borrowed(&*once)).into_owned();
    let unquoted = trimmed(sent);
    let is_broken = unquoted.iter().any(|byte| b"\r\n".contains(byte));
    let around = if is_broken {
        "in base64 with line breaks"
    } else {
        "with quotes or white space around it"
    };
    let spaced = sent
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte });
    let mut texts = vec![
        (once, "percent-encoded twice"),
        (twice, "percent-encoded three times"),
        (unquoted, around),
        (spaced.collect(), SPACED),
    ];
    let from_base64 = STANDARD.decode(sent).ok();
    texts.extend(from_base64.map(|text| (text, "in base64 once more")));
    texts.retain(|(text, _)| text != sent);
    texts
        .into_iter()
        .map(|(text, encoding)| SignatureReading {
            // Base64 has no space.
            bytes: (encoding != SPACED).then(|| lenient(&text)).flatten(),
            text: Some(text),
            encoding: Some(encoding),
        })
        .collect()
}

/// Returns the bytes that the text may stand for, and its encoding.
fn bytes(sent: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let again = STANDARD.decode(sent).ok();
    let again = again.as_deref().unwrap_or_default();
    let text = trimmed(sent);
    [
        (lenient(sent), encoding_of(sent)),
        (lenient(&text), "with quotes or white space around it"),
        (hexadecimal(&text), "in hexadecimal digits"),
        (separated_hexadecimal(&text), "in hexadecimal digits"),
        (hexadecimal(again), "in base64 of hexadecimal digits"),
        (
            lenient(&without_spaces(&text)),
            "in base64 with line breaks",
        ),
        (
            lenient(&from_html(&text)),
            "in base64 with escapes of HTML or JSON",
        ),
        (
            lenient(without_label(&text)),
            "with the name of the method in front of it",
        ),
        (
            hexadecimal(without_label(&text)),
            "in hexadecimal digits, with the name of the method in front of it",
        ),
        (decimal(&text), "as a list of decimal numbers"),
        (
            narrowed(again),
            "in base64 of UTF-8 text that was made of its bytes",
        ),
    ]
    .into_iter()
    .filter_map(|(bytes, encoding)| Some((bytes?, encoding)))
    .filter(|(bytes, _)| !bytes.is_empty())
    .collect()
}

/// Names the deviation of a text from padded base64.
fn encoding_of(text: &[u8]) -> &'static str {
    let has = |bytes: &[u8]| text.iter().any(|byte| bytes.contains(byte));
    if has(b"\r\n") {
        "in base64 with line breaks"
    } else if has(b" ") {
        "in base64 with a `+` that is not percent-encoded and so became a space"
    } else if has(b"-_") {
        "in URL-safe base64"
    } else if !text.len().is_multiple_of(4) {
        "in base64 without padding"
    } else {
        "in base64 that is not canonical"
    }
}

/// Removes white space and quotes around the text, and a `\n` in letters at its end.
fn trimmed(text: &[u8]) -> Vec<u8> {
    let mut text = text.trim_ascii();
    // Python's text of bytes.
    if let [b'b', rest @ ..] = text
        && rest.starts_with(b"'")
        && rest.ends_with(b"'")
    {
        text = rest;
    }
    for quote in [b"\"", b"'"] {
        if let Some(inner) = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote))
        {
            text = inner.trim_ascii();
        }
    }
    text.strip_suffix(b"\\n").unwrap_or(text).to_vec()
}

/// Removes the escapes of HTML and JSON of the characters of base64.
fn from_html(text: &[u8]) -> Vec<u8> {
    let escapes: [(&[u8], &[u8]); 7] = [
        (b"&#43;", b"+"),
        (b"&#x2B;", b"+"),
        (b"&#47;", b"/"),
        (b"&#x2F;", b"/"),
        (b"\\/", b"/"),
        (b"&#61;", b"="),
        (b"&#x3D;", b"="),
    ];
    let plain = |text: Vec<u8>, (escape, byte): (&[u8], &[u8])| replaced_part(&text, escape, byte);
    escapes.into_iter().fold(text.to_vec(), plain)
}

/// Removes a word with a `=`, `:` or space behind it in front of the text, such as `sha1=`.
fn without_label(text: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'=' | b':' | b' ');
    match text.iter().position(is_end) {
        Some(at) if at <= MAX_LABEL_LEN && at + 1 < text.len() => text[at + 1..].trim_ascii_start(),
        _ => text,
    }
}

/// Reads `[1, 2]` or `1,2` as bytes.
fn decimal(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok()?;
    let list = text.trim_matches(['[', ']', '{', '}', '(', ')']);
    list.split(',')
        .map(|number| number.trim().parse().ok())
        .collect()
}

/// Reads UTF-8 text as one byte for each character.
fn narrowed(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok().filter(|text| !text.is_ascii())?;
    text.chars().map(|one| u8::try_from(one).ok()).collect()
}

fn without_spaces(text: &[u8]) -> Vec<u8> {
    let is_space = |byte: &&u8| byte.is_ascii_whitespace();
    text.iter()
        .filter(|byte| !is_space(byte))
        .copied()
        .collect()
}

/// Decodes damaged base64: spaces for `+`, line breaks, no padding, the URL alphabet.
pub(super) fn lenient(text: &[u8]) -> Option<Vec<u8>> {
    // The text may be a secret. Growing would leave an unwiped copy behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    let kept = text
        .iter()
        .filter(|byte| !matches!(byte, b'\r' | b'\n' | b'\t' | b'='));
    plain.extend(kept.map(|&byte| match byte {
        b' ' | b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    }));
    LENIENT.decode(&*plain).ok()
}

/// Decodes digits with a `-`, `:` or space between the bytes.
fn separated_hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<_> = text
        .iter()
        .filter(|byte| !matches!(byte, b'-' | b':' | b' '))
        .copied()
        .collect();
    hexadecimal(digits.strip_prefix(b"0x").unwrap_or(&digits))
}

/// Decodes hexadecimal digits.
pub(super) fn hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    // With room for all: growing would leave a copy behind, and the text may be a secret.
    let mut bytes = Vec::with_capacity(pairs.len());
    for pair in pairs {
        bytes.push(hexadecimal_byte(pair)?);
    }
    Some(bytes)
}

fn hexadecimal_byte(pair: &[u8; 2]) -> Option<u8> {
    if !pair.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()
}

/// The longest name of a method in front of a signature.
const MAX_LABEL_LEN: usize = 12;

const SPACED: &str = "with `+` for a space";

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
        let again = STANDARD.encode("++++AQ==");
        let of_hex = STANDARD.encode("fbefbe01");
        for (sent, encoding) in [
            ("++++AQ==", None),
            ("    AQ==", Some("became a space")),
            ("++++AQ", Some("without padding")),
            ("----AQ==", Some("URL-safe")),
            ("%2B%2B%2B%2BAQ%3D%3D", Some("encoded twice")),
            ("%252B%252B%252B%252BAQ%253D%253D", Some("three times")),
            ("++++\r\nAQ==", Some("line breaks")),
            ("++++ AQ==", Some("line breaks")),
            ("\"++++AQ==\"", Some("quotes")),
            ("++++AQ==\\n", Some("quotes")),
            ("fbefbe01", Some("hexadecimal")),
            ("b'++++AQ=='", Some("quotes")),
            ("b'++++AQ==\\n'", Some("quotes")),
            ("&#43;&#x2B;++AQ&#61;&#61;", Some("HTML")),
            ("sha1=fbefbe01", Some("name of the method")),
            ("HMAC-SHA1 ++++AQ==", Some("name of the method")),
            ("[251, 239, 190, 1]", Some("decimal")),
            ("w7vDr8K+AQ==", Some("UTF-8")),
            ("FB-EF-BE-01", Some("hexadecimal")),
            (&again, Some("base64 once more")),
            (&of_hex, Some("base64")),
        ] {
            let found = readings(sent.as_bytes())
                .into_iter()
                .find(|reading| reading.bytes.as_deref() == Some(&mac))
                .unwrap_or_else(|| panic!("{sent} is not read"));
            match encoding {
                None => assert_eq!(found.encoding, None),
                Some(part) => assert!(
                    found.encoding.unwrap().contains(part),
                    "{sent}: {:?}",
                    found.encoding
                ),
            }
        }
    }

    #[test]
    fn a_plaintext_signature_is_read_in_other_spellings() {
        for sent in [
            "\"secret&token\"",
            "secret%26token",
            "secret&token ",
            "c2VjcmV0JnRva2Vu",
        ] {
            let found = readings(sent.as_bytes());
            let texts = found.iter().filter_map(|reading| reading.text.as_deref());
            assert!(texts.skip(1).any(|text| text == b"secret&token"), "{sent}");
        }
    }
}

//! Percent-encoding (section 3.6).

/// Encodes every byte except letters, digits, `-`, `.`, `_` and `~`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(byte as char);
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Decodes escapes; `None` if a `%` is not followed by two hexadecimal digits.
pub fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'%' {
            bytes.push(text[at]);
            at += 1;
            continue;
        }
        let high = char::from(*text.get(at + 1)?).to_digit(16)?;
        let low = char::from(*text.get(at + 2)?).to_digit(16)?;
        bytes.push((high * 16 + low) as u8);
        at += 3;
    }
    Some(bytes)
}

//! Forms (section 3.4.1.3.1, and `application/x-www-form-urlencoded` of HTML 4.01).

use super::escape::unescape;

/// A decoded parameter.
pub type FormField = (Vec<u8>, Vec<u8>);

/// Decodes a query or a form body; `None` if an escape is malformed.
pub fn read_form(form: &[u8]) -> Option<Vec<FormField>> {
    let mut fields = Vec::new();
    for segment in form.split(|&byte| byte == b'&') {
        if segment.is_empty() {
            continue;
        }
        let equals = segment.iter().position(|&byte| byte == b'=');
        let (name, value) = match equals {
            Some(at) => (&segment[..at], &segment[at + 1..]),
            None => (segment, &segment[..0]),
        };
        fields.push((decode(name)?, decode(value)?));
    }
    Some(fields)
}

/// A `+` is a space; an escaped one stays a plus.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    unescape(&spaced)
}

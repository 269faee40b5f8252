//! The text encodings of captures: UTF-8, or UTF-16 as Windows PowerShell writes it.

use std::borrow::Cow;

use crate::cli::exit::Usage;

/// Returns a capture without its byte order mark; UTF-16 becomes UTF-8.
///
/// # Errors
/// When the capture is malformed UTF-16.
pub(super) fn decoded(capture: &[u8]) -> Result<Cow<'_, [u8]>, Usage> {
    match capture {
        [0xEF, 0xBB, 0xBF, rest @ ..] => Ok(rest.into()),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::from),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::from),
        _ => Ok(capture.into()),
    }
}

fn utf16(text: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Vec<u8>, Usage> {
    let units = text.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let characters: Result<String, _> = char::decode_utf16(units).collect();
    match characters {
        Ok(characters) if text.len().is_multiple_of(2) => Ok(characters.into_bytes()),
        Ok(_) | Err(_) => Err(Usage(
            "the text begins as UTF-16 but is malformed: save it as UTF-8".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_writes_is_read() {
        let utf16: Vec<u8> = "GET é".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&[0xFF, 0xFE][..], &utf16].concat();
        assert_eq!(*decoded(&marked).unwrap(), *"GET é".as_bytes());
        assert_eq!(*decoded("\u{FEFF}GET".as_bytes()).unwrap(), *b"GET");
        assert_eq!(*decoded(b"G\xE9T").unwrap(), *b"G\xE9T");
        assert!(decoded(&marked[..marked.len() - 1]).is_err());
    }
}

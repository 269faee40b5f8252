//! The form of bearer tokens, and their files.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::model::Secret;

/// Reads a token; `None` if it is too short, too long, or a header cannot carry it.
pub(super) fn parse(text: &str) -> Option<Secret> {
    let right = (MIN_LEN..=MAX_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    right.then(|| Secret::new(text.as_bytes()))
}

/// The reason why a token file cannot be read.
pub(super) enum TokenFileError {
    /// The system refused to open or read the file.
    File(io::Error),
    /// The file has this mode, with which others can read or change it.
    Exposed(u32),
}

/// Reads a file without the line break at its end, and refuses a file with any permission of
/// `forbidden`.
pub(super) fn read(path: &Path, forbidden: u32) -> Result<Zeroizing<String>, TokenFileError> {
    let file = File::open(path).map_err(TokenFileError::File)?;
    let mode = file
        .metadata()
        .map_err(TokenFileError::File)?
        .permissions()
        .mode()
        & 0o7777;
    if mode & forbidden != 0 {
        return Err(TokenFileError::Exposed(mode));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(READ_LIMIT)
        .read_to_string(&mut text)
        .map_err(TokenFileError::File)?;
    let len = text.trim_ascii_end().len();
    text.truncate(len);
    Ok(text)
}

/// The length that makes guessing a token infeasible.
pub(super) const MIN_LEN: usize = 16;

/// The limit on the length of a token.
pub(super) const MAX_LEN: usize = 255;

/// The number of bytes that are read; a longer file holds no token.
const READ_LIMIT: u64 = 4096;

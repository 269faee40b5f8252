//! The form of bearer tokens, and their files.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::model::Secret;
use crate::trusted_file::{self, FileKind, TrustError};

/// Reads a token; `None` if it is too short, too long, or a header cannot carry it.
pub(super) fn parse(text: &str) -> Option<Secret> {
    let right = (MIN_LEN..=MAX_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    right.then(|| Secret::new(text.as_bytes()))
}

/// Reads a token file without the line break at its end.
pub(super) fn read(path: &Path, kind: FileKind) -> Result<Zeroizing<String>, TrustError> {
    let bytes = trusted_file::read(path, kind, READ_LIMIT)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| TrustError::Io {
        path: path.to_owned(),
        cause: io::Error::new(io::ErrorKind::InvalidData, error),
    })?;
    Ok(Zeroizing::new(text.trim_ascii_end().to_owned()))
}

/// The length that makes guessing a token infeasible.
pub(super) const MIN_LEN: usize = 16;

/// The limit on the length of a token.
pub(super) const MAX_LEN: usize = 255;

/// The number of bytes that are read; a longer file holds no token.
const READ_LIMIT: u64 = 4096;

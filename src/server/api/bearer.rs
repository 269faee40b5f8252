//! What every bearer token here has to be, and how one is read from a file.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::model::Secret;

/// The token in `text`; `None` when it is too short, too long or can not stand in a header.
pub(super) fn parse(text: &str) -> Option<Secret> {
    let right = (MIN_LEN..=MAX_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    right.then(|| Secret::new(text.as_bytes()))
}

/// Why there is nothing to read.
pub(super) enum Unread {
    /// The file can not be read.
    File(io::Error),
    /// It has this mode, which lets others read or change it.
    Exposed(u32),
}

/// What a file holds, without the line break at its end; a file with one of the permissions `forbidden` is not read.
pub(super) fn read(path: &Path, forbidden: u32) -> Result<Zeroizing<String>, Unread> {
    let file = File::open(path).map_err(Unread::File)?;
    let mode = file.metadata().map_err(Unread::File)?.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(Unread::Exposed(mode));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(READ_LIMIT)
        .read_to_string(&mut text)
        .map_err(Unread::File)?;
    let len = text.trim_ascii_end().len();
    text.truncate(len);
    Ok(text)
}

/// Below this, a token can be found by trying.
pub(super) const MIN_LEN: usize = 16;
pub(super) const MAX_LEN: usize = 255;

/// More is not a token, whatever it is.
const READ_LIMIT: u64 = 4096;

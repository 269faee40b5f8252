//! The input of commands: files (`-` is standard input), durations and the environment.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use super::exit::Usage;

/// Reads a whole file with keys, certificates or a token.
///
/// # Errors
/// When the file is missing, unreadable, or larger than any of its kind.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Usage> {
    bytes_up_to(path, MAX_BYTES)
}

/// Reads a whole file that has at most `max` bytes.
///
/// # Errors
/// When the file is missing, unreadable or larger.
pub(crate) fn bytes_up_to(path: &Path, max: u64) -> Result<Vec<u8>, Usage> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(max + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > max {
        let name = name(path);
        return Err(Usage(format!("{name} is larger than {max} bytes")));
    }
    Ok(bytes)
}

/// Reads a whole file of text, as [`bytes`] does.
///
/// # Errors
/// When the file is missing, unreadable or too large, or is not UTF-8.
pub(crate) fn text(path: &Path) -> Result<String, Usage> {
    String::from_utf8(bytes(path)?).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        Usage(format!("{} is not UTF-8 at byte {byte}", name(path)))
    })
}

/// Opens a file.
///
/// # Errors
/// When the file is missing or unreadable.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read + Send>, Usage> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    match File::open(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Returns the error of a file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Usage {
    Usage(format!("cannot read {}: {error}", name(path)))
}

/// Returns the name of a file for messages.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Converts a duration for the API.
pub(crate) fn duration(
    given: Option<Duration>,
    option: &str,
) -> anyhow::Result<Option<prost_types::Duration>> {
    let given = given.map(prost_types::Duration::try_from).transpose();
    given.map_err(|_| Usage(format!("{option}: the duration is too long")).into())
}

/// Returns the environment; bytes that are not UTF-8 are replaced.
pub(crate) fn environment() -> Vec<(String, String)> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// Room for the CA certificates of a system.
const MAX_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_refused() {
        let refused = text(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(refused, "/dev/zero is larger than 4194304 bytes");
    }
}

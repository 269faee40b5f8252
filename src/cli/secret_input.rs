//! Secrets as input of a command: on the command line, in a file, or on standard input.

use std::convert::Infallible;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use countersign::model::Secret;
use zeroize::Zeroizing;

use super::exit::Usage;
use super::input;
use super::output;

/// Parses a secret on the command line, where other users of the machine and the shell's history
/// see it.
#[expect(clippy::unnecessary_wraps, reason = "clap asks for a Result")]
pub(crate) fn inline(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.as_bytes()))
}

/// Returns the secret of an option, or of its file without one line break at the end; `None` if
/// neither is given. An error about the file names the option with `-file` at its end.
///
/// # Errors
/// When the file is unreadable, or the secret is empty: a missing secret is generated, so an empty
/// one is a mistake.
pub(crate) fn read(
    inline: Option<&Secret>,
    file: Option<&Path>,
    option: &str,
) -> anyhow::Result<Option<Secret>> {
    let (secret, suffix) = match (inline, file) {
        (Some(secret), _) => (secret.clone(), ""),
        (None, Some(path)) => {
            warn_of_exposure(path);
            (in_file(path)?, "-file")
        }
        (None, None) => return Ok(None),
    };
    if secret.expose().is_empty() {
        return Err(Usage(format!("{option}{suffix}: the secret is empty")).into());
    }
    Ok(Some(secret))
}

/// Returns the secret in a file, without one line break at the end.
///
/// # Errors
/// When the file is unreadable.
pub(crate) fn in_file(path: &Path) -> Result<Secret, Usage> {
    content(input::open(path)?).map_err(|error| input::unreadable(path, &error))
}

/// Warns if every user of this machine can read or change a file with a secret.
pub(crate) fn warn_of_exposure(path: &Path) {
    if is_exposed(path) {
        let path = path.display();
        output::note(&format!(
            "warning: every user of this machine can read or change {path}; run: chmod 600 {path}"
        ));
    }
}

/// Returns true if every user of this machine can read or change a file. Standard input and pipes
/// are no files.
pub(crate) fn is_exposed(path: &Path) -> bool {
    let file = fs::metadata(path).ok();
    let file = file.filter(|found| path != Path::new("-") && found.is_file());
    file.is_some_and(|found| found.permissions().mode() & EVERYONE != 0)
}

/// Returns the secret as the API expects it; no secret is the empty text.
///
/// # Errors
/// When it is not UTF-8.
pub(crate) fn text(secret: Option<&Secret>) -> anyhow::Result<String> {
    let bytes = secret.map(Secret::expose).unwrap_or_default();
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Usage("the secret is not UTF-8 text".to_owned()).into())
}

fn content(file: impl Read) -> io::Result<Secret> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LIMIT).read_to_end(&mut bytes)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(Secret::new(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// The permissions of every user to read and to write.
const EVERYONE: u32 = 0o006;

/// Longer than a secret may be, so that the server refuses a longer one instead of receiving a part
/// of it.
const LIMIT: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_a_secret() {
        for (file, secret) in [
            ("s3cret", "s3cret"),
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            ("s\n\n", "s\n"),
        ] {
            assert_eq!(
                content(file.as_bytes()).unwrap(),
                Secret::new(secret.as_bytes()),
                "{file:?}"
            );
        }
    }

    #[test]
    fn a_file_that_every_user_can_read_is_exposed() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secret");
        fs::write(&file, "s3cret").unwrap();
        for (mode, exposed) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_exposed(&file), exposed, "{mode:o}");
        }
        for no_file in ["-", "/dev/null", "/no/such"] {
            assert!(!is_exposed(Path::new(no_file)), "{no_file}");
        }
    }

    #[test]
    fn an_empty_secret_is_a_mistake_and_none_is_not() {
        let empty = Secret::new(*b"");
        assert_eq!(
            read(Some(&empty), None, "--token-secret")
                .unwrap_err()
                .to_string(),
            "--token-secret: the secret is empty"
        );
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secret");
        fs::write(&file, "\n").unwrap();
        assert_eq!(
            read(None, Some(&file), "--token-secret")
                .unwrap_err()
                .to_string(),
            "--token-secret-file: the secret is empty"
        );
        assert!(read(None, None, "--token-secret").unwrap().is_none());
    }
}

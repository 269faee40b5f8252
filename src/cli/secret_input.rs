//! Secrets as input of a command: on the command line, in a file, or on standard input.

use std::convert::Infallible;
use std::io::{self, Read};
use std::path::Path;

use countersign::model::Secret;
use zeroize::Zeroizing;

use super::exit::Usage;
use super::input;

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
    let secret = match (inline, file) {
        (Some(secret), _) => secret.clone(),
        (None, Some(path)) => {
            content(input::open(path)?).map_err(|error| input::unreadable(path, &error))?
        }
        (None, None) => return Ok(None),
    };
    if secret.expose().is_empty() {
        let suffix = if inline.is_none() && option.starts_with("--") {
            "-file"
        } else {
            ""
        };
        return Err(Usage(format!("{option}{suffix}: the secret is empty")).into());
    }
    Ok(Some(secret))
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
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(
            read(None, Some(&file), "--token-secret")
                .unwrap_err()
                .to_string(),
            "--token-secret-file: the secret is empty"
        );
        assert!(read(None, None, "--token-secret").unwrap().is_none());
    }
}

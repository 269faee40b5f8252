//! Secrets that a command is given: in a file, on standard input, or on the command line.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use countersign::model::Secret;
use zeroize::Zeroizing;

use super::Usage;

/// Takes a secret from the command line, where other users of the machine and the shell's history see it.
#[expect(clippy::unnecessary_wraps, reason = "clap asks for a Result")]
pub(crate) fn inline(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.as_bytes()))
}

/// The secret that was given in one of the two ways, if any; `-` is standard input. One line break at its end is not
/// part of it.
///
/// # Errors
/// When it is empty: a secret left out is made, an empty one is a mistake.
pub(crate) fn read(
    inline: Option<&Secret>,
    file: Option<&Path>,
    option: &str,
) -> anyhow::Result<Option<Secret>> {
    let secret = match (inline, file) {
        (Some(secret), _) => secret.clone(),
        (None, Some(path)) if path == Path::new("-") => {
            all(io::stdin().lock()).context("standard input")?
        }
        (None, Some(path)) => File::open(path)
            .and_then(all)
            .with_context(|| path.display().to_string())?,
        (None, None) => return Ok(None),
    };
    if secret.expose().is_empty() {
        return Err(Usage(format!("{option}: the secret is empty")).into());
    }
    Ok(Some(secret))
}

/// The secret as the API takes it.
///
/// # Errors
/// When it is not UTF-8.
pub(crate) fn text(secret: Option<&Secret>) -> anyhow::Result<String> {
    let bytes = secret.map(Secret::expose).unwrap_or_default();
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Usage("the secret is not UTF-8 text".to_owned()).into())
}

fn all(from: impl Read) -> io::Result<Secret> {
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(LIMIT).read_to_end(&mut bytes)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(Secret::new(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// More than a secret may have, so that one that is too long is refused and not cut.
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
                all(file.as_bytes()).unwrap(),
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
        assert!(read(None, None, "--token-secret").unwrap().is_none());
    }
}

//! `authorize.logo_file`: the logo of the service.
//!
//! # Security
//! Pages contain the logo as a `data:` URL in an `<img>`. Browsers run no script in an image and load
//! nothing for it, and the policy of the page allows no script. There is no address at which an SVG
//! could be opened as a document of this site.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::trusted_file::{self, FileKind, TrustError};

/// The logo of the service.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceLogo {
    data_url: String,
}

/// The reason why a logo cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogoError {
    /// The file cannot be read.
    #[error("authorize.logo_file: {0}")]
    File(TrustError),
    /// The file is not an image of a known kind.
    #[error(
        "authorize.logo_file: {} is not a PNG, SVG, JPEG or WebP image: convert it to one",
        .0.display()
    )]
    Kind(PathBuf),
    /// The image contains a script.
    #[error(
        "authorize.logo_file: {} contains a script, which no browser would run in an image: remove it",
        .0.display()
    )]
    Script(PathBuf),
}

impl ServiceLogo {
    /// Reads the logo that the configuration names, if it names one. Blocks.
    ///
    /// # Errors
    /// If the file cannot be read, is too long, or is not an image.
    pub fn load(path: Option<&Path>) -> Result<Option<Self>, LogoError> {
        path.map(Self::read).transpose()
    }

    fn read(path: &Path) -> Result<Self, LogoError> {
        let bytes = trusted_file::read(path, FileKind::Image, MAX_LEN).map_err(LogoError::File)?;
        let media_type = media_type(&bytes).ok_or_else(|| LogoError::Kind(path.to_owned()))?;
        if media_type == SVG && has_script(&bytes) {
            return Err(LogoError::Script(path.to_owned()));
        }
        let data = STANDARD.encode(&bytes[..]);
        Ok(Self {
            data_url: format!("data:{media_type};base64,{data}"),
        })
    }

    /// Returns the logo as a URL.
    pub(super) fn data_url(&self) -> &str {
        &self.data_url
    }
}

impl fmt::Debug for ServiceLogo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.data_url.len();
        f.debug_struct("ServiceLogo").field("len", &len).finish()
    }
}

/// Returns the media type of an image, by its first bytes.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => is_svg(bytes).then_some(SVG),
    }
}

/// Returns whether a text begins with markup and has an `<svg>` element.
fn is_svg(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let begins = ["<?xml", "<!--", "<!DOCTYPE svg", "<svg"];
        begins.iter().any(|begin| text.starts_with(begin)) && text.contains("<svg")
    })
}

/// Returns whether an SVG has a `<script>` element, which a drawing program may have added.
fn has_script(bytes: &[u8]) -> bool {
    let needle = b"<script";
    bytes
        .windows(needle.len())
        .any(|part| part.eq_ignore_ascii_case(needle))
}

const SVG: &str = "image/svg+xml";

/// More than a logo on a phone needs. Every page contains it.
const MAX_LEN: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::NamedTempFile;

    use super::*;

    fn load(content: &[u8]) -> Result<String, String> {
        let file = written(content);
        let name = file.path().display().to_string();
        let loaded = ServiceLogo::read(file.path());
        loaded
            .map(|logo| logo.data_url)
            .map_err(|error| error.to_string().replace(&name, "LOGO"))
    }

    fn written(content: &[u8]) -> NamedTempFile {
        let file = NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_logo_is_known_by_its_content() {
        let png = b"\x89PNG\r\n\x1a\nrest";
        for (content, media_type) in [
            (&png[..], "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 ", "image/webp"),
            (
                b"<svg xmlns='http://www.w3.org/2000/svg'/>",
                "image/svg+xml",
            ),
            (
                "\u{feff}<?xml version='1.0'?>\n<!-- a -->\n<svg/>".as_bytes(),
                "image/svg+xml",
            ),
        ] {
            let url = load(content).unwrap();
            let begin = format!("data:{media_type};base64,");
            let data = url.strip_prefix(&begin).unwrap();
            assert_eq!(STANDARD.decode(data).unwrap(), content);
        }
        assert_eq!(ServiceLogo::load(None).unwrap(), None);
    }

    #[test]
    fn anything_else_is_refused_with_its_place_and_remedy() {
        let kind =
            "authorize.logo_file: LOGO is not a PNG, SVG, JPEG or WebP image: convert it to one";
        for other in [
            &b""[..],
            b"GIF89a",
            b"<html><svg/></html>",
            b"<svg>\xff</svg>",
        ] {
            assert_eq!(load(other), Err(kind.to_owned()));
        }
        for script in [
            "<svg><script>alert(1)</script></svg>",
            "<svg><SCRIPT/></svg>",
        ] {
            let problem = load(script.as_bytes()).unwrap_err();
            assert!(problem.contains("contains a script"), "{problem}");
        }
        let long = load(&vec![b' '; 64 * 1024 + 1]).unwrap_err();
        assert_eq!(
            long,
            "authorize.logo_file: LOGO is longer than 65536 bytes: put only what belongs there into it"
        );
        let missing = ServiceLogo::load(Some(Path::new("/missing.png")));
        let missing = missing.unwrap_err().to_string();
        assert!(
            missing.starts_with("authorize.logo_file: cannot read /missing.png: "),
            "{missing}"
        );
    }
}

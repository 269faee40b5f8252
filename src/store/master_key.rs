//! The master keys that seal records at rest, and the file that holds them.
//!
//! A master key file has one line for each key, exactly as `countersign keygen` prints it:
//!
//! ```text
//! 4f1d09c2:uJ4b1x…=        the key id, a colon, 32 random bytes in base64
//! ```
//!
//! The first key seals, and every key opens. To rotate, append a new line to the file of every
//! replica, move it to the front everywhere, run `countersign rekey`, and remove the old line. The
//! module `seal` seals and opens with these keys.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::data_dir::{directory_of, sync_directory};
use crate::clock::Entropy;
use crate::trusted_file::{self, FileKind, TrustError};

/// Generates a master key: one line of a master key file, without the line end.
///
/// # Security
/// This line opens every record that it seals. Its memory is wiped when it is dropped.
pub fn new_master_key(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut id = [0; ID_BYTES];
    entropy.fill(&mut id);
    let mut key = Zeroizing::new([0; KEY_LEN]);
    entropy.fill(&mut key[..]);
    let encoded = Zeroizing::new(STANDARD.encode(&key[..]));
    let id = u32::from_be_bytes(id);
    // One allocation of the right size, so that no copy of the key is left in memory.
    let mut line = Zeroizing::new(String::with_capacity(2 * ID_BYTES + 1 + encoded.len()));
    line.push_str(&format!("{id:08x}:"));
    line.push_str(&encoded);
    line
}

/// Master keys that were read again, to replace those of an open store.
#[derive(Debug)]
pub struct ReplacementKeys(pub(super) MasterKeys);

/// One or more master keys: the first seals, all open.
pub(super) struct MasterKeys(Vec<MasterKey>);

/// A master key, ready to seal and open.
pub(super) struct MasterKey {
    id: Box<str>,
    cipher: XChaCha20Poly1305,
    /// A hash of the key, to recognize it; never shown.
    hash: [u8; 32],
}

/// The reason for which there are no master keys; never carries a byte of a key.
#[derive(Debug, thiserror::Error)]
pub(super) enum MasterKeyError {
    #[error("the master key file: {0}")]
    Untrusted(TrustError),
    #[error("cannot create the master key file {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("line {line} of the master key file: {problem}")]
    Line { line: usize, problem: LineProblem },
    #[error(
        "the master key file has no key; run `countersign keygen` and put the line that it prints into the file"
    )]
    Empty,
}

/// The problem of a line in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineProblem {
    #[error("expected <key id>:<base64 of 32 bytes>, as `countersign keygen` prints it")]
    NoColon,
    #[error("the key id must have 1 to 32 letters, digits, - or _")]
    Id,
    #[error(
        "the key is not base64 of 32 bytes; copy the whole line that `countersign keygen` printed"
    )]
    Key,
    #[error("line {0} has the same key id; give each key its own id")]
    Duplicate(usize),
    #[error("the line is not text; copy the line that `countersign keygen` printed")]
    Text,
}

// === impl MasterKeys ===

impl MasterKeys {
    /// Reads the keys of a file.
    pub(super) fn read(path: &Path, kind: FileKind) -> Result<Self, MasterKeyError> {
        let text =
            trusted_file::read(path, kind, MAX_FILE_LEN).map_err(MasterKeyError::Untrusted)?;
        Self::parse(&text)
    }

    /// Creates a file with one new key, and reads it back. An existing file is an error.
    ///
    /// The file gets its name when it is complete: an interrupted start leaves no key file, and if
    /// two processes start at once, the second one finds the file of the first.
    pub(super) fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, MasterKeyError> {
        let line = new_master_key(entropy);
        let unfinished = path.with_added_extension(&line[..2 * ID_BYTES]);
        let written =
            write_private(&unfinished, &line).and_then(|()| fs::hard_link(&unfinished, path));
        let removed = fs::remove_file(&unfinished);
        written
            .and(removed)
            .and_then(|()| sync_directory(directory_of(path)))
            .map_err(|source| MasterKeyError::Write {
                path: path.to_owned(),
                source,
            })?;
        Self::read(path, FileKind::Own)
    }

    /// Returns a new key that is in memory alone, for a store that is in memory too.
    pub(super) fn ephemeral(entropy: &dyn Entropy) -> Result<Self, MasterKeyError> {
        Self::parse(new_master_key(entropy).as_bytes())
    }

    /// Parses the text of a file. Empty lines and lines that begin with `#` are skipped.
    pub(super) fn parse(text: &[u8]) -> Result<Self, MasterKeyError> {
        let mut keys: Vec<MasterKey> = Vec::new();
        let mut lines: Vec<usize> = Vec::new();
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let wrong = |problem| MasterKeyError::Line {
                line: at + 1,
                problem,
            };
            let key = MasterKey::parse(line).map_err(wrong)?;
            if let Some(same) = keys.iter().position(|other| other.id == key.id) {
                return Err(wrong(LineProblem::Duplicate(lines[same])));
            }
            keys.push(key);
            lines.push(at + 1);
        }
        if keys.is_empty() {
            Err(MasterKeyError::Empty)
        } else {
            Ok(Self(keys))
        }
    }

    /// Returns the key that seals.
    pub(super) fn sealing(&self) -> &MasterKey {
        &self.0[0]
    }

    /// Returns the ids of the keys in the order of the file.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(MasterKey::id)
    }

    /// Finds the key with that id.
    pub(super) fn of_id(&self, id: &str) -> Option<&MasterKey> {
        self.0.iter().find(|key| &*key.id == id)
    }

    /// Returns the id of a key that `others` have with other bytes.
    pub(super) fn id_of_another_key_in(&self, others: &Self) -> Option<&str> {
        let is_another = |key: &&MasterKey| {
            let other = others.of_id(&key.id);
            other.is_some_and(|other| other.hash != key.hash)
        };
        self.0.iter().find(is_another).map(MasterKey::id)
    }

    /// Returns the ids of the keys that `others` lack.
    pub(super) fn ids_not_in(&self, others: &Self) -> Vec<&str> {
        self.ids().filter(|id| others.of_id(id).is_none()).collect()
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.id))
            .finish()
    }
}

// === impl MasterKey ===

impl MasterKey {
    /// Returns the id, which is part of every record that the key sealed.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the cipher that seals and opens with the key.
    pub(super) fn cipher(&self) -> &XChaCha20Poly1305 {
        &self.cipher
    }

    fn parse(line: &[u8]) -> Result<Self, LineProblem> {
        let line = std::str::from_utf8(line).map_err(|_| LineProblem::Text)?;
        let (id, encoded) = line.split_once(':').ok_or(LineProblem::NoColon)?;
        if !is_key_id(id) {
            return Err(LineProblem::Id);
        }
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| LineProblem::Key)?);
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| LineProblem::Key)?;
        Ok(Self {
            id: id.into(),
            cipher,
            hash: Sha256::digest(&*bytes).into(),
        })
    }
}

/// Returns `true` if a text can be the id of a key.
pub(super) fn is_key_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=32).contains(&id.len()) && id.bytes().all(is_allowed)
}

fn write_private(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(line.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Bytes of a master key.
const KEY_LEN: usize = 32;

/// Random bytes of a new key id: enough that no two keys of a file share an id by chance.
const ID_BYTES: usize = 4;

/// The most bytes of a master key file: room for hundreds of keys.
const MAX_FILE_LEN: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::clock::{CountingEntropy, SystemEntropy};

    #[test]
    fn the_output_of_keygen_is_a_master_key_file() {
        let entropy = CountingEntropy::default();
        let (first, second) = (new_master_key(&entropy), new_master_key(&entropy));
        let keys = MasterKeys::parse(format!("{}\n{}\n", *first, *second).as_bytes()).unwrap();
        assert_eq!(keys.sealing().id(), first.split_once(':').unwrap().0);
        assert!(keys.of_id(second.split_once(':').unwrap().0).is_some());
        assert_eq!(first.lines().count(), 1);
    }

    #[test]
    fn a_bad_line_is_named_and_never_shown() {
        let good = new_master_key(&SystemEntropy);
        let id = good.split_once(':').unwrap().0;
        let short = "k2:c2hvcnQ=";
        for (line, expected) in [
            ("no-colon-here", LineProblem::NoColon),
            ("bad id:AAAA", LineProblem::Id),
            (":AAAA", LineProblem::Id),
            (short, LineProblem::Key),
            (
                &format!("{id}:{}", STANDARD.encode([7; 32])),
                LineProblem::Duplicate(1),
            ),
        ] {
            let error = MasterKeys::parse(format!("{}\n{line}\n", *good).as_bytes()).unwrap_err();
            let MasterKeyError::Line { line: 2, problem } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(*problem, expected);
            let secret = line.split_once(':').map_or(line, |(_, key)| key);
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
        assert!(matches!(
            MasterKeys::parse(b"\n# none\n"),
            Err(MasterKeyError::Empty)
        ));
    }

    #[test]
    fn a_line_problem_says_what_to_do() {
        let error = MasterKeys::parse(b"k1:c2hvcnQ=").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1 of the master key file: the key is not base64 of 32 bytes; copy the whole line that `countersign keygen` printed"
        );
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master-key");
        MasterKeys::create(&path, &SystemEntropy).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for (kind, mode, remedy) in [
            (FileKind::Own, 0o440, "chmod 600"),
            (FileKind::Secret, 0o644, "chmod 640"),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = MasterKeys::read(&path, kind).unwrap_err().to_string();
            assert!(error.contains(remedy), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
        assert!(MasterKeys::read(&path, FileKind::Secret).is_ok());
    }

    #[test]
    fn a_key_file_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master-key");
        MasterKeys::create(&path, &SystemEntropy).unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(
            MasterKeys::create(&path, &SystemEntropy),
            Err(MasterKeyError::Write { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn keys_are_never_shown() {
        let line = new_master_key(&SystemEntropy);
        let keys = MasterKeys::parse(line.as_bytes()).unwrap();
        let (id, key) = line.split_once(':').unwrap();
        assert_eq!(format!("{keys:?}"), format!("[{id:?}]"));
        assert!(!format!("{keys:?}").contains(key));
    }
}

//! The decision when changed files are read again.
//!
//! Files that belong together, as a certificate and its key, are often written one after the other.
//! So a change counts once two looks in a row saw the same.

use super::files::FileStates;

/// The contents that were read last, and those that may be read next.
#[derive(Debug, Default)]
pub(super) struct ChangeDetector {
    known: FileStates,
    candidate: Option<FileStates>,
}

impl ChangeDetector {
    /// Returns a detector of changes to `known`.
    pub(super) const fn new(known: FileStates) -> Self {
        Self {
            known,
            candidate: None,
        }
    }

    /// Returns the contents that were read last.
    pub(super) const fn known(&self) -> &FileStates {
        &self.known
    }

    /// Notes the contents of another look; returns true if they must be read.
    pub(super) fn must_read(&mut self, seen: FileStates) -> bool {
        if seen == self.known {
            self.candidate = None;
            return false;
        }
        if self.candidate.as_ref() == Some(&seen) {
            return true;
        }
        self.candidate = Some(seen);
        false
    }

    /// Notes the contents that were read, whether or not they had a mistake.
    pub(super) fn was_read(&mut self, known: FileStates) {
        *self = Self::new(known);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_change_is_read_once_it_was_seen_twice() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("crt"), directory.path().join("key"));
        let look = || FileStates::of([certificate.clone(), key.clone()]);
        let write = |path: &Path, text| fs::write(path, text).unwrap();
        write(&certificate, "1");
        write(&key, "1");
        let mut changes = ChangeDetector::new(look());
        assert!(!changes.must_read(look()));

        write(&certificate, "2");
        assert!(!changes.must_read(look()), "half of the pair");
        write(&key, "2");
        assert!(!changes.must_read(look()), "changed since the last look");
        assert!(changes.must_read(look()));

        changes.was_read(look());
        assert!(!changes.must_read(look()) && !changes.must_read(look()));
        write(&key, "3");
        assert!(!changes.must_read(look()));
        write(&key, "2");
        assert!(!changes.must_read(look()), "changed back");
        write(&key, "3");
        assert!(!changes.must_read(look()), "a change back does not count");
    }
}

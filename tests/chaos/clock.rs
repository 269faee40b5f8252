//! A wall clock that a row can set, for the programs that it starts. The library of `clock.c` gives
//! it to them; their monotonic clocks stay as they are.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

/// A clock that differs from this machine's.
pub(crate) struct FakeClock {
    directory: TempDir,
    offset: File,
}

impl FakeClock {
    /// Returns a clock with an offset in seconds.
    pub(crate) fn at(offset: i64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Self {
            offset: File::create(directory.path().join(OFFSET)).unwrap(),
            directory,
        };
        clock.set(offset);
        clock
    }

    /// Sets the offset from this machine's clock in seconds.
    pub(crate) fn set(&self, offset: i64) {
        self.offset.write_all_at(&offset.to_ne_bytes(), 0).unwrap();
    }

    /// Returns the environment of a program with this clock.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let library = LIBRARY.display().to_string();
        let offset = self.directory.path().join(OFFSET);
        vec![
            ("LD_PRELOAD".to_owned(), library),
            ("CHAOS_CLOCK".to_owned(), offset.display().to_string()),
        ]
    }
}

/// The compiled library. Rust links with `cc` too, so it exists.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libchaosclock.so");
    fs::create_dir_all(library.parent().unwrap()).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/clock.c"))
        .status();
    assert!(
        compiled.unwrap().success(),
        "cc compiles tests/chaos/clock.c"
    );
    library
});

const OFFSET: &str = "offset";

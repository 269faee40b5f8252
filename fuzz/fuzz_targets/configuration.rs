//! Every text is either a configuration that can be served, or a list of mistakes, each with its
//! place.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use countersign::config::{ConfigError, Sources, load};
use countersign_fuzz::check::serve_unsigned;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

fuzz_target!(|text: &[u8]| {
    let file = DIRECTORY.path().join("countersign.toml");
    fs::write(&file, text).expect("the directory can be written");
    let sources = Sources {
        file: Some(file),
        ..Sources::default()
    };
    match load(&sources) {
        Ok(config) => {
            drop(config.warnings());
            serve_unsigned(&config);
        }
        Err(error) => judge(&error, text),
    }
});

static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().expect("a directory"));

fn judge(error: &ConfigError, text: &[u8]) {
    assert!(!error.mistakes().is_empty());
    let lines = text.split(|&byte| byte == b'\n').count();
    for mistake in error.mistakes() {
        let shown = mistake.to_string();
        let after_file = shown.split_once("countersign.toml").map(|(_, after)| after);
        let after_file = after_file.unwrap_or_else(|| panic!("no place: {shown}"));
        let line = after_file
            .strip_prefix(':')
            .and_then(|after| after.split(':').next());
        if let Some(line) = line.and_then(|line| line.parse::<usize>().ok()) {
            assert!((1..=lines).contains(&line), "no such line: {shown}");
        }
    }
}

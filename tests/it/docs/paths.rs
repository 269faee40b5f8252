//! `README.md`, `SECURITY.md`, `docs/` and `deploy/`: every file of this project that they name exists.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::process::project;

/// The folders whose files are recognized by their names alone.
const FOLDERS: [&str; 9] = [
    "benches/",
    "deploy/",
    "docs/",
    "proto/",
    "scripts/",
    "src/",
    "templates/",
    "tests/",
    ".ci/",
];

/// A Deployment, as kubectl names it.
const DEPLOYMENT: &str = "deploy/countersign";

#[test]
fn every_named_file_exists() {
    let mut missing = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let name = page
            .strip_prefix(project(""))
            .unwrap()
            .display()
            .to_string();
        let named = named_files(&text)
            .into_iter()
            .filter(|file| !project(file).exists());
        missing.extend(named.map(|file| format!("{name}: {file}")));
        if page.extension() != Some("md".as_ref()) {
            continue;
        }
        let folder = page.parent().unwrap();
        let linked = links(&text)
            .into_iter()
            .filter(|link| !folder.join(link).exists());
        missing.extend(linked.map(|link| format!("{name}: {link} (a link)")));
    }
    assert!(
        missing.is_empty(),
        "these files do not exist:\n{}",
        missing.join("\n")
    );
}

#[test]
fn names_and_links_are_found_in_text() {
    let text = "Run `scripts/test --lib`, read [it](../docs/a.md#part) or (src/store/#a, \"tests/it/x.rs\").\n\
                ```sh\n$ scripts/demo\n```\nNot https://example.com/docs/x, `docs/*.md` or [web](https://a.b/c), [top](#top).";
    assert_eq!(
        named_files(text),
        [
            "scripts/test",
            "src/store/",
            "tests/it/x.rs",
            "scripts/demo"
        ]
    );
    assert_eq!(links(text), ["../docs/a.md"]);
}

/// Returns the words of a text that name a file of this project, except patterns.
fn named_files(text: &str) -> Vec<&str> {
    let is_end = |c: char| c.is_whitespace() || "`\"'()[]|,;".contains(c);
    let words = text
        .split(is_end)
        .map(|word| word.trim_end_matches(['.', ':']))
        .map(|word| word.split_once('#').map_or(word, |(file, _)| file));
    words
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .filter(|word| *word != DEPLOYMENT && !word.contains(['*', '<', '$', '{', '…']))
        .collect()
}

/// Returns the targets of the links to other files, without their anchors.
fn links(text: &str) -> Vec<&str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next());
    targets
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .collect()
}

/// Returns the text files in which names are checked.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![project("README.md"), project("SECURITY.md")];
    for folder in ["docs", "deploy"] {
        collect(&project(folder), &mut pages);
    }
    pages
}

fn collect(folder: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, pages);
        } else if fs::read_to_string(&path).is_ok() {
            pages.push(path);
        }
    }
}

//! `docs/threat-model.md`: every test that it names exists.

use std::fs;

use crate::support::process::project;

#[test]
fn every_named_test_exists() {
    let page = fs::read_to_string(project("docs/threat-model.md")).unwrap();
    let named = named_tests(&page);
    assert!(named.len() > 60, "only {} tests are named", named.len());
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        read_all(&project(folder), &mut sources);
    }
    let missing: Vec<_> = named
        .into_iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "these tests do not exist: {missing:?}");
}

#[test]
fn every_attack_has_a_test_or_is_said_to_be_undetected() {
    let page = fs::read_to_string(project("docs/threat-model.md")).unwrap();
    let (_, attacks) = page.split_once("## Attackers, defenses and tests").unwrap();
    for row in attacks.lines().filter(|line| line.starts_with("| ")) {
        let is_heading = row.ends_with("| test |");
        let is_open = row.contains("**not detected**");
        assert!(
            is_heading || is_open || !named_tests(row).is_empty(),
            "no test in {row}"
        );
    }
}

/// Returns the words in backticks that look like the name of a test: four words or more.
fn named_tests(text: &str) -> Vec<&str> {
    let is_test = |word: &&str| {
        word.split('_').count() >= 4
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.split('`').skip(1).step_by(2).filter(is_test).collect()
}

fn read_all(folder: &std::path::Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

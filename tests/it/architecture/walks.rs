//! `docs/architecture.md`: its walks name files of `src/` in the order in which a request meets
//! them.
//!
//! A walk is a numbered list under its heading; each entry begins with a file in backticks:
//!
//! ```text
//! 1. `src/server/ext_authz/grpc.rs` — reads the frame
//! ```
//!
//! An earlier file of the walk imports each file, directly or through others; or the file uses an
//! item of an earlier one, as an `impl` of its type or trait does.

use std::fs;

use super::graph::ImportGraph;
use crate::support::process::project;

const WALKS: [&str; 4] = [
    "A check",
    "An exchange at /oauth/access_token",
    "consumer create",
    "A reload",
];

#[test]
fn the_walks_follow_the_imports() {
    let page = page();
    let graph = ImportGraph::of_this_project();
    for heading in WALKS {
        let walk = walk(&page, heading);
        assert!(
            walk.len() > 2,
            "docs/architecture.md: the walk \"{heading}\" names {} files",
            walk.len()
        );
        assert_eq!(
            gaps(&graph, &walk),
            Vec::<String>::new(),
            "docs/architecture.md: \"{heading}\""
        );
    }
}

#[test]
fn every_source_file_on_the_page_exists() {
    for file in page().split(|c: char| !(c.is_alphanumeric() || "/_.".contains(c))) {
        if file.starts_with("src/") {
            assert!(
                project(file).exists(),
                "docs/architecture.md: {file} does not exist"
            );
        }
    }
}

#[test]
fn a_file_without_a_link_to_the_walk_is_a_gap() {
    let graph = ImportGraph::of_files(&[
        (
            "src/lib.rs",
            "mod a; mod between; mod c; mod implementation; mod other;",
        ),
        ("src/a.rs", "fn f() { crate::between::f() }"),
        ("src/between.rs", "pub fn f() { crate::c::f() }"),
        ("src/c.rs", "pub fn f() {} pub trait C {}"),
        ("src/implementation.rs", "impl crate::c::C for () {}"),
        ("src/other.rs", ""),
    ]);
    assert_eq!(
        gaps(&graph, &["src/a.rs", "src/c.rs", "src/implementation.rs"]),
        Vec::<String>::new()
    );
    assert_eq!(
        gaps(
            &graph,
            &["src/c.rs", "src/implementation.rs", "src/other.rs"]
        ),
        ["src/other.rs: no earlier file imports it, and it imports no earlier file"]
    );
}

#[test]
fn a_walk_is_read_up_to_the_next_heading() {
    let page = "# Page\n\n## A check\n\nText `src/x.rs`.\n\n1. `src/a.rs` — first\n   and more\n\
                2. `src/b.rs` — second\n\n## Other\n\n1. `src/c.rs` — third\n";
    assert_eq!(walk(page, "A check"), ["src/a.rs", "src/b.rs"]);
    assert_eq!(walk(page, "Missing"), Vec::<&str>::new());
}

/// Returns a problem for each file that is not linked to an earlier file of its walk.
fn gaps(graph: &ImportGraph, walk: &[&str]) -> Vec<String> {
    let is_linked = |file: &str, earlier: &[&str]| {
        let mut earlier = earlier.iter();
        earlier.any(|first| graph.shortest_path(first, file).is_some() || graph.uses(file, first))
    };
    let files = walk.iter().enumerate().skip(1);
    files
        .filter(|(at, file)| !is_linked(file, &walk[..*at]))
        .map(|(_, file)| {
            format!("{file}: no earlier file imports it, and it imports no earlier file")
        })
        .collect()
}

/// Returns the files of the walk under a heading.
fn walk<'p>(page: &'p str, heading: &str) -> Vec<&'p str> {
    let lines = page
        .lines()
        .skip_while(|line| line.strip_prefix("## ") != Some(heading))
        .skip(1);
    lines
        .take_while(|line| !line.starts_with("## "))
        .filter_map(walk_entry)
        .collect()
}

/// Returns the file of a line such as "1. `src/lib.rs` — text".
fn walk_entry(line: &str) -> Option<&str> {
    let (number, rest) = line.split_once(". `")?;
    number.parse::<usize>().ok()?;
    rest.split_once('`').map(|(file, _)| file)
}

fn page() -> String {
    let path = project("docs/architecture.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

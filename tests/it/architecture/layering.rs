//! Which part of `src/` may know what: data flows one way (`lib.rs`), and each library has one place.
//!
//! Sources are read as text. Comments and literals are taken out, what remains is split into paths (`crate::store::Store`,
//! also out of `use` groups), and each path is held against the rules below.

use std::fs;
use std::path::Path;

use crate::support::process::project;

/// What a part of `src/` may know of the others.
struct Part {
    /// A file or a folder of `src/`.
    name: &'static str,
    knows: &'static [&'static str],
    why: &'static str,
}

const PARTS: &[Part] = &[
    Part {
        name: "oauth",
        knows: &[],
        why: "the protocol core stands alone",
    },
    Part {
        name: "clock",
        knows: &[],
        why: "time is handed to everybody, and knows nobody",
    },
    Part {
        name: "model",
        knows: &["clock", "oauth"],
        why: "everybody shares the model, so it knows almost nobody",
    },
    Part {
        name: "config",
        knows: &["model", "oauth"],
        why: "settings are values",
    },
    Part {
        name: "lanes",
        knows: &[],
        why: "it knows threads, and not what they do",
    },
    Part {
        name: "telemetry",
        knows: &["config", "lanes"],
        why: "instruments do not know what they measure",
    },
    Part {
        name: "store",
        knows: &["clock", "config", "model", "oauth", "telemetry"],
        why: "server → verify, issue → store → model",
    },
    Part {
        name: "verify",
        knows: &["clock", "config", "model", "oauth", "store"],
        why: "a decision does not depend on how it was asked for",
    },
    Part {
        name: "diagnostics",
        knows: &[
            "clock",
            "config",
            "lanes",
            "model",
            "oauth",
            "telemetry",
            "verify",
        ],
        why: "what is kept of a decision does not depend on who tells of it or who is shown it",
    },
    Part {
        name: "directory",
        knows: &["config", "issue", "model", "v1"],
        why: "it asks the operator's users for `issue`, and keeps nothing",
    },
    Part {
        name: "v1",
        knows: &[],
        why: "messages are generated from proto/ and know nobody",
    },
    Part {
        name: "issue",
        knows: &["clock", "config", "model", "oauth", "store"],
        why: "issuing does not depend on how it was asked for",
    },
];

/// What stands only in some places.
struct Place {
    /// Macros, and the beginnings of paths.
    words: &'static [&'static str],
    /// Beginnings of file names.
    only_in: &'static [&'static str],
    why: &'static str,
}

const PLACES: &[Place] = &[
    Place {
        words: &[
            "tonic",
            "tonic_health",
            "tonic_reflection",
            "tonic_prost",
            "tonic_types",
            "hyper",
            "hyper_util",
            "tower",
        ],
        only_in: &["src/server/", "src/cli/", "src/directory/", "src/v1/"],
        why: "gRPC and HTTP are how the service is reached, not what it does",
    },
    Place {
        words: &["axum"],
        only_in: &["src/server/"],
        why: "only the listeners speak HTTP",
    },
    Place {
        words: &["envoy_types"],
        only_in: &["src/server/ext_authz"],
        why: "what Envoy's messages are is known where they are read and written",
    },
    Place {
        words: &["redis", "bb8", "bb8_redis"],
        only_in: &["src/store/redis"],
        why: "a store is a `dyn Store` to everybody else",
    },
    Place {
        words: &["redb"],
        only_in: &["src/store/embedded"],
        why: "a store is a `dyn Store` to everybody else",
    },
    Place {
        words: &["prometheus_client"],
        only_in: &["src/telemetry"],
        why: "instruments are named in one file",
    },
    Place {
        words: &["println!", "eprintln!", "print!", "eprint!", "std::process"],
        only_in: &["src/main.rs", "src/cli/"],
        why: "a library neither prints nor ends the process",
    },
];

#[test]
fn every_file_knows_only_what_it_may() {
    let mut files = Vec::new();
    rust_files(&project("src"), &mut files);
    assert!(files.len() > 30, "only {} files were found", files.len());
    let violations: Vec<_> = files
        .iter()
        .flat_map(|(name, text)| violations(name, text))
        .collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_rule_is_about_something_that_is_there() {
    for Part { name, .. } in PARTS {
        assert!(
            ["", ".rs", "/mod.rs"]
                .iter()
                .any(|end| project(&format!("src/{name}{end}")).exists()),
            "{name}"
        );
    }
    for only_in in PLACES.iter().flat_map(|place| place.only_in) {
        let found = [only_in.to_string(), format!("{only_in}.rs")]
            .iter()
            .any(|path| project(path).exists());
        assert!(found, "{only_in}");
    }
}

#[test]
fn a_violation_is_found_and_explained() {
    let found = |name: &str, text: &str| violations(name, text).join("\n");
    assert_eq!(
        found(
            "src/store/embedded/mod.rs",
            "use crate::{clock::Clock, server::{denial, App}};"
        ),
        "src/store/embedded/mod.rs: `crate::server::denial`: store may know clock, config, model, oauth, telemetry of \
         ours, and not server: server → verify, issue → store → model\n\
         src/store/embedded/mod.rs: `crate::server::App`: store may know clock, config, model, oauth, telemetry of ours, \
         and not server: server → verify, issue → store → model"
    );
    assert_eq!(
        found(
            "src/oauth/request.rs",
            "fn f() { super::super::model::Secret::new() }"
        ),
        "src/oauth/request.rs: `super::super::model::Secret::new`: oauth may know nothing of ours, and not model: the \
         protocol core stands alone"
    );
    assert_eq!(
        found("src/verify/mod.rs", "impl From<tonic::Status> for X {}"),
        "src/verify/mod.rs: `tonic::Status`: `tonic` only in src/server/, src/cli/, src/directory/, src/v1/: gRPC and HTTP are how \
         the service is reached, not what it does"
    );
    assert_eq!(
        found("src/telemetry.rs", "use std::{fs, process::ExitCode};"),
        "src/telemetry.rs: `std::process::ExitCode`: `std::process` only in src/main.rs, src/cli/: a library neither \
         prints nor ends the process"
    );
    assert_eq!(
        found("src/store/open.rs", r#"println!("{}", redis::VERSION);"#),
        "src/store/open.rs: `println!`: `println!` only in src/main.rs, src/cli/: a library neither prints nor ends the \
         process\nsrc/store/open.rs: `redis::VERSION`: `redis` only in src/store/redis: a store is a `dyn Store` to \
         everybody else"
    );
}

#[test]
fn what_only_looks_like_a_violation_is_none() {
    let harmless = [
        "// crate::server::App\n/* tonic::Status /* nested */ axum::Router */",
        r##"const A: &str = "tonic::Status \" axum::Router"; const B: &str = r#"redis::cmd " "#;"##,
        "mod redis; pub use redis::RedisStore;",
        "let redis = url.redis(); std::processor::exit(); my::tonic::Status;",
        "use super::redis::RedisStore; use self::embedded::redis::X;",
        "fn f<'a>(x: &'a str, c: char) -> bool { c == '\"' || c == '\\'' } // tonic::Status",
    ];
    for text in harmless {
        assert_eq!(
            violations("src/store/open.rs", text),
            Vec::<String>::new(),
            "{text}"
        );
    }
}

/// Every rule that a file breaks.
fn violations(file: &str, text: &str) -> Vec<String> {
    let code = without_comments_and_literals(text);
    let tokens = tokens(&code);
    let paths = paths(&tokens);
    let part = file
        .trim_start_matches("src/")
        .split(['/', '.'])
        .next()
        .unwrap();
    let depth = module_depth(file);
    let own: Vec<_> = tokens
        .windows(2)
        .filter(|two| two[0] == "mod")
        .map(|two| two[1])
        .collect();
    let mut found = Vec::new();
    for path in &paths {
        let whole = path.join("::");
        if let Some(problem) = ours(path, depth).and_then(|module| unknown(part, module)) {
            found.push(format!("{file}: `{whole}`: {problem}"));
        }
        let elsewhere = PLACES
            .iter()
            .filter(|place| !place.only_in.iter().any(|prefix| file.starts_with(prefix)));
        for place in elsewhere.filter(|_| !own.contains(&path[0])) {
            if let Some(word) = place.words.iter().find(|word| leads_into(&whole, word)) {
                found.push(format!(
                    "{file}: `{whole}`: `{word}` only in {}: {}",
                    place.only_in.join(", "),
                    place.why
                ));
            }
        }
    }
    found
}

/// The module of ours, right below the root, that a path leads to.
fn ours<'c>(path: &[&'c str], depth: usize) -> Option<&'c str> {
    let supers = path.iter().take_while(|word| **word == "super").count();
    match path[0] {
        "crate" => path.get(1).copied(),
        "super" if supers >= depth => path.get(supers).copied(),
        _ => None,
    }
}

/// Whether a path is this macro, or leads into this library; a word alone may be anybody's name.
fn leads_into(path: &str, word: &str) -> bool {
    path.strip_prefix(word)
        .is_some_and(|rest| rest.starts_with("::") || word.ends_with('!'))
}

/// Why a part may not know a module.
fn unknown(part: &str, module: &str) -> Option<String> {
    let Part { name, knows, why } = PARTS.iter().find(|rule| rule.name == part)?;
    let is_module = ["", ".rs"]
        .iter()
        .any(|end| project(&format!("src/{module}{end}")).exists());
    if !is_module || module == *name || knows.contains(&module) {
        return None;
    }
    let knows = if knows.is_empty() {
        "nothing".to_owned()
    } else {
        knows.join(", ")
    };
    Some(format!(
        "{name} may know {knows} of ours, and not {module}: {why}"
    ))
}

/// How many `super` lead from the module of a file to the root.
fn module_depth(file: &str) -> usize {
    let path = file
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    path.split('/').count()
}

/// Every path in these tokens; `use` groups are taken apart.
fn paths<'c>(tokens: &[&'c str]) -> Vec<Vec<&'c str>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = is_word(tokens[at]) && (at == 0 || tokens[at - 1] != "::");
        at = if begins {
            path(tokens, at, &[], &mut found)
        } else {
            at + 1
        };
    }
    found
}

/// Reads the path that begins at a token, and returns where it ends.
fn path<'c>(
    tokens: &[&'c str],
    mut at: usize,
    before: &[&'c str],
    found: &mut Vec<Vec<&'c str>>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(at) {
            Some(word) if is_word(word) => path.push(word),
            Some(&"{") => return group(tokens, at + 1, &path, found),
            _ => break,
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    if !path.is_empty() {
        found.push(path);
    }
    at
}

/// Reads the group of a `use` up to its `}`.
fn group<'c>(
    tokens: &[&'c str],
    mut at: usize,
    before: &[&'c str],
    found: &mut Vec<Vec<&'c str>>,
) -> usize {
    while at < tokens.len() && tokens[at] != "}" {
        at = if is_word(tokens[at]) {
            path(tokens, at, before, found)
        } else {
            at + 1
        };
    }
    at + 1
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

/// Words (macros with their `!`), `::`, and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match rest.find(|c: char| !c.is_alphanumeric() && c != '_') {
            _ if rest.starts_with("::") => 2,
            Some(0) => first.len_utf8(),
            Some(end) if rest[end..].starts_with('!') && !rest[end..].starts_with("!=") => end + 1,
            Some(end) => end,
            None => rest.len(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal(rest);
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[length..];
        }
    }
    code
}

/// The length of the comment or literal that a text begins with; 0 when it begins with none.
fn literal(text: &str) -> usize {
    let up_to = |end: &str, skip: usize| {
        text[skip..]
            .find(end)
            .map_or(text.len(), |at| at + skip + end.len())
    };
    if text.starts_with("//") {
        return up_to("\n", 0);
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if let Some(hashes) = text
        .strip_prefix('r')
        .map(|raw| raw.len() - raw.trim_start_matches('#').len())
        && text[1 + hashes..].starts_with('"')
    {
        return up_to(&format!("\"{}", "#".repeat(hashes)), 2 + hashes);
    }
    match text.as_bytes() {
        [b'"', ..] => quoted(text, '"'),
        [b'\'', b'\\', ..] => quoted(text, '\''),
        // A lifetime has no closing quote.
        [b'\'', ..] if text.chars().nth(2) == Some('\'') => {
            text.char_indices().nth(3).map_or(text.len(), |(at, _)| at)
        }
        _ => 0,
    }
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a literal that ends at a quote without a backslash before it.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

fn rust_files(directory: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(project(""))
                .unwrap()
                .display()
                .to_string();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

//! The rules of imports in `src/`: data flows one way (`lib.rs`), and each library has one place.

use super::source::{CodePath, SourceFile, source_files};
use crate::support::process::project;

/// A part of `src/`, and the other parts that it may import.
struct Part {
    /// A file or a folder of `src/`.
    name: &'static str,
    imports: &'static [&'static str],
    why: &'static str,
}

const PARTS: &[Part] = &[
    Part {
        name: "oauth",
        imports: &[],
        why: "the protocol core stands alone",
    },
    Part {
        name: "clock",
        imports: &[],
        why: "every part takes the time from it",
    },
    Part {
        name: "model",
        imports: &["clock", "oauth"],
        why: "every part uses the model",
    },
    Part {
        name: "config",
        imports: &["model", "oauth"],
        why: "settings are plain values",
    },
    Part {
        name: "trusted_file",
        imports: &[],
        why: "every part reads its keys and tokens with it",
    },
    Part {
        name: "lanes",
        imports: &[],
        why: "it starts threads for any work",
    },
    Part {
        name: "telemetry",
        imports: &["config", "lanes"],
        why: "instruments do not depend on the code that they measure",
    },
    Part {
        name: "store",
        imports: &[
            "clock",
            "config",
            "model",
            "oauth",
            "telemetry",
            "trusted_file",
        ],
        why: "server → verify, issue → store → model",
    },
    Part {
        name: "verify",
        imports: &["clock", "config", "model", "oauth", "store"],
        why: "a decision does not depend on the protocol of the request",
    },
    Part {
        name: "diagnostics",
        imports: &[
            "clock",
            "config",
            "lanes",
            "model",
            "oauth",
            "telemetry",
            "verify",
        ],
        why: "recorded denials do not depend on the code that reports or shows them",
    },
    Part {
        name: "directory",
        imports: &["config", "issue", "model", "trusted_file", "v1"],
        why: "it only queries the operator's user directory for `issue`",
    },
    Part {
        name: "v1",
        imports: &[],
        why: "messages are generated from proto/",
    },
    Part {
        name: "issue",
        imports: &["clock", "config", "model", "oauth", "store"],
        why: "issuing does not depend on the protocol of the request",
    },
];

/// Libraries and macros that only some places may use.
struct Place {
    /// Macros, and the first segments of paths.
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
        why: "the core does not depend on gRPC or HTTP",
    },
    Place {
        words: &["axum"],
        only_in: &["src/server/"],
        why: "only the listeners speak HTTP",
    },
    Place {
        words: &["envoy_types"],
        only_in: &["src/server/ext_authz"],
        why: "one module translates Envoy's messages",
    },
    Place {
        words: &["redis", "bb8", "bb8_redis"],
        only_in: &["src/store/redis"],
        why: "all other parts use `dyn Store`",
    },
    Place {
        words: &["redb"],
        only_in: &["src/store/embedded"],
        why: "all other parts use `dyn Store`",
    },
    Place {
        words: &["prometheus_client"],
        only_in: &["src/telemetry"],
        why: "one file names all instruments",
    },
    Place {
        words: &["println!", "eprintln!", "print!", "eprint!", "std::process"],
        only_in: &["src/main.rs", "src/cli/"],
        why: "a library neither prints nor ends the process",
    },
];

#[test]
fn every_file_imports_only_what_it_may() {
    let files = source_files();
    let violations: Vec<_> = files
        .iter()
        .flat_map(|(name, text)| violations(name, text))
        .collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_rule_names_an_existing_file() {
    for Part { name, .. } in PARTS {
        let found = ["", ".rs"]
            .iter()
            .any(|end| project(&format!("src/{name}{end}")).exists());
        assert!(found, "src/{name} does not exist");
    }
    for prefix in PLACES.iter().flat_map(|place| place.only_in) {
        let found = ["", ".rs"]
            .iter()
            .any(|end| project(&format!("{prefix}{end}")).exists());
        assert!(found, "{prefix} does not exist");
    }
}

#[test]
fn an_import_of_the_wrong_part_is_reported() {
    let imports = "use crate::{clock::Clock, server::{denial, App}};";
    assert_eq!(
        violations("src/store/embedded/mod.rs", imports),
        [
            "src/store/embedded/mod.rs: `crate::server::denial`: store may import clock, config, model, oauth, \
             telemetry, trusted_file of this crate, not server: server → verify, issue → store → model",
            "src/store/embedded/mod.rs: `crate::server::App`: store may import clock, config, model, oauth, \
             telemetry, trusted_file of this crate, not server: server → verify, issue → store → model",
        ]
    );
    assert_eq!(
        violations(
            "src/oauth/request.rs",
            "fn f() { super::super::model::Secret::new() }"
        ),
        [
            "src/oauth/request.rs: `super::super::model::Secret::new`: oauth may import nothing of this crate, \
          not model: the protocol core stands alone"
        ]
    );
}

#[test]
fn a_library_in_the_wrong_place_is_reported() {
    assert_eq!(
        violations("src/verify/mod.rs", "impl From<tonic::Status> for X {}"),
        [
            "src/verify/mod.rs: `tonic::Status`: `tonic` only in src/server/, src/cli/, src/directory/, src/v1/: \
          the core does not depend on gRPC or HTTP"
        ]
    );
    assert_eq!(
        violations("src/telemetry.rs", "use std::{fs, process::ExitCode};"),
        [
            "src/telemetry.rs: `std::process::ExitCode`: `std::process` only in src/main.rs, src/cli/: a library \
          neither prints nor ends the process"
        ]
    );
    assert_eq!(
        violations("src/store/open.rs", r#"println!("{}", redis::VERSION);"#),
        [
            "src/store/open.rs: `println!`: `println!` only in src/main.rs, src/cli/: a library neither prints nor \
             ends the process",
            "src/store/open.rs: `redis::VERSION`: `redis` only in src/store/redis: all other parts use `dyn Store`",
        ]
    );
}

#[test]
fn code_that_only_resembles_a_violation_is_allowed() {
    let allowed = [
        "// crate::server::App\n/* tonic::Status */",
        r##"const A: &str = "tonic::Status"; const B: &str = r#"redis::cmd " "#;"##,
        "mod redis; pub use redis::RedisStore;",
        "fn f() { let redis = url.redis(); std::processor::exit(); my::tonic::Status; }",
        "use super::redis::RedisStore; use self::embedded::redis::X;",
    ];
    for text in allowed {
        assert_eq!(
            violations("src/store/open.rs", text),
            Vec::<String>::new(),
            "{text}"
        );
    }
}

/// Returns every rule that a file breaks.
fn violations(file: &str, text: &str) -> Vec<String> {
    let source = SourceFile::whole(text);
    let is_foreign = |path: &&CodePath| !source.modules.contains(&path[0]);
    let parts = source.all_paths().filter_map(|path| wrong_part(file, path));
    let places = source.all_paths().filter(is_foreign);
    parts
        .chain(places.flat_map(|path| wrong_places(file, path)))
        .collect()
}

/// Returns the problem of a path that leads to a part which the file may not import.
fn wrong_part(file: &str, path: &CodePath) -> Option<String> {
    let own = file.trim_start_matches("src/").split(['/', '.']).next()?;
    let Part { name, imports, why } = PARTS.iter().find(|part| part.name == own)?;
    let other = imported_part(path, module_depth(file))?;
    let is_module = ["", ".rs"]
        .iter()
        .any(|end| project(&format!("src/{other}{end}")).exists());
    if !is_module || other == name || imports.contains(&other.as_str()) {
        return None;
    }
    let imports = if imports.is_empty() {
        "nothing".to_owned()
    } else {
        imports.join(", ")
    };
    let whole = path.join("::");
    Some(format!(
        "{file}: `{whole}`: {name} may import {imports} of this crate, not {other}: {why}"
    ))
}

/// Returns the part of `src/` that a path leads to.
fn imported_part(path: &CodePath, depth: usize) -> Option<&String> {
    let supers = path
        .iter()
        .take_while(|segment| *segment == "super")
        .count();
    match path[0].as_str() {
        "crate" => path.get(1),
        "super" if supers >= depth => path.get(supers),
        _ => None,
    }
}

/// Returns the number of `super` from the module of a file to the root.
fn module_depth(file: &str) -> usize {
    file.trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .matches('/')
        .count()
}

/// Returns a problem for each library that a path uses in the wrong place.
fn wrong_places(file: &str, path: &CodePath) -> Vec<String> {
    let whole = path.join("::");
    let elsewhere = PLACES
        .iter()
        .filter(|place| !place.only_in.iter().any(|prefix| file.starts_with(prefix)));
    let wrong = elsewhere.filter_map(
        |Place {
             words,
             only_in,
             why,
         }| {
            let word = words.iter().find(|word| leads_into(&whole, word))?;
            let only_in = only_in.join(", ");
            Some(format!(
                "{file}: `{whole}`: `{word}` only in {only_in}: {why}"
            ))
        },
    );
    wrong.collect()
}

/// Returns whether a path is this macro, or leads into this library. A single segment may be a
/// local name.
fn leads_into(path: &str, word: &str) -> bool {
    path.strip_prefix(word)
        .is_some_and(|rest| rest.starts_with("::") || word.ends_with('!'))
}

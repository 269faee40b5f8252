//! The import graph of the files of `src/`: file A imports file B if A names an item that B
//! defines.
//!
//! - Re-exports are followed to the file that defines the item. `pub use` and `mod` import nothing.
//! - A module may use the items of the modules that enclose it, so such a use is no import.
//! - Tests (`#[cfg(test)]`) do not count.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::source::{SourceFile, source_files};

/// The modules of a program, and the files that hold them.
pub(super) struct Modules(Vec<Module>);

struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    source: SourceFile,
}

/// A thing that a path can lead to.
#[derive(Clone)]
enum Target {
    Module(usize),
    Item { module: usize, name: String },
}

/// For each file, the files that it imports, with the imported names.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The imports of all files.
#[derive(Debug, Default)]
pub(super) struct ImportGraph {
    imports: Imports,
    /// The uses of items that an enclosing module defines.
    enclosing: Imports,
}

impl Modules {
    /// Reads the library and the program from pairs of a file's name and text.
    fn read(files: &[(String, String)]) -> Self {
        let files = files.iter().cloned().collect();
        let mut modules = Self(Vec::new());
        for root in [LIBRARY, PROGRAM] {
            modules.add(root, None, &files);
        }
        modules
    }

    fn add(
        &mut self,
        file: &str,
        parent: Option<usize>,
        files: &BTreeMap<String, String>,
    ) -> usize {
        let index = self.0.len();
        let source = SourceFile::without_tests(files.get(file).map_or("", String::as_str));
        let names = source.modules.clone();
        let children = BTreeMap::new();
        self.0.push(Module {
            file: file.to_owned(),
            parent,
            children,
            source,
        });
        for name in names {
            let place = format!("{}/{name}", folder(file));
            let child = [format!("{place}.rs"), format!("{place}/mod.rs")]
                .into_iter()
                .find(|file| files.contains_key(file))
                .unwrap_or_else(|| panic!("{file} declares `{name}`, which has no file"));
            let child = self.add(&child, Some(index), files);
            self.0[index].children.insert(name, child);
        }
        index
    }

    /// Builds the import graph.
    fn graph(&self) -> ImportGraph {
        let mut graph = ImportGraph::default();
        for (index, module) in self.0.iter().enumerate() {
            for path in module.source.used_paths() {
                for target in self.resolve(index, path, &mut HashSet::new()) {
                    self.record(&mut graph, index, target);
                }
            }
        }
        graph
    }

    fn record(&self, graph: &mut ImportGraph, user: usize, target: Target) {
        let Target::Item { module, name } = target else {
            return;
        };
        if module == user {
            return;
        }
        let imports = if self.is_within(user, module) {
            &mut graph.enclosing
        } else {
            &mut graph.imports
        };
        let [user, file] = [user, module].map(|index| self.0[index].file.clone());
        let files = imports.entry(user).or_default();
        files.entry(file).or_default().insert(name);
    }

    /// Returns the things that a path leads to: none outside of `src/`, and two if a function and a
    /// module share a name.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        seen: &mut HashSet<(usize, String)>,
    ) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else {
            return Vec::new();
        };
        let begins = match first.as_str() {
            "crate" => vec![Target::Module(self.root(module))],
            "countersign" => vec![Target::Module(0)],
            "self" => vec![Target::Module(module)],
            _ => self.lookup(module, first, seen),
        };
        rest.iter().fold(begins, |targets, name| {
            let step = |target| match target {
                Target::Module(module) => self.lookup(module, name, seen),
                Target::Item { .. } => vec![target],
            };
            targets.into_iter().flat_map(step).collect()
        })
    }

    /// Returns the things that a name means in a module.
    fn lookup(&self, index: usize, name: &str, seen: &mut HashSet<(usize, String)>) -> Vec<Target> {
        let module = &self.0[index];
        if name == "super" {
            return module.parent.map(Target::Module).into_iter().collect();
        }
        let name = name.trim_end_matches('!');
        let mut found = self.defined(index, name);
        if seen.insert((index, name.to_owned())) {
            let paths = module
                .source
                .imports
                .iter()
                .filter_map(|import| import.path_to(name));
            found.extend(paths.flat_map(|path| self.resolve(index, &path, seen)));
        }
        found
    }

    /// Returns the module and the item of this name that a module declares itself.
    fn defined(&self, index: usize, name: &str) -> Vec<Target> {
        let module = &self.0[index];
        let child = module.children.get(name).copied().map(Target::Module);
        let item = module.source.items.iter().find(|item| *item == name);
        let item = item.map(|name| Target::Item {
            module: index,
            name: name.clone(),
        });
        child.into_iter().chain(item).collect()
    }

    /// Returns whether a module is another one or stands somewhere below it.
    fn is_within(&self, module: usize, other: usize) -> bool {
        let parent = self.0[module].parent;
        module == other || parent.is_some_and(|parent| self.is_within(parent, other))
    }

    fn root(&self, module: usize) -> usize {
        self.0[module]
            .parent
            .map_or(module, |parent| self.root(parent))
    }
}

impl ImportGraph {
    /// Builds the import graph of `src/`.
    pub(super) fn of_this_project() -> Self {
        Modules::read(&source_files()).graph()
    }

    /// Builds the import graph of files that are given by name and text.
    pub(super) fn of_files(files: &[(&str, &str)]) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Modules::read(&files.iter().map(owned).collect::<Vec<_>>()).graph()
    }

    /// Returns whether a file uses an item of another one directly, which may enclose it.
    pub(super) fn uses(&self, file: &str, other: &str) -> bool {
        let uses = |imports: &Imports| {
            imports
                .get(file)
                .is_some_and(|imports| imports.contains_key(other))
        };
        uses(&self.imports) || uses(&self.enclosing)
    }

    /// Returns the shortest circle through each import that is part of one, each circle once.
    fn circles(&self) -> BTreeSet<Vec<&str>> {
        let imports = self.imports.iter().flat_map(|(file, imports)| {
            imports
                .keys()
                .map(move |imported| (file.as_str(), imported.as_str()))
        });
        imports
            .filter_map(|(file, imported)| self.shortest_path(imported, file))
            .map(first_in_front)
            .collect()
    }

    /// Returns the files from one to another, each of which imports the next.
    pub(super) fn shortest_path<'g>(&'g self, from: &'g str, to: &str) -> Option<Vec<&'g str>> {
        let mut waiting = VecDeque::from([vec![from]]);
        let mut seen = HashSet::from([from]);
        while let Some(path) = waiting.pop_front() {
            let last = *path.last()?;
            if last == to {
                return Some(path);
            }
            for next in self.imports.get(last).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(next) {
                    waiting.push_back([&path[..], &[next.as_str()]].concat());
                }
            }
        }
        None
    }

    fn described_circles(&self) -> Vec<String> {
        self.circles()
            .iter()
            .map(|circle| self.describe(circle))
            .collect()
    }

    /// Describes a circle: each import with its names.
    fn describe(&self, circle: &[&str]) -> String {
        let next = circle.iter().cycle().skip(1);
        let imports = circle.iter().zip(next).map(|(file, imported)| {
            let names: Vec<_> = self.imports[*file][*imported].iter().cloned().collect();
            format!("{file} imports {} from {imported}", names.join(", "))
        });
        imports.collect::<Vec<_>>().join("\n    ")
    }
}

/// Turns a circle so that the file whose name sorts first is in front.
fn first_in_front(mut circle: Vec<&str>) -> Vec<&str> {
    let first = (0..circle.len()).min_by_key(|at| circle[*at]).unwrap_or(0);
    circle.rotate_left(first);
    circle
}

/// Returns the folder in which the modules that a file declares are.
fn folder(file: &str) -> &str {
    let path = file.trim_end_matches(".rs");
    ["/mod", "/lib", "/main"]
        .iter()
        .find_map(|end| path.strip_suffix(end))
        .unwrap_or(path)
}

const LIBRARY: &str = "src/lib.rs";
const PROGRAM: &str = "src/main.rs";

#[test]
fn no_files_import_each_other_in_a_circle() {
    let graph = ImportGraph::of_this_project();
    let circles = graph.described_circles();
    assert!(
        circles.is_empty(),
        "{} circles:\n{}",
        circles.len(),
        circles.join("\n")
    );
}

#[test]
fn a_circle_is_described_by_its_imports() {
    let graph = ImportGraph::of_files(&[
        ("src/lib.rs", "mod a; mod b; mod c;"),
        (
            "src/a.rs",
            "use crate::b::{self, B}; pub struct A(B); pub type C = b::Other;",
        ),
        (
            "src/b.rs",
            "use super::c; pub struct B(c::C); pub struct Other;",
        ),
        (
            "src/c.rs",
            "pub struct C; fn f() { println!(\"{}\", crate::a::A::NAME) }",
        ),
    ]);
    assert_eq!(
        graph.described_circles(),
        ["src/a.rs imports B, Other from src/b.rs\n    \
          src/b.rs imports C from src/c.rs\n    \
          src/c.rs imports A from src/a.rs"]
    );
}

#[test]
fn every_circle_through_a_file_is_found() {
    let graph = ImportGraph::of_files(&[
        ("src/lib.rs", "mod a; mod b; mod c;"),
        ("src/a.rs", "pub fn f() { crate::b::f(); crate::c::f() }"),
        ("src/b.rs", "pub fn f() { crate::a::f() }"),
        ("src/c.rs", "pub fn f() { crate::a::f() }"),
    ]);
    assert_eq!(
        Vec::from_iter(graph.circles()),
        [["src/a.rs", "src/b.rs"], ["src/a.rs", "src/c.rs"]]
    );
}

#[test]
fn a_reexport_is_followed_to_the_file_that_defines_the_item() {
    let graph = ImportGraph::of_files(&[
        ("src/lib.rs", "mod a; mod inner; pub use inner::*;"),
        (
            "src/inner/mod.rs",
            "mod deep; mod open; pub use deep::{Deep as Renamed, made}; pub use open::open;",
        ),
        (
            "src/inner/deep.rs",
            "pub struct Deep; macro_rules! made { () => {} } pub(crate) use made;",
        ),
        ("src/inner/open.rs", "pub fn open() {}"),
        (
            "src/a.rs",
            "use crate::{Renamed, inner}; fn f() { inner::open(); crate::inner::made!() }",
        ),
        ("src/main.rs", "fn main() { countersign::inner::open() }"),
    ]);
    assert_eq!(
        imports(&graph, "src/a.rs"),
        ["src/inner/deep.rs: Deep, made", "src/inner/open.rs: open"]
    );
    assert_eq!(imports(&graph, "src/main.rs"), ["src/inner/open.rs: open"]);
    assert_eq!(imports(&graph, "src/lib.rs"), Vec::<String>::new());
    assert_eq!(imports(&graph, "src/inner/mod.rs"), Vec::<String>::new());
}

#[test]
fn enclosing_modules_tests_and_other_crates_are_not_imports() {
    let graph = ImportGraph::of_files(&[
        ("src/lib.rs", "mod outer; pub struct Root;"),
        (
            "src/outer/mod.rs",
            "mod inner; mod redis; use inner::Inner; pub struct Outer(Inner);",
        ),
        (
            "src/outer/inner.rs",
            "use super::Outer; use crate::Root; use std::redis; pub struct Inner;
             #[cfg(test)] mod tests { use crate::outer::redis::Client; }
             #[cfg(test)] impl Inner { fn f() { super::redis::f() } }",
        ),
        (
            "src/outer/redis.rs",
            "use redis::Client; pub fn f() { redis::g() } pub struct Client2;",
        ),
    ]);
    assert_eq!(
        imports(&graph, "src/outer/mod.rs"),
        ["src/outer/inner.rs: Inner"]
    );
    assert_eq!(imports(&graph, "src/outer/inner.rs"), Vec::<String>::new());
    assert_eq!(imports(&graph, "src/outer/redis.rs"), Vec::<String>::new());
}

/// Returns the files that a file imports, with the imported names, in order.
fn imports(graph: &ImportGraph, file: &str) -> Vec<String> {
    let line = |(imported, names): (&String, &BTreeSet<String>)| {
        format!(
            "{imported}: {}",
            Vec::from_iter(names.iter().cloned()).join(", ")
        )
    };
    let imports = graph.imports.get(file);
    imports.into_iter().flatten().map(line).collect()
}

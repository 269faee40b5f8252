//! The import graph of the files of `src/`: file A imports file B if A names an item that B defines.
//!
//! - Re-exports are followed to the file that defines the item; `pub use` alone imports nothing.
//! - Declaring a module imports nothing, and naming a module alone neither.
//! - Tests (`#[cfg(test)]`) do not count.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use super::source::{CodePath, SourceFile, source_files};

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
#[derive(Debug, Default)]
pub(super) struct ImportGraph(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

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
            let imports = graph.0.entry(module.file.clone()).or_default();
            for path in module.source.used() {
                for target in self.resolve(index, path, &mut HashSet::new()) {
                    if let Target::Item { module, name } = target
                        && !self.is_within(index, module)
                    {
                        let file = self.0[module].file.clone();
                        imports.entry(file).or_default().insert(name);
                    }
                }
            }
        }
        graph
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
        if !seen.insert((index, name.to_owned())) {
            return Vec::new();
        }
        let name = name.trim_end_matches('!');
        let mut found: Vec<_> = module
            .children
            .get(name)
            .copied()
            .map(Target::Module)
            .into_iter()
            .collect();
        if module.source.items.iter().any(|item| item == name) {
            found.push(Target::Item {
                module: index,
                name: name.to_owned(),
            });
        }
        for import in &module.source.imports {
            match &import.name {
                Some(imported) if imported == name => {
                    found.extend(self.resolve(index, &import.path, seen));
                }
                Some(_) => {}
                None => {
                    let path = [&import.path[..], &[name.to_owned()]].concat();
                    found.extend(self.resolve(index, &path, seen));
                }
            }
        }
        found
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

impl SourceFile {
    /// Returns the paths that this file uses itself, and does not only re-export.
    fn used(&self) -> impl Iterator<Item = &CodePath> {
        let reexports: HashSet<_> = self
            .imports
            .iter()
            .filter(|import| import.is_reexport)
            .map(|import| &import.path)
            .collect();
        self.paths
            .iter()
            .filter(move |path| !reexports.contains(path))
    }
}

impl ImportGraph {
    /// Builds the import graph of `src/`.
    pub(super) fn of_this_project() -> Self {
        Modules::read(&source_files()).graph()
    }

    /// Returns the shortest circle through each import that is part of one, each circle once.
    fn circles(&self) -> BTreeSet<Vec<&str>> {
        let imports = self.0.iter().flat_map(|(file, imports)| {
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
            for next in self.0.get(last).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(next) {
                    waiting.push_back([&path[..], &[next.as_str()]].concat());
                }
            }
        }
        None
    }

    /// Describes a circle: each import with its names.
    fn describe(&self, circle: &[&str]) -> String {
        let next = circle.iter().cycle().skip(1);
        let imports = circle.iter().zip(next).map(|(file, imported)| {
            let names: Vec<_> = self.0[*file][*imported].iter().cloned().collect();
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
    let circles: Vec<_> = graph
        .circles()
        .iter()
        .map(|circle| graph.describe(circle))
        .collect();
    assert!(
        circles.is_empty(),
        "{} circles:\n{}",
        circles.len(),
        circles.join("\n")
    );
}

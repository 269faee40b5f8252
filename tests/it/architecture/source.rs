//! A Rust file as the tests of the structure see it: the names that it defines, imports and uses.

use std::fs;
use std::path::Path;

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, Meta, UseTree, Visibility};

use crate::support::process::project;

/// A path, segment by segment: `["crate", "store", "open"]`. The last segment of a macro ends in
/// `!`.
pub(super) type CodePath = Vec<String>;

/// The names in one Rust file.
#[derive(Debug, Default)]
pub(super) struct SourceFile {
    /// The modules in files of their own that this file declares.
    pub(super) modules: Vec<String>,
    /// The items that this file defines at its top level.
    pub(super) items: Vec<String>,
    pub(super) imports: Vec<Import>,
    /// The paths in the code outside of `use` declarations, also in the arguments of macros.
    pub(super) paths: Vec<CodePath>,
    with_tests: bool,
}

/// One name that a `use` declaration brings in.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) path: CodePath,
    /// The name in this file; `None` for a glob.
    pub(super) name: Option<String>,
    pub(super) is_reexport: bool,
}

impl SourceFile {
    /// Reads a file, including its tests.
    pub(super) fn whole(text: &str) -> Self {
        Self::read(text, true)
    }

    /// Reads a file, except items under `#[cfg(test)]`.
    pub(super) fn without_tests(text: &str) -> Self {
        Self::read(text, false)
    }

    /// Returns every path in this file.
    pub(super) fn all_paths(&self) -> impl Iterator<Item = &CodePath> {
        let imported = self.imports.iter().map(|import| &import.path);
        imported.chain(&self.paths)
    }

    /// Returns the paths that this file uses itself, without those that it only re-exports.
    pub(super) fn used_paths(&self) -> impl Iterator<Item = &CodePath> {
        let imports = self.imports.iter().filter(|import| !import.is_reexport);
        imports.map(|import| &import.path).chain(&self.paths)
    }

    fn read(text: &str, with_tests: bool) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"));
        let mut source = Self {
            items: file.items.iter().filter_map(name).collect(),
            with_tests,
            ..Self::default()
        };
        source.visit_file(&file);
        source
    }

    fn is_skipped(&self, attributes: &[Attribute]) -> bool {
        !self.with_tests && attributes.iter().any(is_cfg_test)
    }

    fn import(&mut self, tree: &UseTree, before: &[String], is_reexport: bool) {
        let under = |ident: &Ident| [before, &[ident.to_string()]].concat();
        let (path, name) = match tree {
            UseTree::Path(tree) => {
                return self.import(&tree.tree, &under(&tree.ident), is_reexport);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before, is_reexport);
                }
                return;
            }
            UseTree::Glob(_) => (before.to_vec(), None),
            UseTree::Name(tree) if tree.ident == "self" => (before.to_vec(), before.last()),
            UseTree::Name(tree) => (under(&tree.ident), Some(&tree.ident.to_string())),
            UseTree::Rename(tree) => (under(&tree.ident), Some(&tree.rename.to_string())),
        };
        let name = name.cloned();
        self.imports.push(Import {
            path,
            name,
            is_reexport,
        });
    }

    /// Collects the paths in tokens without a syntax of their own, such as the arguments of a
    /// macro.
    fn tokens(&mut self, mut at: Cursor<'_>) {
        while !at.eof() {
            if let Some((inside, _, _, next)) = at.any_group() {
                self.tokens(inside);
                at = next;
            } else if let Some((path, next)) = path(at) {
                self.paths.push(path);
                at = next;
            } else if let Some(field) = punctuation(at, '.') {
                at = field.ident().map_or(field, |(_, next)| next);
            } else {
                at = at.token_tree().map_or(at, |(_, next)| next);
            }
        }
    }
}

impl Import {
    /// Returns the path to a name, if this declaration brings it in. A glob may bring in every
    /// name.
    pub(super) fn path_to(&self, name: &str) -> Option<CodePath> {
        match &self.name {
            Some(imported) => (imported == name).then(|| self.path.clone()),
            None => Some([&self.path[..], &[name.to_owned()]].concat()),
        }
    }
}

impl<'a> Visit<'a> for SourceFile {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if self.is_skipped(&module.attrs) {
            return;
        }
        if module.content.is_none() {
            self.modules.push(module.ident.to_string());
        }
        visit::visit_item_mod(self, module);
    }

    fn visit_item_fn(&mut self, function: &'a syn::ItemFn) {
        if !self.is_skipped(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_const(&mut self, constant: &'a syn::ItemConst) {
        if !self.is_skipped(&constant.attrs) {
            visit::visit_item_const(self, constant);
        }
    }

    fn visit_item_impl(&mut self, block: &'a syn::ItemImpl) {
        if !self.is_skipped(&block.attrs) {
            visit::visit_item_impl(self, block);
        }
    }

    fn visit_impl_item_fn(&mut self, method: &'a syn::ImplItemFn) {
        if !self.is_skipped(&method.attrs) {
            visit::visit_impl_item_fn(self, method);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !self.is_skipped(&item.attrs) {
            let is_reexport = !matches!(item.vis, Visibility::Inherited);
            self.import(&item.tree, &[], is_reexport);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.paths.push(segments(path));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        let mut path = segments(&call.path);
        if let Some(name) = path.last_mut() {
            name.push('!');
        }
        self.paths.push(path);
        self.tokens(TokenBuffer::new2(call.tokens.clone()).begin());
    }

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(TokenBuffer::new2(list.tokens.clone()).begin());
        }
    }
}

/// Reads every Rust file below `src/`, as pairs of a name and a text.
pub(super) fn source_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(&project("src"), &mut files);
    assert!(files.len() > 30, "found only {} files in src/", files.len());
    files
}

fn collect(directory: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
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

/// Returns the name of an item, if it has one and is not a module.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all other items have no name"
)]
fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<Ident>()
            .is_ok_and(|condition| condition == "test")
}

fn segments(path: &syn::Path) -> CodePath {
    path.segments
        .iter()
        .map(|segment| segment.ident.to_string())
        .collect()
}

/// Reads a path from the tokens of a macro, up to generic arguments.
fn path(at: Cursor<'_>) -> Option<(CodePath, Cursor<'_>)> {
    let (first, mut at) = at.ident()?;
    let mut path = vec![first.to_string()];
    while let Some((segment, next)) = after_colons(at) {
        path.push(segment.to_string());
        at = next;
    }
    if punctuation(at, '!').is_some_and(|next| punctuation(next, '=').is_none()) {
        path.last_mut()?.push('!');
    }
    Some((path, at))
}

fn after_colons(at: Cursor<'_>) -> Option<(Ident, Cursor<'_>)> {
    punctuation(punctuation(at, ':')?, ':')?.ident()
}

fn punctuation(at: Cursor<'_>, character: char) -> Option<Cursor<'_>> {
    at.punct()
        .filter(|(found, _)| found.as_char() == character)
        .map(|(_, next)| next)
}

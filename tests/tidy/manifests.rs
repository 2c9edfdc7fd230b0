//! What a manifest has to say.

use crate::house::{Crate, assert_none, crates, read};

/// A line `key = value` of a manifest.
struct Entry<'a> {
    number: usize,
    table: &'a str,
    line: &'a str,
    has_comment_above: bool,
}

impl Entry<'_> {
    fn is_dependency(&self) -> bool {
        self.table.ends_with("dependencies")
    }
}

/// The lines that say something, in their tables.
fn entries(manifest: &str) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    let mut table = "";
    let mut has_comment_above = false;
    for (at, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']');
        } else if line.contains('=') && !line.starts_with('#') {
            found.push(Entry { number: at + 1, table, line, has_comment_above });
        }
        has_comment_above = line.starts_with('#');
    }
    found
}

#[test]
fn every_library_has_a_line_that_says_what_it_saves_us() {
    let manifest = read("Cargo.toml");
    let libraries = entries(&manifest)
        .into_iter()
        .filter(|entry| entry.table == "workspace.dependencies" && !entry.line.contains("path ="));
    let silent: Vec<_> = libraries
        .filter(|entry| !entry.has_comment_above)
        .map(|entry| format!("Cargo.toml:{}: {}", entry.number, entry.line))
        .collect();
    assert_none(&silent, "Write a comment right above: what it does for us that we would not.");
}

#[test]
fn every_crate_has_the_lints_of_the_house() {
    let has_lints = |of: &Crate| {
        let manifest = read(&of.manifest());
        entries(&manifest)
            .iter()
            .any(|entry| entry.table == "lints" && entry.line == "workspace = true")
    };
    let without: Vec<_> =
        crates().iter().filter(|of| !has_lints(of)).map(Crate::manifest).collect();
    assert_none(
        &without,
        "Add `[lints]` with `workspace = true`. What one place must break, it allows by an \
         attribute with a reason.",
    );
}

#[test]
fn versions_of_libraries_stand_in_the_root_manifest_alone() {
    let mut breaches = Vec::new();
    for of in crates() {
        let manifest = read(&of.manifest());
        let members_own = entries(&manifest).into_iter().filter(|entry| {
            entry.is_dependency()
                && entry.table != "workspace.dependencies"
                && !entry.line.contains("workspace = true")
        });
        breaches.extend(
            members_own.map(|entry| format!("{}:{}: {}", of.manifest(), entry.number, entry.line)),
        );
        let spread = manifest.lines().filter(|line| line.contains("dependencies."));
        breaches.extend(spread.map(|line| format!("{}: {line}", of.manifest())));
    }
    assert_none(
        &breaches,
        "Put the version and its reason into the root manifest, and `name.workspace = true` here, \
         one line a dependency.",
    );
}

#[test]
fn entries_know_their_table_and_the_comment_above() {
    let manifest = "[a]\n# why\nx = 1\ny = 2\n\n# lone\n\n[b.c]\nz = { workspace = true }\n";
    let read: Vec<_> = entries(manifest)
        .into_iter()
        .map(|entry| (entry.number, entry.table, entry.has_comment_above))
        .collect();
    assert_eq!(read, [(3, "a", true), (4, "a", false), (9, "b.c", false)]);
}

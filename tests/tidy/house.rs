//! The house as it lies on the disk: its crates, its folders, its sources.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold Rust sources.
const SOURCE_FOLDERS: [&str; 5] = ["benches", "perf", "shards", "src", "tests"];

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with all that breaks a rule, and with what to do about it.
pub(crate) fn assert_none(breaches: &[impl Display], what_to_do: &str) {
    let lines: Vec<_> = breaches.iter().map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "\n  {}\n{what_to_do}\n", lines.join("\n  "));
}

/// The text of a file of the repository, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The folders in one of the repository's.
pub(crate) fn folders_in(path: &str) -> BTreeSet<String> {
    entries(&root().join(path)).into_iter().filter(|path| path.is_dir()).map(|p| name(&p)).collect()
}

/// What a crate is asked for by another.
pub(crate) struct Dependency {
    /// Its package name: that of the registry, or the folder's for one of the house.
    pub(crate) name: String,
    pub(crate) is_ours: bool,
    /// Only for tests and benches.
    pub(crate) is_dev: bool,
}

/// A crate of the house.
pub(crate) struct Crate {
    /// Its folder's name; the root package's own.
    pub(crate) name: String,
    /// Its folder from the root: `src/wire`; empty for the root package.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
}

impl Crate {
    /// Its manifest, from the root.
    pub(crate) fn manifest(&self) -> String {
        Path::new(&self.folder).join("Cargo.toml").display().to_string()
    }
}

/// All crates, as cargo itself reads the manifests: no way of writing a dependency slips through.
pub(crate) fn crates() -> Vec<Crate> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs, as it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    list(&metadata["packages"]).iter().map(read_crate).collect()
}

fn read_crate(package: &Value) -> Crate {
    let manifest = Path::new(text(&package["manifest_path"]));
    let folder = manifest.parent().expect("a manifest lies in a folder");
    let read_dependency = |dependency: &Value| {
        let ours = dependency["path"].as_str().map(|path| folder_name(Path::new(path)));
        Dependency {
            is_ours: ours.is_some(),
            name: ours.unwrap_or_else(|| text(&dependency["name"]).to_owned()),
            is_dev: dependency["kind"] == "dev",
        }
    };
    Crate {
        name: folder_name(folder),
        folder: relative(folder),
        dependencies: list(&package["dependencies"]).iter().map(read_dependency).collect(),
    }
}

/// The root's folder may have any name where it was cloned to.
fn folder_name(folder: &Path) -> String {
    if folder == root() { "distric".to_owned() } else { name(folder) }
}

/// A Rust source of the house.
pub(crate) struct Source {
    /// From the root.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Whether it is compiled for tests alone.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "tests.rs" | "benches"))
    }
}

/// All Rust sources of the house.
pub(crate) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut to_visit: Vec<PathBuf> = SOURCE_FOLDERS.iter().map(|path| root().join(path)).collect();
    while let Some(path) = to_visit.pop() {
        if path.is_dir() {
            // A fuzz target or an example is a workspace of its own, with its own build folder.
            to_visit.extend(entries(&path).into_iter().filter(|path| name(path) != "target"));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let path = relative(&path);
            found.push(Source { text: read(&path), path });
        }
    }
    assert!(found.len() > SOURCE_FOLDERS.len(), "the sources are where they were");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// What is in a folder, hidden things left out. A folder that is not there holds nothing.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    paths.filter(|path| !name(path).starts_with('.')).collect()
}

fn name(path: &Path) -> String {
    path.file_name().expect("a path below the root has a name").to_string_lossy().into_owned()
}

fn relative(path: &Path) -> String {
    let below = path.strip_prefix(root()).expect("a crate of the house lies below the root");
    below.display().to_string()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("cargo metadata gives a list here")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo metadata gives a text here")
}

//! The plugins' folder: `NAME.so`, and `NAME.yaml` where it wants other limits than the default.
//!
//! Invariants:
//! - no manifest is overlooked: one without its library, or under another extension, is told;
//! - a folder is read in the order of names, so two nodes with the same folder say the same.

use document::Source;
use plugin::{Manifest, TaskError, code, is_name};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Plugins of one node. Each is at least a process.
pub(crate) const PLUGINS_MAX: usize = 128;

/// The longest manifest. Unit: bytes.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024;

/// A library that may be a plugin, or a manifest that has none.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) manifest: Result<Manifest, TaskError>,
}

/// Reads a folder, or one `.so`.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Candidate>> {
    // The child has another working directory.
    let path = fs::canonicalize(path)?;
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in fs::read_dir(&path)? {
            let file = entry?.path();
            let is = |wanted: &str| file.extension().is_some_and(|extension| extension == wanted);
            let is_alone = || is_manifest_name(&file) && !file.with_extension("so").exists();
            if is("so") || ((is("yaml") || is("yml")) && is_alone()) {
                files.push(file);
            }
        }
    } else {
        files.push(path);
    }
    files.sort();
    if files.len() > PLUGINS_MAX {
        let count = files.len();
        return Err(io::Error::other(format!("{count} plugins, at most {PLUGINS_MAX} are taken")));
    }
    Ok(files.into_iter().map(candidate).collect())
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_manifest_name(file: &Path) -> bool {
    is_name(&stem(file))
}

fn candidate(file: PathBuf) -> Candidate {
    let name = stem(&file);
    let is_library =
        file.extension().is_none_or(|extension| extension != "yaml" && extension != "yml");
    let manifest = if file.to_str().is_none() {
        Err(TaskError::lasting(code::MISSING, "its path is not UTF-8"))
    } else if !is_library {
        let message = format!("it is a manifest, and its library {name}.so is not beside it");
        Err(TaskError::lasting(code::MISSING, message))
    } else if is_name(&name) {
        manifest(&file.with_extension("yaml"))
    } else {
        let message = format!("`{name}` is no name of a plugin: [a-z][a-z0-9_]{{0,63}}");
        Err(TaskError::lasting(code::MISSING, message))
    };
    Candidate { name, file, manifest }
}

fn manifest(file: &Path) -> Result<Manifest, TaskError> {
    let wrong = |what: String| TaskError::lasting(code::MISSING, what);
    let name = file.display().to_string();
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let other = file.with_extension("yml");
            if other.exists() {
                return Err(wrong(format!(
                    "{}: rename it, a manifest ends in .yaml",
                    other.display()
                )));
            }
            return Ok(Manifest::default());
        }
        Err(error) => return Err(wrong(format!("{name}: {error}"))),
        Ok(metadata) if metadata.len() > MANIFEST_BYTES_MAX => {
            return Err(wrong(format!("{name} is longer than {MANIFEST_BYTES_MAX} bytes")));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(file).map_err(|error| wrong(format!("{name}: {error}")))?;
    let source = Source { name: &name, text: &text };
    Manifest::read(source).map_err(|faults| wrong(faults.to_string().trim_end().to_owned()))
}

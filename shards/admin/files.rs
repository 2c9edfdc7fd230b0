//! Files and folders that a command names.
//!
//! Invariants:
//! - a folder stands for its files in the order of their paths, whatever order the disk has them in;
//! - nothing that is read is larger than its bound.

use crate::Trouble;
use anyhow::{Context as _, anyhow};
use document::{Fault, Source, Span};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The most files of one folder, and the deepest folder in it. Far beyond what people keep by hand,
/// and the end of a loop of links.
const FILES_MAX: usize = 10_000;
const FOLDERS_DEEP_MAX: usize = 16;

/// What a folder's files end in to be read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Reads `path`, or standard input for `-`, up to `bytes_max` bytes. What is longer is cut one byte
/// behind the limit, so that its reader finds it too large.
pub(crate) fn read(path: &Path, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = bytes_max as u64 + 1;
    if is_standard_input(path) {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    }
    .with_context(|| format!("cannot read {}", name(path)))?;
    Ok(bytes)
}

pub(crate) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name that faults are shown with.
pub(crate) fn name(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// A wrong file or argument.
pub(crate) fn input(error: anyhow::Error) -> Trouble {
    Trouble::Input(Some(error))
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Text {
    /// What people know it by.
    pub(crate) name: String,
    /// Which argument of the command named it, or the folder it is in.
    pub(crate) argument: usize,
    pub(crate) body: String,
    /// What keeps it from being a text at all.
    pub(crate) fault: Option<Fault>,
}

impl Text {
    pub(crate) fn source(&self) -> Source<'_> {
        Source { name: &self.name, text: &self.body }
    }

    fn of(path: &Path, argument: usize) -> anyhow::Result<Self> {
        let (name, bytes) = (name(path), read(path, document::TEXT_BYTES_MAX)?);
        let (body, fault) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let good =
                    String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
                let byte = error.as_bytes()[good.len()];
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let source = Source { name: &name, text: &text };
                let what = format!("the byte 0x{byte:02x} is no UTF-8");
                let fault = Fault::at(source, end_of(&good), what).hint("save the file as UTF-8");
                (text, Some(fault))
            }
        };
        Ok(Self { name, argument, body, fault })
    }
}

/// The place behind a text.
fn end_of(text: &str) -> Span {
    let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (lines, last) = text
        .rsplit_once('\n')
        .map_or((0, text), |(before, last)| (before.matches('\n').count() + 1, last));
    Span { line: narrow(lines + 1), column: narrow(last.chars().count() + 1) }
}

/// Reads the files, and those in the folders, that the arguments name.
pub(crate) fn texts(paths: &[PathBuf]) -> Result<Vec<Text>, Trouble> {
    let mut texts = Vec::new();
    for (argument, path) in paths.iter().enumerate() {
        for file in files_of(path).map_err(input)? {
            texts.push(Text::of(&file, argument).map_err(input)?);
        }
    }
    Ok(texts)
}

/// The file itself, or those in a folder and the folders in it: YAML and JSON, without what is
/// hidden. A folder without any is a mistake.
pub(crate) fn files_of(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if is_standard_input(path) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    collect(path, 0, &mut files)?;
    if files.is_empty() {
        return Err(anyhow!("{}: no file in this folder ends in .yaml, .yml or .json", name(path)));
    }
    files.sort();
    Ok(files)
}

/// Recursion: bounded by `FOLDERS_DEEP_MAX`.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if depth > FOLDERS_DEEP_MAX {
        let folder = name(folder);
        return Err(anyhow!(
            "{folder}: folders nest at most {FOLDERS_DEEP_MAX} deep; is it a loop of links?"
        ));
    }
    let what = || format!("cannot read {}", name(folder));
    for entry in fs::read_dir(folder).with_context(what)? {
        let path = entry.with_context(what)?.path();
        let is_hidden =
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if has_extension(&path) {
            if files.len() == FILES_MAX {
                return Err(anyhow!("{}: more than {FILES_MAX} files", name(folder)));
            }
            files.push(path);
        }
    }
    Ok(())
}

fn has_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests;

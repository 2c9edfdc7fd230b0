//! Following the files: what is saved is applied.
//!
//! Invariants:
//! - files are read once they have rested for one look: a folder in the middle of being written is
//!   not taken for what it is meant to be;
//! - nothing but the end of the output ends a watch: wrong files and a node that is gone are told,
//!   once each, and the watch goes on.

use super::{Asked, once};
use crate::Trouble;
use crate::check::Item;
use crate::files::{self, input};
use crate::server::Server;
use crate::table::plain;
use anyhow::anyhow;
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::thread::sleep;

/// After so many looks a node that could not be asked, or that refused, is tried again.
const LOOKS_UNTIL_NEXT_TRY: u32 = 10;

pub(super) fn watch<T: Item>(
    server: &Server,
    asked: &Asked<'_>,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    if asked.paths.iter().any(|path| files::is_standard_input(path)) {
        return Err(input(anyhow!("standard input cannot be watched")));
    }
    // Taken before the files are read: what is saved meanwhile is seen as a change.
    let mut seen = marks(asked.paths);
    let mut told = String::new();
    loop {
        // Held back until it is known: what is tried again and fails again is told once.
        let mut plan = Vec::new();
        let outcome = once::<T>(server, asked, &mut plan);
        let try_again = matches!(outcome, Err(Trouble::Node(_)));
        match outcome {
            Ok(()) | Err(Trouble::Doubt | Trouble::Input(None)) => {
                told.clear();
                out.write_all(&plan)?;
                out.flush()?;
            }
            Err(Trouble::Output(error)) => return Err(Trouble::Output(error)),
            Err(Trouble::Input(Some(error)) | Trouble::Node(error)) => {
                let text = format!("{error:#}");
                if text != told {
                    out.write_all(&plan)?;
                    tell(&text, try_again, asked.json, out)?;
                }
                told = text;
            }
        }
        seen = next(asked, seen, try_again);
    }
}

fn tell(text: &str, try_again: bool, json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        writeln!(out, "{}", json!({ "applied": false, "error": text }))?;
    } else {
        let then = if try_again { "trying again" } else { "waiting for the next change" };
        writeln!(out, "{}\n{then}", plain(text))?;
    }
    out.flush()
}

/// Waits until the files are others and rest, or until it is time for another try.
fn next(asked: &Asked<'_>, mut seen: Marks, try_again: bool) -> Marks {
    let (mut is_changed, mut looks) = (false, 0);
    loop {
        sleep(asked.pause);
        looks += 1;
        let now = marks(asked.paths);
        let rests = now == seen;
        is_changed |= !rests;
        seen = now;
        if rests && (is_changed || try_again && looks >= LOOKS_UNTIL_NEXT_TRY) {
            return seen;
        }
    }
}

/// By what a file is known to be another one: its number on the disk, its length, the seconds and
/// nanoseconds of its last change.
type Mark = (PathBuf, Option<(u64, u64, i64, i64)>);

/// Of all files, or why they cannot be looked at.
type Marks = Result<Vec<Mark>, String>;

fn marks(paths: &[PathBuf]) -> Marks {
    let mut marks = Vec::new();
    for path in paths {
        for file in files::files_of(path).map_err(|error| format!("{error:#}"))? {
            let mark = fs::metadata(&file).ok();
            let mark = mark.map(|m| (m.ino(), m.len(), m.ctime(), m.ctime_nsec()));
            marks.push((file, mark));
        }
    }
    Ok(marks)
}

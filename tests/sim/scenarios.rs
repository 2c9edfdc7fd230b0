//! Scenarios: readable scripts, each with the transcript of what came of it.
//!
//! A file of `scenarios/` is a list of blocks: commands (`sim::Scripted::command` has the list), a line
//! `----`, and what was told while they were carried out. The first block makes the world: `nodes 3`,
//! and where wanted `seed 7`, `cores 1 2 3` (in turn), `snapshots 16` (taken where the journal is
//! larger, in KiB). Lines that begin with `#` say what the scenario is about.
//!
//! Where the nodes have learned to do something differently, and rightly so, the transcripts are
//! recorded anew and looked through like any other change:
//!
//! ```text
//! cargo sim scenarios --record; git diff tests/sim/scenarios
//! ```

use super::worlds::node;
use sim::{NodeConfig, Scripted};
use std::fmt::Write;
use std::path::{Path, PathBuf};

const LINE: &str = "----";

/// Commands, and what came of them.
struct Block<'a> {
    commands: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut commands = Vec::new();
    let mut is_command = true;
    for line in text.lines() {
        match line {
            LINE => {
                blocks.push(Block { commands: std::mem::take(&mut commands) });
                is_command = false;
            }
            "" => is_command = true,
            line if is_command => commands.push(line),
            _ => {}
        }
    }
    assert!(commands.is_empty(), "the last block has no line of dashes");
    blocks
}

/// The world that the first block asks for.
fn made(block: &Block<'_>) -> Scripted {
    let (mut nodes, mut seed, mut cores, mut snapshots) = (3, 1, vec![1], 1 << 20);
    for line in block.commands.iter().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let what = words.next().expect("a word");
        let numbers: Vec<u64> = words.map(|word| word.parse().expect("a number")).collect();
        match what {
            "nodes" => nodes = numbers[0],
            "seed" => seed = numbers[0],
            "cores" => cores = numbers.iter().map(|n| u16::try_from(*n).expect("few")).collect(),
            "snapshots" => snapshots = numbers[0] << 10,
            _ => panic!("{line:?} makes no world"),
        }
    }
    let config = |at: u64| {
        let cores = cores[usize::try_from(at).expect("few") % cores.len()];
        NodeConfig { snapshot_journal_bytes: snapshots, ..node(cores) }
    };
    Scripted::new(seed, (0..nodes).map(config).collect())
}

/// The file as it would be recorded now.
fn recorded(text: &str) -> Result<String, String> {
    let blocks = blocks(text);
    let mut world = made(&blocks[0]);
    let mut out = String::new();
    for (number, block) in blocks.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        for line in &block.commands {
            writeln!(out, "{line}").expect("a string grows");
        }
        writeln!(out, "{LINE}").expect("a string grows");
        for line in block.commands.iter().filter(|line| number > 0 && !line.starts_with('#')) {
            let told = world.command(line).map_err(|reason| format!("{line}: {reason}"))?;
            for line in told {
                writeln!(out, "{line}").expect("a string grows");
            }
        }
    }
    Ok(out)
}

fn files() -> Vec<PathBuf> {
    // Of the whole house, whichever crate this is built with.
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let folder = above.map(|folder| folder.join("tests/sim/scenarios")).find(|at| at.is_dir());
    let folder = folder.expect("the scenarios are there");
    let files = std::fs::read_dir(folder).expect("the scenarios are there");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files
}

/// Runs all scenarios: what goes otherwise than it was recorded. Recording, that is written instead.
pub(crate) fn changed(is_recording: bool) -> Vec<String> {
    let mut changed = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("a scenario is text");
        let now = match recorded(&text) {
            Ok(now) => now,
            Err(reason) => {
                changed.push(format!("{}: {reason}", file.display()));
                continue;
            }
        };
        if now == text {
            continue;
        }
        if is_recording {
            std::fs::write(&file, &now).expect("the scenarios are ours to write");
        }
        let mut lines = text.lines().zip(now.lines()).zip(1..);
        let first = lines.find(|((before, now), _)| before != now);
        let first = first.map(|((before, now), line)| format!("line {line}\n  {before}\n  {now}"));
        let first = first.unwrap_or_else(|| "its end".into());
        changed.push(format!("{}: {first}", file.display()));
    }
    changed
}

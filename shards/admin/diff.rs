//! What differs between two texts of one rule or workflow, in lines for people.
//!
//! Both texts are canonical JSON. They are laid out as lines first, the same way, so that only what
//! means something else differs.

use document::{Kind, Node, Source};
use std::fmt::Write as _;

/// The longest value that stays on one line. Unit: bytes.
const LINE_BYTES: usize = 90;

/// The most lines of a difference that are shown.
const LINES_MAX: usize = 40;

/// The largest table of lines by lines that is filled to find the shortest difference. Beyond it
/// everything between the first and the last line that differ is told as changed.
const TABLE_MAX: usize = 4_000_000;

/// How many equal lines stand around those that differ.
const CONTEXT: usize = 1;

/// The lines that differ, each with ` `, `-` or `+` in front.
pub(crate) fn diff(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (lines(old), lines(new));
    let mut steps = steps(&old, &new);
    let differs = |step: &Step<'_>| !matches!(step, Step::Same(_));
    let near: Vec<bool> = (0..steps.len())
        .map(|at| {
            let around = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(steps.len());
            steps[around].iter().any(differs)
        })
        .collect();
    let mut shown: Vec<String> = (steps.drain(..).zip(near))
        .filter(|(_, near)| *near)
        .map(|(step, _)| match step {
            Step::Same(line) => format!(" {line}"),
            Step::Old(line) => format!("-{line}"),
            Step::New(line) => format!("+{line}"),
        })
        .collect();
    if shown.len() > LINES_MAX {
        let more = shown.len() - LINES_MAX;
        shown.truncate(LINES_MAX);
        shown.push(format!(" ... and {more} more lines"));
    }
    shown
}

/// One line of both, of the old text or of the new one.
enum Step<'l> {
    Same(&'l str),
    Old(&'l str),
    New(&'l str),
}

fn steps<'l>(old: &'l [String], new: &'l [String]) -> Vec<Step<'l>> {
    let first = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old_rest, new_rest) = (&old[first..], &new[first..]);
    let last = old_rest
        .iter()
        .rev()
        .zip(new_rest.iter().rev())
        .take_while(|(old, new)| old == new)
        .count();
    let (old_middle, tail) = old_rest.split_at(old_rest.len() - last);
    let new_middle = &new_rest[..new_rest.len() - last];
    let mut steps: Vec<Step<'l>> = old[..first].iter().map(|line| Step::Same(line)).collect();
    if (old_middle.len() + 1) * (new_middle.len() + 1) <= TABLE_MAX {
        shortest(old_middle, new_middle, &mut steps);
    } else {
        steps.extend(old_middle.iter().map(|line| Step::Old(line)));
        steps.extend(new_middle.iter().map(|line| Step::New(line)));
    }
    steps.extend(tail.iter().map(|line| Step::Same(line)));
    steps
}

/// The longest common lines stay, by the textbook's table: `common[o][n]` is how many lines the rest
/// of the old text from `o` on has in common with that of the new one from `n` on.
fn shortest<'l>(old: &'l [String], new: &'l [String], steps: &mut Vec<Step<'l>>) {
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for o in (0..old.len()).rev() {
        for n in (0..new.len()).rev() {
            common[o * width + n] = if old[o] == new[n] {
                common[(o + 1) * width + n + 1] + 1
            } else {
                common[(o + 1) * width + n].max(common[o * width + n + 1])
            };
        }
    }
    let (mut o, mut n) = (0, 0);
    while o < old.len() || n < new.len() {
        if o < old.len() && n < new.len() && old[o] == new[n] {
            steps.push(Step::Same(&old[o]));
            (o, n) = (o + 1, n + 1);
        } else if n == new.len()
            || (o < old.len() && common[(o + 1) * width + n] >= common[o * width + n + 1])
        {
            steps.push(Step::Old(&old[o]));
            o += 1;
        } else {
            steps.push(Step::New(&new[n]));
            n += 1;
        }
    }
}

/// A text laid out. One that cannot be read is one line: a node of another version may write what
/// this program does not know.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    match document::parse(Source { name: "a node's answer", text }) {
        Ok(node) => lay_out(&node, 0, "", &mut lines),
        Err(_) => lines.push(text.to_owned()),
    }
    lines
}

/// Recursion: bounded by the nesting of a document.
fn lay_out(node: &Node, depth: usize, lead: &str, lines: &mut Vec<String>) {
    let mut line = format!("{:depth$}{lead}", "");
    let json = node.to_json();
    let is_short = json.len() <= LINE_BYTES;
    match &node.kind {
        // A list of maps reads better one by one, however short.
        Kind::Map(entries)
            if !entries.is_empty() && (depth == 0 && lead.is_empty() || !is_short) =>
        {
            let inside = if lead.is_empty() { depth } else { depth + 2 };
            if !lead.is_empty() {
                lines.push(line.trim_end().to_owned());
            }
            for entry in entries {
                lay_out(&entry.value, inside, &format!("{}: ", entry.key), lines);
            }
        }
        Kind::List(nodes) if !nodes.is_empty() && (!is_short || has_maps(nodes)) => {
            lines.push(line.trim_end().to_owned());
            for node in nodes {
                lay_out(node, depth + 2, "- ", lines);
            }
        }
        _ => {
            write!(line, "{json}").expect("a text takes everything");
            lines.push(line);
        }
    }
}

fn has_maps(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| matches!(node.kind, Kind::Map(_)))
}

#[cfg(test)]
mod tests;

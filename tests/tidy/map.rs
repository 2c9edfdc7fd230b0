//! docs/ARCHITECTURE.md has a tree of the house. A map that is wrong is worse than none.
//!
//! The tree is the first fenced block with a line that begins with `src/`. A name at the start of a
//! line is a folder of the root, an indented one is in the folder above; names end in `/`, what
//! follows is said about them.

use crate::house::{assert_none, folders_in, root};
use std::collections::{BTreeMap, BTreeSet};

const MAP: &str = "docs/ARCHITECTURE.md";

/// Rooms of which the map shows everything.
const ROOMS: [&str; 2] = ["src", "shards"];

/// The folders of the root, and what the map shows in each.
type Tree = BTreeMap<String, BTreeSet<String>>;

fn read_map() -> Tree {
    let text = std::fs::read_to_string(root().join(MAP)).unwrap_or_else(|error| {
        panic!("{MAP}: {error}\nDraw the house's tree there, as tests/tidy/map.rs says.")
    });
    parse(&text).unwrap_or_else(|| {
        panic!("{MAP} has no fenced block with a line that begins with `src/`: draw the tree there")
    })
}

fn parse(text: &str) -> Option<Tree> {
    let blocks = text.split("```").skip(1).step_by(2);
    let mut trees = blocks.filter(|block| block.lines().any(|line| line.starts_with("src/")));
    let mut tree = Tree::new();
    let mut room = String::new();
    for line in trees.next()?.lines() {
        let entry = line.trim_start_matches([' ', '│', '├', '└', '─']);
        let Some(name) = entry.split_whitespace().next().and_then(|word| word.strip_suffix('/'))
        else {
            continue;
        };
        if entry.len() == line.len() {
            name.clone_into(&mut room);
            tree.entry(room.clone()).or_default();
        } else {
            tree.entry(room.clone()).or_default().insert(name.to_owned());
        }
    }
    Some(tree)
}

#[test]
fn the_map_shows_every_folder_of_src_and_shards_and_no_other() {
    let map = read_map();
    let mut breaches = Vec::new();
    for room in ROOMS {
        let shown = map.get(room).cloned().unwrap_or_default();
        let there = folders_in(room);
        breaches.extend(
            there.difference(&shown).map(|name| format!("{room}/{name}/ is not on the map")),
        );
        breaches.extend(
            shown.difference(&there).map(|name| format!("{room}/{name}/ is only on the map")),
        );
    }
    assert_none(
        &breaches,
        "Give each folder its line, and no line to what is not there yet, in docs/ARCHITECTURE.md.",
    );
}

#[test]
fn every_other_folder_on_the_map_is_there() {
    let map = read_map();
    let mut breaches = Vec::new();
    for (room, shown) in map.iter().filter(|(room, _)| !ROOMS.contains(&room.as_str())) {
        let paths = shown.iter().map(|name| format!("{room}/{name}")).chain([room.clone()]);
        breaches.extend(paths.filter(|path| !root().join(path).is_dir()));
    }
    assert_none(
        &breaches,
        "Not there: take the line out of docs/ARCHITECTURE.md, or put a file into the folder.",
    );
}

#[test]
fn a_tree_is_read_with_and_without_branches() {
    let plain = "src/  decides\n  base/  words\n         and/or more\n  engine/\nshards/\n";
    let drawn = "src/ decides\n├── base/ words\n└── engine/\nshards/\n";
    for (block, expected) in [(plain, vec!["base", "engine"]), (drawn, vec!["base", "engine"])] {
        let tree =
            parse(&format!("text\n```rust\nlet a;\n```\nmore\n```text\n{block}```\n")).unwrap();
        assert!(tree["shards"].is_empty());
        assert_eq!(tree["src"].iter().collect::<Vec<_>>(), expected, "{block}");
    }
    assert!(parse("no block, though src/ is named\nsrc/\n").is_none());
}

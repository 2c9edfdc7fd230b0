//! docs/OPERATING.md says what can fail, and by which test each row is shown. A test that was renamed
//! or removed takes its row's proof along.
//!
//! The last cell of a row names crates, each with a colon and its tests behind it: `` rpc: `a_test`,
//! `another`; node: `a_third` ``. A crate's tests may lie in a module: `node/log`.

use crate::house::{Source, assert_none, read, sources};

const GUIDE: &str = "docs/OPERATING.md";

/// The part of the guide with the rows.
const TITLE: &str = "\n## What can fail\n";

/// Names that are no crate's, and where their tests lie.
const ELSEWHERE: [(&str, &str); 5] = [
    ("node", "tests/node"),
    ("cluster", "tests/cluster"),
    ("plugins", "tests/plugins"),
    ("sim", "tests/sim"),
    ("workers", "tests/workers"),
];

/// A test that the guide names.
struct Named {
    line: usize,
    /// Of whom it is said to be.
    owner: String,
    test: String,
}

fn named(guide: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let (before, part) = guide.split_once(TITLE).unwrap_or((guide, ""));
    // Behind the line that the title's own line feed ends, and the title.
    let first = before.matches('\n').count() + 3;
    let part = part.split("\n## ").next().unwrap_or_default();
    for (line, text) in part.lines().enumerate().filter(|(_, text)| text.starts_with("| ")) {
        let cell = text.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let mut owner = "";
        // What stands between back-quotes is a test, what stands before them may say whose.
        for (place, piece) in cell.split('`').enumerate() {
            if place % 2 == 1 {
                found.push(Named {
                    line: first + line,
                    owner: owner.to_owned(),
                    test: piece.to_owned(),
                });
            } else if let Some((words, _)) = piece.rsplit_once(':') {
                let words = words.rsplit([';', '.']).next().unwrap_or_default();
                owner = words.split_whitespace().next().unwrap_or_default();
            }
        }
    }
    found
}

/// Whether `path` belongs to `owner`.
fn is_of(owner: &str, path: &str) -> bool {
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == owner).map(|(_, folder)| *folder);
    let folders = match elsewhere {
        Some(folder) => vec![folder.to_owned()],
        None => vec![format!("src/{owner}"), format!("shards/{owner}")],
    };
    folders.iter().any(|folder| {
        path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
    })
}

fn has(source: &Source, test: &str) -> bool {
    source.text.contains(&format!("fn {test}("))
}

#[test]
fn every_test_that_the_guide_names_is_where_it_says() {
    let named = named(&read(GUIDE));
    assert!(named.len() > 100, "{GUIDE} names only {} tests: is it read rightly?", named.len());
    let sources = sources();
    let is_there = |named: &Named| {
        sources.iter().any(|source| is_of(&named.owner, &source.path) && has(source, &named.test))
    };
    let breaches: Vec<String> = named
        .iter()
        .filter(|named| !is_there(named))
        .map(|named| {
            format!("{GUIDE}:{}: {} has no test `{}`", named.line, named.owner, named.test)
        })
        .collect();
    assert_none(&breaches, "Name the test that shows the row now, and the crate that it lives in.");
}

#[test]
fn rows_are_read_with_several_crates_and_remarks() {
    let guide = "# G\n\n## What can fail\n\n| fails | shown by |\n| --- | --- |\n\
                 | a | node: `one`, `two`; sim (above, again): `three` |\n| b | none |\n\n## Next\n\n| c | x: `y` |\n";
    let found = named(guide);
    let found: Vec<_> = found.iter().map(|n| (n.line, n.owner.as_str(), n.test.as_str())).collect();
    assert_eq!(found, [(7, "node", "one"), (7, "node", "two"), (7, "sim", "three")]);
}

#[test]
fn a_crate_is_told_from_one_whose_name_begins_alike() {
    // Owner, path, whether it is of it.
    let rows = [
        ("rpc", "shards/rpc/tests/serving.rs", true),
        ("rpc", "shards/rpcx/lib.rs", false),
        ("node", "tests/node/stop.rs", true),
        ("node", "shards/node/log.rs", false),
        ("node/log", "shards/node/log.rs", true),
        ("node/log", "shards/node/log/tests.rs", true),
    ];
    for (owner, path, is) in rows {
        assert_eq!(is_of(owner, path), is, "{owner}: {path}");
    }
}

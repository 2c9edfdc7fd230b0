//! The commands of docs/OPERATING.md, "Step by step", one block after the other, as they stand there
//! but for the address of this machine.

use crate::server::free_address;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const PAGE: &str = include_str!("../../docs/OPERATING.md");

/// Before each block's output.
const MARK: &str = "@@ block ";

/// The page's commands: the blocks of one section.
fn blocks() -> Vec<&'static str> {
    let (_, section) = PAGE.split_once("### Step by step").expect("the page has the section");
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split_once("```").expect("a block ends").0).collect()
}

#[test]
fn the_steps_of_the_page_found_lose_grow_and_shrink_a_cluster() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: curl is not installed");
        return;
    }
    let blocks = blocks();
    assert_eq!(blocks.len(), 7);
    let programs = Path::new(env!("CARGO_BIN_EXE_distric-shard")).parent().unwrap();
    // Whatever happens, no node outlives the script.
    let mut script =
        String::from("set -eu\ntrap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT\n");
    for (number, block) in blocks.iter().enumerate() {
        writeln!(script, "echo '{MARK}{number}'\n{block}").unwrap();
    }
    let script = script.replace("127.0.0.1", &free_address().ip().to_string());
    let place = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let ran = Command::new("timeout")
        .args(["--kill-after=5", "150", "bash", "-c", &script])
        .current_dir(place.path())
        .env("PATH", path)
        .env("DISTRIC_SEGMENT", "16MiB")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let logs = || {
        let name = |node| place.path().join(format!("n{node}.log"));
        let read = |node| std::fs::read_to_string(name(node)).unwrap_or_default();
        (1..=4).fold(String::new(), |all, node| format!("{all}\n-- node {node}\n{}", read(node)))
    };
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}\n{said}\n{errors}\n{}", ran.status, logs());
    let parts: Vec<&str> = said.split(MARK).skip(1).collect();
    let has = |block: usize, node: u64, standing: &str| {
        let is_row = |line: &str| {
            let mut words = line.split_whitespace();
            words.next() == Some(&node.to_string()) && words.next() == Some(standing)
        };
        parts[block].lines().any(is_row)
    };
    for node in 1..=3 {
        assert!(has(0, node, "voter") && has(2, node, "voter"), "{said}");
    }
    assert!(has(3, 4, "voter") && has(3, 1, "voter"), "{said}");
    assert!(parts[4].contains("all nodes are equal"), "{said}");
    for block in [5, 6] {
        assert!(has(block, 4, "voter") && !has(block, 1, "voter"), "{said}");
    }
    assert!(parts[6].contains("node 4 leads"), "{said}");
}

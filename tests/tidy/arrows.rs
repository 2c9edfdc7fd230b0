//! Who may depend on whom. Every crate has a row; what is not in it is not allowed.

use crate::house::{Crate, Dependency, assert_none, crates};

/// Stands for every leaf: a crate of src that knows no other but those in its own row.
const ANY_LEAF: &str = "any leaf";

/// Stands for every role: a crate of shards that runs on the cores.
const ANY_ROLE: &str = "any role";

const LEAVES: &[&str] = &[
    "abi",
    "api",
    "base",
    "document",
    "expr",
    "flow",
    "journal",
    "plugin",
    "quorum",
    "rules",
    "swim",
    "telemetry",
    "tensor",
    "wire",
];

const ROLES: &[&str] =
    &["consensus", "crew", "history", "ingress", "membership", "replica", "worker"];

/// Crates, and the crates of the house that each may name. A row may stand here before its crate.
const ROWS: &[(&[&str], &[&str])] = &[
    // src decides. A leaf knows only base, and telemetry's value types.
    (&["base"], &[]),
    (&["telemetry"], &["base"]),
    (&["api", "document", "expr", "journal", "tensor", "wire"], &["base", "telemetry"]),
    (&["rules", "flow"], &["base", "telemetry", "document", "expr"]),
    (&["quorum", "swim"], &["base", "telemetry", "wire"]),
    // The contract with a plugin: a manifest is a document, a frame is made of fields.
    (&["plugin"], &["abi", "base", "document", "wire"]),
    (&["abi"], &[]),
    // The only place where leaves meet.
    (&["engine"], &[ANY_LEAF]),
    (&["sim"], &[ANY_LEAF, "engine"]),
    // shards do. Roles never name roles.
    (&["runtime"], &["base", "telemetry"]),
    // Below the roles: what several of them call each other by.
    (&["rpc"], &["base", "telemetry", "wire", "runtime"]),
    (
        &["consensus", "history", "ingress", "membership", "replica"],
        &[ANY_LEAF, "engine", "rpc", "runtime"],
    ),
    (&["worker"], &[ANY_LEAF, "engine", "rpc", "runtime"]),
    (&["crew"], &[ANY_LEAF, "engine", "rpc", "runtime", "host"]),
    (&["host"], &["base", "telemetry", "document", "expr", "plugin", "pool"]),
    (&["pool"], &["base", "telemetry", "tensor"]),
    (&["node"], &[ANY_LEAF, "engine", "rpc", "runtime", "host", ANY_ROLE]),
    // What people run or link against a node knows its words, not its insides.
    (&["client"], &[ANY_LEAF]),
    // What a plugin in Rust links, and the examples that do.
    (&["sdk"], &["abi"]),
    (&["ml_inference", "payment_validator", "user_history_checker", "webhook"], &["sdk"]),
    (&["load"], &[ANY_LEAF, "client"]),
    // It runs a plugin to check it, as a node would.
    (&["admin"], &[ANY_LEAF, "client", "host"]),
    // Others' matchers beside ours; outside of the default members.
    (&["rivals"], &["base", "document", "rules"]),
    // The binaries.
    (&["distric"], &["admin", "load", "node"]),
];

/// A world for tests: what is in it never runs in a node.
const FOR_TESTS_ONLY: &str = "sim";

/// Libraries of which one crate is the only door, under all their names.
const DOORS: &[(&[&str], &str)] = &[(&["glommio", "glommio-ng"], "runtime")];

/// Libraries that touch the world, or differ from run to run: not for src.
const WORLDLY: &[&str] = &[
    "clap",
    "futures-rustls",
    "getrandom",
    "hyper",
    "libc",
    "mimalloc",
    "nix",
    "rand",
    "rustix",
    "rustls",
    "signal-hook",
    "socket2",
    "tempfile",
    "tokio",
    "ureq",
];

fn allowed(name: &str) -> Option<Vec<&'static str>> {
    let (_, targets) = ROWS.iter().find(|(names, _)| names.contains(&name))?;
    let expand = |target: &&'static str| match *target {
        ANY_LEAF => LEAVES.to_vec(),
        ANY_ROLE => ROLES.to_vec(),
        other => vec![other],
    };
    Some(targets.iter().flat_map(expand).collect())
}

/// The arrows of one crate that are not in its row.
fn breaches(from: &Crate) -> Vec<String> {
    let manifest = from.manifest();
    let Some(allowed) = allowed(&from.name) else {
        return vec![format!("{manifest}: `{}` has no row", from.name)];
    };
    let is_root = from.folder.is_empty();
    let is_wrong = |to: &&Dependency| {
        // The tests of the whole may look anywhere, those of a crate where it may look itself.
        let is_test_of_the_whole = is_root && to.is_dev;
        let is_world = to.is_dev && to.name == FOR_TESTS_ONLY;
        to.is_ours && !allowed.contains(&to.name.as_str()) && !is_test_of_the_whole && !is_world
    };
    let wrong = from.dependencies.iter().filter(is_wrong);
    wrong.map(|to| format!("{manifest}: {} -> {}", from.name, to.name)).collect()
}

#[test]
fn crates_depend_only_on_those_in_their_row() {
    let breaches: Vec<_> = crates().iter().flat_map(breaches).collect();
    assert_none(
        &breaches,
        "What two crates need belongs into a leaf below both, and leaves meet in engine. A crate \
         or an arrow that is truly new gets a page in docs/decisions, its line in \
         docs/ARCHITECTURE.md and its row in tests/tidy/arrows.rs.",
    );
}

#[test]
fn nothing_but_tests_depends_on_the_simulator() {
    let crates = crates();
    let users = crates.iter().filter(|user| {
        user.dependencies.iter().any(|to| to.is_ours && to.name == FOR_TESTS_ONLY && !to.is_dev)
    });
    let users: Vec<_> = users.map(Crate::manifest).collect();
    assert_none(&users, "Name sim in [dev-dependencies], or not at all.");
}

#[test]
fn a_library_with_a_door_is_named_by_its_door_alone() {
    let mut breaches = Vec::new();
    for (library, door) in DOORS {
        for user in crates().iter().filter(|user| user.name != *door) {
            let named = user.dependencies.iter().any(|to| library.contains(&to.name.as_str()));
            if named {
                breaches.push(format!(
                    "{}: names {}, whose door is {door}",
                    user.manifest(),
                    library[0]
                ));
            }
        }
    }
    assert_none(&breaches, "Let the door offer what you need, in types of its own.");
}

#[test]
fn src_depends_on_no_library_that_touches_the_world() {
    let mut breaches = Vec::new();
    for user in crates().iter().filter(|user| user.folder.starts_with("src/")) {
        let wrong = user
            .dependencies
            .iter()
            .filter(|to| !to.is_dev && !to.is_ours && WORLDLY.contains(&to.name.as_str()));
        breaches.extend(wrong.map(|to| format!("{}: {}", user.manifest(), to.name)));
    }
    assert_none(&breaches, "src decides and shards do: the result is an input, of an `on_…`.");
}

#[test]
fn every_name_in_the_table_has_exactly_one_row() {
    for name in LEAVES.iter().chain(ROLES).chain(ROWS.iter().flat_map(|(_, targets)| *targets)) {
        let rows = ROWS.iter().filter(|(names, _)| names.contains(name)).count();
        let is_group = [ANY_LEAF, ANY_ROLE].contains(name);
        assert_eq!(rows, usize::from(!is_group), "{name}");
    }
}

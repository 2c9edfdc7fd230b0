//! What no source may hold.

use crate::code::{code_only, lines_with};
use crate::house::{Source, assert_none, sources};

/// Folders that may say `unsafe`, and why nothing else would do. Each overrides the lint itself,
/// with a reason of its own.
const UNSAFE: &[(&str, &str)] = &[
    ("src/abi", "the types of functions that are called through pointers; nothing is called there"),
    (
        "shards/host/child",
        "a plugin's process calls what a shared library offers, and says in a signal handler why it \
         ends",
    ),
    ("shards/sdk", "a plugin in Rust is called by pointers, and exports one function by its name"),
];

/// Longer files are reported: there is probably a second idea in them.
const FILE_LINES_MAX: usize = 800;

/// What pure code does not say, and what it does instead.
const NOT_IN_SRC: &[(&str, &str)] = &[
    ("Instant::now", "time is an input"),
    ("SystemTime", "time is an input: base::UnixMicros"),
    ("std::thread", "src starts no thread and keeps nothing per thread"),
    ("thread_local!", "src keeps nothing per thread"),
    ("std::fs", "src opens no file: order it by an effect"),
    ("std::process", "src starts no process"),
    ("std::env", "configuration is an input"),
    ("std::io::stdin", "src reads nothing"),
    ("std::io::stdout", "src prints nothing"),
    ("std::io::stderr", "src prints nothing"),
    ("print!", "src prints nothing"),
    ("println!", "src prints nothing"),
    ("eprint!", "src prints nothing"),
    ("eprintln!", "src prints nothing"),
    ("TcpStream", "src opens no socket: order it by an effect"),
    ("TcpListener", "src opens no socket"),
    ("UdpSocket", "src opens no socket"),
    ("UnixStream", "src opens no socket"),
    ("UnixListener", "src opens no socket"),
    ("UnixDatagram", "src opens no socket"),
    ("ToSocketAddrs", "src asks no name server"),
    ("RandomState", "its order differs per run: base::FixedState"),
    ("glommio", "only shards/runtime names it"),
];

/// Parts of std that must not come in by `use std::{…}` either.
const NOT_FROM_STD: &[&str] = &["env", "fs", "process", "thread"];

/// What nobody says.
const NOWHERE: &[(&str, &str)] = &[
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "log it through tracing, or leave it out"),
    ("#[ignore", "a test runs or is not there; what the machine lacks is said and skipped"),
];

/// What tests do not say.
const NOT_IN_TESTS: &[(&str, &str)] = &[(
    "thread::sleep",
    "wait for the thing itself: a channel, a condition variable, a line of the process's output",
)];

/// Where words of a table stand in the code, each with what to do.
fn found(sources: &[Source], words: &[(&str, &str)]) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources {
        let code = code_only(&source.text);
        for (word, instead) in words {
            let lines = lines_with(&code, word);
            let tell = |line| format!("{}:{line}: `{word}`: {instead}", source.path);
            breaches.extend(lines.into_iter().map(tell));
        }
    }
    breaches
}

fn of_src() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| source.path.starts_with("src/") && !source.is_test());
    sources
}

#[test]
fn src_has_no_clock_thread_file_socket_or_die() {
    assert_none(
        &found(&of_src(), NOT_IN_SRC),
        "src decides and shards do. What the world says is an argument of an `on_…`, what it is \
         to do an `Effect`.",
    );
}

/// The first words of what a `use std::{…}` brings in, with their lines.
fn brought_from_std(code: &str) -> Vec<(usize, String)> {
    let mut brought = Vec::new();
    for (at, opening) in code.match_indices("std::{") {
        let mut depth = 1;
        let mut word = String::new();
        let mut is_first = true;
        let mut line = code[..at].matches('\n').count() + 1;
        for character in code[at + opening.len()..].chars() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                '\n' => line += 1,
                _ => {}
            }
            if character.is_alphanumeric() || character == '_' {
                word.push(character);
                continue;
            }
            if !word.is_empty() && is_first {
                brought.push((line, std::mem::take(&mut word)));
                is_first = false;
            }
            word.clear();
            if depth == 0 {
                break;
            }
            // A new path begins behind a comma of the outermost braces.
            is_first |= depth == 1 && character == ',';
        }
    }
    brought
}

#[test]
fn src_brings_nothing_worldly_in_from_std() {
    let mut breaches = Vec::new();
    for source in of_src() {
        let brought = brought_from_std(&code_only(&source.text));
        let wrong = brought.iter().filter(|(_, word)| NOT_FROM_STD.contains(&word.as_str()));
        breaches.extend(wrong.map(|(line, word)| format!("{}:{line}: std::{word}", source.path)));
    }
    assert_none(&breaches, "src decides and shards do: no thread, file, process or environment.");
}

#[test]
fn what_a_use_of_std_brings_in_is_seen() {
    let code =
        "use std::{\n    fmt,\n    io::{self, Write},\n    thread,\n};\nuse std::{fs::File};";
    let expected = [(2, "fmt"), (3, "io"), (4, "thread"), (6, "fs")];
    let brought = brought_from_std(code);
    let brought: Vec<_> = brought.iter().map(|(line, word)| (*line, word.as_str())).collect();
    assert_eq!(brought, expected);
}

#[test]
fn unsafe_is_said_only_where_the_list_allows_it() {
    let mut breaches = Vec::new();
    for source in sources() {
        let is_listed = UNSAFE.iter().any(|(folder, _)| source.path.starts_with(folder));
        let code = code_only(&source.text);
        let mut lines = lines_with(&code, "unsafe");
        for level in ["allow", "expect", "warn"] {
            lines.extend(lines_with(&code, &format!("{level}(unsafe_code")));
        }
        if !is_listed {
            breaches.extend(lines.iter().map(|line| format!("{}:{line}", source.path)));
        }
    }
    assert_none(
        &breaches,
        "Find a safe way or a library that keeps it for us. If there is none, add the folder and \
         the reason to UNSAFE in tests/tidy/sources.rs.",
    );
}

#[test]
fn every_folder_that_may_say_unsafe_does_and_has_a_reason() {
    let sources = sources();
    let stale = UNSAFE.iter().filter(|(folder, reason)| {
        let mut inside = sources.iter().filter(|source| source.path.starts_with(folder));
        reason.is_empty()
            || !inside.any(|source| !lines_with(&code_only(&source.text), "unsafe").is_empty())
    });
    let stale: Vec<_> = stale.map(|(folder, _)| *folder).collect();
    assert_none(&stale, "Take it out of UNSAFE in tests/tidy/sources.rs, or say why it is there.");
}

#[test]
fn nothing_is_unfinished_and_no_test_is_left_out() {
    assert_none(&found(&sources(), NOWHERE), "What is on the main branch is whole.");
}

#[test]
fn tests_do_not_sleep() {
    let mut sources = sources();
    sources.retain(Source::is_test);
    assert_none(
        &found(&sources, NOT_IN_TESTS),
        "A sleep is too short on a busy machine, too long on any other.",
    );
}

#[test]
fn production_code_does_not_know_the_simulator() {
    // Put together here, so that this file does not hold it.
    let switch = format!("feature = {:?}", "simulator");
    let sources = sources();
    let knowing = sources.iter().filter(|source| source.text.contains(&switch));
    let knowing: Vec<_> = knowing.map(|source| &source.path).collect();
    assert_none(
        &knowing,
        "The simulator drives the same code that nodes run: no switch tells them apart.",
    );
}

fn long_files(sources: &[Source]) -> Vec<String> {
    let lines = sources.iter().map(|source| (source, source.text.lines().count()));
    let long = lines.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    long.map(|(source, lines)| format!("{}: {lines} lines", source.path)).collect()
}

#[test]
fn long_files_are_reported() {
    let source = |path: &str, lines| Source { path: path.to_owned(), text: "x\n".repeat(lines) };
    let made_up = [source("short.rs", FILE_LINES_MAX), source("long.rs", FILE_LINES_MAX + 1)];
    assert_eq!(long_files(&made_up), ["long.rs: 801 lines"]);
    // Not enforced: a file is cut where its ideas part, not where a number says so.
    for report in long_files(&sources()) {
        println!("{report}: is there a second idea in it?");
    }
}

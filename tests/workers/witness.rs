//! Sees tasks run: each holds a connection for as long as it does.
//!
//! Checked on every connection: no two attempts of one task run at the same time.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was seen of all tasks, by their idempotency keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Attempts that run now.
    pub(crate) running: BTreeMap<String, u32>,
    /// How often one began, ended, and was done.
    pub(crate) begun: BTreeMap<String, u32>,
    pub(crate) done: BTreeMap<String, u32>,
    /// Attempts of one task that ran at the same time.
    pub(crate) overlaps: Vec<String>,
    pub(crate) most_at_once: usize,
}

/// Where tasks are seen.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Witness {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let all = Arc::clone(&seen);
        // Ends with the process: tests are processes of their own.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&all);
                thread::spawn(move || watch(&stream, &seen));
            }
        });
        Self { port, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("no watcher panics").clone()
    }

    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        self.seen.lock().expect("no watcher panics").running.len()
    }

    /// How many tasks were done.
    pub(crate) fn done(&self) -> usize {
        self.seen.lock().expect("no watcher panics").done.len()
    }

    /// No attempt has run beside another one of its task.
    pub(crate) fn saw_no_overlap(&self) {
        let seen = self.seen();
        assert!(seen.overlaps.is_empty(), "ran twice at once: {:?}", seen.overlaps);
    }
}

fn watch(stream: &TcpStream, seen: &Mutex<Seen>) {
    let mut lines = BufReader::new(stream);
    let mut name = String::new();
    if lines.read_line(&mut name).unwrap_or(0) == 0 {
        return;
    }
    let (key, attempt) = name.trim().rsplit_once(' ').expect("a key and an attempt");
    let attempt: u32 = attempt.parse().expect("a number");
    {
        let mut seen = seen.lock().expect("no watcher panics");
        *seen.begun.entry(key.to_owned()).or_default() += 1;
        if let Some(other) = seen.running.insert(key.to_owned(), attempt) {
            seen.overlaps.push(format!("{key}: {other} and {attempt}"));
        }
        seen.most_at_once = seen.most_at_once.max(seen.running.len());
    }
    let mut to = stream;
    let is_told = to.write_all(b"k").is_ok();
    let mut rest = String::new();
    // A process that was killed resets it.
    let _end = if is_told { lines.read_to_string(&mut rest) } else { Ok(0) };
    let mut seen = seen.lock().expect("no watcher panics");
    if rest == "done\n" {
        *seen.done.entry(key.to_owned()).or_default() += 1;
    }
    if seen.running.get(key) == Some(&attempt) {
        seen.running.remove(key);
    }
}

//! A full disk: a small file system in memory, in a mount namespace that ends with its test.

use crate::audit;
use crate::endpoint::Endpoint;
use crate::load::{Accepted, Ledger, Load, Mix, Style, put_workflows};
use crate::server::{Place, Server, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Three segments and a little: a start needs a fresh one beside the one it goes on from.
const SMALL: &str = "size=56m";
const LARGE: &str = "size=160m";

/// Fills a disk quickly.
const LARGE_MESSAGES: Mix = Mix {
    clients: &[Style::Single(4), Style::Single(4), Style::Batch(8)],
    shares: [8, 1, 0, 0],
    padding: 100 * 1024,
    keyed: 0,
};

/// Clients that do not give up.
const PERSISTENT: Mix =
    Mix { clients: &[Style::Single(1), Style::Batch(8)], padding: 0, keyed: 1, ..LARGE_MESSAGES };

/// A file system of its own on a directory, seen by what runs within it alone.
struct Disk {
    /// Holds the namespace, until its input ends: with this value, or with this process.
    keeper: Child,
    directory: PathBuf,
    enter: Vec<String>,
}

impl Disk {
    /// Nothing, when this user may not make one; the reason is printed.
    fn make(directory: &Path) -> Option<Self> {
        // Root may do it by itself, others as the root of a user namespace, where that is allowed.
        let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
        let made = ways.iter().find_map(|way| {
            Self::try_make(directory, way)
                .inspect_err(|reason| println!("unshare {}: {reason}", way.join(" ")))
                .ok()
        });
        if made.is_none() {
            println!(
                "skipped: it takes a file system of its own, which this user cannot make here"
            );
        }
        made
    }

    fn try_make(directory: &Path, unshare: &[&str]) -> Result<Self, String> {
        let path = directory.to_str().expect("a temporary path is text");
        let script = r#"mount -t tmpfs -o "$1" tmpfs "$0" && echo mounted && exec cat"#;
        let mut keeper = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", script, path, SMALL])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = keeper.stdout.as_mut().expect("it is piped");
        // An error here shows as a line that is not the one expected.
        let _read = BufReader::new(output).read_line(&mut line);
        if line != "mounted\n" {
            let _ended = keeper.wait();
            let mut reason = String::new();
            let _read = keeper.stderr.take().map(|mut error| error.read_to_string(&mut reason));
            return Err(reason.trim().to_owned());
        }
        let mut enter = vec!["nsenter".to_owned(), "--mount".to_owned()];
        if unshare.contains(&"--user") {
            enter.extend(["--user", "--preserve-credentials"].map(str::to_owned));
        }
        enter.extend(["--target".to_owned(), keeper.id().to_string(), "--".to_owned()]);
        Ok(Self { keeper, directory: directory.to_owned(), enter })
    }

    /// Makes it larger or smaller.
    fn resize(&self, size: &str) {
        let options = format!("remount,{size}");
        let mut command = Command::new(&self.enter[0]);
        // Without the options it has: its owner's number is another one in a user namespace.
        let mount = ["mount", "--options-mode", "ignore", "-o", &options];
        command.args(&self.enter[1..]).args(mount).arg(&self.directory);
        let status = command.status().expect("nsenter is there, as nodes were started by it");
        assert!(status.success(), "mount -o {options}: {status}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ended = self.keeper.kill();
        let _reaped = self.keeper.wait();
    }
}

/// Sends one small message: what it was answered, and the refusal's `error`.
fn send(server: &Server, nonce: u64, ledger: &mut Ledger) -> (u16, Value) {
    let body = format!(r#"{{"nonce":{nonce},"kind":"none"}}"#);
    let answer = server.call("POST", "/api/v1/messages", &[], body);
    let (status, body) = (answer.status(), answer.json());
    if let (202, Some(id)) = (status, body["message_id"].as_str()) {
        let accepted = Accepted { id: id.to_owned(), kind: "none", key: None };
        ledger.accepted.insert(nonce, accepted);
    } else {
        ledger.refused.insert(nonce);
    }
    (status, body)
}

fn storage_is(server: &Server, word: &str) -> bool {
    let answer = server.get("/health/ready");
    let body = answer.json();
    let is_up = word == "UP";
    body["checks"]["storage"]["status"] == word
        && body["status"] == word
        && answer.status() == if is_up { 200 } else { 503 }
}

#[test]
fn a_full_disk_refuses_messages_serves_reads_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::make(directory.path()) else { return };
    let place = Place::at(&directory.path().join("data"), &[]).within(&disk.enter);
    let endpoint = Endpoint::start();
    let server = place.start();
    put_workflows(&server, &endpoint);

    // Full: large messages are refused first, then small ones.
    let load = Load::start(place.address, LARGE_MESSAGES, 7);
    until("the disk is full", || load.refusals().contains_key("no_space").then_some(()));
    let mut ledger = load.end();
    println!("{} accepted, {} refused", ledger.accepted.len(), ledger.refused.len());
    let mut nonces = 1 << 60..;
    let mut next = || nonces.next().expect("numbers do not end");
    let (status, refusal) = until("small messages are refused", || {
        Some(send(&server, next(), &mut ledger)).filter(|(status, _)| *status != 202)
    });
    assert_eq!((status, &refusal["error"]), (503, &"no_space".into()), "{refusal}");
    assert!(refusal["hint"].as_str().is_some_and(|hint| hint.contains("free space")), "{refusal}");
    assert!(storage_is(&server, "DOWN"), "{}", server.get("/health/ready").text());
    assert_eq!(server.get("/health/live").status(), 200);
    audit::every_accepted_message_is_there(&server, &ledger);

    // Stopped, killed and started while it is full: it waits for room for a segment of this run,
    // and says so. Until then it does not know the end of its own log, so it denies nothing.
    server.terminate();
    let (status, said) = server.ended();
    assert!(status.success(), "{status}: {said}");
    let mut server = place.spawn();
    for _ in 0..2 {
        drop(server.serving());
        until("it waits for space", || storage_is(&server, "DOWN").then_some(()));
        for accepted in ledger.accepted.values().take(50) {
            let status = server.get(&format!("/api/v1/messages/{}", accepted.id)).status();
            assert!(matches!(status, 200 | 503), "{accepted:?}: {status}");
        }
        assert!(matches!(send(&server, next(), &mut ledger).0, 202 | 503));
        server.kill();
        server = place.spawn();
    }

    // Room again: it goes on by itself, and those who repeated their messages are served.
    let load = Load::start(place.address, PERSISTENT, 8);
    until("somebody is refused", || (!load.refusals().is_empty()).then_some(()));
    disk.resize(LARGE);
    server.ready();
    load.after(100);
    ledger.add(load.end());
    until("storage is up again", || storage_is(&server, "UP").then_some(()));
    audit::every_accepted_message_is_there(&server, &ledger);
    audit::every_instance_completes_once(&server, &ledger, &endpoint);
}

#[test]
fn a_running_node_goes_on_by_itself_once_there_is_room_again() {
    let directory = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::make(directory.path()) else { return };
    let place = Place::at(&directory.path().join("data"), &[]).within(&disk.enter);
    let endpoint = Endpoint::start();
    let server = place.start();
    put_workflows(&server, &endpoint);
    let load = Load::start(place.address, LARGE_MESSAGES, 9);
    until("the disk is full", || load.refusals().contains_key("no_space").then_some(()));
    // They go on through it: what is refused stays refused, and then they are served.
    disk.resize(LARGE);
    load.after(100);
    let ledger = load.end();
    audit::every_accepted_message_is_there(&server, &ledger);
    audit::every_instance_completes_once(&server, &ledger, &endpoint);

    server.terminate();
    let (status, said) = server.ended();
    assert!(status.success(), "{status}: {said}");
    let server = place.start();
    audit::every_accepted_message_is_there(&server, &ledger);
}

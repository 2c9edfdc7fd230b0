//! A full disk.

use crate::audit;
use crate::disk::{Disk, LARGE};
use crate::endpoint::Endpoint;
use crate::load::{Accepted, Ledger, Load, Mix, Style, put_workflows};
use crate::server::{Place, Server, until};
use serde_json::Value;

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

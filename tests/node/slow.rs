//! Clients that are slow to send, or do not read: they are cut off, and nobody else waits for them.

use crate::client::{Connection, request};
use crate::server::{Place, Server, until};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// Between two bytes of a slow client.
const PACE: Duration = Duration::from_millis(100);

/// Far above the limits that the node is given here, far below a test's patience.
const CUT_OFF_MAX: Duration = Duration::from_secs(20);

fn start() -> (Place, Server) {
    let limits = ["http_header_timeout=1s", "http_body_timeout=1s", "http_write_stall=1s"];
    let place = Place::new(&limits);
    let server = place.start();
    (place, server)
}

/// Sends a byte again and again until the node has had enough: what it said, and when it closed.
fn drip(connection: &mut Connection, bytes: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    let stream = &mut connection.stream;
    // The pace: nothing comes for that long, so the next byte goes.
    stream.set_read_timeout(Some(PACE)).unwrap();
    let mut said = Vec::new();
    for byte in bytes.iter().cycle() {
        assert!(began.elapsed() < CUT_OFF_MAX, "a slow client is cut off; so far: {said:?}");
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // Once it has closed, the next read says so.
                let _sent = stream.write(&[*byte]);
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    (String::from_utf8_lossy(&said).into_owned(), began.elapsed())
}

#[test]
fn a_client_that_sends_its_headers_byte_by_byte_is_cut_off() {
    let (_place, server) = start();
    let mut slow = server.connect();
    slow.send(b"GET /health/live HTTP/1.1\r\n").unwrap();
    let (said, after) = drip(&mut slow, b"x-slow: yes\r\n");
    println!("cut off after {after:?}, with `{said}`");
    assert!(!said.contains("200 OK"), "{said}");
    assert_eq!(server.get("/health/live").status(), 200);
}

#[test]
fn a_client_that_sends_its_body_byte_by_byte_is_told_and_cut_off() {
    let (_place, server) = start();
    let mut slow = server.connect();
    slow.send(b"POST /api/v1/messages HTTP/1.1\r\nhost: test\r\ncontent-length: 4000\r\n\r\n")
        .unwrap();
    let (said, after) = drip(&mut slow, b" ");
    println!("cut off after {after:?}");
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("\"error\":\"request_timeout\""), "{said}");
    assert_eq!(server.get("/health/live").status(), 200);
}

#[test]
fn a_client_that_says_nothing_is_let_go() {
    let (_place, server) = start();
    let mut never = server.connect();
    let mut once = server.connect();
    assert_eq!(once.get("/health/live").unwrap().status(), 200);
    assert!(once.is_closed_by_peer(), "an idle connection is closed in order");
    assert!(never.is_closed_by_peer(), "so is one that never sent anything");
}

#[test]
fn a_client_that_does_not_read_its_answers_is_cut_off_and_holds_little() {
    let (_place, server) = start();
    let body = format!(r#"{{"padding":"{}"}}"#, "x".repeat(200_000));
    let accepted = server.call("POST", "/api/v1/messages", &[], body).json_of(202);
    let path = format!("/api/v1/messages/{}", accepted["message_id"].as_str().unwrap());
    let before = resident_bytes(&server);
    let mut deaf = server.connect();
    // The answers would be 2 GB.
    let asked = request("GET", &path, &[], b"").repeat(10_000);
    // What the node does not take any more, it does not have to answer.
    deaf.stream.set_write_timeout(Some(PACE)).unwrap();
    let _sent = deaf.send(&asked);
    let mut most = before;
    // The client's own end stays open: what counts is the node's.
    until("the deaf client is cut off", || {
        most = most.max(resident_bytes(&server));
        let is_alone = server.metric("tcp_connections_active") == 1;
        is_alone.then_some(())
    });
    println!("the node took {} MB for it", (most - before) / 1_000_000);
    assert!(most - before < 100_000_000, "{before} bytes before, {most} at most");
    assert!(server.metric("tcp_errors_total") >= 1, "it is counted");
    drop(deaf);
}

/// As the kernel counts it, without the pages of the program itself.
fn resident_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

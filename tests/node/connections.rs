//! Ten thousand clients at once.

use crate::client::{Connection, request};
use crate::server::{Place, Server, until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

const CONNECTIONS: usize = 10_000;

/// Beside the connections a process has files of its own.
const OTHER_FILES: u64 = 500;

/// Names the node to the process that plays the clients.
const CLIENT_OF: &str = "DISTRIC_TEST_CLIENT_OF";

/// This test's own name, by which it starts the other process.
const NAME: &str = "connections::ten_thousand_open_connections_are_all_served_and_leave_nothing";

#[test]
fn ten_thousand_open_connections_are_all_served_and_leave_nothing() {
    if let Ok(address) = std::env::var(CLIENT_OF) {
        be_the_clients(address.parse().unwrap());
        return;
    }
    let files_max = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    if files_max < CONNECTIONS as u64 + OTHER_FILES {
        println!("skipped: {CONNECTIONS} connections, and this user may open {files_max} files");
        return;
    }
    // All of them are opened before any is used a second time.
    let place = Place::new(&["http_header_timeout=60s"]);
    let server = place.start();
    let before = sockets(&server);

    let mut clients = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(CLIENT_OF, server.address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(clients.stdout.take().unwrap()).lines();
    let mut says = |word: &str| {
        let found = lines.by_ref().map_while(Result::ok).find(|line| line.ends_with(word));
        assert!(found.is_some(), "the clients did not get as far as `{word}`");
    };
    says("all open");
    assert_eq!(sockets(&server), before + CONNECTIONS);
    assert_eq!(connections(&server), CONNECTIONS as u64 + 1, "and the one that asks");
    clients.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    says("all served");
    assert!(clients.wait().unwrap().success());

    until("every descriptor is closed again", || (sockets(&server) == before).then_some(()));
    until("no connection is counted", || (connections(&server) == 1).then_some(()));
}

/// Sockets that a node has open.
pub(crate) fn sockets(server: &Server) -> usize {
    server.open_files().iter().filter(|name| name.starts_with("socket:")).count()
}

/// As the cluster's status counts them, over all cores.
fn connections(server: &Server) -> u64 {
    let status = server.get("/api/v1/cluster/status").json_of(200);
    let cores = status["cores"].as_array().unwrap();
    cores.iter().map(|core| core["connections"].as_u64().unwrap()).sum()
}

/// The other process: opens all, has each answered, waits for a word, has each answered again.
fn be_the_clients(address: SocketAddr) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let mut all: Vec<Connection> = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        all.push(Connection::open(address).unwrap());
    }
    serve_all(&mut all);
    println!("all open");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    serve_all(&mut all);
    println!("all served");
}

/// A message on each connection, then its answer.
fn serve_all(all: &mut [Connection]) {
    for connection in &mut *all {
        connection.send(&request("POST", "/api/v1/messages", &[], b"{}")).unwrap();
    }
    for connection in all {
        assert_eq!(connection.answer().unwrap().status(), 202);
    }
}

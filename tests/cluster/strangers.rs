//! Whoever is no member, or is told to be somebody else.

use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::endpoint::Endpoint;
use crate::kill::MIX;
use crate::load::{Load, put_workflows};
use crate::server::{Server, until};
use base::Prng;
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use wire::{Hello, Kind};

/// Starts the binary with a node's settings and others behind them, which count: everything it said
/// until it ended.
fn refused(cluster: &Cluster, node: u64, settings: &[&str]) -> String {
    let place = cluster.place(node);
    let mut arguments = place.arguments_on("0");
    arguments.extend(settings.iter().flat_map(|set| ["--set".to_owned(), (*set).to_owned()]));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (status, said) = Server::run(&[], &arguments, place.address).ended();
    assert_eq!(status.code(), Some(1), "{settings:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn starts_that_would_make_a_member_somebody_else_are_refused() {
    let mut cluster = Cluster::found(3, &[]);

    // A second process on a member's directory: the first one is not disturbed.
    let holder = format!("in use by another distric-shard (pid {})", cluster.server(2).pid());
    let said = refused(&cluster, 2, &[]);
    assert!(said.contains(&holder), "{holder} is not in: {said}");

    cluster.kill(2);
    for (settings, expected) in [
        (&["node=3"][..], &["node 2's", "says 3", "a directory of its own"][..]),
        (&["peer=off", "bootstrap=off"], &["node 2", "belongs to a cluster", "--peer ADDRESS"]),
        (&["peer=off"], &["--peer ADDRESS"]),
    ] {
        let said = refused(&cluster, 2, settings);
        for part in expected {
            assert!(said.contains(part), "{settings:?}: `{part}` is not in: {said}");
        }
    }
    // What founded the cluster is not looked at any more.
    cluster.start(2);
    let body = r#"{"nonce":0,"kind":"none"}"#;
    let answer = cluster.server(2).call("POST", "/api/v1/messages", &[], body);
    assert_eq!(answer.status(), 202, "{}", answer.text());
}

/// What a member says of itself when it calls another, but for its data directory.
fn member(cluster: &Cluster, node: u64, to: u64) -> Hello<'static> {
    let identity = fs::read_to_string(cluster.place(to).data().join("identity")).unwrap();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    let number = |field: &str| u64::from_str_radix(identity[field].as_str().unwrap(), 16).unwrap();
    Hello {
        node,
        program: "test",
        cluster: number("cluster"),
        store: 7,
        boot: 1,
        to_store: number("store"),
        format_min: engine::founding::FORMATS.0,
        format_max: engine::founding::FORMATS.1,
        ..Hello::of(Hello::COORDINATOR)
    }
}

#[test]
fn strangers_at_the_door_for_peers_are_refused_with_the_reason() {
    let cluster = Cluster::found(3, &[]);
    let member = member(&cluster, 2, 1);
    let rows = [
        (Hello { cluster: member.cluster ^ 1, ..member }, "belongs to cluster"),
        (Hello { cluster: 0, ..member }, "its data directory is another one"),
        (Hello { to_store: member.to_store ^ 1, ..member }, "the caller means a member with store"),
        (Hello { node: 1, ..member }, "two nodes were started as node 1"),
        (Hello { node: 0, ..member }, "node 0"),
        (Hello { format_min: 9, format_max: 9, ..member }, "upgrade one release at a time"),
    ];
    for (hello, expected) in rows {
        let mut caller = Caller::silent(cluster.peer(1)).unwrap();
        caller.send(&hello).unwrap();
        let answer = caller.next().unwrap().expect("an answer before the end");
        assert_eq!(answer.kind, Kind::ERROR, "{}", answer.said());
        let detail = answer.error().detail.to_owned();
        assert!(detail.contains(expected), "`{expected}` is not in: {detail}");
        assert!(caller.next().unwrap().is_none(), "then it hangs up");
        until("the node tells its operator, too", || {
            cluster.server(1).said().contains(&detail.replace('"', "\\\"")).then_some(())
        });
    }
}

#[test]
fn garbage_at_the_door_for_peers_does_no_harm() {
    let cluster = Cluster::found(3, &[]);
    let endpoint = Endpoint::start();
    put_workflows(cluster.server(1), &endpoint);
    let leader = cluster.leader();
    let load = Load::over(&cluster.http(), MIX, 1);
    load.after(100);

    let mut random = Prng::new(1);
    let noise: Vec<u8> = (0..100_000).map(|_| random.next_u64().to_le_bytes()[0]).collect();
    let greeting = Hello { node: 9, store: 9, boot: 1, ..Hello::of(Hello::COORDINATOR) };
    let frame = |kind| {
        let head = wire::Head {
            kind,
            flags: wire::Flags::NONE,
            call: 0,
            sent_at: base::UnixMicros(0),
            trace: None,
        };
        let mut bytes = Vec::new();
        wire::write_frame(&mut bytes, &head, |out| wire::Message::encode(&greeting, out));
        bytes
    };
    let hello = frame(Kind::HELLO);
    let member = member(&cluster, cluster.others(leader)[0], leader);
    for bytes in [
        noise.clone(),
        b"GET / HTTP/1.1\r\nhost: here\r\n\r\n".to_vec(),
        vec![0; 1_000],
        vec![0xff; 1_000],
        hello[..hello.len() / 2].to_vec(),
        // A hello, and then no frames; a frame that is no hello.
        [hello.clone(), noise].concat(),
        frame(Kind::PING),
        hello,
    ] {
        for node in cluster.nodes() {
            let mut stream = TcpStream::connect(cluster.peer(node)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            // It may hang up before it has read everything.
            let _sent = stream.write_all(&bytes);
            let _closed = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ended = stream.read_to_end(&mut answer);
        }
    }
    // Who knows everything that a member says of itself, and then sends what none would.
    for kind in Kind::ALL.iter().copied().chain([Kind(0), Kind(0xffff)]) {
        let mut caller = Caller::silent(cluster.peer(leader)).unwrap();
        caller.send(&member).unwrap();
        let answer = caller.next().unwrap().expect("an answer");
        assert_eq!(answer.kind, Kind::HELLO, "{kind}: {}", answer.said());
        for _ in 0..4 {
            let length = usize::try_from(random.below(200)).unwrap();
            let bytes: Vec<u8> = (0..length).map(|_| random.next_u64().to_le_bytes()[0]).collect();
            if caller.send_raw(kind, None, |out| out.extend_from_slice(&bytes)).is_err() {
                break;
            }
        }
        let _closed = caller.stream.shutdown(Shutdown::Write);
        while let Ok(Some(_)) = caller.next() {}
    }
    load.after(100);
    let ledger = load.end();
    cluster.audit(&ledger, &endpoint);
}

#[test]
fn a_node_of_another_cluster_at_a_members_address_is_told_apart() {
    let mut ours = Cluster::found(1, &[]);
    let mut theirs = Cluster::found(3, &[]);
    let gone = theirs.leader();
    theirs.kill(gone);
    ours.kill(1);
    // It has moved to where one of theirs was.
    let place = ours.place(1);
    let mut arguments = place.arguments_on("0");
    arguments.extend(["--set".to_owned(), format!("peer={}", theirs.peer(gone))]);
    arguments.extend(["--set".to_owned(), "bootstrap=off".to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let moved = Server::run(&[], &arguments, place.address);
    moved.ready();
    let what = |node: u64| {
        let said = theirs.server(node).said();
        said.contains(&format!("no link to node {gone}")) && said.contains("belongs to cluster")
    };
    for node in theirs.running() {
        until("each of theirs says whom it has met", || what(node).then_some(()));
    }
    until("so does ours", || moved.said().contains("belongs to cluster").then_some(()));
    assert_eq!(moved.get("/health/ready").status(), 200, "and goes on");
    theirs.leader();
}

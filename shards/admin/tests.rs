//! Whole commands against a small server in the same process.

use super::*;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use tempfile::TempDir;

/// A directory with these files.
pub(crate) fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

/// What a command says of wrong input, and what it prints.
pub(crate) fn text(
    run: impl FnOnce(&mut dyn Write) -> Result<(), Trouble>,
) -> (Result<(), String>, String) {
    let mut out = Vec::new();
    let outcome = run(&mut out).map_err(|trouble| match trouble {
        Trouble::Input(error) => error.map(|error| format!("{error:#}")).unwrap_or_default(),
        other => panic!("{other:?}"),
    });
    (outcome, String::from_utf8(out).unwrap())
}

/// Answers one request with `status` and `body`, and tells its first line.
fn serve(status: u16, body: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).unwrap();
        sender.send(first.trim_end().to_owned()).unwrap();
        // Wait for the client to leave, so that closing does not discard the answer.
        let _ = reader.read(&mut [0; 1]);
    });
    (url, receiver)
}

fn call(arguments: &[&str]) -> Result<String, Trouble> {
    let options =
        Options::try_parse_from(["distric-admin"].iter().chain(arguments)).expect("they parse");
    let mut out = Vec::new();
    run(&options, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn refused(arguments: &[&str]) -> String {
    match call(arguments) {
        Err(Trouble::Node(error)) => format!("{error:#}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_command_asks_its_path() {
    let rows: [(&[&str], &str); 29] = [
        (&["cluster", "status"], "GET /api/v1/cluster/status HTTP/1.1"),
        (&["cluster", "transfer"], "POST /api/v1/cluster/transfer HTTP/1.1"),
        (&["cluster", "transfer", "--to", "2"], "POST /api/v1/cluster/transfer HTTP/1.1"),
        (&["nodes", "list"], "GET /api/v1/cluster/nodes HTTP/1.1"),
        (&["nodes", "add", "4", "h:9101"], "POST /api/v1/cluster/nodes HTTP/1.1"),
        (&["nodes", "promote", "4"], "POST /api/v1/cluster/nodes/4/promote HTTP/1.1"),
        (&["nodes", "remove", "4"], "DELETE /api/v1/cluster/nodes/4 HTTP/1.1"),
        (&["workers", "list"], "GET /api/v1/workers HTTP/1.1"),
        (&["workers", "show", "000000000000001a"], "GET /api/v1/workers/000000000000001a HTTP/1.1"),
        (
            &["workers", "drain", "000000000000001a"],
            "POST /api/v1/workers/000000000000001a/drain HTTP/1.1",
        ),
        (
            &["workers", "resume", "000000000000001a"],
            "POST /api/v1/workers/000000000000001a/resume HTTP/1.1",
        ),
        (&["plugins", "list"], "GET /api/v1/plugins HTTP/1.1"),
        (&["rules", "list"], "GET /api/v1/rules HTTP/1.1"),
        (&["rules", "versions", "a b"], "GET /api/v1/rules/a%20b/versions HTTP/1.1"),
        (&["rules", "versions", "x", "3"], "GET /api/v1/rules/x/versions/3 HTTP/1.1"),
        (&["definitions", "versions", "x"], "GET /api/v1/definitions/x/versions HTTP/1.1"),
        (&["definitions", "rollback", "x", "1"], "POST /api/v1/definitions/x/rollback HTTP/1.1"),
        (&["rules", "rollback", "x", "3"], "POST /api/v1/rules/x/rollback HTTP/1.1"),
        (&["rules", "enable", "x"], "POST /api/v1/rules/x/enable HTTP/1.1"),
        (&["rules", "disable", "x"], "POST /api/v1/rules/x/disable HTTP/1.1"),
        (&["definitions", "list"], "GET /api/v1/definitions HTTP/1.1"),
        (&["workflows", "list"], "GET /api/v1/workflows HTTP/1.1"),
        (
            &["workflows", "list", "--status", "failed", "--workflow", "a b&c", "--limit", "5"],
            "GET /api/v1/workflows?status=failed&workflow=a%20b%26c&limit=5 HTTP/1.1",
        ),
        (&["workflows", "show", "x/y"], "GET /api/v1/workflows/x%2Fy HTTP/1.1"),
        (&["workflows", "cancel", "1-1"], "POST /api/v1/workflows/1-1/cancel HTTP/1.1"),
        (&["messages", "show", "1"], "GET /api/v1/messages/1 HTTP/1.1"),
        (&["events", "--after", "3"], "GET /api/v1/events?after=3&limit=1000 HTTP/1.1"),
        (&["log"], "GET /api/v1/log HTTP/1.1"),
        (&["log", "info,consensus=debug"], "PUT /api/v1/log HTTP/1.1"),
    ];
    for (arguments, expected) in rows {
        let (url, asked) = serve(200, "{}");
        call(&[&["--server", &url], arguments].concat()).unwrap();
        assert_eq!(asked.recv().unwrap(), expected);
    }
}

#[test]
fn json_is_what_the_node_said_to_the_last_digit() {
    let body = r#"{"version":12345678901234567890123,"x":1.0e2,"rules":[]}"#;
    let (url, _) = serve(200, body);
    let out = call(&["rules", "list", "--json", "--server", &url]).unwrap();
    assert_eq!(out, format!("{body}\n"));
}

#[test]
fn the_logs_filter_is_shown_as_it_is_now() {
    for arguments in [&["log"][..], &["log", "warn"]] {
        let (url, _) = serve(200, r#"{"filter":"warn"}"#);
        assert_eq!(call(&[&["--server", &url], arguments].concat()).unwrap(), "warn\n");
    }
}

#[test]
fn a_change_of_one_rule_says_what_it_did() {
    let rows: [(&[&str], &str); 4] = [
        (&["rules", "enable", "x"], "x is enabled, catalogue version 7\n"),
        (&["rules", "disable", "x"], "x is disabled, catalogue version 7\n"),
        (
            &["rules", "rollback", "x", "3"],
            "x has the text of version 3 again, catalogue version 7\n",
        ),
        (&["rules", "disable", "x", "--json"], "{\"version\":7}\n"),
    ];
    for (arguments, expected) in rows {
        let (url, _) = serve(200, "{\"version\":7}");
        assert_eq!(call(&[&["--server", &url], arguments].concat()).unwrap(), expected);
    }
}

#[test]
fn a_change_of_the_group_says_what_it_did_and_what_to_do_next() {
    let rows: [(&[&str], &str); 5] = [
        (&["cluster", "transfer"], "node 4 leads\n"),
        (&["nodes", "add", "4", "h:9101"], "node 4 is a learner: it gets the log. When"),
        (&["nodes", "promote", "4"], "node 4 votes\n"),
        (&["nodes", "remove", "4"], "node 4 does not belong to the cluster any more"),
        (&["nodes", "promote", "4", "--json"], "{\"node\":4}\n"),
    ];
    for (arguments, expected) in rows {
        let (url, _) = serve(200, "{\"node\":4}");
        let told = call(&[&["--server", &url], arguments].concat()).unwrap();
        assert!(told.starts_with(expected), "{told}");
    }
    let nobody = ["distric-admin", "nodes", "remove", "0"];
    let error = Options::try_parse_from(nobody).unwrap_err().to_string();
    assert!(error.contains('0'), "{error}");
}

#[test]
fn a_comparison_succeeds_only_when_all_are_equal() {
    let compare = ["cluster", "checksum", "--server"];
    let equal = r#"{"equal":true,"index":9,"nodes":[{"node":1,"checksum":"05"}]}"#;
    let (url, asked) = serve(200, equal);
    let told = call(&[&compare[..], &[&url]].concat()).unwrap();
    assert!(told.ends_with("all nodes are equal at entry 9\n"), "{told}");
    assert_eq!(asked.recv().unwrap(), "POST /api/v1/cluster/checksum HTTP/1.1");
    for body in [r#"{"equal":false,"index":9,"nodes":[]}"#, "{}"] {
        for more in [&[][..], &["--json"]] {
            let (url, _) = serve(200, body);
            let outcome = call(&[&compare[..], &[&url], more].concat());
            assert!(matches!(outcome, Err(Trouble::Doubt)), "{outcome:?}");
        }
    }
}

#[test]
fn the_versions_of_a_rule_are_a_table() {
    let body = r#"{"id":"x","versions":[
        {"version":3,"action":"rolled_back","to":1,"at":"T2","by":"ada"},
        {"version":2,"action":"stored","at":"T1","by":""}]}"#;
    let (url, _) = serve(200, body);
    let out = call(&["rules", "versions", "x", "--server", &url]).unwrap();
    let lines: Vec<_> = out.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[0], ["VERSION", "ACTION", "TO", "AT", "BY"]);
    assert_eq!(lines[1], ["3", "rolled_back", "1", "T2", "ada"]);
    assert_eq!(lines[2], ["2", "stored", "-", "T1"]);
}

#[test]
fn a_name_that_no_header_can_hold_is_refused() {
    for by in ["Zoë", "a\nb", &"x".repeat(129)] {
        let arguments = ["distric-admin", "rules", "enable", "x", "--by", by];
        let error = Options::try_parse_from(arguments).unwrap_err().to_string();
        assert!(error.contains("at most 128 printable ASCII characters"), "{error}");
    }
}

#[test]
fn a_refusal_is_told_with_what_to_do() {
    let body = r#"{"error":"gone","detail":"the message `1` has ended","hint":"keep more"}"#;
    let (url, _) = serve(410, body);
    let error = refused(&["messages", "show", "1", "--server", &url]);
    assert_eq!(error, "the message `1` has ended; keep more");
    let body = r#"{"error":"invalid_rule","detail":"line 3, column 5: here","hint":"mend it","faults":[
        {"line":3,"column":5,"what":"here","hint":"so"},{"file":"a","line":4,"column":6,"what":"there"}]}"#;
    let (url, _) = serve(400, body);
    let error = refused(&["rules", "enable", "x", "--server", &url]);
    assert_eq!(error, "the node refuses it; mend it\nline 3:5: here\n  = so\na:4:6: there");
    let (url, _) = serve(502, "<html>");
    let error = refused(&["rules", "list", "--server", &url]);
    assert!(error.contains("answered 502"), "{error}");
    let (url, _) = serve(200, "<html>");
    let error = refused(&["rules", "list", "--server", &url]);
    assert!(error.contains("is it a DistriC node?"), "{error}");
}

#[test]
fn without_a_node_it_says_how_to_start_one() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = refused(&["cluster", "status", "--server", &format!("http://{free}/")]);
    assert_eq!(
        error,
        format!(
            "no node answers at http://{free}; start one with `distric-shard` or name it with --server"
        )
    );
    let error = refused(&["cluster", "status", "--server", "https://x"]);
    assert!(error.contains("only http://"), "{error}");
}

#[test]
fn what_a_node_says_cannot_move_the_cursor() {
    let body = "{\"version\":1,\"rules\":[{\"id\":\"\\u001b[2Jx\\nfake\"}]}";
    let (url, _) = serve(200, body);
    let out = call(&["rules", "list", "--server", &url]).unwrap();
    assert!(out.contains("\u{fffd}[2Jx\u{fffd}fake"), "{out:?}");
}

//! Whole runs against a small server in the same process.

mod binary;

use super::*;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

/// What the server was sent.
type Seen = Arc<Mutex<Vec<(String, Option<String>, String)>>>;

/// Answers every request with the status that `status` gives for its number, closing the connection
/// when it gives none.
fn serve(status: impl Fn(usize) -> Option<u16> + Send + Sync + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let (status, all) = (Arc::new(status), Arc::clone(&seen));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (status, seen) = (Arc::clone(&status), Arc::clone(&all));
            thread::spawn(move || serve_one(&stream.unwrap(), &*status, &seen));
        }
    });
    (url, seen)
}

/// Serves one connection until its client leaves.
fn serve_one(stream: &TcpStream, status: &dyn Fn(usize) -> Option<u16>, seen: &Seen) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut path = String::new();
        let mut length = 0;
        let mut key = None;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if path.is_empty() {
                line.split(' ').nth(1).unwrap().clone_into(&mut path);
            } else if let Some(value) = line.strip_prefix("Content-Length: ") {
                length = value.parse().unwrap();
            } else if let Some(value) = line.strip_prefix("Idempotency-Key: ") {
                key = Some(value.to_owned());
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        if path == "/metrics" {
            let text = "process_cpu_seconds_total 1\n";
            let length = text.len();
            let mut stream = stream;
            let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}");
            return;
        }
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push((path, key, String::from_utf8(body).unwrap()));
            seen.len()
        };
        let Some(status) = status(number) else { return };
        // One write: two would meet Nagle's algorithm and a delayed acknowledgement.
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 2\r\n\r\n{{}}");
        let mut stream = stream;
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn run_with(url: &str, arguments: &[&str]) -> anyhow::Result<Value> {
    let fixed = ["distric-load", "--warmup", "0s", "--duration", "20s", "--url", url];
    run(&Options::try_parse_from(fixed.iter().chain(arguments)).unwrap()).map(|r| r.to_json())
}

#[test]
fn a_closed_loop_sends_each_request_once_and_gets_all_answers() {
    for threads in ["1", "3"] {
        let (url, seen) = serve(|_| Some(202));
        let arguments = ["--requests", "500", "--connections", "7", "--pipeline", "4", "--keys"];
        let report = run_with(&url, &[&arguments[..], &["--threads", threads]].concat()).unwrap();
        assert_eq!(report["answered"], 500);
        assert_eq!(report["errors_total"], 0);
        assert_eq!(report["unanswered"], 0);
        assert!(report["latency_us"]["max"].as_f64().unwrap() > 0.0);
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 500);
        let mut keys: Vec<_> = seen.iter().map(|(_, key, _)| key.clone().unwrap()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 500, "every key is sent once");
        assert!(seen.iter().all(|(path, _, body)| path == "/api/v1/messages" && body.len() == 256));
    }
}

#[test]
fn an_open_loop_of_batches_numbers_its_messages_without_a_gap() {
    let (url, seen) = serve(|_| Some(202));
    let arguments = ["--rate", "20000", "--batch", "10", "--requests", "300", "--connections", "8"];
    let report = run_with(&url, &arguments).unwrap();
    assert_eq!(report["answered"], 300);
    assert_eq!(report["loop"], "open");
    let seen = seen.lock().unwrap();
    let mut numbers: Vec<u64> = Vec::new();
    for (path, _, body) in &*seen {
        assert_eq!(path, "/api/v1/messages:batch");
        for line in body.lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            numbers.push(message["seq"].as_u64().unwrap() - template::FIRST_NUMBER);
        }
    }
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..3_000), "3,000 messages, each once");
}

#[test]
fn refusals_are_counted_by_status_and_not_as_answers() {
    let (url, _) = serve(|number| Some(if number % 4 == 0 { 503 } else { 202 }));
    let report = run_with(&url, &["--requests", "200", "--connections", "2"]).unwrap();
    assert_eq!(report["errors"]["status 503"], 50);
    assert_eq!(report["answered"], 150);
}

#[test]
fn connections_that_the_server_closes_are_opened_again() {
    let (url, _) = serve(|number| (number % 50 != 0).then_some(202));
    let report = run_with(&url, &["--requests", "200", "--connections", "3"]).unwrap();
    let lost = report["errors_total"].as_u64().unwrap();
    assert_eq!(lost, 4, "{report}");
    assert_eq!(report["answered"], 196);
}

#[test]
fn without_a_server_it_says_so_at_once() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = run_with(&format!("http://{free}"), &[]).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("no node answers") && text.contains("distric-shard"), "{text}");
}

#[test]
fn what_is_no_http_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let _ = stream.unwrap().write_all(b"SSH-2.0-OpenSSH\r\n\r\n");
        }
    });
    let arguments = ["--requests", "1", "--connections", "1", "--pid", "1"];
    let error = run_with(&url, &arguments).unwrap_err();
    assert!(format!("{error:#}").contains("not HTTP"), "{error:#}");
}

#[test]
fn options_that_make_no_sense_are_refused_with_the_reason() {
    let rows: [(&[&str], &str); 9] = [
        (&["--connections", "0"], "--connections 0"),
        (&["--threads", "65"], "--threads 65"),
        (&["--batch", "1001"], "at most 1000"),
        (&["--size", "5"], "smallest message"),
        (&["--url", "https://x"], "https is not supported"),
        (&["--url", "http://x/y"], "without a path"),
        (&["--template", "/no/such/file"], "/no/such/file"),
        (&["--tcp", "localhost"], "--tcp"),
        (
            &["--tcp", "127.0.0.1:1", "--keys", "--batch", "100", "--pipeline", "11"],
            "at most 1024 messages in flight",
        ),
    ];
    for (arguments, expected) in rows {
        let given = ["distric-load"].iter().chain(arguments);
        let error = Plan::new(&Options::try_parse_from(given).unwrap()).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(expected), "{text}");
    }
}

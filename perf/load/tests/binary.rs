//! Whole runs over the binary protocol.

use super::*;
use std::collections::BTreeMap;
use wire::{Decoder, ErrorReply, Flags, Head, Hello, Kind, Message as _, Submit, write_frame};

/// What the server does with a submit, by its place among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Do {
    Accept,
    /// Refuse one of its messages.
    RefuseOne,
    /// Refuse all of it.
    Refuse,
    /// Close the connection.
    Close,
}

/// Producer, sequence and messages of a submit.
type Submits = Arc<Mutex<Vec<(u64, u64, Vec<String>)>>>;

fn frame(kind: Kind, call: u64, payload: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (flags, sent_at) = (Flags::RESPONSE, base::UnixMicros(0));
    let mut bytes = Vec::new();
    write_frame(&mut bytes, &Head { kind, flags, call, sent_at, trace: None }, payload);
    bytes
}

/// Answers the submits of each read in the opposite order, which a server may.
fn serve(what: impl Fn(usize) -> Do + Send + Sync + 'static) -> (String, Submits) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Submits::default();
    let (what, all) = (Arc::new(what), Arc::clone(&seen));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (what, seen) = (Arc::clone(&what), Arc::clone(&all));
            thread::spawn(move || serve_one(stream.unwrap(), &*what, &seen));
        }
    });
    (address, seen)
}

fn serve_one(mut stream: TcpStream, what: &dyn Fn(usize) -> Do, seen: &Submits) {
    let mut decoder = Decoder::new(1 << 21);
    loop {
        let mut answers = Vec::new();
        while let Some(incoming) = decoder.next().unwrap() {
            let call = incoming.header.call;
            if incoming.header.kind == Kind::HELLO {
                let hello = Hello::decode(incoming.payload).unwrap();
                answers.push(frame(Kind::HELLO, call, |out| hello.encode(out)));
                continue;
            }
            let submit = Submit::decode(incoming.payload).unwrap();
            let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
            let messages: Vec<_> = submit.messages.iter().map(text).collect();
            let (count, number) = {
                let mut seen = seen.lock().unwrap();
                seen.push((submit.producer, submit.sequence, messages));
                (submit.messages.len(), seen.len())
            };
            let what = what(number);
            match what {
                Do::Close => return,
                Do::Refuse => {
                    let (code, retry_after_ms) = ("overloaded", 1);
                    let error =
                        ErrorReply { code, detail: "", hint: "", retry_after_ms, version: 0 };
                    answers.push(frame(Kind::ERROR, call, |out| error.encode(out)));
                }
                Do::Accept | Do::RefuseOne => {
                    let results = (0..count).map(|at| match what {
                        Do::RefuseOne if at == 0 => wire::Answer::Refused {
                            code: "keys_full",
                            detail: "",
                            hint: "",
                            retry_after_ms: 0,
                        },
                        _ => wire::Answer::Accepted { id: 1, workflows: [""; 0] },
                    });
                    answers.push(frame(Kind::RESPONSE, call, |out| {
                        wire::write_submit_response(out, results);
                    }));
                }
            }
        }
        answers.reverse();
        if stream.write_all(&answers.concat()).is_err() {
            return;
        }
        match stream.read(decoder.space()) {
            Ok(0) | Err(_) => return,
            Ok(bytes) => decoder.filled(bytes),
        }
    }
}

fn run_binary(address: &str, arguments: &[&str]) -> anyhow::Result<Value> {
    // Nobody listens there: what the server costs is not known.
    let fixed = ["--tcp", address, "--pid", "1"];
    run_with("http://127.0.0.1:9", &[&fixed, arguments].concat())
}

#[test]
fn a_closed_loop_gets_the_answer_of_every_submit_whatever_their_order() {
    for threads in ["1", "3"] {
        let (address, seen) = serve(|_| Do::Accept);
        let arguments = ["--requests", "500", "--connections", "7", "--pipeline", "4", "--keys"];
        let arguments = [&arguments[..], &["--batch", "5", "--threads", threads]].concat();
        let report = run_binary(&address, &arguments).unwrap();
        assert_eq!(report["answered"], 500);
        assert_eq!(report["errors_total"], 0);
        assert_eq!(report["unanswered"], 0);
        assert_eq!(report["url"], format!("tcp://{address}"));
        let seen = seen.lock().unwrap();
        let mut sequences: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (producer, sequence, messages) in &*seen {
            assert_eq!(messages.len(), 5);
            sequences.entry(*producer).or_default().push(*sequence);
        }
        assert_eq!(sequences.len(), 7, "each connection is a producer");
        for sequences in sequences.values() {
            assert!(sequences.iter().copied().eq((1..).step_by(5).take(sequences.len())));
        }
    }
}

#[test]
fn an_open_loop_numbers_its_messages_without_a_gap() {
    let (address, seen) = serve(|_| Do::Accept);
    let arguments = ["--rate", "20000", "--batch", "10", "--requests", "300", "--connections", "8"];
    let report = run_binary(&address, &arguments).unwrap();
    assert_eq!(report["answered"], 300);
    let mut numbers: Vec<u64> = Vec::new();
    for (producer, sequence, messages) in &*seen.lock().unwrap() {
        assert_eq!((*producer, *sequence), (0, 0), "without --keys nothing is numbered");
        for message in messages {
            let message: Value = serde_json::from_str(message).unwrap();
            numbers.push(message["seq"].as_u64().unwrap() - template::FIRST_NUMBER);
        }
    }
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..3_000), "3,000 messages, each once");
}

#[test]
fn refusals_are_counted_by_their_code() {
    let (address, _) = serve(|number| match number % 4 {
        0 => Do::Refuse,
        1 => Do::RefuseOne,
        _ => Do::Accept,
    });
    let arguments = ["--requests", "200", "--connections", "2", "--batch", "2"];
    let report = run_binary(&address, &arguments).unwrap();
    assert_eq!(report["errors"]["refused: overloaded"], 50);
    assert_eq!(report["errors"]["refused: keys_full"], 50);
    assert_eq!(report["answered"], 100);
}

#[test]
fn connections_that_the_server_closes_are_opened_again_as_other_producers() {
    let (address, seen) = serve(|number| if number % 50 == 0 { Do::Close } else { Do::Accept });
    let report = run_binary(&address, &["--requests", "200", "--connections", "3", "--keys"]);
    let report = report.unwrap();
    assert_eq!(report["errors_total"], 4, "{report}");
    assert_eq!(report["answered"], 196);
    let mut sequences: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (producer, sequence, _) in &*seen.lock().unwrap() {
        sequences.entry(*producer).or_default().push(*sequence);
    }
    // Four connections were closed, so there were at least four.
    assert!((4..=7).contains(&sequences.len()), "{}", sequences.len());
    for sequences in sequences.values() {
        assert!(sequences.iter().copied().eq((1..).take(sequences.len())));
    }
}

#[test]
fn what_is_no_node_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = format!("{:#}", run_binary(&address, &["--connections", "1"]).unwrap_err());
    assert!(error.contains("the peer speaks something else"), "{error}");
    assert!(error.contains("--tcp"), "{error}");
}

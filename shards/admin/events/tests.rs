use super::*;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::thread;

/// Answers so many requests with one body each, and tells their first lines. An empty body is a
/// connection that is closed without an answer.
fn serve(bodies: &'static [&'static str]) -> (Server, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let asked = thread::spawn(move || {
        let mut asked = Vec::new();
        for body in bodies {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            asked.push(lines.next().unwrap().unwrap());
            let _headers = lines.take_while(|line| !line.as_ref().unwrap().is_empty()).count();
            let length = body.len();
            if length > 0 {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
        }
        asked
    });
    (server, asked)
}

/// Takes so many lines, and is closed then.
struct Reader {
    text: Vec<u8>,
    lines_left: usize,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.lines_left == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.text.extend_from_slice(bytes);
        self.lines_left -= bytes.split(|byte| *byte == b'\n').count() - 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.lines_left == 0 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

const PAGE: &str = r#"{"start":1,"events":[
    {"number":1,"at":"T1","kind":"leader_elected","node":1,"term":4},
    {"number":2,"at":"T2","kind":"rules_changed","version":3,"stored":["a","b"],"deleted":[]},
    {"number":3,"at":"T3","kind":"new_kind","what":"a\nb"}],"next":3,"lost":0}"#;

#[test]
fn events_are_lines_with_the_fields_of_their_kind_known_or_not() {
    let (server, asked) = serve(&[PAGE]);
    let mut out = Vec::new();
    events(&server, &Asked { after: 7, ..Asked::default() }, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "T1  leader_elected  node=1 term=4\n\
         T2  rules_changed  version=3 stored=a, b deleted=-\n\
         T3  new_kind  what=a\u{fffd}b\n"
    );
    assert_eq!(asked.join().unwrap(), ["GET /api/v1/events?after=7&limit=1000 HTTP/1.1"]);
}

#[test]
fn as_json_a_page_is_what_the_node_said() {
    let (server, _asked) = serve(&[PAGE]);
    let mut out = Vec::new();
    events(&server, &Asked { json: true, ..Asked::default() }, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), format!("{PAGE}\n"));
}

#[test]
fn a_follower_goes_on_behind_the_last_event_and_begins_anew_with_a_new_run() {
    let (server, asked) = serve(&[
        r#"{"start":1,"events":[{"number":5,"kind":"a"}],"next":5,"lost":4}"#,
        r#"{"start":1,"events":[],"next":5,"lost":0}"#,
        // The node is gone for a moment, and comes back with events that were not asked for.
        "",
        r#"{"start":2,"events":[{"number":6,"kind":"c"}],"next":6,"lost":0}"#,
        r#"{"start":2,"events":[{"number":1,"kind":"b"},{"number":6,"kind":"c"}],"next":6,"lost":0}"#,
    ]);
    let mut out = Reader { text: Vec::new(), lines_left: 3 };
    let asked_for = Asked { follow: true, json: true, ..Asked::default() };
    let ended = events(&server, &asked_for, &mut out);
    assert!(matches!(ended, Err(Trouble::Output(_))), "{ended:?}");
    assert_eq!(
        String::from_utf8(out.text).unwrap(),
        "{\"number\":5,\"kind\":\"a\"}\n{\"number\":1,\"kind\":\"b\"}\n{\"number\":6,\"kind\":\"c\"}\n"
    );
    let path = |after, wait| format!("GET /api/v1/events?after={after}&limit=1000{wait} HTTP/1.1");
    let waiting = "&wait=20s";
    let expected =
        [path(0, ""), path(5, waiting), path(5, waiting), path(5, waiting), path(0, waiting)];
    assert_eq!(asked.join().unwrap(), expected);
}

#[test]
fn a_node_that_does_not_answer_at_first_is_told_at_once() {
    let (server, _asked) = serve(&[""]);
    let asked = Asked { follow: true, ..Asked::default() };
    let ended = events(&server, &asked, &mut Vec::new());
    assert!(matches!(ended, Err(Trouble::Node(_))), "{ended:?}");
}

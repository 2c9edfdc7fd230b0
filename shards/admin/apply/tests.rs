//! Against a node of a few lines in the same process.

use super::*;
use crate::tests::directory;
use rules::Rule;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a node holds, and what it was asked.
#[derive(Default)]
struct Node {
    /// By id.
    rules: BTreeMap<String, String>,
    version: u64,
    /// Changes: method, who, body.
    changes: Vec<(String, String, String)>,
    /// What the next changes are refused with.
    refusals: Vec<&'static str>,
    /// How many single rules were asked for.
    looked_at: usize,
}

impl Node {
    fn get(&mut self, path: &str) -> String {
        if let Some((_, id)) = path.split_once("rules/") {
            self.looked_at += 1;
            return self.rules[id].clone();
        }
        let rows = self.rules.values().map(|source| {
            let rule: Value = serde_json::from_str(source).unwrap();
            let hash = format!("{:016x}", base::hash64(source.as_bytes()));
            let version = rule["version"].as_u64().unwrap_or(1);
            json!({ "id": rule["id"], "version": version, "hash": hash })
        });
        json!({ "version": self.version, "rules": rows.collect::<Vec<_>>() }).to_string()
    }

    fn change(&mut self, method: &str, who: &str, body: &str) -> (u16, String) {
        self.changes.push((method.to_owned(), who.to_owned(), body.to_owned()));
        if let Some(refusal) = self.refusals.pop() {
            return (409, json!({ "detail": refusal, "hint": "do it" }).to_string());
        }
        if method == "PUT" {
            self.rules.clear();
        }
        let source = document::Source { name: "body", text: body };
        self.rules.extend(rules::parse(source).unwrap().into_iter().map(|r| (r.id, r.source)));
        self.version += 1;
        (200, json!({ "version": self.version }).to_string())
    }

    fn serve(node: Arc<Mutex<Self>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&node, stream.unwrap());
            }
        });
        Server::new(&url).unwrap()
    }
}

fn answer(node: &Mutex<Node>, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let header = |name: &str| {
        let found = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default().to_owned()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or_default()];
    reader.read_exact(&mut body).unwrap();
    let (method, path) = lines[0].split_once(' ').unwrap();
    let path = path.trim_end_matches(" HTTP/1.1");
    let mut node = node.lock().unwrap();
    let (status, body) = match method {
        "GET" => (200, node.get(path)),
        _ => node.change(method, &header("x-distric-user"), &String::from_utf8(body).unwrap()),
    };
    drop(node);
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).unwrap();
    let _ = reader.read(&mut [0; 1]);
}

fn rule(id: &str, version: u32, value: &str) -> String {
    format!(
        "- id: {id}\n  version: {version}\n  conditions:\n    - {{ field: a, op: equals, value: {value} }}\n    \
         - {{ field: b, op: exists }}\n  actions: [{{ workflow: w }}]\n"
    )
}

/// A node with these rules.
fn node(texts: &[String]) -> (Arc<Mutex<Node>>, Server) {
    let mut node = Node::default();
    if !texts.is_empty() {
        node.change("PUT", "", &texts.concat());
        node.changes.clear();
    }
    let node = Arc::new(Mutex::new(node));
    (Arc::clone(&node), Node::serve(node))
}

fn asked(paths: &[PathBuf]) -> Asked<'_> {
    Asked {
        paths,
        prune: false,
        dry_run: false,
        watch: false,
        json: false,
        by: Some("ada"),
        pause: Duration::from_millis(1),
    }
}

fn run(server: &Server, asked: &Asked<'_>) -> (Result<(), String>, String) {
    let mut out = Vec::new();
    let outcome = apply::<Rule>(server, asked, &mut out).map_err(|trouble| match trouble {
        Trouble::Input(Some(error)) | Trouble::Node(error) => format!("{error:#}"),
        other => panic!("{other:?}"),
    });
    (outcome, String::from_utf8(out).unwrap())
}

#[test]
fn the_difference_is_shown_and_sent_as_one_change() {
    let (there, server) =
        node(&[rule("same", 1, "x"), rule("other", 1, "x"), rule("extra", 4, "x")]);
    let files = directory(&[
        ("a.yaml", &format!("# a comment is no change\n{}", rule("same", 1, "\"x\""))),
        ("b.yaml", &(rule("other", 2, "y") + &rule("new", 1, "z"))),
    ]);
    let paths = [files.path().to_owned()];
    let expected = r#"
+ new: version 1
~ other: version 1 -> 2
   id: "other"
  -version: 1
  +version: 2
   conditions:
  -  - {"field":"a","op":"equals","value":"x"}
  +  - {"field":"a","op":"equals","value":"y"}
     - {"field":"b","op":"exists"}
1 added, 1 changed, 0 removed, 1 unchanged, 1 more on the node stay: "#
        .trim_start();
    let (outcome, out) = run(&server, &Asked { dry_run: true, ..asked(&paths) });
    assert_eq!((outcome, out), (Ok(()), format!("{expected}not applied: --dry-run\n")));
    let looked_at = std::mem::take(&mut there.lock().unwrap().looked_at);
    assert_eq!(looked_at, 1, "what the list says to be the same is not asked for");
    assert!(there.lock().unwrap().changes.is_empty());

    let (outcome, out) = run(&server, &asked(&paths));
    assert_eq!((outcome, out), (Ok(()), format!("{expected}applied, catalogue version 2\n")));
    let mut there_now = there.lock().unwrap();
    let [(method, who, body)] = &*std::mem::take(&mut there_now.changes) else { panic!() };
    assert_eq!((method.as_str(), who.as_str()), ("POST", "ada"));
    assert!(!body.contains("same"), "what is the same is not sent: {body}");
    assert_eq!(there_now.rules.len(), 4);
    drop(there_now);

    let (outcome, out) = run(&server, &asked(&paths));
    let expected =
        "0 added, 0 changed, 0 removed, 3 unchanged, 1 more on the node stay: nothing to apply\n";
    assert_eq!((outcome, out.as_str()), (Ok(()), expected));
    assert!(there.lock().unwrap().changes.is_empty());
}

#[test]
fn with_prune_the_node_holds_what_the_files_hold() {
    let (there, server) = node(&[rule("same", 1, "x"), rule("extra", 4, "x")]);
    let files = directory(&[("a.yaml", &rule("same", 1, "x"))]);
    let paths = [files.path().join("a.yaml")];
    let (outcome, out) = run(&server, &Asked { prune: true, by: None, ..asked(&paths) });
    assert_eq!(outcome, Ok(()));
    let expected = "- extra: version 4\n\
                    0 added, 0 changed, 1 removed, 1 unchanged: applied, catalogue version 2\n";
    assert_eq!(out, expected);
    let there = there.lock().unwrap();
    assert_eq!((there.changes[0].0.as_str(), there.changes[0].1.as_str()), ("PUT", ""));
    assert_eq!(there.rules.keys().collect::<Vec<_>>(), ["same"]);
}

#[test]
fn as_json_it_is_one_value() {
    let (_there, server) = node(&[rule("other", 1, "x")]);
    let files = directory(&[("a.yaml", &(rule("other", 2, "y") + &rule("new", 1, "\"5\"")))]);
    let paths = [files.path().join("a.yaml")];
    let (outcome, out) = run(&server, &Asked { json: true, ..asked(&paths) });
    assert_eq!(outcome, Ok(()));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["added"], json!(["new"]));
    assert_eq!(value["changed"][0]["id"], "other");
    assert_eq!(value["changed"][0]["diff"].as_array().unwrap().len(), 7);
    assert_eq!((&value["applied"], &value["version"]), (&json!(true), &json!(2)));
    assert_eq!(value["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn another_text_needs_a_higher_version_but_for_whether_it_is_enabled() {
    let enabled = |value: &str| format!("{}  enabled: {value}\n", rule("a", 3, "x"));
    let rows = [
        (rule("a", 3, "x"), enabled("true"), "1 unchanged: nothing to apply"),
        (enabled("true"), rule("a", 3, "x"), "1 unchanged: nothing to apply"),
        (enabled("false"), rule("a", 3, "x"), "~ a: version stays 3"),
        (rule("a", 3, "x"), enabled("false"), "~ a: version stays 3"),
        (rule("a", 3, "x"), rule("a", 4, "y"), "~ a: version 3 -> 4"),
        (rule("a", 3, "x"), rule("a", 3, "y"), "refused"),
        (rule("a", 3, "x"), rule("a", 2, "y"), "refused"),
    ];
    for (before, after, expected) in rows {
        let (there, server) = node(&[before]);
        let files = directory(&[("a.yaml", &after)]);
        let paths = [files.path().join("a.yaml")];
        let (outcome, out) = run(&server, &asked(&paths));
        if expected == "refused" {
            let error = outcome.unwrap_err();
            assert!(error.starts_with("nothing was changed\n"), "{error}");
            let what = "a.yaml:1:3: the rule `a` is on the node in version 3 with another text\n";
            assert!(error.contains(what) && error.contains("= set `version: 4` or"), "{error}");
            assert!(there.lock().unwrap().changes.is_empty());
        } else {
            assert_eq!(outcome, Ok(()));
            assert!(out.contains(expected), "{expected}: {out}");
        }
    }
}

#[test]
fn what_is_wrong_changes_nothing_and_is_told() {
    let failing = format!("{}  tests: [{{ message: {{}}, fires: true }}]\n", rule("x", 1, "y"));
    let many: String = (0..6_000)
        .map(|n| {
            rule(
                &format!("a-rule-with-a-long-name-that-fills-the-request-{n:0>60}"),
                1,
                &format!("v{n}"),
            )
        })
        .collect();
    let files = directory(&[
        ("bad.yaml", "- id: x\n  conditions: [{ field: a, op: equal }]\n"),
        ("failing.yaml", &failing),
        ("good.yaml", &rule("x", 1, "y")),
        ("many.yaml", &many),
    ]);
    let rows: [(&[&str], &str); 5] = [
        (&["bad.yaml"], "nothing was changed: the files are wrong"),
        (&["failing.yaml"], "a test fails: `x` should fire and does not"),
        (&["good.yaml", "failing.yaml"], "the rule id `x` is in "),
        (
            &["many.yaml"],
            "bytes, a node takes at most 1048576 at once; if the files hold all there is, --prune takes",
        ),
        (&["good.yaml"], "the workflow `w` is not there; do it"),
    ];
    let (there, server) = node(&[]);
    for (names, expected) in rows {
        let is_refused = names == ["good.yaml"];
        there.lock().unwrap().refusals =
            is_refused.then_some("the workflow `w` is not there").into_iter().collect();
        let paths: Vec<_> = names.iter().map(|name| files.path().join(name)).collect();
        let (outcome, _) = run(&server, &asked(&paths));
        let error = outcome.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(there.lock().unwrap().changes.len(), usize::from(is_refused));
        assert!(there.lock().unwrap().rules.is_empty());
    }
    let stdin = [PathBuf::from("-")];
    let (outcome, _) = run(&server, &Asked { watch: true, ..asked(&stdin) });
    assert_eq!(outcome.unwrap_err(), "standard input cannot be watched");
}

/// Does something else each time that something was told, and is closed at the end.
struct Reader<'s> {
    text: Vec<u8>,
    steps: Vec<Box<dyn FnMut() + 's>>,
}

impl Write for Reader<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.steps.is_empty() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.steps.remove(0)();
        Ok(())
    }
}

#[test]
fn a_watch_applies_what_is_saved_and_outlives_wrong_files_and_refusals() {
    let (there, server) = node(&[]);
    let files = directory(&[("a.yaml", &rule("a", 1, "x"))]);
    let file = files.path().join("a.yaml");
    let paths = [files.path().to_owned()];
    let mut reader = Reader {
        text: Vec::new(),
        steps: vec![
            Box::new(|| {
                fs::write(&file, "- id: a\n  conditions: [{ field: a, op: equal }]").unwrap();
            }),
            Box::new(|| {
                there.lock().unwrap().refusals = vec!["not now"; 3];
                fs::write(&file, rule("a", 2, "longer")).unwrap();
            }),
            // It is tried again without a change.
            Box::new(|| ()),
            Box::new(|| fs::remove_file(&file).unwrap()),
            Box::new(|| fs::write(files.path().join("b.json"), rule("b", 1, "x")).unwrap()),
            Box::new(|| {
                fs::rename(files.path().join("b.json"), files.path().join("b.yaml")).unwrap();
            }),
        ],
    };
    let ended = apply::<Rule>(&server, &Asked { watch: true, ..asked(&paths) }, &mut reader);
    assert!(matches!(ended, Err(Trouble::Output(_))), "{ended:?}");
    let text = String::from_utf8(reader.text).unwrap();
    let told = [
        "+ a: version 1\n",
        ": applied, catalogue version 1\n",
        "nothing was changed: the files are wrong\n",
        "a.yaml:2:32: unknown operator `equal`",
        "\nwaiting for the next change\nnothing was changed: not now; do it\ntrying again\n",
        "~ a: version 1 -> 2\n",
        ": applied, catalogue version 2\n",
        "no file in this folder ends in .yaml, .yml or .json\nwaiting for the next change\n",
        "b.json:1:1: ",
        "+ b: version 1\n1 added, 0 changed, 0 removed, 0 unchanged, 1 more on the node stay",
    ];
    let mut rest = text.as_str();
    for expected in told {
        let at = rest.find(expected).unwrap_or_else(|| panic!("{expected:?} in {text}"));
        rest = &rest[at + expected.len()..];
    }
    let there = there.lock().unwrap();
    assert_eq!(there.rules.len(), 2);
    assert_eq!(text.matches("not now").count(), 1, "what is tried again is told once");
    assert_eq!(there.changes.len(), 6, "three tries were refused");
}

#[test]
fn definitions_are_applied_in_the_same_way() {
    let bodies = [r#"{"version":1,"definitions":[]}"#, r#"{"version":2,"stored":["w"]}"#];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let sent = thread::spawn(move || {
        let mut sent = String::new();
        for body in bodies {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(text) = line.strip_prefix("content-length: ") {
                    length = text.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut bytes = vec![0; length];
            reader.read_exact(&mut bytes).unwrap();
            sent = String::from_utf8(bytes).unwrap();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
            let _ = reader.read(&mut [0; 1]);
        }
        sent
    });
    let workflow =
        "workflow: { id: w, version: 3, tasks: [{ id: a, type: log, with: { message: x } }] }";
    let files = directory(&[("w.yaml", workflow)]);
    let paths = [files.path().join("w.yaml")];
    let mut out = Vec::new();
    apply::<flow::Definition>(&server, &asked(&paths), &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "+ w: version 3\n1 added, 0 changed, 0 removed, 0 unchanged: applied, catalogue version 2\n"
    );
    let sent = sent.join().unwrap();
    let read = flow::parse(document::Source { name: "body", text: &sent }, flow::Plugins::Any);
    assert_eq!(read.unwrap()[0].id, "w", "{sent}");
}

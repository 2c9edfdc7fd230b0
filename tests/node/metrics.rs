//! What a scraper gets of a node.

use crate::server::{Place, Server, until};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const WORKFLOW: &str = r"
workflows:
  - { id: twice, tasks: [{ id: double, type: transform, with: { n: '${ input.n + input.n }' } }] }
";
const RULE: &str = r"
rules:
  - { id: numbers, conditions: [{ field: kind, op: equals, value: number }], actions: [{ workflow: twice }] }
";

/// A scrape of a node that has seen a bit of everything.
fn scrape(server: &Server) -> String {
    server.put("/api/v1/definitions", WORKFLOW);
    server.put("/api/v1/rules", RULE);
    let message = json!({"kind": "number", "n": 4}).to_string();
    server.call("POST", "/api/v1/messages", &[], &message).json_of(202);
    server.call("POST", "/api/v1/messages", &[], "no JSON").json_of(400);
    assert_eq!(server.get("/nowhere").status(), 404);
    let mut stranger = server.connect();
    stranger.send(b"no HTTP\r\n\r\n").unwrap();
    assert_eq!(stranger.answer().unwrap().status(), 400);
    until("the stranger is counted", || {
        server.get("/metrics").text().contains("tcp_errors_total{").then_some(())
    });
    let answer = server.get("/metrics");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.text()
}

/// Prometheus' own reader and its rules for names, where it is installed.
fn check_by_promtool(exposition: &str) {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("not checked by promtool, which is not installed (Debian's `prometheus`)");
            return;
        }
        started => started.expect("promtool starts"),
    };
    let mut stdin = promtool.stdin.take().expect("it is piped");
    stdin.write_all(exposition.as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "promtool: {said}");
}

/// Names in the first column of the guide's table.
fn table() -> BTreeSet<&'static str> {
    let guide = include_str!("../../docs/OPERATING.md");
    let section = guide.split("\n## ").find(|section| section.starts_with("Metrics\n")).unwrap();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .filter_map(|code| code.split('{').next())
        .collect()
}

/// A folder with one plugin; none where nothing can be compiled.
fn plugins() -> Option<TempDir> {
    let (root, folder) = (Path::new(env!("CARGO_MANIFEST_DIR")), tempfile::tempdir().unwrap());
    let compiled = Command::new("cc")
        .args(["-std=c11", "-fPIC", "-shared", "-I"])
        .arg(root.join("src/abi/include"))
        .arg("-o")
        .arg(folder.path().join("payment_validator.so"))
        .arg(root.join("config/plugins/payment_validator/payment_validator.c"))
        .output();
    match compiled {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("metrics of plugins are not looked at: cc is not installed");
            None
        }
        compiled => {
            let output = compiled.expect("cc starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(folder)
        }
    }
}

#[test]
fn the_exposition_is_valid_and_is_what_the_guide_says() {
    let plugins = plugins();
    let mut place = Place::new(&[]);
    if let Some(folder) = &plugins {
        place = place.with(&format!("plugins={}", folder.path().display()));
    }
    let server = place.start();
    if plugins.is_some() {
        until("the plugin is counted", || {
            server.get("/metrics").text().contains("distric_plugin_tasks_total{").then_some(())
        });
    }
    let exposition = scrape(&server);
    check_by_promtool(&exposition);
    let exposed: BTreeSet<&str> = exposition
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let mut table = table();
    if plugins.is_none() {
        table.retain(|name| !name.starts_with("distric_plugin_"));
    }
    let unknown: Vec<_> = exposed.difference(&table).collect();
    let missing: Vec<_> = table.difference(&exposed).collect();
    assert!(unknown.is_empty(), "docs/OPERATING.md lacks {unknown:?}");
    assert!(missing.is_empty(), "docs/OPERATING.md names {missing:?}, which are not exposed");
}

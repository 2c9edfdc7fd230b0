//! docs/API.md is held to the code: routes, errors and bounds.

use crate::{BATCH_KEY_BYTES_MAX, Code, DOCUMENT_BYTES_MAX, LIMIT_DEFAULT, LIMIT_MAX};
use crate::{CatalogueEvent, EventKind, EventView, EventsView, WorkerEvent};
use crate::{Method, Status, WAIT_MAX, route};
use crate::{SET_BYTES_MAX, USER_BYTES_MAX};
use base::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, KEY_BYTES_MAX, MESSAGE_BYTES_MAX};
use base::{InstanceId, MessageId, NodeId, UnixMicros, WorkerId};

const GUIDE: &str = include_str!("../../../docs/API.md");

#[test]
fn every_error_stands_in_the_guide_with_its_status() {
    for code in Code::ALL {
        let row = format!("| {} | `{}` |", code.status(), code.as_str());
        assert!(GUIDE.contains(&row), "{row}");
    }
    let rows = table("| status | error | means |").count();
    assert_eq!(rows, Code::ALL.len(), "the guide names no error that there is not");
}

/// The rows of the table that begins with `head`.
fn table(head: &'static str) -> impl Iterator<Item = &'static str> {
    let rows = GUIDE.lines().skip_while(move |line| *line != head).skip(2);
    rows.take_while(|line| line.starts_with('|'))
}

/// The table of routes: `METHOD path` of each row.
fn rows() -> Vec<(&'static str, &'static str)> {
    let row = |line: &'static str| line.strip_prefix("| `")?.split_once('`')?.0.split_once(' ');
    table("| route | does |").map(|line| row(line).expect(line)).collect()
}

#[test]
fn every_row_of_the_guide_is_a_route_of_that_name() {
    for (method, path) in rows() {
        let id = match path {
            "/api/v1/messages/{id}" => "0020000000000001",
            "/api/v1/workflows/{id}" | "/api/v1/workflows/{id}/cancel" => "0020000000000001-1",
            path if path.starts_with("/api/v1/cluster") => "4",
            path if path.starts_with("/api/v1/workers") => "9f3c00d2ab5517e0",
            _ => "some-name",
        };
        let path_of_one = path.replace("{id}", id).replace("{version}", "3");
        let found = route(Method::parse(method), &path_of_one, "");
        let found = found.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert_eq!(found.pattern(), format!("{method} {path}"));
    }
}

#[test]
fn every_route_has_its_row_in_the_guide() {
    let rows = rows();
    let patterns = include_str!("../route.rs").split(" => \"").skip(1);
    let patterns = patterns.filter_map(|rest| rest.split_once('"').map(|(pattern, _)| pattern));
    let patterns: Vec<_> = patterns.filter_map(|pattern| pattern.split_once(' ')).collect();
    for pattern in patterns.iter().filter(|(_, path)| path.starts_with('/')) {
        assert!(rows.contains(pattern), "{} {}", pattern.0, pattern.1);
    }
    assert!(rows.len() >= 20, "the table was read");
}

#[test]
fn every_kind_of_event_stands_in_the_guide_with_its_fields() {
    let change = CatalogueEvent { version: 1, stored: &[], deleted: &[] };
    let failed = EventKind::TaskFailed {
        instance: InstanceId { message: MessageId(1), ordinal: 1 },
        workflow: "",
        task: "",
        attempts: 1,
        code: "",
        message: "",
    };
    let worker = WorkerEvent { worker: WorkerId(1), name: "" };
    let kinds = [
        EventKind::RulesChanged(change),
        EventKind::DefinitionsChanged(change),
        failed,
        EventKind::LeaderElected { node: NodeId(1), term: 1 },
        EventKind::WorkerJoined(worker),
        EventKind::WorkerLost { worker, tasks: 1 },
        EventKind::WorkerLeft(worker),
        EventKind::WorkerDrained(worker),
        EventKind::WorkerResumed(worker),
    ];
    let rows: Vec<_> = table("| `kind` | says | fields |").collect();
    assert_eq!(rows.len(), kinds.len());
    for (row, kind) in rows.iter().zip(kinds) {
        assert!(row.starts_with(&format!("| `{}` |", kind.as_str())), "{row}");
        let event = EventView { number: 1, at: UnixMicros(0), kind };
        let mut page = Vec::new();
        EventsView { start: 1, events: &[event], next: 1, lost: 0 }.write(&mut page);
        let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
        let fields = page["events"][0].as_object().unwrap().keys();
        for field in fields.filter(|field| !["number", "at", "kind"].contains(&field.as_str())) {
            let is_named = row.contains(&format!("`{field}`")) || row.ends_with("| the same |");
            assert!(is_named, "`{field}` is not in {row}");
        }
    }
    assert!(GUIDE.contains(&format!("at most `{}s`", WAIT_MAX.as_secs())));
}

#[test]
fn the_bounds_that_the_guide_names_are_those_of_the_code() {
    let kib = MESSAGE_BYTES_MAX / 1024;
    assert_eq!((BATCH_MESSAGES_MAX, BATCH_BYTES_MAX), (1_000, 1024 * 1024));
    assert_eq!((DOCUMENT_BYTES_MAX, SET_BYTES_MAX), (1024 * 1024, 4 * 1024 * 1024));
    let bounds = [
        format!("| a message | {kib} KiB, nested {} deep |", base::limits::NESTING_MAX),
        "| a batch | 1,000 messages, 1 MiB |".to_owned(),
        "| a rule or workflow file | 1 MiB |".to_owned(),
        "| a set of all rules | 4 MiB,".to_owned(),
        format!("at most {USER_BYTES_MAX} printable ASCII characters"),
        format!("1 to {KEY_BYTES_MAX} printable ASCII characters"),
        format!("at most {BATCH_KEY_BYTES_MAX} characters"),
        format!("{LIMIT_DEFAULT} when left out"),
    ];
    for bound in bounds {
        assert!(GUIDE.contains(&bound), "{bound}");
    }
    assert_eq!(LIMIT_MAX, 1_000);
    for status in Status::ALL {
        assert!(GUIDE.contains(&format!("`{}`", status.as_str())), "{}", status.as_str());
    }
}

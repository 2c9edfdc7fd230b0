use super::*;
use serde_json::json;

#[test]
fn workers_are_shown_with_what_they_have_and_what_waits() {
    let list = json!({
        "workers": [{
            "worker": "9f3c00d2ab5517e0", "name": "w-1", "state": "ready", "running": 2,
            "capacity": 8, "zone": "", "plugins": [{ "name": "check", "version": "1.2", "abi": 1 }],
            "connected": true,
        }],
        "waiting": [{ "plugin": "score", "count": 12, "oldest_ms": 3100 }],
    });
    let mut out = Vec::new();
    show_workers(&list, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    for part in ["9f3c00d2ab5517e0", "w-1", "ready", "2/8", "check 1.2", "score", "3100"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn one_worker_is_shown_with_all_that_the_leader_knows_of_it() {
    let mut worker = json!({
        "worker": "9f3c00d2ab5517e0", "name": "w-1", "state": "draining", "since": "2026-11-20T11:11:48Z",
        "drained": true, "running": 2, "capacity": 8, "zone": "a", "address": "10.0.0.7:8080",
        "plugins": [{ "name": "check", "version": "1.2", "abi": 1 }], "connected": true,
        "suspected": true, "cpu_permille": 817, "memory_bytes": 50_000_000, "lease_left_ms": 7_420,
    });
    let shown = |worker: &Value| {
        let mut out = Vec::new();
        show_worker(worker, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let expected = "worker 9f3c00d2ab5517e0 (w-1): draining since 2026-11-20T11:11:48Z
  tasks      2 of 8; drained by an operator: it gets no more
  plugins    check 1.2
  address    10.0.0.7:8080, zone a
  link       connected, gossip suspects it
  lease      7.4 s left
  machine    its processors are 81.7 % busy, with all that runs there
  memory     48 MiB, its plugins' processes together
";
    assert_eq!(shown(&worker), expected);
    // What a follower says of it ends with what it knows.
    for key in ["connected", "suspected", "cpu_permille", "memory_bytes", "lease_left_ms"] {
        worker.as_object_mut().unwrap().remove(key);
    }
    assert!(shown(&worker).ends_with("  address    10.0.0.7:8080, zone a\n"));
}

#[test]
fn a_worker_is_found_by_its_name_while_only_one_is_meant() {
    let row =
        |id: &str, name: &str, state: &str| json!({ "worker": id, "name": name, "state": state });
    let list = json!({ "workers": [
        row("00000000000000a1", "one", "ready"),
        row("00000000000000a2", "one", "lost"),
        row("00000000000000b1", "two", "ready"),
        row("00000000000000b2", "two", "draining"),
        row("00000000000000b3", "two", "left"),
        row("00000000000000c1", "gone", "left"),
    ]});
    let rows = [
        ("one", Ok("00000000000000a1")),
        ("gone", Ok("00000000000000c1")),
        (
            "two",
            Err(
                "2 workers are called `two`: say which, by its id: 00000000000000b1, 00000000000000b2",
            ),
        ),
        ("three", Err("there is no worker `three`: `distric-admin workers list` shows")),
    ];
    for (name, expected) in rows {
        match (named(name, &list), expected) {
            (Ok(id), Ok(expected)) => assert_eq!(id.to_string(), expected),
            (Err(error), Err(words)) => assert!(error.to_string().starts_with(words), "{error}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

use super::*;

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

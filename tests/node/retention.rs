//! What is no longer kept answers otherwise than what never was.

use crate::server::{Place, Server};

const MESSAGES: &str = "/api/v1/messages";

/// Sends messages of 10 kB, one after the other, all into the same partition by the same key.
fn send(server: &Server, count: usize) -> Vec<String> {
    let body = format!(r#"{{"padding":"{}"}}"#, "x".repeat(10_000));
    let mut connection = server.connect();
    let mut send = || {
        let answer = connection.call("POST", MESSAGES, &[], body.as_bytes()).unwrap().json_of(202);
        answer["message_id"].as_str().unwrap().to_owned()
    };
    (0..count).map(|_| send()).collect()
}

#[test]
fn what_was_dropped_answers_410_and_what_never_was_404() {
    let place = Place::new(&["retention=1MiB", "partitions=2"]);
    let mut server = place.start();
    let ids = send(&server, 300);
    let (first, last) = (&ids[0], &ids[299]);
    let digits = |id: &str| u64::from_str_radix(id, 16).unwrap();
    let after_last = format!("{:016x}", digits(last) + 1_000);
    for run in ["as it was", "after a restart"] {
        let gone = server.get(&format!("{MESSAGES}/{first}"));
        assert_eq!(gone.status(), 410, "{run}: {}", gone.text());
        let gone = gone.json();
        assert_eq!(gone["error"], "gone", "{run}");
        assert!(gone["hint"].as_str().unwrap().contains("retention"), "{run}: {gone}");
        let gone = server.get(&format!("/api/v1/workflows/{first}-1"));
        assert_eq!(gone.status(), 410, "{run}: {}", gone.text());
        assert_eq!(server.get(&format!("{MESSAGES}/{last}")).status(), 200, "{run}");
        let never = server.get(&format!("{MESSAGES}/{after_last}"));
        assert_eq!((never.status(), &never.json()["error"]), (404, &"unknown_id".into()), "{run}");

        server.kill();
        server = place.start();
    }
}

#[test]
fn memory_held_for_reading_stays_within_the_budget() {
    let place = Place::new(&["retention=1MiB", "partitions=2"]);
    let server = place.start();
    send(&server, 300);
    let held = server.metric("distric_state_bytes");
    assert!((500_000..=1 << 20).contains(&held), "{held} bytes are held of 1 MiB");
    // The newest are there, the oldest are not, and nothing in between is missing.
    let ids = send(&server, 300);
    let statuses: Vec<u16> =
        ids.iter().map(|id| server.get(&format!("{MESSAGES}/{id}")).status()).collect();
    assert!(statuses.is_sorted_by(|one, next| one >= next), "410 first, then 200: {statuses:?}");
    let kept = statuses.iter().filter(|status| **status == 200).count();
    assert!((50..=104).contains(&kept), "{kept} messages of 10 kB are kept in 1 MiB");
}

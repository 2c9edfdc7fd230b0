use super::*;
use crate::connection::Failure;

fn spent(millis: u64) -> Spent {
    let (cpu, elapsed) = (Duration::from_millis(millis), Duration::from_secs(2));
    Spent { cpu, answered: 1_000, elapsed }
}

fn report() -> Report {
    let mut counts = Counts::new();
    for millis in 1..=1_000_u64 {
        counts.latency.record(millis * 1_000_000).unwrap();
    }
    counts.answered = 1_200;
    counts.answered_in_window = 1_000;
    counts.failed.insert(Failure::Status(503), 1_234_567);
    counts.unsent = 3;
    counts.measured = 2_000_000_000;
    Report {
        url: "http://127.0.0.1:8080".to_owned(),
        rate: 5_000,
        connections: 64,
        pipeline: 2,
        batch: 10,
        message_bytes: 256,
        threads: 1,
        counts,
        cost: Cost { server: Some(spent(500)), note: None, generator: Some(spent(100)) },
    }
}

#[test]
fn the_text_says_what_was_run_and_what_came_of_it() {
    let text = report().to_text();
    for part in [
        "http://127.0.0.1:8080: open loop at 5,000 messages/s, 64 connections, 2 in flight on each, \
         10 messages in a request, 256 bytes each, 2.0 s",
        "throughput  5,000 messages/s  (500 requests/s)",
        "p50 500.1",
        "counted from the time a request was due",
        "1,234,567 x status 503",
        "3 requests were due and not sent",
        "CPU         server 50.00 us/message (0.25 cores)  generator 10.00 us/message (0.05 cores)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_json_holds_the_same_in_microseconds() {
    let json = report().to_json();
    assert_eq!(json["messages_per_second"], 5_000.0);
    assert_eq!(json["errors"]["status 503"], 1_234_567);
    assert_eq!(json["server_cpu_us_per_message"], 50.0);
    let p99 = json["latency_us"]["p99"].as_f64().unwrap();
    assert!((989_000.0..992_000.0).contains(&p99), "{p99}");
}

#[test]
fn a_cost_that_is_not_known_is_said_to_be_so() {
    let mut report = report();
    report.cost = Cost { note: Some("no metrics".to_owned()), ..Cost::default() };
    let text = report.to_text();
    assert!(text.contains("server not known  generator not known"), "{text}");
    assert!(text.ends_with("no metrics\n"), "{text}");
    assert_eq!(report.to_json()["server_cpu_us_per_message"], Value::Null);
}

#[test]
fn thousands_are_set_apart() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), text);
    }
}

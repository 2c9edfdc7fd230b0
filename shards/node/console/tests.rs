use super::*;
use serde_json::{Value, json};

fn ready<'a>(placement: &'a Placement, tcp: Option<&str>) -> Ready<'a> {
    Ready {
        version: "0.1.0",
        http: "127.0.0.1:8080".parse().unwrap(),
        tcp: tcp.map(|tcp| tcp.parse().unwrap()),
        peer: None,
        gossip: None,
        data: Path::new("a \"b\"\n"),
        node: 1,
        start: 7,
        placement,
        open_files: 20_000,
        role: "both",
        tasks: None,
    }
}

fn placement(cores: &str, allowed: &[usize]) -> Placement {
    cores.parse::<runtime::CoreSpec>().unwrap().place_among(allowed)
}

/// The line without its time.
fn read(line: &[u8]) -> Value {
    let (end, line) = line.split_last().expect("it is not empty");
    assert!(*end == b'\n' && !line.contains(end));
    let mut line: Value = serde_json::from_slice(line).unwrap();
    assert!(line.as_object_mut().unwrap().remove("ts").is_some());
    line
}

#[test]
fn for_machines_a_start_and_a_stop_are_a_line_of_json_each() {
    let two = placement("0,3", &[0, 1, 2, 3]);
    let expected = json!({
        "level": "INFO", "component": "node", "msg": "ready", "version": "0.1.0",
        "http": "127.0.0.1:8080", "tcp": "127.0.0.1:8081", "data": "a \"b\"\n",
        "node": 1, "role": "both", "start": 7, "cores": 2, "cpus": "0,3", "open_files": 20_000,
    });
    assert_eq!(read(&ready(&two, Some("127.0.0.1:8081")).line()), expected);

    let folded = placement("0-1", &[5]);
    let line = read(&ready(&folded, None).line());
    assert!(line["note"].as_str().unwrap().contains("CPU 5 runs core"), "{line}");
    assert_eq!((&line["cpus"], line.get("tcp")), (&json!("5,5"), None));

    let (reason, left) = ("SIGTERM".to_owned(), Left::Requests { unanswered: 3 });
    let stopped = Stopped { reason, left };
    let expected = json!({
        "level": "INFO", "component": "node", "msg": "stopped", "reason": "SIGTERM", "unanswered": 3,
    });
    assert_eq!(read(&stopped.line()), expected);
}

#[test]
fn a_worker_that_ends_says_what_became_of_its_tasks_and_nothing_of_requests() {
    let stopped = |ended, given_back| Stopped {
        reason: "SIGTERM".to_owned(),
        left: Left::Tasks(Parted { ended, given_back }),
    };
    assert_eq!(
        stopped(3, 2).text(),
        "distric-shard stopped (SIGTERM): of the tasks that ran, 3 came to their end and 2 were \
         stopped, for others to run.\n"
    );
    assert_eq!(stopped(0, 0).text(), "distric-shard stopped (SIGTERM): no task was running.\n");
    let line = read(&stopped(3, 2).line());
    assert_eq!((&line["ended"], &line["given_back"]), (&json!(3), &json!(2)));
    assert_eq!(line.get("unanswered"), None);
}

#[test]
fn a_node_that_runs_tasks_says_how_many_and_of_which_plugins() {
    let one = placement("0", &[0]);
    let ready = Ready { tasks: Some((4, "greeter, steady")), ..ready(&one, None) };
    assert!(ready.text().contains("\n  tasks    4 at once, of greeter, steady\n"));
    let line = read(&ready.line());
    assert_eq!((&line["capacity"], &line["plugins"]), (&json!(4), &json!("greeter, steady")));
}

#[test]
fn for_people_a_start_says_where_it_is_and_which_core_does_what() {
    let two = placement("0,3", &[0, 1, 2, 3]);
    let mut ready = ready(&two, Some("127.0.0.1:8081"));
    ready.data = Path::new("./data");
    let expected = "\
distric-shard 0.1.0 is ready.
  API      http://127.0.0.1:8080/api/v1/   health http://127.0.0.1:8080/health/ready
  binary   127.0.0.1:8081
  data     ./data   (node 1, start 7)
  core 0   on CPU 0: log, clients, workflows
  core 1   on CPU 3: clients, workflows
  limits   20000 open files; stop with Ctrl-C
";
    assert_eq!(ready.text(), expected);
}

#[test]
fn a_log_of_its_own_has_the_lines_too_and_standard_output_has_them_once() {
    // Format, whether the log is on standard output; whether the log is told.
    let rows = [
        (Format::Text, true, true),
        (Format::Text, false, true),
        (Format::Json, true, false),
        (Format::Json, false, true),
    ];
    for (format, has_log, is_told) in rows {
        assert_eq!(Console::new(format, has_log).is_logged_apart(), is_told, "{format}, {has_log}");
    }
}

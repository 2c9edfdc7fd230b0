//! Tasks: how they end, and what the end of a process means for them.

use crate::fixture::{self, Folder, assert_fails};
use bytes::Bytes;
use host::RunError;
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn a_task_gets_what_it_is_told_and_its_output_comes_back() {
    let Some(folder) = Folder::faulty("environment: {GREETING: hello}") else { return };
    let mut running = folder.host();
    let mut job = running.job(r#"{"do": "describe"}"#);
    job.instance = "00a1-1".to_owned();
    job.workflow = "order".to_owned();
    job.task = "pay".to_owned();
    job.idempotency_key = "k-1".to_owned();
    job.attempt = 3;
    let said = running.run(job).unwrap();
    assert_eq!(
        said,
        r#"{"instance":"00a1-1","workflow":"order","task":"pay","key":"k-1","attempt":3,"timed":1,"handle":1,"env":"hello","sizes":[104,32]}"#
    );
    // One handle a configuration.
    for (config, handle) in [("{}", 1), ("[]", 2), ("{}", 1)] {
        let mut job = running.job(r#"{"do": "describe"}"#);
        job.config = Bytes::from(config);
        job.timeout = None;
        let said = running.run(job).unwrap();
        assert!(said.contains(&format!("\"timed\":0,\"handle\":{handle}")), "{said}");
    }
    let large = format!(r#"{{"do": "echo", "text": "{}"}}"#, "x".repeat(200_000));
    let job = running.job(&large);
    assert_eq!(running.run(job).unwrap(), large);
}

#[test]
fn a_failure_of_the_plugins_own_is_told_as_it_says() {
    let Some(folder) = Folder::faulty("") else { return };
    let mut running = folder.host();
    assert_fails(&running.wish("fail"), "card_declined", false, "the card is declined");
    assert_fails(&running.wish("fail_silently"), "plugin_failed", true, "gave no reason");
    assert_fails(&running.wish("odd_status"), "plugin_failed", false, "returned -7");
    running.is_well();
    running.host.shutdown(Duration::from_secs(10)).wait();
    let [metrics] = &running.host.metrics()[..] else { panic!("one plugin") };
    let counts = metrics.counts;
    assert_eq!((counts.succeeded, counts.failed, counts.started, counts.crashes), (1, 3, 1, 0));
    // A code of the plugin's own is counted with those that have none.
    assert_eq!(metrics.failures, BTreeMap::from([("plugin_failed", 3)]));
}

#[test]
fn an_output_that_is_too_large_or_no_json_fails_the_task() {
    let Some(folder) = Folder::faulty("output_max: 64KiB") else { return };
    let mut running = folder.host();
    assert_fails(&running.wish("large"), "output_too_large", false, "more than 65536 bytes");
    assert_fails(&running.wish("no_json"), "bad_output", false, "no JSON");
    // Nested deeper than a workflow reads.
    assert_fails(&running.wish("deep"), "bad_output", false, "no JSON");
    assert_eq!(running.wish("write_null").unwrap(), r#""refused""#);
    assert_fails(&running.wish("nothing"), "bad_output", false, "no JSON");
    running.is_well();
}

#[test]
fn a_configuration_that_is_refused_fails_the_task_and_nothing_else() {
    let Some(folder) = Folder::faulty("") else { return };
    let mut running = folder.host();
    let rows = [
        ("refuse", "plugin_config", false, "no model there"),
        ("wrong, and init would crash", "plugin_config", false, "`wrong` is no key of mine"),
        ("later", "model_busy", true, "come again"),
    ];
    for (config, code, retryable, words) in rows {
        let mut job = running.job(r#"{"do": "echo"}"#);
        job.config = Bytes::from(format!("\"{config}\""));
        assert_fails(&running.run(job), code, retryable, words);
    }
    running.is_well();
    // What `validate_config` does not refuse does come to `init`.
    let mut job = running.job(r#"{"do": "echo"}"#);
    job.config = Bytes::from(r#""init would crash""#);
    assert_fails(&running.run(job), "plugin_crashed", true, "SIGABRT");
}

#[test]
fn a_configuration_is_looked_at_without_a_task() {
    let Some(folder) = Folder::faulty("") else { return };
    let mut running = folder.host();
    let ask = |config: &'static str| running.host.validate("faulty", Bytes::from(config)).wait();
    assert_eq!(ask("{}"), Ok(()));
    let error = ask(r#""wrong""#).unwrap_err();
    assert_eq!(error.to_string(), "plugin_config: `wrong` is no key of mine");
    let error = running.host.validate("other", Bytes::from("{}")).wait().unwrap_err();
    assert_eq!(error.code, "plugin_missing");
    // One that hangs is given up within seconds, and its process with it.
    let error = ask(r#""hang""#).unwrap_err();
    assert_eq!(error.code, "timeout");
    running.is_well();
}

#[test]
fn a_process_that_ends_in_the_midst_of_a_task_fails_that_task() {
    let Some(folder) = Folder::faulty("threads: 2") else { return };
    let mut running = folder.host();
    let rows = [
        ("crash", "signal 11 (SIGSEGV"),
        ("divide", "signal 8 (SIGFPE"),
        ("abort", "signal 6 (SIGABRT"),
        ("overflow", "signal 11 (SIGSEGV"),
        ("exit", "it called exit, with 3"),
        ("quit", "it ended with 4"),
        // Nobody is to blame for what comes from outside, the first time.
        ("kill", "ended under the task again: signal 9 (SIGKILL)"),
    ];
    for (wish, words) in rows {
        let result = running.wish(wish);
        assert_fails(&result, "plugin_crashed", true, words);
        running.is_well();
    }
}

#[test]
fn the_other_tasks_of_a_process_that_crashes_run_again() {
    let Some(folder) = Folder::faulty("threads: 3\nstop_grace: 0s") else { return };
    let mut running = folder.host();
    running.is_well();
    let waiting = running.begin("wait");
    let crashed = running.begin("crash");
    assert_fails(&running.end_of(crashed), "plugin_crashed", true, "SIGSEGV");
    // It runs again in the next process, and gives up when it is told to.
    assert!(running.host.stop(waiting));
    assert_fails(&running.end_of(waiting), "worker_stopped", true, "stopped");
    running.is_well();
}

#[test]
fn a_task_that_hangs_is_killed_when_its_time_is_up_and_the_others_run_again() {
    let Some(folder) = Folder::faulty("threads: 3\nstop_grace: 10ms") else { return };
    let mut running = folder.host();
    for wish in ["hang", "spin"] {
        let waiting = running.begin("wait");
        let mut job = running.job(&format!("{{\"do\": \"{wish}\"}}"));
        job.timeout = Some(Duration::from_millis(100));
        assert_fails(&running.run(job), "timeout", true, "ran out of time");
        assert_eq!(running.host.running(), 1);
        assert!(running.host.stop(waiting));
        assert_fails(&running.end_of(waiting), "worker_stopped", true, "stopped");
    }
    running.is_well();
}

#[test]
fn the_manifests_timeout_counts_where_the_job_has_none() {
    let Some(folder) = Folder::faulty("timeout: 50ms\nstop_grace: 0s") else { return };
    let mut running = folder.host();
    let mut job = running.job(r#"{"do": "hang"}"#);
    job.timeout = None;
    assert_fails(&running.run(job), "timeout", true, "ran out of time");
    // And one that only waits for a thread runs out of time as well.
    let Some(folder) = Folder::faulty("threads: 1\nprocesses: 2\nstop_grace: 5s") else { return };
    let mut running = folder.host();
    let keys = [running.begin("wait"), running.begin("wait")];
    let third = running.job(r#"{"do": "echo"}"#);
    assert_eq!(running.host.run(third), Err(RunError::Full { capacity: 2 }));
    for key in keys {
        assert!(running.host.stop(key));
        assert_fails(&running.end_of(key), "worker_stopped", true, "stopped");
    }
}

#[test]
fn a_process_that_is_frozen_is_found_and_its_task_fails() {
    let Some(folder) = Folder::faulty("stop_grace: 0s") else { return };
    let mut running = folder.host();
    let mut job = running.job(r#"{"do": "freeze"}"#);
    job.timeout = Some(Duration::from_millis(200));
    assert_fails(&running.run(job), "timeout", true, "ran out of time");
    running.is_well();
}

#[test]
fn cpu_time_is_counted_by_task() {
    let Some(folder) = Folder::faulty("cpu_time: 200ms") else { return };
    let mut running = folder.host();
    assert_fails(&running.wish("spin"), "timeout", true, "more than its 200ms of CPU time");
    // Waiting costs none.
    let waiting = running.begin("wait");
    assert!(running.host.stop(waiting));
    assert_fails(&running.end_of(waiting), "worker_stopped", true, "stopped");
    running.is_well();
}

#[test]
fn a_task_that_eats_memory_is_ended_at_its_limit() {
    let Some(folder) = Folder::faulty("memory_max: 32MiB\nthreads: 1") else { return };
    let mut running = folder.host();
    assert_fails(&running.wish("eat"), "plugin_memory", true, "limit of memory");
    running.is_well();
}

#[test]
fn a_crash_is_none_of_memory_where_there_are_many_threads_and_little_of_it() {
    let Some(folder) = Folder::faulty("memory_max: 4MiB\nthreads: 8") else { return };
    let mut running = folder.host();
    assert_fails(&running.wish("crash"), "plugin_crashed", true, "SIGSEGV");
}

#[test]
fn a_plugin_that_speaks_for_itself_on_the_nodes_socket_is_killed() {
    for manifest in ["threads: 1", "threads: 1\ncpu_time: 60s"] {
        let Some(folder) = Folder::faulty(manifest) else { return };
        let mut running = folder.host();
        for wish in ["babble", "begun", "done_again", "ready_again", "shut_in_again"] {
            assert_fails(&running.wish(wish), "plugin_crashed", true, "again");
            running.is_well();
        }
    }
}

#[test]
fn a_handle_is_kept_while_others_fail_and_while_it_is_used() {
    let Some(folder) = Folder::faulty("threads: 2\nstop_grace: 60s") else { return };
    let mut running = folder.host();
    let handle = |running: &mut fixture::Running| {
        let said = running.wish("describe").unwrap();
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        said["handle"].as_u64().unwrap()
    };
    assert_eq!(handle(&mut running), 1);
    // Failed ones take no place, though they are more than are kept.
    for number in 0..70 {
        let mut job = running.job(r#"{"do": "echo"}"#);
        job.config = Bytes::from(format!(r#"{{"refuse": {number}}}"#));
        assert_fails(&running.run(job), "plugin_config", false, "no model there");
    }
    assert_eq!(handle(&mut running), 1);
    let waits = running.begin("wait");
    for number in 0..70 {
        let mut job = running.job(r#"{"do": "echo"}"#);
        job.config = Bytes::from(format!(r#"{{"number": {number}}}"#));
        running.run(job).unwrap();
    }
    assert_eq!(handle(&mut running), 1, "it is in use");
    assert!(running.host.stop(waits));
    assert_fails(&running.end_of(waits), "worker_stopped", true, "stopped");
}

#[test]
fn what_a_plugin_shouts_is_bounded_and_costs_no_task() {
    let Some(folder) = Folder::faulty("") else { return };
    let mut running = folder.host();
    assert_eq!(running.wish("shout").unwrap(), "true");
    running.is_well();
    running.host.shutdown(Duration::from_secs(10)).wait();
    let [metrics] = &running.host.metrics()[..] else { panic!("one plugin") };
    // 10,000 lines printed and 10 logged, all at once but for what a slow machine takes.
    assert_eq!(metrics.lines + metrics.lines_dropped, 10_010);
    assert!(metrics.lines >= 500 && metrics.lines_dropped > 0, "{metrics:?}");
}

#[test]
fn jobs_beyond_what_is_allowed_are_refused_at_once() {
    let Some(folder) = Folder::faulty("threads: 2") else { return };
    let mut running = folder.host();
    let mut unknown = running.job("{}");
    unknown.plugin = "nobody".to_owned();
    assert_eq!(running.host.run(unknown), Err(RunError::Unknown { plugin: "nobody".to_owned() }));
    let mut wrong = running.job("{}");
    wrong.input = Bytes::from_static(b"\xff");
    assert_eq!(running.host.run(wrong), Err(RunError::NotText { part: "input" }));
    let large = running.job(&"1".repeat(plugin::INPUT_BYTES_MAX + 1));
    assert!(matches!(running.host.run(large), Err(RunError::TooLarge { part: "input", .. })));
    let first = running.begin("wait");
    let mut again = running.job("{}");
    again.key = first;
    assert_eq!(running.host.run(again), Err(RunError::Repeated { key: first }));
    assert!(!running.host.stop(99));
    assert!(running.host.stop(first));
    assert_fails(&running.end_of(first), "worker_stopped", true, "stopped");
}

#[test]
fn all_is_stopped_at_once_and_the_host_ends_with_no_process_left() {
    let Some(folder) = Folder::faulty("threads: 2\nprocesses: 2\nstop_grace: 60s") else { return };
    let mut running = folder.host();
    let pid: u32 = running.wish("pid").unwrap().parse().unwrap();
    let keys: Vec<u64> = (0..4).map(|_| running.begin("hang")).collect();
    running.host.stop_all(true);
    let mut ends = BTreeMap::new();
    while ends.len() < keys.len() {
        for one in running.finished() {
            ends.insert(one.key, one.outcome.unwrap_err().code);
        }
    }
    assert!(ends.values().all(|code| code == "worker_stopped"), "{ends:?}");
    assert_eq!(running.host.running(), 0);
    let hung = running.begin("hang");
    running.host.shutdown(Duration::ZERO).wait();
    assert_fails(&running.end_of(hung), "worker_stopped", true, "the node stops");
    let late = running.job("{}");
    assert_eq!(running.host.run(late), Err(RunError::Stopping));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    // Asked twice, it is over.
    running.host.shutdown(Duration::ZERO).wait();
}

#[test]
fn many_tasks_on_all_threads_end_once_each() {
    let Some(folder) = Folder::faulty("threads: 4\nprocesses: 2") else { return };
    let mut running = folder.host();
    let mut left: std::collections::BTreeSet<u64> = std::collections::BTreeSet::new();
    let mut begun = 0;
    while begun < 2_000 || !left.is_empty() {
        while begun < 2_000 && left.len() < running.host.capacity() as usize {
            left.insert(running.begin(if begun % 500 == 499 { "crash" } else { "echo" }));
            begun += 1;
        }
        for one in running.finished() {
            assert!(left.remove(&one.key), "{} ended twice", one.key);
        }
    }
}

#[test]
fn the_memory_of_a_process_is_known_without_a_long_task() {
    let Some(folder) = Folder::faulty("") else { return };
    let mut running = folder.host();
    let memory = |running: &fixture::Running| running.host.metrics()[0].memory_bytes;
    // Counts are a tenth of a second old at most: far less than so many tasks take.
    let known = (0..100_000).any(|_| {
        running.is_well();
        memory(&running) > 0
    });
    assert!(known);
    assert!(memory(&running) < 1 << 30, "{}", memory(&running));
    running.host.shutdown(Duration::from_secs(10)).wait();
    assert_eq!(memory(&running), 0);
}

#[test]
fn what_is_counted_stands_among_a_cores_metrics() {
    let Some(folder) = Folder::faulty("threads: 2") else { return };
    let mut running = folder.host();
    let registry = telemetry::Registry::new();
    let meters = host::Meters::new(&registry, &running.host);
    running.is_well();
    assert_fails(&running.wish("crash"), "plugin_crashed", true, "SIGSEGV");
    assert_fails(&running.wish("fail"), "card_declined", false, "declined");
    assert_fails(&running.wish("no_json"), "bad_output", false, "no JSON");
    running.host.shutdown(Duration::from_secs(10)).wait();
    meters.read();
    let mut text = Vec::new();
    telemetry::prometheus(&registry.snapshot(), &mut text);
    let text = String::from_utf8(text).unwrap();
    for line in [
        r#"distric_plugin_tasks_total{code="ok",plugin="faulty"} 1"#,
        r#"distric_plugin_tasks_total{code="plugin_crashed",plugin="faulty"} 1"#,
        r#"distric_plugin_tasks_total{code="plugin_failed",plugin="faulty"} 1"#,
        r#"distric_plugin_tasks_total{code="bad_output",plugin="faulty"} 1"#,
        r#"distric_plugin_tasks_total{code="timeout",plugin="faulty"} 0"#,
        r#"distric_plugin_processes_started_total{plugin="faulty"} 2"#,
        r#"distric_plugin_processes_ended_total{how="crashed",plugin="faulty"} 1"#,
        r#"distric_plugin_processes{plugin="faulty"} 0"#,
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
}

//! What a plugin can do wrong, as its workflow sees it: a failed task, with a code that says what it was. The
//! worker goes on.

use crate::crew::Crew;
use crate::server::until;
use serde_json::Value;

/// Runs one faulty task, to the end of its instance.
fn ends_as(crew: &Crew, wish: &str) -> Value {
    let body = format!(r#"{{"kind":"faulty","do":"{wish}"}}"#);
    let accepted = crew.server().call("POST", "/api/v1/messages", &[], body).json_of(202);
    let id = accepted["message_id"].as_str().unwrap().to_owned();
    until("the instance has ended", || {
        let instance = crew.server().read(&format!("/api/v1/workflows/{id}-1"));
        (instance["status"] != "running").then_some(instance)
    })
}

#[test]
fn what_a_plugin_does_wrong_fails_its_task_and_nothing_else() {
    let Some(mut crew) = Crew::found(1) else { return };
    let workers = crew.hire_all(1);
    crew.teach();
    let rows = [
        ("hang", "timeout"),
        ("crash", "plugin_crashed"),
        ("abort", "plugin_crashed"),
        ("eat", "plugin_memory"),
        ("no_json", "bad_output"),
        ("fail", "out_of_luck"),
    ];
    for (wish, code) in rows {
        let instance = ends_as(&crew, wish);
        let task = &instance["tasks"][0];
        let shown = &task["error"]["code"];
        assert!(shown == code || wish == "fail", "{wish}: {instance:#}");
        assert_ne!(instance["status"], "completed", "{wish}");
        // The next one is as good as the first.
        let well = ends_as(&crew, "echo");
        assert_eq!(well["status"], "completed", "after {wish}: {well:#}");
    }
    // It is denied, and harms nobody.
    ends_as(&crew, "fork_bomb");
    assert_eq!(ends_as(&crew, "echo")["status"], "completed");
    crate::crew::is_registered(&workers[0]);
}

#[test]
fn workers_and_the_processes_of_their_plugins_use_small_pages() {
    let Some(mut crew) = Crew::found(1) else { return };
    let workers = crew.hire_all(1);
    let pid = workers[0].pid();
    let read =
        |path: String| std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children: Vec<String> = threads
        .flat_map(|thread| {
            let thread = thread.unwrap().file_name().into_string().unwrap();
            let list = read(format!("/proc/{pid}/task/{thread}/children"));
            list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert!(children.len() >= 2, "a process for each plugin: {children:?}");
    for process in children.into_iter().chain([pid.to_string()]) {
        let status = read(format!("/proc/{process}/status"));
        let huge = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        assert_eq!(huge.map(str::trim), Some("0"), "process {process}");
    }
}

#[test]
fn a_workflow_is_refused_for_what_its_plugin_does_not_take() {
    let Some(mut crew) = Crew::found(3) else { return };
    let _workers = crew.hire_all(1);
    let port = crew.witness.port;
    let workflow = |config: &str| {
        format!("workflows:\n  - id: w\n    tasks:\n      - {{ id: work, type: steady{config} }}\n")
    };
    // Whichever node is asked: the leader alone has the worker.
    for server in crew.cluster.running().into_iter().map(|at| crew.cluster.server(at)) {
        let put = |config: &str| {
            let body = workflow(config);
            until("the plugin is known", || {
                let yaml = [("content-type", "application/yaml")];
                let answer = server.call("POST", "/api/v1/definitions", &yaml, &body);
                (!answer.text().contains("no plugin of that name")).then_some(answer)
            })
        };
        let refused = put("").json_of(400);
        assert_eq!(refused["error"], "invalid_definition", "{refused:#}");
        let fault = &refused["faults"][0];
        let what = fault["what"].as_str().unwrap();
        assert!(what.ends_with("of task `work` of workflow `w`: `port` is missing"), "{what}");
        assert_eq!((&fault["line"], &fault["column"]), (&4.into(), &9.into()), "{fault:#}");
        let taken = put(&format!(", config: {{ port: {port} }}"));
        assert!(matches!(taken.status(), 200 | 201), "{}", taken.text());
    }
}

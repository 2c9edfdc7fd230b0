use super::*;

/// Texts with what is wrong with them, as a user reads it.
const FAULTS: &str = include_str!("faults.txt");

const KNOWN: Plugins<'_> = Plugins::Known(&["payment_validator", "ml_inference"]);

fn faults(text: &str) -> String {
    match parse(Source { name: "w.yaml", text }, KNOWN) {
        Ok(definitions) => format!("{} workflows, no fault", definitions.len()),
        Err(faults) => faults.to_string(),
    }
}

/// The same text with what the loader really says about each of its parts.
fn judged(text: &str) -> String {
    let cases = text.split("====\n").filter(|case| !case.trim().is_empty());
    let judged: Vec<String> = cases
        .map(|case| {
            let (workflow, _) = case.split_once("----\n").unwrap_or((case, ""));
            format!("====\n{workflow}----\n{}\n", faults(workflow))
        })
        .collect();
    judged.concat()
}

#[test]
fn every_fault_is_named_with_its_place_and_what_to_do() {
    let judged = judged(FAULTS);
    if judged.trim() != FAULTS.trim() {
        let differs = judged.lines().zip(FAULTS.lines()).position(|(left, right)| left != right);
        panic!("line {:?} differs; what is said is:\n{judged}", differs.map(|line| line + 1));
    }
}

fn load(text: &str) -> Vec<Definition> {
    parse(Source { name: "w.yaml", text }, KNOWN).unwrap_or_else(|faults| panic!("{faults}"))
}

const EVERYTHING: &str = "
workflow:
  id: every.thing_at-once
  version: 12
  timeout: 15m
  on_failure: continue
  defaults: { retry: { max: 2, unless: \"${ error.code == 'X' }\" }, timeout: 10s }
  output: { n: '${ tasks.shape.output.n }' }
  tasks:
    - { id: shape, type: transform, config: { n: 1, x: 1.0, big: 18446744073709551616, none: null } }
    - { id: call, type: http, depends_on: [shape], with: { method: POST, url: 'http://a', body: { t: '${ input }' } }, retry: { max: 5, backoff: fixed, first: 200ms, cap: 30s, jitter: none } }
    - { id: rest, type: delay, depends_on: [call], with: { for: 30 }, timeout: 1m }
    - { id: say, type: log, depends_on: [rest], run_if: always, when: \"${ tasks.call.status == 'completed' }\", with: { level: warn, message: done } }
";

#[test]
fn a_definition_is_loaded_again_from_its_own_source() {
    let first = load(EVERYTHING).remove(0);
    let again = load(&first.source).remove(0);
    assert_eq!(first.source, again.source);
    assert_eq!(first.hash, again.hash);
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
}

#[test]
fn the_hash_of_a_definition_follows_its_values_and_not_their_spelling() {
    let hash = |text: &str| load(text)[0].hash;
    let yaml = "id: a\ntasks:\n  - id: t # a comment\n    type: fail\n";
    let json = r#"{ "id": "a", "tasks": [ { "id": "t", "type": "fail" } ] }"#;
    let other = r#"{ "id": "a", "tasks": [ { "id": "u", "type": "fail" } ] }"#;
    assert_eq!(hash(yaml), hash(json));
    assert_ne!(hash(yaml), hash(other));
    // Golden: instances name their definition by it.
    assert_eq!(hash(yaml), base::hash64(br#"{"id":"a","tasks":[{"id":"t","type":"fail"}]}"#));
}

#[test]
fn a_file_holds_one_workflow_or_several() {
    let task = "tasks: [{ id: t, type: fail }]";
    let ids = |text: &str| -> Vec<String> { load(text).into_iter().map(|d| d.id).collect() };
    assert_eq!(ids(&format!("workflow: {{ id: a, {task} }}")), ["a"]);
    assert_eq!(ids(&format!("workflows: [{{ id: a, {task} }}, {{ id: b, {task} }}]")), ["a", "b"]);
    assert_eq!(ids(&format!("{{ id: a, {task} }}")), ["a"]);
}

#[test]
fn every_workflow_of_the_guide_can_be_loaded() {
    let guide = include_str!("../../../docs/WORKFLOWS.md");
    let blocks: Vec<&str> = guide
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("the block has an end").0)
        .collect();
    assert!(blocks.len() >= 6, "the guide has its examples");
    for block in blocks {
        load(block);
    }
    // The fault that the guide shows is the one that is said.
    let text = "workflow:
  id: pay
  tasks:
    - { id: validate, type: transform, with: 1 }
    # settle
    - { id: settle, type: transform, depends_on: [validate], with: \"${ tasks.validate.ouput }\" }
";
    let said = parse(Source { name: "pay.yaml", text }, KNOWN).unwrap_err().to_string();
    assert!(guide.contains(&format!("```text\n{said}\n```")), "{said}");
    // So are the bounds.
    let bounds = [
        format!("| tasks of a workflow | {TASKS_MAX} |"),
        format!("| a definition | {} KiB as JSON |", DEFINITION_BYTES_MAX / 1024),
        format!("| retries of a task | {RETRIES_MAX} |"),
        format!("| an output, in memory | {} MiB |", crate::OUTPUT_BYTES_MAX / 1024 / 1024),
        format!("in memory | {} MiB |", crate::INSTANCE_BYTES_MAX / 1024 / 1024),
    ];
    for bound in bounds {
        assert!(guide.contains(&bound), "{bound}");
    }
}

#[test]
fn what_is_left_out_has_its_default() {
    let definition =
        load("{ id: a, tasks: [{ id: t, type: http, with: { url: 'http://a' } }] }").remove(0);
    assert_eq!(definition.version, 1);
    assert_eq!(definition.timeout, None);
    assert_eq!(definition.on_failure, OnFailure::Stop);
    let task = &definition.tasks[0];
    assert_eq!((task.run_if, task.timeout), (RunIf::Success, Some(http::TIMEOUT_DEFAULT)));
    assert!(task.retry.is_none());
}

#[test]
fn a_default_timeout_is_for_what_can_hang() {
    let text = "
id: a
defaults: { timeout: 5s }
tasks:
  - { id: call, type: http, with: { url: 'http://a' } }
  - { id: own, type: http, timeout: 1m, with: { url: 'http://a' } }
  - { id: rest, type: delay, with: { for: 1h } }
";
    let timeouts: Vec<Option<Duration>> = load(text)[0].tasks.iter().map(|t| t.timeout).collect();
    let secs = |n| Some(Duration::from_secs(n));
    assert_eq!(timeouts, [secs(5), secs(60), None]);
}

#[test]
fn the_bounds_of_a_file_hold() {
    let task = |n: usize| format!("{{\"id\":\"t{n}\",\"type\":\"fail\"}}");
    let tasks = |count: usize| {
        let list: Vec<String> = (0..count).map(task).collect();
        format!("{{\"id\":\"a\",\"tasks\":[{}]}}", list.join(","))
    };
    assert_eq!(load(&tasks(TASKS_MAX))[0].tasks.len(), TASKS_MAX);
    assert!(
        faults(&tasks(TASKS_MAX + 1)).contains("a workflow has 1 to 256 tasks, this one has 257")
    );
    let long = format!(
        "{{\"id\":\"a\",\"tasks\":[{{\"id\":\"t\",\"type\":\"transform\",\"with\":\"{}\"}}]}}",
        "x".repeat(DEFINITION_BYTES_MAX)
    );
    assert!(faults(&long).contains("the workflow is too large: "));
    let many: Vec<String> = (0..=WORKFLOWS_MAX)
        .map(|n| format!("{{\"id\":\"w{n}\",\"tasks\":[{}]}}", task(0)))
        .collect();
    let many = format!("{{\"workflows\":[{}]}}", many.join(","));
    assert!(faults(&many).contains("too many workflows: 1001, the limit is 1000"));
    let id = "i".repeat(NAME_BYTES_MAX);
    assert_eq!(load(&format!("{{\"id\":\"{id}\",\"tasks\":[{}]}}", task(0)))[0].id, id);
    assert!(faults(&format!("{{\"id\":\"{id}i\",\"tasks\":[{}]}}", task(0))).contains("is no id"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    /// Nothing that a slip of the hand or of a program makes of a file is a panic, and what is
    /// still a definition makes itself again.
    #[test]
    fn a_mangled_text_is_a_definition_or_a_fault(
        cuts in proptest::collection::vec((0..2_000_usize, 0..12_usize, "[ a-z${}\\[\\]:,'\"#0-9\n\u{e9}-]{0,4}"), 1..4),
    ) {
        let mut text: Vec<char> = EVERYTHING.chars().collect();
        for (place, count, new) in cuts {
            let start = place % text.len();
            let end = (start + count).min(text.len());
            text.splice(start..end, new.chars());
        }
        let text: String = text.into_iter().collect();
        match parse(Source { name: "w.yaml", text: &text }, KNOWN) {
            Ok(definitions) => {
                for definition in definitions {
                    let again = load(&definition.source).remove(0);
                    proptest::prop_assert_eq!(again.hash, definition.hash);
                }
            }
            Err(faults) => proptest::prop_assert!(!faults.to_string().is_empty()),
        }
    }
}

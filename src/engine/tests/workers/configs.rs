//! Plugins are asked about what they are to be set up with, before a workflow goes into the log.

use super::*;
use crate::workers::Verdict;
use api::Method;

const PUT: (Method, &str) = (Method::Put, "/api/v1/definitions/v");

/// A workflow of two tasks that set the same plugin up alike, and one that does not.
const WORKFLOW: &str = r#"{"id":"v","version":1,"tasks":[
 {"id":"a","type":"check","config":{"limit":7}},
 {"id":"b","type":"check","config":{"limit":7}},
 {"id":"c","type":"check"}]}"#;

fn put(world: &mut World, node: NodeId) -> u64 {
    world.request(node, 1, (PUT.0, PUT.1, ""), (None, WORKFLOW.as_bytes()))
}

/// The worker is registered, and every node knows of its plugin.
fn known(world: &mut World, worker: &mut Worker) {
    joined(world, worker);
    pass(world, &mut [worker], 50);
}

/// What the worker is asked next.
fn asked(world: &mut World, worker: &mut Worker) -> (u64, String) {
    let is_question = |message: &ToWorker| matches!(message, ToWorker::Validate { .. });
    until(world, &mut [worker], "it is asked", |_, w| w[0].heard.iter().any(is_question));
    while let Some(message) = worker.heard.pop_front() {
        if let ToWorker::Validate { ticket, plugin, config } = message {
            assert_eq!(plugin, "check");
            return (ticket, String::from_utf8(config.to_vec()).unwrap());
        }
    }
    unreachable!("it was just there")
}

fn says(world: &mut World, worker: &mut Worker, expected: &str, verdict: Verdict) {
    let (ticket, config) = asked(world, worker);
    assert_eq!(config, expected);
    worker.say(world, FromWorker::Validated { ticket, verdict });
}

fn answer(world: &mut World, workers: &mut [&mut Worker], node: NodeId, id: u64) -> (u16, String) {
    until(world, workers, "an answer", |world, _| world.reply(node, id).is_some());
    world.reply(node, id).unwrap()
}

/// Whether the workflow is there.
fn is_stored(world: &mut World, node: NodeId) -> bool {
    world.answered(node, 1, "/api/v1/definitions/v").0 == 200
}

#[test]
fn a_workflow_is_stored_once_its_plugins_take_what_they_are_set_up_with() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 2);
    known(&mut world, &mut worker);
    // Asked of any node; each configuration is looked at once.
    let node = world.follower();
    let id = put(&mut world, node);
    says(&mut world, &mut worker, r#"{"limit":7}"#, Verdict::Valid);
    assert!(world.reply(node, id).is_none());
    says(&mut world, &mut worker, "{}", Verdict::Valid);
    let (status, text) = answer(&mut world, &mut [&mut worker], node, id);
    assert_eq!(status, 201, "{text}");
    assert!(is_stored(&mut world, node));
    // Going back to what was taken once asks nobody.
    let path = "/api/v1/definitions/v/rollback";
    let (status, text) = world.demanded(node, (Method::Post, path), r#"{"version":1}"#);
    assert_eq!(status, 200, "{text}");
    world.settle();
}

#[test]
fn a_workflow_is_refused_with_the_place_of_what_a_plugin_does_not_take() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 2);
    known(&mut world, &mut worker);
    let node = world.leader().unwrap();
    let id = put(&mut world, node);
    let fault = || Verdict::Invalid("limit must be below 5".to_owned());
    says(&mut world, &mut worker, r#"{"limit":7}"#, fault());
    says(&mut world, &mut worker, "{}", Verdict::Valid);
    let (status, text) = answer(&mut world, &mut [&mut worker], node, id);
    assert_eq!(status, 400, "{text}");
    for (task, line) in [("a", 2), ("b", 3)] {
        let what = format!(
            "the plugin `check` refuses the configuration of task `{task}` of workflow `v`: limit \
             must be below 5"
        );
        assert!(text.contains(&what), "{text}");
        assert!(text.contains(&format!(r#""line":{line},"column":36"#)), "{text}");
    }
    assert!(!is_stored(&mut world, node));
    world.settle();
}

#[test]
fn a_worker_that_cannot_say_is_passed_over_and_without_another_the_workflow_is_refused() {
    let mut world = world_with(TASK);
    let (mut first, mut second) = (Worker::new(1, 2), Worker::new(2, 2));
    let node = world.follower();
    // The plugin is known, by what is born with the cluster or by a worker that was there once.
    let id = put(&mut world, node);
    let (status, text) = answer(&mut world, &mut [], node, id);
    assert_eq!(status, 400, "nobody has brought it yet: {text}");
    known(&mut world, &mut first);
    first.cut(&mut world);
    let id = put(&mut world, node);
    let (status, text) = answer(&mut world, &mut [], node, id);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("no worker that has the plugin `check` is connected"), "{text}");

    // Its lease is over meanwhile. One that comes in time is asked.
    first.boot = 2;
    let id = put(&mut world, node);
    world.run(500);
    assert!(world.reply(node, id).is_none());
    known(&mut world, &mut first);
    says(&mut world, &mut first, r#"{"limit":7}"#, Verdict::Invalid("no".to_owned()));
    says(&mut world, &mut first, "{}", Verdict::Valid);
    let (status, text) = answer(&mut world, &mut [&mut first], node, id);
    assert_eq!(status, 400, "{text}");

    // The first one's plugin crashes; the second one's connection breaks; both are said.
    known(&mut world, &mut first);
    known(&mut world, &mut second);
    let id = put(&mut world, node);
    says(&mut world, &mut first, r#"{"limit":7}"#, Verdict::Unsaid("signal 11".to_owned()));
    let (late, _) = asked(&mut world, &mut second);
    second.cut(&mut world);
    let (status, text) = answer(&mut world, &mut [&mut first], node, id);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("not_validated") && text.contains("its connection broke"), "{text}");
    // What comes late is nobody's answer.
    known(&mut world, &mut second);
    let verdict = Verdict::Invalid("late".to_owned());
    second.say(&mut world, FromWorker::Validated { ticket: late, verdict });

    // The first one says nothing at all, for too long.
    let id = put(&mut world, node);
    let (silent, _) = asked(&mut world, &mut first);
    for config in [r#"{"limit":7}"#, "{}"] {
        let both = &mut [&mut first, &mut second];
        let is_asked =
            |w: &Worker| w.heard.iter().any(|heard| matches!(heard, ToWorker::Validate { .. }));
        until(&mut world, both, "one is asked", |_, w| w.iter().any(|w| is_asked(w)));
        let whom = if is_asked(&first) { &mut first } else { &mut second };
        says(&mut world, whom, config, Verdict::Valid);
    }
    let verdict = Verdict::Invalid("too late".to_owned());
    first.say(&mut world, FromWorker::Validated { ticket: silent, verdict });
    let (status, text) = answer(&mut world, &mut [&mut first, &mut second], node, id);
    assert_eq!(status, 201, "{text}");
    world.settle();
}

#[test]
fn when_the_lead_changes_while_plugins_are_asked_nothing_is_changed_and_the_next_change_goes_on() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 2);
    known(&mut world, &mut worker);
    let (old, node) = (world.leader().unwrap(), world.follower());
    let ids = [put(&mut world, old), put(&mut world, node)];
    let _ = asked(&mut world, &mut worker);
    world.isolate(old, true);
    for (at, id) in [old, node].into_iter().zip(ids) {
        let (status, text) = answer(&mut world, &mut [&mut worker], at, id);
        assert_eq!(status, 503, "{text}");
        assert!(text.contains("no_leader"), "{text}");
    }
    world.isolate(old, false);
    worker.cut(&mut world);
    world.until("another leads", |world| world.leader().is_some_and(|leader| leader != old));
    known(&mut world, &mut worker);
    let id = put(&mut world, old);
    says(&mut world, &mut worker, r#"{"limit":7}"#, Verdict::Valid);
    says(&mut world, &mut worker, "{}", Verdict::Valid);
    let (status, text) = answer(&mut world, &mut [&mut worker], old, id);
    assert_eq!(status, 201, "{text}");
    world.settle();
}

//! What people are shown of workers and of tasks that are theirs.

use super::*;

/// What the leader has told of workers, as `kind name` with what else there is.
fn events(world: &mut World) -> Vec<String> {
    let leader = world.leader().unwrap();
    let (status, page) = world.answered(leader, 1, "/api/v1/events?limit=1000");
    assert_eq!(status, 200, "{page}");
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let events = page["events"].as_array().unwrap().iter();
    let of_workers = events.filter(|event| event["kind"].as_str().unwrap().starts_with("worker_"));
    of_workers
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap().to_owned();
            let tasks = event["tasks"].as_u64().map_or(String::new(), |n| format!(" {n}"));
            format!("{} {}{tasks}", text("kind"), text("name"))
        })
        .collect()
}

#[test]
fn a_task_says_which_worker_has_it_or_that_it_waits_for_one() {
    let mut world = world_with(TASK);
    let node = world.follower();
    world.accepted(node, None, r#"{"k":1}"#);
    let waiting = shown(&mut world);
    let waits = r#""waits_for":"a worker that has the plugin check and room""#;
    assert!(waiting.contains(waits), "{waiting}");
    assert!(waiting.contains(r#""type":"check","status":"ready""#), "{waiting}");
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    runs(&mut world, &mut worker);
    let running = shown(&mut world);
    assert!(running.contains(&format!(r#""worker":"{}""#, worker.id)), "{running}");
    assert!(running.contains(r#""type":"check","status":"running""#), "{running}");
    let order = worker.running();
    worker.ends(&mut world, order, output("1"));
    until(&mut world, &mut [&mut worker], "it is recorded", |_, w| w[0].ended.is_empty());
    let ended = shown(&mut world);
    assert!(!ended.contains("waits_for") && !ended.contains(r#""worker""#), "{ended}");
    world.settle();
}

#[test]
fn what_happens_to_workers_is_told_once_by_the_node_that_leads() {
    let (mut world, mut worker, _) = busy(TASK, 1);
    let node = world.follower();
    for on in ["drain", "drain", "resume"] {
        let path = format!("/api/v1/workers/{}/{on}", worker.id);
        let (status, text) = world.demanded(node, (api::Method::Post, &path), "");
        assert_eq!(status, 200, "{text}");
    }
    // It is killed, and another run of it comes; that one falls silent, a third one leaves.
    worker.boot = 2;
    worker.runs.clear();
    joined(&mut world, &mut worker);
    runs(&mut world, &mut worker);
    worker.renews = false;
    until(&mut world, &mut [&mut worker], "it is lost", |_, workers| {
        workers[0].heard.contains(&ToWorker::Lost { boot: BootId(2) })
    });
    worker.boot = 3;
    joined(&mut world, &mut worker);
    worker.say(&mut world, FromWorker::Leave { boot: BootId(3) });
    let left = |_: &World, w: &[&mut Worker]| w[0].heard.contains(&ToWorker::Left);
    until(&mut world, &mut [&mut worker], "it may go", left);
    assert_eq!(
        events(&mut world),
        [
            "worker_joined worker-1",
            "worker_drained worker-1",
            "worker_resumed worker-1",
            "worker_lost worker-1 1",
            "worker_joined worker-1",
            "worker_lost worker-1 1",
            "worker_joined worker-1",
            "worker_left worker-1",
        ]
    );
    world.settle();
}

//! Many workers. A hundred of them, for a minute:
//! `WORKERS=100 WORKERS_SECONDS=60 cargo test --test workers many_workers`.

use crate::crew::{Crew, THREADS, is_registered};
use crate::server::until;
use base::Prng;
use std::time::{Duration, Instant};

/// How often something is done: as the environment says, or else so often.
fn count(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |count| count.parse().unwrap())
}

#[test]
fn workers_that_come_and_go_under_load_lose_nothing() {
    let Some(mut crew) = Crew::found(1) else { return };
    let most = count("WORKERS", 20);
    let mut workers = crew.hire_all(2);
    crew.teach();
    let mut dice = Prng::new(u64::from(std::process::id()));
    let mut ordered = 0;
    for turn in 0..3 * most {
        crew.order(10, 50);
        ordered += 10;
        if workers.len() < 2 || (workers.len() < most && dice.chance(2, 3)) {
            workers.push(crew.hire());
        } else {
            let at = usize::try_from(dice.below(workers.len() as u64)).unwrap();
            let worker = workers.swap_remove(at);
            if turn % 4 == 0 {
                worker.kill();
            } else {
                // Before that a signal ends it as it ends any program.
                worker.ready();
                worker.terminate();
                let (status, said) = worker.ended();
                assert!(status.success(), "{status}: {said}");
            }
        }
    }
    crew.all_complete(ordered);
}

#[test]
fn a_worker_that_is_stopped_under_load_ends_what_it_runs_and_nothing_runs_twice() {
    let Some(mut crew) = Crew::found(1) else { return };
    let mut workers = crew.hire_all(2);
    crew.teach();
    crew.order(60, 150);
    until("tasks run on both", || (crew.witness.running() > THREADS as usize).then_some(()));
    let worker = workers.remove(0);
    worker.terminate();
    let (status, said) = worker.ended();
    assert!(status.success(), "{status}: {said}");
    crew.all_complete(60);
    let seen = crew.witness.seen();
    let again: Vec<_> = seen.begun.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "what it ran was ended: {again:?}");
}

#[test]
fn a_worker_that_is_drained_under_load_ends_what_it_has_and_gets_nothing_until_it_is_resumed() {
    let Some(mut crew) = Crew::found(3) else { return };
    let workers = crew.hire_all(2);
    crew.teach();
    crew.order(100, 100);
    let server = crew.server();
    let shown = |id: &str| server.read(&format!("/api/v1/workers/{id}"));
    let list = server.read("/api/v1/workers");
    let id = list["workers"][0]["worker"].as_str().unwrap();
    until("it has tasks", || (shown(id)["running"] != 0).then_some(()));
    server.call("POST", &format!("/api/v1/workers/{id}/drain"), &[], "").json_of(200);
    until("what it had it has ended", || (shown(id)["running"] == 0).then_some(()));
    assert_eq!(shown(id)["state"], "draining");
    crew.order(60, 20);
    crew.all_complete(160);
    assert_eq!(shown(id)["running"], 0, "it got nothing more");
    let seen = crew.witness.seen();
    let again: Vec<_> = seen.begun.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "nothing ran twice: {again:?}");
    server.call("POST", &format!("/api/v1/workers/{id}/resume"), &[], "").json_of(200);
    crew.order(60, 100);
    until("it gets tasks again", || (shown(id)["running"] != 0).then_some(()));
    crew.all_complete(220);
    drop(workers);
}

#[test]
fn many_workers_on_one_machine_share_the_work() {
    let Some(crew) = Crew::found(1) else { return };
    let (many, seconds) = (count("WORKERS", 12), count("WORKERS_SECONDS", 3));
    // One plugin each: a process more per worker is enough.
    let steady = crate::crew::only(crew.plugins(), "steady");
    let workers: Vec<_> =
        (1..=many).map(|number| crew.start_with(steady.path(), number, &[])).collect();
    workers.iter().for_each(is_registered);
    crew.teach_steady();
    let until_then = Instant::now() + Duration::from_secs(seconds as u64);
    let mut ordered = 0;
    while Instant::now() < until_then {
        crew.order(many, 20);
        ordered += many;
    }
    crew.all_complete(ordered);
    let known = crew.server().metric("distric_workers");
    assert_eq!(known, many as u64, "all of them are there, and are known");
}

//! Who is taken over which connection: runs that are over, copies of a worker, and goodbyes that were lost.

use super::*;

/// The same worker again, as another process that says it is that run.
fn process(of: &Worker, boot: u64) -> Worker {
    Worker { boot, id: of.id, ..Worker::new(1, of.capacity) }
}

fn reason(worker: &Worker) -> &str {
    let said = worker.heard.iter().find_map(|message| match message {
        ToWorker::NotTaken { why, .. } => Some(why.as_str()),
        _ => None,
    });
    said.expect("it was not taken")
}

fn is_lost(boot: u64) -> impl Fn(&ToWorker) -> bool {
    move |message| *message == ToWorker::Lost { boot: BootId(boot) }
}

#[test]
fn a_run_that_a_later_one_displaces_is_told() {
    let mut world = world_with(TASK);
    let mut first = Worker::new(1, 1);
    joined(&mut world, &mut first);
    let node = world.follower();
    world.accepted(node, None, r#"{"k":1}"#);
    runs(&mut world, &mut first);
    let mut later = process(&first, 2);
    joined(&mut world, &mut later);
    until(&mut world, &mut [&mut first], "it is told", |_, w| w[0].heard.iter().any(is_lost(1)));
    assert!(first.runs.is_empty());
    assert!(!later.heard.iter().any(|message| matches!(message, ToWorker::Lost { .. })));
}

#[test]
fn a_run_before_the_latest_hears_why_it_is_not_taken() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 1);
    worker.boot = 9;
    joined(&mut world, &mut worker);
    // An older copy of its directory.
    let mut ghost = process(&worker, 3);
    let leader = world.leader().unwrap();
    ghost.connect(&mut world, leader);
    until(&mut world, &mut [&mut ghost, &mut worker], "it is sent away", |_, w| {
        w[0].link.is_none()
    });
    assert!(reason(&ghost).contains("a later run of this worker is known"), "{}", reason(&ghost));
    pass(&mut world, &mut [&mut worker, &mut ghost], 300);
    assert!(worker.registered && !ghost.registered && !ghost.is_told(is_lost(3)));
}

#[test]
fn of_two_processes_that_say_they_are_one_run_the_first_stays_while_it_is_heard() {
    let (mut world, mut worker, _) = busy(TASK, 1);
    let mut copy = process(&worker, 1);
    let leader = world.leader().unwrap();
    copy.connect(&mut world, leader);
    pass(&mut world, &mut [&mut worker, &mut copy], 2 * u64::from(LEASE_MS));
    assert!(reason(&copy).contains("its data directory is a copy"), "{}", reason(&copy));
    assert!(copy.runs.is_empty() && !copy.registered, "what the other one has is not sent to it");
    // The first one says nothing any more, though its connection has not been seen to break.
    (worker.renews, worker.seeks) = (false, false);
    until(&mut world, &mut [&mut copy], "it is taken", |_, w| w[0].registered);
    runs(&mut world, &mut copy);
    assert_eq!(copy.running().attempt, 1, "within its lease: as one that comes again");
}

#[test]
fn of_two_that_join_at_once_as_one_run_one_is_taken() {
    let mut world = world_with(TASK);
    let mut one = Worker::new(1, 1);
    let mut other = process(&one, 1);
    let leader = world.leader().unwrap();
    one.connect(&mut world, leader);
    let link = WorkerLink(7);
    other.link = Some((leader, link));
    let register = other.register();
    world.worker_says(leader, link, register);
    until(&mut world, &mut [&mut one, &mut other], "both are answered", |_, w| {
        w.iter().all(|worker| worker.registered || worker.link.is_none())
    });
    assert!(one.registered != other.registered, "{:?} {:?}", one.heard, other.heard);
}

#[test]
fn who_has_left_and_did_not_hear_it_is_told_so_when_it_comes_again() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    worker.say(&mut world, FromWorker::Leave { boot: BootId(1) });
    worker.cut(&mut world);
    pass(&mut world, &mut [], 300);
    worker.heard.clear();
    let leader = world.leader().unwrap();
    worker.connect(&mut world, leader);
    pass(&mut world, &mut [&mut worker], 50);
    assert_eq!(worker.heard, [ToWorker::Left]);
}

#[test]
fn a_goodbye_is_recorded_once_however_often_it_is_said() {
    let after = |goodbyes: usize, boot: u64| {
        let mut world = world_with(TASK);
        let mut worker = Worker::new(1, 1);
        joined(&mut world, &mut worker);
        for _ in 0..goodbyes {
            worker.say(&mut world, FromWorker::Leave { boot: BootId(boot) });
        }
        pass(&mut world, &mut [&mut worker], 50);
        let leader = world.leader().unwrap();
        (world.commit(leader), worker.is_told(|message| *message == ToWorker::Left))
    };
    let once = after(1, 1);
    assert!(once.1);
    assert_eq!(after(5, 1), once);
    assert_eq!(after(5, 2), (once.0 - 1, true), "another run is not there, and needs no record");
}

#[test]
fn a_connection_is_of_one_worker() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    let stranger = Worker::new(2, 1);
    let register = stranger.register();
    worker.say(&mut world, register);
    pass(&mut world, &mut [], 50);
    let leader = world.leader().unwrap();
    let (status, text) = world.answered(leader, 0, "/api/v1/workers");
    assert!(status == 200 && !text.contains(&stranger.id.to_string()), "{text}");
    worker.hear(&mut world);
    assert_eq!(reason(&worker), "this connection is another worker's");
}

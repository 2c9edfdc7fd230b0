//! Leaders that are lost while tasks run.

use crate::crew::Crew;
use crate::server::until;

#[test]
fn the_leader_killed_while_tasks_run_stops_none_of_them() {
    let Some(mut crew) = Crew::found(3) else { return };
    let _workers = crew.hire_all(3);
    crew.teach();
    crew.order(40, 400);
    until("tasks run", || (crew.witness.running() > 4).then_some(()));
    let leader = crew.cluster.leader();
    crew.cluster.kill(leader);
    crew.all_complete(40);
    let again = crew.witness.seen().begun.values().filter(|times| **times > 1).count();
    assert_eq!(again, 0, "their workers were never lost, so nothing ran twice");
    crew.cluster.start(leader);
    crew.order(10, 10);
    crew.all_complete(50);
}

#[test]
fn the_leader_frozen_and_woken_renews_no_lease_that_its_successor_has_waited_out() {
    let Some(mut crew) = Crew::found(3) else { return };
    let _workers = crew.hire_all(2);
    crew.teach();
    crew.order(30, 700);
    until("tasks run", || (crew.witness.running() > 4).then_some(()));
    let leader = crew.cluster.leader();
    crew.cluster.freeze(leader);
    crew.cluster.leader();
    until("some are done", || (crew.witness.done() >= 16).then_some(()));
    crew.cluster.wake(leader);
    crew.all_complete(30);
}

#[test]
fn a_leader_that_stops_and_waits_for_a_slow_client_costs_no_worker_its_lease() {
    // Longer than a lease.
    let own = ["role=coordinator", "stop_timeout=4s"];
    let Some(mut crew) = Crew::found_with(3, &own) else { return };
    let _workers = crew.hire_all(2);
    crew.teach();
    crew.order(6, 7_000);
    until("tasks run", || (crew.witness.running() == 6).then_some(()));
    let leader = crew.cluster.leader();
    let server = crew.cluster.take(leader);
    let mut slow = server.connect();
    let half =
        b"POST /api/v1/messages HTTP/1.1\r\nhost: slow\r\ncontent-type: application/json\r\n\
                 content-length: 99\r\n\r\n{";
    slow.send(half).unwrap();
    server.terminate();
    assert!(server.ended().0.success());
    crew.all_complete(6);
    let again = crew.witness.seen().begun.values().filter(|times| **times > 1).count();
    assert_eq!(again, 0, "no worker lost its lease, so nothing ran twice");
}

//! Workers that are lost.

use crate::crew::Crew;
use crate::server::until;
use rustix::process::Signal;

#[test]
fn a_worker_killed_in_the_midst_of_tasks_costs_time_and_nothing_else() {
    let Some(mut crew) = Crew::found(1) else { return };
    let mut workers = crew.hire_all(2);
    crew.teach();
    crew.order(40, 300);
    until("tasks run on both", || (crew.witness.running() > 4).then_some(()));
    workers.remove(0).kill();
    crew.all_complete(40);
}

#[test]
fn a_worker_frozen_past_its_lease_runs_nothing_beyond_it_and_comes_back() {
    let Some(mut crew) = Crew::found(1) else { return };
    let workers = crew.hire_all(1);
    crew.teach();
    // Longer than the lease: what runs on would be seen beside its second attempt.
    crew.order(4, 6_000);
    until("tasks run", || (crew.witness.running() == 4).then_some(()));
    workers[0].signal(Signal::STOP);
    // Its processes end by themselves.
    until("its tasks have ended", || (crew.witness.running() == 0).then_some(()));
    let others = crew.hire_all(1);
    until("others have them", || (crew.witness.running() > 0).then_some(()));
    workers[0].signal(Signal::CONT);
    crew.all_complete(4);
    crate::crew::is_registered(&workers[0]);
    // It is as good as new.
    drop(others);
    crew.order(4, 10);
    crew.all_complete(8);
}

#[test]
fn tasks_wait_while_all_workers_are_gone_and_go_on_when_they_are_back() {
    let Some(mut crew) = Crew::found(1) else { return };
    let workers = crew.hire_all(3);
    crew.teach();
    crew.order(30, 200);
    until("tasks run", || (crew.witness.running() > 0).then_some(()));
    for worker in workers {
        worker.kill();
    }
    crew.order(10, 10);
    // The same directories: each start is a run that replaces the one before.
    let workers: Vec<_> = (1..=3).map(|number| crew.start(number, &[])).collect();
    workers.iter().for_each(crate::crew::is_registered);
    crew.all_complete(40);
}

use super::*;

fn joins(worker: u64, boot: u64) -> WorkerJoined {
    WorkerJoined {
        worker: WorkerId(worker),
        boot: BootId(boot),
        name: format!("w{worker}"),
        address: String::new(),
        capacity: 2,
        zone: String::new(),
        plugins: vec![WorkerPlugin { name: "p".into(), version: boot.to_string(), abi: 1 }],
    }
}

#[test]
fn of_a_worker_the_latest_run_is_known_and_one_that_is_gone_stays_so() {
    let mut workers = Workers::default();
    let (one, new) = (WorkerId(1), Join::Joined { lost: None });
    assert_eq!(workers.join(joins(1, 5), UnixMicros(1)), new);
    assert_eq!(workers.join(joins(1, 5), UnixMicros(2)), new, "it may say so again");
    assert_eq!(workers.find(one).unwrap().since, UnixMicros(1));
    let lost = Join::Joined { lost: Some(BootId(5)) };
    assert_eq!(workers.join(joins(1, 6), UnixMicros(3)), lost);
    assert_eq!(workers.join(joins(1, 5), UnixMicros(4)), Join::Over);
    assert!(!workers.part(one, BootId(5), Presence::Lost, UnixMicros(5)));
    assert!(workers.part(one, BootId(6), Presence::Lost, UnixMicros(6)));
    assert!(!workers.part(one, BootId(6), Presence::Left, UnixMicros(7)), "it goes once");
    assert_eq!(workers.join(joins(1, 6), UnixMicros(8)), Join::Over);
    assert_eq!(workers.join(joins(1, 7), UnixMicros(9)), new, "nothing is lost twice");
    assert_eq!(workers.plugins()["p"].version, "7", "as it was brought last");
}

#[test]
fn an_operators_wish_outlives_the_run() {
    let mut workers = Workers::default();
    let drained = |on| WorkerDrained { worker: WorkerId(1), on };
    assert!(!workers.drain(drained(true)), "nobody is known by that name");
    workers.join(joins(1, 1), UnixMicros(1));
    assert!(workers.drain(drained(true)));
    workers.join(joins(1, 2), UnixMicros(2));
    assert!(workers.find(WorkerId(1)).unwrap().drained);
    assert!(workers.drain(drained(false)));
    assert!(!workers.find(WorkerId(1)).unwrap().drained);
}

#[test]
fn a_full_table_forgets_who_has_been_gone_for_longest_and_nobody_who_is_there() {
    let mut workers = Workers::default();
    for worker in 0..WORKERS_MAX as u64 {
        workers.join(joins(worker, 1), UnixMicros(worker));
    }
    let newcomer = || joins(9_999, 1);
    assert_eq!(workers.join(newcomer(), UnixMicros(1)), Join::Full);
    for (worker, at) in [(7, 20_000), (9, 10_000), (8, 10_000)] {
        workers.part(WorkerId(worker), BootId(1), Presence::Lost, UnixMicros(at));
    }
    assert_eq!(workers.join(newcomer(), UnixMicros(2)), Join::Joined { lost: None });
    assert_eq!(workers.iter().len(), WORKERS_MAX);
    assert!(workers.find(WorkerId(8)).is_none(), "of two the one with the lower id");
    assert!(workers.find(WorkerId(9)).is_some());
}

#[test]
fn no_more_plugins_are_known_than_there_may_be() {
    let mut workers = Workers::default();
    let plugin = |n: usize| WorkerPlugin { name: format!("p{n}"), version: "1".into(), abi: 1 };
    let with = |worker, range: std::ops::Range<usize>| WorkerJoined {
        plugins: range.map(plugin).collect(),
        ..joins(worker, 1)
    };
    let knows = |workers: &Workers, n: usize| workers.plugins().contains_key(&format!("p{n}"));
    workers.join(with(1, 0..PLUGINS_MAX), UnixMicros(1));
    workers.join(with(2, PLUGINS_MAX..PLUGINS_MAX + 5), UnixMicros(1));
    assert_eq!(workers.plugins().len(), PLUGINS_MAX);
    assert!(!knows(&workers, PLUGINS_MAX), "all are at a worker that is there");
    // Those that nobody has any more make room, and the others stay.
    workers.join(WorkerJoined { boot: BootId(2), ..with(1, 3..PLUGINS_MAX) }, UnixMicros(2));
    workers.join(with(3, PLUGINS_MAX + 10..PLUGINS_MAX + 12), UnixMicros(3));
    assert_eq!(workers.plugins().len(), PLUGINS_MAX);
    assert_eq!([0, 1, 2].map(|n| knows(&workers, n)).iter().filter(|known| **known).count(), 1);
    assert!(knows(&workers, 3) && knows(&workers, PLUGINS_MAX + 11));
    // Then those of a worker that is gone.
    workers.part(WorkerId(1), BootId(2), Presence::Lost, UnixMicros(4));
    workers.join(with(4, PLUGINS_MAX + 20..PLUGINS_MAX + 120), UnixMicros(5));
    assert_eq!(workers.plugins().len(), PLUGINS_MAX);
    assert!(!knows(&workers, 2) && knows(&workers, PLUGINS_MAX + 119));
    let kept = Workers::from_image(workers.image());
    assert_eq!((kept.plugins(), kept.iter().len()), (workers.plugins(), 4));
}

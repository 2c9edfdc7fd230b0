use super::*;
use crate::globals::{Draft, Prepared};
use crate::record::{
    Accepted, AcceptedView, Born, CatalogueChanged, Change, Ended, Match, TaskEnded, TaskStopped,
    WorkerJoined,
};
use base::{InstanceId, MessageId, PartitionId};
use std::sync::Arc;

const TERM: u64 = 3;
const WORKER: WorkerId = WorkerId(0x80a0);

struct Case {
    partition: Partition,
    globals: Globals,
    index: u64,
    out: Outbox<PartitionEffect>,
}

impl Case {
    /// A partition with an instance whose first task wants a worker, and a worker that is there.
    fn new() -> Self {
        let born = Born {
            cluster_id: 1,
            partitions: 1,
            retention_bytes: 4_096,
            keys_max: 9,
            key_ttl_ms: 1,
        };
        let workflow = r#"{"id":"w","version":1,"tasks":[{"id":"a","type":"check","timeout":"1s","retry":1},{"id":"b","type":"http","with":{"url":"http://a"}}]}"#;
        let rule = r#"{"id":"r","version":1,"conditions":[{"field":"k","op":"exists"}],"actions":[{"workflow":"w"}]}"#;
        let changes = vec![Change::PutDefinition(workflow.into()), Change::PutRule(rule.into())];
        let mut globals = Globals::default();
        let change = CatalogueChanged::new("default", "", changes);
        let prepared = Prepared::new(&globals.catalogue, Arc::new(Draft::of(change)));
        globals.catalogue = Arc::clone(prepared.next(UnixMicros(0)).expect("it is not refused"));
        let mut case = Self {
            partition: Partition::new(PartitionId(0), &born, 0),
            globals,
            index: 0,
            out: Outbox::new(),
        };
        case.join(1);
        let woken = [Match { rule: "r", version: 1 }];
        let record = Accepted {
            namespace: "default",
            matches: &woken,
            payload: b"{\"k\":1}",
            ..Accepted::default()
        };
        let mut body = Vec::new();
        record.write(&mut body);
        let view = AcceptedView::read(record.version(), &body).unwrap();
        case.next();
        let Case { partition, globals, out, .. } = &mut case;
        partition.apply_accepted(globals, UnixMicros(1), &view, out);
        case
    }

    fn next(&mut self) {
        self.index += 1;
        assert!(self.partition.begin(self.index, UnixMicros(self.index), &mut self.out));
    }

    fn join(&mut self, boot: u64) {
        let record = WorkerJoined {
            worker: WORKER,
            boot: BootId(boot),
            name: String::new(),
            address: String::new(),
            capacity: 4,
            zone: String::new(),
            plugins: Vec::new(),
        };
        self.globals.workers.join(record, UnixMicros(1));
    }

    fn assign(&mut self, record: &TaskAssigned) -> bool {
        self.next();
        let Case { partition, globals, out, .. } = self;
        partition.apply_task_assigned(globals, (TERM, UnixMicros(1)), record, out);
        let told = self.out.take();
        let is_taken = told.iter().any(|e| matches!(e, PartitionEffect::Assigned { .. }));
        let is_not = told.iter().any(|e| matches!(e, PartitionEffect::NotAssigned { .. }));
        assert_ne!(is_taken, is_not, "whoever proposed it hears one of the two");
        is_taken
    }

    /// The state goes through an image without a change.
    fn check_image(&self) {
        let born = Born {
            cluster_id: 1,
            partitions: 1,
            retention_bytes: 4_096,
            keys_max: 9,
            key_ttl_ms: 1,
        };
        let again = Partition::from_image(&self.partition.image(), &born, 0).unwrap();
        assert_eq!(again.checksum(), self.partition.checksum());
    }
}

fn instance() -> InstanceId {
    InstanceId { message: MessageId::new(PartitionId(0), 1), ordinal: 1 }
}

fn order(attempt: u32) -> OrderId {
    OrderId { instance: instance(), task: TaskIndex(0), attempt }
}

fn assigned() -> TaskAssigned {
    TaskAssigned {
        instance: instance(),
        task: 0,
        attempt: 1,
        worker: WORKER,
        boot: BootId(1),
        term: TERM,
    }
}

#[test]
fn an_attempt_is_given_only_where_it_is_outstanding_and_its_worker_there() {
    let other = InstanceId { message: MessageId::new(PartitionId(0), 2), ordinal: 1 };
    let rows = [
        ("a worker that nobody knows", TaskAssigned { worker: WorkerId(1), ..assigned() }),
        ("another run", TaskAssigned { boot: BootId(2), ..assigned() }),
        ("another attempt", TaskAssigned { attempt: 2, ..assigned() }),
        ("no such task", TaskAssigned { task: 9, ..assigned() }),
        ("a task that is a call", TaskAssigned { task: 1, ..assigned() }),
        ("no such instance", TaskAssigned { instance: other, ..assigned() }),
        ("of another leader", TaskAssigned { term: TERM - 1, ..assigned() }),
    ];
    let mut case = Case::new();
    for (what, record) in rows {
        assert!(!case.assign(&record), "{what}");
        assert_eq!(case.partition.assigned().len(), 0, "{what}");
    }
    assert!(case.assign(&assigned()));
    assert!(!case.assign(&assigned()), "somebody has it");
    assert_eq!(case.partition.holder_of(order(1)), Some((WORKER, BootId(1))));
    case.check_image();
    // Its run is lost meanwhile.
    let mut case = Case::new();
    case.globals.workers.part(WORKER, BootId(1), Presence::Lost, UnixMicros(2));
    assert!(!case.assign(&assigned()));
}

#[test]
fn what_a_worker_had_is_free_again_in_each_way_it_ends() {
    type End<'a> = &'a dyn Fn(&mut Case);
    let at = UnixMicros(2);
    let ended = || TaskEnded {
        instance: instance(),
        task: 0,
        attempt: 1,
        ended: Ended::Output(b"1".to_vec()),
    };
    let run = (WORKER, BootId(1));
    let released = |worker| TaskReleased {
        instance: instance(),
        task: 0,
        attempt: 1,
        worker,
        boot: BootId(1),
    };
    let rows: [(&str, Option<u32>, End<'_>); 4] = [
        ("ended", None, &|case| {
            case.partition.apply_task_ended(at, ended(), &mut case.out);
        }),
        ("released", Some(2), &|case| {
            case.partition.apply_task_released(at, &released(WorkerId(1)), &mut case.out);
            assert!(case.partition.holder_of(order(1)).is_some(), "another one cannot release it");
            case.partition.apply_task_released(at, &released(WORKER), &mut case.out);
        }),
        ("lost", Some(2), &|case| {
            case.partition.apply_worker_gone(run, Presence::Lost, at, &mut case.out);
        }),
        ("left", Some(2), &|case| {
            case.partition.apply_worker_gone(run, Presence::Left, at, &mut case.out);
        }),
    ];
    for (what, next, end) in rows {
        let mut case = Case::new();
        assert!(case.assign(&assigned()));
        case.next();
        end(&mut case);
        let freed = case.out.take().into_iter().any(
            |e| matches!(e, PartitionEffect::Unassigned { order: freed, .. } if freed == order(1)),
        );
        assert!(freed && case.partition.assigned().len() == 0, "{what}");
        assert!(case.partition.is_past(order(1)), "{what}: what comes of it is late");
        let outstanding = next.and_then(|attempt| case.partition.order_at(order(attempt)));
        assert_eq!(outstanding.is_some(), next.is_some(), "{what}");
        case.check_image();
    }
}

#[test]
fn an_attempt_of_a_cancelled_instance_keeps_its_worker_until_that_has_stopped() {
    let mut case = Case::new();
    assert!(case.assign(&assigned()));
    case.next();
    case.partition.apply_cancelled(UnixMicros(2), instance(), &mut case.out);
    assert!(case.partition.order_at(order(1)).is_none(), "nobody wants it");
    assert_eq!(case.partition.orders_of(WORKER, BootId(1)), [order(1)]);
    assert!(!case.partition.is_past(order(1)));
    case.check_image();
    case.next();
    let record = TaskStopped { instance: instance(), task: 0, attempt: 1 };
    case.partition.apply_task_stopped(UnixMicros(3), &record, &mut case.out);
    assert_eq!(case.partition.assigned().len(), 0);
}

#[test]
fn what_is_late_is_told_from_what_a_later_leader_knows_more_of() {
    let mut case = Case::new();
    let never = InstanceId { message: MessageId::new(PartitionId(0), 7), ordinal: 1 };
    let rows = [
        ("it may be assigned in an entry that is not applied here", order(1), false),
        ("an attempt to come", order(2), false),
        ("an instance of a state that is no more", OrderId { instance: never, ..order(1) }, true),
        ("no such task", OrderId { task: TaskIndex(9), ..order(1) }, true),
    ];
    for (what, order, is_past) in rows {
        assert_eq!(case.partition.is_past(order), is_past, "{what}");
    }
    case.next();
    case.partition.apply_cancelled(UnixMicros(2), instance(), &mut case.out);
    assert!(case.partition.is_past(order(1)), "the instance has ended");
}

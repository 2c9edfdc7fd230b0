use super::*;
use crate::globals::{Draft, Prepared};
use crate::record::{Accepted, AcceptedView, Born, CatalogueChanged, Change, Match};

fn born() -> Born {
    Born { cluster_id: 1, partitions: 1, retention_bytes: 4_096, keys_max: 2, key_ttl_ms: 1_000 }
}

fn globals() -> Globals {
    let workflow =
        r#"{"id":"w","version":1,"tasks":[{"id":"a","type":"delay","with":{"for":"1s"}}]}"#;
    let rule = r#"{"id":"r","version":1,"conditions":[{"field":"kind","op":"equals","value":"w"}],"actions":[{"workflow":"w"}]}"#;
    let mut globals = Globals::default();
    let changes = vec![Change::PutDefinition(workflow.into()), Change::PutRule(rule.into())];
    let change = CatalogueChanged::new("default", "", changes);
    let prepared = Prepared::new(&globals.catalogue, Arc::new(Draft::of(change)));
    globals.catalogue = Arc::clone(prepared.next(UnixMicros(0)).expect("it is not refused"));
    globals
}

struct Case {
    partition: Partition,
    globals: Globals,
    index: u64,
    out: Outbox<PartitionEffect>,
}

impl Case {
    fn new() -> Self {
        Self {
            partition: Partition::new(PartitionId(0), &born(), 0),
            globals: globals(),
            index: 0,
            out: Outbox::new(),
        }
    }

    fn accept(&mut self, at: u64, key: &str, payload: &str) -> Outcome {
        let woken = [Match { rule: "r", version: 1 }];
        let matches = if payload.contains("\"w\"") { &woken[..] } else { &[] };
        let payload = payload.as_bytes();
        self.apply(
            at,
            &Accepted { namespace: "default", key, matches, payload, ..Accepted::default() },
        )
    }

    fn apply(&mut self, at: u64, record: &Accepted<'_>) -> Outcome {
        let mut body = Vec::new();
        record.write(&mut body);
        self.pass(at);
        let view = AcceptedView::read(record.version(), &body).unwrap();
        self.partition.apply_accepted(&self.globals, UnixMicros(at), &view, &mut self.out)
    }

    fn pass(&mut self, at: u64) {
        self.index += 1;
        assert!(self.partition.begin(self.index, UnixMicros(at), &mut self.out));
    }
}

fn id(sequence: u64) -> MessageId {
    MessageId::new(PartitionId(0), sequence)
}

fn accepted(sequence: u64, workflows: &[&str]) -> Outcome {
    let workflows = workflows.iter().map(|name| Arc::from(*name)).collect();
    Outcome::Accepted { id: id(sequence), workflows, keyed: 0 }
}

#[test]
fn a_key_is_decided_once_until_it_expires_in_log_time() {
    let mut case = Case::new();
    assert_eq!(case.accept(0, "k", r#"{"n":1}"#), accepted(1, &[]));
    let again = Outcome::Duplicate { id: id(1), workflows: Arc::new([]) };
    assert_eq!(case.accept(999_999, "k", r#"{"n":1}"#), again);
    assert_eq!(case.accept(999_999, "k", r#"{"n":2}"#), Outcome::Conflict { id: id(1) });
    assert_eq!(case.accept(999_999, "l", r#"{"n":2}"#), accepted(2, &[]));
    assert_eq!(case.accept(999_999, "m", r#"{"n":3}"#), Outcome::KeysFull);
    assert_eq!(case.accept(1_000_000, "k", r#"{"n":2}"#), accepted(3, &[]));
}

#[test]
fn what_was_dropped_is_told_from_what_never_was() {
    let mut case = Case::new();
    for _ in 0..40 {
        case.accept(0, "", r#"{"n":1}"#);
    }
    let status = |sequence| match case.partition.message_view(&case.globals, id(sequence)) {
        Ok(response) => response.status,
        Err(error) => error.code.status(),
    };
    assert_eq!([status(1), status(40), status(41), status(0)], [410, 200, 404, 404]);
}

#[test]
fn an_instance_ends_when_the_logs_time_has_passed_its_timer() {
    let mut case = Case::new();
    assert_eq!(case.accept(0, "", r#"{"kind":"w"}"#), accepted(1, &["w"]));
    assert_eq!(case.partition.deadline(), Some(UnixMicros(1_000_000)));
    case.pass(999_999);
    assert_eq!(case.partition.running(), 1);
    case.pass(1_000_000);
    assert_eq!((case.partition.running(), case.partition.deadline()), (0, None));
    let ended = case.out.take().into_iter().any(|effect| {
        matches!(effect, PartitionEffect::Ended { took, .. } if took == Duration::from_secs(1))
    });
    assert!(ended);
}

#[test]
fn a_list_comes_in_pages_newest_first_and_each_instance_once() {
    let mut case = Case::new();
    for n in 0..30 {
        case.accept(n * 100_000, "", r#"{"kind":"w"}"#);
    }
    let all: Vec<InstanceId> =
        (21..=30).rev().map(|n| InstanceId { message: id(n), ordinal: 1 }).collect();
    let (mut found, mut query) =
        (Vec::new(), api::InstancesQuery { limit: 3, ..Default::default() });
    loop {
        let (rows, more) = view::list([&case.partition].into_iter(), &query);
        found.extend(rows.iter().map(|listed| listed.row.id));
        assert!(rows.len() <= 3);
        let Some(last) = rows.last().filter(|_| more) else { break };
        query.after = Some(api::Cursor { started_at: last.row.started_at, instance: last.row.id });
    }
    let mut unique = found.clone();
    unique.dedup();
    assert_eq!(unique, found);
    assert!(found.is_sorted_by(|a, b| a > b), "{found:?}");
    assert!(found.starts_with(&all), "the unfinished ones are the newest");
    let running = api::InstancesQuery { status: Some(api::Status::Running), ..Default::default() };
    let (rows, more) = view::list([&case.partition].into_iter(), &running);
    assert_eq!((rows.len(), more), (10, false));
}

#[test]
fn a_cancelled_instance_is_cancelled_once() {
    let mut case = Case::new();
    case.accept(0, "", r#"{"kind":"w"}"#);
    let instance = |sequence, ordinal| InstanceId { message: id(sequence), ordinal };
    case.pass(1);
    let mut cancel =
        |instance| case.partition.apply_cancelled(UnixMicros(1), instance, &mut Outbox::new());
    assert_eq!(cancel(instance(1, 1)), Outcome::Cancelled(CancelOutcome::Cancelled));
    assert_eq!(cancel(instance(1, 1)), Outcome::Cancelled(CancelOutcome::Finished));
    assert_eq!(cancel(instance(1, 2)), Outcome::Cancelled(CancelOutcome::Never));
    assert_eq!(cancel(instance(2, 1)), Outcome::Cancelled(CancelOutcome::Never));
}

#[test]
fn an_image_gives_back_the_same_partition_and_skips_what_it_holds() {
    let mut case = Case::new();
    case.accept(5, "k", r#"{"kind":"w"}"#);
    case.accept(6, "", r#"{"n":1}"#);
    let image = case.partition.image();
    let mut again = Partition::from_image(&image, &born(), 1).unwrap();
    assert_eq!(again.checksum(), case.partition.checksum());
    assert!(!again.begin(2, UnixMicros(6), &mut Outbox::new()), "the image holds entry 2");
    assert!(!again.is_applying(2));
    assert!(again.begin(3, UnixMicros(7), &mut Outbox::new()));
    assert_eq!(again.deadline(), Some(UnixMicros(1_000_005)));
    assert!(Partition::from_image(&image, &born(), 3).is_err(), "older than the globals");
    assert!(Partition::from_image(&image[1..], &born(), 1).is_err());
}

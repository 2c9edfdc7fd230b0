use super::*;
use base::{BootId, PartitionId, WorkerId};
use std::fmt::Write;

fn bytes(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    out.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn instance() -> InstanceId {
    InstanceId { message: MessageId::new(PartitionId(3), 0xa1), ordinal: 2 }
}

/// Each kind of change once.
fn every_change() -> CatalogueChanged {
    let changes = vec![
        Change::PutRule("{}".into()),
        Change::DeleteRule("r".into()),
        Change::PutDefinition("[]".into()),
        Change::DeleteDefinition("w".into()),
        Change::EnableRule("r".into(), true),
        Change::RollBackRule("r".into(), 2),
        Change::RollBackDefinition("w".into(), 3),
        Change::ReplaceRules(vec![("k".into(), 4)], vec!["{}".into()]),
    ];
    CatalogueChanged::new("default", "ann", changes)
}

fn worker_joined() -> WorkerJoined {
    let plugin = |name: &str| WorkerPlugin { name: name.into(), version: "1.2".into(), abi: 3 };
    WorkerJoined {
        worker: WorkerId(0x80a0),
        boot: BootId(11),
        name: "w-1".into(),
        address: "10.0.0.7:9090".into(),
        capacity: 8,
        zone: "a".into(),
        plugins: vec![plugin("check"), plugin("score")],
    }
}

#[test]
fn a_damaged_record_of_a_worker_is_an_error_or_another_one() {
    let mut text = Vec::new();
    worker_joined().write(&mut text);
    assert_eq!(WorkerJoined::read(&text), Ok(worker_joined()));
    for at in 0..text.len() {
        assert!(WorkerJoined::read(&text[..at]).is_err());
        let mut damaged = text.clone();
        damaged[at] ^= 0x80;
        let _either = WorkerJoined::read(&damaged);
    }
}

fn keyed_start() -> KeyedStart {
    KeyedStart {
        cause: instance(),
        namespace: "default".into(),
        workflow: "w".into(),
        key: "k".into(),
        definition: 0x0d,
        input: b"{}".to_vec(),
        params: b"{\"a\":1}".to_vec(),
        timeout_us: Some(5),
        retry: Some(2),
        trace: Some((3, 4)),
    }
}

/// Layouts are frozen: a log that was written once must be read for ever. A change here needs a
/// new version of the record, not a new golden text.
#[test]
fn the_layout_of_every_record_is_frozen() {
    let born =
        Born { cluster_id: 1, partitions: 64, retention_bytes: 2, keys_max: 3, key_ttl_ms: 4 };
    let old_change = CatalogueChangedV1 {
        namespace: "default".into(),
        changes: vec![ChangeV1::PutRule("{}".into()), ChangeV1::DeleteDefinition("w".into())],
    };
    let old_change = rkyv::to_bytes::<Rancor>(&old_change).unwrap();
    let matches = [Match { rule: "high-value", version: 7 }];
    let accepted = Accepted {
        namespace: "default",
        key: "k",
        matches: &matches,
        payload: b"{\"a\":1}",
        ..Accepted::default()
    };
    let produced = Accepted {
        key: "",
        producer: Some(ProducerSequence { producer: 8, sequence: 9 }),
        trace: Some(TraceContext { trace: 0x0a0b, span: 0x0c }),
        ..accepted
    };
    assert_eq!((accepted.version(), produced.version()), (1, 2));
    let ended = TaskEnded {
        instance: instance(),
        task: 4,
        attempt: 5,
        ended: Ended::Failed(Failed {
            code: "timeout".into(),
            message: "m".into(),
            retryable: true,
        }),
    };
    let stopped = TaskStopped { instance: instance(), task: 4, attempt: 5 };
    let cancelled = Cancelled { instance: instance() };
    let start = keyed_start();
    let passed = Passed { number: 6, source: None, start: &start };
    let brought = Passed { number: 7, source: Some("{}"), start: &start };
    let (worker, boot) = (WorkerId(0x80a0), BootId(11));
    let joined = worker_joined();
    let lost = WorkerLost { worker, boot, term: 12 };
    let assigned =
        TaskAssigned { instance: instance(), task: 4, attempt: 5, worker, boot, term: 12 };
    let released = TaskReleased { instance: instance(), task: 4, attempt: 5, worker, boot };
    let rows = [
        ("born", bytes(|out| born.write(out))),
        ("catalogue_changed", bytes(|out| out.extend_from_slice(&old_change))),
        ("catalogue_changed_2", bytes(|out| every_change().write(out))),
        ("accepted", bytes(|out| accepted.write(out))),
        ("accepted_2", bytes(|out| produced.write(out))),
        ("task_ended", bytes(|out| ended.write(out))),
        ("task_stopped", bytes(|out| stopped.write(out))),
        ("cancelled", bytes(|out| cancelled.write(out))),
        ("checksum", bytes(|out| Checksum { ticket: 0x0c }.write(out))),
        ("passed", bytes(|out| passed.write(out))),
        ("passed_source", bytes(|out| brought.write(out))),
        ("worker_joined", bytes(|out| joined.write(out))),
        ("worker_lost", bytes(|out| lost.write(out))),
        ("worker_left", bytes(|out| WorkerLeft { worker, boot }.write(out))),
        ("worker_drained", bytes(|out| WorkerDrained { worker, on: true }.write(out))),
        ("task_assigned", bytes(|out| assigned.write(out))),
        ("task_released", bytes(|out| released.write(out))),
    ];
    let written = rows.map(|(name, hex)| format!("{name} {hex}\n")).concat();
    assert_eq!(written, include_str!("golden.txt"), "the layout of a record has changed");
}

#[test]
fn what_was_written_is_read_back() {
    let ended = TaskEnded {
        instance: instance(),
        task: 4,
        attempt: 5,
        ended: Ended::Output(b"{}".to_vec()),
    };
    let mut out = Vec::new();
    ended.write(&mut out);
    assert_eq!(TaskEnded::read(&out), Ok(ended));
    for start in
        [keyed_start(), KeyedStart { timeout_us: None, retry: None, trace: None, ..keyed_start() }]
    {
        for source in [None, Some("{}")] {
            out.clear();
            Passed { number: 6, source, start: &start }.write(&mut out);
            let view = PassedView::read(&out).unwrap();
            assert_eq!((view.number, view.source, view.start()), (6, source, start.clone()));
        }
    }
    let mut out = Vec::new();
    let matches = [Match { rule: "a", version: 1 }, Match { rule: "b", version: 2 }];
    let payload = vec![b'x'; 1000];
    let plain =
        Accepted { namespace: "n", matches: &matches, payload: &payload, ..Accepted::default() };
    let producer = Some(ProducerSequence { producer: u64::MAX, sequence: 1 });
    let trace = Some(TraceContext { trace: u128::MAX, span: 3 });
    for record in [
        plain,
        Accepted { producer, ..plain },
        Accepted { trace, ..plain },
        Accepted { producer, trace, key: "k", ..plain },
    ] {
        out.clear();
        record.write(&mut out);
        let view = AcceptedView::read(record.version(), &out).unwrap();
        assert_eq!((view.namespace, view.key, view.payload), ("n", record.key, &payload[..]));
        assert_eq!((view.producer, view.trace), (record.producer, record.trace));
        let read: Vec<(&str, u32)> =
            view.matches.iter().map(|m| (&*m.rule, m.version.to_native())).collect();
        assert_eq!(read, [("a", 1), ("b", 2)]);
    }
}

#[test]
fn a_change_of_the_catalogue_is_read_in_both_its_layouts() {
    let mut out = Vec::new();
    every_change().write(&mut out);
    assert_eq!(CatalogueChanged::read(2, &out), Ok(every_change()));
    let said: usize = every_change().changes.iter().map(Change::bytes).sum();
    assert!(out.len() <= said + 64, "{} bytes, {said} were said", out.len());
    let old = CatalogueChangedV1 {
        namespace: "default".into(),
        changes: vec![
            ChangeV1::PutRule("{}".into()),
            ChangeV1::DeleteRule("r".into()),
            ChangeV1::PutDefinition("[]".into()),
            ChangeV1::DeleteDefinition("w".into()),
        ],
    };
    let old = rkyv::to_bytes::<Rancor>(&old).unwrap();
    let read = CatalogueChanged::read(1, &old).unwrap();
    assert_eq!(read.changes[..], every_change().changes[..4]);
    assert_eq!((read.by.as_str(), read.flips), ("", false), "as it was applied then");
}

#[test]
fn a_damaged_body_is_an_error_with_the_records_type() {
    let mut out = Vec::new();
    Cancelled { instance: instance() }.write(&mut out);
    let error = Cancelled::read(&out[..out.len() - 1]).unwrap_err();
    assert_eq!(error.kind, RecordType::Cancelled);
    let plain = Accepted { namespace: "n", key: "k", payload: b"{}", ..Accepted::default() };
    let trace = Some(TraceContext { trace: 1, span: 2 });
    for record in [plain, Accepted { trace, ..plain }] {
        let mut text = Vec::new();
        record.write(&mut text);
        for at in 0..text.len() {
            let mut damaged = text.clone();
            damaged[at] ^= 0x80;
            // Either it still is some record, or an error: never a panic, never a read outside.
            let _either = AcceptedView::read(record.version(), &damaged).map(|v| v.payload.len());
        }
    }
}

#[test]
fn a_damaged_order_is_an_error_or_another_order() {
    let start = keyed_start();
    let mut text = Vec::new();
    Passed { number: 6, source: Some("{}"), start: &start }.write(&mut text);
    for at in 0..text.len() {
        assert!(PassedView::read(&text[..at]).is_err());
        let mut damaged = text.clone();
        damaged[at] ^= 0x80;
        let _either = PassedView::read(&damaged).map(|view| view.start());
    }
}

#[test]
fn every_type_has_its_number() {
    for kind in [
        RecordType::Born,
        RecordType::CatalogueChanged,
        RecordType::Accepted,
        RecordType::TaskEnded,
        RecordType::TaskStopped,
        RecordType::Cancelled,
        RecordType::Checksum,
        RecordType::Passed,
        RecordType::WorkerJoined,
        RecordType::WorkerLost,
        RecordType::WorkerLeft,
        RecordType::WorkerDrained,
        RecordType::TaskAssigned,
        RecordType::TaskReleased,
    ] {
        assert_eq!(RecordType::from_code(kind as u16), Some(kind));
    }
    assert_eq!(RecordType::from_code(0), None);
}

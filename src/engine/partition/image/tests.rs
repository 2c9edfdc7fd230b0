use super::version_1::{KeyImageV1, LiveImageV1, PartitionImageV1};
use super::version_3::PartitionImageV3;
use super::version_4::PartitionImageV4;
use super::*;
use crate::globals::{Draft, Globals, Prepared};
use crate::record::{
    Accepted, AcceptedView, CatalogueChanged, Change, Match, Passed, PassedView, ProducerSequence,
};
use base::Outbox;
use std::fmt::Write;
use std::sync::Arc;

fn born() -> Born {
    Born { cluster_id: 1, partitions: 1, retention_bytes: 4_096, keys_max: 9, key_ttl_ms: 1_000 }
}

fn globals() -> Globals {
    let workflow =
        r#"{"id":"w","version":1,"tasks":[{"id":"a","type":"delay","with":{"for":"1s"}}]}"#;
    let rule = r#"{"id":"r","version":1,"conditions":[{"field":"k","op":"equals","value":1}],"actions":[{"workflow":"w"}]}"#;
    let mut globals = Globals::default();
    change(
        &mut globals,
        vec![Change::PutDefinition(workflow.into()), Change::PutRule(rule.into())],
    );
    globals
}

fn change(globals: &mut Globals, changes: Vec<Change>) {
    let change = CatalogueChanged::new("default", "", changes);
    let prepared = Prepared::new(&globals.catalogue, Arc::new(Draft::of(change)));
    globals.catalogue = Arc::clone(prepared.next(UnixMicros(0)).expect("it is not refused"));
}

/// A partition with a finished message, a live one with a key, and, when asked for, a producer with
/// a gap in its window and a live message with a trace.
fn partition(newer: bool) -> Partition {
    let globals = globals();
    let mut partition = Partition::new(PartitionId(0), &born(), 0);
    let woken = [Match { rule: "r", version: 1 }];
    let plain = Accepted { namespace: "default", payload: b"{}", ..Accepted::default() };
    let live = Accepted { matches: &woken, payload: b"{\"k\":1}", ..plain };
    let at = |sequence| Some(ProducerSequence { producer: 5, sequence });
    let trace = Some(TraceContext { trace: 6, span: 7 });
    let mut records = vec![plain, Accepted { key: "k", ..live }];
    if newer {
        records.push(Accepted { producer: at(1), ..plain });
        records.push(Accepted { producer: at(3), trace, ..live });
    }
    for (record, index) in records.iter().zip(1..) {
        let mut body = Vec::new();
        record.write(&mut body);
        let view = AcceptedView::read(record.version(), &body).unwrap();
        assert!(partition.begin(index, UnixMicros(index), &mut Outbox::new()));
        partition.apply_accepted(&globals, UnixMicros(index), &view, &mut Outbox::new());
    }
    partition
}

/// A partition with an order that waits, an instance with a key that runs, another one that has
/// ended, and a message that has given an order.
fn linked() -> Partition {
    let mut globals = globals();
    let rule = r#"{"id":"k","version":1,"conditions":[{"field":"k","op":"equals","value":2}],"actions":[{"workflow":"w","key":"${ msg.name }"}]}"#;
    let pure = r#"{"id":"pure","version":1,"tasks":[{"id":"a","type":"transform","with":{}}]}"#;
    change(&mut globals, vec![Change::PutDefinition(pure.into()), Change::PutRule(rule.into())]);
    let mut partition = Partition::new(PartitionId(0), &born(), 0);
    let woken = [Match { rule: "k", version: 1 }];
    let payload = b"{\"k\":2,\"name\":\"n\"}";
    let record = Accepted { namespace: "default", matches: &woken, payload, ..Accepted::default() };
    let mut body = Vec::new();
    record.write(&mut body);
    let view = AcceptedView::read(record.version(), &body).unwrap();
    let at = UnixMicros(1);
    assert!(partition.begin(1, at, &mut Outbox::new()));
    partition.apply_accepted(&globals, at, &view, &mut Outbox::new());
    let (_, _, orders) = partition.waiting().next().unwrap();
    let started = orders[0].start.clone();
    for (workflow, number) in [("w", 1), ("pure", 2)] {
        let definition = globals.catalogue.definitions[workflow].definition.hash;
        let start = KeyedStart { workflow: workflow.into(), definition, ..started.clone() };
        let mut body = Vec::new();
        Passed { number, source: None, start: &start }.write(&mut body);
        let view = PassedView::read(&body).unwrap();
        let from = PartitionId(9);
        partition.apply_taken(&globals, at, from, &view, &mut Outbox::new()).unwrap();
    }
    partition
}

/// The same, of which a worker has something.
fn given() -> Partition {
    let mut partition = linked();
    let instance = InstanceId { message: base::MessageId::new(PartitionId(0), 2), ordinal: 1 };
    let order = OrderId { instance, task: TaskIndex(3), attempt: 4 };
    partition.assigned.insert(order, (WorkerId(0x80a0), BootId(5)));
    partition
}

#[test]
fn what_workers_have_survives_an_image() {
    let before = given();
    let again = Partition::from_image(&before.image(), &born(), 0).unwrap();
    assert_eq!(again.checksum(), before.checksum());
    assert!(again.assigned().eq(before.assigned()));
    assert_ne!(before.checksum(), linked().checksum());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.trim().as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// What a release wrote is read for ever. A change here needs a new version.
#[test]
fn the_layout_of_every_version_is_frozen() {
    assert_eq!(hex(&given().image()), include_str!("version_5.hex").trim());
    let old = bytes(include_str!("version_4.hex"));
    let read = rkyv::from_bytes::<PartitionImageV4, Rancor>(&old).unwrap();
    assert_eq!((read.next_sequence, read.links.len(), read.taken.len()), (4, 1, 1));
    let written = rkyv::to_bytes::<Rancor>(&read).unwrap();
    assert_eq!(&written[..], &old[..]);
    let old = bytes(include_str!("version_2.hex"));
    let read = rkyv::from_bytes::<PartitionImageV3, Rancor>(&old).unwrap();
    assert_eq!((read.next_sequence, read.live.len(), read.producers.len()), (5, 2, 1));
    let written = rkyv::to_bytes::<Rancor>(&read).unwrap();
    assert_eq!(&written[..], &old[..]);
    let old = bytes(include_str!("version_1.hex"));
    let read = rkyv::from_bytes::<PartitionImageV1, Rancor>(&old).unwrap();
    assert_eq!((read.next_sequence, read.live.len(), read.keys.len()), (3, 1, 1));
    let written = rkyv::to_bytes::<Rancor>(&read).unwrap();
    assert_eq!(&written[..], &old[..]);
}

#[test]
fn an_image_of_an_older_version_gives_the_same_partition() {
    let old = bytes(include_str!("version_1.hex"));
    let again = Partition::from_image(&upgraded(1, &old).unwrap(), &born(), 0).unwrap();
    assert_eq!(again.checksum(), partition(false).checksum());
    let old_2 = bytes(include_str!("version_2.hex"));
    for version in [2, 3] {
        let again = Partition::from_image(&upgraded(version, &old_2).unwrap(), &born(), 0).unwrap();
        assert_eq!(again.checksum(), partition(true).checksum());
    }
    let old_4 = bytes(include_str!("version_4.hex"));
    let again = Partition::from_image(&upgraded(4, &old_4).unwrap(), &born(), 0).unwrap();
    assert_eq!(again.checksum(), linked().checksum());
    assert!(upgraded(1, &old[1..]).is_err());
    assert!(upgraded(9, &old).is_err());
}

#[test]
fn producers_and_traces_survive_an_image() {
    let before = partition(true);
    let again = Partition::from_image(&before.image(), &born(), 0).unwrap();
    assert_eq!(again.checksum(), before.checksum());
    let (id, producer) = again.producers.iter().next().unwrap();
    let places: Vec<Option<u64>> =
        producer.places.iter().map(|known| known.as_ref().map(|known| known.sequence)).collect();
    assert_eq!((id, producer.base, producer.seen), (5, 1, UnixMicros(4)));
    assert_eq!(places, [Some(3), None, Some(4)]);
    assert_eq!(again.live[&4].trace, Some(TraceContext { trace: 6, span: 7 }));
}

#[test]
fn orders_and_keys_survive_an_image() {
    let before = linked();
    let again = Partition::from_image(&before.image(), &born(), 0).unwrap();
    assert_eq!(again.checksum(), before.checksum());
    assert_eq!(again.taken().collect::<Vec<_>>(), [(PartitionId(9), 2)]);
    let (to, passed, orders) = again.waiting().next().unwrap();
    assert_eq!(
        (to, passed, orders.len(), again.passing.bytes()),
        (PartitionId(0), 0, 1, before.passing.bytes())
    );
    for (workflow, sequence) in [("w", 2), ("pure", 3)] {
        assert_eq!(again.keyed.find("default", workflow, "n"), Some(sequence));
    }
    assert_eq!(again.deadline(), before.deadline());
    assert_eq!(again.held_bytes(), before.held_bytes());
}

/// How `version_1.hex` was made, of what is the same in both versions. Instances have an image of their
/// own, with versions of its own.
#[test]
fn the_oldest_version_is_the_newest_without_what_came_later() {
    let image = partition(false).image();
    let new = rkyv::from_bytes::<PartitionImage, Rancor>(&image).unwrap();
    let frozen = bytes(include_str!("version_1.hex"));
    let frozen = rkyv::from_bytes::<PartitionImageV1, Rancor>(&frozen).unwrap();
    let old = PartitionImageV1 {
        id: new.id,
        applied: new.applied,
        next_sequence: new.next_sequence,
        definitions: new.definitions,
        live: (new.live.into_iter().zip(frozen.live))
            .map(|(live, frozen)| LiveImageV1 {
                sequence: live.sequence,
                accepted_at: live.accepted_at,
                key: live.key,
                rules: live.rules,
                payload: live.payload,
                runs: frozen.runs,
            })
            .collect(),
        keys: (new.keys.into_iter())
            .map(|key| KeyImageV1 {
                due: key.due,
                key: key.key,
                sequence: key.known.sequence,
                body: key.known.body,
                workflows: key.known.workflows,
            })
            .collect(),
        shelf: new.shelf,
        shelf_bytes: new.shelf_bytes,
    };
    let written = rkyv::to_bytes::<Rancor>(&old).unwrap();
    assert_eq!(hex(&written), include_str!("version_1.hex").trim());
}

#[test]
fn a_checksum_made_again_tells_what_an_image_tells() {
    let all = [partition(false), partition(true), linked()];
    for (at, one) in all.iter().enumerate() {
        let mut kept = ShelfSum::default();
        let sum = one.checksum_again(&mut kept);
        assert_eq!(one.checksum_again(&mut kept), sum, "nothing has changed");
        let again = Partition::from_image(&one.image(), &born(), 0).unwrap();
        assert_eq!(again.checksum_again(&mut ShelfSum::default()), sum);
        for (other_at, other) in all.iter().enumerate() {
            let other = other.checksum_again(&mut ShelfSum::default());
            assert_eq!(other == sum, other_at == at);
        }
    }
    // Each of the tables that are not in the image that is hashed counts.
    let mut changed = partition(true);
    let before = changed.checksum_again(&mut ShelfSum::default());
    let (id, producer) = changed.producers.iter().next().unwrap();
    let mut producer = producer.clone();
    producer.places.push_back(None);
    changed.producers.restore(id + 1, producer);
    assert_ne!(changed.checksum_again(&mut ShelfSum::default()), before);
}

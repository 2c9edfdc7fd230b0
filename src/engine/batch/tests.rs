use super::*;
use crate::record::{Accepted, Match};
use proptest::prelude::*;

fn header(number: u64) -> SectionHeader {
    SectionHeader {
        node: NodeId(1),
        boot: BootId(2),
        core: CoreId(3),
        number,
        catalogue: 5,
        round: 6,
    }
}

fn accepted(payload: &[u8]) -> Bytes {
    let mut section = Section::new(0);
    let record = Accepted { namespace: "default", key: "k", payload, ..Accepted::default() };
    section.push_accepted(PartitionId(7), &record);
    section.seal(&header(4))
}

#[test]
fn a_batch_has_these_bytes() {
    let mut section = Section::new(0);
    section.push(RecordType::Cancelled, PartitionId(0x0102), |body| body.extend_from_slice(b"xy"));
    let batch = join(UnixMicros(0x1122_3344), &[section.seal(&header(4))]);
    let expected = [
        // batch: version, zero, sections, zeros, stamp
        &[1, 0, 1, 0, 0, 0, 0, 0][..],
        &[0x44, 0x33, 0x22, 0x11, 0, 0, 0, 0],
        // section: node, boot, number, catalogue, round, core, zero, records, bytes
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0],
        &[4, 0, 0, 0, 0, 0, 0, 0],
        &[5, 0, 0, 0, 0, 0, 0, 0],
        &[6, 0, 0, 0, 3, 0, 0, 0],
        &[1, 0, 0, 0, 14, 0, 0, 0],
        // record: type, version, zero, partition, zero, bytes
        &[19, 0, 1, 0, 2, 1, 0, 0, 2, 0, 0, 0],
        b"xy",
    ]
    .concat();
    assert_eq!(&batch[..], &expected[..]);
}

#[test]
fn a_record_between_two_partitions_names_both_in_its_header() {
    let (from, to) = (PartitionId(0x0304), PartitionId(0x0102));
    let mut section = Section::new(0);
    section.push_between(RecordType::Passed, from, to, |body| body.extend_from_slice(b"xy"));
    let sealed = section.seal(&header(4));
    // Type, version, zero, who takes, who gives, bytes.
    let expected = [&[20, 0, 1, 0, 2, 1, 4, 3, 2, 0, 0, 0], &b"xy"[..]].concat();
    assert_eq!(sealed[SECTION_HEADER_BYTES..], expected);
    let record = SectionView::of(&sealed).unwrap().records().next().unwrap().unwrap();
    assert_eq!((record.from, record.partition), (Some(from), to));
    let mut again = Section::new(0);
    again.push_raw(&record);
    assert_eq!(again.seal(&header(4)), sealed);
}

#[test]
fn what_was_joined_is_read_back() {
    let sections = [accepted(b"{}"), accepted(br#"{"a":1}"#)];
    let batch = join(UnixMicros(9), &sections);
    let view = BatchView::parse(&batch).unwrap();
    assert_eq!(view.stamp, UnixMicros(9));
    let read: Vec<_> = view.sections().map(Result::unwrap).collect();
    assert_eq!(read.len(), 2);
    assert!(read.iter().all(|section| section.header == header(4) && section.records == 1));
    let record = read[1].records().next().unwrap().unwrap();
    assert_eq!((record.kind, record.partition), (RecordType::Accepted, PartitionId(7)));
    let body = crate::record::AcceptedView::read(record.version, record.body).unwrap();
    assert_eq!((body.key, body.payload), ("k", &br#"{"a":1}"#[..]));
}

#[test]
fn what_came_since_a_mark_is_forgotten_or_moved_without_a_trace() {
    let record = |key| Accepted { key, payload: b"{}", ..Accepted::default() };
    let of = |keys: &[&'static str]| {
        let mut section = Section::new(0);
        for key in keys {
            section.push_accepted(PartitionId(7), &record(key));
        }
        section
    };
    let mut section = of(&["a"]);
    let mark = section.mark();
    section.push_accepted(PartitionId(7), &record("b"));
    section.truncate(mark);
    assert_eq!(section.clone().seal(&header(1)), of(&["a"]).seal(&header(1)));
    section.push_accepted(PartitionId(7), &record("c"));
    section.push_accepted(PartitionId(7), &record("d"));
    let tail = section.split_off(mark);
    assert_eq!(section.seal(&header(1)), of(&["a"]).seal(&header(1)));
    assert_eq!(tail.seal(&header(2)), of(&["c", "d"]).seal(&header(2)));
}

#[test]
fn a_record_of_a_newer_program_is_named_and_stops_the_reading() {
    let mut bytes = join(UnixMicros(1), &[accepted(b"{}")]).to_vec();
    let at = BATCH_HEADER_BYTES + SECTION_HEADER_BYTES;
    bytes[at + 2] = 9;
    let view = BatchView::parse(&bytes).unwrap();
    let section = view.sections().next().unwrap().unwrap();
    let records: Vec<_> = section.records().collect();
    assert_eq!(records.len(), 1);
    assert_eq!(
        records[0].as_ref().unwrap_err(),
        &BadBatch::UnknownRecord { kind: RecordType::Accepted as u16, version: 9 }
    );
}

proptest! {
    #[test]
    fn any_truncation_is_an_error_and_no_bytes_make_a_panic(
        cut in 0_usize..400, noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let payload = [7; 100];
        let rule = [Match { rule: "r", version: 1 }];
        let mut section = Section::new(0);
        let record = Accepted { matches: &rule, payload: &payload, ..Accepted::default() };
        section.push_accepted(PartitionId(7), &record);
        let batch = join(UnixMicros(1), &[section.seal(&header(1))]);
        let walk = |bytes: &[u8]| -> Result<usize, BadBatch> {
            let mut count = 0;
            for section in BatchView::parse(bytes)?.sections() {
                for record in section?.records() {
                    record?;
                    count += 1;
                }
            }
            Ok(count)
        };
        prop_assert_eq!(walk(&batch), Ok(1));
        let cut = cut % batch.len();
        prop_assert!(walk(&batch[..cut]).is_err());
        let _any = walk(&noise);
    }
}

//! What two versions of the program do to each other's messages, and what no version may send.

use super::cases::{Case, cases};
use super::tree::{
    Change, Content, Fields, Node, fields_of, leaf, read_record, variants, write_record,
};
use crate::tlv::{ELEMENTS_MAX, Fault, TlvReader, Type};
use crate::{
    ErrorReply, FieldInfo, Hello, List, Message, MessageError, Query, Record, Submit,
    SubmitResponse, TaskStatus,
};
use base::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX};

/// Calls `check` with every case, and with its payload after `change` was applied to one of its
/// records, at any depth. Returns how often.
fn each_changed<T>(
    change: &mut Change<'_, T>,
    mut check: impl FnMut(&Case, T, Result<Vec<u8>, MessageError>, &[u8]),
) -> usize {
    let mut count = 0;
    for case in cases() {
        let fields = read_record(TlvReader::new(&case.payload));
        assert_eq!(write_record(&fields), case.payload, "{}", case.name);
        for (done, fields) in variants(case.record, &fields, change) {
            let payload = write_record(&fields);
            check(&case, done, (case.again)(&payload), &payload);
            count += 1;
        }
    }
    count
}

/// The field with this tag.
fn info(record: &str, tag: u16) -> &'static FieldInfo {
    fields_of(record).iter().find(|field| field.tag == tag).unwrap()
}

/// Every variant in which one field was changed, with that field.
fn each_field(
    record: &'static str,
    fields: &[(u16, Node)],
    change: impl Fn(&mut Fields, usize),
) -> Vec<(&'static FieldInfo, Fields)> {
    let changed = |at: usize| {
        let mut all = fields.to_vec();
        change(&mut all, at);
        (info(record, fields[at].0), all)
    };
    (0..fields.len()).map(changed).collect()
}

#[test]
fn an_old_reader_skips_what_it_does_not_know_wherever_it_stands() {
    let unknown = [
        leaf(Type::U64, &[1; 8]),
        leaf(Type::String, b"\xff\xfe"),
        leaf(Type::U16, b""),
        Node { code: 0x7f, content: Content::Leaf(b"a type to come".to_vec()) },
    ];
    let count = each_changed(
        &mut |record, fields| {
            let after = fields_of(record).last().map_or(1, |last| last.tag + 1);
            let mut all = Vec::new();
            for (tag, node) in [0, after, u16::MAX]
                .iter()
                .flat_map(|tag| unknown.iter().map(move |node| (*tag, node)))
            {
                let mut fields = fields.to_vec();
                let at = fields.iter().position(|(other, _)| *other > tag);
                fields.insert(at.unwrap_or(fields.len()), (tag, node.clone()));
                all.push(((), fields));
            }
            all
        },
        |case, (), read, _| assert_eq!(read.as_ref(), Ok(&case.payload), "{}", case.name),
    );
    assert!(count > 900, "{count}");
}

/// Fields that say something about others of their record: without them the others are wrong.
const BOUND_TO_OTHERS: &[(&str, &str)] =
    &[("submit", "producer"), ("submit", "sequence"), ("response", "refusals")];

#[test]
fn a_new_reader_fills_in_what_was_left_out_and_names_what_it_must_have() {
    let mut missed = Vec::new();
    each_changed(
        &mut |record, fields| each_field(record, fields, |fields, at| drop(fields.remove(at))),
        |case, gone, read, payload| match read {
            Ok(again) => {
                assert!(gone.default.is_some(), "{}: {} is required", case.name, gone.name);
                assert_eq!(again, payload, "{}: what is left out stays out", case.name);
            }
            Err(error) if gone.default.is_none() => {
                assert_eq!(error, gone.error(Fault::Missing));
                missed.push((gone.record, gone.name));
            }
            Err(error) => {
                let bound = BOUND_TO_OTHERS.contains(&(gone.record, gone.name));
                assert!(bound, "{} without {}: {error}", case.name, gone.name);
            }
        },
    );
    missed.sort_unstable();
    missed.dedup();
    assert!(missed.len() > 100, "{missed:?}");
    let error = Query::decode(b"").unwrap_err();
    assert_eq!(error.to_string(), "query.path is missing");
}

#[test]
fn a_field_of_another_type_is_refused_by_name() {
    each_changed(
        &mut |record, fields| {
            each_field(record, fields, |fields, at| {
                let code = &mut fields[at].1.code;
                *code =
                    if *code == Type::Bytes.code() { Type::U8.code() } else { Type::Bytes.code() };
            })
        },
        |_, wrong, read, _| {
            let code = if wrong.value == Type::Bytes { Type::U8 } else { Type::Bytes }.code();
            let fault = Fault::Type { found: code, expected: wrong.value };
            assert_eq!(read, Err(wrong.error(fault)));
        },
    );
    let error = Query::decode(&[0, 1, 0x11, 0, 0, 0, 0]).unwrap_err();
    assert_eq!(error.to_string(), "query.path has type 0x11, expected string (0x10)");
}

#[test]
fn a_value_of_another_length_is_refused_by_name() {
    for extra in [true, false] {
        each_changed(
            &mut |record, fields| {
                let is_fixed = |info: &FieldInfo| info.value <= Type::Bool;
                let changed = each_field(record, fields, |fields, at| {
                    if let Content::Leaf(bytes) = &mut fields[at].1.content {
                        if extra {
                            bytes.push(0);
                        } else {
                            bytes.truncate(bytes.len().saturating_sub(1));
                        }
                    }
                });
                changed.into_iter().filter(|(info, _)| is_fixed(info)).collect()
            },
            |_, wrong, read, _| {
                let fault = read.unwrap_err().fault;
                assert!(
                    matches!(fault, Fault::Length { .. }),
                    "{}.{} {fault}",
                    wrong.record,
                    wrong.name
                );
            },
        );
    }
}

#[test]
fn a_string_that_is_none_and_a_bool_that_is_neither_are_refused_by_name() {
    let mut count = 0;
    each_changed(
        &mut |record, fields| {
            let changed = each_field(record, fields, |fields, at| {
                if let Content::Leaf(bytes) = &mut fields[at].1.content {
                    bytes.fill(0xff);
                }
            });
            let is_string = |info: &FieldInfo| matches!(info.value, Type::String | Type::Bool);
            changed.into_iter().filter(|(info, _)| is_string(info)).collect()
        },
        |_, wrong, read, _| {
            let fault = match wrong.value {
                Type::Bool => Fault::Value { found: 255, expected: "0 or 1" },
                _ => Fault::Utf8,
            };
            assert_eq!(read, Err(wrong.error(fault)));
            count += 1;
        },
    );
    assert!(count > 25, "{count}");
}

#[test]
fn a_tag_stands_once_and_in_its_place() {
    each_changed(
        &mut |record, fields| {
            let twice = each_field(record, fields, |fields, at| {
                let again = fields[at].clone();
                fields.insert(at, again);
            });
            let mut swapped = each_field(record, fields, |fields, at| {
                let before = at.saturating_sub(1);
                fields.swap(before, at);
            });
            // The first has nothing to be swapped with.
            swapped.drain(..1.min(fields.len()));
            [twice, swapped].concat()
        },
        |case, wrong, read, _| {
            let fault = read.unwrap_err().fault;
            let is_refused = matches!(fault, Fault::Order { .. } | Fault::Missing);
            assert!(is_refused, "{}, {}.{}: {fault}", case.name, wrong.record, wrong.name);
        },
    );
}

#[test]
fn a_payload_that_is_cut_or_goes_on_is_refused() {
    for case in cases() {
        for bytes in 0..case.payload.len() {
            let cut = &case.payload[..bytes];
            // Where a field ends, a record may end: then nothing was damaged, something was left out.
            if let Ok(again) = (case.again)(cut) {
                assert_eq!(again, cut, "{}", case.name);
            }
        }
        for extra in [&[0][..], &[255; 6], &[255, 255, 1, 0, 0, 0, 1]] {
            let longer = [&case.payload[..], extra].concat();
            let fault = (case.again)(&longer).unwrap_err().fault;
            let is_refused = matches!(fault, Fault::Truncated { .. } | Fault::Order { .. });
            assert!(is_refused, "{}: {fault}", case.name);
        }
    }
}

#[test]
fn a_count_is_believed_as_far_as_bytes_are_there_and_no_further_than_the_limit() {
    // A status whose field `running` (tag 6) is an array with this count and so many bytes.
    let with = |count: u32, bytes: usize| {
        let (running, ended) = (List::EMPTY, List::EMPTY);
        let status = TaskStatus {
            worker: 1,
            boot: 2,
            renewal: 3,
            capacity: 4,
            draining: false,
            running,
            ended,
        };
        let mut payload = Vec::new();
        status.encode(&mut payload);
        payload.extend_from_slice(&[0, 6, Type::Array.code()]);
        payload.extend_from_slice(&u32::try_from(4 + bytes).unwrap().to_be_bytes());
        payload.extend_from_slice(&count.to_be_bytes());
        payload.resize(payload.len() + bytes, 0);
        let read = TaskStatus::decode(&payload).map(|status| status.running.len());
        read.map_err(|error| (error.field, error.fault))
    };
    let error = |fault| Err(("running", fault));
    assert_eq!(with(0, 0), Ok(0));
    assert_eq!(with(0, 1), error(Fault::Trailing { bytes: 1 }));
    assert_eq!(with(1, 0), error(Fault::Truncated { needed: 5, left: 0 }));
    assert_eq!(with(3, 14), error(Fault::Truncated { needed: 15, left: 14 }));
    let count_max = ELEMENTS_MAX as usize;
    let (count, needed) = (u32::MAX as usize, count_max * 5);
    assert_eq!(with(u32::MAX, 0), error(Fault::TooMany { count, count_max }));
    assert_eq!(with(ELEMENTS_MAX, 0), error(Fault::Truncated { needed, left: 0 }));
    assert_eq!(
        with(ELEMENTS_MAX + 1, (count_max + 1) * 5),
        error(Fault::TooMany { count: count_max + 1, count_max })
    );
}

#[test]
fn a_submit_is_held_to_the_limits_of_a_batch() {
    let decode = |count: usize, bytes: usize| {
        let body = vec![b' '; bytes];
        let bodies = vec![&body[..]; count];
        let messages = List::from(&bodies[..]);
        let mut payload = Vec::new();
        Submit { producer: 0, sequence: 0, key: "", messages }.encode(&mut payload);
        assert!(
            payload.len() <= crate::SUBMIT_BYTES_MAX
                || count > BATCH_MESSAGES_MAX
                || bytes * count > BATCH_BYTES_MAX
        );
        Submit::decode(&payload).map(|submit| submit.messages.len())
    };
    let error = |fault| Err(MessageError { record: "submit", field: "messages", fault });
    let (count_max, bytes_max) = (BATCH_MESSAGES_MAX, BATCH_BYTES_MAX);
    assert_eq!(decode(count_max, 1), Ok(count_max));
    assert_eq!(decode(1, bytes_max), Ok(1));
    assert_eq!(decode(count_max, bytes_max / count_max), Ok(count_max));
    assert_eq!(decode(0, 0), Ok(0));
    let count = count_max + 1;
    assert_eq!(decode(count, 0), error(Fault::TooMany { count, count_max }));
    let bytes = bytes_max + 1;
    assert_eq!(decode(1, bytes), error(Fault::TooLong { bytes, bytes_max }));
}

#[test]
fn a_producer_and_its_sequence_come_together() {
    for (producer, sequence, is_fine) in [(0, 0, true), (7, 1, true), (0, 1, false), (7, 0, false)]
    {
        let mut payload = Vec::new();
        Submit { producer, sequence, key: "", messages: List::EMPTY }.encode(&mut payload);
        let read = Submit::decode(&payload);
        assert_eq!(read.is_ok(), is_fine, "{producer} {sequence}");
        if let Err(error) = read {
            assert_eq!((error.record, error.field), ("submit", "sequence"));
        }
    }
}

#[test]
fn a_response_that_contradicts_itself_is_refused() {
    let names = ["audit"];
    let started = |index| crate::Started { index, names: List::from(&names) };
    let refusal =
        |index| crate::Refusal { index, code: "c", detail: "", hint: "", retry_after_ms: 0 };
    let check = |outcomes: &[u8], ids: usize, workflows: &[u32], refusals: &[u32]| {
        let ids = vec![0; ids];
        let workflows: Vec<_> = workflows.iter().map(|index| started(*index)).collect();
        let refusals: Vec<_> = refusals.iter().map(|index| refusal(*index)).collect();
        let response = SubmitResponse {
            outcomes,
            ids: &ids,
            workflows: List::from(&workflows[..]),
            refusals: List::from(&refusals[..]),
        };
        let mut payload = Vec::new();
        response.encode(&mut payload);
        SubmitResponse::decode(&payload)
            .map(|read| read.answers().count())
            .map_err(|error| error.field)
    };
    assert_eq!(check(&[0, 3, 1], 24, &[0, 2], &[1]), Ok(3));
    assert_eq!(check(&[], 0, &[], &[]), Ok(0));
    for (outcomes, ids, workflows, refusals, field) in [
        (&[0, 4][..], 16, &[][..], &[][..], "outcomes"),
        (&[0], 9, &[], &[], "ids"),
        (&[0], 0, &[], &[], "ids"),
        (&[0], 8, &[1], &[], "workflows"),
        (&[0], 8, &[0, 0], &[], "workflows"),
        (&[0, 0], 16, &[1, 0], &[], "workflows"),
        (&[3], 8, &[0], &[0], "workflows"),
        (&[0], 8, &[], &[0], "refusals"),
        (&[3, 3], 16, &[], &[0], "refusals"),
        (&[3, 3], 16, &[], &[1, 0], "refusals"),
        (&[3], 8, &[], &[0, 0], "refusals"),
    ] {
        assert_eq!(check(outcomes, ids, workflows, refusals), Err(field), "{outcomes:?}");
    }
}

#[test]
fn two_sides_speak_the_highest_version_that_both_know() {
    let hello =
        |version_min, version_max| Hello { version_min, version_max, ..Hello::of(Hello::CLIENT) };
    for (ours, theirs, agreed) in [
        ((1, 1), (1, 1), Some(1)),
        ((1, 1), (1, 3), Some(1)),
        ((2, 4), (1, 3), Some(3)),
        ((1, 1), (2, 3), None),
        ((3, 2), (1, 9), None),
    ] {
        let (ours, theirs) = (hello(ours.0, ours.1), hello(theirs.0, theirs.1));
        assert_eq!(ours.agree(&theirs), agreed);
        assert_eq!(theirs.agree(&ours), agreed);
    }
}

#[test]
fn a_word_of_an_error_stands_for_one_thing() {
    let mut words = crate::words::ALL.to_vec();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), crate::words::ALL.len());
    assert_eq!(ErrorReply::FIELDS[0].name, "code");
}

//! The bytes of every message, frozen.

use super::cases::{Case, cases, messages};
use super::tree::fields_of;
use crate::tlv::{TlvReader, Value};
use crate::{Decoder, Frame, HEADER_BYTES, Kind, TRACE_BYTES};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

const GOLDEN: &str = include_str!("../testdata/frames.txt");

/// The frames of the file, by name.
fn golden() -> BTreeMap<&'static str, Vec<u8>> {
    let mut frames = BTreeMap::new();
    let mut name = "";
    for line in GOLDEN.lines() {
        if let Some(next) = line.strip_prefix("== ") {
            name = next;
            assert!(frames.insert(name, Vec::new()).is_none(), "{name} stands there twice");
            continue;
        }
        let digits = line.split('#').next().unwrap_or("").replace(' ', "");
        let frame = frames.entry(name).or_default();
        frame.extend((0..digits.len()).step_by(2).map(|at| {
            u8::from_str_radix(&digits[at..at + 2], 16).expect("two hexadecimal digits")
        }));
    }
    frames.retain(|name, _| !name.is_empty());
    frames
}

/// A frame as the file shows it, with what each part is.
fn show(case: &Case) -> String {
    let frame = case.frame();
    let mut text = format!("== {}\n", case.name);
    let mut line = |bytes: &[u8], what: &str| {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{} # {what}", hex.join(" ")).unwrap();
    };
    line(&frame[0..4], "magic");
    line(&frame[4..5], "version");
    line(&frame[5..6], "flags");
    line(&frame[6..8], &format!("kind: {}", case.head.kind));
    line(&frame[8..12], &format!("payload: {} bytes", frame.len() - HEADER_BYTES));
    line(&frame[12..16], "checksum");
    line(&frame[16..24], "call");
    line(&frame[24..32], "sent at");
    if case.head.trace.is_some() {
        line(&frame[32..48], "trace");
        line(&frame[48..HEADER_BYTES + TRACE_BYTES], "span");
    }
    show_record(&mut line, "  ", case.record, TlvReader::new(&case.payload));
    text
}

fn show_record(
    line: &mut impl FnMut(&[u8], &str),
    indent: &str,
    record: &str,
    mut reader: TlvReader<'_>,
) {
    while let Some(field) = reader.next().unwrap() {
        let info = fields_of(record).iter().find(|info| info.tag == field.tag).unwrap();
        let mut head = field.tag.to_be_bytes().to_vec();
        head.extend(element_head(field.value));
        let what = format!("{indent}{} {}: {}", info.tag, info.name, info.value);
        show_value(line, indent, &head, &what, info.of, field.value);
    }
}

fn show_value(
    line: &mut impl FnMut(&[u8], &str),
    indent: &str,
    head: &[u8],
    what: &str,
    of: &str,
    value: Value<'_>,
) {
    let deeper = format!("{indent}  ");
    if let Ok(mut array) = value.array() {
        line(&[head, &value.raw()[..4]].concat(), &format!("{what} of {of}, {}", array.count()));
        while let Some(element) = array.next().unwrap() {
            show_value(line, &deeper, &element_head(element), &deeper, of, element);
        }
    } else if let Ok(map) = value.map() {
        line(head, &format!("{what} {of}"));
        show_record(line, &deeper, of, map);
    } else {
        line(&[head, value.raw()].concat(), &format!("{what} {}", show_leaf(value)));
    }
}

/// A value as a person would write it.
fn show_leaf(value: Value<'_>) -> String {
    let number = value.u64().or(value.u32().map(u64::from)).or(value.u16().map(u64::from));
    let number = number.or(value.u8().map(u64::from)).map(|number| number.to_string());
    let signed = value.i64().map(|number| number.to_string());
    let float = value.f64().map(|number| number.to_string());
    let bool = value.bool().map(|yes| yes.to_string());
    let bytes = || format!("{:?}", String::from_utf8_lossy(value.raw()));
    number.or(signed).or(float).or(bool).unwrap_or_else(|_| bytes())
}

fn element_head(value: Value<'_>) -> Vec<u8> {
    let bytes = u32::try_from(value.raw().len()).unwrap().to_be_bytes();
    [&[value.type_code()][..], &bytes].concat()
}

#[test]
fn every_message_has_the_bytes_that_were_once_given_to_it() {
    let golden = golden();
    let cases = cases();
    let shown: String = cases.iter().map(show).collect::<Vec<_>>().join("\n");
    for case in &cases {
        let frame = case.frame();
        assert_eq!(
            golden.get(case.name),
            Some(&frame),
            "{}: the bytes of src/wire/testdata/frames.txt are frozen. What is new is shown like \
             this:\n{shown}",
            case.name
        );
    }
    assert_eq!(golden.len(), cases.len(), "every frame of the file has its case");
}

#[test]
fn every_golden_frame_comes_out_of_a_decoder_and_goes_round() {
    for case in cases() {
        let frame = &golden()[case.name];
        let mut decoder = Decoder::new(frame.len());
        decoder.space()[..frame.len()].copy_from_slice(frame);
        decoder.filled(frame.len());
        let read = decoder.next().unwrap().unwrap();
        let head = (read.header.kind, read.header.call, read.header.sent_at, read.trace);
        assert_eq!(head, (case.head.kind, case.head.call, case.head.sent_at, case.head.trace));
        assert!(read.header.flags.contains(case.head.flags), "{}", case.name);
        assert_eq!((case.again)(read.payload).unwrap(), read.payload, "{}", case.name);
        assert_eq!(Frame::decode(frame, frame.len()), Ok(read), "{}", case.name);
        assert_eq!(decoder.next(), Ok(None), "{}", case.name);
        assert_eq!(decoder.finish(), Ok(()), "{}", case.name);
    }
}

#[test]
fn the_golden_frames_show_every_message_with_every_field_and_with_as_few_as_may_be() {
    let cases = cases();
    let mut kinds = BTreeSet::new();
    for (record, kind, fields, _) in messages() {
        kinds.insert(kind);
        let tags = |case: &Case| -> Vec<u16> {
            let mut reader = TlvReader::new(&case.payload);
            std::iter::from_fn(|| reader.next().unwrap().map(|field| field.tag)).collect()
        };
        let all: Vec<_> = fields.iter().map(|field| field.tag).collect();
        let required = fields.iter().filter(|field| field.default.is_none());
        let required: Vec<_> = required.map(|field| field.tag).collect();
        for expected in [all, required] {
            let shown = cases.iter().filter(|case| case.record == record);
            let shown = shown.filter(|case| tags(case) == expected).count();
            assert!(shown > 0, "no frame shows {record} with the fields {expected:?}");
        }
    }
    assert_eq!(kinds, Kind::ALL.iter().copied().collect(), "every kind has its message");
}

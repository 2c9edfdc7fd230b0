//! docs/WIRE.md says what the code does: every message, field, type, flag and word, both ways, and
//! the worked example is what a client and a node would say.

use super::cases::{PARTS, messages};
use crate::tlv::{DEPTH_MAX, ELEMENTS_MAX, Type};
use crate::{
    Answer, Decoder, FieldInfo, Flags, HEADER_BYTES, Hello, Kind, Message, PEER_BYTES_MAX, Submit,
    SubmitResponse, VERSION, words, write_frame,
};
use base::limits::ENTRY_BYTES_MAX;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/WIRE.md");

/// A row of a table, its cells without the code marks.
fn cells(line: &str) -> Option<Vec<String>> {
    let row = line.strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(|cell| cell.trim().replace('`', "")).collect())
}

/// The rows of the table whose head these cells are.
fn table(head: &[&str]) -> Vec<Vec<String>> {
    let is_head = |line: &&str| cells(line).is_some_and(|cells| cells == head);
    let mut lines = PAGE.lines().skip_while(|line| !is_head(line)).skip(2);
    let rows: Vec<_> = std::iter::from_fn(|| cells(lines.next()?)).collect();
    assert!(!rows.is_empty(), "no table {head:?}");
    rows
}

/// Every field that the page has: `record 1 name type default`.
fn fields_of_the_page() -> Vec<String> {
    let mut fields = Vec::new();
    let mut record = String::new();
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            title.split('`').nth(1).unwrap().clone_into(&mut record);
        }
        let Some(cells) = cells(line).filter(|cells| cells.len() == 5) else { continue };
        if cells[0].parse::<u16>().is_ok() {
            assert!(!cells[4].is_empty(), "{record}.{} has no meaning", cells[1]);
            fields.push(format!("{record} {}", cells[..4].join(" ")));
        }
    }
    fields
}

fn as_on_the_page(record: &str, field: &FieldInfo) -> String {
    let value = match field.value {
        Type::Array => format!("array of {}", field.of),
        Type::Map => format!("map {}", field.of),
        other => other.to_string(),
    };
    let default = match field.default {
        None => "required",
        // Spaced where a macro handed the tokens on.
        Some("List::EMPTY" | "List :: EMPTY" | "b\"\"") => "empty",
        Some(default) => default,
    };
    format!("{record} {} {} {value} {default}", field.tag, field.name)
}

#[test]
fn every_field_of_every_message_is_on_the_page_and_no_other() {
    let messages = messages().into_iter().map(|(record, _, fields, _)| (record, fields));
    let records: Vec<_> = messages.chain(PARTS.iter().copied()).collect();
    let fields = records
        .iter()
        .flat_map(|(record, fields)| fields.iter().map(|field| as_on_the_page(record, field)));
    let mut fields: Vec<_> = fields.collect();
    let mut shown = fields_of_the_page();
    fields.sort_unstable();
    shown.sort_unstable();
    let missing: Vec<_> = fields.iter().filter(|field| !shown.contains(field)).collect();
    let wrong: Vec<_> = shown.iter().filter(|field| !fields.contains(field)).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "missing {missing:#?}, wrong {wrong:#?}");
    assert_eq!(fields, shown, "each field once");
}

#[test]
fn every_message_and_every_part_has_its_heading_with_its_kind() {
    let headings: BTreeSet<_> =
        PAGE.lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    let messages = messages().into_iter();
    let expected = messages.map(|(record, kind, ..)| format!("`{record}` {:#06x}", kind.0));
    let expected = expected.chain(PARTS.iter().map(|(record, _)| format!("`{record}`")));
    assert_eq!(headings, expected.collect());
}

#[test]
fn the_tables_of_types_flags_and_words_are_those_of_the_code() {
    let types: Vec<_> = Type::ALL.iter().map(|kind| (kind.name(), kind.code())).collect();
    let rows = table(&["type", "code", "value"]);
    let shown = rows.iter().map(|row| {
        let code = row[1].strip_prefix("0x").unwrap();
        (row[0].as_str(), u8::from_str_radix(code, 16).unwrap())
    });
    assert_eq!(shown.collect::<Vec<_>>(), types);

    let flags = [
        ("COMPRESSED", Flags::COMPRESSED),
        ("ENCRYPTED", Flags::ENCRYPTED),
        ("URGENT", Flags::URGENT),
        ("TRACED", Flags::TRACED),
        ("RESPONSE", Flags::RESPONSE),
    ];
    let rows = table(&["flag", "value", "what"]);
    let shown = rows.iter().map(|row| (row[0].as_str(), Flags(row[1].parse().unwrap())));
    assert_eq!(shown.collect::<Vec<_>>(), flags);

    let rows = table(&["code", "when", "the connection"]);
    let shown: BTreeSet<_> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(shown, words::ALL.iter().copied().collect());

    let rows = table(&["at", "bytes", "what", ""]);
    let mut at = 0;
    for row in rows {
        assert_eq!(row[0].parse(), Ok(at));
        at += row[1].parse::<usize>().unwrap();
    }
    assert_eq!(at, HEADER_BYTES);
    assert_eq!(ELEMENTS_MAX, 65_536);
    assert_eq!((PEER_BYTES_MAX, ENTRY_BYTES_MAX), (5 << 20, 4 << 20));
    assert!(PAGE.contains("at most 5 MiB here") && PAGE.contains("alone; it has at most 4 MiB"));
    assert!(
        PAGE.contains("at most 65,536 elements")
            && PAGE.contains(&format!("most {DEPTH_MAX} deep"))
    );
}

/// The bytes of the worked example, in one piece.
fn example() -> Vec<u8> {
    let (_, after) = PAGE.split_once("## A worked example").unwrap();
    let block = after.split("```").nth(1).unwrap().strip_prefix("text").unwrap();
    let mut bytes = Vec::new();
    for line in block.lines().filter(|line| !line.starts_with("==")) {
        let digits = line.split('#').next().unwrap().split_whitespace();
        bytes.extend(digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    bytes
}

#[test]
fn the_worked_example_is_what_a_client_and_a_node_say_to_each_other() {
    let stream = example();
    let mut decoder = Decoder::new(1024);
    decoder.space()[..stream.len()].copy_from_slice(&stream);
    decoder.filled(stream.len());
    let mut again = Vec::new();
    let mut heads = Vec::new();
    while let Some(frame) = decoder.next().unwrap() {
        let header = frame.header;
        heads.push((header.kind, header.flags, header.call));
        let head = crate::Head {
            kind: header.kind,
            flags: header.flags,
            call: header.call,
            sent_at: header.sent_at,
            trace: frame.trace,
        };
        write_frame(&mut again, &head, |out| match header.kind {
            Kind::HELLO => {
                let hello = Hello::decode(frame.payload).unwrap();
                assert_eq!((hello.version_min, hello.version_max), (VERSION, VERSION));
                hello.encode(out);
            }
            Kind::SUBMIT => {
                let submit = Submit::decode(frame.payload).unwrap();
                assert_eq!((submit.producer, submit.sequence, submit.key), (7, 1, ""));
                let body = &b"{\"event_type\":\"payment_received\"}"[..];
                assert!(submit.messages.iter().eq([body]));
                submit.encode(out);
            }
            _ => {
                let response = SubmitResponse::decode(frame.payload).unwrap();
                let mut answers = response.answers();
                let Some(Answer::Accepted { id, workflows }) = answers.next() else {
                    panic!("the message is accepted")
                };
                assert_eq!(id, 0x0020_0000_0000_0001);
                assert!(workflows.iter().eq(["fraud_check"]));
                assert!(answers.next().is_none());
                response.encode(out);
            }
        });
    }
    assert_eq!(decoder.finish(), Ok(()));
    assert_eq!(again, stream, "a message has one encoding");
    let (asks, answers) = (Flags::NONE, Flags::RESPONSE);
    let expected = [
        (Kind::HELLO, asks, 1),
        (Kind::HELLO, answers, 1),
        (Kind::SUBMIT, asks, 2),
        (Kind::RESPONSE, answers, 2),
    ];
    assert_eq!(heads, expected);
}

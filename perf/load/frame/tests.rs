use super::*;
use crate::options::Options;
use clap::Parser as _;
use wire::{Frame, Message as _, Submit};

/// A frame read as a server reads it: call, producer, sequence, and the messages' texts.
fn read(arguments: &[&str], number: u64, call: u64) -> (u64, u64, u64, Vec<String>) {
    let name = ["distric-load", "--tcp", "127.0.0.1:9", "--size", "120"];
    let options = Options::try_parse_from(name.iter().chain(arguments)).unwrap();
    let plan = Plan::new(&options).unwrap();
    let mut image = Image::new(&plan);
    let mut out = Vec::new();
    let stamp = |call| Stamp { call, producer: 77, sent_at: UnixMicros(5) };
    image.append(&plan, 99, stamp(99), &mut out);
    out.clear();
    image.append(&plan, number, stamp(call), &mut out);
    let frame = Frame::decode(&out, 1 << 21).unwrap();
    assert_eq!((frame.header.kind, frame.header.sent_at), (Kind::SUBMIT, UnixMicros(5)));
    let submit = Submit::decode(frame.payload).unwrap();
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    let messages = submit.messages.iter().map(text).collect();
    (frame.header.call, submit.producer, submit.sequence, messages)
}

#[test]
fn a_patched_frame_is_the_submit_of_its_request() {
    let (call, producer, sequence, messages) = read(&[], 5, 3);
    assert_eq!((call, producer, sequence, messages.len()), (3, 0, 0, 1));
    assert!(messages[0].contains("\"seq\":100000000005"), "{}", messages[0]);
    assert_eq!(messages[0].len(), 120);
}

#[test]
fn messages_are_numbered_by_connection_and_through_the_run() {
    let (call, producer, sequence, messages) = read(&["--batch", "3", "--keys"], 5, 2);
    assert_eq!((call, producer, sequence), (2, 77, 4));
    let numbers = messages.iter().map(|message| {
        let value: serde_json::Value = serde_json::from_str(message).unwrap();
        value["seq"].as_u64().unwrap() - crate::template::FIRST_NUMBER
    });
    assert!(numbers.eq([15, 16, 17]));
}

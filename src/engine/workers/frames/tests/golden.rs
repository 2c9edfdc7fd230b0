//! The bytes that every message between a worker and the leader has on a link, frozen.

use super::{Said, all};
use crate::record::{Ended, Failed};
use crate::shard::OrderId;
use crate::workers::{FromWorker, PluginInfo, Refusal, Run, ToWorker, Verdict};
use base::{Address, BootId, InstanceId, MessageId, WorkerId};
use bytes::Bytes;
use flow::TaskIndex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use telemetry::TraceContext;
use wire::tlv::TlvReader;
use wire::{Frame, Kind, PEER_BYTES_MAX, TRACE_BYTES};

const GOLDEN: &str = include_str!("../../../../wire/testdata/workers.txt");

const BOOT: BootId = BootId(3 << 20);

fn order() -> OrderId {
    let instance = InstanceId { message: MessageId(0x0030_0000_0000_00a1), ordinal: 1 };
    OrderId { instance, task: TaskIndex(2), attempt: 3 }
}

/// What a worker says, with something in every field.
pub(super) fn from_worker() -> Vec<FromWorker> {
    let order = order();
    let plugin = |name: &str, version: &str, abi| PluginInfo {
        name: name.to_owned(),
        version: version.to_owned(),
        abi,
    };
    let failed = Failed {
        code: "plugin_crashed".to_owned(),
        message: "signal 11".to_owned(),
        retryable: true,
    };
    vec![
        FromWorker::Register {
            worker: WorkerId(0x9f3c_00d2_ab55_17e0),
            boot: BOOT,
            name: "worker-1".to_owned(),
            address: "127.0.0.1:9310".to_owned(),
            capacity: 8,
            plugins: vec![plugin("ml_inference", "0.3.1", 1), plugin("webhook", "2.0.0", 1)],
            zone: "a".to_owned(),
        },
        FromWorker::Renew {
            boot: BOOT,
            number: 77,
            running: 5,
            cpu_permille: 870,
            memory_bytes: 48 << 20,
        },
        FromWorker::Accepted { order },
        FromWorker::Refused { order, why: Refusal::Draining },
        FromWorker::Ended { order, ended: Ended::Output(b"{\"score\":0.25}".to_vec()) },
        FromWorker::Ended { order, ended: Ended::Failed(failed) },
        FromWorker::Stopped { order },
        FromWorker::Drain { on: true },
        FromWorker::Leave { boot: BOOT },
        FromWorker::Validated {
            ticket: 9,
            verdict: Verdict::Invalid("limit must be above 0".to_owned()),
        },
        FromWorker::Validated { ticket: 9, verdict: Verdict::Unsaid("signal 11".to_owned()) },
    ]
}

/// What the leader says, likewise.
pub(super) fn to_worker() -> Vec<ToWorker> {
    let order = order();
    let run = Run {
        boot: BOOT,
        order,
        plugin: "ml_inference".to_owned(),
        config: Bytes::from_static(b"{\"model\":\"fraud-7\"}"),
        input: Bytes::from_static(b"{\"amount\":5000}"),
        timeout_ms: 30_000,
        idempotency_key: "00300000000000a1-1/score".to_owned(),
        workflow: "fraud_check".to_owned(),
        task: "score".to_owned(),
        trace: Some(TraceContext {
            trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
            span: 0x00f0_67aa_0ba9_02b7,
        }),
    };
    let leader = Address::parse("10.0.0.2:9202").unwrap();
    vec![
        ToWorker::Registered { lease_ms: 10_000, boot: BOOT },
        ToWorker::NotTaken { why: "node 2 leads".to_owned(), leader: Some(leader) },
        ToWorker::Renewed { number: 77 },
        ToWorker::Run(Box::new(run)),
        ToWorker::Stop { order },
        ToWorker::Recorded { order },
        ToWorker::Draining { on: true },
        ToWorker::Left,
        ToWorker::Lost { boot: BOOT },
        ToWorker::Validate {
            ticket: 9,
            plugin: "ml_inference".to_owned(),
            config: Bytes::from_static(b"{\"model\":\"fraud-7\"}"),
        },
    ]
}

/// What the file calls a message.
fn name(said: &Said) -> String {
    let (side, debug) = match said {
        Said::ByWorker(message) => ("worker", format!("{message:?}")),
        Said::ByLeader(message) => ("leader", format!("{message:?}")),
    };
    let variant = debug.split([' ', '(']).next().unwrap_or_default();
    let how = match said {
        Said::ByWorker(FromWorker::Ended { ended: Ended::Failed(_), .. }) => " failed",
        Said::ByWorker(FromWorker::Validated { verdict: Verdict::Unsaid(_), .. }) => " unsaid",
        _ => "",
    };
    format!("{side} {variant}{how}")
}

/// The frames of the file, by name.
fn golden() -> BTreeMap<&'static str, Vec<u8>> {
    let mut frames: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut name = "";
    for line in GOLDEN.lines() {
        if let Some(next) = line.strip_prefix("== ") {
            name = next;
            assert!(frames.insert(name, Vec::new()).is_none(), "{name} stands there twice");
            continue;
        }
        let digits = line.split('#').next().unwrap_or_default().split_whitespace();
        let bytes = digits.map(|byte| u8::from_str_radix(byte, 16).expect("two digits"));
        if !name.is_empty() {
            frames.entry(name).or_default().extend(bytes);
        }
    }
    frames
}

/// A frame as the file shows it: the header, the trace where there is one, a line per field.
fn show(name: &str, frame: &[u8]) -> String {
    let read = Frame::decode(frame, PEER_BYTES_MAX).unwrap();
    let mut text = format!("== {name}\n");
    let mut line = |bytes: &[u8], what: &str| {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{} # {what}", hex.join(" ")).unwrap();
    };
    let head = frame.len() - read.payload.len();
    let trace = if read.trace.is_some() { TRACE_BYTES } else { 0 };
    line(&frame[..head - trace], "header");
    if trace > 0 {
        line(&frame[head - trace..head], "trace");
    }
    let mut reader = TlvReader::new(read.payload);
    while let Some(field) = reader.next().unwrap() {
        let raw = field.value.raw();
        let mut bytes = field.tag.to_be_bytes().to_vec();
        bytes.push(field.value.type_code());
        bytes.extend(u32::try_from(raw.len()).unwrap().to_be_bytes());
        bytes.extend(raw);
        line(&bytes, &format!("field {}", field.tag));
    }
    text
}

#[test]
fn every_message_has_the_bytes_that_were_once_given_to_it() {
    let golden = golden();
    let all = all();
    let shown: Vec<_> = all.iter().map(|said| show(&name(said), &said.frame())).collect();
    let shown = shown.join("\n");
    for said in &all {
        let name = name(said);
        assert_eq!(
            golden.get(name.as_str()),
            Some(&said.frame()),
            "{name}: the bytes of src/wire/testdata/workers.txt are frozen. What is new is shown \
             like this:\n{shown}"
        );
        assert_eq!(said.again(&golden[name.as_str()]).as_ref(), Ok(said));
    }
    assert_eq!(golden.len(), all.len(), "every frame of the file has its message");
}

#[test]
fn every_kind_of_tasks_is_said_by_one_side_or_the_other() {
    let all = all();
    let kinds = all
        .iter()
        .map(|said| Frame::decode(&said.frame(), PEER_BYTES_MAX).expect("a frame").header.kind);
    let of_tasks = Kind::ALL.iter().copied().filter(|kind| kind.0 >> 12 == 3);
    assert_eq!(kinds.collect::<BTreeSet<_>>(), of_tasks.collect());
}

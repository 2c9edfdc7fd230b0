//! Every message goes through its frame and comes out the same; no other bytes do harm.

mod golden;
mod strategy;

use super::*;
use golden::{from_worker, to_worker};
use proptest::prelude::*;
use wire::Frame as WireFrame;

const SENT_AT: UnixMicros = UnixMicros(1_763_640_000_123_456);

/// A message of either side.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    ByWorker(FromWorker),
    ByLeader(ToWorker),
}

impl Said {
    fn frame(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::ByWorker(message) => message.encode(SENT_AT, &mut out),
            Self::ByLeader(message) => message.encode(SENT_AT, &mut out),
        }
        out
    }

    fn encoded_bytes(&self) -> usize {
        match self {
            Self::ByWorker(message) => message.encoded_bytes(),
            Self::ByLeader(message) => message.encoded_bytes(),
        }
    }

    /// Read as what the same side says.
    fn again(&self, frame: &[u8]) -> Result<Self, WorkerFrameError> {
        let (kind, payload, trace) = opened(frame);
        match self {
            Self::ByWorker(_) => FromWorker::decode(kind, &payload).map(Self::ByWorker),
            Self::ByLeader(_) => ToWorker::decode(kind, &payload, trace).map(Self::ByLeader),
        }
    }
}

fn all() -> Vec<Said> {
    let by_worker = from_worker().into_iter().map(Said::ByWorker);
    by_worker.chain(to_worker().into_iter().map(Said::ByLeader)).collect()
}

/// The kind, the payload and the trace of a frame, as a link hands them on.
fn opened(frame: &[u8]) -> (Kind, Bytes, Option<TraceContext>) {
    let read = WireFrame::decode(frame, PEER_BYTES_MAX).expect("it is a frame");
    assert_eq!((read.header.call, read.header.sent_at), (0, SENT_AT));
    (read.header.kind, Bytes::copy_from_slice(read.payload), read.trace)
}

/// What is read from a payload is a message that can be sent on, or an error that says something.
fn check_any(kind: Kind, payload: &Bytes) {
    let by_worker = FromWorker::decode(kind, payload).map(Said::ByWorker);
    let by_leader = ToWorker::decode(kind, payload, None).map(Said::ByLeader);
    for read in [by_worker, by_leader] {
        match read {
            Ok(said) => {
                let frame = said.frame();
                assert!(frame.len() <= said.encoded_bytes());
                assert_eq!(said.again(&frame), Ok(said));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_decoded_is_what_was_encoded(said in strategy::said()) {
        let frame = said.frame();
        let again = said.again(&frame);
        prop_assert_eq!(again.as_ref(), Ok(&said));
        let (bytes, estimate) = (frame.len(), said.encoded_bytes());
        prop_assert!(bytes <= estimate, "{} {}", bytes, estimate);
        prop_assert!(estimate <= bytes + AROUND_BYTES_MAX);
    }

    #[test]
    fn damaged_payloads_are_messages_or_errors(
        said in strategy::said(),
        kind in prop::option::weighted(0.2, prop::sample::select(Kind::ALL)),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (of_message, payload, _) = opened(&said.frame());
        let mut payload = payload.to_vec();
        let bytes = payload.len();
        for (at, byte) in changes.into_iter().filter(|_| bytes > 0) {
            payload[at.index(bytes)] = byte;
        }
        if let Some(cut) = cut {
            payload.truncate(cut.index(payload.len() + 1));
        }
        check_any(kind.unwrap_or(of_message), &payload.into());
    }
}

#[test]
fn a_payload_that_is_cut_or_has_a_flipped_bit_is_a_message_or_an_error() {
    for said in all() {
        let (kind, payload, _) = opened(&said.frame());
        for bytes in 0..payload.len() {
            check_any(kind, &payload.slice(..bytes));
        }
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check_any(kind, &flipped.into());
        }
        for other in Kind::ALL {
            check_any(*other, &payload);
        }
    }
}

#[test]
fn the_large_parts_of_an_order_are_not_copied_out_of_the_payload() {
    let runs = to_worker().into_iter().filter(|said| matches!(said, ToWorker::Run(_)));
    for said in runs {
        let (kind, payload, trace) = opened(&Said::ByLeader(said).frame());
        let Ok(ToWorker::Run(run)) = ToWorker::decode(kind, &payload, trace) else {
            panic!("an order")
        };
        let whole = payload.as_ptr_range();
        for part in [run.config.as_ptr_range(), run.input.as_ptr_range()] {
            assert!(whole.start <= part.start && part.end <= whole.end);
        }
    }
}

#[test]
fn what_is_too_much_and_what_nobody_says_is_refused_with_its_values() {
    let encoded = |message: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        message(&mut out);
        Bytes::from(out)
    };
    let refused = encoded(&|out| {
        wire::TaskRefused { message: 1, ordinal: 1, task: 0, attempt: 1, why: 9 }.encode(out);
    });
    let long = "x".repeat(129);
    let register = |name: &str, capacity: u32, plugins: usize| {
        let plugins = vec![wire::Plugin { name: "p", version: "", abi: 1 }; plugins];
        encoded(&|out| {
            let (worker, boot, address, zone) = (1, 1, "", "");
            let plugins = List::from(&plugins[..]);
            wire::WorkerRegister { worker, boot, name, address, capacity, plugins, zone }
                .encode(out);
        })
    };
    let leader = encoded(&|out| {
        wire::WorkerNotTaken { why: "", leader: "nowhere" }.encode(out);
    });
    let by_worker = |kind, payload: &Bytes| FromWorker::decode(kind, payload).map(|_| ());
    let by_leader = |kind, payload: &Bytes| ToWorker::decode(kind, payload, None).map(|_| ());
    let rows = [
        (
            by_worker(Kind::TASK_REFUSED, &refused),
            "task_refused.why is 9, which stands for nothing",
        ),
        (
            by_worker(Kind::WORKER_REGISTER, &register(&long, 1, 0)),
            "worker_register.name has 129, 128 at most are taken",
        ),
        (
            by_worker(Kind::WORKER_REGISTER, &register("", 65_537, 0)),
            "worker_register.capacity has 65537, 4096 at most are taken",
        ),
        (
            by_worker(Kind::WORKER_REGISTER, &register("", 1, 257)),
            "worker_register.plugins has 257, 256 at most are taken",
        ),
        (
            by_worker(Kind::TASK_ASSIGNMENT, &Bytes::new()),
            "task_assignment is nothing that a worker says on an open link",
        ),
        (
            by_leader(Kind::TASK_RESULT, &Bytes::new()),
            "task_result is nothing that a leader says on an open link",
        ),
    ];
    for (read, text) in rows {
        assert_eq!(read.map_err(|error| error.to_string()), Err(text.to_owned()));
    }
    assert!(matches!(
        ToWorker::decode(Kind::WORKER_NOT_TAKEN, &leader, None),
        Err(WorkerFrameError::Leader(_))
    ));
}

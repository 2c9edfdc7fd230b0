//! A submit's frame, built once and patched for each sending.

use crate::options::Plan;
use base::UnixMicros;
use wire::{Flags, HEADER_BYTES, Head, Header, Kind, SubmitWriter, VERSION, write_frame};

/// Stands for the producer while its place is looked for, and for the sequence, inverted.
const MARK: u64 = 0xa5c3_96e1_5a3c_691e;

/// What tells one sending from another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// The call's id: which request of the connection, counted from 1.
    pub(crate) call: u64,
    /// Who numbers the messages, where they are numbered.
    pub(crate) producer: u64,
    /// When it is sent.
    pub(crate) sent_at: UnixMicros,
}

/// The bytes of a frame, and the places in them that change.
#[derive(Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    /// Where producer and sequence stand.
    numbers_at: Option<(usize, usize)>,
    /// Where each message stands.
    messages_at: Vec<usize>,
}

impl Image {
    /// The submit of `plan`.
    pub(crate) fn new(plan: &Plan) -> Self {
        let (producer, sequence) = if plan.keys { (MARK, !MARK) } else { (0, 0) };
        let head = Head {
            kind: Kind::SUBMIT,
            flags: Flags::NONE,
            call: 0,
            sent_at: UnixMicros(0),
            trace: None,
        };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &head, |out| {
            let mut submit = SubmitWriter::new(out, producer, sequence, "");
            (0..plan.batch).for_each(|_| submit.push(plan.template.text()));
            submit.finish();
        });
        let place = |number: u64| {
            let wanted = number.to_be_bytes();
            bytes.windows(wanted.len()).position(|here| here == wanted)
        };
        let numbers_at =
            plan.keys.then(|| place(MARK).zip(place(!MARK)).expect("both numbers were written"));
        // The messages end the payload, each behind its type and length.
        let step = (bytes.len() - HEADER_BYTES) / plan.batch;
        let message_bytes = plan.template.bytes();
        let element_bytes = message_bytes + wire::tlv::ELEMENT_BYTES;
        assert!(step >= element_bytes, "a payload holds its messages");
        let end = bytes.len();
        let messages_at = (1..=plan.batch).rev();
        let messages_at =
            messages_at.map(|back| end - back * element_bytes + wire::tlv::ELEMENT_BYTES).collect();
        let image = Self { bytes, numbers_at, messages_at };
        for at in &image.messages_at {
            let message = &image.bytes[*at..*at + message_bytes];
            assert!(message == plan.template.text(), "a message stands in its place");
        }
        image
    }

    /// Appends the `number`-th request of the run to `out`.
    pub(crate) fn append(&mut self, plan: &Plan, number: u64, stamp: Stamp, out: &mut Vec<u8>) {
        if let Some((producer_at, sequence_at)) = self.numbers_at {
            let sequence = (stamp.call - 1) * plan.batch as u64 + 1;
            self.bytes[producer_at..][..8].copy_from_slice(&stamp.producer.to_be_bytes());
            self.bytes[sequence_at..][..8].copy_from_slice(&sequence.to_be_bytes());
        }
        let bytes = plan.template.bytes();
        for (at, line) in self.messages_at.iter().zip(0..) {
            let sequence = number.wrapping_mul(plan.batch as u64).wrapping_add(line);
            plan.template.fill(&mut self.bytes[*at..*at + bytes], sequence);
        }
        let mut header = Header {
            version: VERSION,
            flags: Flags::NONE,
            kind: Kind::SUBMIT,
            payload_bytes: u32::try_from(self.bytes.len() - HEADER_BYTES).expect("16 MiB fit"),
            crc: 0,
            call: stamp.call,
            sent_at: stamp.sent_at,
        };
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        header.crc = crc32fast::hash(&self.bytes);
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        out.extend_from_slice(&self.bytes);
    }
}

#[cfg(test)]
mod tests;

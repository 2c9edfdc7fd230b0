//! A request, built once and patched for each sending.

use crate::options::Plan;
use crate::template::{DIGITS, FIRST_NUMBER, write_number};

/// The bytes of a request, and the places in them that change.
#[derive(Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    /// Where the number of the idempotency key stands.
    key_at: Option<usize>,
    /// Where the first message stands.
    body_at: usize,
}

impl Image {
    /// The request of `plan`. Keys begin with `run`, which tells one run from another.
    pub(crate) fn new(plan: &Plan, run: u64) -> Self {
        let batched = plan.batch > 1;
        let (path, content_type) = if batched {
            ("/api/v1/messages:batch", "application/x-ndjson")
        } else {
            ("/api/v1/messages", "application/json")
        };
        let line = plan.template.bytes() + usize::from(batched);
        let mut bytes = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\n",
            plan.target.host,
            line * plan.batch
        )
        .into_bytes();
        let mut key_at = None;
        if plan.keys {
            bytes.extend_from_slice(format!("Idempotency-Key: {run:016x}-").as_bytes());
            key_at = Some(bytes.len());
            bytes.extend_from_slice(format!("{FIRST_NUMBER}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        let body_at = bytes.len();
        for _ in 0..plan.batch {
            bytes.extend_from_slice(plan.template.text());
            if batched {
                bytes.push(b'\n');
            }
        }
        Self { bytes, key_at, body_at }
    }

    /// Appends the `number`-th request of the run to `out`.
    pub(crate) fn append(&mut self, plan: &Plan, number: u64, out: &mut Vec<u8>) {
        if let Some(at) = self.key_at {
            write_number(&mut self.bytes[at..at + DIGITS], number);
        }
        let bytes = plan.template.bytes();
        let step = bytes + usize::from(plan.batch > 1);
        let mut at = self.body_at;
        for line in 0..plan.batch as u64 {
            let sequence = number.wrapping_mul(plan.batch as u64).wrapping_add(line);
            plan.template.fill(&mut self.bytes[at..at + bytes], sequence);
            at += step;
        }
        out.extend_from_slice(&self.bytes);
    }
}

#[cfg(test)]
mod tests;

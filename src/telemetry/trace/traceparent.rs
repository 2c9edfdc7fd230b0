//! The header `traceparent`: `00-<32 hex digits: trace>-<16: span>-<2: flags>`.
//! Source: W3C Trace Context, level 2, sections 3.2.2 and 4.3.

use super::TraceContext;

/// The length of a header of version 00, the only one that is written. Unit: bytes.
pub const TRACEPARENT_BYTES: usize = 55;

/// The caller records this trace and asks us to.
const SAMPLED: u8 = 1;

/// A version that no header may have.
const VERSION_FORBIDDEN: u8 = 0xff;

/// What a caller says of the trace it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traceparent {
    /// Nothing, or nothing that can be read, which counts the same (section 4.3).
    Absent,
    /// It is in a trace that is not recorded.
    Unsampled,
    /// It is in a trace that is recorded.
    Sampled(TraceContext),
}

impl Traceparent {
    /// Reads a header's value, without space around it. A request with more than one such header
    /// has none that counts: that is for the caller to see.
    pub fn parse(value: &[u8]) -> Self {
        match parse(value) {
            None => Self::Absent,
            Some((_, flags)) if flags & SAMPLED == 0 => Self::Unsampled,
            Some((context, _)) => Self::Sampled(context),
        }
    }
}

impl TraceContext {
    /// Reads a `traceparent`; only one that can be read and is sampled gives a context.
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        match Traceparent::parse(traceparent) {
            Traceparent::Sampled(context) => Some(context),
            Traceparent::Unsampled | Traceparent::Absent => None,
        }
    }

    /// Appends the `traceparent` to send with what this context causes.
    ///
    /// The flags say "sampled" and nothing else: whether the ids are random (level 2) is known to
    /// the root alone.
    pub fn write_traceparent(self, out: &mut Vec<u8>) {
        assert!(self.trace != 0 && self.span != 0, "what leaves a node names its trace and span");
        out.reserve(TRACEPARENT_BYTES);
        out.extend_from_slice(b"00-");
        write_hex(out, &self.trace.to_be_bytes());
        out.push(b'-');
        write_hex(out, &self.span.to_be_bytes());
        out.extend_from_slice(b"-01");
    }
}

fn parse(value: &[u8]) -> Option<(TraceContext, u8)> {
    // Later versions may append fields after another dash; version 00 ends here.
    let (head, more) = value.split_at_checked(TRACEPARENT_BYTES)?;
    let version = hex(&head[..2])?;
    let fits = if version == 0 { more.is_empty() } else { matches!(more, [] | [b'-', ..]) };
    if version == u128::from(VERSION_FORBIDDEN) || !fits {
        return None;
    }
    if [head[2], head[35], head[52]] != *b"---" {
        return None;
    }
    let trace = hex(&head[3..35])?;
    let span = u64::try_from(hex(&head[36..52])?).expect("16 digits are 64 bits");
    let flags = u8::try_from(hex(&head[53..])?).expect("2 digits are 8 bits");
    (trace != 0 && span != 0).then_some((TraceContext { trace, span }, flags))
}

/// At most 32 digits, in lower case as the standard has them.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// Appends two digits per byte, in lower case.
pub(crate) fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests;

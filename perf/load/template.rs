//! The message that is sent, with places that change.
//!
//! Invariants:
//! - every message made of a template has the same number of bytes, so that a request's head never
//!   changes;
//! - every message is one line of JSON.

use anyhow::{Context as _, ensure};

/// Digits of a number that is put into a message.
pub(crate) const DIGITS: usize = 12;

/// The first number: it has [`DIGITS`] digits and no leading zero, so that it is a number in JSON
/// where it stands bare, and keeps its width.
pub(crate) const FIRST_NUMBER: u64 = 100_000_000_000;

/// Numbers before they begin again.
const NUMBERS: u64 = 900_000_000_000;

/// The field of the default message that fills it up.
const FILLED: &str =
    r#"{"event_type":"load_test","seq":{seq},"user_id":"user_{random}","amount":17,"note":""}"#;

/// What a place is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    Sequence,
    Random,
}

/// A message with places to fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// The message, with digits in its places.
    text: Vec<u8>,
    places: Vec<(usize, Fill)>,
}

impl Template {
    /// Reads a message in which `{seq}` and `{random}` are to be filled.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut rest = text.trim();
        let mut template = Self { text: Vec::new(), places: Vec::new() };
        while let Some(open) = rest.find('{') {
            let (before, from) = rest.split_at(open);
            template.text.extend_from_slice(before.as_bytes());
            let names = [("{seq}", Fill::Sequence), ("{random}", Fill::Random)];
            if let Some((name, fill)) = names.iter().find(|(name, _)| from.starts_with(name)) {
                template.places.push((template.text.len(), *fill));
                template.text.extend_from_slice(FIRST_NUMBER.to_string().as_bytes());
                rest = &from[name.len()..];
            } else {
                template.text.push(b'{');
                rest = &from[1..];
            }
        }
        template.text.extend_from_slice(rest.as_bytes());
        let message: serde_json::Value = serde_json::from_slice(&template.text)
            .context("the message is no JSON once {seq} and {random} are numbers")?;
        ensure!(message.is_object(), "the message is no JSON object");
        // White space between tokens may hold line ends, which would cut a line of a batch in two. A
        // string cannot: JSON escapes them.
        for byte in &mut template.text {
            if matches!(*byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        Ok(template)
    }

    /// A message of `bytes` bytes that no example rule matches.
    pub(crate) fn of_size(bytes: usize) -> anyhow::Result<Self> {
        let plain = Self::parse(FILLED)?.bytes();
        ensure!(bytes >= plain, "the smallest message has {plain} bytes");
        let note = "x".repeat(bytes - plain);
        let sized = Self::parse(&FILLED.replace("\"note\":\"\"", &format!("\"note\":\"{note}\"")))?;
        assert!(sized.bytes() == bytes, "a sized template has its size");
        Ok(sized)
    }

    /// Bytes of every message.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The message as it stands before it is filled.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Fills the message that stands in `message` with those of `sequence`.
    pub(crate) fn fill(&self, message: &mut [u8], sequence: u64) {
        for (at, fill) in &self.places {
            let number = match fill {
                Fill::Sequence => sequence,
                Fill::Random => scatter(sequence),
            };
            write_number(&mut message[*at..at + DIGITS], number);
        }
    }
}

/// Writes `number` (modulo how many there are) with its 12 digits.
pub(crate) fn write_number(place: &mut [u8], number: u64) {
    assert!(place.len() == DIGITS, "a place has room for a number");
    let mut rest = FIRST_NUMBER + number % NUMBERS;
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("a digit");
        rest /= 10;
    }
}

/// A number that looks random and is the same in every run: the last step of splitmix64.
fn scatter(sequence: u64) -> u64 {
    let mut z = sequence.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;

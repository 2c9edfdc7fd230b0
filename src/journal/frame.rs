//! A frame: one write of the log. Its header, then the entries one after the other, then zeros up
//! to the next block.

use crate::Entry;
use crate::format::{ENTRY_HEADER_BYTES, FRAME_HEADER_BYTES, FrameHeader};
use bytes::Bytes;

/// What an entry takes within a payload. Unit: bytes.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    ENTRY_HEADER_BYTES + entry.data.len()
}

/// Fills `bytes` with a frame and returns its chain. Sets the payload's length and CRC in `header`.
pub(crate) fn write<'a>(
    mut header: FrameHeader,
    entries: impl Iterator<Item = &'a Entry>,
    bytes: &mut [u8],
) -> u32 {
    let mut at = FRAME_HEADER_BYTES;
    let mut put = |part: &[u8]| {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    };
    for entry in entries {
        let length = u32::try_from(entry.data.len()).expect("entries are bounded by the config");
        let mut head = [0; ENTRY_HEADER_BYTES];
        head[..8].copy_from_slice(&entry.index.to_le_bytes());
        head[8..16].copy_from_slice(&entry.term.to_le_bytes());
        head[16] = entry.kind;
        head[17..].copy_from_slice(&length.to_le_bytes());
        put(&head);
        put(&entry.data);
    }
    bytes[at..].fill(0);
    let payload = &bytes[FRAME_HEADER_BYTES..at];
    header.payload_bytes = u32::try_from(payload.len()).expect("payloads are bounded");
    header.payload_crc = crc32fast::hash(payload);
    assert_eq!(header.bytes(), bytes.len() as u64, "a frame fills its buffer");
    header.write(bytes)
}

/// The payload of the frame that starts `bytes`, or nothing when it is torn or leaves `bytes`.
pub(crate) fn payload<'a>(header: &FrameHeader, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let end = FRAME_HEADER_BYTES.checked_add(header.payload_bytes as usize)?;
    let payload = bytes.get(FRAME_HEADER_BYTES..end)?;
    (crc32fast::hash(payload) == header.payload_crc).then_some(payload)
}

/// The entries of a whole payload, or nothing when they are not the contiguous ones that the header
/// promises: then the writer was wrong.
pub(crate) fn entries(header: &FrameHeader, mut payload: &[u8]) -> Option<Vec<Entry>> {
    let mut list = Vec::new();
    let mut index = header.first_index;
    while let Some((head, rest)) = payload.split_at_checked(ENTRY_HEADER_BYTES) {
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
        let length = u32::from_le_bytes(head[17..].try_into().expect("4 bytes")) as usize;
        let (data, rest) = rest.split_at_checked(length)?;
        if number(0) != index {
            return None;
        }
        let data = Bytes::copy_from_slice(data);
        list.push(Entry { index, term: number(8), kind: head[16], data });
        index = index.checked_add(1)?;
        payload = rest;
    }
    (payload.is_empty() && index.checked_sub(1) == Some(header.last_index)).then_some(list)
}

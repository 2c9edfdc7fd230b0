//! The checksum of a frame: CRC-32 (IEEE) of all its bytes, with zeros where the checksum itself
//! stands.
//!
//! A frame that arrived has its checksum in the middle of what is to be summed. Summing around it
//! would take three calls, of which the small ones cost as much as a small frame; writing zeros into
//! what was received would change it. But a CRC is linear: whatever stands in the field adds to the
//! state after it as a known function of these 32 bits, and so does the state that one begins with. So
//! there is one state to begin with that cancels the field, and the frame is summed in one go.
//!
//! Source: Stigge, Plötz, Müller, Redlich, *Reversing CRC - Theory and Practice*, 2006.

use crate::header::{CRC_AT, PAYLOAD_BYTES_AT};

/// The polynomial, reflected.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What one byte makes of a state of zero.
const FORWARD: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "counts to 255")]
        let mut state = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            state = if state & 1 == 1 { state >> 1 ^ POLYNOMIAL } else { state >> 1 };
            bit += 1;
        }
        table[byte] = state;
        byte += 1;
    }
    table
};

/// Which byte led to a state with this upper byte.
const BACKWARD: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "counts to 255")]
        {
            table[(FORWARD[byte] >> 24) as usize] = byte as u32;
        }
        byte += 1;
    }
    table
};

/// The state that `bytes` bytes of zero turn into this one.
const fn rewind(mut state: u32, bytes: usize) -> u32 {
    let mut byte = 0;
    while byte < bytes {
        let index = BACKWARD[(state >> 24) as usize];
        state = (state ^ FORWARD[index as usize]) << 8 | index;
        byte += 1;
    }
    state
}

/// For each of the four bytes of a field, and each of its values, the state to begin with that does to
/// the sum what the field would.
type Contribution = [[u32; 256]; 4];

/// The contribution of the field that begins `at` so many bytes.
const fn contribution_of(at: usize) -> Contribution {
    let mut table = [[0; 256]; 4];
    let mut place = 0;
    while place < 4 {
        let mut byte = 0;
        while byte < 256 {
            #[allow(clippy::cast_possible_truncation, reason = "counts to 255")]
            let there = (byte as u32) << (8 * place);
            table[place][byte] = rewind(there, at);
            byte += 1;
        }
        place += 1;
    }
    table
}

static OF_CRC: Contribution = contribution_of(CRC_AT);
static OF_PAYLOAD_BYTES: Contribution = contribution_of(PAYLOAD_BYTES_AT);

#[inline]
fn sum(frame: &[u8], contribution: &Contribution, field: u32) -> u32 {
    let mut state = 0;
    for (values, byte) in contribution.iter().zip(field.to_be_bytes()) {
        state ^= values[usize::from(byte)];
    }
    let mut hasher = crc32fast::Hasher::new_with_initial(state);
    hasher.update(frame);
    hasher.finalize()
}

/// The checksum of a frame that has `crc` where zeros are to be summed.
#[inline]
pub(crate) fn of_received(frame: &[u8], crc: u32) -> u32 {
    sum(frame, &OF_CRC, crc)
}

/// The checksum of a frame that has zeros where `payload_bytes` are to be summed, and no checksum yet.
/// Written only after it, the length does not hold up the sum, which begins with it.
#[inline]
pub(crate) fn of_written(frame: &[u8], payload_bytes: u32) -> u32 {
    sum(frame, &OF_PAYLOAD_BYTES, payload_bytes)
}

#[cfg(test)]
mod tests;

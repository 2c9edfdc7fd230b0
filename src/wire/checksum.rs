//! The checksum of a frame: CRC-32 (IEEE) of all its bytes, with zeros where the checksum itself
//! stands.
//!
//! A frame that arrived has its checksum in the middle of what is to be summed. Summing around it
//! would take three calls, of which the small ones cost as much as a small frame; writing zeros into
//! what was received would change it. But a CRC is linear: whatever stands in the field adds to the
//! state after it as a known function of these 32 bits, and so does the state that one begins with. So
//! there is one state to begin with that cancels the field, and the frame is summed in one go.
//!
//! Source: Stigge, Plötz, Müller, Redlich, *Reversing CRC - Theory and Practice*, 2006, section 4.

use crate::header::CRC_AT;

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

/// For each of the field's four bytes and each of its values, the state to begin with that cancels it
/// once the bytes in front are summed.
static CANCELS: [[u32; 256]; 4] = {
    let mut table = [[0; 256]; 4];
    let mut at = 0;
    while at < 4 {
        let mut byte = 0;
        while byte < 256 {
            #[allow(clippy::cast_possible_truncation, reason = "counts to 255")]
            let there = (byte as u32) << (8 * at);
            table[at][byte] = rewind(there, CRC_AT);
            byte += 1;
        }
        at += 1;
    }
    table
};

/// The checksum of a frame with `crc` in its header.
#[inline]
pub(crate) fn of_frame(frame: &[u8], crc: u32) -> u32 {
    let there = crc.to_be_bytes();
    let mut state = 0;
    for (cancels, byte) in CANCELS.iter().zip(there) {
        state ^= cancels[usize::from(byte)];
    }
    let mut hasher = crc32fast::Hasher::new_with_initial(state);
    hasher.update(frame);
    hasher.finalize()
}

#[cfg(test)]
mod tests;

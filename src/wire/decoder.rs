//! Frames out of a stream whose bytes come as they come.
//!
//! Invariants:
//! - a byte is moved at most once after it was read, unless the buffer grows for its frame;
//! - the buffer holds at most one frame of the size that is allowed, or one large read;
//! - memory follows bytes that arrived, never a length that a header claims;
//! - what was yielded is not looked at again, and after an error nothing is yielded.

use crate::frame::{Frame, FrameError, TRACE_BYTES, check_crc, frame_bytes};
use crate::header::{HEADER_BYTES, Header};

/// The buffer of a connection that says little. Unit: bytes. Ten thousand of them are 40 MiB.
pub const READ_BYTES_MIN: usize = 4 * 1024;

/// The buffer of a connection that says much in small frames. Unit: bytes. One read then costs some
/// 10 us of copying, beside which the system call is nothing.
pub const READ_BYTES_MAX: usize = 128 * 1024;

/// After how many reads a buffer is cut to twice what they needed.
const READS_PER_LOOK: u32 = 64;

/// Takes the bytes of one stream and yields its frames. It owns the buffer that the socket is read
/// into, and lends the frames out of it.
#[derive(Debug)]
pub struct Decoder {
    /// Always as long as its capacity was asked to be: zeroed once, when it is made.
    buffer: Vec<u8>,
    /// What was read and not yet yielded lies from here …
    start: usize,
    /// … to here.
    end: usize,
    payload_bytes_max: usize,
    /// The last read left no room.
    was_full: bool,
    /// Reads since the buffer's size was last looked at.
    reads: u32,
    /// The most that the buffer held since then.
    held_max: usize,
    broken: Option<FrameError>,
}

impl Decoder {
    /// A decoder that refuses payloads of more than `payload_bytes_max` (a trace context not
    /// counted). It allocates nothing before the first [`space`](Self::space).
    pub fn new(payload_bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            end: 0,
            payload_bytes_max,
            was_full: false,
            reads: 0,
            held_max: 0,
            broken: None,
        }
    }

    /// Where to read the socket into, never empty. Ask for it when [`next`](Self::next) has nothing
    /// more.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let bytes = self.bytes_wanted();
        if bytes > self.buffer.len() {
            self.buffer.resize(bytes, 0);
        } else if bytes < self.buffer.len() {
            let mut smaller = vec![0; bytes];
            smaller[..self.end].copy_from_slice(&self.buffer[..self.end]);
            self.buffer = smaller;
        }
        assert!(self.end < self.buffer.len(), "frames are taken before more is read");
        &mut self.buffer[self.end..]
    }

    /// How long the buffer should be.
    fn bytes_wanted(&mut self) -> usize {
        let bytes = self.buffer.len();
        let was_full = std::mem::take(&mut self.was_full);
        if self.end == bytes {
            // Not even the room for one frame, or the very first time.
            let bytes_max = (HEADER_BYTES + TRACE_BYTES).saturating_add(self.payload_bytes_max);
            return (2 * bytes).clamp(READ_BYTES_MIN, bytes_max.max(READ_BYTES_MAX));
        }
        if was_full && bytes < READ_BYTES_MAX {
            return 2 * bytes;
        }
        if self.reads < READS_PER_LOOK {
            return bytes;
        }
        let enough = (2 * self.held_max).next_power_of_two().max(READ_BYTES_MIN);
        (self.reads, self.held_max) = (0, 0);
        // Half of what is enough holds what is there.
        enough.min(bytes)
    }

    /// The first `bytes` of the space were read into.
    pub fn filled(&mut self, bytes: usize) {
        if self.broken.is_some() {
            return;
        }
        assert!(bytes <= self.buffer.len() - self.end, "no more is read than there was space for");
        self.end += bytes;
        self.was_full = self.end == self.buffer.len();
        self.reads = self.reads.saturating_add(1);
        self.held_max = self.held_max.max(self.end);
    }

    /// The next frame, if it is there whole.
    ///
    /// # Errors
    /// The stream brought something that is no frame. Close it: every later call says the same.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    #[inline]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        match self.find() {
            Ok(None) => Ok(None),
            Err(error) => Err(self.give_up(error)),
            Ok(Some((header, frame_bytes))) => {
                let payload = self.start + HEADER_BYTES..self.start + frame_bytes;
                self.start += frame_bytes;
                match Frame::from_checked(header, &self.buffer[payload]) {
                    Ok(frame) => Ok(Some(frame)),
                    Err(error) => {
                        self.broken = Some(error);
                        Err(error)
                    }
                }
            }
        }
    }

    /// The header of the next frame, and how long the frame is, once it is there and undamaged.
    #[inline]
    fn find(&self) -> Result<Option<(Header, usize)>, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let unread = &self.buffer[self.start..self.end];
        let Some(first) = unread.first_chunk::<HEADER_BYTES>() else {
            Header::check_start(unread)?;
            return Ok(None);
        };
        let header = Header::decode(first)?;
        let frame_bytes = frame_bytes(&header, self.payload_bytes_max)?;
        let Some(frame) = unread.get(..frame_bytes) else {
            return Ok(None);
        };
        check_crc(&header, frame)?;
        Ok(Some((header, frame_bytes)))
    }

    #[cold]
    fn give_up(&mut self, error: FrameError) -> FrameError {
        self.broken = Some(error);
        (self.start, self.end) = (0, 0);
        error
    }

    /// The stream has ended: was that between two frames?
    ///
    /// # Errors
    /// It ended within a frame, or was broken before.
    pub fn finish(&self) -> Result<(), FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let unread = &self.buffer[self.start..self.end];
        if unread.is_empty() {
            return Ok(());
        }
        let needed = match unread.first_chunk::<HEADER_BYTES>() {
            Some(first) => frame_bytes(&Header::decode(first)?, self.payload_bytes_max)?,
            None => HEADER_BYTES,
        };
        Err(FrameError::Truncated { bytes: unread.len(), needed })
    }

    /// How many bytes were read that belong to no frame yielded so far.
    pub fn unread_bytes(&self) -> usize {
        self.end - self.start
    }

    /// How much memory the buffer takes. Unit: bytes.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Gives back the memory of a connection that has fallen silent, if nothing is unread.
    pub fn trim(&mut self) {
        if self.start == self.end {
            self.buffer = Vec::new();
            (self.start, self.end, self.was_full) = (0, 0, false);
        }
    }
}

#[cfg(test)]
mod tests;

//! Where the bytes of a write come from.

/// Makes buffers that the driver can write without another copy, such as aligned ones for direct
/// I/O.
pub trait Buffers {
    /// One buffer.
    type Buffer: AsRef<[u8]> + AsMut<[u8]> + 'static;

    /// A buffer of exactly `bytes` bytes, a multiple of [`crate::BLOCK_BYTES`]. What is in it does
    /// not matter: the journal writes all of it.
    fn allocate(&mut self, bytes: usize) -> Self::Buffer;
}

/// Plain memory, for the simulator and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapBuffers;

impl Buffers for HeapBuffers {
    type Buffer = Vec<u8>;

    fn allocate(&mut self, bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }
}

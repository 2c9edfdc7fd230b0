//! Bounds that several crates must agree on. A bound of one crate alone stands in that crate.

/// Partitions a cluster can have: an id gives them 12 bits.
pub const PARTITIONS_MAX: u16 = 1 << 12;

/// The largest message body. Unit: bytes. A batch entry holds at least four of them.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// The largest `messages:batch` request: lines.
pub const BATCH_MESSAGES_MAX: usize = 1_000;

/// The largest `messages:batch` request. Unit: bytes.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// The largest entry of the log. Unit: bytes. One session batch with the largest request in it,
/// its matches and its headers must fit, or that request could never be accepted.
pub const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How deep a message, a rule or a definition may nest. The parsers refuse more, so that no
/// recursion over a tree can exhaust a stack.
pub const NESTING_MAX: usize = 128;

/// The longest id of a rule, a workflow or a task. Unit: bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// The longest idempotency key. Unit: bytes.
pub const KEY_BYTES_MAX: usize = 256;

const _: () = assert!(ENTRY_BYTES_MAX >= 4 * MESSAGE_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX >= 2 * BATCH_BYTES_MAX);

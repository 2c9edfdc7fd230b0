//! The contract with a plugin: what a shared library offers a node, what a manifest may say about
//! it, how its tasks fail, and the frames between a node and the process that the library lives in.
//!
//! | part | where |
//! | --- | --- |
//! | the C ABI, version [`abi::ABI_VERSION`] | [`abi`], with the C header |
//! | `NAME.yaml` beside `NAME.so` | [`Manifest`] |
//! | why a task failed | [`TaskError`], [`code`] |
//! | node and plugin process | [`frame`] |
//! | which process runs which task | [`pool`] |
//!
//! Invariants:
//! - nothing here opens a library, a file or a process: that is `host`;
//! - what a plugin process sends is read like a stranger's bytes: it is bounded, and never panics.

#![forbid(unsafe_code)]

mod error;
pub mod frame;
mod manifest;
pub mod pool;

pub use abi;
pub use error::{CODE_BYTES_MAX, MESSAGE_BYTES_MAX, TaskError, code};
pub use manifest::{
    CPU_TIME_MIN, MEMORY_MAX, MEMORY_MIN, Manifest, Network, PATHS_MAX, PROCESSES_MAX, THREADS_MAX,
    VARIABLES_MAX,
};

/// The longest configuration of a task. Unit: bytes, as JSON.
pub const CONFIG_BYTES_MAX: usize = 256 * 1024;

/// The longest input of a task. Unit: bytes, as JSON. A task sees its message, which has at most
/// 256 KiB, and outputs of tasks before it, as many each.
pub const INPUT_BYTES_MAX: usize = 1024 * 1024;

/// The longest output of a task. Unit: bytes, as JSON. It becomes a record of the log.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// The longest line that a plugin may log. Unit: bytes; what is longer is cut.
pub const LOG_BYTES_MAX: usize = 4 * 1024;

/// Whether a plugin may be called so: `[a-z][a-z0-9_]*`, at most 64 bytes. It is the `type` of a
/// task, and the file's name.
pub fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    name.len() <= NAME_BYTES_MAX
        && letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// The longest name of a plugin. Unit: bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// The longest version of a plugin. Unit: bytes.
pub const VERSION_BYTES_MAX: usize = 64;

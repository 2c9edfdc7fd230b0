//! The C ABI of plugins in Rust: the same structs as `include/distric_plugin.h`, which is the contract.
//!
//! A crate of its own, and without any dependency, as it is what plugins link.
//!
//! Only shapes: whoever calls through them has to say why that is safe (`host`, the SDK).
//!
//! Invariants:
//! - every struct but [`Text`] begins with `abi_version` and `struct_size`;
//! - sizes and places of members are those of the header, as a C compiler lays it out (tests).

#![forbid(unsafe_code)]

use std::ffi::{c_char, c_void};

/// The version of the ABI. Members are only appended within a version; anything else is another.
pub const ABI_VERSION: u32 = 1;

/// The function that a plugin exports.
pub const SYMBOL: &str = "get_plugin_interface";

/// The C header.
pub const HEADER: &str = include_str!("include/distric_plugin.h");

/// Done.
pub const OK: i32 = 0;
/// Failed, and another attempt would fail too.
pub const FAILED: i32 = 1;
/// Failed, and another attempt could do better.
pub const FAILED_RETRY: i32 = 2;

/// Levels of a log line, least first: debug, info, warn, error.
pub const LOG_LEVELS: [i32; 4] = [1, 2, 3, 4];

/// `distric_text`: bytes that live until the called function returns.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Text {
    /// May be null where `length` is 0.
    pub data: *const c_char,
    /// Unit: bytes.
    pub length: usize,
}

impl Text {
    /// The text's place, for as long as the text lives.
    pub fn of(text: &str) -> Self {
        Self { data: text.as_ptr().cast(), length: text.len() }
    }

    /// No text.
    pub const EMPTY: Self = Self { data: std::ptr::null(), length: 0 };
}

/// `distric_plugin_output`.
#[derive(Debug)]
#[repr(C)]
pub struct Output {
    /// [`ABI_VERSION`].
    pub abi_version: u32,
    /// As its maker knows it.
    pub struct_size: u32,
    /// The host's own.
    pub host: *mut c_void,
    /// Appends.
    pub write: unsafe extern "C" fn(this: *const Output, data: *const c_char, length: usize) -> i32,
    /// Says why it failed.
    pub fail: unsafe extern "C" fn(this: *const Output, code: Text, message: Text),
}

/// `distric_plugin_config`.
#[derive(Debug)]
#[repr(C)]
pub struct Config {
    /// [`ABI_VERSION`].
    pub abi_version: u32,
    /// As its maker knows it.
    pub struct_size: u32,
    /// One JSON value.
    pub json: Text,
}

/// `distric_plugin_task`.
#[derive(Debug)]
#[repr(C)]
pub struct Task {
    /// [`ABI_VERSION`].
    pub abi_version: u32,
    /// As its maker knows it.
    pub struct_size: u32,
    /// The workflow's instance.
    pub instance: Text,
    /// Its definition.
    pub workflow: Text,
    /// The task's id in it.
    pub task: Text,
    /// The same for every attempt.
    pub idempotency_key: Text,
    /// A W3C traceparent, or empty.
    pub trace: Text,
    /// From 1.
    pub attempt: u32,
    /// 0.
    pub reserved: u32,
    /// What is left; 0: no limit. Unit: milliseconds.
    pub timeout_ms: u64,
}

/// `distric_plugin_context`.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// [`ABI_VERSION`].
    pub abi_version: u32,
    /// As its maker knows it.
    pub struct_size: u32,
    /// The host's own.
    pub host: *mut c_void,
    /// 1 when the result is not wanted any more.
    pub is_cancelled: unsafe extern "C" fn(this: *const Context) -> i32,
    /// Writes a line to the node's log.
    pub log: unsafe extern "C" fn(this: *const Context, level: i32, line: Text),
}

/// `distric_plugin_interface`. Functions are options, as a table in C may have nulls.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Interface {
    /// [`ABI_VERSION`].
    pub abi_version: u32,
    /// As its maker knows it.
    pub struct_size: u32,
    /// The plugin's name.
    pub get_name: Option<unsafe extern "C" fn() -> *const c_char>,
    /// The plugin's version.
    pub get_version: Option<unsafe extern "C" fn() -> *const c_char>,
    /// Whether a configuration is legal.
    pub validate_config:
        Option<unsafe extern "C" fn(config: *const Config, output: *const Output) -> i32>,
    /// Makes a handle.
    pub init: Option<
        unsafe extern "C" fn(
            config: *const Config,
            output: *const Output,
            handle: *mut *mut c_void,
        ) -> i32,
    >,
    /// Runs one task.
    pub execute: Option<
        unsafe extern "C" fn(
            handle: *mut c_void,
            task: *const Task,
            input: Text,
            output: *const Output,
            context: *const Context,
        ) -> i32,
    >,
    /// Gives a handle back.
    pub cleanup: Option<unsafe extern "C" fn(handle: *mut c_void)>,
}

/// `get_plugin_interface`.
pub type GetInterface = unsafe extern "C" fn() -> *const Interface;

/// What `abi_version` and `struct_size` are when this release makes a `T`.
pub const fn head<T>() -> (u32, u32) {
    let size = size_of::<T>();
    assert!(size <= u16::MAX as usize);
    #[allow(clippy::cast_possible_truncation, reason = "held against the limit right above")]
    (ABI_VERSION, size as u32)
}

#[cfg(test)]
mod tests;

//! Calls into the plugin, and what it may call back.
//!
//! Invariants:
//! - every struct that is handed over lives on this side until the call returns, and is never read
//!   back but for what the callbacks were given;
//! - an output is never longer than its limit, whatever the plugin writes.

#![allow(unsafe_code, reason = "the functions of the table are called as the header declares them")]

use super::library::Functions;
use super::work::Live;
use plugin::abi::{Config, Context, FAILED, FAILED_RETRY, OK, Output, Task, Text, head};
use plugin::frame::Run;
use plugin::{LOG_BYTES_MAX, MESSAGE_BYTES_MAX, TaskError, code};
use std::ffi::{c_char, c_void};

/// Instead of a message.
const NO_REASON: &str = "the plugin gave no reason";

/// What `init` left.
pub(crate) struct RawHandle(*mut c_void);

// SAFETY: the header says that `execute` is called by several threads at once with one handle.
unsafe impl Send for RawHandle {}
// SAFETY: as above.
unsafe impl Sync for RawHandle {}

/// Where a function of the plugin leaves its result.
struct Left {
    output: Vec<u8>,
    output_max: usize,
    is_too_large: bool,
    error: Option<(String, String)>,
}

impl Left {
    fn new(output_max: usize) -> Self {
        Self { output: Vec::new(), output_max, is_too_large: false, error: None }
    }

    fn as_output(&mut self) -> Output {
        let (abi_version, struct_size) = head::<Output>();
        let host = (&raw mut *self).cast();
        Output { abi_version, struct_size, host, write, fail }
    }

    /// What the plugin said of a failure.
    fn error(self, status: i32, fallback: &str) -> TaskError {
        let (code, message) = self.error.unwrap_or_default();
        let message = match (message.is_empty(), status) {
            (false, _) => message,
            (true, FAILED | FAILED_RETRY) => NO_REASON.to_owned(),
            (true, status) => format!("the plugin returned {status} and gave no reason"),
        };
        match fallback {
            "" => TaskError::of_plugin(&code, message, status == FAILED_RETRY),
            fallback if status == FAILED_RETRY && code.is_empty() => {
                TaskError::passing(fallback, message)
            }
            fallback if code.is_empty() => TaskError::lasting(fallback, message),
            _ => TaskError::of_plugin(&code, message, status == FAILED_RETRY),
        }
    }
}

/// The bytes of a plugin's text.
///
/// # Safety
/// `data` is null, or points to `length` bytes that live until the caller is through.
unsafe fn bytes<'a>(data: *const c_char, length: usize) -> &'a [u8] {
    if data.is_null() || length == 0 || length > isize::MAX.cast_unsigned() {
        return &[];
    }
    // SAFETY: the caller says so, and the length is one that a slice can have.
    unsafe { std::slice::from_raw_parts(data.cast(), length) }
}

unsafe extern "C" fn write(this: *const Output, data: *const c_char, length: usize) -> i32 {
    if this.is_null() {
        return FAILED;
    }
    // SAFETY: it is the output that the plugin was handed, so `host` is the `Left` of this very call,
    // which nothing else refers to while the plugin runs; the header allows one thread to use it.
    let left = unsafe { &mut *(*this).host.cast::<Left>() };
    if data.is_null() && length > 0 {
        return FAILED;
    }
    if left.is_too_large || length > left.output_max - left.output.len() {
        left.is_too_large = true;
        return FAILED;
    }
    // SAFETY: the header says that the plugin hands `length` bytes.
    left.output.extend_from_slice(unsafe { bytes(data, length) });
    OK
}

unsafe extern "C" fn fail(this: *const Output, code: Text, message: Text) {
    if this.is_null() {
        return;
    }
    // SAFETY: as in `write`.
    let left = unsafe { &mut *(*this).host.cast::<Left>() };
    let text = |text: Text, most: usize| {
        // SAFETY: the header says that the plugin hands `length` bytes.
        let bytes = unsafe { bytes(text.data, text.length.min(most)) };
        String::from_utf8_lossy(bytes).into_owned()
    };
    left.error = Some((text(code, MESSAGE_BYTES_MAX), text(message, MESSAGE_BYTES_MAX)));
}

unsafe extern "C" fn is_cancelled(this: *const Context) -> i32 {
    if this.is_null() {
        return 0;
    }
    // SAFETY: it is the context that the plugin was handed, so `host` is the `Live` of its task,
    // which is only read.
    let task = unsafe { &*(*this).host.cast::<Live>() };
    i32::from(task.is_cancelled())
}

unsafe extern "C" fn log(this: *const Context, level: i32, line: Text) {
    if this.is_null() {
        return;
    }
    // SAFETY: as in `is_cancelled`.
    let task = unsafe { &*(*this).host.cast::<Live>() };
    // SAFETY: the header says that the plugin hands `length` bytes.
    let line = unsafe { bytes(line.data, line.length.min(LOG_BYTES_MAX)) };
    task.log(level, &String::from_utf8_lossy(line));
}

fn config_of(config: &str) -> Config {
    let (abi_version, struct_size) = head::<Config>();
    Config { abi_version, struct_size, json: Text::of(config) }
}

/// What the plugin says of a failed configuration has at most so many bytes of output, which nobody
/// reads.
const NO_OUTPUT: usize = 4096;

/// Whether a configuration is legal.
pub(crate) fn validate(functions: &Functions, config: &str) -> Result<(), TaskError> {
    let mut left = Left::new(NO_OUTPUT);
    let output = left.as_output();
    let config = config_of(config);
    // SAFETY: all of it lives until the call returns.
    let status = unsafe { (functions.validate_config)(&raw const config, &raw const output) };
    if status == OK {
        return Ok(());
    }
    // Legal or not is not a matter of another attempt, nor of a code of its own.
    let (_, message) = left.error.take().unwrap_or_default();
    let message = if message.is_empty() { NO_REASON.to_owned() } else { message };
    Err(TaskError::lasting(code::CONFIG, message))
}

/// Makes a handle.
pub(crate) fn init(functions: &Functions, config: &str) -> Result<RawHandle, TaskError> {
    let mut left = Left::new(NO_OUTPUT);
    let output = left.as_output();
    let config = config_of(config);
    let mut handle = std::ptr::null_mut();
    // SAFETY: all of it lives until the call returns.
    let status = unsafe { (functions.init)(&raw const config, &raw const output, &raw mut handle) };
    if status == OK { Ok(RawHandle(handle)) } else { Err(left.error(status, code::CONFIG)) }
}

/// Gives a handle back.
pub(crate) fn cleanup(functions: &Functions, handle: &RawHandle) {
    // SAFETY: the handle is `init`'s, and this is the end of its last user.
    unsafe { (functions.cleanup)(handle.0) }
}

/// Runs a task.
pub(crate) fn execute(
    functions: &Functions,
    handle: &RawHandle,
    run: &Run<'_>,
    live: &Live,
    output_max: usize,
) -> Result<Vec<u8>, TaskError> {
    let mut left = Left::new(output_max);
    let output = left.as_output();
    let (abi_version, struct_size) = head::<Task>();
    let task = Task {
        abi_version,
        struct_size,
        instance: Text::of(run.instance),
        workflow: Text::of(run.workflow),
        task: Text::of(run.task),
        idempotency_key: Text::of(run.idempotency_key),
        trace: Text::of(run.trace),
        attempt: run.attempt,
        reserved: 0,
        timeout_ms: run.timeout_ms,
    };
    let (abi_version, struct_size) = head::<Context>();
    let host = (&raw const *live).cast_mut().cast();
    let context = Context { abi_version, struct_size, host, is_cancelled, log };
    let input = Text::of(run.input);
    // SAFETY: all of it lives until the call returns; the handle is `init`'s of this library and is
    // not given back while somebody uses it.
    let status = unsafe {
        let (task, output, context) = (&raw const task, &raw const output, &raw const context);
        (functions.execute)(handle.0, task, input, output, context)
    };
    if left.is_too_large {
        let message = format!("the output has more than {output_max} bytes");
        return Err(TaskError::lasting(code::OUTPUT_TOO_LARGE, message));
    }
    if status != OK {
        return Err(left.error(status, ""));
    }
    Ok(left.output)
}

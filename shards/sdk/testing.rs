//! Tries a plugin out in a test, without a node: through the very table that a node would call.

#![allow(unsafe_code, reason = "it stands in for the node, which calls by pointers")]

use crate::{Failure, Plugin, Value, interface};
use abi::{Config, Context, Output, Text, head};
use std::ffi::{c_char, c_void};
use std::sync::Mutex;

/// What a plugin left.
#[derive(Default)]
struct Left {
    output: Mutex<Vec<u8>>,
    failure: Mutex<Option<(String, String)>>,
}

unsafe extern "C" fn write(this: *const Output, data: *const c_char, length: usize) -> i32 {
    // SAFETY: it is called with the output made below, and as many bytes as it says.
    let (left, bytes) = unsafe {
        (&*(*this).host.cast::<Left>(), std::slice::from_raw_parts(data.cast::<u8>(), length))
    };
    left.output.lock().expect("no plugin panics while it holds this").extend_from_slice(bytes);
    abi::OK
}

unsafe extern "C" fn fail(this: *const Output, code: Text, message: Text) {
    // SAFETY: it is called with the output made below.
    let left = unsafe { &*(*this).host.cast::<Left>() };
    // SAFETY: it is called with texts that live until it returns.
    let [code, message] = [code, message].map(|text| unsafe { crate::raw::text(text) }.to_owned());
    *left.failure.lock().expect("no plugin panics while it holds this") = Some((code, message));
}

unsafe extern "C" fn never_cancelled(_: *const Context) -> i32 {
    0
}

unsafe extern "C" fn print(_: *const Context, level: i32, line: Text) {
    // SAFETY: it is called with a line that lives until it returns.
    println!("log {level}: {}", unsafe { crate::raw::text(line) });
}

fn output(left: &Left) -> Output {
    let (abi_version, struct_size) = head::<Output>();
    let host = (&raw const *left).cast_mut().cast();
    Output { abi_version, struct_size, host, write, fail }
}

fn result(status: i32, left: Left) -> Result<Vec<u8>, Failure> {
    let unlocked = "no plugin panics while it holds this";
    if status == abi::OK {
        return Ok(left.output.into_inner().expect(unlocked));
    }
    let (code, message) = left.failure.into_inner().expect(unlocked).unwrap_or_default();
    Err(Failure { code, message, retryable: status == abi::FAILED_RETRY })
}

/// Whether the plugin takes a configuration; if not, why.
pub fn validate<P: Plugin>(config: &Value) -> Result<(), String> {
    let json = config.to_string();
    let (abi_version, struct_size) = head::<Config>();
    let config = Config { abi_version, struct_size, json: Text::of(&json) };
    let left = Left::default();
    let output = output(&left);
    let validate = interface::<P>().validate_config.expect("the table is whole");
    // SAFETY: all of it lives until the call returns.
    let status = unsafe { validate(&raw const config, &raw const output) };
    result(status, left).map(|_| ()).map_err(|failure| failure.message)
}

/// Asks the plugin for a configuration, makes it, runs one task, and gives it back.
pub fn run<P: Plugin>(config: &Value, input: &Value) -> Result<Value, Failure> {
    validate::<P>(config).map_err(|message| Failure::new("plugin_config", message))?;
    let table = interface::<P>();
    let json = config.to_string();
    let (abi_version, struct_size) = head::<Config>();
    let config = Config { abi_version, struct_size, json: Text::of(&json) };
    let mut handle: *mut c_void = std::ptr::null_mut();
    let left = Left::default();
    let init = table.init.expect("the table is whole");
    let made = output(&left);
    // SAFETY: all of it lives until the call returns.
    let status = unsafe { init(&raw const config, &raw const made, &raw mut handle) };
    result(status, left)?;
    let (abi_version, struct_size) = head::<abi::Task>();
    let task = abi::Task {
        abi_version,
        struct_size,
        instance: Text::of("test-1"),
        workflow: Text::of("test"),
        task: Text::of("task"),
        idempotency_key: Text::of("test-1/task"),
        trace: Text::EMPTY,
        attempt: 1,
        reserved: 0,
        timeout_ms: 0,
    };
    let (abi_version, struct_size) = head::<Context>();
    let context = Context {
        abi_version,
        struct_size,
        host: std::ptr::null_mut(),
        is_cancelled: never_cancelled,
        log: print,
    };
    let input = input.to_string();
    let left = Left::default();
    let (execute, cleanup) =
        (table.execute.expect("the table is whole"), table.cleanup.expect("the table is whole"));
    // SAFETY: all of it lives until the calls return; the handle is `init`'s, and given back once.
    let status = unsafe {
        let output = output(&left);
        let (task, context) = (&raw const task, &raw const context);
        let status = execute(handle, task, Text::of(&input), &raw const output, context);
        cleanup(handle);
        status
    };
    let json = result(status, left)?;
    serde_json::from_slice(&json).map_err(|error| format!("the output is no JSON: {error}").into())
}

//! The C side of a plugin in Rust.

#![allow(unsafe_code, reason = "the node calls by pointers, as distric_plugin.h declares them")]

use crate::{Failure, Plugin, Task, Value};
use abi::{Config, Context, Interface, Output, Text, head};
use std::any::Any;
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The table of a plugin.
struct Table<P>(PhantomData<P>);

impl<P: Plugin> Table<P> {
    const INTERFACE: &'static Interface = &Interface {
        abi_version: head::<Interface>().0,
        struct_size: head::<Interface>().1,
        get_name: Some(get_name::<P>),
        get_version: Some(get_version::<P>),
        validate_config: Some(validate_config::<P>),
        init: Some(init::<P>),
        execute: Some(execute::<P>),
        cleanup: Some(cleanup::<P>),
    };
}

/// The table of a plugin, as `get_plugin_interface` returns it.
pub fn interface<P: Plugin>() -> &'static Interface {
    Table::<P>::INTERFACE
}

unsafe extern "C" fn get_name<P: Plugin>() -> *const c_char {
    CStr::as_ptr(P::NAME)
}

unsafe extern "C" fn get_version<P: Plugin>() -> *const c_char {
    CStr::as_ptr(P::VERSION)
}

/// What `pointer` points to, when it is there and as long as this release knows it.
///
/// # Safety
/// It is null, or points to a struct of the node's that begins with its version and size, and lives
/// until the function that it was handed to returns.
unsafe fn checked<'a, T>(pointer: *const T) -> Result<&'a T, Failure> {
    if pointer.is_null() {
        return Err("the node handed nothing where a struct belongs".into());
    }
    let head = pointer.cast::<[u32; 2]>();
    // SAFETY: the caller says that these two are there.
    let [version, size] = unsafe { *head };
    if version != abi::ABI_VERSION || (size as usize) < size_of::<T>() {
        return Err(format!(
            "the node has version {version} of the plugin ABI with a struct of {size} bytes, this \
             plugin was built for version {} with {}",
            abi::ABI_VERSION,
            size_of::<T>()
        )
        .into());
    }
    // SAFETY: it is as long as the type, and the caller says that it lives.
    Ok(unsafe { &*pointer })
}

/// A text of the node's, or of a test in its place.
///
/// # Safety
/// It is UTF-8 of so many bytes, and lives for `'a`.
pub(crate) unsafe fn text<'a>(text: Text) -> &'a str {
    if text.data.is_null() || text.length == 0 {
        return "";
    }
    // SAFETY: the caller says so.
    unsafe {
        let bytes = std::slice::from_raw_parts(text.data.cast::<u8>(), text.length);
        std::str::from_utf8_unchecked(bytes)
    }
}

/// The node, while a task runs.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a>(&'a Context);

impl<'a> Node<'a> {
    /// # Safety
    /// The functions of the context may be called with it for `'a`.
    unsafe fn of(context: &'a Context) -> Self {
        Self(context)
    }

    pub(crate) fn is_cancelled(self) -> bool {
        // SAFETY: whoever made this said so.
        unsafe { (self.0.is_cancelled)(&raw const *self.0) != 0 }
    }

    pub(crate) fn log(self, level: i32, line: &str) {
        // SAFETY: as above; the line lives until the call returns.
        unsafe { (self.0.log)(&raw const *self.0, level, Text::of(line)) }
    }
}

/// A task as the plugin sees it.
///
/// # Safety
/// Both are the node's, for a call that is going on.
unsafe fn task_of<'a>(raw: &'a abi::Task, context: &'a Context) -> Task<'a> {
    // SAFETY: the header says that the texts live until the call returns, and what may be called.
    unsafe {
        Task {
            instance: text(raw.instance),
            workflow: text(raw.workflow),
            id: text(raw.task),
            idempotency_key: text(raw.idempotency_key),
            trace: text(raw.trace),
            attempt: raw.attempt,
            timeout_ms: raw.timeout_ms,
            node: Node::of(context),
        }
    }
}

/// Tells the node why it failed.
fn fail(output: &Output, failure: &Failure) -> i32 {
    // SAFETY: it is the node's function, for the node's own output; both texts live until it returns.
    unsafe {
        (output.fail)(&raw const *output, Text::of(&failure.code), Text::of(&failure.message));
    };
    if failure.retryable { abi::FAILED_RETRY } else { abi::FAILED }
}

/// Runs the plugin's own code. A panic of it ends here.
fn guarded<T>(run: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(told(&*panic)))
}

fn told(panic: &(dyn Any + Send)) -> Failure {
    let message = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned());
    Failure::new("panicked", format!("the plugin panicked: {message}"))
}

fn parse(what: &str, json: &str) -> Result<Value, Failure> {
    serde_json::from_str(json).map_err(|error| format!("the {what} is no JSON: {error}").into())
}

/// Writes what a call left, or says why there is nothing.
///
/// # Safety
/// As [`checked`].
unsafe fn leave(output: *const Output, result: Result<Option<Value>, Failure>) -> i32 {
    // SAFETY: the caller says so.
    let Ok(output) = (unsafe { checked(output) }) else { return abi::FAILED };
    match result {
        Ok(None) => abi::OK,
        Ok(Some(value)) => {
            let json = value.to_string();
            // SAFETY: it is the node's function, for the node's own output, and copies.
            unsafe { (output.write)(&raw const *output, json.as_ptr().cast(), json.len()) }
        }
        Err(failure) => fail(output, &failure),
    }
}

unsafe extern "C" fn validate_config<P: Plugin>(
    config: *const Config,
    output: *const Output,
) -> i32 {
    // SAFETY: the node hands in what the header says.
    let config = unsafe { checked(config) };
    let result = guarded(|| {
        let config = config?;
        // SAFETY: the header says that it lives until the call returns.
        let config = parse("configuration", unsafe { text(config.json) })?;
        P::validate_config(&config).map(|()| None).map_err(Failure::from)
    });
    // SAFETY: as above.
    unsafe { leave(output, result) }
}

unsafe extern "C" fn init<P: Plugin>(
    config: *const Config,
    output: *const Output,
    handle: *mut *mut c_void,
) -> i32 {
    // SAFETY: the node hands in what the header says.
    let config = unsafe { checked(config) };
    let result = guarded(|| {
        let config = config?;
        // SAFETY: the header says that it lives until the call returns.
        let config = parse("configuration", unsafe { text(config.json) })?;
        P::init(&config)
    });
    let result = result.map(|plugin| {
        if !handle.is_null() {
            // SAFETY: it is where the node wants the handle. `cleanup` gives the box back.
            unsafe { *handle = Box::into_raw(Box::new(plugin)).cast() };
        }
        None
    });
    // SAFETY: as above.
    unsafe { leave(output, result) }
}

unsafe extern "C" fn execute<P: Plugin>(
    handle: *mut c_void,
    task: *const abi::Task,
    input: Text,
    output: *const Output,
    context: *const Context,
) -> i32 {
    // SAFETY: the node hands in what the header says.
    let (task, context) = unsafe { (checked(task), checked(context)) };
    let result = guarded(|| {
        let (raw, context) = (task?, context?);
        if handle.is_null() {
            return Err("the node handed no handle".into());
        }
        // SAFETY: it is `init`'s of this very plugin, and is not given back while a task has it.
        let plugin = unsafe { &*handle.cast::<P>() };
        // SAFETY: the header says that all of it lives until the call returns.
        let (input, task) = unsafe { (text(input), task_of(raw, context)) };
        plugin.execute(&task, &parse("input", input)?).map(Some)
    });
    // SAFETY: as above.
    unsafe { leave(output, result) }
}

unsafe extern "C" fn cleanup<P: Plugin>(handle: *mut c_void) {
    if handle.is_null() {
        return;
    }
    // SAFETY: it is `init`'s box, and the node gives it back once, when no task has it any more.
    let plugin = unsafe { Box::from_raw(handle.cast::<P>()) };
    // A destructor that panics has nobody to tell: the node's log has its message already.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(plugin)));
}

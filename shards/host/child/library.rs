//! A plugin's shared library, opened and held against the ABI.

#![allow(
    unsafe_code,
    reason = "a shared library's symbols and table are what the ABI says they are"
)]

use libloading::os::unix;
use plugin::abi::{ABI_VERSION, GetInterface, Interface, SYMBOL};
use plugin::{TaskError, VERSION_BYTES_MAX, code, is_name};
use rustix::fd::{IntoRawFd as _, OwnedFd};
use std::ffi::{CStr, c_char};

/// The functions of a plugin, all there.
#[derive(Clone, Copy)]
pub(crate) struct Functions {
    pub(crate) validate_config:
        unsafe extern "C" fn(*const plugin::abi::Config, *const plugin::abi::Output) -> i32,
    pub(crate) init: unsafe extern "C" fn(
        *const plugin::abi::Config,
        *const plugin::abi::Output,
        *mut *mut std::ffi::c_void,
    ) -> i32,
    pub(crate) execute: unsafe extern "C" fn(
        *mut std::ffi::c_void,
        *const plugin::abi::Task,
        plugin::abi::Text,
        *const plugin::abi::Output,
        *const plugin::abi::Context,
    ) -> i32,
    pub(crate) cleanup: unsafe extern "C" fn(*mut std::ffi::c_void),
}

/// A plugin, loaded. Never unloaded: its code may run on threads of its own until the process ends.
pub(crate) struct Library {
    pub(crate) functions: Functions,
    name: String,
    version: String,
    abi: u32,
}

unsafe extern "C" {
    /// Of the C library that this program and the plugin share.
    static stdout: *mut libc::FILE;
}

/// Has what C code prints leave with each line: into a pipe it would wait for 4 KiB of them.
fn print_by_line() {
    // SAFETY: nothing has been printed yet, and no other thread is there.
    unsafe { libc::setvbuf(stdout, std::ptr::null_mut(), libc::_IOLBF, 0) };
}

impl Library {
    /// Loads `file`, or rather the copy of it, which is to be the plugin `name`.
    pub(crate) fn open(file: &str, copy: Option<OwnedFd>, name: &str) -> Result<Self, TaskError> {
        print_by_line();
        let missing = |what: String| TaskError::lasting(code::MISSING, what);
        // The copy's descriptor stays open: its path is where a backtrace looks for symbols.
        let copy = copy.map(|copy| format!("/proc/self/fd/{}", copy.into_raw_fd()));
        // One that finds others beside itself (`$ORIGIN`) does not from there. Nothing of it has run
        // when it is not loaded, and what is wrong with it is told of its file.
        let library = match copy.map(|copy| load(&copy)) {
            Some(Ok(library)) => library,
            Some(Err(_)) | None => load(file)
                .map_err(|error| missing(format!("it cannot be loaded: {}", told(&error))))?,
        };
        // SAFETY: the symbol is called as the header declares it. A plugin that declares it otherwise
        // ends this process and nothing else.
        let get = unsafe { library.get::<GetInterface>(SYMBOL.as_bytes()) }
            .map(|symbol| *symbol)
            .map_err(|_| missing(format!("it exports no function `{SYMBOL}`")))?;
        std::mem::forget(library);
        // SAFETY: as above.
        let table = unsafe { get() };
        let interface = read(table).map_err(missing)?;
        Self::of(&interface, name).map_err(missing)
    }

    fn of(interface: &Interface, name: &str) -> Result<Self, String> {
        let absent = |function: &str| format!("its table has no function `{function}`");
        let get_name = interface.get_name.ok_or_else(|| absent("get_name"))?;
        let get_version = interface.get_version.ok_or_else(|| absent("get_version"))?;
        let functions = Functions {
            validate_config: interface.validate_config.ok_or_else(|| absent("validate_config"))?,
            init: interface.init.ok_or_else(|| absent("init"))?,
            execute: interface.execute.ok_or_else(|| absent("execute"))?,
            cleanup: interface.cleanup.ok_or_else(|| absent("cleanup"))?,
        };
        // SAFETY: the functions of the table are called as the header declares them.
        let (own_name, version) = unsafe { (get_name(), get_version()) };
        let own_name = text(own_name, plugin::NAME_BYTES_MAX).ok_or("its name is no text")?;
        let version = text(version, VERSION_BYTES_MAX).ok_or("its version is no text")?;
        if !is_name(&own_name) {
            return Err(format!("`{own_name}` is no name of a plugin: [a-z][a-z0-9_]{{0,63}}"));
        }
        if own_name != name {
            return Err(format!(
                "it calls itself `{own_name}`, and its file `{name}`: rename the file to {own_name}.so"
            ));
        }
        Ok(Self { functions, name: own_name, version, abi: interface.abi_version })
    }

    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    pub(crate) fn version(&self) -> String {
        self.version.clone()
    }

    pub(crate) fn abi(&self) -> u32 {
        self.abi
    }
}

fn load(file: &str) -> Result<unix::Library, libloading::Error> {
    // All symbols now: one that is missing is told here, and not by the first task's end.
    let flags = unix::RTLD_NOW | unix::RTLD_LOCAL;
    // SAFETY: the library's constructors run; the process is shut in and is there for nothing else.
    unsafe { unix::Library::open(Some(file), flags) }
}

/// Copies a plugin's table, no further than it says it is long.
fn read(table: *const Interface) -> Result<Interface, String> {
    if table.is_null() {
        return Err(format!("`{SYMBOL}` returned no table"));
    }
    if !table.is_aligned() {
        return Err(format!("`{SYMBOL}` returned a table at an address that no table has"));
    }
    // SAFETY: every version of a table begins with these two numbers.
    let (abi, size) = unsafe { ((*table).abi_version, (*table).struct_size) };
    if abi != ABI_VERSION {
        return Err(format!(
            "it is made for version {abi} of the plugin ABI, this node has {ABI_VERSION}: build it \
             against this release's distric_plugin.h"
        ));
    }
    let needed = size_of::<Interface>();
    if (size as usize) < needed {
        return Err(format!("its table is {size} bytes long, version {ABI_VERSION} has {needed}"));
    }
    // SAFETY: it is as long as this version's table, which is plain data, and lives as long as the
    // library.
    Ok(unsafe { *table })
}

/// A text of the plugin's, at most `most` bytes.
fn text(text: *const c_char, most: usize) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the header says that it ends with a zero and lives as long as the library.
    let text = unsafe { CStr::from_ptr(text) }.to_str().ok()?;
    (!text.is_empty() && text.len() <= most && !text.contains(char::is_control))
        .then(|| text.to_owned())
}

/// What the loader says, with its cause.
fn told(error: &libloading::Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

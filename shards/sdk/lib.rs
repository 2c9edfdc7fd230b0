//! Plugins for DistriC in Rust.
//!
//! ```
//! use distric_plugin_sdk::{Failure, Plugin, Task, Value, export_plugin, json};
//! use std::ffi::CStr;
//!
//! /// Says hello.
//! pub struct Greeter {
//!     greeting: String,
//! }
//!
//! impl Plugin for Greeter {
//!     const NAME: &CStr = c"greeter";
//!     const VERSION: &CStr = c"1.0.0";
//!
//!     fn init(config: &Value) -> Result<Self, Failure> {
//!         let greeting = config["greeting"].as_str().unwrap_or("hello").to_owned();
//!         Ok(Self { greeting })
//!     }
//!
//!     fn execute(&self, task: &Task<'_>, input: &Value) -> Result<Value, Failure> {
//!         let name = input["name"].as_str().ok_or("the input has no `name`")?;
//!         task.info(&format!("greeting {name}"));
//!         Ok(json!({ "text": format!("{}, {name}", self.greeting) }))
//!     }
//! }
//!
//! export_plugin!(Greeter);
//! # let said = distric_plugin_sdk::testing::run::<Greeter>(&json!({}), &json!({"name": "you"}));
//! # assert_eq!(said, Ok(json!({"text": "hello, you"})));
//! ```
//!
//! The crate that holds it has `crate-type = ["cdylib"]`; what cargo builds is `libgreeter.so`, and a
//! node takes it as `greeter.so`. docs/PLUGINS.md is the guide.
//!
//! Invariants:
//! - no panic leaves a function that the node calls: it is a failure of the task, where the library
//!   was not built with `panic = "abort"`;
//! - what the node hands in is read only while it is handed in, and no further than it says.

mod failure;
mod raw;
mod task;
pub mod testing;

pub use abi;
pub use failure::Failure;
pub use raw::interface;
pub use serde_json::{Value, json};
pub use task::{Level, Task};

use std::ffi::CStr;

/// Reads JSON; `None` when it is none.
pub fn parse_json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// A plugin. One value of it is made for each configuration that tasks have, in each process; the
/// threads of a process share it.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// The `type` of its tasks and the name of its file: `[a-z][a-z0-9_]{0,63}`.
    const NAME: &CStr;

    /// For people.
    const VERSION: &CStr;

    /// Whether a configuration is legal; if not, why. May be asked at any time, and is asked in front
    /// of every [`Plugin::init`]: what it refuses never comes there. Must not have any effect.
    fn validate_config(config: &Value) -> Result<(), String> {
        let _ = config;
        Ok(())
    }

    /// Makes the plugin for a configuration, which [`Plugin::validate_config`] has taken. What takes
    /// time belongs here.
    fn init(config: &Value) -> Result<Self, Failure>;

    /// Runs one task.
    fn execute(&self, task: &Task<'_>, input: &Value) -> Result<Value, Failure>;
}

/// Exports a [`Plugin`] as the plugin of this library.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        /// What a node asks this library for.
        #[allow(unsafe_code, reason = "the node looks the function up by its name")]
        // SAFETY: the name is the contract's; no other function of a plugin is called so.
        #[unsafe(no_mangle)]
        pub extern "C" fn get_plugin_interface() -> *const $crate::abi::Interface {
            $crate::interface::<$plugin>()
        }
    };
}

#[cfg(test)]
mod tests;

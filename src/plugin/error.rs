//! Why a task of a plugin failed.

/// The codes that the host gives. A plugin's own are any others that look like a name.
pub mod code {
    /// The plugin said so and gave no code of its own, or one that is none.
    pub const FAILED: &str = "plugin_failed";
    /// The plugin's process ended in the midst of the task: a fault, `abort`, `exit`.
    pub const CRASHED: &str = "plugin_crashed";
    /// The same, and it had come to its limit of memory.
    pub const MEMORY: &str = "plugin_memory";
    /// The task took longer than it may, by the clock or in CPU time, and was ended.
    pub const TIMEOUT: &str = "timeout";
    /// The output is longer than the plugin's manifest allows.
    pub const OUTPUT_TOO_LARGE: &str = "output_too_large";
    /// The output is no JSON.
    pub const BAD_OUTPUT: &str = "bad_output";
    /// There is no such plugin here, or it cannot be loaded.
    pub const MISSING: &str = "plugin_missing";
    /// The plugin refuses the configuration.
    pub const CONFIG: &str = "plugin_config";
    /// The task was stopped from outside.
    pub const STOPPED: &str = "worker_stopped";

    /// All of them.
    pub const ALL: &[&str] =
        &[FAILED, CRASHED, MEMORY, TIMEOUT, OUTPUT_TOO_LARGE, BAD_OUTPUT, MISSING, CONFIG, STOPPED];
}

/// The longest code of a plugin. Unit: bytes.
pub const CODE_BYTES_MAX: usize = 64;

/// The longest message. Unit: bytes; what is longer is cut.
pub const MESSAGE_BYTES_MAX: usize = 2 * 1024;

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TaskError {
    /// For programs: one of [`code`], or the plugin's own.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether another attempt could do better.
    pub retryable: bool,
}

impl TaskError {
    /// An error of the host's that no other attempt would mend.
    pub fn lasting(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: cut(message.into()), retryable: false }
    }

    /// An error of the host's that another attempt may not meet.
    pub fn passing(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: cut(message.into()), retryable: true }
    }

    /// What a plugin said of itself. A code that is not a name, or that is one of the host's, would
    /// make readers believe what is not so: it becomes [`code::FAILED`].
    pub fn of_plugin(code: &str, message: impl Into<String>, retryable: bool) -> Self {
        let own = crate::is_name(code) && !code::ALL.contains(&code);
        const { assert!(CODE_BYTES_MAX == crate::NAME_BYTES_MAX) };
        let code = if own { code } else { self::code::FAILED };
        Self { code: code.to_owned(), message: cut(message.into()), retryable }
    }

    /// As it came from a plugin's process, which may say anything.
    pub fn received(self) -> Self {
        if code::ALL.contains(&self.code.as_str()) {
            Self { message: cut(self.message), ..self }
        } else {
            Self::of_plugin(&self.code, self.message, self.retryable)
        }
    }
}

/// Cuts a message to its limit, between characters.
fn cut(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    message
}

#[cfg(test)]
mod tests;

//! Log lines: which are written, what they look like, where they wait.

mod buffer;
mod filter;
mod line;

pub use buffer::LogBuffer;
pub use filter::{Filter, FilterError};
pub use line::{LINE_BYTES_MAX, Line, write_event};

/// How bad it is. What ends the process is an `Error` with the field `fatal=true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For who looks for a fault.
    Debug,
    /// For who runs it.
    Info,
    /// Something to look at soon; the node goes on.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// Its name in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// The level of an event of `tracing`. TRACE has none: libraries put every byte there.
    pub fn of(level: tracing_core::Level) -> Option<Self> {
        match level {
            tracing_core::Level::TRACE => None,
            tracing_core::Level::DEBUG => Some(Self::Debug),
            tracing_core::Level::INFO => Some(Self::Info),
            tracing_core::Level::WARN => Some(Self::Warn),
            tracing_core::Level::ERROR => Some(Self::Error),
        }
    }
}

/// The component of a target: its crate.
pub fn component_of(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}

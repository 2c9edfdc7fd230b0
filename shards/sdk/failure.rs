//! Why a task failed.

use std::fmt;

/// Why a task failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) retryable: bool,
}

impl Failure {
    /// A failure that another attempt would meet, too. `code` is for programs: a name,
    /// `[a-z][a-z0-9_]{0,63}`, that a workflow's `retry` can ask for.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false }
    }

    /// The same failure, as one that another attempt could do better than.
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// For programs; empty for `plugin_failed`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether another attempt could do better.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

/// A failure without a code of its own.
impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::new("", message)
    }
}

/// A failure without a code of its own.
impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::new("", message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code.as_str() {
            "" => f.write_str(&self.message),
            code => write!(f, "{code}: {}", self.message),
        }
    }
}

impl std::error::Error for Failure {}

//! The statuses of tasks and instances, each with one text form, used in JSON, in expressions and
//! in logs alike.

use std::fmt;

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum TaskStatus {
    /// Not every task before it has ended.
    Pending = 0,
    /// It may run and waits for its next attempt.
    Ready = 1,
    /// An attempt is under way.
    Running = 2,
    /// It succeeded.
    Completed = 3,
    /// Its last attempt failed.
    Failed = 4,
    /// Its last attempt took too long.
    Timeout = 5,
    /// It was not to run any more.
    Cancelled = 6,
    /// Its condition did not hold; that is no error.
    Skipped = 7,
}

/// Where an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum InstanceStatus {
    /// Some task has not ended.
    Running = 0,
    /// It did what it was to do.
    Completed = 1,
    /// A task failed.
    Failed = 2,
    /// It took too long as a whole.
    Timeout = 3,
    /// Somebody cancelled it.
    Cancelled = 4,
}

impl TaskStatus {
    const ALL: [Self; 8] = [
        Self::Pending,
        Self::Ready,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Timeout,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// Whether it is final.
    pub fn is_final(self) -> bool {
        self >= Self::Completed
    }

    /// Whether the task ended without having done its work, other than by being skipped.
    pub fn is_unsuccessful(self) -> bool {
        matches!(self, Self::Failed | Self::Timeout | Self::Cancelled)
    }

    /// The text form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl InstanceStatus {
    const ALL: [Self; 5] =
        [Self::Running, Self::Completed, Self::Failed, Self::Timeout, Self::Cancelled];

    /// Whether it is final.
    pub fn is_final(self) -> bool {
        self != Self::Running
    }

    /// The text form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for InstanceStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;

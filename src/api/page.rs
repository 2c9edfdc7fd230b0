//! Lists in pages: instances newest first, events oldest first, each from a place on.

use crate::error::{ApiError, Code, quoted};
use base::{InstanceId, UnixMicros};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Entries of a page when the client names no limit.
pub const LIMIT_DEFAULT: u32 = 50;

/// Entries of a page at most: one page is built in one piece of memory by one core.
pub const LIMIT_MAX: u32 = 1_000;

/// How long a request for events may wait for the next one. Whatever stands between client and node
/// takes a connection that is silent for longer to be dead.
pub const WAIT_MAX: Duration = Duration::from_mins(1);

/// Where the next page begins: behind this instance, in the order (started, instance) descending.
/// A cursor stays valid while instances start and end, because nothing moves in that order.
/// Text form: 16 hexadecimal digits of the start in microseconds, `-`, the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the last instance of the page before started.
    pub started_at: UnixMicros,
    /// The last instance of the page before.
    pub instance: InstanceId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.started_at.0, self.instance)
    }
}

impl FromStr for Cursor {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let error = || {
            let detail = format!("after=`{}` is not a cursor", quoted(text));
            let hint = "use `next` of the page before, unchanged";
            ApiError::new(Code::BadQuery, detail).with_hint(hint)
        };
        let (started, instance) = text.split_once('-').ok_or_else(error)?;
        let plain = started.len() == 16 && started.bytes().all(|b| b.is_ascii_hexdigit());
        if !plain {
            return Err(error());
        }
        Ok(Self {
            started_at: UnixMicros(u64::from_str_radix(started, 16).map_err(|_| error())?),
            instance: instance.parse().map_err(|_| error())?,
        })
    }
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// The states that an instance can be asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Status {
            $($(#[$doc])* $name,)*
        }

        impl Status {
            /// All of them.
            pub const ALL: &[Status] = &[$(Status::$name,)*];

            /// Its name in a query and in an answer.
            pub fn as_str(self) -> &'static str {
                match self { $(Status::$name => $text,)* }
            }
        }
    };
}

statuses! {
    /// Some task has not ended.
    Running "running",
    /// Ended well.
    Completed "completed",
    /// A task failed for good.
    Failed "failed",
    /// The instance's own time ran out.
    Timeout "timeout",
    /// A client cancelled it.
    Cancelled "cancelled",
}

impl FromStr for Status {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        Self::ALL.iter().copied().find(|status| status.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|status| status.as_str()).collect();
            ApiError::new(Code::BadQuery, format!("status=`{}` is not a status", quoted(text)))
                .with_hint(format!("use one of {}", names.join(", ")))
        })
    }
}

/// What `GET /api/v1/workflows` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancesQuery {
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only the one that the workflow has for this key. Never without a workflow.
    pub key: Option<String>,
    /// At most so many, 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// Only those behind this place.
    pub after: Option<Cursor>,
}

impl Default for InstancesQuery {
    fn default() -> Self {
        Self { status: None, workflow: None, key: None, limit: LIMIT_DEFAULT, after: None }
    }
}

/// What `GET /api/v1/events` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventsQuery {
    /// Only those with a greater number. Events count from 1.
    pub after: u64,
    /// At most so many, 1 to [`LIMIT_MAX`].
    pub limit: u32,
    /// When there is none yet, how long to wait for one, at most [`WAIT_MAX`].
    pub wait: Duration,
}

impl Default for EventsQuery {
    fn default() -> Self {
        Self { after: 0, limit: LIMIT_DEFAULT, wait: Duration::ZERO }
    }
}

//! Members as the rest of the house sees them.

use base::{BootId, Instant, WorkerId};
use std::fmt;
use std::net::SocketAddr;

/// The longest name, zone and address that a member may say of itself. Unit: bytes. With all three
/// a member's data still fits a datagram beside updates.
pub const TEXT_BYTES_MAX: usize = 128;

/// A member of the cluster: a coordinator's `NodeId`, a worker's `WorkerId`. Never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// As the member's other name is written: a coordinator's number, a worker's sixteen digits.
impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.0) {
            Ok(node) => node.fmt(f),
            Err(_) => WorkerId(self.0).fmt(f),
        }
    }
}

/// What a member is, one bit each. Bits that this version does not know are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles(pub u8);

impl Roles {
    /// It holds the log.
    pub const COORDINATOR: Self = Self(1);
    /// It runs tasks.
    pub const WORKER: Self = Self(2);
    /// Both.
    pub const BOTH: Self = Self(3);

    /// Whether all of `other` is among them.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What is known of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It answers.
    Alive,
    /// It did not answer somebody, and has not yet said that it is alive.
    Suspected,
    /// It did not answer, and did not object.
    Failed,
    /// It said goodbye.
    Left,
}

impl State {
    /// Whether it takes part: alive, or suspected only.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Alive | Self::Suspected)
    }

    /// Its name, for people and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspected => "suspected",
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

/// What a member says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberData {
    /// What it is.
    pub roles: Roles,
    /// What it is called, for people.
    pub name: String,
    /// Where it stands, in the operator's words.
    pub zone: String,
    /// Where it takes HTTP: host and port.
    pub http_address: String,
    /// The lowest version of the protocol that it speaks.
    pub version_min: u8,
    /// The highest.
    pub version_max: u8,
    /// How many tasks it can run at once.
    pub capacity: u32,
    /// How busy it is, in thousandths. A change of less than a fifth is not told to others, and none
    /// more often than every five seconds.
    pub load_permille: u16,
    /// The term in which it leads the log; 0 when it does not.
    pub leader_term: u64,
    /// The worker that it runs, where that is not the member itself: of a coordinator that runs tasks.
    pub worker: Option<WorkerId>,
}

/// Data that a member cannot say of itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a member's {field} has {bytes} bytes, at most {TEXT_BYTES_MAX} are allowed")]
pub struct DataError {
    /// Which text.
    pub field: &'static str,
    /// Its length.
    pub bytes: usize,
}

impl MemberData {
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let texts =
            [("name", &self.name), ("zone", &self.zone), ("http address", &self.http_address)];
        let long = texts.iter().find(|(_, text)| text.len() > TEXT_BYTES_MAX);
        long.map_or(Ok(()), |(field, text)| Err(DataError { field, bytes: text.len() }))
    }
}

/// A member as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub id: MemberId,
    /// Which run of its process.
    pub boot: BootId,
    /// Where it takes gossip, and workers' connections.
    pub address: SocketAddr,
    /// What is known of it.
    pub state: State,
    /// Since when, by this machine's clock.
    pub since: Instant,
    /// What it says of itself; nothing until `data_version` is above 0.
    pub data: MemberData,
    /// How often it has said something of itself in this run.
    pub data_version: u64,
}

/// What happened to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Happened {
    /// It is there: for the first time, after it had failed or left, or as a new run.
    Joined,
    /// It is suspected.
    Suspected,
    /// It was suspected, and is alive.
    Refuted,
    /// It failed.
    Failed,
    /// It left.
    Left,
    /// It said something new of itself.
    Updated,
}

/// A change of the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberEvent {
    /// What happened.
    pub what: Happened,
    /// To whom, as it is now.
    pub member: Member,
}

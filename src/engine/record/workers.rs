//! The records that say which workers there are, and which of them has which task.

use super::{BadBody, RecordType, bad};
use base::{BootId, InstanceId, WorkerId};
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};

/// A plugin that a worker has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub struct WorkerPlugin {
    /// The type of task that it runs.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// The version of the contract that it was built for.
    pub abi: u32,
}

/// A run of a worker belongs to the cluster from now on. An earlier run of it is lost by that.
#[derive(Clone, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct WorkerJoined {
    /// Who.
    pub worker: WorkerId,
    /// Which run of it.
    pub boot: BootId,
    /// Its name, for people.
    pub name: String,
    /// Where it shows health and metrics; empty: nowhere.
    pub address: String,
    /// How many tasks it runs at once.
    pub capacity: u32,
    /// Where it stands; empty: not said.
    pub zone: String,
    /// What it has, by name.
    pub plugins: Vec<WorkerPlugin>,
}

/// The lease of a worker's run is over: what it had is given to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct WorkerLost {
    /// Who.
    pub worker: WorkerId,
    /// Which run of it.
    pub boot: BootId,
    /// The term of the leader that says so. In an entry of another term it says nothing: another leader
    /// may have renewed the lease since.
    pub term: u64,
}

/// A worker has gone, as it wished: it ran nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct WorkerLeft {
    /// Who.
    pub worker: WorkerId,
    /// Which run of it.
    pub boot: BootId,
}

/// An operator wishes a worker to get no more tasks, or to get them again. Holds for its later runs too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct WorkerDrained {
    /// Who.
    pub worker: WorkerId,
    /// Whether it gets none.
    pub on: bool,
}

/// A worker's run has an attempt of a task from now on. Applied before it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TaskAssigned {
    /// The instance.
    pub instance: InstanceId,
    /// The task's place in the definition.
    pub task: u16,
    /// The attempt.
    pub attempt: u32,
    /// Who has it.
    pub worker: WorkerId,
    /// Which run of it.
    pub boot: BootId,
    /// The term of the leader that chose. In an entry of another term it says nothing: another leader
    /// chooses anew, and counts what each worker has.
    pub term: u64,
}

/// A worker's run did not carry out an attempt that it had, and will not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct TaskReleased {
    /// The instance.
    pub instance: InstanceId,
    /// The task's place in the definition.
    pub task: u16,
    /// The attempt.
    pub attempt: u32,
    /// Who had it.
    pub worker: WorkerId,
    /// Which run of it.
    pub boot: BootId,
}

macro_rules! body {
    ($($name:ident)*) => {$(
        impl $name {
            /// Appends the body's bytes.
            pub fn write(&self, out: &mut Vec<u8>) {
                rkyv::api::high::to_bytes_in::<_, Rancor>(self, out)
                    .expect("writing to memory cannot fail");
            }

            /// Reads a body back, checking every byte.
            pub fn read(bytes: &[u8]) -> Result<Self, BadBody> {
                rkyv::from_bytes::<Self, Rancor>(bytes).map_err(bad(RecordType::$name))
            }
        }
    )*};
}

body!(WorkerJoined WorkerLost WorkerLeft WorkerDrained TaskAssigned TaskReleased);

//! Workers: what a worker and the leader say to each other.

mod message;

pub use message::{
    CONFIG_BYTES_MAX, FromWorker, INPUT_BYTES_MAX, PluginInfo, Refusal, Run, ToWorker,
};

/// A worker's connection to this node: a number of whoever keeps it, never given twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerLink(pub u64);

//! Workers: what a worker and the leader say to each other, as values and as frames, and the mind of a
//! worker.

mod core;
mod frames;
mod message;

pub use self::core::{
    KEPT_BYTES_MAX, KEPT_MAX, REMEMBERED, WorkerConfig, WorkerCore, WorkerEffect,
};
pub use frames::WorkerFrameError;
pub use message::{
    CAPACITY_MAX, CONFIG_BYTES_MAX, FAULT_BYTES_MAX, FromWorker, INPUT_BYTES_MAX, PLUGINS_MAX,
    PluginInfo, Refusal, Run, ToWorker, Verdict,
};

/// A worker's connection to this node: a number of whoever keeps it, never given twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerLink(pub u64);

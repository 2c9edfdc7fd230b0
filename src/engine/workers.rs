//! Workers: what a worker and the leader say to each other.

mod message;

pub use message::{
    CONFIG_BYTES_MAX, FromWorker, INPUT_BYTES_MAX, PluginInfo, Refusal, Run, ToWorker,
};

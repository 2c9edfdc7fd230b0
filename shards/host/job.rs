//! What a host is asked for and what it answers.

use bytes::Bytes;
use plugin::TaskError;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// A task to run.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// The caller's name for it: no two jobs that are not over have the same.
    pub key: u64,
    /// Which plugin.
    pub plugin: String,
    /// JSON; at most [`plugin::CONFIG_BYTES_MAX`].
    pub config: Bytes,
    /// JSON; at most [`plugin::INPUT_BYTES_MAX`].
    pub input: Bytes,
    /// How long it may take, from now on. `None`: as long as the plugin's manifest says.
    pub timeout: Option<Duration>,
    /// The same for every attempt.
    pub idempotency_key: String,
    /// The workflow's instance.
    pub instance: String,
    /// Its definition.
    pub workflow: String,
    /// The task's id in it.
    pub task: String,
    /// From 1.
    pub attempt: u32,
    /// A W3C traceparent, or empty.
    pub trace: String,
}

/// A job that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The caller's name for it.
    pub key: u64,
    /// Its output, JSON of at most [`plugin::OUTPUT_BYTES_MAX`], or why there is none.
    pub outcome: Result<Bytes, TaskError>,
    /// Since it was taken.
    pub took: Duration,
}

/// Why a job was not taken. Nothing of it has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// As many jobs as the host takes.
    #[error("{capacity} jobs are running or waiting already")]
    Full {
        /// The limit.
        capacity: u32,
    },
    /// No such plugin.
    #[error("there is no plugin `{plugin}` here")]
    Unknown {
        /// Its name.
        plugin: String,
    },
    /// The caller's mistake, or an order sent twice.
    #[error("job {key} is running or waiting already")]
    Repeated {
        /// Its name.
        key: u64,
    },
    /// Beyond a limit.
    #[error("its {part} has {bytes} bytes, at most {bytes_max} are allowed")]
    TooLarge {
        /// `config`, `input`, or `description` for all the rest.
        part: &'static str,
        /// As given.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// JSON is text.
    #[error("its {part} is not UTF-8")]
    NotText {
        /// `config` or `input`.
        part: &'static str,
    },
    /// The host is shutting down.
    #[error("the host stops")]
    Stopping,
}

/// A plugin that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginInfo {
    /// The `type` of its tasks.
    pub name: String,
    /// As it says.
    pub version: String,
    /// The version of the ABI that it is made for.
    pub abi: u32,
    /// Its library.
    pub file: PathBuf,
    /// Tasks at once.
    pub slots: u32,
    /// How its processes are shut in, in words.
    pub enforced: String,
    /// What it may use.
    pub manifest: plugin::Manifest,
}

/// A library in the folder that is not used, or a manifest that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPlugin {
    /// The library, or the manifest.
    pub file: PathBuf,
    /// Why.
    pub why: TaskError,
}

/// Counts of one plugin, since the host was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginMetrics {
    /// Its name.
    pub plugin: String,
    /// Processes, works, crashes.
    pub counts: plugin::pool::Counts,
    /// Tasks that failed, by code; the plugin's own codes count as `plugin_failed`.
    pub failures: BTreeMap<&'static str, u64>,
    /// Lines of it that were logged.
    pub lines: u64,
    /// Lines that were not, because they were too many.
    pub lines_dropped: u64,
    /// Resident memory of its processes. Unit: bytes.
    pub memory_bytes: u64,
}

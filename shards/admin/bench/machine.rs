//! What was measured on.

use rustix::system::uname;
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::thread::available_parallelism;

/// The machine, and the core of it that this thread stays on.
#[derive(Debug)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    /// `None` where the thread could not be bound to one.
    core: Option<usize>,
    pub(super) is_debug_build: bool,
}

impl Machine {
    /// Binds this thread to the core that it is on: a move in the middle costs its caches.
    pub(super) fn take_one_core() -> Self {
        // Counted before: it tells what this thread may run on.
        let cores = available_parallelism().map_or(1, usize::from);
        let (core, mut set) = (sched_getcpu(), CpuSet::new());
        let fits = core < CpuSet::MAX_CPU;
        if fits {
            set.set(core);
        }
        let core = (fits && sched_setaffinity(None, &set).is_ok()).then_some(core);
        let kernel = uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let (system, release) = (text(kernel.sysname()), text(kernel.release()));
        Self {
            cpu: cpu_model().unwrap_or_else(|| text(kernel.machine())),
            cores,
            kernel: format!("{system} {release}"),
            core,
            is_debug_build: cfg!(debug_assertions),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "core": self.core,
            "kernel": self.kernel,
            "version": env!("CARGO_PKG_VERSION"),
            "debug_build": self.is_debug_build,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.core {
            Some(core) => write!(out, "core {core} of {}", self.cores)?,
            None => write!(out, "any one of {} cores", self.cores)?,
        }
        write!(out, ", {}, {}, distric {}", self.cpu, self.kernel, env!("CARGO_PKG_VERSION"))
    }
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

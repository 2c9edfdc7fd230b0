//! The process as a whole: what it says of itself, and how it ends when it must.

use base::CoreId;
use runtime::{Task, sleep, spawn_local};
use rustix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Duration;
use telemetry::{Registry, families};

/// How often the process's own figures are read.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The exit status when the journal or the state cannot be carried on.
pub(crate) const EXIT_FATAL: i32 = 70;

/// Where minds say what they cannot decide.
#[derive(Debug)]
pub(crate) struct Host {
    core: CoreId,
}

impl Host {
    pub(crate) fn new(core: CoreId) -> Self {
        Self { core }
    }

    /// Ends the process at once: to go on would be to answer for what may not be durable.
    fn end(&self, reason: &str) {
        tracing::error!(core = self.core.0, fatal = true, "{reason}");
        eprintln!("distric-shard: {reason}");
        std::process::exit(EXIT_FATAL);
    }
}

impl replica::Host for Host {
    fn log(&self, line: &flow::LogLine) {
        let (instance, message) = (line.instance.to_string(), line.message.as_str());
        let fields = (line.fields != expr::Value::Null).then(|| line.fields.to_json());
        let (task, fields) = (line.task.0, fields.as_deref());
        match line.level {
            flow::Level::Debug => {
                tracing::debug!(target: "workflow", instance, task, fields, "{message}");
            }
            flow::Level::Info => {
                tracing::info!(target: "workflow", instance, task, fields, "{message}");
            }
            flow::Level::Warn => {
                tracing::warn!(target: "workflow", instance, task, fields, "{message}");
            }
            flow::Level::Error => {
                tracing::error!(target: "workflow", instance, task, fields, "{message}");
            }
        }
    }

    fn note(&self, text: &str) {
        tracing::info!(core = self.core.0, "{text}");
    }

    fn notice(&self, text: &str) {
        tracing::warn!(core = self.core.0, "{text}");
    }

    fn fatal(&self, reason: &str) {
        self.end(reason);
    }
}

impl consensus::Host for Host {
    fn note(&self, text: &str) {
        tracing::info!(core = self.core.0, "{text}");
    }

    fn notice(&self, text: &str) {
        tracing::warn!(core = self.core.0, "{text}");
    }

    fn fatal(&self, reason: &str) {
        self.end(reason);
    }
}

impl membership::Host for Host {
    fn note(&self, text: &str) {
        consensus::Host::note(self, text);
    }

    fn notice(&self, text: &str) {
        consensus::Host::notice(self, text);
    }
}

impl crew::Host for Host {
    fn note(&self, text: &str) {
        consensus::Host::note(self, text);
    }

    fn notice(&self, text: &str) {
        consensus::Host::notice(self, text);
    }
}

/// Keeps a core's own figures, and on core 0 the process's, until dropped.
pub(crate) fn watch(core: CoreId, cpu: usize, registry: &Registry) -> Task<()> {
    let name = core.to_string();
    let labels = [("core", name.as_str())];
    let busy = registry.counter(&families::CORE_BUSY, &labels);
    let ratio = registry.gauge(&families::CORE_BUSY_RATIO, &labels);
    let whole = (core == CoreId(0)).then(|| Process::new(registry));
    tracing::debug!(core = core.0, cpu, "core started");
    spawn_local(async move {
        let (mut cpu_before, mut at) = (thread_cpu(), runtime::instant());
        loop {
            if let Some(process) = &whole {
                process.read();
            }
            sleep(WATCH_INTERVAL).await;
            let (cpu, now) = (thread_cpu(), runtime::instant());
            let (worked, passed) = (cpu.saturating_sub(cpu_before), now.since(at));
            busy.add_duration(worked);
            ratio.set((worked.as_secs_f64() / passed.as_secs_f64()).min(1.0));
            (cpu_before, at) = (cpu, now);
        }
    })
}

/// The CPU time of this thread.
fn thread_cpu() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

fn duration(time: rustix::time::Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[derive(Debug)]
struct Process {
    cpu: telemetry::Counter,
    resident: telemetry::Gauge,
    open_files: telemetry::Gauge,
}

impl Process {
    fn new(registry: &Registry) -> Self {
        let started = registry.gauge(&families::PROCESS_START_TIME, &[]);
        let wall = duration(clock_gettime(ClockId::Realtime));
        started.set(wall.as_secs_f64());
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        registry.gauge(&families::PROCESS_MAX_FDS, &[]).set_count(most.unwrap_or(u64::MAX));
        Self {
            cpu: registry.counter(&families::PROCESS_CPU, &[]),
            resident: registry.gauge(&families::PROCESS_RESIDENT_MEMORY, &[]),
            open_files: registry.gauge(&families::PROCESS_OPEN_FDS, &[]),
        }
    }

    fn read(&self) {
        let cpu = duration(clock_gettime(ClockId::ProcessCPUTime));
        self.cpu.advance_to(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX));
        // Where /proc is not mounted the figures stay at zero.
        let pages = fs::read_to_string("/proc/self/statm")
            .ok()
            .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
        if let Some(pages) = pages {
            self.resident.set_count(pages * rustix::param::page_size() as u64);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_files.set_count(files.count() as u64);
        }
    }
}

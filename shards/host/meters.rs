//! What is counted of plugins, as metrics of a core.

use crate::Host;
use plugin::code;
use std::cell::RefCell;
use std::collections::BTreeMap;
use telemetry::{Counter, Gauge, Registry, families};

/// The label `code` of tasks that succeeded.
const OK: &str = "ok";

/// The cells of one core for the plugins of its node. One core has them.
#[derive(Debug)]
pub struct Meters {
    host: Host,
    plugins: Vec<Cells>,
}

#[derive(Debug)]
struct Cells {
    plugin: String,
    registry: Registry,
    tasks: RefCell<BTreeMap<&'static str, Counter>>,
    running: Gauge,
    waiting: Gauge,
    processes: Gauge,
    memory: Gauge,
    started: Counter,
    crashed: Counter,
    killed: Counter,
    again: Counter,
    lines: Counter,
    lines_dropped: Counter,
}

impl Meters {
    /// The cells for the plugins of `host`, which exist from now on.
    pub fn new(registry: &Registry, host: &Host) -> Self {
        let plugins = host.plugins().iter().map(|plugin| Cells::new(registry, &plugin.name));
        let meters = Self { host: host.clone(), plugins: plugins.collect() };
        meters.read();
        meters
    }

    /// Brings the cells up to what the host has counted.
    pub fn read(&self) {
        for metrics in self.host.metrics() {
            let Some(cells) = self.plugins.iter().find(|cells| cells.plugin == metrics.plugin)
            else {
                continue;
            };
            let counts = &metrics.counts;
            cells.tasks(OK, counts.succeeded);
            for (code, count) in &metrics.failures {
                cells.tasks(code, *count);
            }
            cells.running.set_count(counts.running as u64);
            cells.waiting.set_count(counts.waiting as u64);
            cells.processes.set_count(counts.children as u64);
            cells.memory.set_count(metrics.memory_bytes);
            cells.started.advance_to(counts.started);
            cells.crashed.advance_to(counts.crashes);
            cells.killed.advance_to(counts.kills);
            cells.again.advance_to(counts.again);
            cells.lines.advance_to(metrics.lines);
            cells.lines_dropped.advance_to(metrics.lines_dropped);
        }
    }
}

impl Cells {
    fn new(registry: &Registry, plugin: &str) -> Self {
        let of = [("plugin", plugin)];
        let ended = |how| {
            let labels = [("plugin", plugin), ("how", how)];
            registry.counter(&families::PLUGIN_PROCESSES_ENDED, &labels)
        };
        let lines = |kept| {
            let labels = [("plugin", plugin), ("kept", kept)];
            registry.counter(&families::PLUGIN_LINES, &labels)
        };
        let cells = Self {
            plugin: plugin.to_owned(),
            registry: registry.clone(),
            tasks: RefCell::default(),
            running: registry.gauge(&families::PLUGIN_TASKS_RUNNING, &of),
            waiting: registry.gauge(&families::PLUGIN_TASKS_WAITING, &of),
            processes: registry.gauge(&families::PLUGIN_PROCESSES, &of),
            memory: registry.gauge(&families::PLUGIN_MEMORY, &of),
            started: registry.counter(&families::PLUGIN_PROCESSES_STARTED, &of),
            crashed: ended("crashed"),
            killed: ended("killed"),
            again: registry.counter(&families::PLUGIN_TASKS_AGAIN, &of),
            lines: lines("true"),
            lines_dropped: lines("false"),
        };
        // Those that alerts ask for are there before the first of them.
        for code in [OK, code::FAILED, code::CRASHED, code::TIMEOUT] {
            cells.tasks(code, 0);
        }
        cells
    }

    fn tasks(&self, code: &'static str, count: u64) {
        let mut tasks = self.tasks.borrow_mut();
        let cell = tasks.entry(code).or_insert_with(|| {
            let labels = [("plugin", self.plugin.as_str()), ("code", code)];
            self.registry.counter(&families::PLUGIN_TASKS, &labels)
        });
        cell.advance_to(count);
    }
}

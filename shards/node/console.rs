//! What a node says on standard output to whoever started it, beside the log: that it is ready, and
//! that it has ended.
//!
//! Invariants:
//! - It is said whatever the log's filter lets through, and each time once.
//! - For people it is text. Otherwise every line is a JSON object of the log's shape, so that who
//!   collects standard output can read all of it.

use crate::log::Format;
use crate::members::Parted;
use crate::worker_node::Started;
use runtime::Placement;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;
use telemetry::{Level, Line};

/// The component of the node's own lines.
const COMPONENT: &str = "node";

/// Who reads standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console {
    for_people: bool,
    /// The log goes there, too.
    has_log: bool,
}

/// A node that takes messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready<'a> {
    pub(crate) version: &'a str,
    pub(crate) http: SocketAddr,
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) gossip: Option<SocketAddr>,
    pub(crate) data: &'a Path,
    pub(crate) node: u64,
    pub(crate) start: u64,
    pub(crate) placement: &'a Placement,
    pub(crate) open_files: u64,
    /// What it does: the setting's word.
    pub(crate) role: &'a str,
    /// The tasks of plugins that it runs at once, and the plugins; none: it runs none.
    pub(crate) tasks: Option<(u32, &'a str)>,
}

/// A node that has ended in order.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    pub(crate) reason: String,
    pub(crate) left: Left,
}

/// What a node that ends leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Requests that had no answer when the time was up.
    Requests { unanswered: usize },
    /// What became of the tasks that a worker ran.
    Tasks(Parted),
}

impl Console {
    /// For a node whose log is written in `format`, to standard output if it `has_log`.
    pub(crate) fn new(format: Format, has_log: bool) -> Self {
        let for_people = match format {
            Format::Text => true,
            Format::Json => false,
            Format::Auto => std::io::stdout().is_terminal(),
        };
        Self { for_people, has_log }
    }

    /// Where the node is, and which core does what.
    pub(crate) fn ready(self, ready: &Ready<'_>) {
        if self.for_people {
            print(ready.text().as_bytes());
        } else {
            print(&ready.line());
        }
        if self.is_logged_apart() {
            ready.log();
        }
    }

    /// Who a worker is, and what it runs.
    pub(crate) fn worker_ready(self, started: &Started<'_>) {
        if self.for_people {
            print(started.text().as_bytes());
        } else {
            print(&started.line());
        }
        if self.is_logged_apart() {
            started.log();
        }
    }

    /// That the node ends, for a log of its own: it must still be open.
    pub(crate) fn stopping(self, stopped: &Stopped) {
        if self.is_logged_apart() {
            let reason = &stopped.reason;
            match stopped.left {
                Left::Requests { unanswered } => tracing::info!(reason, unanswered, "stopped"),
                Left::Tasks(Parted { ended, given_back }) => {
                    tracing::info!(reason, ended, given_back, "stopped");
                }
            }
        }
    }

    /// How it went, behind the log's last line.
    pub(crate) fn stopped(self, stopped: &Stopped) {
        if self.for_people {
            print(stopped.text().as_bytes());
        } else {
            print(&stopped.line());
        }
    }

    /// Whether the log does not have the line already.
    fn is_logged_apart(self) -> bool {
        self.for_people || !self.has_log
    }
}

impl Ready<'_> {
    fn text(&self) -> String {
        let Self { version, http, data, node, start, .. } = self;
        let mut text = format!(
            "distric-shard {version} is ready.\n  API      http://{http}/api/v1/   health \
             http://{http}/health/ready\n"
        );
        let mut row = |name: &str, value: std::fmt::Arguments<'_>| {
            writeln!(text, "  {name:<8} {value}").expect("a text takes everything");
        };
        if let Some(tcp) = self.tcp {
            row("binary", format_args!("{tcp}"));
        }
        if let Some(peer) = self.peer {
            row("peers", format_args!("{peer}"));
        }
        if let Some(gossip) = self.gossip {
            row("gossip", format_args!("{gossip}   (and workers, by TCP)"));
        }
        if let Some((capacity, plugins)) = self.tasks {
            row("tasks", format_args!("{capacity} at once, of {plugins}"));
        }
        row("data", format_args!("{}   (node {node}, start {start})", data.display()));
        for (core, cpu) in self.placement.cores() {
            let roles = if core == crate::core::CONSENSUS {
                "log, clients, workflows"
            } else {
                "clients, workflows"
            };
            row(&format!("core {core}"), format_args!("on CPU {cpu}: {roles}"));
        }
        if let Some(notice) = self.placement.notice() {
            row("note", format_args!("{notice}"));
        }
        row("limits", format_args!("{} open files; stop with Ctrl-C", self.open_files));
        text
    }

    fn line(&self) -> Vec<u8> {
        line("ready", |line| {
            line.field("version", self.version);
            line.display("http", self.http);
            if let Some(tcp) = self.tcp {
                line.display("tcp", tcp);
            }
            if let Some(peer) = self.peer {
                line.display("peer", peer);
            }
            if let Some(gossip) = self.gossip {
                line.display("gossip", gossip);
            }
            line.display("data", self.data.display());
            line.number("node", self.node);
            line.field("role", self.role);
            if let Some((capacity, plugins)) = self.tasks {
                line.number("capacity", u64::from(capacity));
                line.field("plugins", plugins);
            }
            line.number("start", self.start);
            line.number("cores", self.placement.len() as u64);
            line.field("cpus", &self.cpus());
            if let Some(notice) = self.placement.notice() {
                line.field("note", notice);
            }
            line.number("open_files", self.open_files);
        })
    }

    /// The same fields, through the log.
    fn log(&self) {
        let Self { version, http, node, start, open_files, role, .. } = *self;
        let (capacity, plugins) = self.tasks.unzip();
        let tcp = self.tcp.map(tracing::field::display);
        let peer = self.peer.map(tracing::field::display);
        let gossip = self.gossip.map(tracing::field::display);
        let (data, cores) = (self.data.display(), self.placement.len());
        let (cpus, note) = (self.cpus(), self.placement.notice());
        tracing::info!(target: COMPONENT, version, %http, tcp, peer, gossip, %data, node, role, capacity, plugins, start, cores, cpus, note, open_files, "ready");
    }

    /// The CPU of each core, from core 0 on.
    fn cpus(&self) -> String {
        let cpus: Vec<String> = self.placement.cores().map(|(_, cpu)| cpu.to_string()).collect();
        cpus.join(",")
    }
}

impl Started<'_> {
    fn text(&self) -> String {
        let Self { name, worker, http, gossip, data, capacity, plugins } = self;
        format!(
            "distric-shard {} is ready: worker {name} ({worker}).\n  health   http://{http}/health/ready\n  \
             gossip   {gossip}\n  data     {data}\n  tasks    {capacity} at once, of {plugins}\n",
            env!("CARGO_PKG_VERSION")
        )
    }

    fn line(&self) -> Vec<u8> {
        line("ready", |line| {
            line.field("version", env!("CARGO_PKG_VERSION"));
            line.field("worker", self.name);
            line.display("id", self.worker);
            line.display("http", self.http);
            line.display("gossip", self.gossip);
            line.field("data", self.data);
            line.number("capacity", u64::from(self.capacity));
            line.field("plugins", self.plugins);
        })
    }

    /// The same fields, through the log.
    fn log(&self) {
        let Self { name, worker, http, gossip, data, capacity, plugins } = self;
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(target: COMPONENT, version, worker = name, id = %worker, %http, %gossip, data, capacity, plugins, "ready");
    }
}

impl Stopped {
    fn text(&self) -> String {
        let reason = &self.reason;
        match self.left {
            Left::Requests { unanswered: 0 } => format!(
                "distric-shard stopped ({reason}): everything taken was answered and is durable.\n"
            ),
            Left::Requests { unanswered } => format!(
                "distric-shard stopped ({reason}): {unanswered} requests had no answer yet. \
                 Whether they were accepted is shown after the next start, by their \
                 Idempotency-Key\n"
            ),
            Left::Tasks(Parted { ended: 0, given_back: 0 }) => {
                format!("distric-shard stopped ({reason}): no task was running.\n")
            }
            Left::Tasks(Parted { ended, given_back }) => format!(
                "distric-shard stopped ({reason}): of the tasks that ran, {ended} came to their end \
                 and {given_back} were stopped, for others to run.\n"
            ),
        }
    }

    fn line(&self) -> Vec<u8> {
        line("stopped", |line| {
            line.field("reason", &self.reason);
            match self.left {
                Left::Requests { unanswered } => line.number("unanswered", unanswered as u64),
                Left::Tasks(Parted { ended, given_back }) => {
                    line.number("ended", ended as u64);
                    line.number("given_back", given_back as u64);
                }
            }
        })
    }
}

/// A line as the log has them.
fn line(message: &str, fields: impl FnOnce(&mut Line<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let at = runtime::now().wall;
    let mut line = Line::begin(&mut out, at, Level::Info, COMPONENT, format_args!("{message}"));
    fields(&mut line);
    line.end();
    out
}

/// All of it at once, so that no line of the log comes in between. Nobody may be reading any more:
/// that ends no node.
fn print(text: &[u8]) {
    let mut out = std::io::stdout().lock();
    let _unread = out.write_all(text).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests;

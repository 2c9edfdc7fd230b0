//! `NAME.yaml` beside `NAME.so`: what a plugin may use. Every key has a default, so the file may be
//! missing.
//!
//! Invariants:
//! - an unknown key, or a value out of range, refuses the plugin: a limit that was mistyped is not
//!   silently another one.

use crate::OUTPUT_BYTES_MAX;
use document::{Fault, Faults, Fields, Kind, Node, Source, parse};
use std::collections::BTreeMap;
use std::time::Duration;

/// Threads of one process. More tasks at once than this are a matter of processes.
pub const THREADS_MAX: u32 = 64;

/// Processes of one plugin on one node.
pub const PROCESSES_MAX: u32 = 32;

/// The least that a process is given. Unit: bytes. Below, `malloc` itself cannot work on.
pub const MEMORY_MIN: u64 = 4 << 20;

/// The most that a process is given. Unit: bytes.
pub const MEMORY_MAX: u64 = 1 << 40;

/// Paths that a plugin may read.
pub const PATHS_MAX: usize = 64;

/// Variables that a plugin is given.
pub const VARIABLES_MAX: usize = 64;

/// The shortest limit of CPU time: the kernel counts it in hundredths of a second.
pub const CPU_TIME_MIN: Duration = Duration::from_millis(100);

/// The shortest limit of time.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// The longest grace: a stopped worker's tasks must have ended within the rest of its lease.
const STOP_GRACE_MAX: Duration = Duration::from_mins(1);

/// What a plugin may reach of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// It cannot make a socket.
    #[default]
    None,
    /// TCP and UDP, to anywhere.
    Allow,
}

/// What a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Tasks at once in a process. Default 4.
    pub threads: u32,
    /// Processes. The second and later ones are started when there is work for them. Default 1.
    pub processes: u32,
    /// What a process may take beside what it is made of. Unit: bytes. Default 256 MiB.
    pub memory_max: u64,
    /// CPU time of one task. Default none.
    pub cpu_time: Option<Duration>,
    /// Time of a task whose workflow names none. Default none.
    pub timeout: Option<Duration>,
    /// How long a task that is stopped or out of time may go on before its process is killed.
    /// Default 1 s.
    pub stop_grace: Duration,
    /// The longest output. Unit: bytes. Default and most [`OUTPUT_BYTES_MAX`].
    pub output_max: usize,
    /// Default none.
    pub network: Network,
    /// Files and folders that it may read beside the machine's libraries. Absolute.
    pub read: Vec<String>,
    /// Its environment; the node's own is not handed on.
    pub environment: BTreeMap<String, String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            threads: 4,
            processes: 1,
            memory_max: 256 << 20,
            cpu_time: None,
            timeout: None,
            stop_grace: Duration::from_secs(1),
            output_max: OUTPUT_BYTES_MAX,
            network: Network::None,
            read: Vec::new(),
            environment: BTreeMap::new(),
        }
    }
}

impl Manifest {
    /// Reads a manifest.
    pub fn read(source: Source<'_>) -> Result<Self, Faults> {
        let node = parse(source).map_err(|fault| Faults(vec![fault]))?;
        if node.is_null() {
            return Ok(Self::default());
        }
        let mut fields =
            Fields::of(source, &node, "a manifest").map_err(|fault| Faults(vec![fault]))?;
        let mut faults = Vec::new();
        let manifest = Self::of(source, &mut fields, &mut faults);
        faults.extend(fields.finish());
        if faults.is_empty() { Ok(manifest) } else { Err(Faults(faults)) }
    }

    fn of(source: Source<'_>, fields: &mut Fields<'_>, faults: &mut Vec<Fault>) -> Self {
        let default = Self::default();
        let mut reader = Reader { source, fields, faults };
        Self {
            threads: reader.count("threads", THREADS_MAX, default.threads),
            processes: reader.count("processes", PROCESSES_MAX, default.processes),
            memory_max: reader.bytes("memory_max", MEMORY_MIN, MEMORY_MAX, default.memory_max),
            cpu_time: reader.duration("cpu_time", CPU_TIME_MIN, Duration::MAX),
            timeout: reader.duration("timeout", TIMEOUT_MIN, Duration::MAX),
            stop_grace: reader
                .duration("stop_grace", Duration::ZERO, STOP_GRACE_MAX)
                .unwrap_or(default.stop_grace),
            output_max: usize::try_from(reader.bytes(
                "output_max",
                1,
                OUTPUT_BYTES_MAX as u64,
                OUTPUT_BYTES_MAX as u64,
            ))
            .expect("held against a usize"),
            network: reader.network(),
            read: reader.paths(),
            environment: reader.environment(),
        }
    }

    /// Tasks of this plugin that run at once.
    pub fn slots(&self) -> u32 {
        self.threads * self.processes
    }
}

/// Reads keys, and goes on behind a fault, so that all are told at once.
struct Reader<'r, 's, 'a> {
    source: Source<'s>,
    fields: &'r mut Fields<'a>,
    faults: &'r mut Vec<Fault>,
}

impl Reader<'_, '_, '_> {
    fn keep<T>(&mut self, read: Result<Option<T>, Fault>) -> Option<T> {
        read.unwrap_or_else(|fault| {
            self.faults.push(fault);
            None
        })
    }

    fn fault(&mut self, node: &Node, what: String) {
        self.faults.push(Fault::at(self.source, node.span, what));
    }

    fn count(&mut self, key: &'static str, most: u32, default: u32) -> u32 {
        let read = self.fields.whole(key, 1..=i64::from(most));
        self.keep(read).map_or(default, |count| u32::try_from(count).expect("in its range"))
    }

    fn bytes(&mut self, key: &'static str, least: u64, most: u64, default: u64) -> u64 {
        let Some(node) = self.fields.take(key) else { return default };
        let text = match &node.kind {
            Kind::Text { value, .. } => value.clone(),
            Kind::Int(number) => number.to_string(),
            _ => String::new(),
        };
        match parse_bytes(&text) {
            Some(bytes) if (least..=most).contains(&bytes) => bytes,
            Some(bytes) => {
                let what = format!("`{key}` is out of range: {bytes} is not in {least} to {most}");
                self.fault(node, what);
                default
            }
            None => {
                let what = format!("`{key}` must be a number of bytes, as in 512KiB, 64MiB, 2GiB");
                self.fault(node, what);
                default
            }
        }
    }

    fn duration(&mut self, key: &'static str, least: Duration, most: Duration) -> Option<Duration> {
        let node = self.fields.take(key)?;
        let read = document::duration(self.source, node).map(Some);
        let duration = self.keep(read)?;
        if duration < least || duration > most {
            let bound = if duration < least { least } else { most };
            let side = if duration < least { "least" } else { "most" };
            self.fault(node, format!("`{key}` must be at {side} {bound:?}"));
            return None;
        }
        Some(duration)
    }

    fn network(&mut self) -> Network {
        let Some(node) = self.fields.take("network") else { return Network::None };
        match node.as_text() {
            Some("none") => Network::None,
            Some("allow") => Network::Allow,
            said => {
                let said = said.unwrap_or(node.kind_name()).to_owned();
                let what = format!("`network` is `none` or `allow`, not `{said}`");
                let fault = Fault::at(self.source, node.span, what);
                self.faults.push(fault.expecting(&said, &["none", "allow"]));
                Network::None
            }
        }
    }

    fn paths(&mut self) -> Vec<String> {
        let read = self.fields.list("read");
        let Some(nodes) = self.keep(read) else { return Vec::new() };
        if let Some(node) = nodes.get(PATHS_MAX) {
            self.fault(node, format!("`read` names more than {PATHS_MAX} paths"));
        }
        let mut paths = Vec::new();
        for node in nodes.iter().take(PATHS_MAX) {
            match node.as_text() {
                Some(path) if path.starts_with('/') && !path.contains('\0') => {
                    paths.push(path.to_owned());
                }
                _ => self.fault(node, "a path of `read` must be text that begins with /".into()),
            }
        }
        paths
    }

    fn environment(&mut self) -> BTreeMap<String, String> {
        let read = self.fields.map("environment");
        let Some(node) = self.keep(read) else { return BTreeMap::new() };
        let entries = node.as_map().unwrap_or_default();
        if let Some(entry) = entries.get(VARIABLES_MAX) {
            self.fault(
                &entry.value,
                format!("`environment` has more than {VARIABLES_MAX} variables"),
            );
        }
        let mut variables = BTreeMap::new();
        for entry in entries.iter().take(VARIABLES_MAX) {
            let is_name = !entry.key.is_empty() && !entry.key.contains(['=', '\0']);
            // What the loader reads would undo what the child is built on.
            let is_loaders = entry.key.starts_with("LD_") || entry.key == "GLIBC_TUNABLES";
            match entry.value.as_text() {
                Some(value) if is_name && !is_loaders && !value.contains('\0') => {
                    variables.insert(entry.key.clone(), value.to_owned());
                }
                _ if is_loaders => {
                    self.fault(&entry.value, format!("`{}` is the loader's own", entry.key));
                }
                _ => self.fault(
                    &entry.value,
                    format!("`{}` must be a name, and its value text", entry.key),
                ),
            }
        }
        variables
    }
}

/// Reads `1024`, `512KiB`, `64MiB`, `2GiB`.
fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let (number, unit) = text.split_at(text.len() - digits.len());
    let factor = match unit.trim() {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests;

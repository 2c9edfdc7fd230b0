//! CPU time of the server and of the generator, read at both ends of the measured window.

use crate::options::Plan;
use crate::target::Target;
use anyhow::{Context as _, ensure};
use rustix::time::{ClockId, clock_gettime};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long /metrics may take.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest /metrics that is read. Unit: bytes.
const SCRAPE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where the server's CPU time is read.
#[derive(Debug)]
enum Source {
    Processes(Vec<u32>),
    Metrics(Target),
}

impl Source {
    fn read(&self) -> anyhow::Result<Duration> {
        match self {
            Self::Processes(pids) => pids.iter().map(|pid| of_process(*pid)).sum(),
            Self::Metrics(target) => of_metrics(target),
        }
    }
}

/// A CPU clock, and how much was answered when it was read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    cpu: Duration,
    answered: u64,
    at: Instant,
}

/// What lies between two readings. Each process has its own: asking a busy server for its clock takes
/// a while, and what was answered meanwhile was paid for, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// CPU time.
    pub(crate) cpu: Duration,
    /// Requests answered well.
    pub(crate) answered: u64,
    /// Time by the wall.
    pub(crate) elapsed: Duration,
}

impl Spent {
    fn between(begin: Reading, end: Reading) -> Self {
        Self {
            cpu: end.cpu.saturating_sub(begin.cpu),
            answered: end.answered.saturating_sub(begin.answered),
            elapsed: end.at.saturating_duration_since(begin.at),
        }
    }
}

/// What the window cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    /// The server.
    pub(crate) server: Option<Spent>,
    /// Why the server's is not known.
    pub(crate) note: Option<String>,
    /// The generator.
    pub(crate) generator: Option<Spent>,
}

/// Reads the clocks.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Nothing when the server's clock could not be read: it is not asked again.
    source: Option<Source>,
    begin: Option<(Reading, Option<Reading>)>,
    end: Option<(Reading, Option<Reading>)>,
    note: Option<String>,
}

impl Meter {
    /// Tries the server's clock once before the run, so that a server that has none costs no time
    /// within it.
    pub(crate) fn new(plan: &Plan) -> Self {
        let source = if plan.pid.is_empty() {
            Source::Metrics(plan.target.clone())
        } else {
            Source::Processes(plan.pid.clone())
        };
        let mut meter = Self { source: Some(source), begin: None, end: None, note: None };
        meter.server();
        meter
    }

    /// The window begins.
    pub(crate) fn begin(&mut self, answered: impl Fn() -> u64) {
        self.begin = Some(self.read(answered));
    }

    /// The window ends.
    pub(crate) fn end(&mut self, answered: impl Fn() -> u64) {
        self.end = Some(self.read(answered));
    }

    fn read(&mut self, answered: impl Fn() -> u64) -> (Reading, Option<Reading>) {
        let reading = |cpu| Reading { cpu, answered: answered(), at: Instant::now() };
        let generator = reading(own());
        (generator, self.server().map(reading))
    }

    /// The server's clock; one that cannot be read is given up, with a note why.
    fn server(&mut self) -> Option<Duration> {
        match self.source.as_ref()?.read() {
            Ok(cpu) => Some(cpu),
            Err(error) => {
                self.note = Some(format!("{error:#}; name its process with --pid"));
                self.source = None;
                None
            }
        }
    }

    /// What lay between.
    pub(crate) fn finish(self) -> Cost {
        let (Some(begin), Some(end)) = (self.begin, self.end) else {
            return Cost { note: self.note, ..Cost::default() };
        };
        let server = begin.1.zip(end.1);
        Cost {
            server: server.map(|(begin, end)| Spent::between(begin, end)),
            note: self.note,
            generator: Some(Spent::between(begin.0, end.0)),
        }
    }
}

/// This process's CPU time.
fn own() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn of_process(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    ticks(&stat).with_context(|| format!("{path} has an unknown form"))
}

/// User and system time out of /proc/PID/stat: fields 14 and 15, in ticks.
/// Source: proc_pid_stat(5).
fn ticks(stat: &str) -> Option<Duration> {
    // The second field is the command's name in brackets, which may hold spaces and brackets.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_nanos((user + system).checked_mul(1_000_000_000 / per_second)?))
}

fn of_metrics(target: &Target) -> anyhow::Result<Duration> {
    let what = || format!("{target}/metrics does not tell the server's CPU time");
    let mut stream =
        TcpStream::connect_timeout(&target.address, SCRAPE_TIMEOUT).with_context(what)?;
    stream.set_read_timeout(Some(SCRAPE_TIMEOUT)).with_context(what)?;
    stream.set_write_timeout(Some(SCRAPE_TIMEOUT)).with_context(what)?;
    let request =
        format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.host);
    stream.write_all(request.as_bytes()).with_context(what)?;
    let mut bytes = Vec::new();
    stream.take(SCRAPE_BYTES_MAX).read_to_end(&mut bytes).map_err(patience).with_context(what)?;
    let text = String::from_utf8_lossy(&bytes);
    ensure!(text.starts_with("HTTP/1.1 200"), what());
    cpu_seconds(&text).with_context(what)
}

/// A read that took too long is reported by the system as one that would block.
fn patience(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            io::Error::new(ErrorKind::TimedOut, format!("no answer within {SCRAPE_TIMEOUT:?}"))
        }
        _ => error,
    }
}

fn cpu_seconds(text: &str) -> Option<Duration> {
    let mut values =
        text.lines().filter_map(|line| line.strip_prefix("process_cpu_seconds_total "));
    let seconds: f64 = values.next()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_read_behind_its_name() {
        let stat = "17 (a (b) c) S 1 17 17 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 1 1 1";
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        let expected = Duration::from_nanos(300 * (1_000_000_000 / ticks_per_second));
        assert_eq!(ticks(stat), Some(expected));
        assert_eq!(ticks("17 (a"), None);
        assert!(of_process(std::process::id()).is_ok());
    }

    #[test]
    fn the_time_in_metrics_is_read_from_its_line() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# TYPE process_cpu_seconds_total counter\n\
                    process_cpu_seconds_total 12.5\n";
        assert_eq!(cpu_seconds(text), Some(Duration::from_millis(12_500)));
        assert_eq!(cpu_seconds("process_cpu_seconds_total x"), None);
        assert_eq!(cpu_seconds(""), None);
    }
}

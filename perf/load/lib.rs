//! The bundled load generator: `distric-load`.
//!
//! It shares the machine with the node that it measures, so it spends as little as it can: requests
//! are built once and patched in place, a thread serves all of its connections from one epoll, and
//! an answer's body is counted and skipped.
//!
//! - *closed loop*: every connection keeps `--pipeline` requests in flight; how fast it goes is what
//!   the server can take.
//! - *open loop* (`--rate`): requests are due at fixed times, whether the server keeps up or not, and
//!   latency counts from the time a request was due. A server that stalls for a second is charged
//!   that second by every request that was due in it (coordinated omission).
//!
//! Over HTTP, or with `--tcp` over the binary protocol, where answers come in any order and each is
//! told from the others by its call.
//!
//! Invariants:
//! - a run ends: at its duration or count, and at most 5 s (`generator::GRACE`) later;
//! - every request that was begun is reported once: answered, failed or unanswered.

mod binary;
mod connection;
mod cpu;
mod frame;
mod generator;
mod options;
mod report;
mod request;
mod response;
mod schedule;
mod target;
mod template;

use anyhow::Context as _;
use clap::Parser as _;
use generator::{Counts, Generator, Progress, Window};
use options::{Options, Plan};
use report::Report;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Runs the program.
pub fn main() -> ExitCode {
    let options = Options::parse();
    let json = options.json;
    match run(&options) {
        Ok(report) => {
            if json {
                println!("{}", report.to_json());
            } else {
                print!("{}", report.to_text());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("distric-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How often the terminal is told how it goes, and a lost server is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Runs what `options` ask for.
fn run(options: &Options) -> anyhow::Result<Report> {
    let plan = Arc::new(Plan::new(options)?);
    raise_open_files(plan.connections)?;
    let progress: Vec<_> = (0..plan.threads).map(|_| Arc::new(Progress::default())).collect();
    let mut generators = Vec::new();
    for thread in 0..plan.threads {
        let progress = Arc::clone(&progress[thread]);
        generators.push(Generator::connect(&plan, thread, progress)?);
    }
    let mut meter = cpu::Meter::new(&plan);
    let window = Window::from_now(plan.warmup, plan.duration);
    let threads: Vec<_> = generators
        .into_iter()
        .map(|generator| thread::spawn(move || generator.run(window)))
        .collect();
    watch(&plan, window, &progress, &mut meter, &threads);
    let mut counts = Counts::new();
    for thread in threads {
        let part = thread.join().expect("a generator thread does not panic")?;
        counts.absorb(&part);
    }
    anyhow::ensure!(
        counts.answers() > 0,
        "{} answered nothing{}",
        plan.place(),
        counts.failed.keys().next().map(|kind| format!(" ({kind})")).unwrap_or_default()
    );
    Ok(Report::new(&plan, &counts, &meter.finish()))
}

/// Waits for the threads, reads the CPU clocks at both ends of the window, and tells the terminal how
/// it goes.
fn watch(
    plan: &Plan,
    window: Window,
    progress: &[Arc<Progress>],
    meter: &mut cpu::Meter,
    threads: &[thread::JoinHandle<anyhow::Result<Counts>>],
) {
    let tell = std::io::stderr().is_terminal();
    let answered = || progress.iter().map(|part| part.answered()).sum::<u64>();
    let mut begun = false;
    let mut ended = false;
    let mut told = Instant::now();
    let mut last = 0;
    while !threads.iter().all(thread::JoinHandle::is_finished) {
        let now = Instant::now();
        if !begun && now >= window.begin {
            begun = true;
            meter.begin(answered);
        }
        if !ended && now >= window.end {
            ended = true;
            meter.end(answered);
        }
        if tell && now >= told + Duration::from_secs(1) {
            let count = answered();
            let errors: u64 = progress.iter().map(|part| part.errors()).sum();
            let rate = (count - last) * plan.batch as u64;
            let at = now.saturating_duration_since(window.start).as_secs();
            eprint!("\r{at:>4} s  {rate:>9} messages/s  {errors} errors ");
            last = count;
            told = now;
        }
        let next = if !begun {
            window.begin
        } else if !ended {
            window.end
        } else {
            now + TICK
        };
        thread::sleep(next.saturating_duration_since(now).min(TICK));
    }
    if tell {
        eprintln!();
    }
    if !begun {
        meter.begin(answered);
    }
    if !ended {
        meter.end(answered);
    }
}

/// Descriptors that the process needs besides its connections.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit of open files as far as the hard one allows.
fn raise_open_files(connections: usize) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let needed = connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(hard) = limit.maximum
        && hard < needed
    {
        anyhow::bail!(
            "{connections} connections need {needed} open files, the hard limit is {hard}: use \
             fewer --connections or raise the limit (ulimit -Hn)"
        );
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
        .context("cannot raise the limit of open files")
}

#[cfg(test)]
mod tests;

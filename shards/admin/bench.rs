//! `rules bench`: what matching costs, on one core, from raw bytes, each message checked whole as a
//! node does at ingress.
//!
//! Invariants:
//! - throughput is counted in CPU time of this thread: what else the machine does is left out;
//! - everything is read, compiled and warm before a clock is looked at.

use crate::Trouble;
use crate::check;
use crate::files::{self, input};
use anyhow::{Context as _, anyhow};
use hdrhistogram::Histogram;
use rules::{BadMessage, Catalogue, Matcher, Matches, Rule};
use rustix::time::{ClockId, clock_gettime};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod machine;
mod report;

use report::Report;

/// The largest file of messages. Unit: bytes. It is held in memory, so that no disk is measured.
const MESSAGES_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// The least events between two looks at the CPU clock: that look costs as much as an event.
const ROUND_EVENTS_MIN: usize = 4_096;

/// Before anything is measured.
const WARM_UP: Duration = Duration::from_millis(200);

/// How many messages each rule alone is held against, evenly out of all of them.
const SAMPLE_MESSAGES: usize = 64;

/// How long rules are looked at one by one: those of a very large catalogue are not all.
const SAMPLE_TIME: Duration = Duration::from_secs(3);

/// How many of the slowest rules are shown.
const SLOWEST: usize = 10;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) rules: &'a PathBuf,
    pub(crate) messages: &'a Path,
    /// For how much CPU time.
    pub(crate) time: Duration,
    pub(crate) mode: Mode,
    pub(crate) json: bool,
}

/// How messages are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Each is checked whole, as where a node takes messages in
    #[default]
    Strict,
    /// Each is trusted and read as far as some rule asks, as where a node matches one again
    Fast,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Fast => "fast",
        }
    }
}

/// `rules bench`
pub(crate) fn bench(asked: &Asked<'_>, out: &mut dyn Write) -> Result<(), Trouble> {
    let text = read_messages(asked)?;
    let files = check::rules_of(std::slice::from_ref(asked.rules))?;
    let rules: Vec<Rule> = files.into_iter().flat_map(|file| file.items).collect();
    let machine = machine::Machine::take_one_core();
    let began = cpu_time();
    let catalogue = Catalogue::compile(rules.clone());
    let compile = cpu_time().saturating_sub(began);
    let name = files::name(asked.messages);
    let messages: Vec<&[u8]> = lines(&text).map(|(_, message)| message).collect();
    if messages.is_empty() {
        return Err(input(anyhow!("{name}: no message; one JSON object a line was expected")));
    }
    let mut engine = Engine::new(&catalogue, asked.mode);
    let counts = engine.count(&messages).map_err(|(at, error)| {
        let line = lines(&text).nth(at).map_or(0, |(number, _)| number);
        input(anyhow!("{name}:{line}: {error}"))
    })?;
    let speed = engine.speed(&messages, asked.time);
    let latency = engine.latency(&messages, asked.time)?;
    let slowest = slowest(&rules, &messages, asked.mode);
    let report = Report {
        rules: catalogue.len(),
        always_checked: catalogue.always_checked().count(),
        table_bytes: catalogue.table_bytes(),
        compile,
        messages: messages.len(),
        bytes: messages.iter().map(|message| message.len()).sum(),
        counts,
        speed,
        latency,
        slowest,
        mode: asked.mode,
        machine,
    };
    if asked.json {
        writeln!(out, "{}", report.to_json())?;
    } else {
        report.write(out)?;
    }
    Ok(())
}

fn read_messages(asked: &Asked<'_>) -> Result<Vec<u8>, Trouble> {
    if files::is_standard_input(asked.messages) && files::is_standard_input(asked.rules) {
        return Err(input(anyhow!("the rules and the messages cannot both be standard input")));
    }
    let text = files::read(asked.messages, MESSAGES_BYTES_MAX).map_err(input)?;
    if text.len() > MESSAGES_BYTES_MAX {
        let name = files::name(asked.messages);
        return Err(input(anyhow!("{name}: more than {MESSAGES_BYTES_MAX} bytes of messages")));
    }
    Ok(text)
}

/// A message a line, beside each the number of its line; empty lines are none.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    lines.filter(|(_, line)| !line.is_empty()).map(|(at, line)| (at + 1, line))
}

/// What this thread has run, without what others took from it.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A matcher at work.
struct Engine<'c> {
    catalogue: &'c Catalogue,
    mode: Mode,
    matcher: Matcher,
    out: Matches,
}

/// What one pass over the messages found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    matches: u64,
    matched_messages: u64,
    candidates: u64,
}

/// How fast.
#[derive(Clone, Debug)]
struct Speed {
    events: u64,
    cpu: Duration,
    /// Events per second of each round, the slowest first; at least one.
    rounds: Vec<f64>,
}

impl Speed {
    /// The round in the middle. All do the same: what others do to the machine's caches makes some
    /// of them slower.
    fn median(&self) -> f64 {
        self.rounds[self.rounds.len() / 2]
    }

    fn best(&self) -> f64 {
        self.rounds[self.rounds.len() - 1]
    }
}

impl<'c> Engine<'c> {
    fn new(catalogue: &'c Catalogue, mode: Mode) -> Self {
        Self { catalogue, mode, matcher: Matcher::new(), out: Matches::new() }
    }

    /// One that was read before.
    fn one(&mut self, message: &[u8]) {
        match self.mode {
            Mode::Strict => {
                let read = self.matcher.matches(self.catalogue, message, &mut self.out);
                read.expect("it was read before");
            }
            Mode::Fast => {
                self.matcher.matches_trusted(self.catalogue, message, &mut self.out);
            }
        }
    }

    /// Every message once, checked whole in any mode: which one is bad, is found here.
    fn count(&mut self, messages: &[&[u8]]) -> Result<Counts, (usize, BadMessage)> {
        let mut counts = Counts::default();
        for (at, message) in messages.iter().enumerate() {
            let read = self.matcher.matches(self.catalogue, message, &mut self.out);
            read.map_err(|error| (at, error))?;
            counts.matches += self.out.len() as u64;
            counts.matched_messages += u64::from(!self.out.is_empty());
            counts.candidates += self.matcher.looked_at() as u64;
        }
        Ok(counts)
    }

    /// So often every message, without a look at a clock.
    fn round(&mut self, messages: &[&[u8]], repeats: usize) {
        for message in (0..repeats).flat_map(|_| messages) {
            self.one(message);
        }
    }

    fn speed(&mut self, messages: &[&[u8]], time: Duration) -> Speed {
        let repeats = ROUND_EVENTS_MIN.div_ceil(messages.len());
        let start = cpu_time();
        while cpu_time().saturating_sub(start) < WARM_UP.min(time) {
            self.round(messages, repeats);
        }
        let events = (repeats * messages.len()) as u64;
        let mut speed = Speed { events: 0, cpu: Duration::ZERO, rounds: Vec::new() };
        while speed.cpu < time || speed.rounds.is_empty() {
            let start = cpu_time();
            self.round(messages, repeats);
            let spent = cpu_time().saturating_sub(start);
            speed.events += events;
            speed.cpu += spent;
            speed.rounds.push(per_second(events, spent));
        }
        speed.rounds.sort_by(f64::total_cmp);
        speed
    }

    /// One event by one, by a clock that costs little; about as long as the speed was measured, and
    /// at least every message once.
    fn latency(&mut self, messages: &[&[u8]], time: Duration) -> Result<Histogram<u64>, Trouble> {
        let made = Histogram::new_with_bounds(1, 10_000_000_000, 3);
        let mut histogram = made.context("a histogram of latencies").map_err(input)?;
        let start = Instant::now();
        let mut last = start;
        while last - start < time || histogram.is_empty() {
            // Whole passes alone: no message weighs more than another.
            for message in messages {
                self.one(message);
                let now = Instant::now();
                let nanoseconds = u64::try_from((now - last).as_nanos()).unwrap_or(u64::MAX);
                histogram.saturating_record(nanoseconds.max(1));
                last = now;
            }
        }
        Ok(histogram)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per_second(events: u64, spent: Duration) -> f64 {
    events as f64 / spent.as_secs_f64().max(1e-9)
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn ratio(part: u64, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// What one rule costs by itself.
#[derive(Clone, Debug)]
struct Cost {
    rule: String,
    /// Above what reading the message costs.
    nanoseconds: f64,
    candidate_share: f64,
    match_share: f64,
}

#[derive(Clone, Debug, Default)]
struct Slowest {
    costs: Vec<Cost>,
    /// How many rules were looked at.
    sampled: usize,
}

/// Each rule in a catalogue of its own, against a sample of the messages: what finding it and
/// holding the message against it costs, beyond reading the message. In the catalogue of all, rules
/// share part of that, so it is an upper bound there; the order is what counts.
fn slowest(rules: &[Rule], messages: &[&[u8]], mode: Mode) -> Slowest {
    let step = messages.len().div_ceil(SAMPLE_MESSAGES).max(1);
    let sample: Vec<&[u8]> = messages.iter().step_by(step).copied().collect();
    let nothing = Catalogue::default();
    let reading = alone(&nothing, &sample, mode, 9).0;
    let mut slowest = Slowest::default();
    let began = cpu_time();
    for rule in rules.iter().filter(|rule| rule.enabled) {
        if cpu_time().saturating_sub(began) > SAMPLE_TIME {
            break;
        }
        let catalogue = Catalogue::compile(vec![rule.clone()]);
        let (spent, counts) = alone(&catalogue, &sample, mode, 3);
        slowest.sampled += 1;
        slowest.costs.push(Cost {
            rule: rule.id.clone(),
            nanoseconds: (spent - reading).max(0.0),
            candidate_share: ratio(counts.candidates, sample.len()),
            match_share: ratio(counts.matches, sample.len()),
        });
    }
    let slower = |a: &Cost, b: &Cost| b.nanoseconds.total_cmp(&a.nanoseconds);
    slowest.costs.sort_by(|a, b| slower(a, b).then_with(|| a.rule.cmp(&b.rule)));
    slowest.costs.truncate(SLOWEST);
    slowest
}

/// Nanoseconds per message, the best of so many rounds, and what was found.
fn alone(catalogue: &Catalogue, sample: &[&[u8]], mode: Mode, rounds: usize) -> (f64, Counts) {
    let mut engine = Engine::new(catalogue, mode);
    let counts = engine.count(sample).unwrap_or_default();
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        let start = cpu_time();
        engine.round(sample, 1);
        best = best.min(cpu_time().saturating_sub(start));
    }
    (best.as_secs_f64() * 1e9 / ratio(sample.len() as u64, 1), counts)
}

#[cfg(test)]
mod tests;

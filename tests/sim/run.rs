//! `cargo sim`: seeds for as long as asked.
//!
//! ```text
//! cargo sim                        groups and single nodes, one seed after the other, until Ctrl-C
//! cargo sim group --for 2h         for so long (s, m, h)
//! cargo sim power --seeds 5000 --from 100000
//! cargo sim idle --seeds 10         three nodes that nobody asks anything, an hour each
//! cargo sim load                   three nodes that are kept busy; burst: as much as they take at once
//! cargo sim group --seed 17        one seed, and all that came of it
//! cargo sim scenarios --record     the scenarios: what goes otherwise than recorded, or record it
//! cargo sim group --seed 17 --tell the same, with all that happened in words
//! ```
//!
//! A violation is printed with the line that replays it, and the run goes on; at its end the process
//! fails if there was one.

#![allow(clippy::disallowed_methods, reason = "a program for people, with a clock on the wall")]

mod scenarios;
mod worlds;

use mimalloc::MiMalloc;
use sim::{Mark, Report};
use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use worlds::Kind;

/// As the real nodes have it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Between two lines of progress where nobody looks on.
const QUIET_BETWEEN: Duration = Duration::from_mins(1);
/// Where somebody does.
const SHOWN_BETWEEN: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "words on a command line, each there or not")]
struct Asked {
    kinds: Vec<Kind>,
    from: u64,
    seeds: u64,
    within: Option<Duration>,
    single: Option<u64>,
    tell: bool,
    scenarios: bool,
    record: bool,
}

fn asked(words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked { seeds: u64::MAX, ..Asked::default() };
    let mut words = words;
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} is followed by nothing"));
        match word.as_str() {
            "--from" => asked.from = number(&value()?)?,
            "--seeds" => asked.seeds = number(&value()?)?,
            "--seed" => asked.single = Some(number(&value()?)?),
            "scenarios" => asked.scenarios = true,
            "--record" => asked.record = true,
            "--tell" => asked.tell = true,
            "--for" => asked.within = Some(duration(&value()?)?),
            kind => {
                let kind = Kind::of(kind).ok_or_else(|| {
                    format!("{kind:?} is nothing to run: power, group, idle, load, burst, scenarios, or an option")
                })?;
                asked.kinds.push(kind);
            }
        }
    }
    if asked.kinds.is_empty() {
        asked.kinds = vec![Kind::Group, Kind::Power];
    }
    Ok(asked)
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is no number"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let (count, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(format!("{text:?} is no time: 30s, 10m, 2h")),
    };
    Ok(Duration::from_secs(number(count)? * seconds))
}

/// What a run comes to: a panic is a violation like any other.
fn run(kind: Kind, seed: u64) -> Result<Report, String> {
    let run = std::panic::catch_unwind(|| kind.run(seed));
    run.unwrap_or_else(|_| Err(PANIC.take()))
}

thread_local! {
    /// What the last panic said, and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Of many seeds a panic is one line; of a single one, all that there is to say.
fn keep_panics_short() {
    std::panic::set_hook(Box::new(|panic| {
        PANIC.with(|text| *text.borrow_mut() = panic.to_string().replace('\n', " "));
    }));
}

/// What came of all seeds so far.
struct Progress {
    begun: Instant,
    said: Instant,
    seeds: u64,
    violations: u64,
    total: Report,
}

impl Progress {
    fn line(&self) -> String {
        let hours = self.total.virtual_time.as_secs_f64() / 3_600.0;
        let passed = self.begun.elapsed();
        let seconds = passed.as_secs_f64().max(0.001);
        format!(
            "{} seeds, {hours:.1} simulated hours, {} violations, {} acknowledged, {:.0} s passed, \
             {:.0} times as fast as time",
            self.seeds,
            self.violations,
            self.total.acknowledged,
            passed.as_secs(),
            hours * 3_600.0 / seconds
        )
    }

    fn say(&mut self, is_shown: bool) {
        let between = if is_shown { SHOWN_BETWEEN } else { QUIET_BETWEEN };
        if self.said.elapsed() < between {
            return;
        }
        self.said = Instant::now();
        if is_shown {
            print!("\r{}\x1b[K", self.line());
        } else {
            println!("{}", self.line());
        }
        // Who does not read on needs no progress.
        let _ = std::io::stdout().flush();
    }
}

fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(reason) => {
            eprintln!("cargo sim: {reason}");
            return ExitCode::from(2);
        }
    };
    if asked.scenarios {
        let changed = scenarios::changed(asked.record);
        println!("{}", changed.join("\n"));
        let is_well = changed.is_empty() || asked.record;
        return if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let Some(seed) = asked.single {
        let kind = asked.kinds[0];
        let result = if asked.tell {
            let (result, lines) = kind.world(seed).tell();
            println!("{}", lines.join("\n"));
            result
        } else {
            run(kind, seed)
        };
        return match result {
            Ok(report) => {
                println!("{report:#?}");
                ExitCode::SUCCESS
            }
            Err(violation) => {
                println!("{violation}\n{}", kind.replay(seed));
                ExitCode::FAILURE
            }
        };
    }
    keep_panics_short();
    let begun = Instant::now();
    let (seeds, violations, total) = (0, 0, Report::default());
    let mut progress = Progress { begun, said: begun, seeds, violations, total };
    let is_shown = std::io::stdout().is_terminal();
    'seeds: for seed in asked.from..asked.from.saturating_add(asked.seeds) {
        for kind in &asked.kinds {
            if asked.within.is_some_and(|within| begun.elapsed() >= within) {
                break 'seeds;
            }
            match run(*kind, seed) {
                Ok(report) => progress.total.add(&report),
                Err(violation) => {
                    progress.violations += 1;
                    println!("\nVIOLATION: {violation}\n{}", kind.replay(seed));
                }
            }
            progress.seeds += 1;
            progress.say(is_shown);
        }
    }
    println!("\n{}", progress.line());
    for mark in Mark::ALL {
        println!("{:>12} {mark:?}", progress.total.marks.count(mark));
    }
    if progress.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

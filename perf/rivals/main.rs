//! The rules' workloads through our matcher and through others, one after the other in one run:
//! events per second of CPU time, from raw JSON.

#[path = "../../benches/workloads/rules.rs"]
mod workloads;

mod a_tree_engine;
mod naive;
mod ours;
mod quamina_engine;

use anyhow::Result;
use clap::Parser;
use std::time::Duration;
use workloads::Workload;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compares matchers.
#[derive(Parser)]
struct Arguments {
    /// Only workloads whose name has this part: `payments`, `10k`, `mixed`.
    #[arg(long, default_value = "")]
    only: String,
    /// Our matcher alone.
    #[arg(long)]
    ours: bool,
    /// How long each engine runs a workload. Unit: milliseconds.
    #[arg(long, default_value_t = 1_000)]
    millis: u64,
    /// So many rounds instead, of our matcher alone: to count instructions, run it with two numbers
    /// under callgrind and divide the difference by a thousand events a round.
    #[arg(long)]
    rounds: Option<u32>,
}

/// A matcher with its rules in it.
pub(crate) trait Engine {
    /// How many rules match.
    fn matches(&mut self, message: &[u8]) -> Result<usize>;

    /// How many rules were looked at for the last message, if it says so.
    fn looked_at(&self) -> usize {
        0
    }
}

/// What this thread has run, without what others took from it.
pub(crate) fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).expect("time goes forward"),
        u32::try_from(now.tv_nsec).expect("below a second"),
    )
}

struct Outcome {
    events_per_second: f64,
    matches: usize,
    looked_at: f64,
}

fn run(engine: &mut dyn Engine, workload: &Workload, time: Duration) -> Result<Outcome> {
    let (mut matches, mut looked_at) = (0, 0);
    for message in &workload.messages {
        matches += engine.matches(message.as_bytes())?;
        looked_at += engine.looked_at();
    }
    // The best of several rounds: what others do to the machine only ever makes a round slower.
    let mut best = Duration::MAX;
    let began = cpu_time();
    while cpu_time() - began < time {
        let start = cpu_time();
        for message in &workload.messages {
            engine.matches(message.as_bytes())?;
        }
        best = best.min(cpu_time() - start);
    }
    let count = f64::from(u32::try_from(workload.messages.len())?);
    Ok(Outcome {
        events_per_second: count / best.as_secs_f64(),
        matches,
        looked_at: f64::from(u32::try_from(looked_at)?) / count,
    })
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // Made only when it is their turn: the largest takes a while.
    let makers: [fn() -> Vec<Workload>; 7] = [
        || vec![workloads::payments(10)],
        || vec![workloads::payments(1_000)],
        || vec![workloads::payments(10_000)],
        || vec![workloads::payments(100_000)],
        || vec![workloads::exact(10_000)],
        workloads::parcels,
        || vec![workloads::mixed(3_000)],
    ];
    let names = [
        "payments, 10 ",
        "payments, 1k",
        "payments, 10k",
        "payments, 100k",
        "equals alone",
        "five rules",
        "mixed",
    ];
    let wanted = makers.iter().zip(names).filter(|(_, name)| name.contains(&arguments.only));
    let all = wanted.flat_map(|(make, _)| make());
    let time = Duration::from_millis(arguments.millis);
    println!(
        "{:32} {:>5} {:>12} {:>10} {:>8} {:>9} {:>9} {:>9}  others, events/s",
        "workload", "bytes", "events/s", "ns/event", "matches", "looked at", "compile", "tables"
    );
    // Valgrind does not run what reads the clock.
    let clock = if arguments.rounds.is_some() { || Duration::ZERO } else { cpu_time };
    for workload in all {
        let (mut engine, facts) = ours::Ours::new(&workload, clock);
        if let Some(rounds) = arguments.rounds {
            for message in (0..rounds).flat_map(|_| &workload.messages) {
                engine.matches(message.as_bytes())?;
            }
            continue;
        }
        let own = run(&mut engine, &workload, time)?;
        let bytes =
            workload.messages.iter().map(String::len).sum::<usize>() / workload.messages.len();
        print!(
            "{:32} {bytes:5} {:12.0} {:10.0} {:8} {:9.2} {:6.1} ms {:6} kB ",
            workload.name,
            own.events_per_second,
            1e9 / own.events_per_second,
            own.matches,
            own.looked_at,
            facts.compile.as_secs_f64() * 1e3,
            facts.table_bytes / 1_000,
        );
        if !arguments.ours {
            others(&workload, time, own.matches)?;
        }
        println!();
    }
    Ok(())
}

fn others(workload: &Workload, time: Duration, matches: usize) -> Result<()> {
    type Make = fn(&Workload) -> Result<Box<dyn Engine>>;
    let engines: [(&str, Make); 3] = [
        ("quamina", quamina_engine::make),
        ("a-tree", a_tree_engine::make),
        ("serde_json", naive::make),
    ];
    for (name, make) in engines {
        // Some cannot take a workload at all, and one panics where it is too large for it.
        let outcome = std::panic::catch_unwind(|| run(&mut *make(workload)?, workload, time));
        match outcome {
            Err(_) => print!(" {name}: panics;"),
            Ok(Err(error)) => print!(" {name}: {error};"),
            Ok(Ok(outcome)) => {
                print!(" {name}: {:.0}", outcome.events_per_second);
                if outcome.matches != matches {
                    print!(" ({} matches!)", outcome.matches);
                }
                print!(";");
            }
        }
    }
    Ok(())
}

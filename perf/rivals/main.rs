//! The rules' workloads through our matcher and through others, one after the other in one run:
//! events per second of CPU time, from raw JSON.

#[path = "../../benches/workloads/rules.rs"]
mod workloads;

mod a_tree_engine;
mod naive;
mod ours;
mod quamina_engine;

use anyhow::{Context, Result};
use clap::Parser;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use workloads::Workload;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Compares matchers.
#[derive(Parser)]
struct Arguments {
    /// Only workloads whose name has this part: `payments`, `10000 rules`, `mixed`.
    #[arg(long, default_value = "")]
    only: String,
    /// Only the workload of exactly this name.
    #[arg(long, conflicts_with = "only")]
    workload: Option<String>,
    /// Our matcher alone.
    #[arg(long)]
    ours: bool,
    /// How long each engine runs a workload. Unit: milliseconds.
    #[arg(long, default_value_t = 1_000)]
    millis: u64,
    /// Another engine alone: `quamina`, `a-tree` or `serde_json`. How the table asks for them, each
    /// in a process of its own: one that panics or never ends spoils no other line.
    #[arg(long)]
    engine: Option<String>,
    /// So many rounds instead, of our matcher alone: what `perf/instructions` counts.
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
    while cpu_time().saturating_sub(began) < time {
        let start = cpu_time();
        for message in &workload.messages {
            engine.matches(message.as_bytes())?;
        }
        best = best.min(cpu_time().saturating_sub(start));
    }
    let count = f64::from(u32::try_from(workload.messages.len())?);
    Ok(Outcome {
        events_per_second: count / best.as_secs_f64(),
        matches,
        looked_at: f64::from(u32::try_from(looked_at)?) / count,
    })
}

fn head() {
    println!(
        "{:32} {:>5} {:>12} {:>10} {:>8} {:>9} {:>9} {:>9} {:>9}  others: events/s and matches",
        "workload",
        "bytes",
        "events/s",
        "ns/event",
        "matches",
        "looked at",
        "compile",
        "tables",
        "change"
    );
}

/// How the names of some workloads begin, and how they are made: only when it is their turn, as the
/// largest takes a while.
type Maker = (&'static str, fn() -> Vec<Workload>);

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let makers: [Maker; 7] = [
        ("payments, 10 rules", || vec![workloads::payments(10)]),
        ("payments, 1000 rules", || vec![workloads::payments(1_000)]),
        ("payments, 10000 rules", || vec![workloads::payments(10_000)]),
        ("payments, 100000 rules", || vec![workloads::payments(100_000)]),
        ("equals alone", || vec![workloads::exact(10_000)]),
        ("five rules", workloads::parcels),
        ("mixed", || vec![workloads::mixed(3_000)]),
    ];
    let is_wanted = |workload: &Workload| match &arguments.workload {
        Some(name) => workload.name == *name,
        None => workload.name.contains(&arguments.only),
    };
    // The names of what a maker makes begin so.
    let may_be_wanted = |beginning: &str| match &arguments.workload {
        Some(name) => name.starts_with(beginning),
        None => true,
    };
    let wanted = makers.iter().filter(|(beginning, _)| may_be_wanted(beginning));
    let all = wanted.flat_map(|(_, make)| make()).filter(is_wanted);
    let time = Duration::from_millis(arguments.millis);
    let has_head = arguments.engine.is_none() && arguments.rounds.is_none();
    if has_head {
        head();
    }
    // Valgrind does not run what reads the clock.
    let clock = if arguments.rounds.is_some() { || Duration::ZERO } else { cpu_time };
    for workload in all {
        if let Some(engine) = &arguments.engine {
            alone(engine, &workload, time)?;
            continue;
        }
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
            "{:32} {bytes:5} {:12.0} {:10.0} {:8} {:9.2} {:6.1} ms {:6} kB {:6.0} us ",
            workload.name,
            own.events_per_second,
            1e9 / own.events_per_second,
            own.matches,
            own.looked_at,
            facts.compile.as_secs_f64() * 1e3,
            facts.table_bytes / 1_000,
            facts.change.as_secs_f64() * 1e6,
        );
        for (engine, _) in ENGINES.iter().filter(|_| !arguments.ours) {
            print!(" {engine}: {};", other(engine, &workload, time)?);
        }
        println!();
    }
    Ok(())
}

/// How the others are made.
type Make = fn(&Workload) -> Result<Box<dyn Engine>>;

const ENGINES: [(&str, Make); 3] = [
    ("quamina", quamina_engine::make),
    ("a-tree", a_tree_engine::make),
    ("serde_json", naive::make),
];

/// An engine that takes longer to take its rules is not waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a process that was asked for one engine says: events per second and matches.
fn alone(engine: &str, workload: &Workload, time: Duration) -> Result<()> {
    let (_, make) = ENGINES
        .into_iter()
        .find(|(name, _)| *name == engine)
        .with_context(|| format!("no engine is called `{engine}`"))?;
    let outcome = run(&mut *make(workload)?, workload, time)?;
    println!("{:.0} {}", outcome.events_per_second, outcome.matches);
    Ok(())
}

fn other(engine: &str, workload: &Workload, time: Duration) -> Result<String> {
    let mut process = Command::new(std::env::current_exe()?)
        .args(["--engine", engine, "--workload", &workload.name])
        .args(["--millis", &time.as_millis().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let start = Instant::now();
    while process.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE + time {
            process.kill()?;
            process.wait()?;
            return Ok(format!("not ready after {} s", PATIENCE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = process.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let error = String::from_utf8_lossy(&output.stderr);
    let reason = error.lines().find(|line| !line.trim().is_empty()).unwrap_or("fails");
    Ok(reason.chars().take(60).collect())
}

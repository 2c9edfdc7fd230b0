//! Plugin tasks through child processes: how many a second, and what each costs the node's side and
//! the plugin's side in CPU time. The plugin is config/plugins/payment_validator in C, so what is
//! measured is the way there and back. A closed loop keeps every thread busy. The processes are this
//! program's own, as a node's are the node's.
//!
//! `cargo bench --bench plugins [-- SECONDS]`; needs `cc`.

use bytes::Bytes;
use host::{Host, Job, Options};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// What the node links: allocation is part of the cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads of a process, processes, and bytes that the input has besides.
const SHAPES: [(u32, u32, usize); 5] =
    [(1, 1, 0), (4, 1, 0), (16, 1, 0), (4, 2, 0), (4, 2, 16 * 1024)];

fn main() -> ExitCode {
    if let Some(code) = host::child_main(std::env::args_os()) {
        return code;
    }
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let seconds = seconds.unwrap_or(3);
    println!("threads x processes, input: tasks/s, CPU per task of the node and of the plugin");
    for (threads, processes, padding) in SHAPES {
        let folder = tempfile::tempdir().expect("a folder");
        if !prepare(folder.path(), threads, processes) {
            println!("skipped: cc is not installed");
            return ExitCode::SUCCESS;
        }
        let (tasks, took, node, plugin) = measure(folder.path(), padding, seconds);
        let per_task = |cpu: Duration| cpu.as_secs_f64() * 1e6 / f64::from(tasks);
        println!(
            "{threads:>2} x {processes}, {:>6} B: {:>7.0}/s  {:>6.1} us node  {:>6.1} us plugin",
            INPUT.len() + padding,
            f64::from(tasks) / took.as_secs_f64(),
            per_task(node),
            per_task(plugin)
        );
    }
    ExitCode::SUCCESS
}

const INPUT: &str =
    r#"{"amount": 12.5, "currency": "EUR", "card": "4111111111111111", "note": ""}"#;

fn prepare(folder: &Path, threads: u32, processes: u32) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-O2", "-fPIC", "-shared", "-I"])
        .arg(root.join("src/abi/include"))
        .arg("-o")
        .arg(folder.join("payment_validator.so"))
        .arg(root.join("config/plugins/payment_validator/payment_validator.c"))
        .status();
    let manifest = format!("threads: {threads}\nprocesses: {processes}\n");
    std::fs::write(folder.join("payment_validator.yaml"), manifest).expect("a manifest");
    compiled.is_ok_and(|status| status.success())
}

/// Tasks that ended, in what time, and the CPU time of this process and of its children.
fn measure(folder: &Path, padding: usize, seconds: u64) -> (u32, Duration, Duration, Duration) {
    let host = Host::open(Options::new(folder)).expect("a host");
    let input = INPUT.replace("\"\"", &format!("\"{}\"", "x".repeat(padding)));
    let input = Bytes::from(input);
    let (mut next, mut ended) = (0, 0_u32);
    let (own, _) = cpu();
    let (start, limit) = (Instant::now(), Duration::from_secs(seconds));
    while start.elapsed() < limit {
        while host.running() < host.capacity() {
            next += 1;
            let job = Job {
                key: next,
                plugin: "payment_validator".to_owned(),
                config: Bytes::from_static(b"{}"),
                input: input.clone(),
                instance: "00300000000000a1-1".to_owned(),
                idempotency_key: "00300000000000a1-1/pay".to_owned(),
                workflow: "pay".to_owned(),
                task: "pay".to_owned(),
                timeout: Some(Duration::from_secs(10)),
                attempt: 1,
                trace: String::new(),
            };
            host.run(job).expect("there is room");
        }
        for finished in host.wait_finished() {
            finished.outcome.expect("the payment is good");
            ended += 1;
        }
    }
    let took = start.elapsed();
    let node = cpu().0.saturating_sub(own);
    let before = cpu().1;
    // What a child used is told when it is reaped.
    host.shutdown(Duration::from_secs(1)).wait();
    (ended, took, node, cpu().1.saturating_sub(before))
}

/// CPU time of this process and of its children that were reaped.
fn cpu() -> (Duration, Duration) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("it is Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    let fields: Vec<u64> = fields.split(' ').map(|field| field.parse().unwrap_or(0)).collect();
    let ticks = rustix::param::clock_ticks_per_second();
    let time = |at: usize| Duration::from_millis((fields[at] + fields[at + 1]) * 1_000 / ticks);
    (time(11), time(13))
}

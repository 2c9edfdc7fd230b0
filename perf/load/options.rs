//! What the user asks for, and the same once it is checked.

use crate::target::Target;
use crate::template::Template;
use anyhow::{Context as _, ensure};
use base::Address;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

/// Sends messages to a DistriC node and measures how it answers.
#[derive(Debug, clap::Parser)]
#[command(name = "distric-load", version)]
pub(crate) struct Options {
    /// The node
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        env = "DISTRIC_SERVER"
    )]
    pub(crate) url: String,

    /// Send over the binary protocol to this address; of --url only /metrics is asked then
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) tcp: Option<String>,

    /// Messages per second, due at fixed times (open loop); 0: as fast as answers come (closed loop)
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) rate: u64,

    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = document::parse_duration)]
    pub(crate) duration: Duration,

    /// How long to run before measuring
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = document::parse_duration)]
    pub(crate) warmup: Duration,

    /// Stop after so many requests, warm-up included
    #[arg(long, value_name = "N")]
    pub(crate) requests: Option<u64>,

    /// Connections
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) connections: usize,

    /// Requests in flight on one connection (with --tcp: submits)
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) pipeline: usize,

    /// Messages in one request; over HTTP, more than one go to messages:batch
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) batch: usize,

    /// Bytes of one message
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    pub(crate) size: usize,

    /// A message to send instead; {seq} and {random} in it become numbers of 12 digits
    #[arg(long, value_name = "FILE", conflicts_with = "size")]
    pub(crate) template: Option<PathBuf>,

    /// Send an Idempotency-Key with every request, each its own; with --tcp, number the messages: each
    /// connection is a producer
    #[arg(long)]
    pub(crate) keys: bool,

    /// Threads of the generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threads: usize,

    /// The server's process, to report its CPU time, or those of a cluster, joined by commas; without
    /// it /metrics is asked
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub(crate) pid: Vec<u32>,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Messages of one `messages:batch` request at most; the server refuses more.
const BATCH_MAX: usize = 1_000;

/// The largest body that is built. Unit: bytes. Larger than what the server takes, so that its
/// refusal can be measured too.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Requests in flight at most, over all connections: each takes a few bytes here.
const IN_FLIGHT_MAX: usize = 10_000_000;

/// Messages of one producer that may be without an answer: the server remembers no more.
const PRODUCER_MESSAGES_MAX: usize = 1_024;

/// By which door messages go in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Http,
    Binary(SocketAddr),
}

/// Options that can be carried out.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The server's HTTP door, which tells what it costs.
    pub(crate) target: Target,
    pub(crate) door: Door,
    /// Messages per second; 0 is a closed loop.
    pub(crate) rate: u64,
    pub(crate) duration: Duration,
    pub(crate) warmup: Duration,
    pub(crate) requests_max: u64,
    pub(crate) connections: usize,
    pub(crate) pipeline: usize,
    pub(crate) batch: usize,
    pub(crate) template: Template,
    pub(crate) keys: bool,
    pub(crate) threads: usize,
    pub(crate) pid: Vec<u32>,
}

impl Plan {
    /// Checks `options`.
    pub(crate) fn new(options: &Options) -> anyhow::Result<Self> {
        let at_least_one = [
            ("connections", options.connections),
            ("pipeline", options.pipeline),
            ("batch", options.batch),
            ("threads", options.threads),
        ];
        for (name, value) in at_least_one {
            ensure!(value > 0, "--{name} 0: at least 1 is needed");
        }
        ensure!(
            options.threads <= options.connections,
            "--threads {}: each needs a connection, and there are {}",
            options.threads,
            options.connections
        );
        ensure!(
            options.batch <= BATCH_MAX,
            "--batch {}: a batch holds at most {BATCH_MAX} messages",
            options.batch
        );
        ensure!(
            options.pipeline.saturating_mul(options.connections) <= IN_FLIGHT_MAX,
            "--pipeline {} on {} connections: at most {IN_FLIGHT_MAX} requests can be in flight",
            options.pipeline,
            options.connections
        );
        ensure!(!options.duration.is_zero(), "--duration: nothing can be measured in no time");
        let template = template(options)?;
        ensure!(
            template.bytes().saturating_mul(options.batch) <= BODY_BYTES_MAX,
            "--size {} in batches of {}: a body has at most {BODY_BYTES_MAX} bytes",
            template.bytes(),
            options.batch
        );
        let door = door(options)?;
        ensure!(
            door == Door::Http
                || !options.keys
                || options.pipeline.saturating_mul(options.batch) <= PRODUCER_MESSAGES_MAX,
            "--pipeline {} of --batch {} with --keys: a producer has at most \
             {PRODUCER_MESSAGES_MAX} messages in flight",
            options.pipeline,
            options.batch
        );
        Ok(Self {
            target: Target::parse(&options.url)?,
            door,
            rate: options.rate,
            duration: options.duration,
            warmup: options.warmup,
            requests_max: options.requests.unwrap_or(u64::MAX),
            connections: options.connections,
            pipeline: options.pipeline,
            batch: options.batch,
            template,
            keys: options.keys,
            threads: options.threads,
            pid: options.pid.clone(),
        })
    }
}

fn door(options: &Options) -> anyhow::Result<Door> {
    let Some(text) = &options.tcp else { return Ok(Door::Http) };
    let address = Address::parse(text).context("--tcp")?;
    let found = address.to_string().to_socket_addrs();
    let found = found.with_context(|| format!("--tcp {text}: cannot look it up"))?.next();
    Ok(Door::Binary(found.with_context(|| format!("--tcp {text}: it has no address"))?))
}

impl Plan {
    /// Where messages go, as a URL.
    pub(crate) fn place(&self) -> String {
        match self.door {
            Door::Http => self.target.to_string(),
            Door::Binary(address) => format!("tcp://{address}"),
        }
    }
}

fn template(options: &Options) -> anyhow::Result<Template> {
    match &options.template {
        None => Template::of_size(options.size).with_context(|| format!("--size {}", options.size)),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("--template {}", path.display()))?;
            Template::parse(&text).with_context(|| format!("--template {}", path.display()))
        }
    }
}

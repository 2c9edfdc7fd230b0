//! What a node is told: defaults, then the config file, then the environment, then the command
//! line; the later one wins. Every value knows where it came from, so that an error can say so.

mod roles;

pub use roles::{Membership, Role};

use crate::log;
use anyhow::{Context, Result, bail};
use base::{Address, NodeId};
use clap::Parser;
use document::{Kind, Source};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use telemetry::Filter;

/// DistriC: messages in, rules matched, workflows run durably.
///
/// Starts a node. Without any option it uses every core, keeps its data in ./data and serves
/// http://127.0.0.1:8080, and the binary protocol on 127.0.0.1:8081. Every option is a key of the
/// config file, too, and an environment variable: `--http`, `http:` and DISTRIC_HTTP are the same. The
/// command line wins over the environment, the environment over the file. config/distric.yaml explains
/// every key.
#[derive(Parser, Debug)]
#[command(name = "distric-shard", version, about, long_about)]
pub struct Options {
    /// CPUs to run on, as in `0-7` or `0,2,4` [default: all]
    #[arg(long, value_name = "LIST")]
    cores: Option<String>,
    /// Read settings from this file (YAML or JSON) [env: DISTRIC_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything durable lives [default: ./data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Where clients reach the HTTP API [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// Where clients reach the binary protocol, or `off` [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    tcp: Option<String>,
    /// The node's number in its cluster, kept in the data directory from the first start on
    /// [default: 1]
    #[arg(long, value_name = "N")]
    node: Option<String>,
    /// Where the other coordinators reach this one, or `off` for a node alone [default: off]
    #[arg(long, value_name = "ADDR")]
    peer: Option<String>,
    /// The nodes that found a cluster together, as in `1=HOST:PORT,2=HOST:PORT,3=HOST:PORT`, the
    /// same on each; counts only while the data directory belongs to no cluster [default: off]
    #[arg(long, value_name = "LIST")]
    bootstrap: Option<String>,
    /// What this node does: `coordinator` holds the log, `worker` runs tasks in plugins, `both` does
    /// both [default: both]
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// Where this node takes gossip (UDP) and workers (TCP): an address that the others can send to, so
    /// never 0.0.0.0; or `off` [default: off]
    #[arg(long, value_name = "ADDR")]
    gossip: Option<String>,
    /// Where nodes of the cluster take gossip (their `--gossip`), as in `HOST:PORT,HOST:PORT`; a worker
    /// needs one that answers, coordinators of one cluster need none [default: off]
    #[arg(long, value_name = "LIST")]
    join: Option<String>,
    /// The folder of plugins, or `off` [default: ./plugins if it is there]
    #[arg(long, value_name = "DIR")]
    plugins: Option<String>,
    /// Serve on an address other machines can reach, though there is no authentication yet
    #[arg(long)]
    allow_remote: bool,
    /// What is logged: a level, or levels per component, as in `info,consensus=debug`
    /// [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// How lines are written: `auto` (text on a terminal, JSON elsewhere), `json` or `text`
    /// [default: auto]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Where lines go: `stdout`, or a file, which is appended to [default: stdout]
    #[arg(long, value_name = "FILE")]
    log_file: Option<String>,
    /// Any other key of the config file, as in `--set retention=1GiB`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// What a node is told, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `None`: every CPU that the process may use.
    pub cores: Option<runtime::CoreSpec>,
    /// The data directory.
    pub data: PathBuf,
    /// The HTTP address.
    pub http: SocketAddr,
    /// The address of the binary protocol; `None`: it is not served.
    pub tcp: Option<SocketAddr>,
    /// The node's number; `None`: the data directory's, or 1.
    pub node: Option<NodeId>,
    /// Where this node listens for the other coordinators; `None`: it has none.
    pub peer: Option<SocketAddr>,
    /// Who founds a cluster together, and where each is reached; empty: nobody, this node waits to be
    /// added, or is alone.
    pub bootstrap: BTreeMap<NodeId, Address>,
    /// Gossip and workers.
    pub membership: Membership,
    /// What an operator should hear of these settings, though they can be used.
    pub(crate) notices: Vec<String>,
    /// Whether somebody said where the data is: a worker finds a place by itself.
    pub(crate) data_is_given: bool,
    /// Whether an address that is not loopback is all right.
    pub allow_remote: bool,
    /// The log filter.
    pub log: String,
    /// The log format.
    pub(crate) log_format: log::Format,
    /// When a line is written.
    pub(crate) log_mode: log::Mode,
    /// The file that the log is appended to; `None`: standard output.
    pub log_file: Option<PathBuf>,
    /// Where traces are sent; `None`: nothing is traced.
    pub trace_endpoint: Option<String>,
    /// The share of requests to trace whose sender has not decided that. From 0 to 1.
    pub trace_ratio: f64,
    /// The longest orderly stop.
    pub stop_timeout: Duration,
    /// See `ingress::Limits`.
    pub http_limits: ingress::Limits,
    /// See `ingress::BinaryLimits`.
    pub tcp_limits: ingress::BinaryLimits,
    /// A snapshot is taken when the journal is larger. Unit: bytes.
    pub snapshot_journal: u64,
    /// The journal's segments. Unit: bytes.
    pub segment: u64,
    /// Whether a new data directory gets the example rules and workflows.
    pub examples: bool,
    /// Partitions of a new cluster.
    pub partitions: u16,
    /// Finished state that a new cluster keeps. Unit: bytes.
    pub retention: u64,
    /// Idempotency keys that a new cluster remembers.
    pub keys_max: u64,
    /// How long a new cluster remembers them.
    pub key_ttl: Duration,
}

/// What one partition may keep: its image is one piece of memory. Unit: bytes.
const PARTITION_RETENTION_MAX: u64 = 512 << 20;

/// A value as it was given, and where.
#[derive(Debug, Clone)]
struct Given {
    text: String,
    place: String,
}

/// Every key, with its default.
const KEYS: &[(&str, &str)] = &[
    ("cores", "all"),
    ("data", "./data"),
    ("http", "127.0.0.1:8080"),
    ("tcp", "127.0.0.1:8081"),
    ("node", "1"),
    ("peer", "off"),
    ("bootstrap", "off"),
    ("role", "both"),
    ("gossip", "off"),
    ("join", "off"),
    ("gossip_multicast", "off"),
    ("gossip_keys", "off"),
    ("gossip_period", "1s"),
    ("gossip_probe_timeout", "500ms"),
    ("gossip_indirect_probes", "3"),
    ("gossip_suspicion_periods", "3"),
    ("gossip_interval", "200ms"),
    ("gossip_sync", "10s"),
    ("gossip_forget", "1h"),
    ("plugins", "./plugins"),
    ("worker_capacity", "auto"),
    ("worker_name", "auto"),
    ("zone", "off"),
    ("worker_lease", "10s"),
    ("worker_strategy", "least_loaded"),
    ("allow_remote", "false"),
    ("log", "info"),
    ("log_format", "auto"),
    ("log_mode", "async"),
    ("log_file", "stdout"),
    ("trace_endpoint", "off"),
    ("trace_ratio", "0"),
    ("stop_timeout", "10s"),
    ("http_connections_max", "16384"),
    ("http_header_timeout", "10s"),
    ("http_body_timeout", "10s"),
    ("http_write_stall", "10s"),
    ("http_header_bytes_max", "16KiB"),
    ("tcp_connections_max", "16384"),
    ("tcp_idle", "5m"),
    ("tcp_write_stall", "10s"),
    ("snapshot_journal", "1GiB"),
    ("segment", "64MiB"),
    ("examples", "true"),
    ("partitions", "64"),
    ("retention", "256MiB"),
    ("keys_max", "1000000"),
    ("key_ttl", "2m"),
];

impl Settings {
    /// Reads everything: the options as parsed, the process's environment through `variable`.
    pub fn read(options: &Options, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut given = BTreeMap::new();
        let config =
            options.config.clone().or_else(|| variable("DISTRIC_CONFIG").map(PathBuf::from));
        if let Some(path) = config {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the config file {}", path.display()))?;
            read_file(&path.display().to_string(), &text, &mut given)?;
        }
        for (key, _) in KEYS {
            let name = format!("DISTRIC_{}", key.to_uppercase());
            if let Some(text) = variable(&name) {
                given.insert((*key).to_owned(), Given { text, place: name });
            }
        }
        read_options(options, &mut given)?;
        Reader { given }.settings()
    }
}

fn read_file(name: &str, text: &str, given: &mut BTreeMap<String, Given>) -> Result<()> {
    let source = Source { name, text };
    let root = document::parse(source)?;
    let entries = match &root.kind {
        Kind::Map(entries) => entries,
        Kind::Null => return Ok(()),
        _ => bail!("{name}: the config file is a map of keys, not {}", root.kind_name()),
    };
    for entry in entries {
        let place = format!("{name}:{}:{}", entry.key_span.line, entry.key_span.column);
        known(&entry.key, &place)?;
        let text = match &entry.value.kind {
            Kind::Bool(value) => value.to_string(),
            Kind::Int(value) => value.to_string(),
            Kind::Float(value) => value.to_string(),
            Kind::Number(value) | Kind::Text { value, .. } => value.clone(),
            _ => bail!(
                "{place}: `{}` takes a plain value, not {}",
                entry.key,
                entry.value.kind_name()
            ),
        };
        given.insert(entry.key.clone(), Given { text, place });
    }
    Ok(())
}

fn read_options(options: &Options, given: &mut BTreeMap<String, Given>) -> Result<()> {
    for setting in &options.set {
        let Some((key, text)) = setting.split_once('=') else {
            bail!("--set {setting}: expected KEY=VALUE, as in --set retention=1GiB");
        };
        let place = format!("--set {key}");
        known(key, &place)?;
        given.insert(key.to_owned(), Given { text: text.to_owned(), place });
    }
    let named = [
        ("cores", &options.cores),
        ("data", &options.data),
        ("http", &options.http),
        ("tcp", &options.tcp),
        ("node", &options.node),
        ("peer", &options.peer),
        ("bootstrap", &options.bootstrap),
        ("role", &options.role),
        ("gossip", &options.gossip),
        ("join", &options.join),
        ("plugins", &options.plugins),
        ("log", &options.log),
        ("log_format", &options.log_format),
        ("log_file", &options.log_file),
    ];
    for (key, value) in named {
        if let Some(text) = value {
            let place = format!("--{}", key.replace('_', "-"));
            given.insert(key.to_owned(), Given { text: text.clone(), place });
        }
    }
    if options.allow_remote {
        let place = "--allow-remote".to_owned();
        given.insert("allow_remote".to_owned(), Given { text: "true".to_owned(), place });
    }
    Ok(())
}

fn known(key: &str, place: &str) -> Result<()> {
    let names = || KEYS.iter().map(|(name, _)| *name);
    if names().any(|name| name == key) {
        return Ok(());
    }
    match document::did_you_mean(key, names()) {
        Some(near) => bail!("{place}: there is no setting `{key}`; did you mean `{near}`?"),
        None => bail!(
            "{place}: there is no setting `{key}`; known are {}",
            names().collect::<Vec<_>>().join(", ")
        ),
    }
}

struct Reader {
    given: BTreeMap<String, Given>,
}

impl Reader {
    fn settings(&self) -> Result<Settings> {
        let mut settings = Settings {
            cores: match self.text("cores").text.as_str() {
                "all" => None,
                _ => Some(self.parsed("cores", |text| text.parse().map_err(anyhow::Error::from))?),
            },
            data: PathBuf::from(self.text("data").text),
            http: self.parsed("http", |text| address(text, "127.0.0.1:8080"))?,
            tcp: self.parsed("tcp", |text| match text {
                "off" => Ok(None),
                text => address(text, "127.0.0.1:8081, or `off`").map(Some),
            })?,
            node: if self.given.contains_key("node") {
                Some(NodeId(self.number("node", 1, u64::from(u32::MAX))?))
            } else {
                None
            },
            peer: self.parsed("peer", |text| match text {
                "off" => Ok(None),
                text => address(text, "127.0.0.1:9101, or `off`").map(Some),
            })?,
            bootstrap: self.parsed("bootstrap", founders)?,
            membership: Membership::read(self)?,
            data_is_given: true,
            notices: Vec::new(),
            allow_remote: self.parsed("allow_remote", truth)?,
            log: self.parsed("log", filter)?,
            log_format: self.parsed("log_format", str::parse)?,
            log_mode: self.parsed("log_mode", str::parse)?,
            log_file: match self.text("log_file").text.as_str() {
                "stdout" => None,
                file => Some(PathBuf::from(file)),
            },
            trace_endpoint: self.parsed("trace_endpoint", endpoint)?,
            trace_ratio: self.parsed("trace_ratio", ratio)?,
            stop_timeout: self.parsed("stop_timeout", duration)?,
            http_limits: ingress::Limits {
                connections_max: self.number("http_connections_max", 1, 1_000_000)?,
                header_timeout: self.parsed("http_header_timeout", some_time)?,
                body_timeout: self.parsed("http_body_timeout", some_time)?,
                write_stall_max: self.parsed("http_write_stall", some_time)?,
                header_bytes_max: self.size("http_header_bytes_max", 8 << 10, 1 << 20)?,
            },
            tcp_limits: ingress::BinaryLimits {
                connections_max: self.number("tcp_connections_max", 1, 1_000_000)?,
                idle_max: self.parsed("tcp_idle", some_time)?,
                write_stall_max: self.parsed("tcp_write_stall", some_time)?,
            },
            snapshot_journal: self.size("snapshot_journal", 1 << 20, 1 << 40)?,
            segment: self.size("segment", 16 << 20, 1 << 30)?,
            examples: self.parsed("examples", truth)?,
            partitions: self.number("partitions", 1, 4_095)?,
            retention: self.size("retention", 1 << 20, 1 << 40)?,
            keys_max: self.number("keys_max", 1, 100_000_000)?,
            key_ttl: self.parsed("key_ttl", some_time)?,
        };
        check_founders(&settings)?;
        roles::settle(&mut settings, self)?;
        check_apart(&settings)?;
        let share = settings.retention / u64::from(settings.partitions);
        if share > PARTITION_RETENTION_MAX {
            bail!(
                "retention: {share} bytes for each of {} partitions, at most \
                 {PARTITION_RETENTION_MAX} are possible: use more partitions, or keep less",
                settings.partitions
            );
        }
        if settings.keys_max < u64::from(settings.partitions) {
            bail!(
                "keys_max: {} keys for {} partitions leave none for each",
                settings.keys_max,
                settings.partitions
            );
        }
        if !settings.segment.is_multiple_of(journal::BLOCK_BYTES as u64) {
            bail!("segment: {} bytes are not whole blocks of 4 KiB", settings.segment);
        }
        Ok(settings)
    }

    fn text(&self, key: &str) -> Given {
        self.given.get(key).cloned().unwrap_or_else(|| {
            let (_, default) = KEYS.iter().find(|(name, _)| *name == key).expect("a known key");
            Given { text: (*default).to_owned(), place: key.to_owned() }
        })
    }

    fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T>) -> Result<T> {
        let given = self.text(key);
        parse(&given.text)
            .with_context(|| format!("{}: `{}` is not usable", given.place, given.text))
    }

    fn number<T: TryFrom<u64>>(&self, key: &str, min: u64, max: u64) -> Result<T> {
        self.parsed(key, |text| {
            let number: Option<u64> = text.parse().ok().filter(|n| (min..=max).contains(n));
            number
                .and_then(|n| T::try_from(n).ok())
                .ok_or_else(|| anyhow::anyhow!("expected a number from {min} to {max}"))
        })
    }

    fn size<T: TryFrom<u64>>(&self, key: &str, min: u64, max: u64) -> Result<T> {
        self.parsed(key, |text| {
            bytes(text)
                .filter(|n| (min..=max).contains(n))
                .and_then(|n| T::try_from(n).ok())
                .ok_or_else(|| {
                    anyhow::anyhow!(
                        "expected a size from {min} to {max} bytes, as in 64MiB or 1GiB"
                    )
                })
        })
    }
}

fn truth(text: &str) -> Result<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => bail!("expected true or false"),
    }
}

fn address(text: &str, example: &str) -> Result<SocketAddr> {
    text.parse().map_err(|_| anyhow::anyhow!("expected an IP address and a port, as in {example}"))
}

/// `1=10.0.0.1:9101,2=10.0.0.2:9101,3=10.0.0.3:9101`
fn founders(text: &str) -> Result<BTreeMap<NodeId, Address>> {
    let mut founders = BTreeMap::new();
    for one in text.split(',').filter(|_| text != "off") {
        let parts = one.trim().split_once('=');
        let (node, address) = parts.context("expected NODE=HOST:PORT, joined by commas")?;
        let node: u32 =
            node.parse().ok().filter(|node| *node > 0).with_context(|| {
                format!("`{node}` is no node's number: expected 1 to {}", u32::MAX)
            })?;
        let node = NodeId(u64::from(node));
        if founders.insert(node, Address::parse(address)?).is_some() {
            bail!("node {node} is named twice");
        }
    }
    Ok(founders)
}

/// Whether all that this node serves by TCP is at an address of its own.
fn check_apart(settings: &Settings) -> Result<()> {
    let doors = [
        ("http", Some(settings.http)),
        ("tcp", settings.tcp),
        ("peer", settings.peer),
        ("gossip", settings.membership.gossip),
    ];
    for (place, (name, address)) in doors.iter().enumerate() {
        let Some(address) = address.filter(|address| address.port() != 0) else { continue };
        let same = doors[..place].iter().find(|(_, other)| *other == Some(address));
        if let Some((other, _)) = same {
            let or_off = if *name == "tcp" { ", or `tcp` is `off`" } else { "" };
            bail!(
                "{other} and {name} are both {address}: each needs an address of its own{or_off}"
            );
        }
    }
    Ok(())
}

/// Whether the founders and this node's own settings go together.
fn check_founders(settings: &Settings) -> Result<()> {
    let node = settings.node.unwrap_or(NodeId(1));
    if settings.bootstrap.is_empty() {
        return Ok(());
    }
    if settings.peer.is_none() {
        bail!(
            "bootstrap: the other coordinators reach this node at its --peer ADDRESS, which is off"
        );
    }
    let founders = settings.bootstrap.len();
    if founders > engine::VOTERS_MAX {
        bail!("bootstrap: {founders} nodes, at most {} found a cluster", engine::VOTERS_MAX);
    }
    if !settings.bootstrap.contains_key(&node) {
        bail!("bootstrap: it does not name this node, {node}: see --node");
    }
    let mut places: Vec<&Address> = settings.bootstrap.values().collect();
    places.sort();
    let twice = places.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(one),
        _ => None,
    });
    if let Some(place) = twice {
        bail!("bootstrap: two nodes have the address {place}");
    }
    Ok(())
}

fn filter(text: &str) -> Result<String> {
    Filter::parse(text)?;
    Ok(text.to_owned())
}

/// The collector's name is looked up when there is something to send; that there is one is seen here.
fn endpoint(text: &str) -> Result<Option<String>> {
    let host =
        |url: &str| url.split(['/', '?', '#', ':']).next().is_some_and(|host| !host.is_empty());
    match text {
        "off" => Ok(None),
        text if text.strip_prefix("http://").is_some_and(host) => Ok(Some(text.to_owned())),
        _ => bail!("expected an http:// URL, as in http://127.0.0.1:4318/v1/traces, or `off`"),
    }
}

fn ratio(text: &str) -> Result<f64> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => bail!("expected a share from 0 to 1, as in 0.01"),
    }
}

fn duration(text: &str) -> Result<Duration> {
    Ok(document::parse_duration(text)?)
}

/// Where none at all would close every connection, or forget every key, before it was of use.
fn some_time(text: &str) -> Result<Duration> {
    let time = duration(text)?;
    if time.is_zero() {
        bail!("expected a time above 0, as in 10s");
    }
    Ok(time)
}

/// `65536`, `64KiB`, `64MiB`, `1GiB`.
fn bytes(text: &str) -> Option<u64> {
    let (number, factor) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        .into_iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, factor)))
        .unwrap_or((text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests;

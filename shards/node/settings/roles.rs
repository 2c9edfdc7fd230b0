//! What a node is in its cluster, and what follows from it.

use super::{Reader, Settings, address, duration};
use anyhow::{Result, anyhow, bail, ensure};
use base::limits::NAME_BYTES_MAX;
use base::{Address, AddressFault, Host};
use engine::{StrategyName, WorkersConfig};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use swim::Pace;

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It holds the log, and runs tasks when there are plugins.
    Both,
    /// It holds the log.
    Coordinator,
    /// It runs tasks.
    Worker,
}

impl Role {
    /// As the setting has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Coordinator => "coordinator",
            Self::Worker => "worker",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "both" => Ok(Self::Both),
            "coordinator" => Ok(Self::Coordinator),
            "worker" => Ok(Self::Worker),
            _ => bail!("expected both, coordinator or worker"),
        }
    }
}

/// Gossip and workers.
#[derive(Clone, Debug)]
pub struct Membership {
    /// What this node does.
    pub role: Role,
    /// Where it takes gossip, by UDP, and workers, by TCP; none: it takes neither.
    pub gossip: Option<SocketAddr>,
    /// Where others take gossip, to begin with.
    pub join: Vec<Address>,
    /// The group and port by which nodes find each other that are not named to each other.
    pub gossip_multicast: Option<SocketAddr>,
    /// The file with the keys of the gossip; none: it is sent in clear text.
    pub gossip_keys: Option<PathBuf>,
    /// How fast it gossips.
    pub gossip_pace: Pace,
    /// The folder of plugins; none: there is none.
    pub plugins: Option<PathBuf>,
    /// The most tasks that run here at once; none: as many as the plugins have threads.
    pub worker_capacity: Option<u32>,
    /// What a worker is called, for people; none: after its data directory.
    pub worker_name: Option<String>,
    /// Where this node stands; empty: not said.
    pub zone: String,
    /// How long the leader believes in a worker that says nothing.
    pub worker_lease: Duration,
    /// Which worker a leader chooses.
    pub worker_strategy: StrategyName,
}

/// A folder that is used when nothing is said of plugins and it is there.
const PLUGINS_DEFAULT: &str = "./plugins";

/// Shorter ones a busy machine would lose.
const LEASE_MIN: Duration = Duration::from_secs(1);

/// A worker's tasks wait for so long when its machine dies.
const LEASE_MAX: Duration = Duration::from_mins(10);

impl Membership {
    pub(super) fn read(reader: &Reader) -> Result<Self> {
        let role = reader.parsed("role", Role::parse)?;
        let join: Vec<Address> = reader.parsed("join", seeds)?;
        let gossip = reader.parsed("gossip", |text| match text {
            "off" => Ok(None),
            text => address(text, "10.0.0.1:9201, or `off`").map(Some),
        })?;
        let is_said = reader.given.contains_key("plugins");
        let plugins = match reader.text("plugins").text.as_str() {
            "off" => None,
            folder if is_said => Some(PathBuf::from(folder)),
            _ => Some(PathBuf::from(PLUGINS_DEFAULT)).filter(|folder| folder.is_dir()),
        };
        Ok(Self {
            role,
            gossip,
            join,
            gossip_multicast: reader.parsed("gossip_multicast", group)?,
            gossip_keys: match reader.text("gossip_keys").text.as_str() {
                "off" => None,
                file => Some(PathBuf::from(file)),
            },
            gossip_pace: pace(reader)?,
            plugins,
            worker_capacity: match reader.text("worker_capacity").text.as_str() {
                "auto" => None,
                _ => Some(reader.number(
                    "worker_capacity",
                    1,
                    u64::from(engine::workers::CAPACITY_MAX),
                )?),
            },
            worker_name: reader.parsed("worker_name", |text| match text {
                "auto" => Ok(None),
                text => name(text).map(Some),
            })?,
            zone: reader.parsed("zone", |text| match text {
                "off" => Ok(String::new()),
                text => name(text),
            })?,
            worker_lease: reader.parsed("worker_lease", lease)?,
            worker_strategy: reader.parsed("worker_strategy", |text| Ok(text.parse()?))?,
        })
    }

    /// How workers are treated while this node leads.
    pub fn workers_config(&self) -> WorkersConfig {
        let lease_ms = u32::try_from(self.worker_lease.as_millis()).unwrap_or(u32::MAX);
        WorkersConfig { lease_ms, strategy: self.worker_strategy, zone: self.zone.clone() }
    }

    /// Whether there is a part of this node that runs tasks.
    pub fn has_worker(&self) -> bool {
        match self.role {
            Role::Both => self.plugins.is_some(),
            Role::Coordinator => false,
            Role::Worker => true,
        }
    }
}

/// Whether a node's role goes together with its other settings, and what follows from it.
pub(super) fn settle(settings: &mut Settings, reader: &Reader) -> Result<()> {
    let has_peer = settings.peer.is_some();
    let given = |key: &str| reader.given.get(key).map(|given| given.place.clone());
    let membership = &mut settings.membership;
    if let Some(gossip) = membership.gossip
        && gossip.ip().is_unspecified()
    {
        bail!(
            "gossip: {gossip} is every address of this machine: others need one that they can send \
             to, as in 10.0.0.1:{}",
            gossip.port()
        );
    }
    check_group(membership)?;
    if membership.role != Role::Worker {
        if membership.gossip.is_none() && !membership.join.is_empty() {
            bail!("join: this node takes no gossip itself: say --gossip ADDRESS, too");
        }
        if let (Role::Coordinator, Some(place), Some(folder)) =
            (membership.role, given("plugins"), &membership.plugins)
        {
            settings.notices.push(format!(
                "{place}: the plugins in {} are not run: this node's role is coordinator",
                folder.display()
            ));
        }
        if membership.gossip.is_none() && has_peer && membership.has_worker() {
            let folder = membership.plugins.as_deref().unwrap_or(Path::new(PLUGINS_DEFAULT));
            bail!(
                "this node of a cluster has plugins ({}) and no --gossip ADDRESS, by which workers \
                 find the leader: say one, or `--role coordinator`, or `--plugins off`",
                folder.display()
            );
        }
        return Ok(());
    }
    for key in ["peer", "bootstrap", "node"] {
        if let Some(place) = given(key) {
            bail!("{place}: a worker is no member of the log's group: leave it out");
        }
    }
    if let Some(place) = given("tcp").filter(|_| settings.tcp.is_some()) {
        bail!("{place}: a worker serves no clients: leave it out");
    }
    if membership.join.is_empty() && membership.gossip_multicast.is_none() {
        bail!(
            "a worker needs --join ADDRESS,…: where nodes of its cluster take gossip (their \
             --gossip); or gossip_multicast, as they have it"
        );
    }
    if membership.plugins.is_none() {
        bail!(
            "a worker needs plugins to run: make the folder {PLUGINS_DEFAULT}, or name one by \
             --plugins DIR"
        );
    }
    if membership.gossip.is_none() {
        if let Some(seed) = membership.join.iter().find(|seed| !is_here(seed)) {
            let own = if matches!(seed.host(), Host::Name(_)) {
                ", or 127.0.0.1:0 if that name is this machine's"
            } else {
                ""
            };
            bail!(
                "a worker whose cluster is on other machines ({seed}, in --join) needs --gossip \
                 ADDRESS: where they reach it{own}"
            );
        }
        membership.gossip = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    }
    // Several workers on one machine: each has a place of its own unless it is told one.
    if given("http").is_none() {
        settings.http = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    }
    settings.tcp = None;
    settings.data_is_given = given("data").is_some();
    Ok(())
}

/// How fast to gossip. What can work is known where it is done: here the settings get their names.
fn pace(reader: &Reader) -> Result<Pace> {
    let time = |key: &str| reader.parsed(key, duration);
    let pace = Pace {
        period: time("gossip_period")?,
        probe_timeout: time("gossip_probe_timeout")?,
        indirect_probes: reader.number("gossip_indirect_probes", 0, u64::from(u32::MAX))?,
        suspicion_periods: reader.number("gossip_suspicion_periods", 0, u64::from(u32::MAX))?,
        interval: time("gossip_interval")?,
        sync: time("gossip_sync")?,
        forget: time("gossip_forget")?,
        ..Pace::default()
    };
    pace.check().map_err(|error| {
        let given = reader.text(&format!("gossip_{}", error.field));
        anyhow!("{}: `{}` is not usable: it {}", given.place, given.text, error.wanted)
    })?;
    Ok(pace)
}

/// Whether this node could send to its group.
fn check_group(membership: &Membership) -> Result<()> {
    let Some(group) = membership.gossip_multicast else { return Ok(()) };
    match membership.gossip {
        None => bail!(
            "gossip_multicast: who hears this node by {group} answers where it takes gossip: say \
             --gossip ADDRESS, too"
        ),
        Some(gossip) if gossip.is_ipv4() != group.is_ipv4() => bail!(
            "gossip_multicast: {gossip} cannot send to {group}: both are to be IPv4, or both IPv6"
        ),
        Some(_) => Ok(()),
    }
}

/// `239.255.92.1:9209`
fn group(text: &str) -> Result<Option<SocketAddr>> {
    const EXAMPLE: &str =
        "expected a multicast group and a port, as in 239.255.92.1:9209, or `off`";
    if text == "off" {
        return Ok(None);
    }
    let group: SocketAddr = text.parse().map_err(|_| anyhow!(EXAMPLE))?;
    ensure!(group.ip().is_multicast() && group.port() != 0, EXAMPLE);
    Ok(Some(group))
}

/// `10.0.0.1:9201,node-2.example:9201`
fn seeds(text: &str) -> Result<Vec<Address>> {
    if text == "off" {
        return Ok(Vec::new());
    }
    let parse = |one: &str| match Address::parse(one.trim()) {
        Err(error) if error.fault == AddressFault::NoPort => bail!(
            "`{}` has no port: each address is that of another node's --gossip, as in 10.0.0.1:9201",
            one.trim()
        ),
        parsed => Ok(parsed?),
    };
    text.split(',').map(parse).collect()
}

/// Whether an address is known to be of this machine without being looked up (RFC 6761, section 6.3).
fn is_here(address: &Address) -> bool {
    match address.host() {
        Host::Ip(ip) => ip.is_loopback(),
        Host::Name(name) => name.as_str() == "localhost",
    }
}

fn name(text: &str) -> Result<String> {
    if text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        bail!("expected a line of at most {NAME_BYTES_MAX} bytes");
    }
    Ok(text.to_owned())
}

fn lease(text: &str) -> Result<Duration> {
    let lease = document::parse_duration(text)?;
    if !(LEASE_MIN..=LEASE_MAX).contains(&lease) {
        bail!("expected a time from 1s to 10m");
    }
    Ok(lease)
}

//! How fast a cluster gossips.

use crate::member::MemberId;
use base::{BootId, Prng};
use std::net::SocketAddr;
use std::time::Duration;

/// Who this node is, and how it takes part. All nodes of a cluster should have the same times: a
/// quicker one only suspects sooner.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster: what comes from another one is dropped. None: whichever the seeds belong to.
    pub cluster: Option<u64>,
    /// This member.
    pub member: MemberId,
    /// This run of its process: later runs have greater ones, or the others take them for old news.
    pub boot: BootId,
    /// Where others reach it: an address of this machine that they can send to, never `0.0.0.0`.
    pub address: SocketAddr,
    /// Where others take gossip, to begin with; asked for ever when nobody is there. May name itself.
    pub seeds: Vec<SocketAddr>,
    /// How often each member is asked whether it is alive. Default 1 s.
    pub period: Duration,
    /// How long an answer may take before others are asked to ask. Default 500 ms; at most half of
    /// the period, so that their answer comes within it.
    pub probe_timeout: Duration,
    /// How many others are asked, and to how many news are sent at once. Default 3.
    pub indirect_probes: usize,
    /// How many members this one watches: those behind it on the ring of all members' hashes. With
    /// each member watched by as many, one that fails is noticed within a period, whereas the
    /// members that SWIM probes at random are found with a long tail (a random probe has missed a
    /// dead member for k periods with probability e^-k: Das et al. 2002, section 3.2). Default 3.
    pub watched: usize,
    /// How long a suspect has to say that it is alive when nobody confirms the suspicion: periods,
    /// default 3. With the confirmations of two others it is one period.
    pub suspicion_periods: u32,
    /// How often news are sent while there are any. Default 200 ms.
    pub gossip_every: Duration,
    /// How often the view is compared with another member's. Default 10 s.
    pub sync_every: Duration,
    /// How long one that failed or left is remembered, and failed ones are called, at most once in
    /// five seconds. Default one hour.
    pub forget_after: Duration,
}

/// A configuration that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Nobody could send there.
    #[error("{address} is not an address that other members could send to")]
    Address {
        /// As configured.
        address: SocketAddr,
    },
    /// Member 0 is nobody.
    #[error("a member's id is not 0")]
    Member,
    /// A count or time of zero.
    #[error("{name} must not be 0")]
    Zero {
        /// Which.
        name: &'static str,
    },
    /// Nobody asked indirectly could answer in time.
    #[error("a probe timeout of {timeout:?} is more than half of the period of {period:?}")]
    Timeout {
        /// As configured.
        timeout: Duration,
        /// As configured.
        period: Duration,
    },
}

impl Config {
    /// The defaults.
    pub fn new(cluster: Option<u64>, member: MemberId, boot: BootId, address: SocketAddr) -> Self {
        Self {
            cluster,
            member,
            boot,
            address,
            seeds: Vec::new(),
            period: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_probes: 3,
            watched: 3,
            suspicion_periods: 3,
            gossip_every: Duration::from_millis(200),
            sync_every: Duration::from_secs(10),
            forget_after: Duration::from_hours(1),
        }
    }

    /// Whether it can work.
    ///
    /// # Errors
    /// It cannot.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.address.ip().is_unspecified() || self.address.port() == 0 {
            return Err(ConfigError::Address { address: self.address });
        }
        if self.member.0 == 0 {
            return Err(ConfigError::Member);
        }
        let zero = |name| Err(ConfigError::Zero { name });
        match () {
            () if self.probe_timeout.is_zero() => zero("probe timeout"),
            () if self.indirect_probes == 0 => zero("indirect probes"),
            () if self.suspicion_periods == 0 => zero("suspicion periods"),
            () if self.gossip_every.is_zero() => zero("gossip interval"),
            () if self.sync_every.is_zero() => zero("sync interval"),
            () if self.probe_timeout * 2 > self.period => {
                Err(ConfigError::Timeout { timeout: self.probe_timeout, period: self.period })
            }
            () => Ok(()),
        }
    }

    /// What foca is told. Its own extensions are off: gossip between probes, calls to failed members
    /// and joining are ours, and so is how long a suspicion lasts.
    pub(crate) fn foca(&self, transmissions: u8) -> foca::Config {
        let mut config = foca::Config::simple();
        config.probe_period = self.period;
        config.probe_rtt = self.probe_timeout;
        config.num_indirect_probes = self.indirect_probes.try_into().expect("checked: it is not 0");
        config.max_transmissions = transmissions.try_into().expect("at least ten");
        config.suspect_to_down_after = self.period * self.suspicion_periods;
        config.remove_down_after = Some(self.forget_after);
        config.max_packet_size =
            crate::bridge::PACKET_BYTES_MAX.try_into().expect("a packet has bytes");
        config.notify_down_members = true;
        config
    }
}

/// How often one piece of news is sent by each member that has it: so often that in a cluster of a
/// thousand fewer than one in 10^5 pieces misses anyone (one sent by all n members c times each
/// misses a given one with probability e^-c).
pub(crate) fn transmissions(members: usize) -> u8 {
    let digits = members.max(1).ilog10() + 1;
    u8::try_from((6 * digits).clamp(12, 40)).expect("at most 40")
}

/// So much, and up to a tenth more: members that began together do not stay together.
pub(crate) fn jittered(duration: Duration, prng: &mut Prng) -> Duration {
    duration + duration * u32::try_from(prng.below(1_000)).expect("below 1,000") / 10_000
}

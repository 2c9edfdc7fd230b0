//! Who a member is, and how it takes part.

use crate::member::MemberId;
use crate::pace::{Pace, PaceError};
use base::{BootId, Prng};
use std::net::SocketAddr;
use std::time::Duration;

/// Who this node is, and how it takes part.
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
    /// Where whoever knows nobody asks who is there, and is heard by all: a multicast group and a
    /// port. None: seeds alone are asked.
    pub group: Option<SocketAddr>,
    /// How fast it gossips.
    pub pace: Pace,
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
    /// It is no group, or of another family than the address, which sends to it.
    #[error("{group} is not a multicast group and a port that {address} could send to")]
    Group {
        /// As configured.
        group: SocketAddr,
        /// As configured.
        address: SocketAddr,
    },
    /// Member 0 is nobody.
    #[error("a member's id is not 0")]
    Member,
    /// It cannot gossip so.
    #[error(transparent)]
    Pace(#[from] PaceError),
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
            group: None,
            pace: Pace::default(),
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
        if let Some(group) = self.group {
            let is_fine = group.ip().is_multicast()
                && group.port() != 0
                && group.is_ipv4() == self.address.is_ipv4();
            if !is_fine {
                return Err(ConfigError::Group { group, address: self.address });
            }
        }
        Ok(self.pace.check()?)
    }

    /// What foca is told. Its own extensions are off: gossip between probes, calls to failed members
    /// and joining are ours, and so is how long a suspicion lasts.
    pub(crate) fn foca(&self, transmissions: u8) -> foca::Config {
        let mut config = foca::Config::simple();
        let pace = &self.pace;
        config.probe_period = pace.period;
        config.probe_rtt = pace.probe_timeout;
        config.num_indirect_probes = pace.indirect_probes.try_into().expect("checked: it is not 0");
        config.max_transmissions = transmissions.try_into().expect("at least ten");
        config.suspect_to_down_after = pace.period * pace.suspicion_periods;
        config.remove_down_after = Some(pace.forget);
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

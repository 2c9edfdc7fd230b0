//! The names of members, and what is said of them, as foca and the wire have them.

use crate::member::State;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The length of an [`Update`]. Unit: bytes.
pub(crate) const UPDATE_BYTES: usize = 41;

/// A member by one of its names. Two are the same when member, boot and renewal are: the address is
/// where it is found, and `leaving` how a name came to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) member: u64,
    pub(crate) boot: u64,
    /// How often this run came back after it was taken for failed.
    pub(crate) renewal: u32,
    pub(crate) address: SocketAddr,
    /// Of a name that is down: it left. foca knows only `Down`; it hands on the identity that an
    /// update came with, and so this.
    pub(crate) leaving: bool,
}

impl Identity {
    /// Names of one member: the higher is the newer.
    pub(crate) fn age(&self) -> (u64, u32) {
        (self.boot, self.renewal)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.member == other.member && self.age() == other.age()
    }
}

impl Eq for Identity {}

impl foca::Identity for Identity {
    type Addr = u64;

    fn renew(&self) -> Option<Self> {
        Some(Self { renewal: self.renewal.checked_add(1)?, leaving: false, ..*self })
    }

    fn addr(&self) -> u64 {
        self.member
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.age() > adversary.age()
    }
}

/// What is said of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) identity: Identity,
    pub(crate) incarnation: u16,
    pub(crate) state: State,
}

/// An entry that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an update")]
pub(crate) struct NoUpdate;

impl Update {
    pub(crate) fn encode(&self) -> [u8; UPDATE_BYTES] {
        let mut bytes = [0; UPDATE_BYTES];
        let ip = match self.identity.address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        bytes[0..8].copy_from_slice(&self.identity.member.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.identity.boot.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.identity.renewal.to_be_bytes());
        bytes[20..22].copy_from_slice(&self.incarnation.to_be_bytes());
        bytes[22] = match self.state {
            State::Alive => 1,
            State::Suspected => 2,
            State::Failed => 3,
            State::Left => 4,
        };
        bytes[23..39].copy_from_slice(&ip.octets());
        bytes[39..41].copy_from_slice(&self.identity.address.port().to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; UPDATE_BYTES]) -> Result<Self, NoUpdate> {
        let (member, boot) = (u64::from_be_bytes(at(bytes, 0)), u64::from_be_bytes(at(bytes, 8)));
        let state = match bytes[22] {
            1 => State::Alive,
            2 => State::Suspected,
            3 => State::Failed,
            4 => State::Left,
            _ => return Err(NoUpdate),
        };
        let ip = Ipv6Addr::from(at::<16>(bytes, 23)).to_canonical();
        let address = SocketAddr::new(ip, u16::from_be_bytes(at(bytes, 39)));
        if member == 0 || !is_reachable(address) {
            return Err(NoUpdate);
        }
        let identity = Identity {
            member,
            boot,
            renewal: u32::from_be_bytes(at(bytes, 16)),
            address,
            leaving: state == State::Left,
        };
        Ok(Self { identity, incarnation: u16::from_be_bytes(at(bytes, 20)), state })
    }

    /// As foca has it.
    pub(crate) fn to_foca(self) -> foca::Member<Identity> {
        let state = match self.state {
            State::Alive => foca::State::Alive,
            State::Suspected => foca::State::Suspect,
            State::Failed | State::Left => foca::State::Down,
        };
        foca::Member::new(self.identity, self.incarnation, state)
    }

    /// As foca has it.
    pub(crate) fn from_foca(member: &foca::Member<Identity>) -> Self {
        let state = match member.state() {
            foca::State::Alive => State::Alive,
            foca::State::Suspect => State::Suspected,
            foca::State::Down if member.id().leaving => State::Left,
            foca::State::Down => State::Failed,
        };
        Self { identity: *member.id(), incarnation: member.incarnation(), state }
    }
}

/// Whether a datagram can be sent there: what is forged must not make us send to a group, or to
/// nowhere.
pub(crate) fn is_reachable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

fn at<const N: usize>(bytes: &[u8; UPDATE_BYTES], at: usize) -> [u8; N] {
    *bytes[at..].first_chunk().expect("every part lies within an entry")
}

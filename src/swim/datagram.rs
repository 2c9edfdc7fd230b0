//! Datagrams: frames of `wire`, docs/WIRE.md, "Messages of membership".

use crate::data::DATA_BYTES_MAX;
use crate::identity::{Identity, UPDATE_BYTES, Update, is_reachable};
use crate::member::State;
use base::UnixMicros;
use std::net::{IpAddr, SocketAddr};
use wire::tlv::ELEMENT_BYTES;
use wire::{
    Flags, Frame, GossipAck, GossipFailed, GossipForwardedAck, GossipIndirectPing, GossipPing,
    GossipRelayedAck, GossipRelayedPing, GossipSearch, GossipSuspicion, GossipSync, Gossiper, Head,
    Kind, List, MembershipUpdate, Message, MessageError, write_frame,
};

/// The longest datagram. Unit: bytes. With its headers it passes every network in one piece.
pub const DATAGRAM_BYTES_MAX: usize = 1_400;

/// What a sealed datagram is longer than what it holds: the frame's header 32, three fields' heads
/// 21, key 4, nonce 12, tag 16. Unit: bytes.
pub(crate) const SEAL_BYTES: usize = 32 + 3 * 7 + 4 + 12 + 16;

/// The longest frame before it is sealed; also of those that never are, so that a cluster behaves
/// the same with keys as without.
pub(crate) const FRAME_BYTES_MAX: usize = DATAGRAM_BYTES_MAX - SEAL_BYTES;

/// What a frame has besides updates, data and digests at most: the header 32; cluster 15; two
/// gossipers of 82 (a field's head 7, and 15 + 15 + 11 + 9 + 25); addressee 15 + 15 + 11; probe 8; a
/// flag 8; three fields' heads 21, a count 4. Unit: bytes.
const REST_BYTES: usize = 32 + 15 + 2 * 82 + 41 + 8 + 8 + 21 + 4;

/// What updates, data and digests may have together. Unit: bytes.
pub(crate) const NEWS_BYTES_MAX: usize = FRAME_BYTES_MAX - REST_BYTES;

const _: () = assert!(crate::bridge::UPDATES_MAX * UPDATE_BYTES <= NEWS_BYTES_MAX);
const _: () = assert!(DATA_BYTES_MAX + ELEMENT_BYTES + UPDATE_BYTES <= NEWS_BYTES_MAX);

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// It is no message of membership.
    Malformed,
    /// It is of another cluster.
    Cluster,
    /// It is for another member, or an earlier name of this one.
    Addressee,
    /// It does not come from where its sender says it takes gossip: answers would go to somebody who
    /// did not ask.
    Address,
    /// It is of this member itself, or of an earlier run of it.
    Own,
    /// It is in clear text, and this node has keys.
    Unsealed,
    /// It is sealed, with a key that this node does not have.
    Key,
    /// It is sealed with a key that this node has, and was changed since.
    Forged,
    /// Its sender is new, and the table is full.
    Full,
    /// This node has left.
    Gone,
}

impl Dropped {
    /// Its name, for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Cluster => "cluster",
            Self::Addressee => "addressee",
            Self::Address => "address",
            Self::Own => "own",
            Self::Unsealed => "unsealed",
            Self::Key => "key",
            Self::Forged => "forged",
            Self::Full => "full",
            Self::Gone => "gone",
        }
    }
}

/// What a member says to another, besides news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Talk {
    pub(crate) kind: Kind,
    /// The sender, with its incarnation.
    pub(crate) from: Update,
    pub(crate) to: Identity,
    pub(crate) probe: u8,
    /// Whom it is about.
    pub(crate) other: Option<Update>,
    /// Of a membership_update: it is a page. Of a suspicion or sync: it is an answer.
    pub(crate) flag: bool,
}

impl Talk {
    pub(crate) fn new(kind: Kind, from: Update, to: Identity) -> Self {
        Self { kind, from, to, probe: 0, other: None, flag: false }
    }
}

/// Whom a datagram is for; 0 is anyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Addressee {
    pub(crate) member: u64,
    pub(crate) boot: u64,
    pub(crate) renewal: u32,
}

/// A datagram to be sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) cluster: u64,
    pub(crate) talk: &'a Talk,
    pub(crate) to: Addressee,
    pub(crate) updates: &'a [u8],
    pub(crate) data: &'a [&'a [u8]],
    pub(crate) digests: &'a [u8],
}

/// A datagram that was received.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) cluster: u64,
    pub(crate) kind: Kind,
    pub(crate) from: Update,
    pub(crate) to: Addressee,
    pub(crate) probe: u8,
    pub(crate) other: Option<Update>,
    pub(crate) flag: bool,
    pub(crate) updates: Vec<Update>,
    pub(crate) data: List<'a, &'a [u8]>,
    pub(crate) digests: &'a [u8],
}

/// An address as it travels.
struct AddressBytes {
    bytes: [u8; 18],
    count: usize,
}

impl AddressBytes {
    fn new(address: SocketAddr) -> Self {
        let mut bytes = [0; 18];
        let count = match address.ip() {
            IpAddr::V4(ip) => {
                bytes[..4].copy_from_slice(&ip.octets());
                4
            }
            IpAddr::V6(ip) => {
                bytes[..16].copy_from_slice(&ip.octets());
                16
            }
        };
        bytes[count..count + 2].copy_from_slice(&address.port().to_be_bytes());
        Self { bytes, count: count + 2 }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.count]
    }
}

fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip: IpAddr = match ip.len() {
        4 => IpAddr::from(*ip.first_chunk::<4>()?),
        16 => IpAddr::from(*ip.first_chunk::<16>()?).to_canonical(),
        _ => return None,
    };
    let address = SocketAddr::new(ip, u16::from_be_bytes(*port));
    is_reachable(address).then_some(address)
}

fn gossiper<'a>(update: &Update, address: &'a AddressBytes) -> Gossiper<'a> {
    Gossiper {
        member: update.identity.member,
        boot: update.identity.boot,
        renewal: update.identity.renewal,
        incarnation: update.incarnation,
        address: address.as_slice(),
    }
}

fn read_gossiper(gossiper: &Gossiper<'_>) -> Option<Update> {
    let identity = Identity {
        member: gossiper.member,
        boot: gossiper.boot,
        renewal: gossiper.renewal,
        address: read_address(gossiper.address)?,
        leaving: false,
    };
    let update = Update { identity, incarnation: gossiper.incarnation, state: State::Alive };
    (identity.member != 0).then_some(update)
}

impl Outgoing<'_> {
    /// The frame.
    pub(crate) fn encode(&self, sent_at: UnixMicros) -> Vec<u8> {
        let head = Head { kind: self.talk.kind, flags: Flags::NONE, call: 0, sent_at, trace: None };
        let mut frame = Vec::with_capacity(DATAGRAM_BYTES_MAX);
        write_frame(&mut frame, &head, |out| self.write(out));
        assert!(frame.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
        frame
    }

    fn write(&self, out: &mut Vec<u8>) {
        let talk = self.talk;
        let address = AddressBytes::new(talk.from.identity.address);
        let other_address = talk.other.map(|other| AddressBytes::new(other.identity.address));
        let other = talk.other.as_ref().zip(other_address.as_ref());
        let other = other.map(|(other, address)| gossiper(other, address));
        let about = || other.expect("such a message is about somebody");
        macro_rules! write {
            ($message:ident { $($own:tt)* }) => {
                $message {
                    cluster: self.cluster,
                    from: gossiper(&talk.from, &address),
                    to: self.to.member,
                    to_boot: self.to.boot,
                    to_renewal: self.to.renewal,
                    updates: self.updates,
                    data: List::from(self.data),
                    $($own)*
                }
                .encode(out)
            };
        }
        let (probe, digests) = (talk.probe, self.digests);
        match talk.kind {
            Kind::GOSSIP_PING => write!(GossipPing { probe }),
            Kind::GOSSIP_ACK => write!(GossipAck { probe }),
            Kind::GOSSIP_INDIRECT_PING => {
                write!(GossipIndirectPing { probe, other: about() });
            }
            Kind::GOSSIP_RELAYED_PING => write!(GossipRelayedPing { probe, other: about() }),
            Kind::GOSSIP_RELAYED_ACK => write!(GossipRelayedAck { probe, other: about() }),
            Kind::GOSSIP_FORWARDED_ACK => {
                write!(GossipForwardedAck { probe, other: about() });
            }
            Kind::MEMBERSHIP_UPDATE => write!(MembershipUpdate { is_page: talk.flag }),
            Kind::GOSSIP_FAILED => write!(GossipFailed {}),
            Kind::GOSSIP_SUSPICION => {
                write!(GossipSuspicion { other: about(), is_answer: talk.flag });
            }
            Kind::GOSSIP_SYNC => write!(GossipSync { digests, is_answer: talk.flag }),
            Kind::GOSSIP_SEARCH => write!(GossipSearch {}),
            other => unreachable!("{other} is no message of membership"),
        }
    }
}

/// Reads a frame that is not sealed, or no longer.
pub(crate) fn decode<'a>(frame: &Frame<'a>) -> Result<Incoming<'a>, Dropped> {
    read(frame.header.kind, frame.payload).unwrap_or(Err(Dropped::Malformed))
}

fn read(kind: Kind, payload: &[u8]) -> Result<Result<Incoming<'_>, Dropped>, MessageError> {
    macro_rules! read {
        ($message:ident $(, $field:ident: $value:ident)* $(,)?) => {{
            let message = $message::decode(payload)?;
            let Some(from) = read_gossiper(&message.from) else {
                return Ok(Err(Dropped::Malformed));
            };
            #[allow(unused_mut, reason = "not every message has a field of its own")]
            let mut incoming = Incoming {
                cluster: message.cluster,
                kind,
                from,
                to: Addressee {
                    member: message.to,
                    boot: message.to_boot,
                    renewal: message.to_renewal,
                },
                probe: 0,
                other: None,
                flag: false,
                updates: Vec::new(),
                data: message.data,
                digests: b"",
            };
            $(read!(@ incoming $field message.$value);)*
            (incoming, message.updates)
        }};
        (@ $incoming:ident other $value:expr) => {
            match read_gossiper(&$value) {
                Some(other) => $incoming.other = Some(other),
                None => return Ok(Err(Dropped::Malformed)),
            }
        };
        (@ $incoming:ident $field:ident $value:expr) => { $incoming.$field = $value; };
    }
    let (mut incoming, updates) = match kind {
        Kind::GOSSIP_PING => read!(GossipPing, probe: probe),
        Kind::GOSSIP_ACK => read!(GossipAck, probe: probe),
        Kind::GOSSIP_INDIRECT_PING => read!(GossipIndirectPing, probe: probe, other: other),
        Kind::GOSSIP_RELAYED_PING => read!(GossipRelayedPing, probe: probe, other: other),
        Kind::GOSSIP_RELAYED_ACK => read!(GossipRelayedAck, probe: probe, other: other),
        Kind::GOSSIP_FORWARDED_ACK => read!(GossipForwardedAck, probe: probe, other: other),
        Kind::MEMBERSHIP_UPDATE => read!(MembershipUpdate, flag: is_page),
        Kind::GOSSIP_FAILED => read!(GossipFailed),
        Kind::GOSSIP_SUSPICION => read!(GossipSuspicion, other: other, flag: is_answer),
        Kind::GOSSIP_SYNC => read!(GossipSync, digests: digests, flag: is_answer),
        Kind::GOSSIP_SEARCH => read!(GossipSearch),
        _ => return Ok(Err(Dropped::Malformed)),
    };
    let (entries, rest) = updates.as_chunks::<UPDATE_BYTES>();
    if !rest.is_empty() || entries.len() > crate::bridge::UPDATES_MAX {
        return Ok(Err(Dropped::Malformed));
    }
    let Ok(updates) = entries.iter().map(Update::decode).collect() else {
        return Ok(Err(Dropped::Malformed));
    };
    incoming.updates = updates;
    Ok(Ok(incoming))
}

//! Between foca and the rest: its codec, its generator, and where its outputs go.
//!
//! foca writes and reads packets of its own shape: a header, a count, as many updates. They do not
//! leave the process: [`Packet`] takes them apart, and `datagram` makes frames of them.

use crate::datagram::Talk;
use crate::identity::{Identity, NoUpdate, UPDATE_BYTES, Update};
use crate::member::State;
use base::Prng;
use bytes::{Buf, BufMut};
use foca::{Header, Member, Message, Notification, Runtime, Timer};
use std::convert::Infallible;
use std::time::Duration;
use wire::Kind;

/// How many updates a packet has at most: so many fit a datagram whatever else it says.
pub(crate) const UPDATES_MAX: usize = 24;

/// Kind, probe, and the three members that a message can name.
const HEADER_BYTES: usize = 3 + 3 * UPDATE_BYTES;

/// The largest packet.
pub(crate) const PACKET_BYTES_MAX: usize = HEADER_BYTES + 2 + UPDATES_MAX * UPDATE_BYTES;

/// Draws for foca.
pub(crate) struct Draw(pub(crate) Prng);

impl rand_core::TryRng for Draw {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::try_from(self.0.next_u64() >> 32).expect("32 bits"))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.next_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// A packet that does not fit, or is none. Of our own packets neither comes up: foca leaves an
/// update out that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PacketError {
    #[error("no room")]
    NoRoom,
    #[error("cut off")]
    Cut,
    #[error(transparent)]
    Update(#[from] NoUpdate),
    #[error("a kind of message that is not used")]
    Kind,
}

pub(crate) struct Codec;

impl foca::Codec<Identity> for Codec {
    type Error = PacketError;

    fn encode_header(
        &mut self,
        header: &Header<Identity>,
        mut buf: impl BufMut,
    ) -> Result<(), PacketError> {
        if buf.remaining_mut() < HEADER_BYTES {
            return Err(PacketError::NoRoom);
        }
        let nobody = header.dst;
        let (kind, probe, other) = match &header.message {
            Message::Ping(probe) => (Kind::GOSSIP_PING, *probe, nobody),
            Message::Ack(probe) => (Kind::GOSSIP_ACK, *probe, nobody),
            Message::PingReq { target, probe_number } => {
                (Kind::GOSSIP_INDIRECT_PING, *probe_number, *target)
            }
            Message::IndirectPing { origin, probe_number } => {
                (Kind::GOSSIP_RELAYED_PING, *probe_number, *origin)
            }
            Message::IndirectAck { target, probe_number } => {
                (Kind::GOSSIP_RELAYED_ACK, *probe_number, *target)
            }
            Message::ForwardedAck { origin, probe_number } => {
                (Kind::GOSSIP_FORWARDED_ACK, *probe_number, *origin)
            }
            Message::Gossip => (Kind::MEMBERSHIP_UPDATE, 0, nobody),
            Message::TurnUndead => (Kind::GOSSIP_FAILED, 0, nobody),
            Message::Announce | Message::Feed | Message::Broadcast => {
                return Err(PacketError::Kind);
            }
        };
        buf.put_u16(kind.0);
        buf.put_u8(probe);
        let named = |identity, incarnation| Update { identity, incarnation, state: State::Alive };
        buf.put_slice(&named(header.src, header.src_incarnation).encode());
        buf.put_slice(&named(header.dst, 0).encode());
        buf.put_slice(&named(other, 0).encode());
        Ok(())
    }

    fn decode_header(&mut self, mut buf: impl Buf) -> Result<Header<Identity>, PacketError> {
        if buf.remaining() < HEADER_BYTES {
            return Err(PacketError::Cut);
        }
        let (kind, probe_number) = (Kind(buf.get_u16()), buf.get_u8());
        let (src, dst, other) = (take(&mut buf)?, take(&mut buf)?, take(&mut buf)?);
        let named = other.identity;
        let message = match kind {
            Kind::GOSSIP_PING => Message::Ping(probe_number),
            Kind::GOSSIP_ACK => Message::Ack(probe_number),
            Kind::GOSSIP_INDIRECT_PING => Message::PingReq { target: named, probe_number },
            Kind::GOSSIP_RELAYED_PING => Message::IndirectPing { origin: named, probe_number },
            Kind::GOSSIP_RELAYED_ACK => Message::IndirectAck { target: named, probe_number },
            Kind::GOSSIP_FORWARDED_ACK => Message::ForwardedAck { origin: named, probe_number },
            Kind::GOSSIP_FAILED => Message::TurnUndead,
            // What foca has no word for is news of its sender, to it.
            _ => Message::Gossip,
        };
        Ok(Header {
            src: src.identity,
            src_incarnation: src.incarnation,
            dst: dst.identity,
            message,
        })
    }

    fn encode_member(
        &mut self,
        member: &Member<Identity>,
        mut buf: impl BufMut,
    ) -> Result<(), PacketError> {
        if buf.remaining_mut() < UPDATE_BYTES {
            return Err(PacketError::NoRoom);
        }
        buf.put_slice(&Update::from_foca(member).encode());
        Ok(())
    }

    fn decode_member(&mut self, mut buf: impl Buf) -> Result<Member<Identity>, PacketError> {
        Ok(take(&mut buf)?.to_foca())
    }
}

fn take(buf: &mut impl Buf) -> Result<Update, PacketError> {
    if buf.remaining() < UPDATE_BYTES {
        return Err(PacketError::Cut);
    }
    let mut bytes = [0; UPDATE_BYTES];
    buf.copy_to_slice(&mut bytes);
    Ok(Update::decode(&bytes)?)
}

/// Appends the packet in which foca is told what was received: for its present name, whatever name
/// it was sent to.
pub(crate) fn write_packet(out: &mut Vec<u8>, talk: &Talk, to: Identity, updates: &[Update]) {
    let named = |identity| Update { identity, incarnation: 0, state: State::Alive };
    out.put_u16(talk.kind.0);
    out.put_u8(talk.probe);
    out.put_slice(&talk.from.encode());
    out.put_slice(&named(to).encode());
    out.put_slice(&talk.other.unwrap_or(named(to)).encode());
    if updates.is_empty() {
        return;
    }
    out.put_u16(u16::try_from(updates.len()).expect("at most 24 came in a datagram"));
    for update in updates {
        out.put_slice(&update.encode());
    }
}

/// Takes a packet of foca's apart: what it says, and its updates.
pub(crate) fn read_packet(packet: &[u8]) -> Result<(Talk, &[u8]), PacketError> {
    let (mut header, tail) = packet.split_at_checked(HEADER_BYTES).ok_or(PacketError::Cut)?;
    let (kind, probe) = (Kind(header.get_u16()), header.get_u8());
    let (from, to, other) = (take(&mut header)?, take(&mut header)?, take(&mut header)?);
    let names_other = matches!(
        kind,
        Kind::GOSSIP_INDIRECT_PING
            | Kind::GOSSIP_RELAYED_PING
            | Kind::GOSSIP_RELAYED_ACK
            | Kind::GOSSIP_FORWARDED_ACK
    );
    let talk =
        Talk { other: names_other.then_some(other), probe, ..Talk::new(kind, from, to.identity) };
    // Behind the count of updates; foca leaves both out of what must stay small.
    Ok((talk, tail.get(2..).unwrap_or_default()))
}

/// What foca wants done.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) sends: Vec<Vec<u8>>,
    pub(crate) timers: Vec<(Timer<Identity>, Duration)>,
    pub(crate) renewals: u64,
}

impl Runtime<Identity> for Collected {
    fn notify(&mut self, notification: Notification<'_, Identity>) {
        if let Notification::Rejoin(_) = notification {
            self.renewals += 1;
        }
    }

    fn send_to(&mut self, _to: Identity, data: &[u8]) {
        self.sends.push(data.to_vec());
    }

    fn submit_after(&mut self, event: Timer<Identity>, after: Duration) {
        self.timers.push((event, after));
    }
}

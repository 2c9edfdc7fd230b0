//! What nodes tell each other about who is alive. They travel as datagrams, one frame each, and all
//! of them carry news: what changed of whom (`updates`), and what members say of themselves (`data`).

use crate::list::List;
use crate::message::{message, part};

part! {
    /// A member, by one of its names: every run of its process, and every time that it had to come
    /// back after others had given it up, is another one.
    pub struct Gossiper<'a> = "gossiper" {
        /// Which member.
        1 member: u64,
        /// Which run of its process.
        2 boot: u64,
        /// How often this run came back after it was taken for failed.
        3 renewal: u32 = 0,
        /// How often it had to say that it is alive, under this name.
        4 incarnation: u16 = 0,
        /// Where it takes gossip: 4 or 16 bytes of IP address, 2 of port.
        5 address: &'a [u8],
    }
}

part! {
    /// What a member says of itself. The higher version of the higher boot overrides.
    pub struct MemberData<'a> = "member_data" {
        /// Whose.
        1 member: u64,
        /// Which run of its process.
        2 boot: u64,
        /// Counted from 1 in each run.
        3 version: u64,
        /// When it said so, microseconds since 1970 by its own clock.
        4 said_at: u64,
        /// What it is, as bits: 1 coordinator, 2 worker.
        5 roles: u8,
        /// What it is called.
        6 name: &'a str = "",
        /// Where it stands, in the operator's words.
        7 zone: &'a str = "",
        /// Where it takes HTTP: host and port.
        8 http_address: &'a str = "",
        /// The lowest version of the protocol that it speaks.
        9 version_min: u8,
        /// The highest.
        10 version_max: u8,
        /// How many tasks it can run at once.
        11 capacity: u32 = 0,
        /// How busy it is, in thousandths.
        12 load: u16 = 0,
        /// The term in which it leads the log, 0 when it does not.
        13 leader_term: u64 = 0,
        /// The worker that it runs, where that is not the member itself: of a coordinator that runs tasks.
        14 worker: u64 = 0,
    }
}

/// A message with what all of them have, and with fields of its own behind.
macro_rules! gossip {
    ($(
        $(#[$doc:meta])*
        $name:ident: $kind:ident = $text:literal { $($own:tt)* }
    )*) => {$(
        message! {
            $(#[$doc])*
            pub struct $name<'a>: $kind = $text {
                /// The sender's cluster; 0 as long as it does not know it.
                1 cluster: u64,
                /// The sender.
                2 from: Gossiper<'a>,
                /// Which member it is for; 0: whoever takes gossip there.
                3 to: u64 = 0,
                /// Which run of it.
                4 to_boot: u64 = 0,
                /// Which renewal of that.
                5 to_renewal: u32 = 0,
                /// What changed of whom, 41 bytes each: the table of updates.
                6 updates: &'a [u8] = b"",
                /// What members say of themselves, each a member_data.
                7 data: List<'a, &'a [u8]> = List::EMPTY,
                $($own)*
            }
        }
    )*};
}

gossip! {
    /// Are you alive?
    GossipPing: GOSSIP_PING = "gossip_ping" {
        /// Which probe: the answer repeats it.
        8 probe: u8,
    }

    /// I am.
    GossipAck: GOSSIP_ACK = "gossip_ack" {
        /// Which probe.
        8 probe: u8,
    }

    /// I cannot reach that one: can you?
    GossipIndirectPing: GOSSIP_INDIRECT_PING = "gossip_indirect_ping" {
        /// Which probe.
        8 probe: u8,
        /// Who does not answer.
        9 other: Gossiper<'a>,
    }

    /// News alone.
    MembershipUpdate: MEMBERSHIP_UPDATE = "membership_update" {
        /// Whether it is a part of the sender's view, and not what it heard lately.
        8 is_page: bool = false,
    }

    /// Are you alive? Another one could not reach you.
    GossipRelayedPing: GOSSIP_RELAYED_PING = "gossip_relayed_ping" {
        /// Which probe, of the one that asks.
        8 probe: u8,
        /// Who asks.
        9 other: Gossiper<'a>,
    }

    /// I am; tell the one that asks.
    GossipRelayedAck: GOSSIP_RELAYED_ACK = "gossip_relayed_ack" {
        /// Which probe, of the one that asks.
        8 probe: u8,
        /// Who asks.
        9 other: Gossiper<'a>,
    }

    /// The one that you could not reach is alive.
    GossipForwardedAck: GOSSIP_FORWARDED_ACK = "gossip_forwarded_ack" {
        /// Which probe.
        8 probe: u8,
        /// Who is alive.
        9 other: Gossiper<'a>,
    }

    /// You are taken for failed: come back under a new name.
    GossipFailed: GOSSIP_FAILED = "gossip_failed" {}

    /// That one did not answer my probe. It goes to the suspect itself and to those who watch it.
    GossipSuspicion: GOSSIP_SUSPICION = "gossip_suspicion" {
        /// The suspect, with the incarnation in which it did not answer.
        8 other: Gossiper<'a>,
        /// Whether it answers a suspicion: the sender had come to it by itself.
        9 is_answer: bool = false,
    }

    /// How my view looks: is yours the same? Also the first word to whoever takes gossip somewhere.
    GossipSync: GOSSIP_SYNC = "gossip_sync" {
        /// 32 numbers of 8 bytes, one for each bucket of members: equal when the members are.
        8 digests: &'a [u8],
        /// Whether it answers another one.
        9 is_answer: bool = false,
    }

    /// Is anybody there? Goes to a multicast group; who hears it compares views with the sender.
    GossipSearch: GOSSIP_SEARCH = "gossip_search" {}
}

message! {
    /// A message of membership that only those can read who have a key.
    pub struct GossipSealed<'a>: GOSSIP_SEALED = "gossip_sealed" {
        /// Which key: the first 4 bytes of its SHA-256.
        1 key: u32,
        /// 12 bytes that no other datagram under this key has.
        2 nonce: &'a [u8],
        /// A whole frame under ChaCha20-Poly1305 (RFC 8439), its tag of 16 bytes behind.
        3 sealed: &'a [u8],
    }
}

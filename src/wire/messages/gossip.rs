//! What nodes tell each other about who is alive. They travel as datagrams, one frame each.

use crate::list::List;
use crate::message::{message, part};

part! {
    /// What is known of a member.
    pub struct Member<'a> = "member" {
        /// Which node.
        1 node: u64,
        /// Which run of its process.
        2 boot: u64,
        /// How often it had to say that it is alive: the higher overrides the lower.
        3 incarnation: u64,
        /// 1 alive, 2 suspected, 3 failed, 4 left. At equal incarnation the higher overrides.
        4 state: u8,
        /// As in a hello.
        5 role: u8,
        /// Where it takes calls: host and port.
        6 rpc_address: &'a str = "",
        /// Where it takes gossip: host and port.
        7 gossip_address: &'a str = "",
        /// The lowest version of the protocol that it speaks.
        8 version_min: u8,
        /// The highest.
        9 version_max: u8,
        /// How many tasks it can run at once.
        10 capacity: u32 = 0,
        /// How many it runs.
        11 running: u32 = 0,
        /// How busy its cores are: 0 idle, 1 all of them.
        12 load: f64 = 0.0,
    }
}

message! {
    /// Are you alive?
    pub struct GossipPing<'a>: GOSSIP_PING = "gossip_ping" {
        /// Who asks.
        1 from: u64,
        /// Which probe: the answer repeats it.
        2 probe: u64,
        /// News.
        3 members: List<'a, Member<'a>> = List::EMPTY,
    }
}

message! {
    /// I am, or the one that you could not reach is.
    pub struct GossipAck<'a>: GOSSIP_ACK = "gossip_ack" {
        /// Who answers.
        1 from: u64,
        /// Which probe.
        2 probe: u64,
        /// Who is alive.
        3 target: u64,
        /// News.
        4 members: List<'a, Member<'a>> = List::EMPTY,
    }
}

message! {
    /// I cannot reach that one: can you?
    pub struct GossipIndirectPing<'a>: GOSSIP_INDIRECT_PING = "gossip_indirect_ping" {
        /// Who asks.
        1 from: u64,
        /// Which probe.
        2 probe: u64,
        /// Who does not answer.
        3 target: u64,
        /// Where it takes gossip.
        4 target_address: &'a str,
        /// News.
        5 members: List<'a, Member<'a>> = List::EMPTY,
    }
}

message! {
    /// News alone: what a node says when it joins or leaves, and when two views are compared.
    pub struct MembershipUpdate<'a>: MEMBERSHIP_UPDATE = "membership_update" {
        /// Who tells.
        1 from: u64,
        /// The news.
        2 members: List<'a, Member<'a>> = List::EMPTY,
    }
}

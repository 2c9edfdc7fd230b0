//! What is on its way to each follower. The library bounds messages; entries may be large, so that
//! bytes are bounded here: a follower that has too many of them unanswered gets no more messages
//! than one until it has answered.

use super::MESSAGES_IN_FLIGHT_MAX;
use crate::window::Window;
use raft::Raft;
use std::collections::{BTreeMap, VecDeque};

/// Entries on their way to one follower before it is held back. Unit: bytes. A gigabit link's
/// 100 ms; one step may exceed it by what is in memory.
const IN_FLIGHT_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Debug, Default)]
struct Flow {
    /// The last index of each message, and its bytes.
    sent: VecDeque<(u64, u64)>,
    bytes: u64,
    held_back: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Flows {
    flows: BTreeMap<u64, Flow>,
}

impl Flows {
    pub(crate) fn in_flight_bytes(&self, node: u64) -> u64 {
        self.flows.get(&node).map_or(0, |flow| flow.bytes)
    }

    /// Entries up to `last` were sent.
    pub(crate) fn on_sent(&mut self, node: u64, last: u64, bytes: u64, raft: &mut Raft<Window>) {
        let flow = self.flows.entry(node).or_default();
        flow.sent.push_back((last, bytes));
        flow.bytes += bytes;
        if flow.bytes > IN_FLIGHT_BYTES_MAX && !flow.held_back {
            flow.held_back = true;
            raft.adjust_max_inflight_msgs(node, 1);
        }
    }

    /// The follower has everything up to `index`.
    pub(crate) fn on_acknowledged(&mut self, node: u64, index: u64, raft: &mut Raft<Window>) {
        let Some(flow) = self.flows.get_mut(&node) else { return };
        while let Some(&(last, bytes)) = flow.sent.front()
            && last <= index
        {
            flow.bytes -= bytes;
            flow.sent.pop_front();
        }
        if flow.bytes <= IN_FLIGHT_BYTES_MAX / 2 {
            release(node, flow, raft);
        }
    }

    /// What was sent to this follower is lost or refused.
    pub(crate) fn forget(&mut self, node: u64, raft: &mut Raft<Window>) {
        if let Some(mut flow) = self.flows.remove(&node) {
            release(node, &mut flow, raft);
        }
    }

    /// Another role or term: the library starts over as well.
    pub(crate) fn clear(&mut self, raft: &mut Raft<Window>) {
        while let Some((node, mut flow)) = self.flows.pop_first() {
            release(node, &mut flow, raft);
        }
    }
}

fn release(node: u64, flow: &mut Flow, raft: &mut Raft<Window>) {
    if flow.held_back {
        flow.held_back = false;
        raft.adjust_max_inflight_msgs(node, MESSAGES_IN_FLIGHT_MAX);
    }
}

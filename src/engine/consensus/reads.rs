//! Up to where the log is committed, for those who must not answer with less: shards with reads, and
//! the node itself when it starts.

use super::{ConsensusCore, ConsensusEffect};
use crate::message::ToShard;
use base::{CoreId, Now, Outbox};
use journal::Buffers;
use std::collections::BTreeMap;

/// The read by which a node learns up to where the log was acknowledged before it started.
const CATCH_UP: u64 = 0;

/// Whose reads wait for an index.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// The last context given.
    last: u64,
    /// By context: the core, and its ticket. A core has a few at once (`READ_ROUNDS_MAX`).
    waiting: BTreeMap<u64, (CoreId, u64)>,
}

impl<A: Buffers> ConsensusCore<A> {
    /// Asks up to where the log was acknowledged.
    pub(super) fn catch_up(&mut self) {
        self.ask_group(CATCH_UP);
    }

    /// A shard has reads.
    pub(super) fn on_read(
        &mut self,
        now: Now,
        core: CoreId,
        ticket: u64,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        self.reads.last += 1;
        self.reads.waiting.insert(self.reads.last, (core, ticket));
        self.ask_group(self.reads.last);
        self.pump(now, out);
    }

    fn ask_group(&mut self, context: u64) {
        let asked = self.group.on_read(context, &mut self.group_out);
        asked.expect("a node asks for far fewer at once than a group takes");
    }

    /// The group has an index, or no leader said one in time.
    pub(super) fn on_read_answered(
        &mut self,
        context: u64,
        index: Option<u64>,
        out: &mut Outbox<ConsensusEffect<A::Buffer>>,
    ) {
        match (context, index) {
            (CATCH_UP, None) => self.catch_up(),
            (CATCH_UP, Some(index)) => self.tell_all(out, || ToShard::CaughtUp { index }),
            (context, index) => {
                let waiting = self.reads.waiting.remove(&context);
                let (to, ticket) = waiting.expect("each read is answered once");
                let message = ToShard::ReadIndex { ticket, index };
                out.push(ConsensusEffect::ToShard { to, message });
            }
        }
    }
}

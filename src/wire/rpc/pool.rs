//! Which connection to a peer a call takes, and when another one is made.
//!
//! One connection carries many calls at once, so one is enough until it is busy; then more are
//! made, one at a time, up to a bound. Of several, the least loaded is taken and of equals the
//! oldest, so that those that are not needed fall idle and are given back.
//!
//! Invariants:
//! - There are at most `connections_max` connections, those that are being made included.
//! - At most one is being made at a time: a peer that comes back is not met by a stampede.

use std::time::Duration;

/// How many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Connections to one peer. Default 2.
    pub connections_max: usize,
    /// Calls in flight on one connection; the peer may allow less. Default 4,096.
    pub calls_max: usize,
    /// With so many calls in flight on the least loaded connection, another one is made. Default
    /// 1,024: until then one connection does better, as more calls share one system call.
    pub busy_calls: usize,
    /// Calls that wait for a connection to be made. Default 4,096.
    pub waiting_max: usize,
    /// How long making a connection may take, its greeting included. Default 2 s.
    pub connect_within: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            connections_max: 2,
            calls_max: 4_096,
            busy_calls: 1_024,
            waiting_max: 4_096,
            connect_within: Duration::from_secs(2),
        }
    }
}

/// Names one connection of a pool; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Over this connection.
    Use {
        /// Which one.
        connection: ConnectionId,
        /// Whether it carried a call before.
        reused: bool,
        /// Another one is to be made besides, as this one is busy.
        grow: Option<ConnectionId>,
    },
    /// This connection is to be made; ask again when it is.
    Connect(ConnectionId),
    /// This connection is being made; ask again when it is.
    Wait(ConnectionId),
    /// Nowhere: every connection has as many calls as it may.
    Full {
        /// All that are allowed, together.
        calls_max: usize,
    },
}

#[derive(Debug)]
struct Entry {
    id: ConnectionId,
    /// Calls that it may carry; `None` while it is being made.
    calls_max: Option<usize>,
    calls: usize,
    used: bool,
}

/// The connections to one peer.
#[derive(Debug)]
pub struct Pool {
    options: PoolOptions,
    /// A handful, the oldest first: a list is quicker than a table.
    entries: Vec<Entry>,
    next: u64,
}

impl Pool {
    /// A pool without connections.
    pub fn new(options: PoolOptions) -> Self {
        assert!(options.connections_max > 0, "a pool may have a connection");
        assert!(options.calls_max > 0, "a connection may carry a call");
        Self { options, entries: Vec::new(), next: 1 }
    }

    /// Decides where a call goes. With [`Choice::Use`] it counts until [`Pool::on_call_end`].
    pub fn choose(&mut self) -> Choice {
        let connecting = self.entries.iter().find(|entry| entry.calls_max.is_none());
        let connecting = connecting.map(|entry| entry.id);
        let grow = connecting.is_none() && self.entries.len() < self.options.connections_max;
        let best = (self.entries.iter_mut())
            .filter(|entry| entry.calls_max.is_some_and(|calls_max| entry.calls < calls_max))
            .min_by_key(|entry| entry.calls);
        if let Some(best) = best {
            let grow = grow && best.calls >= self.options.busy_calls;
            let (connection, reused) = (best.id, best.used);
            best.used = true;
            best.calls += 1;
            return Choice::Use { connection, reused, grow: grow.then(|| self.make()) };
        }
        match connecting {
            Some(connection) => Choice::Wait(connection),
            None if grow => Choice::Connect(self.make()),
            None => Choice::Full {
                calls_max: self.entries.iter().filter_map(|entry| entry.calls_max).sum(),
            },
        }
    }

    fn make(&mut self) -> ConnectionId {
        assert!(self.entries.len() < self.options.connections_max, "a pool keeps its bound");
        let id = ConnectionId(self.next);
        self.next += 1;
        self.entries.push(Entry { id, calls_max: None, calls: 0, used: false });
        id
    }

    /// A connection was made; its peer takes at most `peer_calls_max` calls at once.
    pub fn on_connected(&mut self, connection: ConnectionId, peer_calls_max: usize) {
        let calls_max = self.options.calls_max.min(peer_calls_max).max(1);
        if let Some(entry) = self.entry(connection) {
            entry.calls_max = Some(calls_max);
        }
    }

    /// A connection could not be made, or has ended. Calls over it count no more.
    pub fn on_closed(&mut self, connection: ConnectionId) {
        self.entries.retain(|entry| entry.id != connection);
    }

    /// A call over this connection has ended.
    pub fn on_call_end(&mut self, connection: ConnectionId) {
        if let Some(entry) = self.entry(connection) {
            assert!(entry.calls > 0, "a call that ends was begun");
            entry.calls -= 1;
        }
    }

    /// Connections, those that are being made included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Calls under way over all connections.
    pub fn calls(&self) -> usize {
        self.entries.iter().map(|entry| entry.calls).sum()
    }

    fn entry(&mut self, id: ConnectionId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }
}

#[cfg(test)]
mod tests;

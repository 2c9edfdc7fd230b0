//! `GET /api/v1/cluster/status`

use crate::json;
use base::{CoreId, NodeId, StoreId};

/// What one core does.
#[derive(Clone, Debug)]
pub struct CoreStatus<'a> {
    /// The core, counted in the order of `--cores`.
    pub core: CoreId,
    /// The machine's CPU that it runs on.
    pub cpu: u32,
    /// What lives on it: `consensus`, `shard` …
    pub roles: &'a [&'a str],
    /// Partitions that it hosts.
    pub partitions: u32,
    /// Client connections that are open on it.
    pub connections: u64,
    /// Instances on it that have not ended.
    pub instances_running: u64,
}

/// What a node knows of its cluster.
#[derive(Clone, Debug)]
pub struct ClusterStatus<'a> {
    /// The node that answers.
    pub node: NodeId,
    /// The cluster, drawn at random at its birth.
    pub cluster_id: u64,
    /// The node's data directory.
    pub store_id: StoreId,
    /// `leader`, `follower`, `candidate`, `learner`.
    pub role: &'a str,
    /// The leader, when one is known.
    pub leader: Option<NodeId>,
    /// Who has a vote.
    pub voters: &'a [NodeId],
    /// Raft's term.
    pub term: u64,
    /// The last entry that is committed.
    pub commit_index: u64,
    /// The last entry that every core has applied.
    pub applied_index: u64,
    /// The version of the rules and definitions.
    pub catalogue_version: u64,
    /// How many partitions the state is cut into.
    pub partitions: u16,
    /// The cores.
    pub cores: &'a [CoreStatus<'a>],
    /// Since the process started. Unit: seconds.
    pub uptime_seconds: u64,
    /// The program's version.
    pub program_version: &'a str,
}

impl ClusterStatus<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.number("node", self.node.0);
            o.display("cluster_id", format_args!("{:016x}", self.cluster_id));
            o.display("store_id", format_args!("{:016x}", self.store_id.0));
            o.text("role", self.role);
            match self.leader {
                Some(leader) => o.number("leader", leader.0),
                None => o.null("leader"),
            }
            o.array("voters", |list| {
                for voter in self.voters {
                    list.number(voter.0);
                }
            });
            o.number("term", self.term);
            o.number("commit_index", self.commit_index);
            o.number("applied_index", self.applied_index);
            o.number("catalogue_version", self.catalogue_version);
            o.number("partitions", u64::from(self.partitions));
            o.array("cores", |list| {
                for core in self.cores {
                    list.object(|o| {
                        o.number("core", u64::from(core.core.0));
                        o.number("cpu", u64::from(core.cpu));
                        o.texts("roles", core.roles);
                        o.number("partitions", u64::from(core.partitions));
                        o.number("connections", core.connections);
                        o.number("instances_running", core.instances_running);
                    });
                }
            });
            o.number("uptime_seconds", self.uptime_seconds);
            o.text("version", self.program_version);
        });
    }
}

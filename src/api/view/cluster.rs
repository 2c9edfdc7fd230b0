//! What `/api/v1/cluster/...` answers.

use crate::json::{self, Object};
use base::{Address, CoreId, NodeId, StoreId, UnixMicros, WorkerId};
use std::net::SocketAddr;

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
    /// `leader`, `follower`, `candidate`, `learner`, or `stranger`: of one that does not belong to the
    /// group, not yet or no longer.
    pub role: &'a str,
    /// The leader, when one is known.
    pub leader: Option<NodeId>,
    /// Who has a vote.
    pub voters: &'a [NodeId],
    /// Everybody in the group.
    pub nodes: NodesView<'a>,
    /// Raft's term.
    pub term: u64,
    /// The last entry that is committed.
    pub commit_index: u64,
    /// The last entry that every core has applied.
    pub applied_index: u64,
    /// Up to which level the formats that nodes share are written.
    pub format_level: u16,
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
            o.number("format_level", u64::from(self.format_level));
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
            self.nodes.write_fields(o);
            o.number("uptime_seconds", self.uptime_seconds);
            o.text("version", self.program_version);
        });
    }
}

/// What a member is in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It votes.
    Voter,
    /// It votes until the change under way ends.
    Outgoing,
    /// It gets the log, and no vote.
    Learner,
}

impl Standing {
    /// As an answer names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voter => "voter",
            Self::Outgoing => "outgoing",
            Self::Learner => "learner",
        }
    }
}

/// How far a member is, as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeProgress {
    /// Up to there its log is durable, and the leader's.
    pub match_index: u64,
    /// Committed entries that it lacks.
    pub lag: u64,
    /// The leader has heard of it in the last second.
    pub heard: bool,
    /// It is being sent a snapshot.
    pub snapshot: bool,
}

/// A member.
#[derive(Clone, Debug)]
pub struct NodeView<'a> {
    /// Which.
    pub node: NodeId,
    /// What it is.
    pub standing: Standing,
    /// Whether it leads.
    pub leads: bool,
    /// Its data directory.
    pub store_id: StoreId,
    /// Where the others reach it.
    pub address: Option<&'a Address>,
    /// How far it is, where a leader has said.
    pub progress: Option<NodeProgress>,
}

/// Somebody of the cluster, coordinator or worker, as gossip knows it.
#[derive(Clone, Debug)]
pub struct MemberView<'a> {
    /// Which coordinator it is.
    pub node: Option<NodeId>,
    /// Which worker it is, or runs.
    pub worker: Option<WorkerId>,
    /// Its name, for people; empty until it has said one.
    pub name: &'a str,
    /// `coordinator`, `worker`.
    pub roles: &'a [&'a str],
    /// `alive`, `suspected`, `failed` or `left`.
    pub state: &'a str,
    /// Since when, by the clock of the node that answers.
    pub since: UnixMicros,
    /// Whether it leads the log.
    pub leads: bool,
    /// Where it takes gossip.
    pub gossip: SocketAddr,
    /// Where it takes HTTP; empty: not said.
    pub http: &'a str,
    /// Where it stands; empty: not said.
    pub zone: &'a str,
    /// How many tasks it can run at once.
    pub capacity: u32,
    /// How busy it is: 0 to 1,000.
    pub load_permille: u16,
    /// The lowest and the highest version of the protocol that it speaks.
    pub versions: (u8, u8),
}

/// The members of the group, and of the cluster.
#[derive(Clone, Debug)]
pub struct NodesView<'a> {
    /// Who has the log, in the order of their numbers.
    pub nodes: &'a [NodeView<'a>],
    /// Why nobody has said how far they are.
    pub progress_absent: Option<&'a str>,
    /// Everybody, by their ids; or why that is not known.
    pub members: Result<&'a [MemberView<'a>], &'a str>,
}

impl NodesView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| self.write_fields(o));
    }

    fn write_fields(&self, o: &mut Object<'_>) {
        o.array("nodes", |list| {
            for node in self.nodes {
                list.object(|o| node.write(o));
            }
        });
        o.text_if("progress_absent", self.progress_absent);
        match self.members {
            Ok(members) => o.array("members", |list| {
                for member in members {
                    list.object(|o| member.write(o));
                }
            }),
            Err(why) => o.text("members_absent", why),
        }
    }
}

impl MemberView<'_> {
    fn write(&self, o: &mut Object<'_>) {
        match self.node {
            Some(node) => o.number("node", node.0),
            None => o.null("node"),
        }
        match self.worker {
            Some(worker) => o.display("worker", worker),
            None => o.null("worker"),
        }
        o.text("name", self.name);
        o.texts("roles", self.roles);
        o.text("state", self.state);
        o.time("since", Some(self.since));
        o.boolean("leader", self.leads);
        o.display("gossip", self.gossip);
        o.text("http", self.http);
        o.text("zone", self.zone);
        o.number("capacity", u64::from(self.capacity));
        o.number("load_permille", u64::from(self.load_permille));
        o.array("versions", |list| {
            list.number(u64::from(self.versions.0));
            list.number(u64::from(self.versions.1));
        });
    }
}

impl NodeView<'_> {
    fn write(&self, o: &mut Object<'_>) {
        o.number("node", self.node.0);
        o.text("standing", self.standing.as_str());
        o.boolean("leader", self.leads);
        o.display("store_id", format_args!("{:016x}", self.store_id.0));
        match self.address {
            Some(address) => o.display("address", address),
            None => o.null("address"),
        }
        if let Some(progress) = self.progress {
            o.number("match_index", progress.match_index);
            o.number("lag", progress.lag);
            o.boolean("heard", progress.heard);
            o.boolean("snapshot", progress.snapshot);
        }
    }
}

/// A change of the group that was made.
#[derive(Clone, Debug)]
pub struct GroupChanged<'a> {
    /// The node that it is about.
    pub node: NodeId,
    /// What became of it: `learner`, `voter`, `removed`, `leader`.
    pub is: &'a str,
    /// The entry of the log that says so; none of a leader, which its election says.
    pub index: Option<u64>,
}

impl GroupChanged<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.number("node", self.node.0);
            o.text("is", self.is);
            if let Some(index) = self.index {
                o.number("index", index);
            }
        });
    }
}

/// What one node says of its state at an index.
#[derive(Clone, Debug)]
pub struct NodeChecksum<'a> {
    /// Which.
    pub node: NodeId,
    /// Its checksum, or why there is none.
    pub checksum: Result<u64, &'a str>,
}

/// A comparison of all members at one index.
#[derive(Clone, Debug)]
pub struct ChecksumView<'a> {
    /// The entry of the log at which they are compared; none when this node has not come so far.
    pub index: Option<u64>,
    /// Every member.
    pub nodes: &'a [NodeChecksum<'a>],
}

impl ChecksumView<'_> {
    /// Whether all members have said, and all the same.
    pub fn is_equal(&self) -> bool {
        let first = self.nodes.first().and_then(|node| node.checksum.ok());
        first.is_some() && self.nodes.iter().all(|node| node.checksum.ok() == first)
    }

    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.boolean("equal", self.is_equal());
            match self.index {
                Some(index) => o.number("index", index),
                None => o.null("index"),
            }
            o.array("nodes", |list| {
                for NodeChecksum { node, checksum } in self.nodes {
                    list.object(|o| {
                        o.number("node", node.0);
                        match checksum {
                            Ok(checksum) => {
                                o.display("checksum", format_args!("{checksum:016x}"));
                            }
                            Err(reason) => o.text("missing", reason),
                        }
                    });
                }
            });
        });
    }
}

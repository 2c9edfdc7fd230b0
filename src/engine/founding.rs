//! Who two coordinators are to each other before they speak, and how a cluster comes to be.
//!
//! The lowest of the nodes that are to found a cluster is its *founder*. It asks each of the others
//! who it is; once all have said so, and none belongs to a cluster, it makes the [`Foundation`],
//! keeps it, and from then on tells it to whoever is named in it and does not know it yet. Nobody
//! votes before.
//!
//! | what happens | why it stays sound |
//! | --- | --- |
//! | the founder dies before it has kept the foundation | nobody else knows it: it is made anew |
//! | the founder dies after that | it has the same one when it starts again |
//! | a node is wiped after it was met | the foundation names another store: it is refused, never counted |
//! | the founder is wiped | the others belong to a cluster: it founds none, and waits to be added |
//!
//! Invariants:
//! - a foundation never changes, and every member has the same one;
//! - a message is believed only over a link whose two ends were meant for each other: the same
//!   cluster, and the data directory that the sender wanted to reach.

use base::{Address, BootId, NodeId, StoreId, hash64};
use quorum::{Member, Membership};
use std::collections::BTreeMap;
use std::fmt;

/// The versions of what is replicated (records, batches, snapshots) that this program reads and
/// writes. Level 2 has workers: a node of level 1 would stop at the first record that names one, so the
/// two do not form a cluster.
pub const FORMATS: (u16, u16) = (2, 2);

/// Who is at one end of a link, as its hello says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub store: StoreId,
    /// The run.
    pub boot: BootId,
    /// The cluster that it belongs to, if it does.
    pub cluster: Option<u64>,
    /// The data directory that it means to reach; none: it only asks who is there.
    pub to_store: Option<StoreId>,
    /// The replicated formats that it reads, the lowest and the highest.
    pub formats: (u16, u16),
}

/// What a cluster was founded with. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foundation {
    /// The cluster's id, drawn at random.
    pub cluster: u64,
    /// Its first members.
    pub founded: Membership,
}

/// A store in an error, as the status shows it.
struct Shown(StoreId);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0.0)
    }
}

/// Why two nodes do not speak with each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// No node has the number 0.
    #[error("a peer says that it is node 0, which nobody is")]
    Nobody,
    /// Two nodes have one number.
    #[error(
        "two nodes were started as node {node}: give each a number of its own with --node, and see \
         that no address in a list is another node's"
    )]
    Twin {
        /// The number.
        node: NodeId,
    },
    /// A node that calls itself, or a copy of its own data directory.
    #[error(
        "node {node} calls itself, or a copy of its data directory: see to the addresses, and never \
         run a copy beside the original"
    )]
    Itself {
        /// The number.
        node: NodeId,
    },
    /// The caller means another data directory.
    #[error(
        "here is node {node} with store {}, and the caller means a member with store {}: either \
         that member is reached at another address, or the data directory of node {node} was lost or \
         replaced. What the old one had acknowledged is not in the new one, so it is no member: \
         `distric-admin nodes remove {node}`, then `distric-admin nodes add {node} ADDRESS`", Shown(*here), Shown(*meant)
    )]
    NotMeant {
        /// This node.
        node: NodeId,
        /// Its store, as it is shown.
        here: StoreId,
        /// The store that was meant.
        meant: StoreId,
    },
    /// An earlier run than the last one of the same data directory.
    #[error(
        "an earlier run of node {node} than its latest speaks: a copy or a backup of its data directory \
         was started. What it had acknowledged since is not in it: remove the node and add it again \
         with an empty directory"
    )]
    Copy {
        /// Who.
        node: NodeId,
    },
    /// It is of another cluster.
    #[error(
        "node {node} belongs to cluster {theirs:016x}, this one to cluster {ours:016x}: they were \
         founded apart, by lists that differ or at another time. To join a cluster a node needs an \
         empty data directory"
    )]
    OtherCluster {
        /// Who.
        node: NodeId,
        /// Its cluster.
        theirs: u64,
        /// This one's.
        ours: u64,
    },
    /// The peer is somebody else than the address is for.
    #[error("the address is of node {found}, not of node {wanted}")]
    OtherNode {
        /// Who is there.
        found: NodeId,
        /// Who was expected.
        wanted: NodeId,
    },
    /// The data directory is another than the cluster knows.
    #[error(
        "the cluster knows node {node} with store {}, and it has store {} now: \
         its data directory is another one. What the old one had acknowledged is not in it, so it \
         cannot go on as that member: `distric-admin nodes remove {node}`, then `distric-admin \
         nodes add {node} ADDRESS`", Shown(*known), Shown(*found)
    )]
    OtherStore {
        /// Who.
        node: NodeId,
        /// The store that the cluster knows, as it is shown.
        known: StoreId,
        /// The store that is there.
        found: StoreId,
    },
    /// Two runs of one data directory at a time.
    #[error(
        "another run of node {node}'s data directory is connected: if that does not end in some \
         seconds, a copy of the directory runs beside the original, and must be stopped"
    )]
    TwoRuns {
        /// Who.
        node: NodeId,
    },
    /// It belonged to the cluster, and does not any more.
    #[error(
        "node {node} does not belong to the cluster any more: it was removed. Stop it; to come back it \
         is added again, with an empty data directory"
    )]
    Removed {
        /// Who.
        node: NodeId,
    },
    /// The releases are too far apart.
    #[error(
        "node {node} knows the replicated formats {}-{}, this one {}-{}: upgrade one release at a \
         time", theirs.0, theirs.1, ours.0, ours.1
    )]
    Formats {
        /// Who.
        node: NodeId,
        /// What it reads.
        theirs: (u16, u16),
        /// What this one reads.
        ours: (u16, u16),
    },
}

/// What a node knows of whoever calls it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The members; all of them, if it leads.
    pub members: &'a Membership,
    /// Whether it leads.
    pub leading: bool,
    /// The latest run of the caller's data directory that it has seen.
    pub latest: Option<BootId>,
    /// Whoever is connected under the caller's number.
    pub running: Option<Card>,
}

/// Whether the node `own` may be spoken to by the one that says `theirs`.
///
/// # Errors
/// Why not.
pub fn greet(own: &Card, known: Known<'_>, theirs: &Card) -> Result<(), Stranger> {
    check_pair(own, theirs)?;
    if let Some(meant) = theirs.to_store.filter(|meant| *meant != own.store) {
        let (here, meant) = (fingerprint(own.store), fingerprint(meant));
        return Err(Stranger::NotMeant { node: own.node, here, meant });
    }
    if known.latest.is_some_and(|latest| latest > theirs.boot) {
        return Err(Stranger::Copy { node: theirs.node });
    }
    // A process that ended has closed its connections; one that was cut off is given up soon.
    let is_other = |card: Card| (card.store, card.to_store) == (theirs.store, theirs.to_store);
    if known.running.is_some_and(|card| is_other(card) && card.boot != theirs.boot) {
        return Err(Stranger::TwoRuns { node: theirs.node });
    }
    let member = known.members.member(theirs.node);
    if theirs.cluster.is_some() && member.is_none() && known.leading {
        return Err(Stranger::Removed { node: theirs.node });
    }
    // Whoever belongs to the cluster is judged message by message (docs/decisions/0017): this node
    // may lag behind a change of members. A node that belongs to none has no such claim.
    match member.filter(|member| member.store != theirs.store) {
        Some(member) if theirs.cluster.is_none() => {
            let (known, found) = (fingerprint(member.store), fingerprint(theirs.store));
            Err(Stranger::OtherStore { node: theirs.node, known, found })
        }
        _ => Ok(()),
    }
}

/// As a store is shown: who knew the id itself could write bytes that look like the journal's.
pub fn fingerprint(store: StoreId) -> StoreId {
    StoreId(hash64(&store.0.to_le_bytes()))
}

/// What the node `own` makes of the answer of a member that it has called. Tells whether that one
/// does not know its cluster yet.
///
/// # Errors
/// It is not the member.
pub fn meet(own: &Card, wanted: (NodeId, StoreId), theirs: &Card) -> Result<bool, Stranger> {
    let (node, store) = wanted;
    if theirs.node != node {
        return Err(Stranger::OtherNode { found: theirs.node, wanted: node });
    }
    check_pair(own, theirs)?;
    if theirs.store != store {
        let (known, found) = (fingerprint(store), fingerprint(theirs.store));
        return Err(Stranger::OtherStore { node, known, found });
    }
    Ok(theirs.cluster.is_none())
}

fn check_pair(own: &Card, theirs: &Card) -> Result<(), Stranger> {
    let node = theirs.node;
    if node.0 == 0 {
        return Err(Stranger::Nobody);
    }
    // First of all: clusters number their nodes alike.
    if let (Some(theirs), Some(ours)) = (theirs.cluster, own.cluster)
        && theirs != ours
    {
        return Err(Stranger::OtherCluster { node, theirs, ours });
    }
    if node == own.node {
        let is_same = theirs.store == own.store;
        return Err(if is_same { Stranger::Itself { node } } else { Stranger::Twin { node } });
    }
    let (low, high) = theirs.formats;
    if low > own.formats.1 || high < own.formats.0 {
        return Err(Stranger::Formats { node, theirs: theirs.formats, ours: own.formats });
    }
    Ok(())
}

/// Why a list of founders cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FoundingError {
    /// This node is not in it.
    #[error("node {node} is not among the nodes that are to found the cluster ({listed})")]
    NotListed {
        /// This node.
        node: NodeId,
        /// The list.
        listed: String,
    },
    /// Too many, or an even number of them.
    #[error(transparent)]
    Members(#[from] quorum::ChangeError),
}

/// A node that is to found a cluster with others, or to be founded.
#[derive(Debug)]
pub struct Founding {
    own: Card,
    listed: BTreeMap<NodeId, Address>,
    met: BTreeMap<NodeId, StoreId>,
    /// The cluster that this node would found.
    cluster: u64,
}

/// What a node has learnt by a meeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Met {
    /// Others are to be met, or this node is not the founder.
    Waiting,
    /// All were met: this is what they found. To be kept before it is told to anybody.
    Founded(Foundation),
    /// A listed node belongs to a cluster already: none is founded, this one is to be added to it.
    TooLate {
        /// Who.
        node: NodeId,
        /// To which.
        cluster: u64,
    },
}

impl Founding {
    /// A node that belongs to no cluster, and the nodes that are to found one. `cluster` is the id
    /// that it would get from this node: drawn at random.
    ///
    /// # Errors
    /// The list cannot be.
    pub fn new(
        own: Card,
        listed: BTreeMap<NodeId, Address>,
        cluster: u64,
    ) -> Result<Self, FoundingError> {
        if !listed.contains_key(&own.node) {
            let names: Vec<String> = listed.keys().map(ToString::to_string).collect();
            return Err(FoundingError::NotListed { node: own.node, listed: names.join(", ") });
        }
        // With stores made up: whether so many nodes can be a group.
        let alike = listed.keys().map(|node| (*node, Member { store: own.store, address: None }));
        Membership::founded(alike)?;
        Ok(Self { own, listed, met: BTreeMap::new(), cluster })
    }

    /// Whether this node makes the foundation.
    pub fn is_founder(&self) -> bool {
        self.listed.keys().next() == Some(&self.own.node)
    }

    /// All are to be met anew: what was heard long ago may not be so any more.
    pub fn begin_round(&mut self) {
        self.met.clear();
    }

    /// Who is still to be met in this round, and where. A node that is not the founder meets the others
    /// too: they say why, if it cannot be founded.
    pub fn to_meet(&self) -> Vec<(NodeId, Address)> {
        let others = self.listed.iter().filter(|(node, _)| **node != self.own.node);
        let unmet = others.filter(|(node, _)| !self.met.contains_key(node));
        unmet.map(|(node, address)| (*node, address.clone())).collect()
    }

    /// This node alone: what it founds without anybody else.
    pub fn alone(&self) -> Option<Foundation> {
        (self.listed.len() == 1).then(|| self.foundation())
    }

    /// A listed node has answered.
    ///
    /// # Errors
    /// It is not the one that is listed.
    pub fn on_met(&mut self, listed: NodeId, theirs: &Card) -> Result<Met, Stranger> {
        meet(&self.own, (listed, theirs.store), theirs)?;
        if let Some(cluster) = theirs.cluster {
            return Ok(Met::TooLate { node: listed, cluster });
        }
        if !self.is_founder() {
            return Ok(Met::Waiting);
        }
        self.met.insert(listed, theirs.store);
        let all =
            self.listed.keys().all(|node| *node == self.own.node || self.met.contains_key(node));
        Ok(if all { Met::Founded(self.foundation()) } else { Met::Waiting })
    }

    fn foundation(&self) -> Foundation {
        let members = self.listed.iter().map(|(node, address)| {
            let store = if *node == self.own.node { self.own.store } else { self.met[node] };
            (*node, Member { store, address: Some(address.clone()) })
        });
        let founded = Membership::founded(members).expect("so many were found to be a group");
        Foundation { cluster: self.cluster, founded }
    }
}

impl Foundation {
    /// The members that a node begins with which was told of its cluster, so that the log makes the same
    /// of them on all. Nobody, if it is named with another data directory: it must not take itself for
    /// that member, and gets a snapshot with the members of its time.
    pub fn of(&self, node: NodeId, store: StoreId) -> Membership {
        match self.founded.member(node) {
            Some(member) if member.store != store => Membership::default(),
            _ => self.founded.clone(),
        }
    }
}

#[cfg(test)]
mod tests;

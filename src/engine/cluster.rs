//! What is asked of the group itself, and what it answers: members, the lead, checksums; and what the
//! leader alone can find out: whether plugins take their configurations.
//!
//! A shard hands a client's [`Demand`] to the consensus core. Who leads carries it out; any other node
//! asks its leader, with these values as the bodies of [`PeerMessage::Request`] and
//! [`PeerMessage::Answer`]:
//!
//! ```text
//! version u8 = 1 | an archive of the value
//! ```
//!
//! Archives are as in records (rkyv: unaligned, little-endian), checked on every read, with golden
//! bytes in the tests. A body of another version is refused; whoever asked is told.
//!
//! [`PeerMessage::Request`]: crate::peer::PeerMessage::Request
//! [`PeerMessage::Answer`]: crate::peer::PeerMessage::Answer

use api::{ApiError, Code};
use base::{Address, NodeId, StoreId, UnixMicros, WorkerId};
use bytes::Bytes;
use quorum::Membership;
use rkyv::rancor::Error as Rancor;
use rkyv::{Archive, Deserialize, Serialize};
use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(test)]
mod tests;

const VERSION: u8 = 1;

/// Requests of one node that its leader has not answered yet. Operators and their dashboards ask a few
/// at a time.
pub(crate) const REQUESTS_MAX: usize = 1_024;

/// What somebody wants of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand {
    /// How far the members are, from whoever leads.
    Progress,
    /// A node is to get the log, and no vote.
    Add {
        /// Which.
        node: NodeId,
        /// Where the others reach it.
        address: Address,
        /// The cluster that it may belong to already.
        cluster: u64,
    },
    /// A learner is to vote.
    Promote {
        /// Which.
        node: NodeId,
    },
    /// A node is to leave.
    Remove {
        /// Which.
        node: NodeId,
    },
    /// Another voter is to lead.
    Transfer {
        /// Which; none for the one that has most of the log.
        to: Option<NodeId>,
    },
    /// Nothing: the sender's clock says this.
    Clock {
        /// What.
        wall: UnixMicros,
    },
    /// The sender is reached elsewhere. Only of a node for itself.
    Move {
        /// Where.
        address: Address,
    },
    /// Would plugins take these configurations? Nothing is changed by it.
    Validate {
        /// Which.
        configs: Vec<PluginConfig>,
    },
}

/// What a plugin is to be set up with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PluginConfig {
    /// Its name.
    pub plugin: String,
    /// JSON.
    pub config: String,
}

/// How far a member is, as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Who.
    pub node: NodeId,
    /// Up to there its log is durable, and the leader's.
    pub matched: u64,
    /// The leader has heard of it in the last second.
    pub heard: bool,
    /// It is being sent a snapshot.
    pub snapshot: bool,
}

/// What a leader says of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Up to where its log is committed.
    pub commit: u64,
    /// Everybody, itself too.
    pub reached: Vec<Reached>,
}

/// What became of a demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fulfilled {
    /// See there.
    Progress(Progress),
    /// The members are others, by the entry at this index.
    Changed {
        /// Where.
        index: u64,
    },
    /// Another node leads.
    Leads {
        /// Which.
        node: NodeId,
    },
    /// Plugins were asked for each of the configurations, or for so many that enough is wrong.
    Validated {
        /// What is wrong: the configuration's place in the question, and why.
        faults: Vec<(u32, String)>,
    },
    /// It was not done; or it is not known, when the code says so.
    Refused(ApiError),
}

/// What a node says of its state at the place of a checksum's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The layout of the images that were hashed.
    pub layout: u16,
    /// The entry.
    pub index: u64,
    /// The checksum, or why there is none.
    pub checksum: Result<u64, String>,
}

/// What the whole group says of its state at one place of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The entry; none when this node has not come to it.
    pub index: Option<u64>,
    /// Every member: its checksum, or why there is none.
    pub nodes: Vec<(NodeId, Result<u64, String>)>,
}

/// What a coordinator answers another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// A demand of the asker.
    Demand(Fulfilled),
    /// A record of the asker's, which named the place.
    Hashed(Hashed),
}

/// Somebody of the cluster, coordinator or worker, as this node's gossip sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which coordinator it is.
    pub node: Option<NodeId>,
    /// Which worker it is, or runs.
    pub worker: Option<WorkerId>,
    /// Whether it holds the log.
    pub is_coordinator: bool,
    /// Whether it runs tasks.
    pub is_worker: bool,
    /// What it calls itself.
    pub name: String,
    /// What is known of it: `alive`, `suspected`, `failed`, `left`.
    pub state: &'static str,
    /// Since when.
    pub since: UnixMicros,
    /// Where it takes gossip.
    pub gossip: SocketAddr,
    /// Where it says that it takes HTTP.
    pub http: String,
    /// Where it says that it stands.
    pub zone: String,
    /// How many tasks it can run at once.
    pub capacity: u32,
    /// How busy it is. Unit: thousandths.
    pub load_permille: u16,
    /// The lowest and the highest version of the protocol that it speaks.
    pub versions: (u8, u8),
}

/// Everybody whom this node's gossip knows, by their ids; or why there is none.
pub type Everybody = Result<Arc<[Seen]>, Cow<'static, str>>;

/// The group, as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Who belongs to it.
    pub members: Membership,
    /// Whoever leads, when it is known.
    pub leader: Option<NodeId>,
    /// What the leader says; or why it says nothing.
    pub progress: Result<Progress, String>,
    /// Who is there besides: by gossip, so it decides nothing.
    pub everybody: Everybody,
}

/// Bytes that are no body of a request or an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadBody {
    #[error("the body is of version {version}, this program knows {VERSION}")]
    Version { version: u8 },
    #[error("the body does not check: {reason}")]
    Archive { reason: String },
    #[error("the body is empty")]
    Empty,
}

#[derive(Archive, Serialize, Deserialize)]
enum DemandV1 {
    Progress,
    Add { node: u64, address: String, cluster: u64 },
    Promote { node: u64 },
    Remove { node: u64 },
    Transfer { to: Option<u64> },
    Move { address: String },
    Clock { wall: u64 },
    Validate { configs: Vec<(String, String)> },
}

#[derive(Archive, Serialize, Deserialize)]
struct ReachedV1 {
    node: u64,
    matched: u64,
    heard: bool,
    snapshot: bool,
}

#[derive(Archive, Serialize, Deserialize)]
struct RefusedV1 {
    code: String,
    detail: String,
    hint: String,
    retry_after_seconds: Option<u32>,
}

#[derive(Archive, Serialize, Deserialize)]
enum AnsweredV1 {
    Progress { commit: u64, reached: Vec<ReachedV1> },
    Changed { index: u64 },
    Leads { node: u64 },
    Refused(RefusedV1),
    Hashed { layout: u16, index: u64, checksum: u64 },
    NotHashed { layout: u16, index: u64, reason: String },
    Validated { faults: Vec<(u32, String)> },
}

impl Demand {
    pub(crate) fn to_body(&self) -> Bytes {
        to_body(&match self {
            Self::Progress => DemandV1::Progress,
            Self::Add { node, address, cluster } => {
                DemandV1::Add { node: node.0, address: address.to_string(), cluster: *cluster }
            }
            Self::Promote { node } => DemandV1::Promote { node: node.0 },
            Self::Remove { node } => DemandV1::Remove { node: node.0 },
            Self::Transfer { to } => DemandV1::Transfer { to: to.map(|to| to.0) },
            Self::Move { address } => DemandV1::Move { address: address.to_string() },
            Self::Clock { wall } => DemandV1::Clock { wall: wall.0 },
            Self::Validate { configs } => {
                let one = |one: &PluginConfig| (one.plugin.clone(), one.config.clone());
                DemandV1::Validate { configs: configs.iter().map(one).collect() }
            }
        })
    }

    pub(crate) fn from_body(body: &[u8]) -> Result<Self, BadBody> {
        let demand = rkyv::from_bytes::<DemandV1, Rancor>(archive(body)?).map_err(bad)?;
        let at = |text: &str| {
            Address::parse(text).map_err(|error| BadBody::Archive { reason: error.to_string() })
        };
        Ok(match demand {
            DemandV1::Progress => Self::Progress,
            DemandV1::Add { node, address, cluster } => {
                Self::Add { node: NodeId(node), address: at(&address)?, cluster }
            }
            DemandV1::Promote { node } => Self::Promote { node: NodeId(node) },
            DemandV1::Remove { node } => Self::Remove { node: NodeId(node) },
            DemandV1::Transfer { to } => Self::Transfer { to: to.map(NodeId) },
            DemandV1::Move { address } => Self::Move { address: at(&address)? },
            DemandV1::Clock { wall } => Self::Clock { wall: UnixMicros(wall) },
            DemandV1::Validate { configs } => {
                let one = |(plugin, config)| PluginConfig { plugin, config };
                Self::Validate { configs: configs.into_iter().map(one).collect() }
            }
        })
    }
}

impl Answered {
    pub(crate) fn to_body(&self) -> Bytes {
        to_body(&match self {
            Self::Demand(Fulfilled::Progress(Progress { commit, reached })) => {
                let reached = reached.iter().map(|one| ReachedV1 {
                    node: one.node.0,
                    matched: one.matched,
                    heard: one.heard,
                    snapshot: one.snapshot,
                });
                AnsweredV1::Progress { commit: *commit, reached: reached.collect() }
            }
            Self::Demand(Fulfilled::Changed { index }) => AnsweredV1::Changed { index: *index },
            Self::Demand(Fulfilled::Leads { node }) => AnsweredV1::Leads { node: node.0 },
            Self::Demand(Fulfilled::Validated { faults }) => {
                AnsweredV1::Validated { faults: faults.clone() }
            }
            Self::Demand(Fulfilled::Refused(error)) => AnsweredV1::Refused(RefusedV1 {
                code: error.code.as_str().into(),
                detail: error.detail.clone().into_owned(),
                hint: error.hint.clone().into_owned(),
                retry_after_seconds: error.retry_after_seconds,
            }),
            Self::Hashed(Hashed { layout, index, checksum }) => match checksum {
                Ok(checksum) => {
                    AnsweredV1::Hashed { layout: *layout, index: *index, checksum: *checksum }
                }
                Err(reason) => {
                    AnsweredV1::NotHashed { layout: *layout, index: *index, reason: reason.clone() }
                }
            },
        })
    }

    pub(crate) fn from_body(body: &[u8]) -> Result<Self, BadBody> {
        let answer = rkyv::from_bytes::<AnsweredV1, Rancor>(archive(body)?).map_err(bad)?;
        Ok(match answer {
            AnsweredV1::Progress { commit, reached } => {
                let reached = reached.into_iter().map(|one| Reached {
                    node: NodeId(one.node),
                    matched: one.matched,
                    heard: one.heard,
                    snapshot: one.snapshot,
                });
                Self::Demand(Fulfilled::Progress(Progress { commit, reached: reached.collect() }))
            }
            AnsweredV1::Changed { index } => Self::Demand(Fulfilled::Changed { index }),
            AnsweredV1::Leads { node } => Self::Demand(Fulfilled::Leads { node: NodeId(node) }),
            AnsweredV1::Validated { faults } => Self::Demand(Fulfilled::Validated { faults }),
            AnsweredV1::Refused(refused) => Self::Demand(Fulfilled::Refused(refused.into_error())),
            AnsweredV1::Hashed { layout, index, checksum } => {
                Self::Hashed(Hashed { layout, index, checksum: Ok(checksum) })
            }
            AnsweredV1::NotHashed { layout, index, reason } => {
                Self::Hashed(Hashed { layout, index, checksum: Err(reason) })
            }
        })
    }
}

impl RefusedV1 {
    fn into_error(self) -> ApiError {
        let Self { code, detail, hint, retry_after_seconds } = self;
        // A code of a later release is a refusal all the same.
        let known = Code::ALL.iter().copied().find(|known| known.as_str() == code);
        let mut error = ApiError::new(known.unwrap_or(Code::Internal), detail).with_hint(hint);
        error.retry_after_seconds = retry_after_seconds;
        error
    }
}

fn to_body(
    value: &impl for<'a> Serialize<
        rkyv::api::high::HighSerializer<
            rkyv::util::AlignedVec,
            rkyv::ser::allocator::ArenaHandle<'a>,
            Rancor,
        >,
    >,
) -> Bytes {
    let archive = rkyv::to_bytes::<Rancor>(value).expect("writing to memory cannot fail");
    let mut body = Vec::with_capacity(1 + archive.len());
    body.push(VERSION);
    body.extend_from_slice(&archive);
    body.into()
}

fn archive(body: &[u8]) -> Result<&[u8], BadBody> {
    match body.split_first() {
        Some((&VERSION, archive)) => Ok(archive),
        Some((&version, _)) => Err(BadBody::Version { version }),
        None => Err(BadBody::Empty),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn bad(error: Rancor) -> BadBody {
    BadBody::Archive { reason: error.to_string() }
}

/// Who answered a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub store: StoreId,
    /// The cluster that it belongs to, if it does.
    pub cluster: Option<u64>,
}

//! Every message: one record each, grouped by who speaks. docs/WIRE.md has the same as tables.

mod client;
mod gossip;
mod peers;
mod raft;
mod session;
mod task;

pub use client::{
    Answer, Messages, Query, QueryResult, Refusal, SUBMIT_BYTES_MAX, Started, Submit,
    SubmitResponse, SubmitWriter, write_submit_response,
};
pub use gossip::{
    GossipAck, GossipFailed, GossipForwardedAck, GossipIndirectPing, GossipPing, GossipRelayedAck,
    GossipRelayedPing, GossipSealed, GossipSearch, GossipSuspicion, GossipSync, Gossiper,
    MemberData, MembershipUpdate,
};
pub use peers::{
    ClusterAnswer, ClusterRequest, Forward, ForwardRefused, PEER_BYTES_MAX, SnapshotGone,
    SnapshotPiece, SnapshotWanted, Welcome,
};
pub use raft::{
    AppendEntries, AppendEntriesResponse, Configuration, Entry, Heartbeat, HeartbeatResponse,
    InstallSnapshot, InstallSnapshotResponse, PreVote, PreVoteResponse, ReadIndex,
    ReadIndexResponse, RequestVote, RequestVoteResponse, TimeoutNow, TransferLeader,
};
pub use session::{Cancel, ErrorReply, Hello, Ping, words};
pub use task::{
    Plugin, TaskAccepted, TaskAssignment, TaskName, TaskRecorded, TaskRefused, TaskResult,
    TaskStatus, TaskStatusResponse, TaskStop, TaskValidate, TaskValidated, WorkerDrain,
    WorkerLeave, WorkerLeft, WorkerLost, WorkerNotTaken, WorkerRegister, WorkerRegistered,
};

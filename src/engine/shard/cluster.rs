//! Requests that are about the group: who belongs to it, who leads, how everybody fares. The
//! consensus core knows, or asks who does; here requests are read, and answers written.

use super::queries::{Kind, starting};
use super::{RequestId, ShardCore, ShardEffect};
use crate::cluster::{Compared, Demand, Fulfilled, GroupView, Seen};
use crate::founding::fingerprint;
use crate::message::{ConsensusStatus, ShardStatus, ToConsensus};
use crate::record::FORMAT_LEVEL;
use api::{
    ApiError, ChecksumView, Code, MemberView, NodeChecksum, NodeProgress, NodeView, NodesView,
    Request, Response, Route, Standing,
};
use base::{Address, CoreId, NodeId, Outbox};
use serde_json::Value;

/// What a client is told of a change of the group that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The node is this from now on.
    Node(NodeId, &'static str),
    /// Another node leads.
    Lead,
}

impl Wanted {
    /// The answer.
    pub(super) fn response(self, fulfilled: Fulfilled) -> Response {
        let changed = match (self, fulfilled) {
            (_, Fulfilled::Refused(error)) => return error.to_response(),
            (Self::Node(node, is), Fulfilled::Changed { index }) => {
                api::GroupChanged { node, is, index: Some(index) }
            }
            (Self::Lead, Fulfilled::Leads { node }) => {
                api::GroupChanged { node, is: "leader", index: None }
            }
            // Of a leader whose release means something else by it.
            (wanted, answer) => {
                let detail = format!("the leader answered {answer:?} where {wanted:?} was asked");
                return ApiError::new(Code::Internal, detail).to_response();
            }
        };
        let mut body = Vec::new();
        changed.write(&mut body);
        Response::json(200, body)
    }
}

/// The members, and how far they are.
pub(super) fn nodes(group: &GroupView) -> Response {
    let mut body = Vec::new();
    with_nodes(group, |nodes| nodes.write(&mut body));
    Response::json(200, body)
}

/// How the members' states compare.
pub(super) fn compared(compared: &Compared) -> Response {
    let nodes: Vec<NodeChecksum<'_>> = (compared.nodes.iter())
        .map(|(node, checksum)| NodeChecksum {
            node: *node,
            checksum: checksum.as_ref().copied().map_err(String::as_str),
        })
        .collect();
    let mut body = Vec::new();
    ChecksumView { index: compared.index, nodes: &nodes }.write(&mut body);
    Response::json(200, body)
}

impl ShardCore {
    /// A client wants the group to be another.
    pub(super) fn on_demand(
        &mut self,
        id: RequestId,
        route: &Route,
        request: &Request<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<(), ApiError> {
        let born = self.globals.born.as_ref().filter(|_| self.serving).ok_or_else(starting)?;
        let cluster = born.cluster_id;
        if self.stopping {
            return Err(ApiError::stopping());
        }
        let (wanted, demand) = match route {
            Route::AddNode => {
                api::check_json(request.content_type)?;
                let (node, address) = node_to_add(request.body)?;
                (Wanted::Node(node, "learner"), Demand::Add { node, address, cluster })
            }
            Route::PromoteNode(node) => {
                (Wanted::Node(*node, "voter"), Demand::Promote { node: *node })
            }
            Route::RemoveNode(node) => {
                (Wanted::Node(*node, "removed"), Demand::Remove { node: *node })
            }
            Route::TransferLead => {
                api::check_json(request.content_type)?;
                (Wanted::Lead, Demand::Transfer { to: leader_to_be(request.body)? })
            }
            route => unreachable!("{} changes no group", route.pattern()),
        };
        let ticket = self.gather(id, Kind::Demand(wanted), 1)?;
        out.push(ShardEffect::ToConsensus(ToConsensus::Demand { ticket, demand }));
        Ok(())
    }

    pub(super) fn cluster_status(
        &self,
        shards: &[(CoreId, ShardStatus)],
        consensus: ConsensusStatus,
        group: &GroupView,
        uptime_seconds: u64,
    ) -> Response {
        let mut shards = shards.to_vec();
        shards.sort_by_key(|(core, _)| *core);
        let cores: Vec<api::CoreStatus<'_>> = (shards.iter())
            .map(|(core, status)| api::CoreStatus {
                core: *core,
                cpu: self.config.cpus[usize::from(core.0)],
                // Consensus shares the first core with a shard.
                roles: if core.0 == 0 { &["consensus", "shard"] } else { &["shard"] },
                partitions: status.partitions,
                connections: status.connections,
                instances_running: status.running,
            })
            .collect();
        let node = self.config.node;
        let leader = (consensus.leader != 0).then_some(NodeId(consensus.leader));
        let voters: Vec<NodeId> = group.members.voters().collect();
        let role = match standing(group, node) {
            None => "stranger",
            Some(_) if consensus.leading => "leader",
            Some(Standing::Learner) => "learner",
            Some(_) if leader.is_none() => "candidate",
            Some(_) => "follower",
        };
        let mut body = Vec::new();
        with_nodes(group, |nodes| {
            let view = api::ClusterStatus {
                node,
                cluster_id: self.globals.born.as_ref().map_or(0, |born| born.cluster_id),
                store_id: fingerprint(self.config.store),
                role,
                leader,
                voters: &voters,
                nodes,
                term: consensus.term,
                commit_index: consensus.commit,
                applied_index: consensus.applied,
                format_level: FORMAT_LEVEL,
                catalogue_version: self.globals.catalogue.version,
                partitions: self.globals.born.as_ref().map_or(0, |born| born.partitions),
                cores: &cores,
                uptime_seconds,
                program_version: self.config.program_version,
            };
            view.write(&mut body);
        });
        Response::json(200, body)
    }
}

fn standing(group: &GroupView, node: NodeId) -> Option<Standing> {
    let members = &group.members;
    if members.is_learner(node) {
        Some(Standing::Learner)
    } else if members.voters().any(|voter| voter == node) {
        Some(Standing::Voter)
    } else {
        members.outgoing().any(|voter| voter == node).then_some(Standing::Outgoing)
    }
}

fn with_nodes(group: &GroupView, write: impl FnOnce(NodesView<'_>)) {
    let view = |(node, member)| {
        let member: &quorum::Member = member;
        let of_leader = group.progress.as_ref().ok().and_then(|progress| {
            let reached = progress.reached.iter().find(|reached| reached.node == node)?;
            Some((progress.commit, *reached))
        });
        NodeView {
            node,
            standing: standing(group, node).expect("whoever is a member has a standing"),
            leads: group.leader == Some(node),
            store_id: fingerprint(member.store),
            address: member.address.as_ref(),
            progress: of_leader.map(|(commit, reached)| NodeProgress {
                match_index: reached.matched,
                lag: commit.saturating_sub(reached.matched),
                heard: reached.heard,
                snapshot: reached.snapshot,
            }),
        }
    };
    let nodes: Vec<NodeView<'_>> = group.members.members().map(view).collect();
    let progress_absent = group.progress.as_ref().err().map(String::as_str);
    let everybody = group.everybody.as_deref().map_err(AsRef::as_ref);
    let members = everybody.map(|seen| seen.iter().map(|one| member(one, group.leader)).collect());
    let members: Result<Vec<MemberView<'_>>, &str> = members;
    let members = members.as_deref().map_err(|why| *why);
    write(NodesView { nodes: &nodes, progress_absent, members });
}

/// Somebody of the cluster. Who leads is said by the log, where it is known.
fn member(seen: &Seen, leader: Option<NodeId>) -> MemberView<'_> {
    MemberView {
        node: seen.node,
        worker: seen.worker,
        name: &seen.name,
        roles: match (seen.is_coordinator, seen.is_worker) {
            (true, true) => &["coordinator", "worker"],
            (true, false) => &["coordinator"],
            (false, true) => &["worker"],
            (false, false) => &[],
        },
        state: seen.state,
        since: seen.since,
        leads: seen.node.is_some() && seen.node == leader,
        gossip: seen.gossip,
        http: &seen.http,
        zone: &seen.zone,
        capacity: seen.capacity,
        load_permille: seen.load_permille,
        versions: seen.versions,
    }
}

/// `{"node":4,"address":"10.0.0.4:9101"}`
fn node_to_add(body: &[u8]) -> Result<(NodeId, Address), ApiError> {
    const HINT: &str = "send {\"node\":4,\"address\":\"10.0.0.4:9101\"}: its number, and where the \
                        others reach it";
    let fields = fields(body, &["node", "address"], HINT)?;
    let node = fields.get("node").and_then(Value::as_u64).filter(|node| *node > 0);
    let node = node.ok_or_else(|| wrong("`node` is not a number from 1 on", HINT))?;
    let address = fields.get("address").and_then(Value::as_str);
    let address = address.ok_or_else(|| wrong("`address` is not a text", HINT))?;
    let address = Address::parse(address).map_err(|error| wrong(error.to_string(), HINT))?;
    Ok((NodeId(node), address))
}

/// `{"to":2}`, or nothing.
fn leader_to_be(body: &[u8]) -> Result<Option<NodeId>, ApiError> {
    const HINT: &str = "send {\"to\":2} for a certain node, or no body for any";
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let fields = fields(body, &["to"], HINT)?;
    let Some(to) = fields.get("to") else { return Ok(None) };
    let node = to.as_u64().filter(|node| *node > 0);
    node.map(|node| Some(NodeId(node))).ok_or_else(|| wrong("`to` is not a number from 1 on", HINT))
}

fn fields(
    body: &[u8],
    known: &[&str],
    hint: &'static str,
) -> Result<serde_json::Map<String, Value>, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::new(Code::BadJson, error.to_string()).with_hint(hint))?;
    let Value::Object(fields) = value else {
        return Err(ApiError::new(Code::NotAnObject, "the body is no object").with_hint(hint));
    };
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(_) => Err(wrong(format!("the body has more fields than {}", known.join(", ")), hint)),
        None => Ok(fields),
    }
}

fn wrong(detail: impl Into<String>, hint: &'static str) -> ApiError {
    ApiError::new(Code::BadRequest, detail.into()).with_hint(hint)
}

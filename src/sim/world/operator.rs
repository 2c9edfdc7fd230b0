//! Somebody who looks after the group: a node whose data directory is lost, or cannot be read any
//! more, is removed and added again with its new one, and votes once it has caught up
//! (docs/OPERATING.md says how people do it).
//!
//! The operator asks any node who belongs to the group, does the one thing that is next, and looks
//! again, until the node votes with its new data directory. Answers may be lost, and outcomes unknown.

use super::World;
use super::asking::request;
use crate::marks::Mark;
use api::{Method, Request};
use base::{Instant, NodeId, Prng, StoreId};
use engine::RequestId;
use engine::founding::fingerprint;
use serde_json::Value;
use std::time::Duration;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// After a node is seen to vote the next data directory may be lost. Who is told of the change by its
/// answer may go on at once; who sees it in a list sees it a moment before a majority has written it.
const SETTLES: Duration = Duration::from_secs(2);
/// An answer that does not come in this time will not come: the node asked is gone, or has forgotten.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// The operator, and what is to be mended.
#[derive(Debug)]
pub(super) struct Operator {
    prng: Prng,
    /// The place of the node that has a new data directory.
    mending: Option<usize>,
    /// Since when it is seen to vote.
    mended_at: Option<Instant>,
    /// A request under way: its name, where, since when, and whether it asks who belongs to the group.
    asked: Option<(RequestId, usize, Instant, bool)>,
    next_look: Instant,
}

/// What is next.
enum Next {
    Remove,
    Add,
    Promote,
    Done,
}

impl Operator {
    pub(super) fn new(prng: Prng) -> Self {
        Self { prng, mending: None, mended_at: None, asked: None, next_look: Instant(1) }
    }

    /// Whether nothing is to be mended.
    pub(super) fn is_idle(&self) -> bool {
        self.mending.is_none()
    }

    /// The node at this place has a new data directory.
    pub(super) fn mend(&mut self, place: usize) {
        assert!(self.is_idle(), "one after the other, or no majority is left");
        self.mending = Some(place);
    }

    /// The node at this place is gone, and its answers.
    pub(super) fn on_lost(&mut self, place: usize) {
        self.asked.take_if(|(_, at, ..)| *at == place);
    }
}

fn next(shown: &Value, node: NodeId, store: StoreId) -> Next {
    let mut nodes = shown["nodes"].as_array().into_iter().flatten();
    let Some(found) = nodes.find(|found| found["node"] == node.0) else { return Next::Add };
    // What is shown names a data directory, and is not the id that speaks for it.
    if found["store_id"] != format!("{:016x}", fingerprint(store).0) {
        return Next::Remove;
    }
    if found["standing"] == "learner" { Next::Promote } else { Next::Done }
}

impl World {
    /// The operator does what is next, if it is time.
    pub(super) fn operate(&mut self) -> Result<(), String> {
        let Some(place) = self.operator.mending else { return Ok(()) };
        let now = self.instant;
        if let Some(since) = self.operator.mended_at {
            if now.since(since) > SETTLES {
                (self.operator.mending, self.operator.mended_at) = (None, None);
            }
            return Ok(());
        }
        self.operator.asked.take_if(|(_, _, since, _)| now.since(*since) > ANSWER_MAX);
        if self.operator.asked.is_some() || now < self.operator.next_look {
            return Ok(());
        }
        self.operator.next_look = now + LOOK_EVERY;
        let count = self.machines.len() as u64;
        let at = usize::try_from(self.operator.prng.below(count)).expect("few");
        if at == place || !self.machines[at].is_answering(now) {
            return Ok(());
        }
        self.demand(at, (Method::Get, "/api/v1/cluster/nodes"), "", true)
    }

    pub(super) fn demand(
        &mut self,
        at: usize,
        (method, path): (Method, &str),
        body: &str,
        is_look: bool,
    ) -> Result<(), String> {
        let id = self.clients.request();
        self.operator.asked = Some((id, at, self.instant, is_look));
        let request = Request { by: Some(b"the operator"), ..request(method, path, body) };
        self.transcript
            .say(self.instant, || format!("the operator asks {}: {path} {body}", at + 1));
        self.ask(at, id, &request)
    }

    /// An answer has come. Whether it was to the operator.
    pub(super) fn on_operators_answer(
        &mut self,
        request: RequestId,
        response: &api::Response,
    ) -> Result<bool, String> {
        let Some((_, at, _, is_look)) = self.operator.asked.take_if(|(id, ..)| *id == request)
        else {
            return Ok(false);
        };
        if !is_look || response.status != 200 {
            return Ok(true);
        }
        let Some(place) = self.operator.mending else { return Ok(true) };
        let shown: Value = serde_json::from_slice(&response.body)
            .map_err(|error| format!("the members are shown as no JSON: {error}"))?;
        let (node, store) = (self.machines[place].name, self.machines[place].store);
        let path = format!("/api/v1/cluster/nodes/{node}");
        match next(&shown, node, store) {
            Next::Remove => self.demand(at, (Method::Delete, &path), "", false)?,
            Next::Add => {
                let address = &self.machines[place].address;
                let body = format!("{{\"node\":{node},\"address\":\"{address}\"}}");
                self.demand(at, (Method::Post, "/api/v1/cluster/nodes"), &body, false)?;
            }
            Next::Promote => {
                self.demand(at, (Method::Post, &format!("{path}/promote")), "", false)?;
            }
            Next::Done => {
                self.operator.mended_at = Some(self.instant);
                self.report.marks.reach(Mark::Mended);
                self.transcript.say(self.instant, || format!("{node} votes again"));
            }
        }
        Ok(true)
    }

    /// A node loses its data directory, by an accident or because it cannot be read any more.
    pub(super) fn lose_disk(&mut self, place: usize) {
        self.end(place, true);
        self.machines[place].wipe();
        self.checker.on_wiped(self.machines[place].store);
        if !self.is_scripted {
            self.operator.mend(place);
        }
        let name = self.machines[place].name;
        self.transcript.say(self.instant, || format!("{name} has lost its data directory"));
    }
}

//! Nodes that are one cluster: founded, found out who leads, ended and started one by one, and held
//! against each other.

use crate::audit;
use crate::client::Connection;
use crate::endpoint::Endpoint;
use crate::load::Ledger;
use crate::server::{Place, Server, free_address, until};
use rustix::process::Signal;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How many cores a node of which place in the list has: nodes of one cluster need not be alike.
const CORES: [&str; 3] = ["0,1", "0", "1"];

/// A cluster. Its nodes are numbered from 1.
#[derive(Debug)]
pub(crate) struct Cluster {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    place: Place,
    server: Option<Server>,
    is_frozen: bool,
    /// It was removed from the group.
    has_left: bool,
}

impl Cluster {
    /// So many nodes with these settings, founded and ready.
    pub(crate) fn found(nodes: usize, settings: &[&str]) -> Self {
        let mut cluster = Self::of(places(nodes, settings));
        cluster.start_all();
        cluster.leader();
        cluster
    }

    /// Nodes at these places, none of which runs yet.
    pub(crate) fn of(places: Vec<Place>) -> Self {
        let mut cluster = Self { members: Vec::new() };
        for place in places {
            cluster.join(place);
        }
        cluster
    }

    /// One node more, with the next number.
    pub(crate) fn join(&mut self, place: Place) {
        self.members.push(Member { place, server: None, is_frozen: false, has_left: false });
    }

    /// A node is no member any more.
    pub(crate) fn leave(&mut self, node: u64) {
        self.member_mut(node).has_left = true;
    }

    /// Starts all that do not run, and waits until they are ready.
    pub(crate) fn start_all(&mut self) {
        let nodes = self.nodes().into_iter();
        let down: Vec<u64> = nodes.filter(|node| !self.is_running(*node)).collect();
        for node in &down {
            self.spawn(*node);
        }
        for node in down {
            self.server(node).ready();
        }
    }

    /// All members, running or not.
    pub(crate) fn nodes(&self) -> Vec<u64> {
        let numbered = (1..).zip(&self.members);
        numbered.filter(|(_, member)| !member.has_left).map(|(node, _)| node).collect()
    }

    /// Those that run and are not frozen.
    pub(crate) fn running(&self) -> Vec<u64> {
        let nodes = self.nodes().into_iter();
        nodes.filter(|node| self.is_running(*node) && !self.member(*node).is_frozen).collect()
    }

    /// All but one of those that run.
    pub(crate) fn others(&self, node: u64) -> Vec<u64> {
        self.running().into_iter().filter(|other| *other != node).collect()
    }

    fn is_running(&self, node: u64) -> bool {
        self.member(node).server.is_some()
    }

    fn member(&self, node: u64) -> &Member {
        &self.members[usize::try_from(node).unwrap() - 1]
    }

    fn member_mut(&mut self, node: u64) -> &mut Member {
        &mut self.members[usize::try_from(node).unwrap() - 1]
    }

    /// Where a node lives.
    pub(crate) fn place(&self, node: u64) -> &Place {
        &self.member(node).place
    }

    /// Where a node takes the links of the others.
    pub(crate) fn peer(&self, node: u64) -> SocketAddr {
        self.place(node).peer.expect("every member has one")
    }

    /// The process of a node that runs.
    pub(crate) fn server(&self, node: u64) -> &Server {
        let server = self.member(node).server.as_ref();
        server.unwrap_or_else(|| panic!("node {node} does not run"))
    }

    /// Where all serve HTTP, running or not.
    pub(crate) fn http(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| member.place.address).collect()
    }

    /// Starts a node.
    pub(crate) fn spawn(&mut self, node: u64) {
        assert!(!self.is_running(node), "node {node} runs");
        let cores = CORES[usize::try_from(node).unwrap() % CORES.len()];
        let server = self.member(node).place.spawn_on(cores);
        self.member_mut(node).server = Some(server);
    }

    /// The same, and waits until it is ready.
    pub(crate) fn start(&mut self, node: u64) {
        self.spawn(node);
        self.server(node).ready();
    }

    /// Takes a node's process, for the test to end.
    pub(crate) fn take(&mut self, node: u64) -> Server {
        self.member_mut(node).server.take().unwrap_or_else(|| panic!("node {node} does not run"))
    }

    /// SIGKILL: the process is gone when this returns.
    pub(crate) fn kill(&mut self, node: u64) {
        self.take(node).kill();
    }

    /// SIGSTOP: it does nothing, and whoever calls it hears nothing.
    pub(crate) fn freeze(&mut self, node: u64) {
        self.server(node).signal(Signal::STOP);
        self.member_mut(node).is_frozen = true;
    }

    /// SIGCONT.
    pub(crate) fn wake(&mut self, node: u64) {
        self.server(node).signal(Signal::CONT);
        self.member_mut(node).is_frozen = false;
    }

    /// What a node says of its cluster. It may lack time, or be about to die.
    pub(crate) fn status(&self, node: u64) -> Option<Value> {
        let mut connection = Connection::open(self.place(node).address).ok()?;
        let answer = connection.get("/api/v1/cluster/status").ok()?;
        (answer.status() == 200).then(|| answer.json())
    }

    /// Who leads, once all that run say the same.
    pub(crate) fn leader(&self) -> u64 {
        self.leader_of(&self.running())
    }

    /// Who leads, once all of these say the same and one of them leads.
    pub(crate) fn leader_of(&self, nodes: &[u64]) -> u64 {
        until("the nodes have a leader in common", || {
            let says: Option<Vec<Value>> = nodes.iter().map(|node| self.status(*node)).collect();
            let says = says?;
            let first = (&says[0]["leader"], &says[0]["term"]);
            let agree = says.iter().all(|status| (&status["leader"], &status["term"]) == first);
            let leader = first.0.as_u64().filter(|leader| nodes.contains(leader))?;
            let at = nodes.iter().position(|node| *node == leader)?;
            (agree && says[at]["role"] == "leader").then_some(leader)
        })
    }

    /// Sends one message to each of the nodes, over connections that are open already, and tells how
    /// long after `since` the first of them was accepted. Who refuses is asked again.
    pub(crate) fn first_commit(probes: Vec<Connection>, since: Instant) -> Duration {
        let (accepted, first) = std::sync::mpsc::channel();
        for mut probe in probes {
            let accepted = accepted.clone();
            std::thread::spawn(move || {
                loop {
                    let body = br#"{"kind":"probe"}"#;
                    // A node that is killed later ends its thread.
                    let Ok(answer) = probe.call("POST", "/api/v1/messages", &[], body) else {
                        return;
                    };
                    if answer.status() == 202 {
                        // The other was first.
                        let _first = accepted.send(since.elapsed());
                        return;
                    }
                    assert_eq!(answer.status(), 503, "{}", answer.text());
                    std::thread::yield_now();
                }
            });
        }
        drop(accepted);
        first.recv_timeout(Duration::from_mins(1)).expect("the others go on")
    }

    /// Every accepted message is on every node, once; no instance runs any more; and all nodes hold
    /// the same. All are up and nobody sends.
    pub(crate) fn audit(&self, ledger: &Ledger, endpoint: &Endpoint) {
        assert!(!ledger.accepted.is_empty(), "something was accepted");
        let nodes = self.nodes();
        for node in &nodes {
            audit::every_accepted_message_is_there(self.server(*node), ledger);
        }
        let last = self.server(nodes[nodes.len() - 1]);
        audit::every_instance_completes_once(last, ledger, endpoint);
        self.are_equal();
    }

    /// All members have the same state at one place of the log.
    fn are_equal(&self) {
        let nodes = self.nodes();
        let compared = until("all members have come to one place", || {
            let answer = self.server(nodes[0]).call("POST", "/api/v1/cluster/checksum", &[], "");
            let compared = answer.json_of(200);
            let has_all = |list: &Vec<Value>| list.iter().all(|node| node["missing"].is_null());
            compared["nodes"].as_array().is_some_and(has_all).then_some(compared)
        });
        assert_eq!(compared["equal"], true, "{compared}");
        assert_eq!(compared["nodes"].as_array().unwrap().len(), nodes.len(), "{compared}");
    }
}

/// Places for so many nodes that are to found a cluster.
pub(crate) fn places(nodes: usize, settings: &[&str]) -> Vec<Place> {
    founders((0..nodes).map(|_| Place::new(settings)).collect())
}

/// Makes places those of nodes that are to found a cluster.
pub(crate) fn founders(places: Vec<Place>) -> Vec<Place> {
    let peers = places.iter().map(|_| free_address()).collect();
    founders_at(places, peers)
}

/// The same with their addresses for each other.
pub(crate) fn founders_at(places: Vec<Place>, peers: Vec<SocketAddr>) -> Vec<Place> {
    let named: Vec<String> =
        (1..).zip(&peers).map(|(node, peer): (u64, _)| format!("{node}={peer}")).collect();
    let bootstrap = format!("bootstrap={}", named.join(","));
    let numbered = (1..).zip(places).zip(peers);
    let join = |((node, place), peer): ((u64, Place), SocketAddr)| {
        place.with(&format!("node={node}")).with_peer(peer).with(&bootstrap)
    };
    numbered.map(join).collect()
}

//! Networks of a test's own: each node has one, all of them meet at a bridge, and what one sends to
//! another can be lost. Clients, who sit at the bridge, reach every node all the time.

use crate::cluster::founders_at;
use crate::server::Place;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

/// Set in the process that has the networks.
const WITHIN: &str = "CLUSTER_NETWORKS";

/// Whether networks can be made here.
const PROBE: &str = "mount -t tmpfs tmpfs /run && ip netns add probe && \
     ip link add bridge type bridge && ip link add probe type veth peer name end netns probe";

/// Where nobody is.
const NOBODY: &str = "02:00:00:00:00:99";

/// Runs a test again in a process that may make networks, which end with it. False in the process
/// that has done so; the reason is printed where it cannot be.
pub(crate) fn is_within(test: &str) -> bool {
    if std::env::var_os(WITHIN).is_some() {
        return true;
    }
    // Root may do it by itself, others as the root of a user namespace, where that is allowed.
    let ways: [&[&str]; 2] =
        [&["--net", "--mount"], &["--user", "--map-root-user", "--net", "--mount"]];
    for way in ways {
        let probe = Command::new("unshare").args(way).args(["sh", "-c", PROBE]).output();
        match probe {
            Ok(probe) if probe.status.success() => {}
            Ok(probe) => {
                let reason = String::from_utf8_lossy(&probe.stderr);
                println!("unshare {}: {}", way.join(" "), reason.trim());
                continue;
            }
            Err(error) => {
                println!("unshare: {error}");
                continue;
            }
        }
        let own = std::env::current_exe().expect("a test knows its program");
        let ran = Command::new("unshare")
            .args(way)
            .arg(own)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(WITHIN, "1")
            .output()
            .expect("unshare is there, as it was tried");
        let said = String::from_utf8_lossy(&ran.stdout);
        print!("{said}");
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{test}, in networks of its own: {}\n{errors}", ran.status);
        assert!(said.contains("1 passed"), "{test} is this test's name");
        return false;
    }
    println!("skipped: it takes networks of its own, which this user cannot make here");
    false
}

/// The networks.
#[derive(Debug)]
pub(crate) struct Network {
    nodes: u8,
}

fn address(node: u64) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(node).expect("nodes are few"))
}

fn ip(arguments: &str) {
    let ran = Command::new("ip").args(arguments.split(' ')).output().expect("it was tried");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "ip {arguments}: {errors}");
}

impl Network {
    /// One for each of so many nodes.
    pub(crate) fn make(nodes: u8) -> Self {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]).status();
        assert!(mounted.is_ok_and(|status| status.success()), "it was tried");
        ip("link set lo up");
        ip("link add bridge type bridge");
        ip("addr add 10.77.0.254/24 dev bridge");
        ip("link set bridge up");
        for node in 1..=u64::from(nodes) {
            ip(&format!("netns add n{node}"));
            ip(&format!("link add v{node} type veth peer name end netns n{node}"));
            ip(&format!("link set v{node} master bridge up"));
            ip(&format!("-n n{node} addr add {}/24 dev end", address(node)));
            ip(&format!("-n n{node} link set end up"));
            ip(&format!("-n n{node} link set lo up"));
        }
        Self { nodes }
    }

    /// Places for nodes that are to found a cluster, each in its network.
    pub(crate) fn places(&self) -> Vec<Place> {
        let at = |node, port| SocketAddr::new(IpAddr::V4(address(node)), port);
        let nodes = 1..=u64::from(self.nodes);
        let place = |node: u64| {
            let within = ["ip", "netns", "exec", &format!("n{node}")].map(str::to_owned);
            let mut place = Place::new(&["allow_remote=true"]).within(&within);
            (place.address, place.tcp) = (at(node, 8080), at(node, 8081));
            place
        };
        let peers = nodes.clone().map(|node| at(node, 9101)).collect();
        founders_at(nodes.map(place).collect(), peers)
    }

    /// From now on nothing that the one sends arrives at the other; its own end does not notice.
    pub(crate) fn cut(&self, from: u64, to: u64) {
        assert!(from.max(to) <= u64::from(self.nodes), "nodes {from} and {to} have networks");
        let to = address(to);
        ip(&format!("-n n{from} neigh replace {to} lladdr {NOBODY} nud permanent dev end"));
    }

    /// The same in both directions.
    pub(crate) fn part(&self, one: u64, other: u64) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Everything arrives again.
    pub(crate) fn heal(&self) {
        for from in 1..=u64::from(self.nodes) {
            ip(&format!("-n n{from} neigh flush all nud permanent dev end"));
        }
    }
}

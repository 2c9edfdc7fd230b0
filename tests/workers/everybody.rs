//! Who is there, by gossip: as any coordinator tells it.

use crate::crew::{Crew, THREADS};
use crate::server::{Server, free_address, until};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const NODES: &str = "/api/v1/cluster/nodes";

fn everybody(server: &Server, path: &str) -> Vec<Value> {
    server.read(path)["members"].as_array().expect("the node takes gossip").clone()
}

/// Waits until the node says of the member that takes HTTP there that it is in this state.
fn is(server: &Server, http: &str, state: &str) -> Value {
    until(state, || {
        let members = everybody(server, NODES);
        members.into_iter().find(|member| member["http"] == http && member["state"] == state)
    })
}

#[test]
fn any_coordinator_tells_who_is_there_who_failed_and_who_left() {
    let Some(mut crew) = Crew::found(1) else { return };
    let mut workers = crew.hire_all(2);
    let [first, second] = [0, 1].map(|at| workers[at].address.to_string());
    let server = crew.server();
    let worker = is(server, &first, "alive");
    let expected = json!({
        "node": null, "worker": worker["worker"], "name": worker["name"], "roles": ["worker"],
        "state": "alive", "since": worker["since"], "leader": false, "gossip": worker["gossip"],
        "http": first, "zone": "", "capacity": worker["capacity"],
        "load_permille": worker["load_permille"], "versions": [1, 1],
    });
    assert_eq!(worker, expected);
    // After its directory, and the machine.
    assert!(worker["name"].as_str().unwrap().starts_with("w1@"), "{worker}");
    // Of both plugins together.
    assert_eq!(worker["capacity"], THREADS + 1);
    let ids: Vec<Value> = (server.read("/api/v1/workers")["workers"].as_array().unwrap().iter())
        .map(|worker| worker["worker"].clone())
        .collect();
    assert!(ids.contains(&worker["worker"]), "{ids:?} has not {worker}");
    let coordinator = is(server, &server.address.to_string(), "alive");
    let what = (&coordinator["node"], &coordinator["leader"], &coordinator["roles"]);
    assert_eq!(what, (&json!(1), &json!(true), &json!(["coordinator"])));
    assert_eq!(coordinator["worker"], Value::Null);
    is(server, &second, "alive");
    workers.remove(0).kill();
    let leaver = workers.remove(0);
    leaver.terminate();
    assert!(leaver.ended().0.success());
    is(server, &first, "failed");
    is(server, &second, "left");
    assert_eq!(everybody(server, "/api/v1/cluster/status").len(), 3, "the status has them, too");
    let back = crew.start(1, &[]);
    is(server, &back.address.to_string(), "alive");
    assert_eq!(everybody(server, NODES).len(), 3, "it has its old identity");
}

#[test]
fn a_coordinator_that_runs_tasks_is_doubted_as_the_worker_that_it_runs() {
    // The lease is not to be over before gossip has said anything.
    let own = ["role=both", "worker_lease=60s"];
    let Some(mut crew) = Crew::found_with(3, &own) else { return };
    let leader = crew.cluster.leader();
    let other = crew.cluster.others(leader)[0];
    let http = crew.cluster.server(other).address.to_string();
    let member = is(crew.cluster.server(leader), &http, "alive");
    assert_eq!(member["roles"], json!(["coordinator", "worker"]));
    let id = member["worker"].as_str().expect("it says which worker it runs").to_owned();
    let suspected = |crew: &Crew, is: bool| {
        until("the leader's opinion of the worker", || {
            let told = crew.cluster.server(leader).read("/api/v1/workers");
            let told = told["workers"].as_array().unwrap().iter();
            told.filter(|worker| worker["worker"] == id)
                .any(|it| it["suspected"] == is)
                .then_some(())
        });
    };
    suspected(&crew, false);
    // Frozen, it keeps its connections: only gossip sees that it does not answer.
    crew.cluster.freeze(other);
    suspected(&crew, true);
    crew.cluster.wake(other);
    suspected(&crew, false);
    crew.cluster.kill(other);
    suspected(&crew, true);
    crew.cluster.start(other);
    suspected(&crew, false);
}

#[test]
fn a_node_tells_the_others_how_busy_its_machine_is() {
    let Some(mut crew) = Crew::found(1) else { return };
    let _workers = crew.hire_all(1);
    let is_over = AtomicBool::new(false);
    let half = thread::available_parallelism().unwrap().get().div_ceil(2);
    thread::scope(|scope| {
        for _ in 0..half {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        until("all say that they are busy", || {
            let members = everybody(crew.server(), NODES);
            let busy = |member: &Value| member["load_permille"].as_u64().unwrap() >= 200;
            (members.len() == 2 && members.iter().all(busy)).then_some(())
        });
        is_over.store(true, Ordering::Relaxed);
    });
}

/// A group that nothing else on this machine uses; none where the loopback interface carries none.
fn free_group() -> Option<SocketAddr> {
    let free = free_address();
    let IpAddr::V4(ip) = free.ip() else { unreachable!("loopback addresses here are IPv4") };
    let [_, two, three, four] = ip.octets();
    let group = Ipv4Addr::new(239, two, three, four);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let joined = socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
    match joined.and_then(|()| socket.send_to(b"", (group, free.port()))) {
        Ok(_) => Some(SocketAddr::from((group, free.port()))),
        Err(error) => {
            println!("skipped: no multicast over loopback: {error}");
            None
        }
    }
}

#[test]
fn a_worker_that_was_told_nobodys_name_finds_its_cluster_by_the_group() {
    let Some(group) = free_group() else { return };
    let group = format!("gossip_multicast={group}");
    let own = ["role=coordinator", "join=off", &group];
    let Some(crew) = Crew::found_with(1, &own) else { return };
    let gossip = format!("gossip={}", free_address());
    let worker = crew.start(1, &["join=off", &group, &gossip]);
    crate::crew::is_registered(&worker);
    is(crew.server(), &worker.address.to_string(), "alive");
}

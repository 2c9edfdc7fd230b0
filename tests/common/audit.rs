//! What a node holds, held against what clients were told.

use crate::client::{Connection, request};
use crate::endpoint::Endpoint;
use crate::load::{Accepted, Ledger};
use crate::server::{Server, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;

/// Requests sent ahead of their answers.
const AHEAD: usize = 64;

/// Connections over which many things are read.
const CONNECTIONS: usize = 32;

/// How tasks end.
const ENDS: [&str; 5] = ["completed", "failed", "timeout", "cancelled", "skipped"];

/// Every accepted message is there under its id, as it was sent.
pub(crate) fn every_accepted_message_is_there(server: &Server, ledger: &Ledger) {
    let (nonces, accepted): (Vec<u64>, Vec<&Accepted>) = ledger.accepted.iter().unzip();
    let ids: Vec<&str> = accepted.iter().map(|accepted| accepted.id.as_str()).collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), ids.len(), "two messages never share an id");
    let mut found = messages(server, &ids).into_iter();
    for (nonce, accepted) in nonces.iter().zip(accepted) {
        let message = found.next().expect("one for each id");
        let what = format!("message {nonce} was accepted as {accepted:?}, and is {message}");
        assert_eq!(message["message_id"], *accepted.id, "{what}");
        assert_eq!(message["message"]["nonce"], *nonce, "{what}");
        assert_eq!(message["message"]["kind"], *accepted.kind, "{what}");
        assert_eq!(message["idempotency_key"].as_str(), accepted.key.as_deref(), "{what}");
    }
}

/// Every accepted message has started its workflow once, nothing else has, and all instances
/// complete with one result for each task.
pub(crate) fn every_instance_completes_once(server: &Server, ledger: &Ledger, endpoint: &Endpoint) {
    until("no instance is running", || {
        let running = server.read("/api/v1/workflows?status=running&limit=1");
        running["workflows"].as_array().expect("a list").is_empty().then_some(())
    });
    let instances = all_instances(server);
    let of_message = |instance: &Value| instance["message_id"].as_str().expect("an id").to_owned();
    let mut by_message: BTreeMap<String, &Value> = BTreeMap::new();
    for instance in &instances {
        assert_eq!(instance["status"], "completed", "{instance}");
        let twice = by_message.insert(of_message(instance), instance);
        assert_eq!(twice, None, "one rule matched, so there is one instance: {instance}");
    }
    for (nonce, accepted) in &ledger.accepted {
        let workflow = by_message.remove(&accepted.id).map(|instance| &instance["workflow"]);
        let expected = Some(Value::from(accepted.kind)).filter(|_| accepted.kind != "none");
        assert_eq!(workflow, expected.as_ref(), "message {nonce}: {accepted:?}");
    }
    // What is left belongs to messages whose answers were lost.
    let left: Vec<&str> = by_message.keys().map(String::as_str).collect();
    let mut nonces = BTreeSet::new();
    for message in messages(server, &left) {
        let nonce = message["message"]["nonce"].as_u64().expect("a number");
        assert!(ledger.unknown.contains(&nonce), "nobody waits for {message}");
        assert!(nonces.insert(nonce), "it was sent once, and is there twice: {message}");
    }
    every_task_has_one_result(server, &instances, endpoint);
}

fn every_task_has_one_result(server: &Server, instances: &[Value], endpoint: &Endpoint) {
    let ids: Vec<&str> = instances.iter().map(|i| i["instance"].as_str().expect("an id")).collect();
    let calls = endpoint.calls();
    let mut called: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (serial, call) in calls.iter().enumerate() {
        called.entry(&call.key).or_default().push(serial);
    }
    for instance in get_all(server, "/api/v1/workflows/", &ids) {
        for task in instance["tasks"].as_array().expect("a list") {
            assert_eq!(task["status"], "completed", "{instance}");
            let of_task = |step: &&Value| step["task"] == task["id"];
            let history = instance["history"].as_array().expect("a list").iter();
            let ends = history
                .filter(of_task)
                .filter(|step| ENDS.iter().any(|&end| step["status"] == end));
            assert_eq!(ends.count(), 1, "one result: {} of {instance}", task["id"]);
            if task["type"] == "http" {
                let key = format!("{}/ask", instance["instance"].as_str().expect("an id"));
                let serials = called.remove(key.as_str()).unwrap_or_default();
                let serial = task["output"]["body"]["serial"].as_u64();
                let is_an_answer = serials.iter().any(|given| Some(*given as u64) == serial);
                assert!(is_an_answer, "{key} was called as {serials:?}, and has {task}");
                for serial in serials {
                    assert_eq!(calls[serial].body, task["input"]["body"], "{key} is called alike");
                }
            }
        }
    }
    assert_eq!(called, BTreeMap::new(), "whoever was called, was called by an instance");
}

/// What a node says of all instances that it holds.
pub(crate) fn all_instances(server: &Server) -> Vec<Value> {
    let mut all = Vec::new();
    let mut path = "/api/v1/workflows?limit=1000".to_owned();
    loop {
        let mut page = server.read(&path);
        all.append(page["workflows"].as_array_mut().expect("a list"));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/workflows?limit=1000&after={next}"),
            None => return all,
        }
    }
}

fn messages(server: &Server, ids: &[&str]) -> Vec<Value> {
    get_all(server, "/api/v1/messages/", ids)
}

/// Reads many things by their ids; all must be there. Over several connections: a node answers one
/// after the other on each, and asks its peers for all of them at once.
fn get_all(server: &Server, path: &str, ids: &[&str]) -> Vec<Value> {
    let share = ids.len().div_ceil(CONNECTIONS).max(1);
    thread::scope(|scope| {
        let read = |ids| scope.spawn(move || get_in_turn(server, path, ids));
        let readers: Vec<_> = ids.chunks(share).map(read).collect();
        let found = readers.into_iter().map(|reader| match reader.join() {
            Ok(found) => found,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        found.flatten().collect()
    })
}

fn get_in_turn(server: &Server, path: &str, ids: &[&str]) -> Vec<Value> {
    let mut connection: Connection = server.connect();
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(AHEAD) {
        let ask = |id: &&str| request("GET", &format!("{path}{id}"), &[], b"");
        let requests: Vec<u8> = ids.iter().flat_map(ask).collect();
        connection.send(&requests).expect("the node serves");
        for id in ids {
            let answer = connection.answer().expect("the node serves");
            found.push(match answer.status() {
                // An election on a busy machine: it is asked again.
                503 => server.read(&format!("{path}{id}")),
                _ => answer.json_of(200),
            });
        }
    }
    found
}

//! Workers in the world of several coordinators: what is given to one, moves when it is lost, and is
//! recorded once, whoever leads.

mod configs;
mod leases;
mod links;
mod shown;

use super::FAR;
use super::world::{LEASE_MS, World};
use crate::record::{Change, Ended, Failed};
use crate::shard::OrderId;
use crate::workers::{FromWorker, PluginInfo, Refusal, Run, ToWorker, WorkerLink};
use base::{BootId, NodeId, StoreId, WorkerId};
use std::collections::{BTreeMap, VecDeque};

const RULE: &str = r#"{"id":"r","version":1,"conditions":[{"field":"k","op":"exists"}],"actions":[{"workflow":"w"}]}"#;

/// A cluster of three with a workflow of one task.
fn world_with(task: &str) -> World {
    let workflow = format!(r#"{{"id":"w","version":1,"tasks":[{{"id":"a",{task}}}]}}"#);
    let catalogue = vec![Change::PutDefinition(workflow), Change::PutRule(RULE.into())];
    let mut world = World::born_with(3, FAR, catalogue);
    world.until("all nodes serve", World::all_serve);
    world
}

const TASK: &str = r#""type":"check","config":{"limit":3},"with":{"k":"${ input.k }"}"#;

/// A worker as far as its link goes: it keeps results until they are recorded, and knows what runs.
struct Worker {
    id: WorkerId,
    boot: u64,
    capacity: u32,
    plugins: Vec<&'static str>,
    link: Option<(NodeId, WorkerLink)>,
    registered: bool,
    runs: BTreeMap<OrderId, Run>,
    ended: BTreeMap<OrderId, FromWorker>,
    /// Whatever it was told, but renewals.
    heard: VecDeque<ToWorker>,
    renewed: u64,
    number: u64,
    /// It renews its lease by itself.
    renews: bool,
    /// It looks for the leader by itself.
    seeks: bool,
}

impl Worker {
    fn new(number: u64, capacity: u32) -> Self {
        Self {
            id: WorkerId::of(StoreId(number)),
            boot: 1,
            capacity,
            plugins: vec!["check"],
            link: None,
            registered: false,
            runs: BTreeMap::new(),
            ended: BTreeMap::new(),
            heard: VecDeque::new(),
            renewed: 0,
            number: 0,
            renews: true,
            seeks: false,
        }
    }

    /// It has a connection to a node, its first words on it said.
    fn connect(&mut self, world: &mut World, node: NodeId) {
        self.cut(world);
        self.number = 0;
        let link = WorkerLink(self.id.0.wrapping_mul(1 << 32) + world.now.instant.0 / 1_000_000);
        self.link = Some((node, link));
        (self.registered, self.seeks) = (false, true);
        let register = self.register();
        world.worker_says(node, link, register);
    }

    fn cut(&mut self, world: &mut World) {
        self.seeks = false;
        if let Some((node, link)) = self.link.take() {
            world.worker_gone(node, link);
        }
    }

    fn register(&self) -> FromWorker {
        let plugin =
            |name: &&str| PluginInfo { name: (*name).to_owned(), version: "1.0".into(), abi: 1 };
        FromWorker::Register {
            worker: self.id,
            boot: BootId(self.boot),
            name: format!("worker-{}", self.id.0 & 0xff),
            address: String::new(),
            capacity: self.capacity,
            plugins: self.plugins.iter().map(plugin).collect(),
            zone: String::new(),
        }
    }

    fn say(&self, world: &mut World, message: FromWorker) {
        let (node, link) = self.link.expect("it is connected");
        world.worker_says(node, link, message);
    }

    fn renew(&mut self, world: &mut World) {
        self.number += 1;
        let (boot, number) = (BootId(self.boot), self.number);
        let running = u32::try_from(self.runs.len()).unwrap();
        let renew = FromWorker::Renew { boot, number, running, cpu_permille: 0, memory_bytes: 0 };
        self.say(world, renew);
    }

    /// Takes in what it was told.
    fn hear(&mut self, world: &mut World) {
        let Some((node, link)) = self.link else { return };
        for message in world.heard(node, link) {
            match &message {
                ToWorker::Registered { boot, lease_ms } => {
                    assert_eq!((boot.0, *lease_ms), (self.boot, LEASE_MS));
                    self.registered = true;
                    for said in self.ended.clone().into_values() {
                        self.say(world, said);
                    }
                }
                ToWorker::Run(run) => {
                    assert_eq!(run.boot.0, self.boot);
                    let running = self.runs.contains_key(&run.order);
                    if !running && !self.ended.contains_key(&run.order) {
                        self.runs.insert(run.order, (**run).clone());
                        assert!(self.runs.len() <= self.capacity as usize, "no more than it can");
                    }
                    self.say(world, FromWorker::Accepted { order: run.order });
                }
                ToWorker::Recorded { order } => {
                    self.ended.remove(order);
                }
                ToWorker::Renewed { number } => self.renewed = *number,
                ToWorker::NotTaken { .. } => (self.link, self.registered) = (None, false),
                ToWorker::Lost { .. } => {
                    self.runs.clear();
                    self.ended.clear();
                    self.registered = false;
                }
                _ => {}
            }
            if !matches!(message, ToWorker::Renewed { .. }) {
                self.heard.push_back(message);
            }
        }
    }

    /// What it runs, the first of it.
    fn running(&self) -> OrderId {
        *self.runs.keys().next().expect("it runs something")
    }

    fn ends(&mut self, world: &mut World, order: OrderId, ended: Ended) {
        self.runs.remove(&order).expect("it runs that");
        let said = FromWorker::Ended { order, ended };
        self.ended.insert(order, said.clone());
        self.say(world, said);
    }

    fn is_told(&mut self, what: impl Fn(&ToWorker) -> bool) -> bool {
        while let Some(message) = self.heard.pop_front() {
            if what(&message) {
                return true;
            }
        }
        false
    }
}

fn output(json: &str) -> Ended {
    Ended::Output(json.as_bytes().to_vec())
}

/// Time goes by until something holds; workers hear, and renew what they have.
fn until(
    world: &mut World,
    workers: &mut [&mut Worker],
    what: &str,
    done: impl Fn(&World, &[&mut Worker]) -> bool,
) {
    for ms in 0..20_000_u64 {
        for worker in &mut *workers {
            worker.hear(world);
            if worker.link.is_none()
                && ms % 20 == 0
                && worker.seeks
                && let Some(leader) = world.leader()
            {
                worker.connect(world, leader);
            }
            if ms % 500 == 0 && worker.renews && worker.registered && worker.link.is_some() {
                worker.renew(world);
            }
        }
        if done(world, workers) {
            return;
        }
        world.tick();
    }
    panic!("not within 20 s: {what}");
}

fn pass(world: &mut World, workers: &mut [&mut Worker], ms: u64) {
    let end = world.now.instant.0 + ms * 1_000_000;
    until(world, workers, "time", |world, _| world.now.instant.0 >= end);
}

/// What a node says of the only run there is.
fn shown(world: &mut World) -> String {
    let node = world.follower();
    let (status, list) = world.answered(node, 1, "/api/v1/workflows?limit=1");
    assert_eq!(status, 200, "{list}");
    let (_, rest) = list.split_once("\"instance\":\"").expect("there is a run");
    let id = rest.split_once('"').unwrap().0.to_owned();
    world.answered(node, 1, &format!("/api/v1/workflows/{id}")).1
}

fn joined(world: &mut World, worker: &mut Worker) {
    let leader = world.leader().unwrap();
    worker.connect(world, leader);
    until(world, &mut [worker], "it is registered", |_, workers| workers[0].registered);
}

fn runs(world: &mut World, worker: &mut Worker) {
    until(world, &mut [worker], "it runs something", |_, workers| !workers[0].runs.is_empty());
}

/// A cluster with one worker of such a capacity, which runs the cluster's only task.
fn busy(task: &str, capacity: u32) -> (World, Worker, OrderId) {
    let mut world = world_with(task);
    let mut worker = Worker::new(1, capacity);
    joined(&mut world, &mut worker);
    let node = world.follower();
    world.accepted(node, None, r#"{"k":1}"#);
    runs(&mut world, &mut worker);
    let order = worker.running();
    (world, worker, order)
}

#[test]
fn a_task_of_a_plugin_is_given_to_a_worker_and_its_result_is_recorded() {
    let (mut world, mut worker, order) = busy(TASK, 2);
    let run = worker.runs[&order].clone();
    assert_eq!((run.plugin.as_str(), &run.config[..]), ("check", &br#"{"limit":3}"#[..]));
    assert_eq!((run.workflow.as_str(), run.task.as_str()), ("w", "a"));
    assert_eq!((&run.input[..], run.timeout_ms), (&br#"{"k":1}"#[..], 0));
    assert_eq!(run.idempotency_key, format!("{}/a", order.instance));
    worker.ends(&mut world, order, output(r#"{"fine":true}"#));
    until(&mut world, &mut [&mut worker], "it is recorded", |_, workers| {
        workers[0].ended.is_empty()
    });
    let shown = shown(&mut world);
    assert!(shown.contains(r#""status":"completed""#), "{shown}");
    assert!(shown.contains(r#""output":{"fine":true}"#), "{shown}");
    // What it says again is not wanted, and it is told so.
    worker.say(&mut world, FromWorker::Ended { order, ended: output("1") });
    pass(&mut world, &mut [&mut worker], 50);
    let again = |message: &ToWorker| *message == ToWorker::Recorded { order };
    assert!(worker.is_told(again) && worker.is_told(again), "once for each");
    world.settle();
}

#[test]
fn what_a_lost_worker_had_goes_to_another_and_its_late_result_is_not_recorded() {
    let mut world = world_with(TASK);
    let (mut first, mut second) = (Worker::new(1, 1), Worker::new(2, 1));
    joined(&mut world, &mut first);
    let node = world.follower();
    world.accepted(node, None, r#"{"k":1}"#);
    runs(&mut world, &mut first);
    let order = first.running();
    joined(&mut world, &mut second);
    // A link that breaks loses nobody.
    first.cut(&mut world);
    pass(&mut world, &mut [&mut second], u64::from(LEASE_MS) / 2);
    assert!(second.runs.is_empty());
    let lost = |worker: &Worker| !worker.runs.is_empty();
    until(&mut world, &mut [&mut second], "it moves", |_, workers| lost(workers[0]));
    let moved = second.running();
    assert_eq!(moved, OrderId { attempt: 2, ..order });
    // The first one is back, with a result.
    first.runs.remove(&order);
    first.ended.insert(order, FromWorker::Ended { order, ended: output("1") });
    let leader = world.leader().unwrap();
    first.connect(&mut world, leader);
    until(&mut world, &mut [&mut first, &mut second], "it is told", |_, workers| {
        workers[0].heard.contains(&ToWorker::Lost { boot: BootId(1) })
    });
    first.boot = 2;
    joined(&mut world, &mut first);
    first.say(&mut world, FromWorker::Ended { order, ended: output("1") });
    second.ends(&mut world, moved, output("2"));
    until(&mut world, &mut [&mut first, &mut second], "it is recorded", |_, workers| {
        workers[1].ended.is_empty()
    });
    let shown = shown(&mut world);
    assert!(shown.contains(r#""output":2"#) && shown.contains(r#""losses":1"#), "{shown}");
    world.settle();
}

#[test]
fn another_run_of_a_worker_means_that_the_one_before_is_lost() {
    let (mut world, mut worker, order) = busy(TASK, 1);
    worker.boot = 2;
    worker.runs.clear();
    joined(&mut world, &mut worker);
    runs(&mut world, &mut worker);
    assert_eq!(worker.running(), OrderId { attempt: 2, ..order });
    // The run that is over comes back and is refused.
    let mut ghost = Worker::new(1, 1);
    let leader = world.leader().unwrap();
    ghost.connect(&mut world, leader);
    pass(&mut world, &mut [&mut ghost], 50);
    assert!(ghost.is_told(|message| matches!(message, ToWorker::NotTaken { .. })));
    world.settle();
}

#[test]
fn a_new_leader_goes_on_with_what_workers_have() {
    let mut world = world_with(TASK);
    let (mut first, mut second) = (Worker::new(1, 1), Worker::new(2, 1));
    joined(&mut world, &mut first);
    joined(&mut world, &mut second);
    let node = world.follower();
    for k in 0..3 {
        world.accepted(node, None, &format!(r#"{{"k":{k}}}"#));
    }
    let both = &mut [&mut first, &mut second];
    until(&mut world, both, "both run", |_, w| w.iter().all(|w| !w.runs.is_empty()));
    let (of_first, of_second) = (first.running(), second.running());
    let old = world.leader().unwrap();
    world.kill(old);
    for worker in [&mut first, &mut second] {
        (worker.link, worker.seeks) = (None, false);
    }
    // While nobody leads, one of them comes to its end.
    first.runs.remove(&of_first);
    let said = FromWorker::Ended { order: of_first, ended: output("1") };
    first.ended.insert(of_first, said);
    world.until("another leads", |world| world.leader().is_some_and(|id| id != old));
    let leader = world.leader().unwrap();
    first.connect(&mut world, leader);
    second.connect(&mut world, leader);
    until(&mut world, &mut [&mut first, &mut second], "the third has its turn", |_, workers| {
        workers[0].ended.is_empty() && !workers[0].runs.is_empty()
    });
    assert_eq!(second.running(), of_second, "it runs on, as the same attempt");
    let third = first.running();
    assert_eq!(third.attempt, 1);
    first.ends(&mut world, third, output("3"));
    second.ends(&mut world, of_second, output("2"));
    until(&mut world, &mut [&mut first, &mut second], "all is recorded", |_, workers| {
        workers.iter().all(|worker| worker.ended.is_empty())
    });
    let (_, list) = world.answered(leader, 0, "/api/v1/workflows?status=completed");
    assert_eq!(list.matches("\"instance\"").count(), 3, "{list}");
    world.start(old);
    world.until("all serve", World::all_serve);
    world.settle();
}

#[test]
fn a_new_leader_waits_a_whole_lease_before_it_declares_anyone_lost() {
    let (mut world, mut worker, order) = busy(TASK, 1);
    // Half of its lease is over when the leader dies.
    worker.renews = false;
    pass(&mut world, &mut [&mut worker], u64::from(LEASE_MS) / 2);
    let old = world.leader().unwrap();
    world.kill(old);
    (worker.link, worker.seeks) = (None, false);
    world.until("another leads", |world| world.leader().is_some_and(|id| id != old));
    let mut other = Worker::new(2, 1);
    joined(&mut world, &mut other);
    pass(&mut world, &mut [&mut other], u64::from(LEASE_MS) - 300);
    assert!(other.runs.is_empty(), "the lease may have been renewed by the one before");
    runs(&mut world, &mut other);
    assert_eq!(other.running(), OrderId { attempt: 2, ..order });
    world.start(old);
    world.until("all serve", World::all_serve);
    world.settle();
}

#[test]
fn a_leader_that_is_cut_off_renews_no_lease() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    worker.renews = false;
    worker.renew(&mut world);
    pass(&mut world, &mut [&mut worker], 50);
    assert_eq!(worker.renewed, 1);
    let old = world.leader().unwrap();
    world.isolate(old, true);
    worker.renew(&mut world);
    world.until("another leads", |world| world.leader().is_some_and(|id| id != old));
    worker.renew(&mut world);
    pass(&mut world, &mut [&mut worker], 2_000);
    assert_eq!(worker.renewed, 1, "it may be renewed by the leader alone");
    world.isolate(old, false);
    pass(&mut world, &mut [&mut worker], 500);
    assert!(worker.is_told(|message| matches!(message, ToWorker::NotTaken { .. })));
    world.settle();
}

#[test]
fn what_a_worker_refuses_goes_elsewhere_and_is_charged_to_nobody() {
    let mut world = world_with(TASK);
    let (mut first, mut second) = (Worker::new(1, 1), Worker::new(2, 1));
    joined(&mut world, &mut first);
    let node = world.follower();
    world.accepted(node, None, r#"{"k":1}"#);
    runs(&mut world, &mut first);
    let order = first.running();
    joined(&mut world, &mut second);
    first.runs.clear();
    first.say(&mut world, FromWorker::Refused { order, why: Refusal::Full });
    runs(&mut world, &mut second);
    let moved = second.running();
    assert_eq!(moved, OrderId { attempt: 2, ..order });
    let failed = Failed { code: "no".into(), message: "it said".into(), retryable: true };
    second.ends(&mut world, moved, Ended::Failed(failed));
    until(&mut world, &mut [&mut second], "it is recorded", |_, w| w[0].ended.is_empty());
    let shown = shown(&mut world);
    assert!(shown.contains(r#""status":"failed""#) && !shown.contains("losses"), "{shown}");
    world.settle();
}

#[test]
fn after_a_timeout_the_next_attempt_waits_until_the_worker_has_stopped_the_last() {
    let task =
        r#""type":"check","timeout":"500ms","retry":{"max":1,"jitter":"none","first":"1ms"}"#;
    let (mut world, mut worker, order) = busy(task, 1);
    assert_eq!(worker.runs[&order].timeout_ms, 500);
    let stop = ToWorker::Stop { order };
    until(&mut world, &mut [&mut worker], "it is to stop", |_, w| w[0].heard.contains(&stop));
    pass(&mut world, &mut [&mut worker], 300);
    assert_eq!(worker.running(), order, "nothing else is given out before");
    worker.runs.clear();
    worker.say(&mut world, FromWorker::Stopped { order });
    runs(&mut world, &mut worker);
    assert_eq!(worker.running(), OrderId { attempt: 2, ..order });
    // The stop is said again over a new connection, while it is not confirmed.
    until(&mut world, &mut [&mut worker], "it is to stop", |_, w| {
        w[0].heard.iter().filter(|m| matches!(m, ToWorker::Stop { .. })).count() == 2
    });
    worker.heard.clear();
    let leader = world.leader().unwrap();
    worker.connect(&mut world, leader);
    let order = worker.running();
    let stop = ToWorker::Stop { order };
    until(&mut world, &mut [&mut worker], "it is said again", |_, w| w[0].heard.contains(&stop));
    worker.say(&mut world, FromWorker::Stopped { order });
    let recorded = ToWorker::Recorded { order };
    until(&mut world, &mut [&mut worker], "it is over", |_, w| w[0].heard.contains(&recorded));
    let shown = shown(&mut world);
    assert!(shown.contains(r#""status":"failed""#), "{shown}");
    world.settle();
}

#[test]
fn what_is_not_wanted_any_more_is_stopped_and_keeps_its_place_until_then() {
    let (mut world, mut worker, order) = busy(TASK, 1);
    let node = world.follower();
    world.accepted(node, None, r#"{"k":2}"#);
    let path = format!("/api/v1/workflows/{}/cancel", order.instance);
    let (status, text) = world.demanded(node, (api::Method::Post, &path), "");
    assert_eq!(status, 200, "{text}");
    let stop = ToWorker::Stop { order };
    until(&mut world, &mut [&mut worker], "it is to stop", |_, w| w[0].heard.contains(&stop));
    pass(&mut world, &mut [&mut worker], 300);
    assert_eq!(worker.runs.len(), 1, "its place is taken until it has stopped");
    worker.runs.clear();
    worker.say(&mut world, FromWorker::Stopped { order });
    runs(&mut world, &mut worker);
    assert_ne!(worker.running().instance, order.instance);
    world.settle();
}

#[test]
fn a_worker_that_leaves_gets_nothing_more_and_goes_when_it_has_nothing() {
    let (mut world, mut worker, order) = busy(TASK, 2);
    let node = world.follower();
    worker.say(&mut world, FromWorker::Drain { on: true });
    world.accepted(node, None, r#"{"k":2}"#);
    pass(&mut world, &mut [&mut worker], 300);
    assert_eq!(worker.runs.len(), 1, "it gets nothing more");
    worker.ends(&mut world, order, output("1"));
    until(&mut world, &mut [&mut worker], "it is recorded", |_, w| w[0].ended.is_empty());
    worker.say(&mut world, FromWorker::Leave { boot: BootId(1) });
    let left = |_: &World, w: &[&mut Worker]| w[0].heard.contains(&ToWorker::Left);
    until(&mut world, &mut [&mut worker], "it may go", left);
    worker.cut(&mut world);
    // Its next run takes what was waiting.
    worker.boot = 2;
    joined(&mut world, &mut worker);
    runs(&mut world, &mut worker);
    assert_eq!(worker.running().attempt, 1, "what it had when it left was nothing");
    world.settle();
}

#[test]
fn a_worker_that_gossip_doubts_gets_nothing_new() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    let leader = world.leader().unwrap();
    world.suspect(leader, worker.id, true);
    world.accepted(leader, None, r#"{"k":1}"#);
    pass(&mut world, &mut [&mut worker], 300);
    assert!(worker.runs.is_empty());
    world.suspect(leader, worker.id, false);
    runs(&mut world, &mut worker);
}

#[test]
fn who_does_not_lead_takes_no_workers() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 1);
    let follower = world.follower();
    worker.connect(&mut world, follower);
    worker.hear(&mut world);
    assert!(worker.is_told(|message| matches!(message, ToWorker::NotTaken { .. })));
}

#[test]
fn tasks_wait_while_all_workers_are_gone_and_survive_every_restart() {
    let mut world = world_with(TASK);
    let node = world.follower();
    for k in 0..4 {
        world.accepted(node, None, &format!(r#"{{"k":{k}}}"#));
    }
    let mut worker = Worker::new(1, 8);
    joined(&mut world, &mut worker);
    let all = |_: &World, w: &[&mut Worker]| w[0].runs.len() == 4;
    until(&mut world, &mut [&mut worker], "it has all of them", all);
    for id in [1, 2, 3].map(NodeId) {
        world.kill(id);
    }
    (worker.link, worker.seeks) = (None, false);
    for id in [1, 2, 3].map(NodeId) {
        world.start(id);
    }
    world.until("all serve", World::all_serve);
    world.until("one leads", |world| world.leader().is_some());
    joined(&mut world, &mut worker);
    pass(&mut world, &mut [&mut worker], 100);
    let runs: Vec<OrderId> = worker.runs.keys().copied().collect();
    assert!(runs.iter().all(|order| order.attempt == 1), "it had them all the time");
    for order in runs {
        worker.ends(&mut world, order, output("1"));
    }
    until(&mut world, &mut [&mut worker], "all is recorded", |_, w| w[0].ended.is_empty());
    let (_, list) = world.answered(node, 0, "/api/v1/workflows?status=completed");
    assert_eq!(list.matches("\"instance\"").count(), 4, "{list}");
    world.settle();
}

#[test]
fn a_drained_worker_gets_nothing_until_it_is_resumed_and_any_node_shows_it() {
    let mut world = world_with(TASK);
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let path = format!("/api/v1/workers/{}", worker.id);
    let drain = format!("{path}/drain");
    let (status, text) = world.demanded(follower, (api::Method::Post, &drain), "");
    let expected = format!(r#"{{"worker":"{}","drained":true}}"#, worker.id);
    assert_eq!((status, text), (200, expected));
    world.accepted(follower, None, r#"{"k":1}"#);
    pass(&mut world, &mut [&mut worker], 300);
    assert!(worker.runs.is_empty());
    assert!(worker.is_told(|message| *message == ToWorker::Draining { on: true }));
    for node in [leader, follower] {
        let (status, text) = world.answered(node, 1, "/api/v1/workers");
        assert_eq!(status, 200);
        assert!(
            text.contains(r#""state":"draining""#) && text.contains(r#""drained":true"#),
            "{text}"
        );
        let is_heard = text.contains(r#""connected":true"#);
        assert_eq!(is_heard, node == leader, "the leader alone knows more: {text}");
        let waits = text.contains(r#""waiting":[{"plugin":"check","count":1,"#);
        assert_eq!(waits, node == leader, "{text}");
        let (status, text) = world.answered(node, 0, "/api/v1/plugins");
        let plugins = r#"{"plugins":[{"name":"check","version":"1.0","abi":1,"workers":1}]}"#;
        assert_eq!((status, text.as_str()), (200, plugins));
    }
    let resume = format!("{path}/resume");
    assert_eq!(world.demanded(leader, (api::Method::Post, &resume), "").0, 200);
    runs(&mut world, &mut worker);
    let (status, text) = world.answered(follower, 1, &path);
    assert_eq!(status, 200);
    assert!(text.contains(r#""state":"ready""#) && text.contains(r#""running":1"#), "{text}");
    let nobody = "/api/v1/workers/00000000000000ff";
    assert_eq!(world.answered(follower, 0, nobody).0, 404);
    let nobody = format!("{nobody}/drain");
    assert_eq!(world.demanded(follower, (api::Method::Post, &nobody), "").0, 404);
    world.settle();
}

#[test]
fn a_workflow_may_name_the_plugins_that_workers_have_brought() {
    let mut world = World::serving(3, FAR);
    let put = |world: &mut World, node| {
        let text = r#"{"id":"w","version":1,"tasks":[{"id":"a","type":"check"}]}"#;
        world.demanded(node, (api::Method::Put, "/api/v1/definitions/w"), text)
    };
    let node = world.follower();
    let (status, text) = put(&mut world, node);
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("no plugin of that name is known"), "{text}");
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    worker.say(&mut world, FromWorker::Leave { boot: BootId(1) });
    let left = |_: &World, w: &[&mut Worker]| w[0].heard.contains(&ToWorker::Left);
    until(&mut world, &mut [&mut worker], "it may go", left);
    world.settle();
    let (status, text) = put(&mut world, node);
    assert_eq!(status, 503, "it is known, and nobody is there to ask: {text}");
    assert!(text.contains("no worker that has the plugin `check` is connected"), "{text}");
}

#[test]
fn workers_and_what_they_have_are_the_same_from_any_snapshot_and_on_any_number_of_cores() {
    let workflow = format!(r#"{{"id":"w","version":1,"tasks":[{{"id":"a",{TASK}}}]}}"#);
    let catalogue = vec![Change::PutDefinition(workflow), Change::PutRule(RULE.into())];
    let mut world = World::born_with(3, 300_000, catalogue);
    world.until("all nodes serve", World::all_serve);
    let (mut first, mut second) = (Worker::new(1, 3), Worker::new(2, 2));
    joined(&mut world, &mut first);
    joined(&mut world, &mut second);
    let away = world.follower();
    for round in 0..12_u64 {
        let node = world.leader().unwrap();
        for k in 0..4 {
            world.accepted(node, None, &format!(r#"{{"k":{k},"more":"{}"}}"#, "x".repeat(9_000)));
        }
        for worker in [&mut first, &mut second] {
            runs(&mut world, worker);
            let order = worker.running();
            worker.ends(&mut world, order, output("1"));
        }
        let both = &mut [&mut first, &mut second];
        until(&mut world, both, "recorded", |_, w| w.iter().all(|w| w.ended.is_empty()));
        match round {
            2 => world.kill(away),
            5 => {
                world.nodes[usize::try_from(away.0 - 1).unwrap()].cores = 3;
                world.start(away);
            }
            7 => {
                second.boot += 1;
                second.runs.clear();
                joined(&mut world, &mut second);
            }
            _ => {}
        }
    }
    pass(&mut world, &mut [&mut first, &mut second], 500);
    world.settle();
    let taken: usize = world.nodes.iter().map(|node| usize::from(node.has_snapshot())).sum();
    assert!(taken > 0, "snapshots were taken");
    for id in [1, 2, 3].map(NodeId) {
        world.kill(id);
    }
    for id in [1, 2, 3].map(NodeId) {
        world.start(id);
    }
    world.until("all serve", World::all_serve);
    world.settle();
}

#[test]
fn a_node_that_is_alone_has_workers_too() {
    let workflow = format!(r#"{{"id":"w","version":1,"tasks":[{{"id":"a",{TASK}}}]}}"#);
    let catalogue = vec![Change::PutDefinition(workflow), Change::PutRule(RULE.into())];
    let mut world = World::born_with(1, FAR, catalogue);
    world.until("it serves", World::all_serve);
    let mut worker = Worker::new(1, 1);
    joined(&mut world, &mut worker);
    world.accepted(NodeId(1), None, r#"{"k":1}"#);
    runs(&mut world, &mut worker);
    pass(&mut world, &mut [&mut worker], 2 * u64::from(LEASE_MS));
    let order = worker.running();
    assert_eq!(order.attempt, 1, "its lease was renewed all the time");
    worker.ends(&mut world, order, output("1"));
    until(&mut world, &mut [&mut worker], "it is recorded", |_, w| w[0].ended.is_empty());
}

use super::*;
use crate::record::{WorkerJoined, WorkerPlugin};
use base::{InstanceId, MessageId, PartitionId, UnixMicros};
use flow::TaskIndex;
use proptest::prelude::*;

const LEASE: Duration = Duration::from_secs(10);

fn order(number: u64) -> OrderId {
    let instance = InstanceId { message: MessageId::new(PartitionId(0), number), ordinal: 1 };
    OrderId { instance, task: TaskIndex(0), attempt: 1 }
}

fn joined(workers: &mut Workers, worker: u64, capacity: u32, plugins: &[&str], zone: &str) {
    let plugin =
        |name: &&str| WorkerPlugin { name: (*name).to_owned(), version: String::new(), abi: 1 };
    let record = WorkerJoined {
        worker: WorkerId(worker),
        boot: BootId(1),
        name: String::new(),
        address: String::new(),
        capacity,
        zone: zone.into(),
        plugins: plugins.iter().map(plugin).collect(),
    };
    workers.join(record, UnixMicros(1));
}

/// A dispatcher with workers that are linked, each with a capacity and plugins.
fn with(strategy: StrategyName, those: &[(u64, u32, &[&str], &str)]) -> Dispatcher {
    let config = WorkersConfig { strategy, zone: "here".into(), ..WorkersConfig::default() };
    let mut dispatcher = Dispatcher::new(&config, 1);
    let mut workers = Workers::default();
    for (worker, capacity, plugins, zone) in those {
        joined(&mut workers, *worker, *capacity, plugins, zone);
    }
    dispatcher.on_workers(&workers);
    dispatcher.open();
    for (worker, ..) in those {
        dispatcher.on_linked(Instant(0), WorkerId(*worker), WorkerLink(*worker));
    }
    dispatcher
}

fn decided(dispatcher: &mut Dispatcher) -> Vec<(u64, u64)> {
    let mut out = Vec::new();
    dispatcher.decide(&mut out);
    let told = |a: &Assignment| (a.order.instance.message.sequence(), a.worker.0);
    out.iter().map(told).collect()
}

fn want(dispatcher: &mut Dispatcher, number: u64, plugin: &str, priority: u8) {
    dispatcher.on_wanted(Instant(0), order(number), &plugin.into(), priority);
}

#[test]
fn the_most_urgent_goes_first_and_then_what_came_first() {
    let mut dispatcher = with(StrategyName::LeastLoaded, &[(1, 1, &["p"], "")]);
    for (number, priority) in [(1, 5), (2, 9), (3, 0), (4, 9), (5, 5)] {
        want(&mut dispatcher, number, "p", priority);
    }
    let mut turns = Vec::new();
    while let [(number, 1)] = decided(&mut dispatcher)[..] {
        turns.push(number);
        dispatcher.on_freed(order(number), WorkerId(1), BootId(1));
    }
    assert_eq!(turns, [2, 4, 1, 5, 3]);
}

#[test]
fn what_nobody_can_do_keeps_nothing_else_waiting() {
    let mut dispatcher = with(StrategyName::LeastLoaded, &[(1, 2, &["p"], "")]);
    want(&mut dispatcher, 1, "q", 9);
    want(&mut dispatcher, 2, "p", 0);
    assert_eq!(decided(&mut dispatcher), [(2, 1)]);
    assert_eq!(dispatcher.waiting(), 1);
    let waiting = dispatcher.waiting_for(Instant(5));
    assert_eq!(waiting, [("q".into(), 1, Duration::from_nanos(5))]);
    dispatcher.on_unwanted(order(1));
    assert_eq!(dispatcher.waiting(), 0);
}

#[test]
fn each_strategy_chooses_as_it_says() {
    let both: &[&str] = &["p"];
    let those = [(1, 4, both, "there"), (2, 2, both, "here"), (3, 8, both, "there")];
    let rows: [(StrategyName, &[u64]); 3] = [
        (StrategyName::RoundRobin, &[1, 2, 3, 1, 2, 3]),
        // The lowest share of the capacity, and of equal ones the lowest id.
        (StrategyName::LeastLoaded, &[1, 2, 3, 3, 1, 3]),
        (StrategyName::Locality, &[2, 2, 1, 3, 3, 1]),
    ];
    for (strategy, expected) in rows {
        let mut dispatcher = with(strategy, &those);
        (1..=6).for_each(|number| want(&mut dispatcher, number, "p", 5));
        let chosen: Vec<u64> =
            decided(&mut dispatcher).into_iter().map(|(_, worker)| worker).collect();
        assert_eq!(chosen, expected, "{strategy}");
        assert_eq!(strategy.to_string().parse(), Ok(strategy));
    }
    let mut dispatcher = with(StrategyName::Random, &those);
    (1..=14).for_each(|number| want(&mut dispatcher, number, "p", 5));
    assert_eq!(decided(&mut dispatcher).len(), 14, "all have room in the end");
    assert!("fastest".parse::<StrategyName>().is_err());
}

#[test]
fn of_two_with_the_same_share_the_one_with_the_idler_processors_gets_it() {
    let mut dispatcher = with(StrategyName::LeastLoaded, &[(1, 2, &["p"], ""), (2, 2, &["p"], "")]);
    let load = Load { cpu_permille: 900, ..Load::default() };
    dispatcher.on_load(WorkerId(1), BootId(1), load);
    want(&mut dispatcher, 1, "p", 5);
    assert_eq!(decided(&mut dispatcher), [(1, 2)]);
}

#[test]
fn nothing_is_given_to_whom_something_speaks_against() {
    type Bar<'a> = &'a dyn Fn(&mut Dispatcher);
    let lift = |dispatcher: &mut Dispatcher| dispatcher.on_suspected(WorkerId(1), false);
    let rows: [(&str, Bar<'_>, Bar<'_>); 5] = [
        ("doubted", &|d| d.on_suspected(WorkerId(1), true), &lift),
        ("leaving", &|d| d.on_leaving(WorkerId(1), true), &|d| d.on_leaving(WorkerId(1), false)),
        ("without a link", &|d| d.on_link_down(WorkerLink(1)), &|d| {
            d.on_linked(Instant(0), WorkerId(1), WorkerLink(2));
        }),
        ("that refused", &|d| d.on_refused(Instant(0), WorkerId(1), Refusal::Full), &|d| {
            assert_eq!(d.on_time(Instant(0) + REFUSED_PAUSE), []);
        }),
        ("that drains", &|d| d.on_refused(Instant(0), WorkerId(1), Refusal::Draining), &|d| {
            d.on_leaving(WorkerId(1), false);
        }),
    ];
    for (what, bar, lift) in rows {
        let mut dispatcher = with(StrategyName::LeastLoaded, &[(1, 1, &["p"], "")]);
        bar(&mut dispatcher);
        want(&mut dispatcher, 1, "p", 5);
        assert_eq!(decided(&mut dispatcher), [], "{what}");
        lift(&mut dispatcher);
        assert_eq!(decided(&mut dispatcher), [(1, 1)], "no longer {what}");
    }
}

#[test]
fn of_those_that_gossip_doubts_not_more_are_remembered_than_a_cluster_can_know() {
    let mut dispatcher = Dispatcher::new(&WorkersConfig::default(), 1);
    let mut workers = Workers::default();
    joined(&mut workers, 5, 1, &["p"], "");
    for worker in 0..3 * SUSPECTED_MAX as u64 {
        dispatcher.on_suspected(WorkerId(worker), true);
        dispatcher.forget_strangers(&workers);
        assert!(dispatcher.suspected.len() <= SUSPECTED_MAX);
    }
    assert!(dispatcher.is_suspected(WorkerId(5)), "the cluster knows it");
    assert!(dispatcher.is_suspected(WorkerId(3 * SUSPECTED_MAX as u64 - 1)), "it may join yet");
}

#[test]
fn a_lease_that_is_over_is_told_once_and_renewed_no_more() {
    let mut dispatcher = with(StrategyName::LeastLoaded, &[(1, 1, &["p"], "")]);
    let (worker, boot) = (WorkerId(1), BootId(1));
    assert!(dispatcher.renew(Instant(0) + LEASE / 2, worker, boot));
    assert_eq!(dispatcher.on_time(Instant(0) + LEASE), []);
    let over = Instant(0) + LEASE + LEASE / 2;
    assert_eq!(dispatcher.deadline(), Some(over));
    assert_eq!(dispatcher.on_time(over), [(worker, boot)]);
    assert_eq!((dispatcher.on_time(over), dispatcher.deadline()), (Vec::new(), None));
    assert!(!dispatcher.renew(over, worker, boot), "it was decided");
    want(&mut dispatcher, 1, "p", 5);
    assert_eq!(decided(&mut dispatcher), []);
}

#[test]
fn of_a_silent_worker_the_lease_begins_with_the_first_look_at_the_clock_once_all_is_known() {
    let mut dispatcher = Dispatcher::new(&WorkersConfig::default(), 1);
    let mut workers = Workers::default();
    joined(&mut workers, 1, 1, &["p"], "");
    dispatcher.on_workers(&workers);
    assert_eq!((dispatcher.on_time(Instant(1)), dispatcher.deadline()), (Vec::new(), None));
    dispatcher.open();
    assert!(dispatcher.deadline().is_some(), "the clock is to be looked at");
    let taken = Instant(1_000_000_000_000);
    assert_eq!(dispatcher.on_time(taken), []);
    assert_eq!(dispatcher.deadline(), Some(taken + LEASE));
}

#[test]
fn the_time_until_an_order_was_received_is_told_once() {
    let mut dispatcher = with(StrategyName::LeastLoaded, &[(1, 1, &["p"], "")]);
    want(&mut dispatcher, 1, "p", 5);
    decided(&mut dispatcher);
    let took = Duration::from_millis(3);
    let mut told = || dispatcher.on_accepted(Instant(0) + took, WorkerId(1), order(1));
    assert_eq!((told(), told()), (Some(took), None));
}

/// What the world around a dispatcher does to it.
#[derive(Clone, Debug)]
enum Step {
    Want { number: u64, plugin: usize, priority: u8 },
    Unwant(u64),
    Free(usize),
    NotAssigned(usize),
    Join { worker: u64, capacity: u32, plugins: u8 },
    Lose(u64),
    Link(u64, bool),
    Suspect(u64, bool),
    Leave(u64, bool),
    Refuse(usize),
    Later(u64),
}

fn step() -> impl Strategy_<Value = Step> {
    let worker = || 1..6_u64;
    prop_oneof![
        6 => (1..60_u64, 0..3_usize, 0..10_u8)
            .prop_map(|(number, plugin, priority)| Step::Want { number, plugin, priority }),
        1 => (1..60_u64).prop_map(Step::Unwant),
        3 => any::<usize>().prop_map(Step::Free),
        1 => any::<usize>().prop_map(Step::NotAssigned),
        2 => (worker(), 0..4_u32, 0..8_u8)
            .prop_map(|(worker, capacity, plugins)| Step::Join { worker, capacity, plugins }),
        1 => worker().prop_map(Step::Lose),
        2 => (worker(), any::<bool>()).prop_map(|(worker, on)| Step::Link(worker, on)),
        1 => (worker(), any::<bool>()).prop_map(|(worker, on)| Step::Suspect(worker, on)),
        1 => (worker(), any::<bool>()).prop_map(|(worker, on)| Step::Leave(worker, on)),
        1 => any::<usize>().prop_map(Step::Refuse),
        1 => (0..2_000_u64).prop_map(Step::Later),
    ]
}

use proptest::strategy::Strategy as Strategy_;

const PLUGINS: [&str; 3] = ["p", "q", "r"];

/// The world, which knows what it has heard.
struct World {
    strategy: StrategyName,
    /// Who got something last.
    last: Option<WorkerId>,
    dispatcher: Dispatcher,
    workers: Workers,
    now: Instant,
    /// Who has what.
    has: BTreeMap<OrderId, (WorkerId, BootId)>,
    wanted: BTreeMap<OrderId, &'static str>,
    boots: u64,
    linked: BTreeSet<WorkerId>,
    suspected: BTreeSet<WorkerId>,
    leaving: BTreeSet<WorkerId>,
    held: BTreeMap<WorkerId, Instant>,
}

impl World {
    fn nth(&self, place: usize) -> Option<(OrderId, (WorkerId, BootId))> {
        let count = self.has.len();
        (count > 0).then(|| {
            let (order, holder) = self.has.iter().nth(place % count).expect("below the count");
            (*order, *holder)
        })
    }

    fn lose(&mut self, worker: WorkerId) {
        let gone: Vec<OrderId> =
            self.has.iter().filter(|(_, (who, _))| *who == worker).map(|(o, _)| *o).collect();
        for order in gone {
            let (_, boot) = self.has.remove(&order).expect("it was there");
            self.dispatcher.on_freed(order, worker, boot);
        }
        self.linked.remove(&worker);
        self.leaving.remove(&worker);
        self.held.remove(&worker);
    }

    fn join(&mut self, worker: WorkerId, capacity: u32, plugins: u8) {
        self.boots += 1;
        self.lose(worker);
        let plugins = (0..3).filter(|bit| plugins & 1 << bit != 0);
        let record = WorkerJoined {
            worker,
            boot: BootId(self.boots),
            name: String::new(),
            address: String::new(),
            capacity,
            zone: String::new(),
            plugins: plugins
                .map(|place| WorkerPlugin {
                    name: PLUGINS[place].into(),
                    version: String::new(),
                    abi: 1,
                })
                .collect(),
        };
        self.workers.join(record, UnixMicros(self.boots));
        self.dispatcher.on_worker(worker, self.workers.find(worker));
    }

    fn take(&mut self, step: &Step) {
        let now = self.now;
        match *step {
            Step::Want { number, plugin, priority } => {
                let order = order(number);
                if !self.has.contains_key(&order) {
                    let plugin = self.wanted.entry(order).or_insert(PLUGINS[plugin]);
                    self.dispatcher.on_wanted(now, order, &Arc::from(*plugin), priority);
                }
            }
            Step::Unwant(number) => {
                self.wanted.remove(&order(number));
                self.dispatcher.on_unwanted(order(number));
            }
            Step::Free(place) => {
                let Some((order, (worker, boot))) = self.nth(place) else { return };
                self.has.remove(&order);
                self.dispatcher.on_freed(order, worker, boot);
            }
            Step::NotAssigned(place) => {
                let Some((order, (worker, boot))) = self.nth(place) else { return };
                self.has.remove(&order);
                self.dispatcher.on_freed(order, worker, boot);
                self.wanted.insert(order, "p");
                self.dispatcher.on_wanted(now, order, &"p".into(), 5);
            }
            Step::Join { worker, capacity, plugins } => {
                self.join(WorkerId(worker), capacity, plugins);
            }
            Step::Lose(worker) => {
                let worker = WorkerId(worker);
                let Some(known) = self.workers.find(worker) else { return };
                let boot = known.boot;
                self.workers.part(worker, boot, Presence::Lost, UnixMicros(self.boots));
                self.lose(worker);
                self.dispatcher.on_worker(worker, self.workers.find(worker));
            }
            Step::Link(worker, true) => {
                let worker = WorkerId(worker);
                let is_here =
                    self.workers.find(worker).is_some_and(|w| w.presence == Presence::Here);
                if is_here {
                    self.linked.insert(worker);
                    self.leaving.remove(&worker);
                }
                self.dispatcher.on_linked(now, worker, WorkerLink(worker.0));
            }
            Step::Link(worker, false) => {
                self.linked.remove(&WorkerId(worker));
                self.dispatcher.on_link_down(WorkerLink(worker));
            }
            Step::Suspect(worker, on) => {
                let worker = WorkerId(worker);
                let _was =
                    if on { self.suspected.insert(worker) } else { self.suspected.remove(&worker) };
                self.dispatcher.on_suspected(worker, on);
            }
            Step::Leave(worker, on) => {
                let worker = WorkerId(worker);
                if on && self.workers.find(worker).is_some_and(|w| w.presence == Presence::Here) {
                    self.leaving.insert(worker);
                } else {
                    self.leaving.remove(&worker);
                }
                self.dispatcher.on_leaving(worker, on);
            }
            Step::Refuse(place) => {
                let Some((order, (worker, boot))) = self.nth(place) else { return };
                self.has.remove(&order);
                self.held.insert(worker, now + REFUSED_PAUSE);
                self.dispatcher.on_refused(now, worker, Refusal::Full);
                self.dispatcher.on_freed(order, worker, boot);
            }
            Step::Later(ms) => {
                self.now = now + Duration::from_millis(ms);
                // Whoever is there has a lease: this test is about what is given out.
                for (worker, known) in self.workers.iter() {
                    self.dispatcher.renew(self.now, worker, known.boot);
                }
                assert_eq!(self.dispatcher.on_time(self.now), []);
                let now = self.now;
                self.held.retain(|_, until| *until > now);
            }
        }
    }

    fn running(&self, worker: WorkerId) -> usize {
        self.has.values().filter(|(who, _)| *who == worker).count()
    }

    fn may_have(&self, worker: WorkerId, known: &Worker, plugin: &str) -> bool {
        known.presence == Presence::Here
            && known.plugins.iter().any(|has| has.name == plugin)
            && self.linked.contains(&worker)
            && !self.suspected.contains(&worker)
            && !self.leaving.contains(&worker)
            && !self.held.contains_key(&worker)
            && self.running(worker) < known.capacity as usize
    }

    /// Whom the strategy chooses, worked out anew from everything; none where that is left to chance.
    fn choice(&self, plugin: &str) -> Option<WorkerId> {
        let free = || self.workers.iter().filter(|(id, known)| self.may_have(*id, known, plugin));
        let first = |after| free().map(|(id, _)| id).find(|id| Some(*id) > after);
        let share = |(id, known): &(WorkerId, &Worker)| {
            (self.running(*id) as u64 * 1_000_000 / u64::from(known.capacity), *id)
        };
        match self.strategy {
            StrategyName::RoundRobin => first(self.last).or_else(|| first(None)),
            // Nobody is near.
            StrategyName::LeastLoaded | StrategyName::Locality => {
                free().min_by_key(share).map(|(id, _)| id)
            }
            StrategyName::Random => None,
        }
    }

    fn decide(&mut self) {
        let mut out = Vec::new();
        self.dispatcher.decide(&mut out);
        for Assignment { order, worker, boot } in out {
            let plugin = self.wanted.remove(&order).expect("what is given out was wanted");
            let known = self.workers.find(worker).expect("it is known");
            assert_eq!(known.boot, boot);
            assert!(self.may_have(worker, known, plugin), "{worker} may not have {plugin}");
            let chosen = self.choice(plugin);
            assert!(chosen.is_none_or(|chosen| chosen == worker), "{worker}, not {chosen:?}");
            self.last = Some(worker);
            let before = self.has.insert(order, (worker, boot));
            assert_eq!(before, None, "an order is given to one");
        }
        for plugin in self.wanted.values() {
            let idle = self.workers.iter().find(|(id, known)| self.may_have(*id, known, plugin));
            assert_eq!(idle.map(|(id, _)| id), None, "{plugin} waits while there is room");
        }
        assert_eq!(self.dispatcher.waiting(), self.wanted.len());
        for (worker, peer) in self.dispatcher.peers() {
            assert_eq!(peer.running() as usize, self.running(worker));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_given_twice_nor_beyond_a_capacity_and_nothing_waits_beside_room(
        steps in prop::collection::vec(step(), 1..120),
        strategy in prop_oneof![
            Just(StrategyName::RoundRobin), Just(StrategyName::LeastLoaded),
            Just(StrategyName::Random), Just(StrategyName::Locality),
        ],
    ) {
        let config = WorkersConfig { strategy, ..WorkersConfig::default() };
        let mut dispatcher = Dispatcher::new(&config, 7);
        dispatcher.open();
        let mut world = World {
            strategy,
            last: None,
            dispatcher,
            workers: Workers::default(),
            now: Instant(1),
            has: BTreeMap::new(),
            wanted: BTreeMap::new(),
            boots: 0,
            linked: BTreeSet::new(),
            suspected: BTreeSet::new(),
            leaving: BTreeSet::new(),
            held: BTreeMap::new(),
        };
        for step in &steps {
            world.take(step);
            world.decide();
        }
    }
}

//! A worker and a coordinator's door, over real sockets of this machine.

use crate::greeting::{Caller, call};
use crate::{Desk, Door, DoorIdentity, Host, Over, Runner, Worker, WorkerIdentity};
use base::{Address, BootId, InstanceId, Instant, MessageId, NodeId, StoreId, WorkerId};
use bytes::Bytes;
use engine::OrderId;
use engine::record::Ended;
use engine::workers::{FromWorker, PluginInfo, Run, ToWorker, Verdict, WorkerConfig, WorkerLink};
use flow::TaskIndex;
use runtime::{Listener, LocalNotify, block_on, timeout};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

const CLUSTER: u64 = 0xc1;
const BOOT: BootId = BootId(1 << 20);
const PATIENCE: Duration = Duration::from_secs(20);

fn order(number: u64) -> OrderId {
    let instance = InstanceId { message: MessageId(number), ordinal: 1 };
    OrderId { instance, task: TaskIndex(0), attempt: 1 }
}

fn run(number: u64) -> ToWorker {
    ToWorker::Run(Box::new(Run {
        boot: BOOT,
        order: order(number),
        plugin: "echo".to_owned(),
        config: Bytes::from_static(b"{}"),
        input: Bytes::from_static(b"7"),
        timeout_ms: 0,
        idempotency_key: String::new(),
        workflow: String::new(),
        task: String::new(),
        trace: None,
    }))
}

/// Hears what workers say.
#[derive(Default)]
struct Ear {
    heard: RefCell<VecDeque<(WorkerLink, Option<FromWorker>)>>,
    notices: RefCell<Vec<String>>,
    ring: LocalNotify,
}

impl Ear {
    /// The next thing; nothing is the end of the connection. Renewals are left out.
    async fn next(&self) -> (WorkerLink, Option<FromWorker>) {
        let next = async {
            loop {
                let heard = self.heard.borrow_mut().pop_front();
                match heard {
                    Some((_, Some(FromWorker::Renew { .. }))) => {}
                    Some(heard) => return heard,
                    None => self.ring.notified().await,
                }
            }
        };
        timeout(PATIENCE, next).await.expect("it comes")
    }
}

impl Desk for Ear {
    fn on_message(&self, link: WorkerLink, message: FromWorker) {
        self.heard.borrow_mut().push_back((link, Some(message)));
        self.ring.notify();
    }

    fn on_down(&self, link: WorkerLink) {
        self.heard.borrow_mut().push_back((link, None));
        self.ring.notify();
    }

    fn notice(&self, text: &str) {
        self.notices.borrow_mut().push(text.to_owned());
        self.ring.notify();
    }
}

#[derive(Default)]
struct Log {
    lines: RefCell<Vec<String>>,
    ring: LocalNotify,
}

impl Host for Log {
    fn note(&self, text: &str) {
        self.lines.borrow_mut().push(text.to_owned());
        self.ring.notify();
    }

    fn notice(&self, text: &str) {
        self.note(text);
    }
}

/// Answers each order with its input; one that is stopped first is stopped.
#[derive(Default)]
struct Echo {
    over: Rc<RefCell<Vec<Over>>>,
    ring: Rc<LocalNotify>,
}

impl Runner for Echo {
    fn start(&self, run: Run) {
        let ended = Ended::Output(run.input.to_vec());
        self.over.borrow_mut().push(Over::Ended { order: run.order, ended });
        self.ring.notify();
    }

    fn stop(&self, _: OrderId) {}

    fn kill_all(&self) {}

    fn keep(&self, _: Instant) {}

    fn validate(&self, ticket: u64, plugin: &str, _: Bytes) {
        let is_known = plugin == "echo";
        let verdict = if is_known { Verdict::Valid } else { Verdict::Unsaid("unknown".to_owned()) };
        self.over.borrow_mut().push(Over::Validated { ticket, verdict });
        self.ring.notify();
    }

    fn poll_over(&self, context: &mut Context<'_>) -> Poll<Vec<Over>> {
        loop {
            let over = self.over.take();
            if !over.is_empty() {
                return Poll::Ready(over);
            }
            if self.ring.poll_notified(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn memory_bytes(&self) -> u64 {
        0
    }
}

fn door() -> (Door, Rc<Ear>, Address) {
    let ear = Rc::new(Ear::default());
    let own = DoorIdentity {
        node: NodeId(1),
        store: StoreId(11),
        boot: BootId(1),
        program: "test".to_owned(),
    };
    let door = Door::new(own, Rc::clone(&ear) as Rc<dyn Desk>);
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = Address::from(listener.address());
    door.open(listener, CLUSTER);
    (door, ear, address)
}

fn worker(cluster: u64) -> (Worker, Rc<Log>) {
    let config = WorkerConfig {
        worker: WorkerId::of(StoreId(7)),
        boot: BOOT,
        name: "w".to_owned(),
        address: String::new(),
        zone: String::new(),
        capacity: 2,
        plugins: vec![PluginInfo { name: "echo".to_owned(), version: "1".to_owned(), abi: 1 }],
        seed: 3,
    };
    let identity = WorkerIdentity { store: StoreId(7), cluster, program: "test".to_owned() };
    let log = Rc::new(Log::default());
    let runner = Box::new(Echo::default());
    (Worker::start(config, identity, runner, Rc::clone(&log) as Rc<dyn Host>), log)
}

#[test]
fn a_worker_registers_runs_says_it_again_on_the_next_link_and_leaves() {
    block_on(async {
        let (door, ear, address) = door();
        let (worker, _log) = worker(CLUSTER);
        worker.on_leader(Some(&address));
        let (link, said) = ear.next().await;
        let Some(FromWorker::Register { boot, capacity, plugins, .. }) = said else {
            panic!("it registers")
        };
        assert_eq!((boot, capacity, plugins.len(), door.links()), (BOOT, 2, 1, 1));
        door.send(link, &ToWorker::Registered { lease_ms: 60_000, boot });
        door.send(link, &run(1));
        assert_eq!(ear.next().await.1, Some(FromWorker::Accepted { order: order(1) }));
        let ended = || FromWorker::Ended { order: order(1), ended: Ended::Output(b"7".to_vec()) };
        assert_eq!(ear.next().await.1, Some(ended()));
        let plugin = "echo".to_owned();
        door.send(link, &ToWorker::Validate { ticket: 5, plugin, config: Bytes::new() });
        let fine = FromWorker::Validated { ticket: 5, verdict: Verdict::Valid };
        assert_eq!(ear.next().await.1, Some(fine));

        // Whoever does not lead any more; the worker asks again, and says what was not recorded.
        let why = "another one leads".to_owned();
        door.send(link, &ToWorker::NotTaken { why, leader: None });
        assert_eq!(ear.next().await, (link, None));
        let (link, said) = ear.next().await;
        assert!(matches!(said, Some(FromWorker::Register { .. })));
        door.send(link, &ToWorker::Registered { lease_ms: 60_000, boot });
        assert_eq!(ear.next().await.1, Some(ended()));

        worker.stop(PATIENCE);
        assert_eq!(ear.next().await.1, Some(FromWorker::Drain { on: true }));
        door.send(link, &ToWorker::Recorded { order: order(1) });
        assert_eq!(ear.next().await.1, Some(FromWorker::Leave { boot }));
        door.send(link, &ToWorker::Left);
        timeout(PATIENCE, worker.gone().wait()).await.expect("it goes");
        assert!(worker.has_left());
        worker.close().await;
        door.close().await;
    });
}

#[test]
fn a_worker_of_another_cluster_is_refused_and_says_so_once() {
    block_on(async {
        let (door, ear, address) = door();
        let (worker, log) = worker(CLUSTER + 1);
        worker.on_leader(Some(&address));
        let said = async {
            while log.lines.borrow().is_empty() {
                log.ring.notified().await;
            }
        };
        timeout(PATIENCE, said).await.expect("it says so");
        let line = log.lines.borrow()[0].clone();
        assert!(line.contains("it says: the worker belongs to cluster 00000000000000c2"), "{line}");
        let noticed = async {
            while ear.notices.borrow().is_empty() {
                ear.ring.notified().await;
            }
        };
        timeout(PATIENCE, noticed).await.expect("the node says so, too");
        assert!(ear.notices.borrow()[0].contains("are refused: the worker belongs to cluster"));
        assert!(ear.heard.borrow().is_empty());
        worker.close().await;
        door.close().await;
    });
}

fn caller(store: StoreId) -> Caller {
    Caller {
        worker: WorkerId::of(store),
        store,
        boot: BOOT,
        cluster: CLUSTER,
        program: "test".to_owned(),
    }
}

#[test]
fn a_worker_registers_as_who_it_said_that_it_is() {
    block_on(async {
        let (door, ear, address) = door();
        let introduced = call(&address, &caller(StoreId(7))).await.expect("it is greeted");
        let (channel, mut driver) = introduced.open();
        let register = FromWorker::Register {
            worker: WorkerId::of(StoreId(8)),
            boot: BOOT,
            name: String::new(),
            address: String::new(),
            capacity: 1,
            plugins: Vec::new(),
            zone: String::new(),
        };
        assert!(channel.send(|out| register.encode(runtime::now().wall, out)));
        timeout(PATIENCE, driver.run(|_| Ok(()))).await.expect("it ends");
        assert!(ear.heard.borrow().is_empty());
        assert_eq!(door.links(), 0);
        door.close().await;
    });
}

#[test]
fn a_frame_that_no_worker_says_ends_the_connection() {
    block_on(async {
        let (door, ear, address) = door();
        let introduced = call(&address, &caller(StoreId(7))).await.expect("it is greeted");
        let (channel, mut driver) = introduced.open();
        let now = runtime::now().wall;
        assert!(channel.send(|out| FromWorker::Drain { on: true }.encode(now, out)));
        assert!(channel.send(|out| ToWorker::Left.encode(now, out)));
        let why = timeout(PATIENCE, driver.run(|_| Ok(()))).await.expect("it ends");
        assert!(!why.is_empty());
        let (link, said) = ear.next().await;
        assert_eq!(said, Some(FromWorker::Drain { on: true }));
        assert_eq!(ear.next().await, (link, None));
        assert_eq!(door.links(), 0);
        door.close().await;
    });
}

//! The mind of a worker: whom it asks for work, what it may run and until when, and what it still has to
//! say of what it ran.
//!
//! The driver connects, runs what it is told to run in processes of its own, and hands in what comes:
//!
//! | effect | answered by | what the driver does |
//! | --- | --- | --- |
//! | [`Connect`](WorkerEffect::Connect) | `on_link_up`, `on_link_down` | makes one connection, exchanges hellos |
//! | [`Disconnect`](WorkerEffect::Disconnect) | - | ends it; it says nothing more of it |
//! | [`Send`](WorkerEffect::Send) | - | sends it while the link lives |
//! | [`Run`](WorkerEffect::Run) | `on_task_ended`, `on_task_stopped` | starts it |
//! | [`Stop`](WorkerEffect::Stop) | `on_task_stopped`, or `on_task_ended` when that was first | asks it to end, kills it when it does not |
//! | [`KillAll`](WorkerEffect::KillAll) | the same, for each | kills all that run, at once |
//! | [`Keep`](WorkerEffect::Keep) | - | lets nothing run beyond that instant, also when this process is frozen |
//! | [`Validate`](WorkerEffect::Validate) | `on_validated` | asks the plugin |
//! | [`Exit`](WorkerEffect::Exit) | - | ends the worker |
//!
//! Invariants (SOUNDNESS 18 to 20):
//! - nothing runs beyond four fifths of a lease, counted from when that was asked for which the leader
//!   answered; what runs then is killed, what has ended is kept;
//! - at most `capacity` orders run at once, those that are being stopped among them;
//! - no order of another boot is run, none twice that is remembered, and none that was refused;
//! - an end is kept until it is recorded, whatever becomes of the link; when too much is kept, new orders
//!   are refused;
//! - a run that was declared lost runs nothing any more when its successor registers.

mod lease;
mod link;
mod orders;

#[cfg(test)]
mod tests;

use super::message::{FAULT_BYTES_MAX, FromWorker, PluginInfo, Refusal, Run, ToWorker, Verdict};
use crate::record::{Ended, Failed};
use crate::shard::OrderId;
use base::{Address, BootId, Instant, Outbox, Prng, WorkerId};
use bytes::Bytes;
use flow::{ERROR_CODE_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, OUTPUT_BYTES_MAX};
use lease::Lease;
use link::Link;
use orders::{Known, Orders, Stopped};
use std::time::Duration;

pub use orders::{KEPT_BYTES_MAX, KEPT_MAX, REMEMBERED};

/// So long after the time that a stop may take, ends are still waited for to be recorded. What was killed
/// then goes to other workers at once if the leader hears of it, and after a lease if it does not.
const PARTING: Duration = Duration::from_secs(2);

/// Who a worker is.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Which.
    pub worker: WorkerId,
    /// Which run of it: greater than those before. A run that is declared lost goes on as the next
    /// number, so runs of one worker must lie far enough apart.
    pub boot: BootId,
    /// Its name, for people.
    pub name: String,
    /// Where it shows health and metrics, for people.
    pub address: String,
    /// Where it stands.
    pub zone: String,
    /// How many orders it runs at once. Above 0.
    pub capacity: u32,
    /// What it has, by name.
    pub plugins: Vec<PluginInfo>,
    /// For the pauses between attempts to connect.
    pub seed: u64,
}

/// What the driver of a worker is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerEffect {
    /// Connect to a leader's door. There is no other connection then.
    Connect {
        /// Where.
        address: Address,
    },
    /// End the connection, or the attempt to make one.
    Disconnect,
    /// Say it to the leader.
    Send(FromWorker),
    /// Start it.
    Run(Box<Run>),
    /// Have it end: by asking, and by killing when that does not help soon.
    Stop {
        /// Which.
        order: OrderId,
    },
    /// All that run end at once.
    KillAll,
    /// Nothing may run beyond this, unless a later one is told.
    Keep {
        /// Until when.
        until: Instant,
    },
    /// Would this plugin take this configuration?
    Validate {
        /// Repeated in the answer.
        ticket: u64,
        /// Which plugin.
        plugin: String,
        /// The configuration, JSON.
        config: Bytes,
    },
    /// The worker has stopped, as it was told to.
    Exit {
        /// Whether the leader knows.
        left: bool,
    },
    /// Say in the log what happened.
    Note(String),
    /// Say in the log what is not as it should be.
    Notice(String),
}

/// The mind of a worker.
#[derive(Debug)]
pub struct WorkerCore {
    config: WorkerConfig,
    /// Which run it is registered as, or will be.
    boot: BootId,
    link: Link,
    lease: Lease,
    orders: Orders,
    load: Load,
    stop: Stop,
    /// This run was declared lost: its successor registers once nothing of it runs.
    lost: bool,
    /// An operator wants it to have no orders.
    drained: bool,
    /// Stopped because this worker was to go.
    given_back: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    cpu_permille: u32,
    memory_bytes: u64,
}

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Nobody wants it.
    No,
    /// What runs may end until then.
    Draining { until: Instant },
    /// What ran was killed; that it is recorded is waited for until then.
    Parting { until: Instant },
    /// The worker has said that it leaves.
    Leaving { until: Instant },
    /// Done.
    Over,
}

impl Stop {
    fn until(self) -> Option<Instant> {
        match self {
            Self::No | Self::Over => None,
            Self::Draining { until } | Self::Parting { until } | Self::Leaving { until } => {
                Some(until)
            }
        }
    }
}

impl WorkerCore {
    /// A worker that nobody knows yet.
    pub fn new(config: WorkerConfig) -> Self {
        assert!(config.capacity > 0, "a worker has room for something");
        let by_name = config.plugins.is_sorted_by(|one, next| one.name < next.name);
        assert!(by_name, "each once, by name: a host names plugins after their files");
        Self {
            boot: config.boot,
            given_back: 0,
            link: Link::new(Prng::new(config.seed)),
            lease: Lease::default(),
            orders: Orders::default(),
            load: Load::default(),
            stop: Stop::No,
            lost: false,
            drained: false,
            config,
        }
    }

    /// Where the leader takes workers, as the gossip says; none when nobody is known to lead.
    pub fn on_leader(
        &mut self,
        now: Instant,
        door: Option<&Address>,
        out: &mut Outbox<WorkerEffect>,
    ) {
        self.on_time(now, out);
        if self.stop != Stop::Over {
            self.link.on_leader(now, door, out);
            if !self.link.is_up() {
                self.lease.on_link_down();
            }
        }
    }

    /// The connection that was asked for is there.
    pub fn on_link_up(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        self.on_time(now, out);
        self.link.on_up(now);
        self.register(now, out);
    }

    /// It could not be made, or it broke.
    pub fn on_link_down(&mut self, now: Instant, reason: &str, out: &mut Outbox<WorkerEffect>) {
        self.on_time(now, out);
        self.lease.on_link_down();
        self.link.on_down(now, reason, out);
    }

    /// What the leader said.
    pub fn on_message(&mut self, now: Instant, message: ToWorker, out: &mut Outbox<WorkerEffect>) {
        self.on_time(now, out);
        if !self.link.is_up() {
            // Of a connection that was ended.
            return;
        }
        match message {
            ToWorker::Registered { lease_ms, boot } => self.on_registered(now, lease_ms, boot, out),
            ToWorker::NotTaken { why, leader } => {
                self.lease.on_link_down();
                self.link.on_not_taken(now, &why, leader, out);
            }
            ToWorker::Renewed { number } => {
                if self.lease.on_renewed(now, number) {
                    self.keep(out);
                }
            }
            ToWorker::Run(run) => self.on_run(now, run, out),
            ToWorker::Stop { order } => self.on_stop_order(order, out),
            ToWorker::Recorded { order } => {
                if self.orders.on_recorded(order) {
                    out.push(WorkerEffect::Stop { order });
                }
                self.consider_leaving(now, out);
            }
            ToWorker::Draining { on } => {
                if std::mem::replace(&mut self.drained, on) != on && self.stop == Stop::No {
                    let text = if on { "is drained" } else { "gets orders again" };
                    out.push(WorkerEffect::Note(format!("this worker {text}, by an operator")));
                }
            }
            // Another process left, which said that it was this run.
            ToWorker::Left if self.stop == Stop::No => self.on_lost(now, self.boot, out),
            ToWorker::Left => self.exit(true, out),
            ToWorker::Lost { boot } => self.on_lost(now, boot, out),
            ToWorker::Validate { ticket, plugin, config } => {
                out.push(WorkerEffect::Validate { ticket, plugin, config });
            }
        }
    }

    /// An order ended by itself.
    pub fn on_task_ended(
        &mut self,
        now: Instant,
        order: OrderId,
        ended: Ended,
        out: &mut Outbox<WorkerEffect>,
    ) {
        self.on_time(now, out);
        if matches!(ended, Ended::Failed(_)) && self.orders.is_stopping(order) {
            // It failed because it was stopped, for all that is known.
            self.on_task_stopped(now, order, out);
            return;
        }
        let ended = bounded(ended);
        if self.orders.on_ended(order, &ended) && self.is_registered() {
            out.push(WorkerEffect::Send(FromWorker::Ended { order, ended }));
        }
        self.after_an_end(now, out);
    }

    /// An order was stopped, as [`WorkerEffect::Stop`] or [`WorkerEffect::KillAll`] asked.
    pub fn on_task_stopped(
        &mut self,
        now: Instant,
        order: OrderId,
        out: &mut Outbox<WorkerEffect>,
    ) {
        self.on_time(now, out);
        if self.orders.on_stopped(order) && self.is_registered() {
            out.push(WorkerEffect::Send(FromWorker::Stopped { order }));
        }
        self.after_an_end(now, out);
    }

    /// What a plugin says to a configuration.
    pub fn on_validated(&mut self, ticket: u64, verdict: Verdict, out: &mut Outbox<WorkerEffect>) {
        if self.link.is_up() {
            let verdict = match verdict {
                Verdict::Valid => Verdict::Valid,
                Verdict::Invalid(fault) => Verdict::Invalid(clipped(fault, FAULT_BYTES_MAX)),
                Verdict::Unsaid(fault) => Verdict::Unsaid(clipped(fault, FAULT_BYTES_MAX)),
            };
            out.push(WorkerEffect::Send(FromWorker::Validated { ticket, verdict }));
        }
    }

    /// How busy the worker's processes are, for the next renewal.
    pub fn on_load(&mut self, cpu_permille: u32, memory_bytes: u64) {
        self.load = Load { cpu_permille, memory_bytes };
    }

    /// The worker is to go. What runs may end until then.
    pub fn on_stop(&mut self, now: Instant, until: Instant, out: &mut Outbox<WorkerEffect>) {
        self.on_time(now, out);
        if self.stop != Stop::No {
            return;
        }
        self.stop = Stop::Draining { until };
        if self.is_registered() {
            out.push(WorkerEffect::Send(FromWorker::Drain { on: true }));
        }
        self.consider_leaving(now, out);
    }

    /// When to call [`Self::on_deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        let (renew, silent) = (self.lease.renew_at(), self.lease.silent_at());
        let due = [self.stop.until(), self.link.deadline(), renew, silent];
        // A lease that has run out is done with once nothing runs.
        let expiry = self.lease.expiry().filter(|_| self.orders.need_a_lease());
        due.into_iter().chain([expiry]).flatten().min()
    }

    /// The deadline has come.
    pub fn on_deadline(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        self.on_time(now, out);
        self.link.on_deadline(now, out);
        if self.link.is_registered() && self.lease.renew_at().is_some_and(|due| due <= now) {
            self.renew(now, out);
        }
        match self.stop {
            Stop::Draining { until } if until <= now => {
                self.given_back = self.kill_all(out);
                self.stop = Stop::Parting { until: now + PARTING };
                self.consider_leaving(now, out);
            }
            Stop::Parting { until } | Stop::Leaving { until } if until <= now => {
                self.exit(false, out);
            }
            _ => {}
        }
    }

    /// Which run it is.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// Orders that run, those that are being stopped among them.
    pub fn running(&self) -> usize {
        self.orders.running()
    }

    /// Ends that are not known to be recorded.
    pub fn kept(&self) -> usize {
        self.orders.kept()
    }

    /// How many were stopped because their time was up when this worker was to go.
    pub fn given_back(&self) -> usize {
        self.given_back
    }

    /// Whether the leader knows this run, over the link that is there.
    pub fn is_registered(&self) -> bool {
        self.link.is_registered() && !self.lost
    }

    /// Whether an operator has drained it.
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// The leader's door that it is linked to.
    pub fn leader(&self) -> Option<&Address> {
        self.link.leader()
    }

    fn register(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        if self.lost {
            // Once nothing of the lost run runs any more.
            return;
        }
        let WorkerConfig { worker, name, address, capacity, plugins, zone, .. } = &self.config;
        self.lease.on_asked(now);
        self.link.on_register_sent(now);
        out.push(WorkerEffect::Send(FromWorker::Register {
            worker: *worker,
            boot: self.boot,
            name: name.clone(),
            address: address.clone(),
            capacity: *capacity,
            plugins: plugins.clone(),
            zone: zone.clone(),
        }));
    }

    fn on_registered(
        &mut self,
        now: Instant,
        lease_ms: u32,
        boot: BootId,
        out: &mut Outbox<WorkerEffect>,
    ) {
        if boot != self.boot || self.lost || self.link.is_registered() {
            return;
        }
        self.lease.on_registered(now, Duration::from_millis(lease_ms.into()));
        self.link.on_registered();
        self.keep(out);
        if let Some(leader) = self.link.leader() {
            out.push(WorkerEffect::Note(format!("registered with the leader at {leader}")));
        }
        for message in self.orders.say_again() {
            out.push(WorkerEffect::Send(message));
        }
        if self.stop != Stop::No {
            out.push(WorkerEffect::Send(FromWorker::Drain { on: true }));
        }
        // A registration that took long.
        if self.lease.renew_at().is_some_and(|due| due <= now) {
            self.renew(now, out);
        }
        if let Stop::Leaving { until } = self.stop {
            // It was said over a link that is gone.
            self.stop = Stop::Parting { until };
        }
        self.consider_leaving(now, out);
    }

    fn renew(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        let number = self.lease.on_renew_sent(now);
        let Load { cpu_permille, memory_bytes } = self.load;
        out.push(WorkerEffect::Send(FromWorker::Renew {
            boot: self.boot,
            number,
            running: u32::try_from(self.orders.running()).unwrap_or(u32::MAX),
            cpu_permille,
            memory_bytes,
        }));
    }

    fn keep(&mut self, out: &mut Outbox<WorkerEffect>) {
        if let Some(until) = self.lease.expiry() {
            out.push(WorkerEffect::Keep { until });
        }
    }

    fn on_run(&mut self, now: Instant, run: Box<Run>, out: &mut Outbox<WorkerEffect>) {
        let order = run.order;
        let why = if run.boot != self.boot || self.lost {
            Some(Refusal::Boot)
        } else {
            match self.orders.known(order) {
                Known::New => self.refusal(now, &run),
                Known::Dying => return,
                Known::Say(message) => {
                    out.push(WorkerEffect::Send(message));
                    return;
                }
            }
        };
        if let Some(why) = why {
            // That of another run of this worker is none of this one's.
            if why != Refusal::Boot {
                self.orders.on_refused(order);
            }
            out.push(WorkerEffect::Send(FromWorker::Refused { order, why }));
            return;
        }
        self.orders.start(order);
        out.push(WorkerEffect::Run(run));
        out.push(WorkerEffect::Send(FromWorker::Accepted { order }));
    }

    /// Why an order that never came before is not run, if it is not.
    fn refusal(&self, now: Instant, run: &Run) -> Option<Refusal> {
        let has = |plugin: &str| {
            self.config.plugins.binary_search_by(|one| one.name.as_str().cmp(plugin)).is_ok()
        };
        if self.stop != Stop::No {
            Some(Refusal::Draining)
        } else if !self.lease.holds(now) || !self.link.is_registered() {
            Some(Refusal::Lease)
        } else if !self.orders.has_room(self.config.capacity) {
            Some(Refusal::Full)
        } else if !has(&run.plugin) {
            Some(Refusal::Plugin)
        } else {
            None
        }
    }

    fn on_stop_order(&mut self, order: OrderId, out: &mut Outbox<WorkerEffect>) {
        match self.orders.on_stop(order) {
            Stopped::Stop => out.push(WorkerEffect::Stop { order }),
            Stopped::Already => {}
            Stopped::Say(message) => out.push(WorkerEffect::Send(message)),
        }
    }

    fn on_lost(&mut self, now: Instant, boot: BootId, out: &mut Outbox<WorkerEffect>) {
        if boot != self.boot || self.lost {
            return;
        }
        self.lost = true;
        self.lease = Lease::default();
        self.link.on_unregistered();
        let (running, kept) = (self.orders.running(), self.orders.kept());
        out.push(WorkerEffect::Notice(format!(
            "this worker was declared lost: {running} running tasks are stopped here and go to \
             others, {kept} results that were not recorded are dropped"
        )));
        self.kill_all(out);
        self.after_an_end(now, out);
    }

    /// What every input begins with: a lease that has run out by now has run out before it.
    fn on_time(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        if self.orders.need_a_lease() && !self.lease.holds(now) {
            let killed = self.kill_all(out);
            out.push(WorkerEffect::Notice(format!(
                "the lease has run out: {killed} running tasks are stopped, the leader gives them \
                 to others"
            )));
        }
        if self.lease.silent_at().is_some_and(|due| due <= now) {
            self.lease.on_link_down();
            self.link.on_silence(now, out);
        }
    }

    /// How many were running.
    fn kill_all(&mut self, out: &mut Outbox<WorkerEffect>) -> usize {
        if self.orders.need_a_lease() {
            out.push(WorkerEffect::KillAll);
        }
        self.orders.kill_all()
    }

    fn after_an_end(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        if self.lost && self.orders.running() == 0 {
            self.lost = false;
            self.boot = BootId(self.boot.0 + 1);
            self.orders = Orders::default();
            if self.link.is_up() && self.stop == Stop::No {
                self.register(now, out);
            }
        }
        self.consider_leaving(now, out);
    }

    /// Of a worker that is to go: nothing runs, and all is recorded?
    fn consider_leaving(&mut self, now: Instant, out: &mut Outbox<WorkerEffect>) {
        let (Stop::Draining { until } | Stop::Parting { until }) = self.stop else { return };
        if self.orders.running() > 0 || self.orders.kept() > 0 {
            return;
        }
        if self.is_registered() {
            let until = until.min(now + PARTING);
            self.stop = Stop::Leaving { until };
            out.push(WorkerEffect::Send(FromWorker::Leave { boot: self.boot }));
        } else if !self.lease.was_granted() {
            // Nobody knows of it.
            self.exit(true, out);
        }
    }

    fn exit(&mut self, left: bool, out: &mut Outbox<WorkerEffect>) {
        if self.stop == Stop::Over || self.stop == Stop::No {
            return;
        }
        self.stop = Stop::Over;
        self.kill_all(out);
        self.lease.on_link_down();
        self.link.close(out);
        out.push(WorkerEffect::Exit { left });
    }
}

/// An end that the log takes, whatever a plugin said.
fn bounded(ended: Ended) -> Ended {
    match ended {
        Ended::Output(output) if output.len() > OUTPUT_BYTES_MAX => Ended::Failed(Failed {
            code: "output_too_large".to_owned(),
            message: format!(
                "the output has {} bytes, {OUTPUT_BYTES_MAX} at most are taken",
                output.len()
            ),
            retryable: false,
        }),
        Ended::Failed(failed) => Ended::Failed(Failed {
            code: clipped(failed.code, ERROR_CODE_BYTES_MAX),
            message: clipped(failed.message, ERROR_MESSAGE_BYTES_MAX),
            retryable: failed.retryable,
        }),
        output @ Ended::Output(_) => output,
    }
}

fn clipped(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

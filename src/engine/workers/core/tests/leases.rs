//! Two leases for one task never live at once: a worker and leaders that come and go, each with a clock of
//! its own, over links that delay and break, with pauses of either side.
//!
//! A leader answers only while it leads (it makes sure of that since it was asked); it may declare the
//! worker lost when its own clock says that a whole lease has passed since its last answer, and since it
//! took office. At that moment nothing may run. The driver's part is played as well: what
//! [`WorkerEffect::Keep`] said is kept even while the worker itself is frozen.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

const MS: u64 = 1_000_000;
const LEASE: u64 = LEASE_MS as u64 * MS;

/// A machine's clock. Real time is in nanoseconds, too.
#[derive(Clone, Copy)]
struct Clock {
    permille: u64,
    began: u64,
}

impl Clock {
    fn any(dice: &mut Prng) -> Self {
        Self { permille: 900 + dice.below(201), began: dice.below(1 << 40) }
    }

    fn at(self, real: u64) -> Instant {
        Instant(self.began + real / 1_000 * self.permille)
    }

    /// The first real time at which it shows that.
    fn when(self, shown: Instant) -> u64 {
        shown.0.saturating_sub(self.began).div_ceil(self.permille) * 1_000
    }
}

/// Whoever leads, as the worker's lease sees it.
struct Leader {
    clock: Clock,
    /// By its clock.
    waits_from: Instant,
    frozen_until: u64,
    next_order: u64,
}

struct World {
    dice: Prng,
    real: u64,
    worker: Clock,
    core: WorkerCore,
    frozen_until: u64,
    may_freeze: bool,
    leader: Leader,
    /// The link, when there is one: what is on its way, and when it is there.
    up: bool,
    to_leader: VecDeque<(u64, FromWorker)>,
    to_worker: VecDeque<(u64, ToWorker)>,
    connecting: bool,
    running: BTreeSet<OrderId>,
    ran: BTreeSet<(BootId, OrderId)>,
    /// Killed, and not yet reported.
    dying: Vec<OrderId>,
    keep_until: Instant,
    lost: BTreeSet<BootId>,
    losses: u64,
    runs: u64,
}

const CAPACITY: u32 = 3;

impl World {
    fn new(seed: u64, may_freeze: bool) -> Self {
        let mut dice = Prng::new(seed);
        let clock = Clock::any(&mut dice);
        let worker = Clock::any(&mut dice);
        Self {
            real: 0,
            worker,
            core: Desk::new(CAPACITY).core,
            frozen_until: 0,
            may_freeze,
            leader: Leader { clock, waits_from: clock.at(0), frozen_until: 0, next_order: 1 },
            up: false,
            to_leader: VecDeque::new(),
            to_worker: VecDeque::new(),
            connecting: false,
            running: BTreeSet::new(),
            ran: BTreeSet::new(),
            dying: Vec::new(),
            keep_until: Instant(0),
            lost: BTreeSet::new(),
            losses: 0,
            runs: 0,
            dice,
        }
    }

    fn now(&self) -> Instant {
        self.worker.at(self.real)
    }

    fn input(&mut self, what: impl FnOnce(&mut WorkerCore, Instant, &mut Outbox<WorkerEffect>)) {
        let mut out = Outbox::new();
        what(&mut self.core, self.worker.at(self.real), &mut out);
        for effect in out.take() {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: WorkerEffect) {
        match effect {
            WorkerEffect::Connect { .. } => self.connecting = true,
            WorkerEffect::Disconnect => self.cut(),
            WorkerEffect::Send(message) => {
                let due = self.real + self.dice.below(400 * MS);
                self.to_leader.push_back((due, message));
            }
            WorkerEffect::Run(run) => {
                assert!(self.ran.insert((run.boot, run.order)), "no order runs twice");
                self.running.insert(run.order);
                self.runs += 1;
                assert!(self.running.len() + self.dying.len() <= CAPACITY as usize);
            }
            // It may take its time.
            WorkerEffect::Stop { order } => assert!(self.running.contains(&order)),
            WorkerEffect::KillAll => self.dying.extend(std::mem::take(&mut self.running)),
            WorkerEffect::Keep { until } => self.keep_until = until,
            WorkerEffect::Validate { .. } | WorkerEffect::Exit { .. } => unreachable!(),
            WorkerEffect::Note(_) | WorkerEffect::Notice(_) => {}
        }
    }

    fn cut(&mut self) {
        self.up = false;
        self.connecting = false;
        self.to_leader.clear();
        self.to_worker.clear();
    }

    /// What holds at every moment.
    fn check(&mut self) {
        // The keeper of the lease needs no worker that is awake.
        if self.may_freeze && self.now() >= self.keep_until {
            self.dying.extend(std::mem::take(&mut self.running));
        }
        let Leader { clock, waits_from, .. } = self.leader;
        if clock.at(self.real).0 >= waits_from.0 + LEASE {
            assert!(self.running.is_empty(), "nothing runs when the worker may be lost");
            if self.dice.chance(1, 4) {
                self.losses += 1;
                self.lost.insert(self.core.boot());
                self.say(ToWorker::Lost { boot: self.core.boot() });
            }
        }
    }

    fn say(&mut self, message: ToWorker) {
        if self.up {
            let due = self.real + self.dice.below(400 * MS);
            self.to_worker.push_back((due, message));
        }
    }

    fn leader_hears(&mut self, message: &FromWorker) {
        let now = self.leader.clock.at(self.real);
        match message {
            FromWorker::Register { boot, .. } if self.lost.contains(boot) => {
                self.say(ToWorker::Lost { boot: *boot });
            }
            FromWorker::Register { boot, .. } => {
                self.leader.waits_from = now;
                self.say(ToWorker::Registered { lease_ms: LEASE_MS, boot: *boot });
            }
            FromWorker::Renew { boot, number, .. } if !self.lost.contains(boot) => {
                self.leader.waits_from = now;
                self.say(ToWorker::Renewed { number: *number });
            }
            FromWorker::Ended { order, .. } | FromWorker::Stopped { order } => {
                self.say(ToWorker::Recorded { order: *order });
            }
            _ => {}
        }
    }

    fn step(&mut self) {
        let mut next = self.real + self.dice.below(LEASE / 6);
        if self.real >= self.frozen_until
            && let Some(due) = self.core.deadline()
        {
            next = next.min(self.worker.when(due).max(self.real));
        }
        if !self.running.is_empty() {
            next = next.min(self.worker.when(self.keep_until).max(self.real));
        }
        self.real = next.max(self.real + 1_000);
        if self.real >= self.frozen_until {
            let now = self.now();
            if self.core.deadline().is_some_and(|due| due <= now) {
                self.input(WorkerCore::on_deadline);
            }
        }
        self.check();
        self.deliver();
        self.check();
        self.mishap();
        self.check();
    }

    fn deliver(&mut self) {
        while self.real >= self.leader.frozen_until
            && self.to_leader.front().is_some_and(|(due, _)| *due <= self.real)
        {
            let (_, message) = self.to_leader.pop_front().expect("it is there");
            self.leader_hears(&message);
        }
        while self.real >= self.frozen_until
            && self.to_worker.front().is_some_and(|(due, _)| *due <= self.real)
        {
            let (_, message) = self.to_worker.pop_front().expect("it is there");
            self.input(|core, now, out| core.on_message(now, message, out));
        }
        if self.real >= self.frozen_until {
            for order in std::mem::take(&mut self.dying) {
                self.input(|core, now, out| core.on_task_stopped(now, order, out));
            }
            if self.connecting && self.dice.chance(3, 4) {
                self.connecting = false;
                self.up = true;
                self.input(WorkerCore::on_link_up);
            }
        }
    }

    fn mishap(&mut self) {
        let awake = self.real >= self.frozen_until;
        match self.dice.below(24) {
            // An order; some run long.
            0..=9 if self.real >= self.leader.frozen_until => {
                let number = self.leader.next_order;
                self.leader.next_order += 1;
                let boot = self.core.boot();
                if !self.lost.contains(&boot) {
                    self.say(run_of(number, boot, "sleep"));
                }
            }
            10..=12 if awake => {
                if let Some(order) = self.running.pop_first() {
                    self.input(|core, now, out| core.on_task_ended(now, order, output(), out));
                }
            }
            21 => {
                if let Some(order) = self.running.first() {
                    let order = *order;
                    self.say(ToWorker::Stop { order });
                }
            }
            13 if self.up && awake => {
                self.cut();
                self.input(|core, now, out| core.on_link_down(now, "cut", out));
            }
            14 if self.may_freeze => self.frozen_until = self.real + self.dice.below(2 * LEASE),
            15 => self.leader.frozen_until = self.real + self.dice.below(LEASE),
            // Another one leads; the worker hears of it, at times later.
            16 => {
                let clock = Clock::any(&mut self.dice);
                let next_order = self.leader.next_order;
                let waits_from = clock.at(self.real);
                self.leader = Leader { clock, waits_from, frozen_until: 0, next_order };
                self.cut();
                if awake {
                    self.input(|core, now, out| core.on_link_down(now, "closed", out));
                }
            }
            17..=20 if awake => {
                let port = 1 + u16::try_from(self.dice.below(2)).expect("small");
                self.input(|core, now, out| core.on_leader(now, Some(&door(port)), out));
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_runs_when_the_leader_may_give_it_to_another(seed in any::<u64>(), freeze in any::<bool>()) {
        let mut world = World::new(seed, freeze);
        for _ in 0..400 {
            world.step();
        }
    }
}

#[test]
fn the_worlds_of_this_test_run_orders_and_lose_workers() {
    let (mut runs, mut losses) = (0, 0);
    for seed in 0..20 {
        let mut world = World::new(seed, seed % 2 == 0);
        for _ in 0..400 {
            world.step();
        }
        runs += world.runs;
        losses += world.losses;
    }
    assert!(runs > 500 && losses > 20, "{runs} runs, {losses} losses");
}

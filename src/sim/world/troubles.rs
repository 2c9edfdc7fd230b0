//! What goes wrong, when its time has come.

use super::{Happening, LONG_PAUSE_MS, Machine, Mark, STOP_MAX, Trouble, World};
use std::time::Duration;

/// A journal writes its seal after 20 ms of silence; disks are slow.
const SEALED_AFTER: Duration = Duration::from_millis(100);

impl World {
    /// The power fails: of one machine, or of all.
    pub(super) fn cut_power(&mut self) {
        let count = self.machines.len() as u64;
        let one = usize::try_from(self.crashes.below(count)).expect("few");
        let is_all = self.crashes.chance(1, 3);
        for place in 0..self.machines.len() {
            if is_all || place == one {
                self.end(place, false);
                let machine = &mut self.machines[place];
                // Whoever starts a node again sees to its disk first.
                machine.disk.capacity = None;
                let is_lost = machine.disk.crash(&mut self.crashes.fork("disk"));
                self.report.marks.reach_if(Mark::SectorsLost, u64::from(is_lost));
            }
        }
        self.report.crashes += 1;
    }

    pub(super) fn make_trouble(&mut self) {
        let within = u64::try_from(self.faults.trouble_within.as_nanos()).unwrap_or(u64::MAX);
        let pause = Duration::from_nanos(self.troubles.below(within.max(1)));
        self.next_trouble = self.instant + pause;
        let Some(trouble) = self.faults.next_trouble(&mut self.troubles) else { return };
        let count = self.machines.len() as u64;
        let place = usize::try_from(self.troubles.below(count)).expect("few");
        let machine = &mut self.machines[place];
        match trouble {
            Trouble::Pause if machine.is_answering(self.instant) => {
                let most = if self.troubles.chance(1, 4) { 10 * LONG_PAUSE_MS } else { 50 };
                let ms = self.troubles.below(most);
                machine.paused_until = Some(self.instant + Duration::from_millis(ms));
                self.report.marks.reach_if(Mark::LongPause, u64::from(ms > LONG_PAUSE_MS));
            }
            Trouble::ClockJump => {
                let before = machine.clock.now(self.instant).wall;
                machine.clock.jump(self.faults.clocks, &mut self.troubles);
                let is_back = machine.clock.now(self.instant).wall < before;
                self.report.marks.reach_if(Mark::ClockBack, u64::from(is_back));
            }
            Trouble::Kill if machine.is_up() => {
                let is_unsynced = machine.disk.has_unsynced();
                self.report.marks.reach_if(Mark::KilledWithUnsynced, u64::from(is_unsynced));
                self.end(place, true);
                self.start_later(place);
            }
            Trouble::Stop if machine.is_up() => {
                machine.node.as_mut().expect("it is up").on_stop();
                let boot = machine.boot;
                self.put(self.instant + STOP_MAX, place, Happening::Kill(boot));
            }
            Trouble::Slow => {
                machine.slowness = 1 + self.troubles.below(self.faults.slowness_max.max(1));
                let slowness = self.faults.disks.slowness_max.max(1);
                machine.disk_slowness = 1 + self.troubles.below(slowness);
            }
            Trouble::Wipe if self.may_lose_disk(place) => {
                self.report.marks.reach(Mark::Wiped);
                self.lose_disk(place);
                self.start_later(place);
            }
            // What was just written may be durable without anything on the disk that says so: bits of
            // it that flip look like a write that a power cut tore (SOUNDNESS 2).
            Trouble::Rot if self.may_lose_disk(place) && self.is_sealed(place) => {
                self.end(place, true);
                let machine = &mut self.machines[place];
                machine.is_rotten = machine.disk.rot(&mut self.troubles);
                self.start_later(place);
            }
            Trouble::Pause | Trouble::Kill | Trouble::Stop | Trouble::Wipe | Trouble::Rot => {}
            trouble => self.make_network_trouble(trouble, place),
        }
    }

    /// A majority of the others survives: one after the other, and only where there are others.
    fn may_lose_disk(&self, place: usize) -> bool {
        let rotten = self.machines.iter().any(|machine| machine.is_rotten);
        self.machines.len() > 2
            && self.machines[place].is_up()
            && self.operator.is_idle()
            && !rotten
    }

    /// Whether the node's journal has said that all of it is durable.
    fn is_sealed(&self, place: usize) -> bool {
        self.instant.since(self.machines[place].written_at) > SEALED_AFTER
    }

    /// Whoever keeps the process running starts it again.
    pub(super) fn start_later(&mut self, place: usize) {
        if self.is_scripted {
            return;
        }
        let at = self.instant + Duration::from_millis(self.troubles.below(500));
        self.put(at, place, Happening::Start);
    }

    pub(super) fn make_network_trouble(&mut self, trouble: Trouble, place: usize) {
        let count = self.machines.len();
        let other = usize::try_from(self.troubles.below(count as u64)).expect("few");
        if count < 2 || (other == place && trouble != Trouble::Heal) {
            return;
        }
        match trouble {
            Trouble::Part if self.troubles.chance(1, 2) && count > 2 => {
                self.net(|network, now, out| network.part(now, &[place, other], out));
            }
            Trouble::Part => self.net(|network, now, out| network.part(now, &[place], out)),
            Trouble::IsolateLeader => {
                let leads = |machine: &Machine| {
                    machine.node.as_ref().is_some_and(|node| node.status().leading)
                };
                if let Some(leader) = self.machines.iter().position(leads) {
                    self.net(|network, now, out| network.part(now, &[leader], out));
                }
            }
            Trouble::CutOneWay => {
                self.net(|network, now, out| network.cut(now, place, other, out));
            }
            Trouble::Clog => {
                let ms = self.troubles.below(1_000);
                self.network.clog(place, other, self.instant + Duration::from_millis(ms));
            }
            Trouble::Reset => {
                self.net(|network, now, out| network.reset(now, place, other, out));
            }
            Trouble::Heal => self.network.heal(),
            Trouble::Pause
            | Trouble::ClockJump
            | Trouble::Kill
            | Trouble::Stop
            | Trouble::Wipe
            | Trouble::Rot
            | Trouble::Slow => {
                unreachable!("{trouble:?} is a machine's")
            }
        }
    }

    /// Full for long enough to use up the segments at hand, then somebody makes room.
    pub(super) fn fill_disk(&mut self) {
        if !self.faults.full_disk {
            return;
        }
        let place = usize::try_from(self.crashes.below(self.machines.len() as u64)).expect("few");
        let disk = &mut self.machines[place].disk;
        let is_filled = disk.capacity.is_none();
        let odds = if is_filled { 300 } else { 6_000 };
        if self.crashes.chance(1, odds) {
            disk.capacity = is_filled.then(|| disk.taken());
            self.report.full_disks += u32::from(is_filled);
            self.report.marks.reach_if(Mark::DiskFull, u64::from(is_filled));
        }
    }
}

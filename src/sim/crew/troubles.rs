//! What goes wrong with workers: their processes, machines and links.

use super::{Crew, Event, Orders, ms};
use crate::machine::Machine;
use crate::marks::{Mark, Marks};
use base::{Instant, Outbox};

/// Between two troubles, at most. Unit: milliseconds.
pub(super) const TROUBLE_MS: u64 = 400;

impl Crew {
    pub(super) fn make_trouble(
        &mut self,
        now: Instant,
        machines: &[Machine],
        marks: &mut Marks,
        out: &mut Orders,
    ) -> Result<(), String> {
        if self.is_calm {
            return Ok(());
        }
        out.events.push((now + ms(self.prng.below(TROUBLE_MS)), Event::Trouble));
        let at = usize::try_from(self.prng.below(self.workers.len() as u64)).expect("few");
        let place = usize::try_from(self.prng.below(3)).expect("few");
        let choice = self.prng.below(20);
        // Half of them are longer than a lease.
        let is_short = self.prng.chance(1, 2);
        let long = self.prng.below(if is_short { 300 } else { 4_000 });
        let until = now + ms(long);
        let shown = self.workers[at].clock(now);
        let is_up = self.workers[at].mind.is_some() && self.workers[at].idle_until().is_none();
        match choice {
            0..2 if is_up => {
                marks.reach(Mark::WorkerDied);
                self.end(now, at, out)?;
            }
            2..5 if is_up => self.workers[at].paused = Some(until),
            5..8 if is_up => {
                self.workers[at].frozen = Some((now, until));
                for task in self.workers[at].tasks.values() {
                    self.live.remove(&(task.order.instance, task.order.task));
                }
                out.events.push((until, Event::Thaw(at)));
            }
            8 if is_up => {
                let mut effects = Outbox::new();
                self.mind(at).on_stop(shown, shown + ms(long), &mut effects);
                self.carry_out(now, at, effects, machines, marks, out)?;
            }
            9..12 => {
                self.cut.insert((at, place));
            }
            12 => self.cut.extend((0..3).map(|place| (at, place))),
            13..18 => self.cut.clear(),
            _ => {}
        }
        Ok(())
    }

    /// A machine goes on: what has outlived its lease ends before anything runs.
    pub(super) fn thaw(&mut self, now: Instant, at: usize, out: &mut Orders) -> Result<(), String> {
        let worker = &mut self.workers[at];
        let Some((since, _)) = worker.frozen else { return Ok(()) };
        let is_over = worker.clock(now) >= worker.keep;
        for number in worker.tasks.keys().copied().collect::<Vec<_>>() {
            if is_over {
                let task = self.remove(now, at, number)?.expect("it was listed");
                self.report(now, at, task.order, None, out);
                continue;
            }
            let task = self.workers[at].tasks.get_mut(&number).expect("it was listed");
            task.ends = task.ends + now.since(since);
            let (ends, order) = (task.ends, task.order);
            if task.outcome.is_some() {
                out.events.push((ends, Event::Ends(at, number)));
            }
            if let Some(other) = self.live.insert((order.instance, order.task), at) {
                return Err(format!("worker {at} goes on with {order:?}, worker {other} runs it"));
            }
        }
        let worker = &mut self.workers[at];
        worker.frozen = None;
        let (keep, run) = (worker.when(worker.keep), worker.run);
        out.events.push((keep.max(now), Event::Watch(at, run)));
        Ok(())
    }
}

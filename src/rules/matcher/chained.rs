//! Matching where rules need other rules.
//!
//! A rule *holds* when its own conditions do and all that it needs holds. First all that hold are
//! found, whatever their rank, then they are put in order and cut behind the first that stops.
//!
//! A rule whose conditions hold but that lacks something waits at the first slot that is empty; who
//! fills a slot wakes those that wait there. So the work is linear in what is needed, however long
//! the chains, and rules that need each other in a circle just wait.
//!
//! Rules that continue from another one are looked at only when that one holds, and see the message
//! as it is then. It is made anew for each such view out of the message and the enrichments on the
//! way, most of the time one: that bounds what is kept at a time to two messages.

use super::{Buffers, Matcher, Read};
use crate::catalogue::{Catalogue, Matches, RuleIndex, View};
use crate::chains;
use crate::enrichment::{self, text};
use crate::links::Slot;
use crate::rule::Rule;
use crate::scan::Tape;
use expr::{JsonReader, Value};
use std::cell::OnceCell;

/// The buffers for chains; nothing in them is used without.
#[derive(Debug, Default)]
pub(super) struct Chained {
    work: Work,
    /// What a rule sees that continues from another one, and what it was made of.
    seen: Vec<u8>,
    before: Vec<u8>,
    views: Views,
}

/// What is kept between messages to look at views. One set serves all of them, one by one.
#[derive(Debug)]
struct Views {
    tape: Tape,
    base: Buffers,
    delta: Buffers,
    /// Counts views.
    number: u64,
}

impl Default for Views {
    fn default() -> Self {
        Self { tape: Tape::new(), base: Buffers::default(), delta: Buffers::default(), number: 0 }
    }
}

/// What is known of a message's rules so far.
#[derive(Debug, Default)]
struct Work {
    /// Counts messages.
    number: u64,
    slots: Vec<SlotState>,
    waiting: Vec<Waiting>,
    /// Rules that hold, and of which nobody knows yet.
    ready: Vec<RuleIndex>,
    /// Rules that hold and from which others may continue.
    due: Vec<(RuleIndex, Slot)>,
    /// Of the rules that hold and stop, the highest.
    stop: Option<RuleIndex>,
}

#[derive(Clone, Copy, Debug, Default)]
struct SlotState {
    /// The last message that filled it.
    filled: u64,
    /// The last message for which somebody waits, and who: the first of a list.
    asked: u64,
    first: u32,
}

/// A rule whose own conditions hold.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    rule: RuleIndex,
    /// The next who waits for the same slot.
    next: Option<u32>,
}

/// What a rule may be cut off by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The first rule that says `stop`.
    AtStop,
    /// Nothing: every rule that holds is wanted.
    Never,
}

impl Work {
    fn begin(&mut self, slots: usize) {
        self.number += 1;
        if self.slots.len() < slots {
            self.slots.resize(slots, SlotState::default());
        }
        self.waiting.clear();
        self.ready.clear();
        self.due.clear();
        self.stop = None;
    }

    /// Whether it matters if a rule's conditions hold: not behind a stop, unless others need it.
    fn wants(&self, catalogue: &Catalogue, rule: RuleIndex) -> bool {
        match self.stop {
            Some(stop) if catalogue.is_above(stop, rule) => catalogue.filled_by(rule).is_some(),
            _ => true,
        }
    }

    /// A rule's own conditions hold.
    fn offer(&mut self, catalogue: &Catalogue, rule: RuleIndex) {
        let needed = catalogue.needed_by(rule);
        let Some(slot) = needed.iter().find(|slot| !self.is_filled(**slot)) else {
            // Known at once, so that what ranks below need not be looked at.
            self.stop_at(catalogue, rule);
            self.ready.push(rule);
            return;
        };
        let number = self.number;
        let place = u32::try_from(self.waiting.len()).expect("catalogues are bounded");
        let state = &mut self.slots[slot.index()];
        let next = (state.asked == number).then_some(state.first);
        (state.asked, state.first) = (number, place);
        self.waiting.push(Waiting { rule, next });
    }

    fn is_filled(&self, slot: Slot) -> bool {
        self.slots[slot.index()].filled == self.number
    }

    fn stop_at(&mut self, catalogue: &Catalogue, rule: RuleIndex) {
        let is_first = |stop| catalogue.is_above(rule, stop);
        if catalogue.rule(rule).stop && self.stop.is_none_or(is_first) {
            self.stop = Some(rule);
        }
    }

    /// Takes the rules that hold, and those that were waiting for them.
    fn settle(&mut self, catalogue: &Catalogue, out: &mut Matches) {
        while let Some(rule) = self.ready.pop() {
            out.push(rule);
            let Some(slot) = catalogue.filled_by(rule) else { continue };
            let state = &mut self.slots[slot.index()];
            state.filled = self.number;
            let mut waiting = (state.asked == self.number).then_some(state.first);
            self.due.push((rule, slot));
            while let Some(at) = waiting {
                let Waiting { rule, next } = self.waiting[at as usize];
                waiting = next;
                self.offer(catalogue, rule);
            }
        }
    }
}

impl Matcher {
    /// Fills `out` with the rules that hold for the message on the tape, highest rank first.
    #[cold]
    #[inline(never)]
    pub(super) fn match_chains(
        &mut self,
        catalogue: &Catalogue,
        message: &[u8],
        cut: Cut,
        out: &mut Matches,
    ) {
        let Chained { work, seen, before, views } = &mut *self.chained;
        work.begin(catalogue.slots());
        let read = Read { tape: &self.tape, message, number: self.number };
        let (base, delta) = (&*catalogue.base, catalogue.delta.as_deref());
        let mut look = Look { catalogue, cut, work };
        self.looked_at += look.base(&read, &base.root, &mut self.base);
        if let Some(delta) = delta {
            self.looked_at += look.delta(&read, &delta.root, &mut self.delta);
        }
        let value = OnceCell::new();
        loop {
            look.work.settle(catalogue, out);
            let Some((rule, slot)) = look.work.due.pop() else { break };
            let of_base = base.links.view(slot);
            let of_delta = delta.and_then(|delta| delta.links.view(slot));
            // The delta's paths are those of the base and more.
            let Some(view) = of_delta.or(of_base) else { continue };
            let message = see(catalogue, rule, message, &value, (seen, before));
            // A message that was checked is enriched to one that is right.
            views.tape.scan_trusted(&view.program.paths, message);
            views.number += 1;
            let read = Read { tape: &views.tape, message, number: views.number };
            if let Some(view) = of_base {
                self.looked_at += look.base(&read, view, &mut views.base);
            }
            if let Some(view) = of_delta {
                self.looked_at += look.delta(&read, view, &mut views.delta);
            }
        }
        out.sort_unstable_by(|left, right| catalogue.compare(*left, *right));
        let stop = out.iter().position(|index| catalogue.rule(*index).stop);
        if let (Some(stop), Cut::AtStop) = (stop, cut) {
            out.truncate(stop + 1);
        }
    }

    /// Fills `out` with every rule that holds, also behind one that stops.
    pub(crate) fn holding(
        &mut self,
        catalogue: &Catalogue,
        message: &[u8],
        out: &mut Matches,
    ) -> Result<(), crate::BadMessage> {
        self.read(catalogue, message, out)?;
        self.match_chains(catalogue, message, Cut::Never, out);
        Ok(())
    }
}

/// Looks at rules.
struct Look<'w, 'c> {
    catalogue: &'c Catalogue,
    cut: Cut,
    work: &'w mut Work,
}

impl Look<'_, '_> {
    /// At those of the base. How many were looked at.
    fn base(&mut self, read: &Read<'_>, view: &View, buffers: &mut Buffers) -> usize {
        let is_alive = |catalogue: &Catalogue, at| !catalogue.is_dead(at);
        self.each(read, view, buffers, Catalogue::index_in_base, is_alive)
    }

    /// At those of the delta.
    fn delta(&mut self, read: &Read<'_>, view: &View, buffers: &mut Buffers) -> usize {
        self.each(read, view, buffers, Catalogue::index_in_delta, |_, _| true)
    }

    fn each(
        &mut self,
        read: &Read<'_>,
        view: &View,
        buffers: &mut Buffers,
        index: fn(u32) -> RuleIndex,
        is_alive: fn(&Catalogue, u32) -> bool,
    ) -> usize {
        let catalogue = self.catalogue;
        read.each(view, buffers, |at, holds| {
            let place = view.place(at);
            let rule = index(place);
            if !is_alive(catalogue, place)
                || self.cut == Cut::AtStop && !self.work.wants(catalogue, rule)
            {
                return false;
            }
            if holds() {
                self.work.offer(catalogue, rule);
            }
            true
        })
    }
}

/// The message as the rules see it that continue from a rule: enriched by all on the way. `value`
/// is the message as it came, once somebody needed it; nothing in it where no expression can read
/// it.
fn see<'s>(
    catalogue: &Catalogue,
    rule: RuleIndex,
    message: &'s [u8],
    value: &OnceCell<Option<Value>>,
    (seen, before): (&'s mut Vec<u8>, &'s mut Vec<u8>),
) -> &'s [u8] {
    let rule = catalogue.rule(rule);
    let find = |id: &str| -> Option<&Rule> { Some(catalogue.rule(catalogue.find(id)?)) };
    let mut way = chains::continued(rule, &find);
    way.push(rule);
    way.retain(|rule| !rule.enrich.is_empty());
    if way.is_empty() {
        return message;
    }
    let value = value.get_or_init(|| JsonReader::new().read(message).ok());
    let mut value = value.clone();
    for (at, rule) in way.iter().enumerate() {
        let edits = rule.enrich.edits(value.as_ref());
        seen.clear();
        text::splice(if at == 0 { message } else { before }, &edits, seen);
        let is_last = at + 1 == way.len();
        if !is_last {
            value = match value {
                Some(value) => Some(enrichment::edited(value.as_map(), 0, &edits).into()),
                // What it could not be read for may be gone.
                None => JsonReader::new().read(seen).ok(),
            };
            std::mem::swap(seen, before);
        }
    }
    seen
}

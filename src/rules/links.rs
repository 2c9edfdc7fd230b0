//! Which rules of a catalogue need which: ids as numbers, so that a match asks no id.
//!
//! Each id that some rule needs has a slot. A rule that holds fills the slot of its own id; one that
//! needs others holds once their slots are full. So base and delta need not know each other's
//! rules: a slot that nobody fills, because the rule is gone or disabled, stays empty.
//!
//! # Invariant
//! - A delta's slots are those of its base, and more.

use crate::catalogue::{Compiled, View};
use crate::rule::Rule;
use base::FixedState;
use hashbrown::HashMap;
use std::sync::Arc;

/// The place of an id that some rule needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(u32);

impl Slot {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a rule has to do with slots.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    /// `needed[start..end]` is what it requires. What it continues from is not among that: nobody
    /// looks at it before that holds.
    start: u32,
    end: u32,
    /// The slot that it fills, plus one; 0 is none.
    fills: u32,
}

/// The links of what is compiled at once.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// The ids that are not among the base's.
    slots: HashMap<Box<str>, Slot, FixedState>,
    /// How many slots there are, the base's included.
    count: usize,
    /// By rule; empty if no rule has any.
    rules: Vec<Link>,
    needed: Vec<Slot>,
    /// The rules that continue from another one, by its slot.
    views: HashMap<Slot, View, FixedState>,
    /// Of a delta: rules of the base that fill slots which the base does not have, by rule.
    of_base: Vec<(u32, Slot)>,
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).expect("catalogues are bounded")
}

impl Links {
    /// Of rules in the order of a [`Compiled`]; `from` is where those that continue from others
    /// begin.
    pub(crate) fn of(rules: &[Arc<Rule>], from: usize, base: Option<&Compiled>) -> Self {
        let mut links = Self { count: base.map_or(0, |base| base.links.count), ..Self::default() };
        for id in rules.iter().flat_map(|rule| rule.needs()) {
            if links.slot(id, base).is_none() {
                links.slots.insert(id.into(), Slot(narrow(links.count)));
                links.count += 1;
            }
        }
        if links.count == 0 {
            return links;
        }
        for rule in rules {
            let start = narrow(links.needed.len());
            for id in &rule.requires {
                let slot = links.slot(id, base).expect("every id that is needed has one");
                links.needed.push(slot);
            }
            let fills = links.slot(&rule.id, base).map_or(0, |slot| slot.0 + 1);
            links.rules.push(Link { start, end: narrow(links.needed.len()), fills });
        }
        if let Some(base) = base {
            let slots = links.slots.iter();
            links.of_base = slots.filter_map(|(id, slot)| Some((base.find(id)?, *slot))).collect();
            links.of_base.sort_unstable();
        }
        let mut at = from;
        for view in rules[from..].chunk_by(|a, b| a.continue_from == b.continue_from) {
            let id = view[0].continue_from.as_deref().expect("they continue from others");
            let slot = links.slot(id, base).expect("every id that is needed has one");
            // Paths of the base and more, so that one scan serves both.
            let paths = base.and_then(|base| base.links.views.get(&slot));
            let paths = paths.map(|view| view.program.paths.clone()).unwrap_or_default();
            links.views.insert(slot, View::of(at, view, paths));
            at += view.len();
        }
        links
    }

    fn slot(&self, id: &str, base: Option<&Compiled>) -> Option<Slot> {
        let of_base = base.and_then(|base| base.links.slots.get(id));
        of_base.or_else(|| self.slots.get(id)).copied()
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// What a rule requires.
    pub(crate) fn needed_by(&self, rule: u32) -> &[Slot] {
        let link = self.rules.get(rule as usize).copied().unwrap_or_default();
        &self.needed[link.start as usize..link.end as usize]
    }

    /// The slot that a rule of the same [`Compiled`] fills.
    pub(crate) fn filled_by(&self, rule: u32) -> Option<Slot> {
        let fills = self.rules.get(rule as usize)?.fills;
        fills.checked_sub(1).map(Slot)
    }

    /// The slot that a rule of the base fills, and that the base does not have.
    pub(crate) fn filled_by_base(&self, rule: u32) -> Option<Slot> {
        let at = self.of_base.binary_search_by_key(&rule, |(rule, _)| *rule).ok()?;
        Some(self.of_base[at].1)
    }

    /// The rules that continue from the rule of a slot.
    pub(crate) fn view(&self, slot: Slot) -> Option<&View> {
        self.views.get(&slot)
    }

    /// The rules that continue from the rule of an id.
    pub(crate) fn view_of(&self, id: &str, base: Option<&Compiled>) -> Option<&View> {
        self.view(self.slot(id, base)?)
    }

    /// What the tables take. Unit: bytes.
    pub(crate) fn bytes(&self) -> usize {
        let ids: usize = self.slots.keys().map(|id| id.len()).sum();
        ids + self.slots.allocation_size()
            + self.views.allocation_size()
            + self.views.values().map(View::bytes).sum::<usize>()
            + self.rules.capacity() * size_of::<Link>()
            + self.needed.capacity() * size_of::<Slot>()
            + self.of_base.capacity() * size_of::<(u32, Slot)>()
    }
}

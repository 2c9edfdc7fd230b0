//! Which rules of a catalogue a message matches.
//!
//! # Invariants
//! - The message is checked whole, whatever the catalogue: who gets `Ok` holds one JSON object. One
//!   that was checked before may be matched without that.
//! - Nothing is allocated once the buffers have grown to what messages need.
//! - What one message left behind never shows in the verdict of the next: everything that is kept
//!   carries the number of its message.

use crate::bad_message::BadMessage;
use crate::catalogue::{Catalogue, Compiled, Matches, View};
use crate::expression::MessageScope;
use crate::index::candidates::Candidates;
use crate::operator::Operator;
use crate::paths::Paths;
use crate::program::{Atom, AtomIndex, Group, Program, Shared, Step};
use crate::rule::Quantifier;
use crate::scan::{Cell, CellKind, Tape};
use crate::value::Seen;
use chained::{Chained, Cut};
use std::ops::ControlFlow;

mod chained;

/// The buffers of one core; works for any catalogue.
#[derive(Debug)]
pub struct Matcher {
    tape: Tape,
    base: Buffers,
    delta: Buffers,
    /// What the delta matched, until it is sorted in.
    from_delta: Matches,
    /// Rarely used, and large.
    chained: Box<Chained>,
    /// Asks for no field.
    nothing: Paths,
    /// Counts messages.
    number: u64,
    looked_at: usize,
}

/// What is kept between messages for one [`Compiled`].
#[derive(Debug, Default)]
struct Buffers {
    candidates: Candidates,
    /// By predicate, then by expression: the number of the message it was last evaluated for, twice,
    /// plus the verdict.
    verdicts: Vec<u64>,
}

impl Default for Matcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Matcher {
    /// Without any buffer yet.
    pub fn new() -> Self {
        Self {
            tape: Tape::new(),
            base: Buffers::default(),
            delta: Buffers::default(),
            from_delta: Matches::new(),
            chained: Box::default(),
            nothing: Paths::new(),
            number: 0,
            looked_at: 0,
        }
    }

    /// Fills `out`, which is emptied first, with the rules that match, highest rank first. A rule
    /// with `stop` that matches is the last one.
    pub fn matches(
        &mut self,
        catalogue: &Catalogue,
        message: &[u8],
        out: &mut Matches,
    ) -> Result<(), BadMessage> {
        self.read(catalogue, message, out)?;
        self.evaluate(catalogue, message, out);
        Ok(())
    }

    /// The same for a message that [`Self::matches`] has accepted before, perhaps with another
    /// catalogue: it is not checked again, and read no further than any rule asks for. If a key
    /// stands in it twice that no rule asked for then, the first one counts.
    ///
    /// Where rules continue from others the message is checked all the same: it may be written anew.
    /// Other bytes match nothing then, and anything else.
    pub fn matches_trusted(&mut self, catalogue: &Catalogue, message: &[u8], out: &mut Matches) {
        out.clear();
        self.looked_at = 0;
        if catalogue.is_chained() && self.tape.scan(&self.nothing, message).is_err() {
            return;
        }
        self.tape.scan_trusted(catalogue.paths(), message);
        self.number += 1;
        self.evaluate(catalogue, message, out);
    }

    /// Fills `out` with the rules that match the message that was read.
    #[allow(
        clippy::inline_always,
        reason = "a part of `matches`: a call costs one message in a hundred"
    )]
    #[inline(always)]
    fn evaluate(&mut self, catalogue: &Catalogue, message: &[u8], out: &mut Matches) {
        if catalogue.is_chained() {
            self.match_chains(catalogue, message, Cut::AtStop, out);
            return;
        }
        let (base, delta) = (&*catalogue.base, catalogue.delta.as_deref());
        let read = Read { tape: &self.tape, message, number: self.number };
        let has_dead = !catalogue.dead.is_empty();
        self.looked_at += read.matches(base, &mut self.base, |at| {
            if has_dead && catalogue.is_dead(at) {
                return false;
            }
            out.push(Catalogue::index_in_base(at));
            true
        });
        let Some(delta) = delta else { return };
        let from_delta = &mut self.from_delta;
        from_delta.clear();
        self.looked_at += read.matches(delta, &mut self.delta, |at| {
            from_delta.push(Catalogue::index_in_delta(at));
            true
        });
        sort_in(catalogue, from_delta, out);
    }

    /// Begins with a message: brings what rules ask for onto the tape.
    #[inline]
    fn read(
        &mut self,
        catalogue: &Catalogue,
        message: &[u8],
        out: &mut Matches,
    ) -> Result<(), BadMessage> {
        out.clear();
        self.looked_at = 0;
        self.tape.scan(catalogue.paths(), message)?;
        self.number += 1;
        Ok(())
    }

    /// How many rules were held against the last message, one by one.
    pub fn looked_at(&self) -> usize {
        self.looked_at
    }

    /// The cells of the last message: for explanations.
    pub(crate) fn tape(&self) -> &Tape {
        &self.tape
    }
}

/// Two lists in the order of rank become one, up to the first rule that stops.
fn sort_in(catalogue: &Catalogue, added: &Matches, out: &mut Matches) {
    for index in added {
        let at = out.partition_point(|other| catalogue.is_above(*other, *index));
        out.insert(at, *index);
    }
    let stop = out.iter().position(|index| catalogue.rule(*index).stop);
    if let Some(stop) = stop {
        out.truncate(stop + 1);
    }
}

/// A message that was read.
struct Read<'m> {
    tape: &'m Tape,
    message: &'m [u8],
    number: u64,
}

impl Read<'_> {
    /// Calls `matched` with the rules that match, in the order of rank, up to the first that it
    /// takes and that stops. How many were looked at.
    #[inline]
    fn matches(
        &self,
        compiled: &Compiled,
        buffers: &mut Buffers,
        mut matched: impl FnMut(u32) -> bool,
    ) -> usize {
        let view = &compiled.root;
        if view.len() == 0 {
            return 0;
        }
        let (mut evaluation, candidates) = self.candidates(view, buffers);
        let mut looked_at = 0;
        candidates.drain(|rule| {
            looked_at += 1;
            let start = evaluation.program.starts[rule as usize] as usize;
            if evaluation.step(start) && matched(rule) && compiled.stops(rule) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        looked_at
    }

    /// Calls `visit` with each rule of a view that may match, in the order of rank, and with what
    /// evaluates its conditions. `visit` says whether it did look at the rule; how many it did.
    fn each(
        &self,
        view: &View,
        buffers: &mut Buffers,
        mut visit: impl FnMut(u32, &mut dyn FnMut() -> bool) -> bool,
    ) -> usize {
        if view.len() == 0 {
            return 0;
        }
        let (mut evaluation, candidates) = self.candidates(view, buffers);
        let mut looked_at = 0;
        candidates.drain(|rule| {
            let start = evaluation.program.starts[rule as usize] as usize;
            looked_at += usize::from(visit(rule, &mut || evaluation.step(start)));
            ControlFlow::Continue(())
        });
        looked_at
    }

    /// Asks the index.
    #[inline]
    fn candidates<'b>(
        &'b self,
        view: &'b View,
        buffers: &'b mut Buffers,
    ) -> (Evaluation<'b>, &'b mut Candidates) {
        let View { program, index, .. } = view;
        if buffers.verdicts.len() < program.verdicts() {
            buffers.verdicts.resize(program.verdicts(), 0);
        }
        buffers.candidates.fit(view.len(), index.layers());
        index.candidates(self.tape, self.message, &mut buffers.candidates);
        let evaluation = Evaluation {
            program,
            tape: self.tape,
            message: self.message,
            verdicts: &mut buffers.verdicts,
            number: self.number,
        };
        (evaluation, &mut buffers.candidates)
    }
}

struct Evaluation<'m> {
    program: &'m Program,
    tape: &'m Tape,
    message: &'m [u8],
    verdicts: &'m mut [u64],
    number: u64,
}

/// The positions of the bits that are set.
fn bits(mut of: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if of == 0 {
            return None;
        }
        let bit = of.trailing_zeros() as usize;
        of &= of - 1;
        Some(bit)
    })
}

impl Evaluation<'_> {
    /// Recursion: bounded by the nesting of the rule's text.
    fn step(&mut self, at: usize) -> bool {
        match self.program.steps[at] {
            Step::Atom(atom) => self.atom(atom),
            Step::Shared(shared) => self.shared(&self.program.shared[shared as usize]),
            Step::Expression(expression) => self.expression(expression as usize),
            Step::Group { group, end } => {
                let mut member = at + 1;
                while member < end as usize {
                    match (group, self.step(member)) {
                        (Group::All, false) | (Group::None, true) => return false,
                        (Group::Any, true) => return true,
                        _ => {}
                    }
                    member = self.program.after(member);
                }
                group != Group::Any
            }
        }
    }

    /// Whether a predicate holds for any value of its field.
    fn atom(&mut self, index: AtomIndex) -> bool {
        if !self.program.is_repeated(index) {
            return self.evaluate(&self.program.atoms[index.index()]);
        }
        let known = self.verdicts[index.index()];
        if known >> 1 == self.number {
            return known & 1 == 1;
        }
        let holds = self.evaluate(&self.program.atoms[index.index()]);
        self.verdicts[index.index()] = self.number << 1 | u64::from(holds);
        holds
    }

    #[cold]
    fn expression(&mut self, at: usize) -> bool {
        let program = self.program;
        let place = program.atoms.len() + at;
        let known = self.verdicts[place];
        if known >> 1 == self.number {
            return known & 1 == 1;
        }
        let scope = MessageScope::new(&program.paths, self.tape, self.message);
        let holds = matches!(program.expressions[at].evaluate_bool(&scope), Ok(true));
        self.verdicts[place] = self.number << 1 | u64::from(holds);
        holds
    }

    #[inline]
    fn evaluate(&self, atom: &Atom) -> bool {
        // Mostly there is one value, or none.
        if atom.quantifier == Quantifier::Any
            && let Some(cell) = self.tape.only(atom.path)
            && let Some(seen) = Seen::of(self.tape, self.message, cell)
        {
            return atom.operator.holds(&seen, cell.is_element);
        }
        self.evaluate_many(atom)
    }

    fn evaluate_many(&self, atom: &Atom) -> bool {
        let holds = |cell: &Cell| {
            let seen = Seen::of(self.tape, self.message, cell);
            seen.map(|seen| atom.operator.holds(&seen, cell.is_element))
        };
        let mut cells = self.tape.cells_of(atom.path);
        match (&atom.operator, atom.quantifier) {
            (Operator::Exists, _) => cells.next().is_some(),
            (Operator::NotExists, _) => cells.next().is_none(),
            (_, Quantifier::Any) => cells.any(|cell| holds(cell) == Some(true)),
            (_, Quantifier::None) => cells.all(|cell| holds(cell) != Some(true)),
            (_, Quantifier::All) => {
                let mut count = 0;
                let all = cells.filter_map(holds).all(|holds| {
                    count += 1;
                    holds
                });
                all && count > 0
            }
        }
    }

    fn shared(&mut self, shared: &Shared) -> bool {
        // What holds for one element holds for some element. Not so for absence: `x` may be absent
        // from the element that matches and be there in others.
        let has_array = self.tape.has_array();
        for (bit, member) in shared.members.iter().enumerate() {
            let is_absence = shared.absent >> bit & 1 == 1;
            let is_later = has_array && is_absence;
            if !is_later && !self.atom(member.atom) {
                return false;
            }
        }
        let all = u64::MAX >> (64 - shared.members.len());
        !has_array || self.together(shared, all, 0, 0)
    }

    fn operator(&self, shared: &Shared, member: usize) -> &Operator {
        &self.program.atoms[shared.members[member].atom.index()].operator
    }

    /// Whether the members hold together for the value at `cell`, `depth` keys below the top.
    /// Recursion: bounded by the nesting of the message.
    fn together(&self, shared: &Shared, members: u64, cell: u32, depth: usize) -> bool {
        let here = self.tape.cell(cell);
        if here.kind == CellKind::Array {
            return self.together_in_array(shared, members, cell, depth);
        }
        let seen = Seen::of(self.tape, self.message, here).expect("is not an array");
        let mut deeper: u64 = 0;
        for member in bits(members) {
            if shared.members[member].lineage.len() > depth {
                deeper |= 1 << member;
            } else if !self.operator(shared, member).holds(&seen, here.is_element) {
                return false;
            }
        }
        self.below(shared, deeper, cell, depth)
    }

    /// Whether members hold together whose next steps lead from the value at `cell` to a key or to an
    /// index.
    fn below(&self, shared: &Shared, members: u64, cell: u32, depth: usize) -> bool {
        let here = self.tape.cell(cell);
        let mut deeper = members;
        while deeper != 0 {
            let next = |member: usize| shared.members[member].lineage[depth];
            let path = next(deeper.trailing_zeros() as usize);
            let same = bits(deeper).filter(|member| next(*member) == path);
            let same = same.fold(0_u64, |set, member| set | 1 << member);
            deeper &= !same;
            // A value that is neither object nor array has no cells inside. In an array those of
            // indexes come before those of any elements, which have the array's path.
            let mut child = cell + 1;
            while child < here.end {
                let other = self.tape.cell(child);
                if other.path == path {
                    break;
                }
                child = if other.path == here.path { here.end } else { other.end };
            }
            let holds = if child < here.end {
                self.together(shared, same, child, depth + 1)
            } else {
                same & !shared.absent == 0
            };
            if !holds {
                return false;
            }
        }
        true
    }

    fn together_in_array(&self, shared: &Shared, members: u64, cell: u32, depth: usize) -> bool {
        let here = self.tape.cell(cell);
        let mut of_elements = members;
        let mut of_indexes = 0;
        for member in bits(members) {
            if let Some(next) = shared.members[member].lineage.get(depth) {
                if self.program.paths.index(*next).is_some() {
                    of_indexes |= 1 << member;
                }
                continue;
            }
            // Three operators ask about the array as a whole.
            let holds = match self.operator(shared, member) {
                Operator::Exists => true,
                Operator::NotExists => false,
                operator @ Operator::Contains(_) => (cell..here.end).skip(1).any(|at| {
                    let element = self.tape.cell(at);
                    element.path == here.path
                        && Seen::of(self.tape, self.message, element)
                            .is_some_and(|seen| operator.holds(&seen, true))
                }),
                _ => continue,
            };
            if !holds {
                return false;
            }
            of_elements &= !(1 << member);
        }
        of_elements &= !of_indexes;
        if !self.below(shared, of_indexes, cell, depth) {
            return false;
        }
        if of_elements == 0 {
            return true;
        }
        // Absence alone is asked of every element, anything else of one.
        let wants_every = of_elements & !shared.absent == 0;
        let mut element = cell + 1;
        while element < here.end {
            let Cell { path, end, .. } = *self.tape.cell(element);
            let is_any = path == here.path;
            if is_any && self.together(shared, of_elements, element, depth) != wants_every {
                return !wants_every;
            }
            element = end;
        }
        wants_every
    }
}

#[cfg(test)]
mod tests;

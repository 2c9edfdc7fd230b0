//! Which rules of a catalogue a message matches.
//!
//! # Invariants
//! - The message is checked whole, whatever the catalogue: who gets `Ok` holds one JSON object.
//! - Nothing is allocated once the buffers have grown to what messages need.
//! - What one message left behind never shows in the verdict of the next: everything that is kept
//!   carries the number of its message.

use crate::bad_message::BadMessage;
use crate::catalogue::{Catalogue, Matches, RuleIndex};
use crate::index::Candidates;
use crate::operator::Operator;
use crate::program::{AtomIndex, Group, Program, Shared, Step};
use crate::scan::{CellKind, Tape};
use crate::value::Seen;
use std::ops::ControlFlow;

/// The buffers of one core; works for any catalogue.
#[derive(Debug)]
pub struct Matcher {
    tape: Tape,
    candidates: Candidates,
    /// By predicate: the number of the message it was last evaluated for, twice, plus the verdict.
    verdicts: Vec<u64>,
    /// Counts messages.
    number: u64,
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
            candidates: Candidates::default(),
            verdicts: Vec::new(),
            number: 0,
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
        out.clear();
        let program = &catalogue.program;
        let text = self.tape.scan(&program.paths, message)?;
        if catalogue.is_empty() {
            return Ok(());
        }
        self.number += 1;
        self.verdicts.resize(program.atoms.len(), 0);
        self.candidates.fit(catalogue.len());
        catalogue.index.candidates(&self.tape, text, &mut self.candidates);
        let mut evaluation = Evaluation {
            program,
            tape: &self.tape,
            message: text,
            verdicts: &mut self.verdicts,
            number: self.number,
        };
        self.candidates.drain(|rule| {
            if !evaluation.step(program.starts[rule as usize] as usize) {
                return ControlFlow::Continue(());
            }
            let index = RuleIndex(rule);
            out.push(index);
            if catalogue.rule(index).stop {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        Ok(())
    }
}

struct Evaluation<'m> {
    program: &'m Program,
    tape: &'m Tape,
    message: &'m str,
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
        let known = self.verdicts[index.index()];
        if known >> 1 == self.number {
            return known & 1 == 1;
        }
        let atom = &self.program.atoms[index.index()];
        let holds = match &atom.operator {
            Operator::Exists => self.tape.first(atom.path).is_some(),
            Operator::NotExists => self.tape.first(atom.path).is_none(),
            operator => self.tape.cells_of(atom.path).any(|cell| {
                Seen::of(self.tape, self.message, cell)
                    .is_some_and(|seen| operator.holds(&seen, cell.is_element))
            }),
        };
        self.verdicts[index.index()] = self.number << 1 | u64::from(holds);
        holds
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
        while deeper != 0 {
            let next = |member: usize| shared.members[member].lineage[depth];
            let path = next(deeper.trailing_zeros() as usize);
            let same = bits(deeper).filter(|member| next(*member) == path);
            let same = same.fold(0_u64, |set, member| set | 1 << member);
            deeper &= !same;
            // A value that is no object has no cells inside.
            let mut child = cell + 1;
            while child < here.end && self.tape.cell(child).path != path {
                child = self.tape.cell(child).end;
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
        for member in bits(members) {
            if shared.members[member].lineage.len() > depth {
                continue;
            }
            // Three operators ask about the array as a whole.
            let holds = match self.operator(shared, member) {
                Operator::Exists => true,
                Operator::NotExists => false,
                operator @ Operator::Contains(_) => (cell + 1..here.end).any(|at| {
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
        if of_elements == 0 {
            return true;
        }
        // Absence alone is asked of every element, anything else of one.
        let wants_every = of_elements & !shared.absent == 0;
        let mut element = cell + 1;
        while element < here.end {
            if self.together(shared, of_elements, element, depth) != wants_every {
                return !wants_every;
            }
            element = self.tape.cell(element).end;
        }
        wants_every
    }
}

#[cfg(test)]
mod tests;

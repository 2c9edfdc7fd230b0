//! Clients that number their messages and send again what had no answer: across power cuts, twice at
//! once, to another core, while the first try is still on its way.
//!
//! What is checked: a number is one message for ever, whatever was sent how often; and after the
//! last cut each number that was given out is there exactly once.

use base::{MessageId, Prng};
use engine::{LineResult, SubmitResults};
use std::ops::Range;

/// Clients of one world.
const PRODUCERS: u64 = 3;
/// Messages of one submission at most.
const TOGETHER_MAX: u64 = 6;
/// Numbers from the first one without an answer on. Less than the window that a node keeps.
const AHEAD_MAX: u64 = 300;

/// One client.
#[derive(Debug)]
struct Producer {
    id: u64,
    /// By number, from 1: what the message says, and its id once that was told.
    messages: Vec<(u64, Option<MessageId>)>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Producers {
    clients: Vec<Producer>,
    prng: Prng,
}

/// A submission: whose, which numbers, and whether the client had had an answer before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    client: usize,
    numbers: Range<u64>,
    begun: bool,
}

/// What an answer says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Messages that are acknowledged: what they say, and their ids.
    pub(crate) acknowledged: Vec<(u64, MessageId)>,
    /// How many of them had come before.
    pub(crate) repeated: u64,
    /// How many were refused for now.
    pub(crate) refused: u64,
}

impl Producer {
    /// The first number without an answer.
    fn open(&self) -> u64 {
        let at = self.messages.iter().position(|(_, id)| id.is_none());
        at.unwrap_or(self.messages.len()) as u64 + 1
    }

    fn next(&self) -> u64 {
        self.messages.len() as u64 + 1
    }
}

fn at(number: u64) -> usize {
    usize::try_from(number - 1).expect("a run is short")
}

impl Producers {
    pub(crate) fn new(mut prng: Prng) -> Self {
        let client = |_| Producer { id: prng.next_u64() | 1, messages: Vec::new() };
        Self { clients: (0..PRODUCERS).map(client).collect(), prng }
    }

    /// Whether now is a producer's turn among the clients.
    pub(crate) fn is_next(&mut self) -> bool {
        self.prng.chance(1, 4)
    }

    /// What some client sends next: new messages, or again what had no answer, or even what had.
    pub(crate) fn send(&mut self, next_nonce: &mut u64) -> Sent {
        let index = usize::try_from(self.prng.below(PRODUCERS)).expect("few");
        let (choice, count) = (self.prng.below(4), 1 + self.prng.below(TOGETHER_MAX));
        let back = self.prng.below(AHEAD_MAX);
        let client = &mut self.clients[index];
        let (open, next) = (client.open(), client.next());
        let first = match choice {
            0 if open < next => open,
            1 if next > 1 => (next - 1).saturating_sub(back).max(1),
            _ if next - open < AHEAD_MAX - TOGETHER_MAX => next,
            _ => open,
        };
        let new = first == next;
        if new {
            let nonces = *next_nonce..*next_nonce + count;
            *next_nonce = nonces.end;
            client.messages.extend(nonces.map(|nonce| (nonce, None)));
        }
        let numbers = first..(first + count).min(client.next());
        let begun = client.messages.iter().any(|(_, id)| id.is_some());
        Sent { client: index, numbers, begun }
    }

    /// Everything that some clients still have no answer for.
    pub(crate) fn left(&self) -> Vec<Sent> {
        let clients = self.clients.iter().enumerate();
        clients
            .filter(|(_, client)| client.open() < client.next())
            .map(|(index, client)| {
                let begun = client.open() > 1;
                Sent { client: index, numbers: client.open()..client.next(), begun }
            })
            .collect()
    }

    /// Whose numbers they are, the first of them, and what each message says.
    pub(crate) fn of(&self, sent: &Sent) -> (u64, u64, Vec<u64>) {
        let client = &self.clients[sent.client];
        let nonces = sent.numbers.clone().map(|number| client.messages[at(number)].0).collect();
        (client.id, sent.numbers.start, nonces)
    }

    /// An answer has come.
    pub(crate) fn on_results(
        &mut self,
        sent: &Sent,
        results: &SubmitResults,
    ) -> Result<Told, String> {
        let mut told = Told::default();
        let lines = match results {
            SubmitResults::Lines(lines) => lines,
            SubmitResults::Refused(error) if is_passing(error) => {
                told.refused = 1;
                return Ok(told);
            }
            SubmitResults::Refused(error) => return Err(format!("{sent:?} was refused: {error}")),
        };
        if lines.len() as u64 != sent.numbers.end - sent.numbers.start {
            return Err(format!("{sent:?} was told of {} messages", lines.len()));
        }
        let client = &mut self.clients[sent.client];
        for (number, line) in sent.numbers.clone().zip(lines) {
            let (nonce, known) = &mut client.messages[at(number)];
            let id = match line {
                LineResult::Accepted { id, .. } => *id,
                LineResult::Duplicate { id, .. } => {
                    told.repeated += 1;
                    *id
                }
                LineResult::Refused(error)
                    if is_passing(error)
                        || (error.code == api::Code::UnknownProducer && !sent.begun) =>
                {
                    told.refused += 1;
                    continue;
                }
                line => return Err(format!("number {number} of {sent:?} was told {line:?}")),
            };
            if *known.get_or_insert(id) != id {
                return Err(format!("number {number} of {sent:?} stands for {known:?} and {id}"));
            }
            told.acknowledged.push((*nonce, id));
        }
        Ok(told)
    }
}

/// Whether the same may be taken later.
fn is_passing(error: &api::ApiError) -> bool {
    matches!(error.code.status(), 429 | 503)
}

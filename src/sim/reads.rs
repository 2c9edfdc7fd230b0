//! Clients that read what they, or others, sent. With the answers of `clients` their history is
//! linearisable, or it is said where it is not: a message is there from the moment on in which
//! anybody was told so, for whoever asks later, on any node.
//!
//! A message never goes again while a world runs, and its id is given by the log: so the register of
//! an id is written once, and a history is linearisable exactly if no read that begins after an
//! acknowledgement or after another read's end that saw it denies it.

use crate::clients::Clients;
use crate::marks::{Mark, Marks};
use base::{MessageId, Prng};
use engine::RequestId;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A read under way.
#[derive(Debug, Clone, Copy)]
struct Asked {
    place: usize,
    id: MessageId,
    /// Somebody was told that it is there before this read began.
    is_there: bool,
}

/// Whoever reads.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) prng: Prng,
    asked: BTreeMap<RequestId, Asked>,
    /// What somebody was told to be there, by any node.
    seen: BTreeSet<MessageId>,
    /// How much of what clients were told is in it.
    heard: usize,
    /// Reads that were answered by a message.
    pub(crate) found: u64,
}

impl Readers {
    pub(crate) fn new(prng: Prng) -> Self {
        Self { prng, asked: BTreeMap::new(), seen: BTreeSet::new(), heard: 0, found: 0 }
    }

    /// A message to read: mostly one of the last, which some node may not have yet, or the one that
    /// comes behind it, which nobody was told of.
    pub(crate) fn choose(&mut self, clients: &Clients) -> Option<MessageId> {
        let told = &clients.told;
        let back = if self.prng.chance(1, 4) { told.len() as u64 } else { 4 };
        let back = usize::try_from(self.prng.below(back.max(1))).expect("few");
        let id = *told.iter().rev().nth(back)?;
        let next = self.prng.chance(1, 4);
        Some(MessageId::new(id.partition(), id.sequence() + u64::from(next)))
    }

    /// A read begins at the node at `place`.
    pub(crate) fn ask(
        &mut self,
        place: usize,
        request: RequestId,
        id: MessageId,
        clients: &Clients,
    ) {
        for told in &clients.told[self.heard..] {
            self.seen.insert(*told);
        }
        self.heard = clients.told.len();
        let is_there = self.seen.contains(&id);
        self.asked.insert(request, Asked { place, id, is_there });
    }

    /// The node at `place` is gone, and all answers that it owed.
    pub(crate) fn on_lost(&mut self, place: usize) {
        self.asked.retain(|_, asked| asked.place != place);
    }

    /// Reads without an answer yet.
    pub(crate) fn waiting(&self) -> usize {
        self.asked.len()
    }

    /// An answer has come. Whether it was to a read.
    pub(crate) fn on_reply(
        &mut self,
        request: RequestId,
        response: &api::Response,
        clients: &Clients,
        marks: &mut Marks,
    ) -> Result<bool, String> {
        let Some(Asked { place, id, is_there }) = self.asked.remove(&request) else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(&response.body);
        match response.status {
            200 => {
                self.found += 1;
                self.seen.insert(id);
                let shown: Value = serde_json::from_str(&text)
                    .map_err(|error| format!("a message is shown as no JSON: {error}: {text}"))?;
                let nonce = &shown["message"]["nonce"];
                let sent = clients.acknowledged.get(&id).map(|told| told.nonce);
                if sent.is_some_and(|sent| *nonce != sent) {
                    return Err(format!("message {id} of {sent:?} is shown as {text}"));
                }
            }
            404 if is_there => {
                return Err(format!(
                    "message {id} was known to be there, and machine {} denies it: {text}",
                    place + 1
                ));
            }
            404 => marks.reach(Mark::ReadTooEarly),
            // It starts, finds nobody who leads, or has too many that wait for that.
            429 | 503 => marks.reach(Mark::ReadRefused),
            status => return Err(format!("a read of {id} was answered {status}: {text}")),
        }
        Ok(true)
    }
}

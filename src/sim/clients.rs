//! Clients: they send to some node, remember what they were told, and try again elsewhere.
//!
//! What is checked as answers come: a key's repeat gets the first answer, whatever happened in
//! between, and so does a producer's (see `producers`); no id stands for two messages.

use crate::marks::{Mark, Marks};
use crate::producers::{Producers, Sent, Told};
use base::{MessageId, Prng};
use engine::{RequestId, SubmitResults};
use serde_json::Value;
use std::collections::BTreeMap;

/// A request under way: a message of this nonce; its key is the same number.
#[derive(Debug, Clone, Copy)]
struct Asked {
    place: usize,
    nonce: u64,
    keyed: bool,
}

/// What was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledged {
    pub(crate) nonce: u64,
    keyed: bool,
}

/// A message to be sent.
pub(crate) struct Post {
    pub(crate) request: RequestId,
    pub(crate) body: String,
    pub(crate) key: Option<String>,
}

/// Several messages of a producer to be sent.
pub(crate) struct Produced {
    pub(crate) request: RequestId,
    pub(crate) producer: u64,
    pub(crate) sequence: u64,
    pub(crate) bodies: Vec<String>,
}

/// All clients of a world.
pub(crate) struct Clients {
    pub(crate) prng: Prng,
    producers: Producers,
    asked: BTreeMap<RequestId, Asked>,
    sent: BTreeMap<RequestId, (usize, Sent)>,
    pub(crate) acknowledged: BTreeMap<MessageId, Acknowledged>,
    /// The same in the order in which it was told.
    pub(crate) told: Vec<MessageId>,
    by_key: BTreeMap<u64, MessageId>,
    /// Keyed messages whose answer was lost or a refusal.
    again: Vec<u64>,
    pub(crate) next_nonce: u64,
    next_request: u64,
    /// Requests refused for now.
    pub(crate) refused: u64,
    /// Repeats of a key that were told the first answer.
    pub(crate) duplicates: u64,
    /// Numbers of producers that were told their first answer.
    pub(crate) repeated: u64,
}

impl Clients {
    pub(crate) fn new(prng: Prng, producers: Prng) -> Self {
        Self {
            prng,
            producers: Producers::new(producers),
            asked: BTreeMap::new(),
            sent: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            told: Vec::new(),
            by_key: BTreeMap::new(),
            again: Vec::new(),
            next_nonce: 1,
            next_request: 1,
            refused: 0,
            duplicates: 0,
            repeated: 0,
        }
    }

    /// A new request's name.
    pub(crate) fn request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request - 1)
    }

    /// Whether now is a producer's turn.
    pub(crate) fn is_producers_turn(&mut self) -> bool {
        self.producers.is_next()
    }

    /// A message for the node at `place`: a new one, or one that was sent before.
    pub(crate) fn post(&mut self, place: usize, marks: &mut Marks) -> Post {
        // A third has a key, and some repeat an old one, with its old body.
        let nonce = self.next_nonce;
        let keyed = self.prng.chance(1, 3);
        let (nonce, keyed) = if !self.again.is_empty() && self.prng.chance(1, 2) {
            marks.reach(Mark::KeyRetried);
            let at = self.prng.below(self.again.len() as u64);
            (self.again.swap_remove(usize::try_from(at).expect("few")), true)
        } else if !self.by_key.is_empty() && self.prng.chance(1, 6) {
            let at = usize::try_from(self.prng.below(self.by_key.len() as u64)).expect("few");
            (*self.by_key.keys().nth(at).expect("below the length"), true)
        } else {
            self.next_nonce += 1;
            (nonce, keyed)
        };
        let request = self.request();
        self.asked.insert(request, Asked { place, nonce, keyed });
        Post { request, body: body(nonce), key: keyed.then(|| format!("key-{nonce}")) }
    }

    /// This very message, for the node at `place`.
    pub(crate) fn post_given(&mut self, place: usize, nonce: u64, keyed: bool) -> Post {
        self.next_nonce = self.next_nonce.max(nonce + 1);
        let request = self.request();
        self.asked.insert(request, Asked { place, nonce, keyed });
        Post { request, body: body(nonce), key: keyed.then(|| format!("key-{nonce}")) }
    }

    /// What a producer sends to the node at `place`: new messages or old ones.
    pub(crate) fn produce(&mut self, place: usize) -> Produced {
        let sent = self.producers.send(&mut self.next_nonce);
        self.produced(place, sent)
    }

    /// What producers still have no answer for, for the nodes at `place` and after it.
    pub(crate) fn left(&mut self, place: impl Fn(usize) -> usize) -> Vec<Produced> {
        let left = self.producers.left().into_iter().enumerate();
        left.map(|(at, sent)| self.produced(place(at), sent)).collect()
    }

    fn produced(&mut self, place: usize, sent: Sent) -> Produced {
        let (producer, sequence, nonces) = self.producers.of(&sent);
        let request = self.request();
        self.sent.insert(request, (place, sent));
        Produced { request, producer, sequence, bodies: nonces.into_iter().map(body).collect() }
    }

    /// Requests without an answer yet.
    pub(crate) fn waiting(&self) -> usize {
        self.asked.len() + self.sent.len()
    }

    /// The node at `place` is gone, and all answers that it owed. Their number.
    pub(crate) fn on_lost(&mut self, place: usize) -> u64 {
        let before = self.waiting();
        let gone = self.asked.values().filter(|asked| asked.place == place && asked.keyed);
        self.again.extend(gone.map(|asked| asked.nonce));
        self.asked.retain(|_, asked| asked.place != place);
        self.sent.retain(|_, (at, _)| *at != place);
        (before - self.waiting()) as u64
    }

    /// An answer to a single message has come, or to something nobody keeps account of.
    pub(crate) fn on_reply(
        &mut self,
        request: RequestId,
        response: &api::Response,
    ) -> Result<(), String> {
        let Some(asked) = self.asked.remove(&request) else { return Ok(()) };
        let text = String::from_utf8_lossy(&response.body).into_owned();
        let body: Value = serde_json::from_str(&text)
            .map_err(|error| format!("an answer is no JSON: {error}: {text}"))?;
        match response.status {
            202 => {}
            // Refusals of a node that starts, or is asked too much, or does not know the outcome.
            429 | 503 => {
                self.refused += 1;
                if asked.keyed {
                    self.again.push(asked.nonce);
                }
                return Ok(());
            }
            status => return Err(format!("message {} was answered {status}: {text}", asked.nonce)),
        }
        let id: MessageId = body["message_id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .ok_or_else(|| format!("an answer without an id: {text}"))?;
        if body["status"] == "duplicate" {
            self.duplicates += 1;
        }
        if let Some(known) = self.acknowledged.get(&id)
            && (known.nonce != asked.nonce || !known.keyed)
        {
            return Err(format!(
                "message {} got the id {id} of message {}",
                asked.nonce, known.nonce
            ));
        }
        if asked.keyed {
            let first = *self.by_key.entry(asked.nonce).or_insert(id);
            if first != id {
                return Err(format!("key {} stands for {first} and for {id}", asked.nonce));
            }
        }
        self.acknowledged.insert(id, Acknowledged { nonce: asked.nonce, keyed: asked.keyed });
        self.told.push(id);
        Ok(())
    }

    /// An answer to a producer has come.
    pub(crate) fn on_results(
        &mut self,
        request: RequestId,
        results: &SubmitResults,
    ) -> Result<(), String> {
        let Some((_, sent)) = self.sent.remove(&request) else {
            return Err(format!("{request:?} was answered twice"));
        };
        let Told { acknowledged, repeated, refused } = self.producers.on_results(&sent, results)?;
        self.repeated += repeated;
        self.refused += refused;
        for (nonce, id) in acknowledged {
            self.told.push(id);
            let told = Acknowledged { nonce, keyed: false };
            if let Some(known) = self.acknowledged.insert(id, told)
                && known.nonce != nonce
            {
                return Err(format!("message {nonce} got the id {id} of message {}", known.nonce));
            }
        }
        Ok(())
    }
}

/// A message: a third wakes nothing, a third a workflow of pure tasks, a third one with a call.
fn body(nonce: u64) -> String {
    let kind = ["a", "b", "c"][usize::try_from(nonce % 3).expect("below three")];
    format!("{{\"nonce\":{nonce},\"kind\":\"{kind}\",\"amount\":{}}}", nonce * 7 % 1_000)
}

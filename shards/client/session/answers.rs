//! What a node's answers do to messages and queries.
//!
//! | a refusal | what the client does |
//! | --- | --- |
//! | passes (`overloaded` …) | the same messages again, under the same numbers, after a pause |
//! | leaves the fate open (`deadline` …) | likewise, and the messages are in doubt |
//! | `unknown_producer` | never sent before: under a number of a new producer; else the fate is unknown |
//! | of several messages because of one | each half by itself, until the one stands alone |
//! | any other | the message failed; if an earlier attempt is in doubt, its fate is unknown |

use super::{Effect, Ending, Link, PAYLOAD_BYTES_MIN, Peer, State, What, finish, head};
use crate::error::{ClientError, Trouble};
use crate::receipt::{Answer, Outcome, Submitted};
use crate::window::{Again, Refusal, Run};
use base::{MessageId, Now, Outbox};
use std::sync::Arc;
use std::time::Duration;
use wire::{
    ErrorReply, Flags, Frame, Hello, Kind, List, Message as _, MessageError, QueryResult,
    SubmitResponse, words,
};

/// What a refusal means for whoever was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Not accepted; another try may be.
    Later,
    /// Nobody knows.
    Doubt,
    /// Not accepted: the node does not know the producer.
    UnknownProducer,
    /// Not accepted, and never will be.
    Final,
}

/// Codes are those of docs/API.md and docs/WIRE.md.
fn meaning(code: &str) -> Meaning {
    match code {
        // It may be in the log, or come into it yet: under its number it is safe to send again.
        "outcome_unknown"
        | words::CANCELLED
        | words::DEADLINE
        | words::INTERNAL
        | words::ANSWER_TOO_LARGE => Meaning::Doubt,
        words::OVERLOADED | "keys_full" => Meaning::Later,
        code if is_of_this_node_alone(code) => Meaning::Later,
        "unknown_producer" => Meaning::UnknownProducer,
        _ => Meaning::Final,
    }
}

/// Whether another node may well do what this one refuses.
fn is_of_this_node_alone(code: &str) -> bool {
    matches!(
        code,
        words::CLOSED | "no_leader" | "no_space" | "outcome_unknown" | "starting" | "stopping"
    )
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, detail, hint } = refusal;
        Self::Refused { code, detail, hint }
    }
}

impl From<MessageError> for Ending {
    fn from(error: MessageError) -> Self {
        Self::from(protocol(error.to_string()))
    }
}

fn protocol(what: String) -> Trouble {
    Trouble::Protocol { what }
}

fn unasked(kind: Kind, call: u64) -> Ending {
    Ending::from(protocol(format!("{kind} answers call {call}, which was not made")))
}

fn millis(milliseconds: u32) -> Duration {
    Duration::from_millis(u64::from(milliseconds))
}

fn refusal(code: &str, detail: &str, hint: &str) -> Refusal {
    Refusal { code: code.to_owned(), detail: detail.to_owned(), hint: hint.to_owned() }
}

/// The node has ended the connection, with words.
fn ended(error: &ErrorReply<'_>) -> Ending {
    let trouble = if error.code == words::VERSION && error.version != 0 {
        let theirs = error.version;
        Trouble::Version { theirs_min: theirs, theirs_max: theirs, ours: wire::VERSION }
    } else {
        refusal(error.code, error.detail, error.hint).into()
    };
    Ending { trouble, retry_after: millis(error.retry_after_ms) }
}

impl<T> State<T> {
    /// A frame has come. An error ends the connection.
    pub(super) fn on_frame(
        &mut self,
        now: Now,
        frame: &Frame<'_>,
        out: &mut Outbox<Effect<T>>,
    ) -> Result<(), Ending> {
        let (kind, call) = (frame.header.kind, frame.header.call);
        let is_answer = frame.header.flags.contains(Flags::RESPONSE);
        match (self.link, kind) {
            (Link::Greeting { .. }, Kind::HELLO) if is_answer => {
                self.on_hello(&Hello::decode(frame.payload)?, out)
            }
            (Link::Greeting { .. }, Kind::ERROR) => Err(ended(&ErrorReply::decode(frame.payload)?)),
            (Link::Greeting { .. }, _) => {
                Err(protocol(format!("{kind} came before the hello")).into())
            }
            (_, Kind::ERROR) if call == 0 => Err(ended(&ErrorReply::decode(frame.payload)?)),
            (_, Kind::ERROR) => self.on_error(now, call, &ErrorReply::decode(frame.payload)?, out),
            (_, Kind::RESPONSE) => {
                self.on_response(now, call, &SubmitResponse::decode(frame.payload)?, out)
            }
            (_, Kind::QUERY_RESULT) => {
                self.on_query_result(call, &QueryResult::decode(frame.payload)?, out)
            }
            (_, Kind::PING) if !is_answer => {
                let head = head(now, Kind::PING, Flags::RESPONSE, call);
                wire::write_frame(&mut self.out, &head, |_| {});
                Ok(())
            }
            (_, Kind::PING | Kind::CANCEL) => Ok(()),
            _ if is_answer => Err(unasked(kind, call)),
            // A newer node may ask what an older client does not understand.
            _ => {
                self.refuse_unknown(now, kind, call);
                Ok(())
            }
        }
    }

    fn on_hello(&mut self, hello: &Hello<'_>, out: &mut Outbox<Effect<T>>) -> Result<(), Ending> {
        if !(hello.version_min..=hello.version_max).contains(&wire::VERSION) {
            let (theirs_min, theirs_max) = (hello.version_min, hello.version_max);
            return Err(Trouble::Version { theirs_min, theirs_max, ours: wire::VERSION }.into());
        }
        // 0 stands for a node that does not say.
        let limit = |value: u32| if value == 0 { usize::MAX } else { value as usize };
        let peer = Peer {
            calls_max: limit(hello.calls_max),
            payload_bytes_max: limit(hello.payload_bytes_max),
            is_to_be_left: false,
        };
        if peer.payload_bytes_max < PAYLOAD_BYTES_MIN {
            let takes = peer.payload_bytes_max;
            let what = format!(
                "the node takes payloads of {takes} bytes, a message may need {PAYLOAD_BYTES_MIN}"
            );
            return Err(protocol(what).into());
        }
        self.link = Link::Open(peer);
        self.is_new = false;
        out.push(Effect::Opened);
        Ok(())
    }

    fn refuse_unknown(&mut self, now: Now, kind: Kind, call: u64) {
        let head = head(now, Kind::ERROR, Flags::RESPONSE, call);
        let detail = format!("a client does not understand {kind}");
        let error = ErrorReply {
            code: words::UNKNOWN_TYPE,
            detail: &detail,
            hint: "",
            retry_after_ms: 0,
            version: 0,
        };
        wire::write_frame(&mut self.out, &head, |out| error.encode(out));
    }

    fn on_response(
        &mut self,
        now: Now,
        call: u64,
        response: &SubmitResponse<'_>,
        out: &mut Outbox<Effect<T>>,
    ) -> Result<(), Ending> {
        let Some(What::Submit(run)) = self.calls.get(&call).map(|call| call.what) else {
            return Err(unasked(Kind::RESPONSE, call));
        };
        if run.count != response.len() {
            let what = format!("{} results came for {} messages", response.len(), run.count);
            return Err(protocol(what).into());
        }
        self.end_submit(call, &run);
        for (slot, answer) in (run.slot..).zip(response.answers()) {
            match answer {
                wire::Answer::Accepted { id, workflows } => {
                    self.on_accepted(now, slot, Outcome::Accepted, id, &workflows, out);
                }
                wire::Answer::Duplicate { id, workflows } => {
                    self.on_accepted(now, slot, Outcome::Duplicate, id, &workflows, out);
                }
                wire::Answer::Conflict { id } => self.on_conflict(slot, id, out),
                wire::Answer::Refused { code, detail, hint, retry_after_ms } => {
                    let refusal = Arc::new(refusal(code, detail, hint));
                    if self.refuse(slot, &refusal, out) {
                        self.slow_down(now, code, millis(retry_after_ms));
                    }
                }
            }
        }
        Ok(())
    }

    fn end_submit(&mut self, call: u64, run: &Run) {
        self.calls.remove(&call);
        self.submits_in_flight -= 1;
        self.window.on_ended(run);
    }

    fn on_accepted(
        &mut self,
        now: Now,
        slot: u64,
        outcome: Outcome,
        id: u64,
        workflows: &List<'_, &str>,
        out: &mut Outbox<Effect<T>>,
    ) {
        // The connection is of use and the node takes what it is given.
        self.reconnect.reset();
        if self.resume_at <= now.instant {
            self.pace.reset();
        }
        let Some(entry) = self.window.accept(now.instant, slot) else { return };
        let workflows = workflows.iter().map(str::to_owned).collect();
        finish(entry.message, Ok(Submitted { id: MessageId(id), outcome, workflows }), out);
    }

    fn on_conflict(&mut self, slot: u64, id: u64, out: &mut Outbox<Effect<T>>) {
        let Some(entry) = self.window.fail(slot) else { return };
        let error = ClientError::Conflict {
            producer: entry.producer,
            sequence: entry.sequence,
            first: MessageId(id),
        };
        finish(entry.message, Err(error), out);
    }

    /// One message was refused. True when it will be sent again after a pause.
    fn refuse(&mut self, slot: u64, refusal: &Arc<Refusal>, out: &mut Outbox<Effect<T>>) -> bool {
        let Some(entry) = self.window.get(slot) else { return false };
        match meaning(&refusal.code) {
            Meaning::Later => self.window.again(slot, 1, &Again::Later(Arc::clone(refusal))),
            Meaning::Doubt => self.window.again(slot, 1, &Again::Lost),
            // A producer's first message needs no producer that is known.
            Meaning::UnknownProducer if !entry.in_doubt && entry.sequence > 1 => {
                self.renumber(slot, refusal);
                return false;
            }
            Meaning::UnknownProducer | Meaning::Final => {
                self.fail(slot, refusal, out);
                return false;
            }
        }
        true
    }

    /// The message was never accepted under its number, and no attempt is in doubt: it waits in front
    /// of the others for a number of a new producer.
    fn renumber(&mut self, slot: u64, refusal: &Arc<Refusal>) {
        let entry = self.window.fail(slot).expect("it was looked at");
        self.window.retire(entry.producer);
        let mut message = entry.message;
        message.refusal = Some(Arc::clone(refusal));
        self.renumbered.push(message);
    }

    /// The message failed, as far as this answer says.
    fn fail(&mut self, slot: u64, refusal: &Arc<Refusal>, out: &mut Outbox<Effect<T>>) {
        let Some(entry) = self.window.fail(slot) else { return };
        let refusal = Refusal::clone(refusal);
        let error = if entry.in_doubt {
            ClientError::Unknown {
                producer: entry.producer,
                sequence: entry.sequence,
                attempts: entry.attempts,
                trouble: Some(refusal.into()),
            }
        } else {
            refusal.into()
        };
        finish(entry.message, Err(error), out);
    }

    /// A call was refused as a whole.
    fn on_error(
        &mut self,
        now: Now,
        call: u64,
        error: &ErrorReply<'_>,
        out: &mut Outbox<Effect<T>>,
    ) -> Result<(), Ending> {
        let refusal = Arc::new(refusal(error.code, error.detail, error.hint));
        match self.calls.get(&call).map(|call| call.what) {
            None => return Err(unasked(Kind::ERROR, call)),
            Some(What::Query(token)) => {
                self.calls.remove(&call);
                if self.queries.remove(&token).is_some() {
                    let result = Err(Refusal::clone(&refusal).into());
                    out.push(Effect::Queried { token, result });
                }
            }
            Some(What::Submit(run)) => {
                self.end_submit(call, &run);
                let slots = run.slot..run.slot + run.count as u64;
                let is_of_one = meaning(error.code) == Meaning::Final && run.count > 1;
                let mut is_later = false;
                for slot in slots {
                    if is_of_one {
                        self.window.again(slot, run.count, &Again::Halved);
                    } else {
                        is_later |= self.refuse(slot, &refusal, out);
                    }
                }
                if is_later {
                    self.slow_down(now, error.code, millis(error.retry_after_ms));
                }
            }
        }
        Ok(())
    }

    /// A node refused for now: slower, or somewhere else.
    fn slow_down(&mut self, now: Now, code: &str, retry_after: Duration) {
        if is_of_this_node_alone(code)
            && self.options.addresses.len() > 1
            && let Link::Open(peer) = &mut self.link
        {
            peer.is_to_be_left = true;
        }
        self.pause(now, retry_after);
    }

    fn on_query_result(
        &mut self,
        call: u64,
        result: &QueryResult<'_>,
        out: &mut Outbox<Effect<T>>,
    ) -> Result<(), Ending> {
        let Some(What::Query(token)) = self.calls.get(&call).map(|call| call.what) else {
            return Err(unasked(Kind::QUERY_RESULT, call));
        };
        self.calls.remove(&call);
        self.reconnect.reset();
        if self.queries.remove(&token).is_some() {
            let answer = Answer {
                status: result.status,
                content_type: result.content_type.to_owned(),
                body: result.body.to_vec(),
            };
            out.push(Effect::Queried { token, result: Ok(answer) });
        }
        Ok(())
    }
}

//! The mind of a client: what it is told about messages, connections, bytes and time goes in; bytes,
//! orders to the driver and results come out. It owns no socket and reads no clock.
//!
//! Invariants:
//! - every message and every query gets one result, at the latest when its time is over;
//! - a result says accepted only when a node said so, refused only when no attempt is in doubt, and
//!   unknown otherwise;
//! - at most `in_flight_max` submits are without an answer, and no more bytes wait to be written
//!   than they have;
//! - what a node sends never makes it panic: what is not the protocol ends the connection.

mod answers;

use crate::error::{ClientError, Trouble};
use crate::options::Options;
use crate::receipt::{Answer, Submitted};
use crate::window::{Again, Entry, Message, Refusal, Run, Window};
use base::limits::MESSAGE_BYTES_MAX;
use base::{Instant, Now, Outbox, Prng};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use wire::rpc::Backoff;
use wire::tlv::ELEMENT_BYTES;
use wire::{Decoder, Flags, Head, Hello, Kind, Message as _, Query, SubmitWriter};

/// The largest answer that is read. Unit: bytes. A page of a thousand rows has well below one MiB.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Queries without an answer at most; more wait their turn.
const QUERIES_IN_FLIGHT_MAX: usize = 64;

/// The longest that a node waits for what a query asks it to wait for.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// What a submit takes beside its bodies: its other fields.
const SUBMIT_BYTES: usize = 128;

/// The payload that every node must take: one message of the largest size.
const PAYLOAD_BYTES_MIN: usize = SUBMIT_BYTES + ELEMENT_BYTES + MESSAGE_BYTES_MAX;

/// An order to the driver.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect<T> {
    /// Open a connection to the address with this place in the options.
    Connect { address: usize },
    /// Close the connection, or stop opening it.
    Disconnect,
    /// The node has greeted: the connection is of use.
    Opened,
    /// The connection, or the attempt to open one, has ended.
    Failed { address: usize, trouble: Trouble },
    /// A message of so many bytes has its result.
    Submitted { token: T, bytes: usize, result: Result<Submitted, ClientError> },
    /// A query has its result.
    Queried { token: u64, result: Result<Answer, ClientError> },
}

/// The connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// There is none; the next attempt is not before.
    Down { until: Instant },
    /// The driver opens it.
    Opening { until: Instant },
    /// It is open, the hello is on its way.
    Greeting { until: Instant },
    /// It is of use.
    Open(Peer),
}

/// What a node said of itself, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Peer {
    calls_max: usize,
    payload_bytes_max: usize,
    /// It cannot serve now and another may: nothing new is sent to it.
    is_to_be_left: bool,
}

/// What a call is about.
#[derive(Clone, Copy, Debug)]
enum What {
    Submit(Run),
    Query(u64),
}

#[derive(Clone, Copy, Debug)]
struct Call {
    /// Without an answer by then the connection is given up.
    late_at: Instant,
    what: What,
}

#[derive(Debug)]
struct OpenQuery {
    path: String,
    give_up_at: Instant,
    is_in_flight: bool,
}

/// A client's mind. `T` names a message to the driver.
#[derive(Debug)]
pub(crate) struct Session<T> {
    decoder: Decoder,
    state: State<T>,
}

#[derive(Debug)]
struct State<T> {
    options: Options,
    link: Link,
    /// Which address is used, or is to be next.
    address: usize,
    /// Before each attempt to connect, once something failed.
    reconnect: Backoff,
    /// Before the next submit, once a node refused one for now.
    pace: Backoff,
    /// No submit goes out before.
    resume_at: Instant,
    /// What failed last, for those who learn no more than that.
    trouble: Option<Trouble>,
    /// A first connection is wanted even when there is nothing to send.
    is_new: bool,
    /// Messages without a number.
    queue: VecDeque<Message<T>>,
    queue_bytes: usize,
    /// Messages that have lost their number with this input, to be put in front of the queue.
    renumbered: Vec<Message<T>>,
    /// So many at the queue's front do not wait for company.
    hurried: usize,
    window: Window<T>,
    queries: BTreeMap<u64, OpenQuery>,
    /// Calls without an answer on this connection, by id, so the oldest is the first.
    calls: BTreeMap<u64, Call>,
    submits_in_flight: usize,
    next_call: u64,
    /// When the last turn was.
    turned_at: Instant,
    /// No time is over before.
    give_up_at: Option<Instant>,
    /// What the driver has to write …
    out: Vec<u8>,
    /// … and how much of it is written.
    written: usize,
}

impl<T> Session<T> {
    /// A session that knows nothing yet. `options` have been checked.
    pub(crate) fn new(options: Options, producer: u64, mut prng: Prng) -> Self {
        let window = Window::new(producer, prng.fork("producers"));
        let state = State {
            link: Link::Down { until: Instant(0) },
            address: 0,
            reconnect: Backoff::new(options.backoff, prng.fork("reconnect")),
            pace: Backoff::new(options.backoff, prng.fork("pace")),
            resume_at: Instant(0),
            trouble: None,
            is_new: true,
            queue: VecDeque::new(),
            queue_bytes: 0,
            renumbered: Vec::new(),
            hurried: 0,
            window,
            queries: BTreeMap::new(),
            calls: BTreeMap::new(),
            submits_in_flight: 0,
            next_call: 1,
            turned_at: Instant(0),
            give_up_at: None,
            out: Vec::new(),
            written: 0,
            options,
        };
        Self { decoder: Decoder::new(ANSWER_BYTES_MAX), state }
    }

    /// A message is to be sent. It goes out with the next turn, at the earliest.
    pub(crate) fn on_message(&mut self, now: Now, token: T, body: Box<[u8]>) {
        let give_up_at = now.instant + self.state.options.give_up_after;
        let queued_at = now.instant;
        self.state.queue_bytes += body.len();
        self.state.queue.push_back(Message { token, body, queued_at, give_up_at, refusal: None });
        self.state.give_up_at.get_or_insert(give_up_at);
    }

    /// A query is to be made. Tokens are used once.
    pub(crate) fn on_query(&mut self, now: Now, token: u64, path: String) {
        let give_up_at = now.instant + self.state.options.give_up_after + wait_of(&path);
        let query = OpenQuery { path, give_up_at, is_in_flight: false };
        let before = self.state.queries.insert(token, query);
        assert!(before.is_none(), "a query's token is used once");
        self.state.give_up_at.get_or_insert(give_up_at);
    }

    /// What is queued by now does not wait for company.
    pub(crate) fn on_flush(&mut self) {
        self.state.hurried = self.state.queue.len();
    }

    /// The connection that was ordered is open.
    pub(crate) fn on_connected(&mut self, now: Now) {
        let Link::Opening { until } = self.state.link else { return };
        self.decoder = Decoder::new(ANSWER_BYTES_MAX);
        self.state.link = Link::Greeting { until };
        self.state.write_hello(now);
    }

    /// The connection has ended, or did not come about.
    pub(crate) fn on_disconnected(
        &mut self,
        now: Now,
        trouble: Trouble,
        out: &mut Outbox<Effect<T>>,
    ) {
        if !matches!(self.state.link, Link::Down { .. }) {
            self.state.disconnect(now, trouble, Duration::ZERO, out);
        }
    }

    /// Where to read the socket into.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.decoder.space()
    }

    /// So many bytes were read.
    pub(crate) fn on_bytes(&mut self, now: Now, bytes: usize, out: &mut Outbox<Effect<T>>) {
        if matches!(self.state.link, Link::Down { .. } | Link::Opening { .. }) {
            return; // The last words of a connection that has ended.
        }
        self.decoder.filled(bytes);
        loop {
            self.state.requeue();
            let done = match self.decoder.next() {
                Ok(None) => return,
                Ok(Some(frame)) => self.state.on_frame(now, &frame, out),
                Err(error) => Err(Ending::from(error)),
            };
            if let Err(ending) = done {
                self.state.disconnect(now, ending.trouble, ending.retry_after, out);
                return;
            }
        }
    }

    /// What is to be written.
    pub(crate) fn output(&self) -> &[u8] {
        &self.state.out[self.state.written..]
    }

    /// So much of it is written.
    pub(crate) fn on_written(&mut self, bytes: usize) {
        let state = &mut self.state;
        assert!(bytes <= state.out.len() - state.written, "no more is written than there was");
        state.written += bytes;
        if state.written == state.out.len() {
            state.out.clear();
            state.written = 0;
        }
    }

    /// The next moment at which [`Self::on_turn`] has something to do, if nothing comes before.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.state.deadline()
    }

    /// Does what is due and sends what may be sent. To be called after inputs, as many as there are,
    /// and at the deadline.
    pub(crate) fn on_turn(&mut self, now: Now, out: &mut Outbox<Effect<T>>) {
        self.state.on_turn(now, out);
    }

    /// Nothing more will be sent: everything gets the result that is known now.
    pub(crate) fn on_close(&mut self, out: &mut Outbox<Effect<T>>) {
        self.state.close(out);
    }
}

/// Why a connection is closed.
struct Ending {
    trouble: Trouble,
    /// How long the node wants to be left alone.
    retry_after: Duration,
}

impl From<Trouble> for Ending {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, retry_after: Duration::ZERO }
    }
}

impl From<wire::FrameError> for Ending {
    fn from(error: wire::FrameError) -> Self {
        Self::from(match error {
            wire::FrameError::Version { theirs, ours } => {
                Trouble::Version { theirs_min: theirs, theirs_max: theirs, ours }
            }
            other => Trouble::Protocol { what: other.to_string() },
        })
    }
}

impl<T> State<T> {
    fn deadline(&self) -> Option<Instant> {
        let link = match self.link {
            // Without anything to send, only the first connection is wanted.
            Link::Down { until } => (self.is_new || self.has_open()).then_some(until),
            Link::Opening { until } | Link::Greeting { until } => Some(until),
            Link::Open(_) => [self.late_at(), self.send_at()].into_iter().flatten().min(),
        };
        let give_up = self.give_up_at.filter(|_| self.has_open());
        [link, give_up].into_iter().flatten().min()
    }

    /// When the first call is late.
    fn late_at(&self) -> Option<Instant> {
        self.calls.values().map(|call| call.late_at).min()
    }

    /// When time alone lets a submit be sent. What could be sent at the last turn was sent then: what
    /// is left waits for an answer, or for this.
    fn send_at(&self) -> Option<Instant> {
        let has_room = self.submits_in_flight < self.submits_max();
        let company = match self.queue.front() {
            _ if !has_room => return None,
            _ if self.window.has_waiting() => Instant(0),
            Some(message) => message.queued_at + self.options.linger,
            None => return None,
        };
        let at = company.max(self.resume_at);
        (at > self.turned_at).then_some(at)
    }

    /// Whether something has no result yet.
    fn has_open(&self) -> bool {
        !self.queue.is_empty() || !self.window.is_empty() || !self.queries.is_empty()
    }

    fn on_turn(&mut self, now: Now, out: &mut Outbox<Effect<T>>) {
        self.turned_at = now.instant;
        if self.give_up_at.is_some_and(|at| at <= now.instant) {
            self.give_up(now, out);
        }
        self.end_what_is_late(now, out);
        if let Link::Down { until } = self.link
            && until <= now.instant
            && (self.is_new || self.has_open())
        {
            self.link = Link::Opening { until: now.instant + self.options.connect_timeout };
            out.push(Effect::Connect { address: self.address });
        }
        if let Link::Open(peer) = self.link {
            if !peer.is_to_be_left {
                self.send_queries(now, peer);
                self.send_submits(now, peer);
            } else if self.submits_in_flight == 0 {
                // Queries are asked again elsewhere, which no message should have to wait for.
                let trouble = self.trouble.clone().unwrap_or(Trouble::Closed);
                self.disconnect(now, trouble, Duration::ZERO, out);
            }
        }
    }

    fn end_what_is_late(&mut self, now: Now, out: &mut Outbox<Effect<T>>) {
        let trouble = match self.link {
            Link::Opening { until } | Link::Greeting { until } if until <= now.instant => {
                Trouble::ConnectTimeout { after: self.options.connect_timeout }
            }
            Link::Open(_) => {
                if self.late_at().is_none_or(|at| at > now.instant) {
                    return;
                }
                Trouble::AnswerTimeout { after: self.options.answer_timeout }
            }
            _ => return,
        };
        self.disconnect(now, trouble, Duration::ZERO, out);
    }

    /// The connection is of no use any more. Everything on its way is in doubt.
    fn disconnect(
        &mut self,
        now: Now,
        trouble: Trouble,
        retry_after: Duration,
        out: &mut Outbox<Effect<T>>,
    ) {
        assert!(!matches!(self.link, Link::Down { .. }), "a connection ends once");
        for (_, call) in std::mem::take(&mut self.calls) {
            match call.what {
                What::Submit(run) => self.repeat(&run, &Again::Lost),
                What::Query(token) => {
                    if let Some(query) = self.queries.get_mut(&token) {
                        query.is_in_flight = false;
                    }
                }
            }
        }
        self.submits_in_flight = 0;
        self.out.clear();
        self.written = 0;
        let pause = self.reconnect.next_pause().max(retry_after);
        self.link = Link::Down { until: now.instant + pause };
        out.push(Effect::Disconnect);
        out.push(Effect::Failed { address: self.address, trouble: trouble.clone() });
        self.trouble = Some(trouble);
        self.address = (self.address + 1) % self.options.addresses.len();
    }

    /// A submit has ended as a whole: its messages go out again.
    fn repeat(&mut self, run: &Run, why: &Again) {
        self.window.on_ended(run);
        for slot in run.slot..run.slot + run.count as u64 {
            self.window.again(slot, run.count, why);
        }
    }

    /// Nothing new for a while: the node said that it is too much, or cannot now.
    fn pause(&mut self, now: Now, retry_after: Duration) {
        // Submits that were on their way together are refused together: that is one reason to slow
        // down, not many.
        if self.resume_at <= now.instant {
            self.resume_at = now.instant + self.pace.next_pause();
        }
        self.resume_at = self.resume_at.max(now.instant + retry_after);
    }

    /// Ends what has run out of time.
    fn give_up(&mut self, now: Now, out: &mut Outbox<Effect<T>>) {
        let is_over = |at: Instant| at <= now.instant;
        while self.queue.front().is_some_and(|message| is_over(message.give_up_at)) {
            let message = self.dequeue().expect("it was looked at");
            let error = self.not_sent(message.refusal.as_deref());
            finish(message, Err(error), out);
        }
        let over = self.window.slots().filter(|(_, entry)| is_over(entry.message.give_up_at));
        let over: Vec<u64> = over.map(|(slot, _)| slot).collect();
        for slot in over {
            self.fail_without_answer(slot, out);
        }
        let over = self.queries.iter().filter(|(_, query)| is_over(query.give_up_at));
        let over: Vec<u64> = over.map(|(token, _)| *token).collect();
        for token in over {
            self.queries.remove(&token);
            let error = ClientError::NoAnswer {
                after: self.options.give_up_after,
                trouble: self.trouble.clone(),
            };
            out.push(Effect::Queried { token, result: Err(error) });
        }
        let queued = self.queue.front().map(|message| message.give_up_at);
        let numbered = self.window.slots().map(|(_, entry)| entry.message.give_up_at).min();
        let asked = self.queries.values().map(|query| query.give_up_at).min();
        self.give_up_at = [queued, numbered, asked].into_iter().flatten().min();
    }

    /// A message gets the result that is known without a further answer.
    fn fail_without_answer(&mut self, slot: u64, out: &mut Outbox<Effect<T>>) {
        let Some(entry) = self.window.fail(slot) else { return };
        let error = if entry.may_be_accepted() {
            ClientError::Unknown {
                producer: entry.producer,
                sequence: entry.sequence,
                attempts: entry.attempts,
                trouble: self.trouble.clone(),
            }
        } else {
            self.not_sent(entry.message.refusal.as_deref())
        };
        finish(entry.message, Err(error), out);
    }

    /// The end of a message that was certainly not accepted, for lack of time.
    fn not_sent(&self, refusal: Option<&Refusal>) -> ClientError {
        match refusal {
            Some(refusal) => refusal.clone().into(),
            None => ClientError::NotSent {
                after: self.options.give_up_after,
                trouble: self.trouble.clone(),
            },
        }
    }

    fn close(&mut self, out: &mut Outbox<Effect<T>>) {
        while let Some(message) = self.dequeue() {
            finish(message, Err(ClientError::Closed), out);
        }
        let slots: Vec<u64> = self.window.slots().map(|(slot, _)| slot).collect();
        for slot in slots {
            let is_in_doubt = self.window.get(slot).is_some_and(Entry::may_be_accepted);
            if is_in_doubt {
                self.fail_without_answer(slot, out);
            } else if let Some(entry) = self.window.fail(slot) {
                finish(entry.message, Err(ClientError::Closed), out);
            }
        }
        for (token, _) in std::mem::take(&mut self.queries) {
            out.push(Effect::Queried { token, result: Err(ClientError::Closed) });
        }
        self.is_new = false;
        self.give_up_at = None;
    }

    /// Puts renumbered messages in front of the queue, in their order.
    fn requeue(&mut self) {
        while let Some(message) = self.renumbered.pop() {
            self.queue_bytes += message.body.len();
            self.hurried += 1;
            self.queue.push_front(message);
        }
    }

    fn dequeue(&mut self) -> Option<Message<T>> {
        let message = self.queue.pop_front()?;
        self.queue_bytes -= message.body.len();
        self.hurried = self.hurried.saturating_sub(1);
        Some(message)
    }

    fn submits_max(&self) -> usize {
        match self.link {
            Link::Open(peer) => self.options.in_flight_max.min(peer.calls_max),
            _ => 0,
        }
    }

    fn write_hello(&mut self, now: Now) {
        let hello = Hello {
            program: concat!("distric-client ", env!("CARGO_PKG_VERSION")),
            payload_bytes_max: u32::try_from(ANSWER_BYTES_MAX).expect("16 MiB fit"),
            ..Hello::of(Hello::CLIENT)
        };
        let head = head(now, Kind::HELLO, Flags::NONE, 0);
        wire::write_frame(&mut self.out, &head, |out| hello.encode(out));
    }

    fn send_queries(&mut self, now: Now, peer: Peer) {
        let in_flight = self.calls.len() - self.submits_in_flight;
        let room = peer.calls_max.saturating_sub(self.calls.len());
        let room = room.min(QUERIES_IN_FLIGHT_MAX - in_flight.min(QUERIES_IN_FLIGHT_MAX));
        let waiting = self.queries.iter_mut().filter(|(_, query)| !query.is_in_flight);
        for (token, query) in waiting.take(room) {
            query.is_in_flight = true;
            let head = head(now, Kind::QUERY, Flags::NONE, self.next_call);
            let message = Query { path: &query.path };
            wire::write_frame(&mut self.out, &head, |out| message.encode(out));
            let late_at = now.instant + self.options.answer_timeout + wait_of(&query.path);
            let call = Call { late_at, what: What::Query(*token) };
            self.calls.insert(self.next_call, call);
            self.next_call += 1;
        }
    }

    fn send_submits(&mut self, now: Now, peer: Peer) {
        if now.instant < self.resume_at {
            return;
        }
        let messages_max = self.options.batch_messages_max;
        let payload = peer.payload_bytes_max - SUBMIT_BYTES - ELEMENT_BYTES * messages_max;
        let bytes_max = self.options.batch_bytes_max.min(payload);
        while self.submits_in_flight < self.submits_max() && self.calls.len() < peer.calls_max {
            if !self.window.has_waiting() && !self.number_a_batch(now, bytes_max) {
                return;
            }
            let Some(run) = self.window.next_run(messages_max, bytes_max) else { return };
            let head = head(now, Kind::SUBMIT, Flags::NONE, self.next_call);
            wire::write_frame(&mut self.out, &head, |out| {
                let mut submit = SubmitWriter::new(out, run.producer, run.sequence, "");
                self.window.bodies(&run).for_each(|body| submit.push(body));
                submit.finish();
            });
            self.window.on_sent(&run);
            let late_at = now.instant + self.options.answer_timeout;
            let call = Call { late_at, what: What::Submit(run) };
            self.calls.insert(self.next_call, call);
            self.submits_in_flight += 1;
            self.next_call += 1;
        }
    }

    /// Numbers what the next submit carries; false when it is better to wait.
    fn number_a_batch(&mut self, now: Now, bytes_max: usize) -> bool {
        let Some(front) = self.queue.front() else { return false };
        let messages_max = self.options.batch_messages_max;
        let is_due = front.queued_at + self.options.linger <= now.instant;
        let is_full = self.queue.len() >= messages_max || self.queue_bytes >= bytes_max;
        if !(is_due || is_full || self.hurried > 0) {
            return false;
        }
        let wanted = self.queue.len().min(messages_max);
        // A crumb of room would be sent as a crumb; an answer on its way makes more.
        let room = self.window.room();
        if room == 0 || (room < wanted && self.submits_in_flight > 0) {
            return false;
        }
        let mut bytes = 0;
        for count in 0..wanted.min(room) {
            let next = self.queue.front().map_or(0, |message| message.body.len());
            bytes += next;
            if count > 0 && bytes > bytes_max {
                break;
            }
            let message = self.dequeue().expect("the queue is at least as long");
            self.window.number(now.instant, message);
        }
        true
    }
}

fn finish<T>(
    message: Message<T>,
    result: Result<Submitted, ClientError>,
    out: &mut Outbox<Effect<T>>,
) {
    out.push(Effect::Submitted { token: message.token, bytes: message.body.len(), result });
}

/// How long a query asks the node to wait, by its parameter `wait`: `30s` or `500ms`. Nothing where it
/// does not, or in a way that the node refuses at once.
fn wait_of(path: &str) -> Duration {
    let parameters = path.split_once('?').map_or("", |(_, parameters)| parameters);
    let text = parameters.split('&').find_map(|parameter| parameter.strip_prefix("wait="));
    let [ms, s] = [("ms", 1), ("s", 1_000)].map(|(unit, ms)| {
        let number = text?.strip_suffix(unit)?.parse::<u64>().ok()?;
        Some(Duration::from_millis(number.saturating_mul(ms)))
    });
    ms.or(s).unwrap_or_default().min(WAIT_MAX)
}

fn head(now: Now, kind: Kind, flags: Flags, call: u64) -> Head {
    Head { kind, flags, call, sent_at: now.wall, trace: None }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, detail, hint } = refusal;
        Self::Refused { code, detail, hint }
    }
}

#[cfg(test)]
mod tests;

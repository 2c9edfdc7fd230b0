//! What a handler sees: a call, and how to answer it.
//!
//! Invariants:
//! - Every call is answered exactly once, at once or later: a [`Reply`] that is dropped answers
//!   with the error `internal`.
//! - An answer is encoded straight into the connection's output. Nothing is allocated for a call
//!   that is answered at once.

use crate::PeerInfo;
use crate::greeting::{error_reply, write_error};
use crate::metrics::{KindIndex, RpcMetrics};
use crate::output::Output;
use base::{FixedState, Instant, Now, UnixMicros};
use hashbrown::HashMap;
use runtime::LocalNotify;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use telemetry::TraceContext;
use wire::{ErrorReply, Flags, HEADER_BYTES, Head, Kind, words, write_frame};

/// Answers calls.
pub trait Service: 'static {
    /// A call came in. It is answered through `reply`, at once or later; nothing waits for it here.
    fn on_call(&self, call: Call<'_>, reply: Reply);
}

/// A call, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What is asked.
    pub kind: Kind,
    /// The message; it is the connection's memory and gone after [`Service::on_call`].
    pub payload: &'a [u8],
    /// The trace that it belongs to, when that is recorded.
    pub trace: Option<TraceContext>,
    /// When it was received; calls that came with one read have one time.
    pub received: Instant,
    /// Who calls.
    pub peer: &'a PeerInfo,
}

/// A handler per kind of call. Calls of other kinds are answered with the error `unknown_type`.
#[derive(Default)]
pub struct Router {
    /// A handful: a list is quicker than a table.
    handlers: Vec<(Kind, Handler)>,
}

type Handler = Box<dyn Fn(Call<'_>, Reply)>;

impl Router {
    /// A router that knows no kind.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `handler` answer calls of `kind`, which has none yet.
    pub fn on(mut self, kind: Kind, handler: impl Fn(Call<'_>, Reply) + 'static) -> Self {
        assert!(self.handlers.iter().all(|(known, _)| *known != kind), "{kind} has one handler");
        self.handlers.push((kind, Box::new(handler)));
        self
    }
}

impl Service for Router {
    fn on_call(&self, call: Call<'_>, reply: Reply) {
        match self.handlers.iter().find(|(kind, _)| *kind == call.kind) {
            Some((_, handler)) => handler(call, reply),
            None => reply.fail_unknown(),
        }
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.handlers.iter().map(|(kind, _)| kind)).finish()
    }
}

/// The way back to who made a call.
pub struct Reply {
    side: Rc<ServerSide>,
    slot: u32,
    call: u64,
    kind: KindIndex,
    asked: Kind,
    received: Instant,
    is_answered: bool,
}

impl Reply {
    /// Answers: `write` appends the payload of an answer of `kind` to the connection's output, and
    /// does nothing else. Dropped when nobody waits any more.
    pub fn send(mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        self.answer(|out, call, sent_at| {
            let head = Head { kind, flags: Flags::RESPONSE, call, sent_at, trace: None };
            write_frame(out, &head, write);
        });
    }

    /// Answers with an error.
    pub fn fail(mut self, error: &ErrorReply<'_>) {
        self.side.metrics.on_error(self.kind, error.code);
        self.answer(|out, call, sent_at| write_error(out, call, sent_at, error));
    }

    /// Answers that there is no handler for this kind of call.
    pub fn fail_unknown(self) {
        let detail = format!("there is no handler for calls of type {:#06x}", self.asked.0);
        let hint = "compare the versions of both programs, and the address";
        self.fail(&error_reply(words::UNKNOWN_TYPE, &detail, hint));
    }

    /// Whether the caller no longer waits: work that nobody else needs may stop.
    pub fn is_cancelled(&self) -> bool {
        let state = self.side.state.borrow();
        state.is_gone || state.calls.slots[self.slot as usize].is_cancelled
    }

    fn answer(&mut self, write: impl FnOnce(&mut Vec<u8>, u64, UnixMicros)) {
        self.is_answered = true;
        let side = &*self.side;
        let batch = side.batch.get();
        let sent_at = batch.map_or_else(|| runtime::now().wall, |now| now.wall);
        let mut state = side.state.borrow_mut();
        let is_cancelled = state.calls.end(self.slot, self.call);
        if state.is_gone || is_cancelled {
            drop(state);
            side.metrics.on_error(self.kind, words::CANCELLED);
            // The connection may wait for its last call to end.
            side.wake.notify();
            return;
        }
        if state.output.len() >= state.output_bytes_max {
            // The connection is cut off as soon as its task runs.
            state.is_overflown = true;
            drop(state);
            side.wake.notify();
            return;
        }
        let payload_bytes_max = state.payload_bytes_max;
        let out = state.output.bytes();
        let start = out.len();
        write(out, self.call, sent_at);
        let bytes = out.len() - start - HEADER_BYTES;
        if bytes > payload_bytes_max {
            out.truncate(start);
            let detail = format!("the answer has {bytes} bytes, you take {payload_bytes_max}");
            let hint = "what was asked was done; ask for less at once";
            let error = error_reply(words::ANSWER_TOO_LARGE, &detail, hint);
            write_error(out, self.call, sent_at, &error);
            side.metrics.on_error(self.kind, error.code);
        }
        drop(state);
        if batch.is_some() {
            side.metrics.on_answer_in_batch(self.kind);
        } else {
            side.metrics.on_answer(self.kind, runtime::instant().since(self.received));
            side.wake.notify();
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        self.side.metrics.on_error(self.kind, words::INTERNAL);
        let error = error_reply(
            words::INTERNAL,
            "the call was given up without an answer; whether it had an effect is not known",
            "look at the log of the node that was called",
        );
        self.answer(|out, call, sent_at| write_error(out, call, sent_at, &error));
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("call", &self.call).finish_non_exhaustive()
    }
}

/// What a connection that is served shares with the replies of its calls.
pub(crate) struct ServerSide {
    pub(crate) state: RefCell<ServerState>,
    /// Something was done while the connection's task was not running.
    pub(crate) wake: LocalNotify,
    /// The time of the batch that is being handled, while it is.
    pub(crate) batch: Cell<Option<Now>>,
    pub(crate) metrics: RpcMetrics,
}

pub(crate) struct ServerState {
    pub(crate) output: Output,
    pub(crate) calls: CallTable,
    /// The largest payload that the peer takes.
    pub(crate) payload_bytes_max: usize,
    /// The most that may wait for the peer to read.
    output_bytes_max: usize,
    /// An answer was dropped for that.
    pub(crate) is_overflown: bool,
    /// Nothing can be sent any more.
    pub(crate) is_gone: bool,
}

impl ServerSide {
    pub(crate) fn new(metrics: &RpcMetrics, output_bytes_max: usize) -> Rc<Self> {
        let state = ServerState {
            output: Output::default(),
            calls: CallTable::default(),
            payload_bytes_max: usize::MAX,
            output_bytes_max,
            is_overflown: false,
            is_gone: false,
        };
        Rc::new(Self {
            state: RefCell::new(state),
            wake: LocalNotify::new(),
            batch: Cell::new(None),
            metrics: metrics.clone(),
        })
    }

    /// Lets `service` answer a call.
    pub(crate) fn dispatch<S: Service>(self: &Rc<Self>, service: &S, number: u64, call: Call<'_>) {
        let kind = self.metrics.index(call.kind);
        self.metrics.on_call(kind);
        let slot = self.state.borrow_mut().calls.begin();
        let reply = Reply {
            side: Rc::clone(self),
            slot,
            call: number,
            kind,
            asked: call.kind,
            received: call.received,
            is_answered: false,
        };
        service.on_call(call, reply);
        self.state.borrow_mut().calls.keep(slot, number);
    }

    /// Refuses a call without asking the service.
    pub(crate) fn refuse(
        &self,
        number: u64,
        kind: Kind,
        sent_at: UnixMicros,
        error: &ErrorReply<'_>,
    ) {
        let index = self.metrics.index(kind);
        self.metrics.on_call(index);
        self.metrics.on_error(index, error.code);
        let mut state = self.state.borrow_mut();
        write_error(state.output.bytes(), number, sent_at, error);
    }
}

/// The calls that are being handled. One that is answered at once costs a push and a pop; only one
/// that outlives its dispatch is entered where a cancellation finds it.
#[derive(Default)]
pub(crate) struct CallTable {
    slots: Vec<CallSlot>,
    free: Vec<u32>,
    /// The slots of calls that wait, by the number that their caller gave them.
    waiting: HashMap<u64, u32, FixedState>,
}

#[derive(Default)]
struct CallSlot {
    is_open: bool,
    is_cancelled: bool,
}

impl CallTable {
    /// Calls that are being handled.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn begin(&mut self) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(CallSlot::default());
            u32::try_from(self.slots.len() - 1).expect("calls_max fits into 32 bits")
        });
        self.slots[slot as usize] = CallSlot { is_open: true, is_cancelled: false };
        slot
    }

    /// Enters a call that was not answered at once. A caller that gives one number to two calls can
    /// cancel only the later one; both are answered.
    fn keep(&mut self, slot: u32, call: u64) {
        if self.slots[slot as usize].is_open {
            self.waiting.insert(call, slot);
        }
    }

    /// A call ends; tells whether it was cancelled.
    fn end(&mut self, slot: u32, call: u64) -> bool {
        let entry = &mut self.slots[slot as usize];
        assert!(entry.is_open, "a call is answered exactly once");
        entry.is_open = false;
        let is_cancelled = entry.is_cancelled;
        self.free.push(slot);
        if !self.waiting.is_empty() && self.waiting.get(&call) == Some(&slot) {
            self.waiting.remove(&call);
        }
        is_cancelled
    }

    /// The caller no longer waits.
    pub(crate) fn cancel(&mut self, call: u64) {
        if let Some(slot) = self.waiting.get(&call) {
            self.slots[*slot as usize].is_cancelled = true;
        }
    }
}

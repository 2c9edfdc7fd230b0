//! Every core speaks to every core: a ring per direction of each pair, so that no two cores ever
//! write the same one.
//!
//! Built on glommio's `spsc_queue` with a wake-up of our own. glommio's `shared_channel` would do
//! for one pair, not for many: a receiver that waits on several channels leaves a waker behind in
//! each idle one at every wait, without bound, and every message taken wakes a sleeping sender.
//! Here a core that waits arms one bell, whoever sends rings it, and nobody touches it otherwise.
//!
//! Invariants:
//! - Messages of one core to another arrive in the order sent, each once.
//! - A message is refused or delivered, never dropped, while both cores live.
//! - A receiver with a message in any ring does not sleep.

use crate::cores::core_id;
use base::CoreId;
use bell::Bell;
use glommio::channels::spsc_queue::{self, Consumer, Producer};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

mod bell;

/// The smallest ring of a pair. A channel of 64 measured 20 times slower than one of 1,024: the
/// ends keep waiting for one another.
pub const MESH_CAPACITY_MIN: usize = 1024;

/// Messages that a waiting [`MeshReceiver::recv`] hands out before others on the core get a turn.
const TURN_MESSAGES: u32 = 64;

/// All channels between the cores of one process, before they are handed out.
#[derive(Debug)]
pub struct Mesh;

impl Mesh {
    /// One end per core, in the order of cores, with at least `capacity` messages in every
    /// direction of every pair (rounded up to a power of two, and to [`MESH_CAPACITY_MIN`]).
    #[allow(clippy::new_ret_no_self, reason = "a mesh is made as its ends")]
    pub fn new<M: Send>(cores: usize, capacity: usize) -> Vec<MeshEnd<M>> {
        let capacity = capacity.max(MESH_CAPACITY_MIN).next_power_of_two();
        let bells: Vec<Arc<Bell>> = (0..cores).map(|_| Arc::default()).collect();
        let mut ends: Vec<MeshEnd<M>> = (0..cores)
            .map(|core| MeshEnd {
                core: core_id(core),
                capacity,
                bell: Arc::clone(&bells[core]),
                outbound: Vec::with_capacity(cores),
                inbound: Vec::with_capacity(cores),
            })
            .collect();
        for from in 0..cores {
            for to in 0..cores {
                if from == to {
                    ends[from].outbound.push(None);
                    continue;
                }
                let (producer, consumer) = spsc_queue::make(capacity);
                let room = Arc::<Bell>::default();
                let bell = Arc::clone(&bells[to]);
                let outbound = Outbound { producer, bell, room: Arc::clone(&room) };
                ends[from].outbound.push(Some(outbound));
                ends[to].inbound.push(Inbound { from: core_id(from), consumer, room });
            }
        }
        ends
    }
}

/// `Sync` for every message that is `Send`, which glommio's queue asks for. The lock is never
/// taken: a message goes in and comes out by value.
struct Parcel<M>(Mutex<M>);

impl<M> Parcel<M> {
    fn open(self) -> M {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Outbound<M> {
    producer: Producer<Parcel<M>>,
    /// Rung for the receiving core.
    bell: Arc<Bell>,
    /// Where tasks of this core wait for room.
    room: Arc<Bell>,
}

impl<M> Drop for Outbound<M> {
    fn drop(&mut self) {
        self.producer.disconnect();
        self.bell.ring();
    }
}

struct Inbound<M> {
    from: CoreId,
    consumer: Consumer<Parcel<M>>,
    room: Arc<Bell>,
}

impl<M> Drop for Inbound<M> {
    fn drop(&mut self) {
        self.consumer.disconnect();
        self.room.ring();
    }
}

/// One core's end of the mesh, on its way to its core.
pub struct MeshEnd<M> {
    core: CoreId,
    capacity: usize,
    bell: Arc<Bell>,
    outbound: Vec<Option<Outbound<M>>>,
    inbound: Vec<Inbound<M>>,
}

impl<M: Send> MeshEnd<M> {
    /// Which core it is for.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// The two halves, to be used on that core: a sender that can be cloned, and the receiver.
    pub fn split(self) -> (MeshSender<M>, MeshReceiver<M>) {
        let own = Rc::new(OwnQueue {
            messages: RefCell::new(Some(VecDeque::new())),
            capacity: self.capacity,
            bell: self.bell,
            room: Bell::default(),
        });
        let shared = Rc::new(Sending { core: self.core, outbound: self.outbound, own });
        let receiver = MeshReceiver {
            own: Rc::clone(&shared.own),
            own_sender: Rc::downgrade(&shared),
            core: self.core,
            inbound: self.inbound,
            next: 0,
            turn: 0,
        };
        (MeshSender { shared }, receiver)
    }
}

/// The queue of a core to itself.
struct OwnQueue<M> {
    /// `None` when the receiver is gone.
    messages: RefCell<Option<VecDeque<M>>>,
    capacity: usize,
    bell: Arc<Bell>,
    room: Bell,
}

struct Sending<M> {
    core: CoreId,
    outbound: Vec<Option<Outbound<M>>>,
    own: Rc<OwnQueue<M>>,
}

/// A message that was not taken, and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError<M> {
    /// The receiving core is behind: its ring is full.
    Full(M),
    /// The receiving core has ended.
    Closed(M),
}

impl<M> SendError<M> {
    /// The message.
    pub fn into_message(self) -> M {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

/// The receiving core has ended; the message comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed<M>(pub M);

/// Sends to every core. Clones share the same rings.
pub struct MeshSender<M> {
    shared: Rc<Sending<M>>,
}

impl<M> Clone for MeshSender<M> {
    fn clone(&self) -> Self {
        Self { shared: Rc::clone(&self.shared) }
    }
}

impl<M: Send> MeshSender<M> {
    /// The core this sends from.
    pub fn core(&self) -> CoreId {
        self.shared.core
    }

    /// How many cores the mesh has.
    pub fn cores(&self) -> usize {
        self.shared.outbound.len()
    }

    /// Every core of the mesh, this one included.
    pub fn all(&self) -> impl Iterator<Item = CoreId> + use<M> {
        (0..self.cores()).map(core_id)
    }

    /// Sends, or gives the message back at once.
    pub fn try_send(&self, to: CoreId, message: M) -> Result<(), SendError<M>> {
        match self.outbound(to) {
            None => self.shared.own.try_push(message),
            Some(outbound) => {
                let Some(parcel) = outbound.producer.try_push(Parcel(Mutex::new(message))) else {
                    outbound.bell.ring();
                    return Ok(());
                };
                if outbound.producer.consumer_disconnected() {
                    Err(SendError::Closed(parcel.open()))
                } else {
                    Err(SendError::Full(parcel.open()))
                }
            }
        }
    }

    /// Sends, waiting for room. Messages of one task keep their order; tasks that wait at the same
    /// time have none among each other.
    pub async fn send(&self, to: CoreId, message: M) -> Result<(), Closed<M>> {
        let mut message = Some(message);
        std::future::poll_fn(|context| {
            let attempt = |message: &mut Option<M>| {
                let taken = message.take().expect("a send is not polled after its end");
                match self.try_send(to, taken) {
                    Ok(()) => Poll::Ready(Ok(())),
                    Err(SendError::Closed(back)) => Poll::Ready(Err(Closed(back))),
                    Err(SendError::Full(back)) => {
                        *message = Some(back);
                        Poll::Pending
                    }
                }
            };
            let first = attempt(&mut message);
            if first.is_ready() {
                return first;
            }
            self.room(to).arm(context.waker());
            attempt(&mut message)
        })
        .await
    }

    /// How many messages to `to` would be taken now.
    pub fn free_space(&self, to: CoreId) -> usize {
        match self.outbound(to) {
            None => {
                let messages = self.shared.own.messages.borrow();
                let used = messages.as_ref().map_or(0, VecDeque::len);
                self.shared.own.capacity - used
            }
            Some(outbound) => outbound.producer.free_space(),
        }
    }

    fn outbound(&self, to: CoreId) -> Option<&Outbound<M>> {
        let Some(outbound) = self.shared.outbound.get(usize::from(to.0)) else {
            panic!("core {to} is not one of the mesh's {}", self.cores());
        };
        outbound.as_ref()
    }

    fn room(&self, to: CoreId) -> &Bell {
        self.outbound(to).map_or(&self.shared.own.room, |outbound| &outbound.room)
    }
}

impl<M> OwnQueue<M> {
    fn try_push(&self, message: M) -> Result<(), SendError<M>> {
        let mut messages = self.messages.borrow_mut();
        match messages.as_mut() {
            None => Err(SendError::Closed(message)),
            Some(queue) if queue.len() == self.capacity => Err(SendError::Full(message)),
            Some(queue) => {
                queue.push_back(message);
                drop(messages);
                self.bell.ring();
                Ok(())
            }
        }
    }

    fn pop(&self) -> Option<M> {
        self.messages.borrow_mut().as_mut().and_then(VecDeque::pop_front)
    }
}

/// Receives from every core, this one included.
pub struct MeshReceiver<M> {
    core: CoreId,
    own: Rc<OwnQueue<M>>,
    own_sender: std::rc::Weak<Sending<M>>,
    inbound: Vec<Inbound<M>>,
    /// The ring that is asked first, so that none is favoured. Beyond the last one: the own queue.
    next: usize,
    turn: u32,
}

impl<M: Send> MeshReceiver<M> {
    /// Waits for the next message; the rings take turns. `None` when every sender is gone. A task
    /// that finds messages without end yields now and then.
    pub async fn recv(&mut self) -> Option<(CoreId, M)> {
        self.turn += 1;
        if self.turn >= TURN_MESSAGES {
            self.turn = 0;
            crate::task::yield_if_needed().await;
        }
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// The poll form of [`MeshReceiver::recv`].
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<(CoreId, M)>> {
        if let Some(received) = self.try_recv() {
            return Poll::Ready(Some(received));
        }
        self.turn = 0;
        self.own.bell.arm(context.waker());
        // What was sent before the bell was armed rang no bell. A sender that is gone is asked for
        // before its last message is looked for.
        let all_gone = self.all_senders_gone();
        match self.try_recv() {
            Some(received) => {
                self.own.bell.disarm();
                Poll::Ready(Some(received))
            }
            None if all_gone => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// The next message that is there already.
    pub fn try_recv(&mut self) -> Option<(CoreId, M)> {
        let queues = self.inbound.len() + 1;
        for _ in 0..queues {
            let queue = self.next;
            self.next = (queue + 1) % queues;
            let Some(inbound) = self.inbound.get(queue) else {
                if let Some(message) = self.own.pop() {
                    self.own.room.ring();
                    return Some((self.core, message));
                }
                continue;
            };
            if let Some(parcel) = inbound.consumer.try_pop() {
                inbound.room.ring();
                return Some((inbound.from, parcel.open()));
            }
        }
        None
    }

    /// Takes messages that are there already, at most `max` of them, ring after ring, to the end of
    /// `into`. Returns how many. Cheaper than as many calls of [`MeshReceiver::try_recv`].
    pub fn drain(&mut self, into: &mut Vec<(CoreId, M)>, max: usize) -> usize {
        let before = into.len();
        let queues = self.inbound.len() + 1;
        for _ in 0..queues {
            let left = max - (into.len() - before);
            if left == 0 {
                break;
            }
            let queue = self.next;
            self.next = (queue + 1) % queues;
            let here = into.len();
            if let Some(inbound) = self.inbound.get(queue) {
                let messages = std::iter::from_fn(|| inbound.consumer.try_pop()).take(left);
                into.extend(messages.map(|parcel| (inbound.from, parcel.open())));
                if into.len() > here {
                    inbound.room.ring();
                }
            } else {
                let messages = std::iter::from_fn(|| self.own.pop()).take(left);
                into.extend(messages.map(|message| (self.core, message)));
                if into.len() > here {
                    self.own.room.ring();
                }
            }
        }
        into.len() - before
    }

    fn all_senders_gone(&self) -> bool {
        self.own_sender.strong_count() == 0
            && self.inbound.iter().all(|inbound| inbound.consumer.producer_disconnected())
    }
}

impl<M> Drop for Sending<M> {
    fn drop(&mut self) {
        self.own.bell.ring();
    }
}

impl<M> Drop for MeshReceiver<M> {
    fn drop(&mut self) {
        let left = self.own.messages.borrow_mut().take();
        drop(left);
        self.own.room.ring();
    }
}

impl<M> fmt::Debug for MeshEnd<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshEnd").field("core", &self.core).finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for MeshSender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshSender").field("core", &self.shared.core).finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for MeshReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshReceiver").field("core", &self.core).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

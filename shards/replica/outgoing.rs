//! Packets on their way to other cores, in order.

use base::CoreId;
use engine::message::Packet;
use runtime::{MeshSender, SendError};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// The queue of one core. What the minds send is bounded by what they have under way; a mesh that
/// is full only delays it.
#[derive(Clone)]
pub struct Outgoing {
    queue: Rc<RefCell<VecDeque<(CoreId, Packet)>>>,
    mesh: MeshSender<Packet>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("queued", &self.queue.borrow().len())
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// An empty queue in front of the mesh.
    pub fn new(mesh: MeshSender<Packet>) -> Self {
        Self { queue: Rc::default(), mesh }
    }

    /// Adds a packet.
    pub fn push(&self, to: CoreId, packet: Packet) {
        self.queue.borrow_mut().push_back((to, packet));
    }

    /// Hands over what the mesh takes. False when something is left: try again soon.
    pub fn flush(&self) -> bool {
        let mut queue = self.queue.borrow_mut();
        while let Some((to, packet)) = queue.pop_front() {
            match self.mesh.try_send(to, packet) {
                // A core that has ended needs nothing more: the process is about to end.
                Ok(()) | Err(SendError::Closed(_)) => {}
                Err(SendError::Full(packet)) => {
                    queue.push_front((to, packet));
                    return false;
                }
            }
        }
        true
    }
}

//! What happens to workers, told to operators by the node that leads: an event, and a line of its log.

use crate::dispatch::Peer;
use crate::events::{EventKind, WorkerNews};
use crate::shard::{ShardCore, ShardEffect};
use base::{BootId, Outbox, WorkerId};

/// Plugins that a line names, at most.
const NAMED_MAX: usize = 8;

impl ShardCore {
    /// A worker belongs to the cluster from now on.
    pub(super) fn tell_of_joined(&mut self, worker: WorkerId, out: &mut Outbox<ShardEffect>) {
        let Some(known) = self.globals.workers.find(worker) else { return };
        let named = known.plugins.iter().map(|plugin| plugin.name.as_str()).take(NAMED_MAX);
        let mut plugins: Vec<&str> = named.collect();
        if known.plugins.len() > NAMED_MAX {
            plugins.push("...");
        }
        let (capacity, plugins) = (known.capacity, plugins.join(", "));
        let more = format!("it runs {capacity} tasks at once, of {plugins}");
        self.tell_of_worker(worker, WorkerNews::Joined, &more, out);
    }

    /// How many tasks a run of a worker has, on the node that leads.
    pub(super) fn tasks_of(&self, worker: WorkerId, boot: BootId) -> u32 {
        let peer = self.workers.desk().and_then(|desk| desk.dispatcher.peer(worker));
        peer.filter(|peer| peer.boot == boot).map_or(0, Peer::running)
    }

    /// Something happened to a worker. Every core applies it, the first one of the leader tells.
    pub(super) fn tell_of_worker(
        &mut self,
        worker: WorkerId,
        what: WorkerNews,
        more: &str,
        out: &mut Outbox<ShardEffect>,
    ) {
        if self.workers.desk().is_none() || !self.role.in_office {
            return;
        }
        let name = self.globals.workers.find(worker).map_or("", |known| &known.name).to_owned();
        let who = format!("worker {name} ({worker})");
        out.push(match what {
            WorkerNews::Joined => ShardEffect::Note(format!("{who} has joined: {more}")),
            WorkerNews::Lost { tasks } => {
                let had = match tasks {
                    0 => "it had no task".to_owned(),
                    1 => "its task goes to others".to_owned(),
                    _ => format!("its {tasks} tasks go to others"),
                };
                ShardEffect::Notice(format!("{who} is lost: {more}; {had}"))
            }
            WorkerNews::Left => ShardEffect::Note(format!("{who} has left in order")),
            WorkerNews::Drained(true) => {
                ShardEffect::Note(format!("{who} is drained by an operator: it gets no more tasks"))
            }
            WorkerNews::Drained(false) => {
                ShardEffect::Note(format!("{who} gets tasks again, by an operator"))
            }
        });
        let at = self.globals.stamp;
        self.on_event(at, EventKind::Worker { worker, name, what }, out);
    }
}

//! Names to addresses, off the core.
//!
//! The system's resolver blocks, for many seconds when its server is silent, and the threads it
//! blocks are few. So a name is looked up once however many calls want it at the time, and what was
//! found (or not) is kept for a moment.
//!
//! Invariants:
//! - At most one look-up of a name runs on a core at a time.
//! - At most [`NAMES_MAX`] names are kept.

use base::Instant;
use runtime::{LocalEvent, TaskSet, instant, offload};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Names that are kept.
const NAMES_MAX: usize = 256;

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

/// How long addresses are used again. The system's interface hides how long the name's owner
/// allows; this is below any useful value of that.
const FOUND_MAX: Duration = Duration::from_secs(5);

/// How long a failure is believed.
const FAILED_MAX: Duration = Duration::from_secs(1);

/// How a name is looked up: blocking, on another thread.
pub(crate) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's resolver.
pub(crate) fn system_lookup() -> Lookup {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.take(ADDRESSES_MAX).collect()))
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("{0}")]
    Failed(String),
    #[error("it has no address")]
    Empty,
    #[error("{0}")]
    Busy(runtime::OffloadFull),
}

type Answer = Result<Rc<[SocketAddr]>, ResolveError>;

enum Known {
    Looking(LocalEvent),
    Answered(Answer, Instant),
}

pub(crate) struct Resolver {
    lookup: Lookup,
    known: Rc<RefCell<BTreeMap<(String, u16), Known>>>,
    /// Look-ups outlive the calls that wanted them: the next call is glad of the answer.
    lookups: TaskSet,
}

impl Resolver {
    pub(crate) fn new(lookup: Lookup) -> Self {
        Self { lookup, known: Rc::default(), lookups: TaskSet::new() }
    }

    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Answer {
        let name = (host.to_owned(), port);
        let mut looked = false;
        loop {
            let event = match self.known.borrow().get(&name) {
                // What was just looked up is taken, however short it may be kept.
                Some(Known::Answered(answer, until)) if looked || *until > instant() => {
                    return answer.clone();
                }
                Some(Known::Looking(event)) => Some(event.clone()),
                Some(Known::Answered(..)) | None => None,
            };
            let event = event.unwrap_or_else(|| self.look_up(name.clone()));
            event.wait().await;
            looked = true;
        }
    }

    /// Starts a look-up; the event happens when its answer is known.
    fn look_up(&self, name: (String, u16)) -> LocalEvent {
        let event = LocalEvent::new();
        self.make_room();
        self.known.borrow_mut().insert(name.clone(), Known::Looking(event.clone()));
        let (lookup, known) = (Arc::clone(&self.lookup), Rc::clone(&self.known));
        let done = event.clone();
        self.lookups.spawn(async move {
            let (host, port) = name.clone();
            let answer = match offload(move || lookup(&host, port)) {
                Err(full) => Err(ResolveError::Busy(full)),
                Ok(lookup) => match lookup.await {
                    Err(error) => Err(ResolveError::Failed(error.to_string())),
                    Ok(addresses) if addresses.is_empty() => Err(ResolveError::Empty),
                    Ok(mut addresses) => {
                        addresses.truncate(ADDRESSES_MAX);
                        Ok(Rc::from(addresses))
                    }
                },
            };
            let kept = if answer.is_ok() { FOUND_MAX } else { FAILED_MAX };
            known.borrow_mut().insert(name, Known::Answered(answer, instant() + kept));
            done.set();
        });
        event
    }

    fn make_room(&self) {
        let mut known = self.known.borrow_mut();
        if known.len() < NAMES_MAX {
            return;
        }
        let now = instant();
        known.retain(|_, known| match known {
            Known::Looking(_) => true,
            Known::Answered(_, until) => *until > now,
        });
        while known.len() >= NAMES_MAX {
            let answered = known.iter().find(|(_, known)| matches!(known, Known::Answered(..)));
            let Some((name, _)) = answered else { return };
            let name = name.clone();
            known.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests;

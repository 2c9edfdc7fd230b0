//! Names to addresses, off the core.
//!
//! The system's resolver blocks, for many seconds when its server is silent, and the threads it
//! blocks are few. So a name is looked up once however many calls want it at the time, and what was
//! found (or not) is kept for a moment.
//!
//! Invariants:
//! - At most one look-up of a name runs on a core at a time.
//! - At most [`NAMES_MAX`] names are kept, with at most [`ADDRESSES_MAX`] addresses each.

use crate::core_state;
use crate::local::LocalEvent;
use crate::offload::{OffloadFull, offload};
use crate::task::TaskSet;
use crate::timer::instant;
use base::{Address, Host, Instant};
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
pub type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// The system's own way: files, name servers, whatever it is configured for.
fn system_lookup() -> Lookup {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.take(ADDRESSES_MAX).collect()))
}

/// Why a name has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// It is unknown, or nobody answered: what the system said.
    #[error("{0}")]
    Failed(String),
    /// It is known, and leads nowhere.
    #[error("it has no address")]
    Empty,
    /// Too many look-ups wait already.
    #[error("{0}")]
    Busy(OffloadFull),
}

type Answer = Result<Rc<[SocketAddr]>, ResolveError>;

enum Known {
    Looking(LocalEvent),
    Answered(Answer, Instant),
}

/// The names one core has looked up.
pub struct Resolver {
    lookup: Lookup,
    known: Rc<RefCell<BTreeMap<(String, u16), Known>>>,
    /// Look-ups outlive the calls that wanted them: the next call is glad of the answer.
    lookups: TaskSet,
}

impl Resolver {
    /// A resolver of its own, with its own way to look names up: for tests. All others share
    /// [`Resolver::of_this_core`].
    pub fn new(lookup: Lookup) -> Self {
        Self { lookup, known: Rc::default(), lookups: TaskSet::new() }
    }

    /// The resolver that everybody on this core shares, which asks the system.
    pub fn of_this_core() -> Rc<Self> {
        let core = core_state::current();
        let mut resolver = core.resolver.borrow_mut();
        Rc::clone(resolver.get_or_insert_with(|| Rc::new(Self::new(system_lookup()))))
    }

    /// The addresses of a name, with `port`, in the order in which they should be tried; at least
    /// one. May take as long as the system's resolver is patient; giving up the wait is safe.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Rc<[SocketAddr]>, ResolveError> {
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

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver")
            .field("names", &self.known.borrow().len())
            .finish_non_exhaustive()
    }
}

/// Where `address` leads, by this core's resolver if it has a name. In the order in which they
/// should be tried; at least one.
pub async fn resolve(address: &Address) -> Result<Rc<[SocketAddr]>, ResolveError> {
    match address.host() {
        Host::Ip(ip) => Ok(Rc::from([SocketAddr::new(*ip, address.port())])),
        Host::Name(name) => Resolver::of_this_core().resolve(name.as_str(), address.port()).await,
    }
}

#[cfg(test)]
mod tests;

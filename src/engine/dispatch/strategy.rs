//! Which of several workers with room gets a task.

use base::{Prng, WorkerId};
use std::fmt;
use std::str::FromStr;

/// A worker that can take a task: it has the plugin and room, and nothing speaks against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub worker: WorkerId,
    /// How many tasks it has.
    pub running: u32,
    /// How many it may have. More than it has.
    pub capacity: u32,
    /// How busy its processors were when it last said so: 0 to 1,000.
    pub cpu_permille: u32,
    /// Whether it stands in the leader's own zone.
    pub is_near: bool,
}

/// Chooses among candidates. The order of calls and the generator decide everything, so that a run can
/// be replayed.
pub trait Strategy: fmt::Debug + Send {
    /// The place of the worker that gets the task. There is at least one; they are in the order of their
    /// ids. A place beyond the last counts as the last.
    fn choose(&mut self, free: &[Candidate], random: &mut Prng) -> usize;
}

/// The strategies that come with the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StrategyName {
    /// One after the other.
    RoundRobin,
    /// Whoever has the least for its capacity; of these, whose processors are least busy.
    #[default]
    LeastLoaded,
    /// Any.
    Random,
    /// The same as `least_loaded`, among those in the leader's zone as long as one of them has room.
    Locality,
}

impl StrategyName {
    const ALL: [(&'static str, Self); 4] = [
        ("round_robin", Self::RoundRobin),
        ("least_loaded", Self::LeastLoaded),
        ("random", Self::Random),
        ("locality", Self::Locality),
    ];

    /// The strategy of that name.
    pub fn strategy(self) -> Box<dyn Strategy> {
        match self {
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::LeastLoaded => Box::new(LeastLoaded),
            Self::Random => Box::new(Random),
            Self::Locality => Box::new(Locality),
        }
    }
}

impl fmt::Display for StrategyName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, strategy)| strategy == self);
        out.write_str(named.map_or("", |(name, _)| name))
    }
}

/// A text that names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no strategy `{0}`: known are round_robin, least_loaded, random, locality")]
pub struct UnknownStrategy(String);

impl FromStr for StrategyName {
    type Err = UnknownStrategy;

    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let named = Self::ALL.into_iter().find(|(name, _)| *name == text);
        named.map(|(_, strategy)| strategy).ok_or_else(|| UnknownStrategy(text.to_owned()))
    }
}

#[derive(Debug, Default)]
struct RoundRobin {
    /// Who got the last one.
    last: Option<WorkerId>,
}

impl Strategy for RoundRobin {
    fn choose(&mut self, free: &[Candidate], _: &mut Prng) -> usize {
        let next = free.iter().position(|candidate| Some(candidate.worker) > self.last);
        let place = next.unwrap_or(0);
        self.last = Some(free[place].worker);
        place
    }
}

#[derive(Debug)]
struct LeastLoaded;

impl Strategy for LeastLoaded {
    fn choose(&mut self, free: &[Candidate], _: &mut Prng) -> usize {
        least_loaded(free.iter().enumerate()).expect("there is at least one")
    }
}

#[derive(Debug)]
struct Random;

impl Strategy for Random {
    fn choose(&mut self, free: &[Candidate], random: &mut Prng) -> usize {
        usize::try_from(random.below(free.len() as u64)).expect("below a length")
    }
}

#[derive(Debug)]
struct Locality;

impl Strategy for Locality {
    fn choose(&mut self, free: &[Candidate], _: &mut Prng) -> usize {
        let near = free.iter().enumerate().filter(|(_, candidate)| candidate.is_near);
        let near = least_loaded(near);
        near.or_else(|| least_loaded(free.iter().enumerate())).expect("there is at least one")
    }
}

fn least_loaded<'a>(free: impl Iterator<Item = (usize, &'a Candidate)>) -> Option<usize> {
    let load = |(_, candidate): &(usize, &Candidate)| {
        // In parts of a million of the capacity: no float, whose last digit differs between machines.
        let share = u64::from(candidate.running) * 1_000_000 / u64::from(candidate.capacity.max(1));
        (share, candidate.cpu_permille, candidate.worker)
    };
    free.min_by_key(load).map(|(place, _)| place)
}

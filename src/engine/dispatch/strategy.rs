//! Which of several workers with room gets a task.

use super::room::Free;
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

/// Chooses among workers. The order of calls and the generator decide everything, so that a run can be
/// replayed.
pub trait Strategy: fmt::Debug + Send {
    /// What this strategy goes by, in one number below `u64::MAX`. Asked whenever something about the
    /// worker has changed, and not for each choice.
    fn rank(&self, worker: &Candidate) -> u64;

    /// Which of these gets a task; none where there are none.
    fn choose(&mut self, free: Free<'_>, random: &mut Prng) -> Option<WorkerId>;
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
    fn rank(&self, _: &Candidate) -> u64 {
        0
    }

    fn choose(&mut self, free: Free<'_>, _: &mut Prng) -> Option<WorkerId> {
        let mut turns = free.iter().map(|(worker, _)| worker);
        let next = turns.find(|worker| Some(*worker) > self.last);
        let chosen = next.or_else(|| free.iter().map(|(worker, _)| worker).next());
        self.last = chosen.or(self.last);
        chosen
    }
}

#[derive(Debug)]
struct LeastLoaded;

impl Strategy for LeastLoaded {
    fn rank(&self, worker: &Candidate) -> u64 {
        // In parts of a million of the capacity: no float, whose last digit differs between machines.
        let capacity = u64::from(worker.capacity.max(1));
        let share = u64::from(worker.running) * 1_000_000 / capacity;
        share << u32::BITS | u64::from(worker.cpu_permille)
    }

    fn choose(&mut self, free: Free<'_>, _: &mut Prng) -> Option<WorkerId> {
        free.lowest()
    }
}

#[derive(Debug)]
struct Random;

impl Strategy for Random {
    fn rank(&self, _: &Candidate) -> u64 {
        0
    }

    fn choose(&mut self, free: Free<'_>, random: &mut Prng) -> Option<WorkerId> {
        let count = free.iter().count();
        if count == 0 {
            return None;
        }
        let chosen = usize::try_from(random.below(count as u64)).expect("below a count");
        free.iter().nth(chosen).map(|(worker, _)| worker)
    }
}

/// Behind every worker in the leader's zone. A share of the capacity is far below it.
const FAR: u64 = 1 << 60;

#[derive(Debug)]
struct Locality;

impl Strategy for Locality {
    fn rank(&self, worker: &Candidate) -> u64 {
        let load = LeastLoaded.rank(worker);
        if worker.is_near { load } else { FAR + load }
    }

    fn choose(&mut self, free: Free<'_>, _: &mut Prng) -> Option<WorkerId> {
        free.lowest()
    }
}

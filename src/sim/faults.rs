//! What goes wrong in a world, and how much is asked of it.

use crate::clock::ClockFaults;
use crate::network::Weather;
use base::Prng;
use std::time::Duration;

/// How bad disks are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// What a disk does takes up to so many times as long; 0 or 1: it does not.
    pub slowness_max: u64,
    /// So many of a hundred thousand syncs fail: the drive keeps what it likes of what they were to
    /// cover, and the process ends.
    pub sync_errors: u64,
    /// So many of a thousand reads fail: of the files at a start, of old entries and snapshots for
    /// other nodes.
    pub read_errors: u64,
}

impl DiskFaults {
    fn drawn(prng: &mut Prng) -> Self {
        let mut some = |odds, most: u64| if prng.chance(1, odds) { prng.below(most) } else { 0 };
        Self { slowness_max: some(2, 30), sync_errors: some(3, 300), read_errors: some(3, 300) }
    }
}

/// What goes wrong, and how much is asked.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Messages that clients send in all.
    pub messages: u64,
    /// Between two requests of clients. Zero: a request or two at each event, as fast as they come.
    pub pace: Duration,
    /// Power cuts: of one machine, or of all.
    pub crashes: u32,
    /// The most time between two cuts.
    pub crash_within: Duration,
    /// While messages come, the catalogue is changed at one event of so many; 0: never.
    pub catalogue_change_odds: u64,
    /// Whether disks are full now and then.
    pub full_disk: bool,
    /// The most time between two smaller troubles: see [`Trouble`]. Zero: there are none.
    pub trouble_within: Duration,
    /// How often each trouble comes, compared with the others.
    pub troubles: Vec<(Trouble, u64)>,
    /// How wrong clocks are.
    pub clocks: ClockFaults,
    /// How bad the network is.
    pub weather: Weather,
    /// Machines are slower than others by up to so much; 0 or 1: none is.
    pub slowness_max: u64,
    /// How bad disks are.
    pub disks: DiskFaults,
    /// While messages come, one is read at one event of so many; 0: never. A read makes events of its
    /// own: with a small number they would breed.
    pub read_odds: u64,
}

/// Something that happens to one machine, of which it recovers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The process does nothing for a while, and then handles what has come meanwhile.
    Pause,
    /// The wall clock is set to another time.
    ClockJump,
    /// The process is killed and starts again; the machine stays up, and its disk keeps what was
    /// written.
    Kill,
    /// The process is told to stop, hands over what it has, ends, and starts again.
    Stop,
    /// The data directory is gone: the node is removed and added again with a new one.
    Wipe,
    /// Bits on the disk have flipped, which the next start finds, or not.
    Rot,
    /// The machine is as slow, or as quick, as it is drawn now.
    Slow,
    /// Some machines are cut off from the others.
    Part,
    /// The machine that leads is cut off from all others.
    IsolateLeader,
    /// Nothing gets from one machine to another; the way back is free.
    CutOneWay,
    /// What one machine sends to another arrives late.
    Clog,
    /// A connection ends in the middle of what it carries.
    Reset,
    /// Every way is free again.
    Heal,
}

impl Faults {
    /// No faults: only messages.
    pub fn none(messages: u64) -> Self {
        Self { messages, ..Self::default() }
    }

    /// Adds the smaller troubles that a seed draws: which kinds, how often, how strong.
    #[must_use]
    pub fn with_troubles(self, seed: u64) -> Self {
        let mut prng = Prng::new(seed).fork("troubles");
        // Some seeds have none of a kind, others much of it: rare things meet where few kinds are.
        let mut share = |most| if prng.chance(1, 2) { prng.below(most) } else { 0 };
        let troubles = vec![
            (Trouble::Pause, share(10)),
            (Trouble::ClockJump, share(10)),
            (Trouble::Kill, share(5)),
            (Trouble::Stop, share(3)),
            (Trouble::Wipe, share(3)),
            (Trouble::Rot, share(3)),
            (Trouble::Slow, share(5)),
            (Trouble::Part, share(5)),
            (Trouble::IsolateLeader, share(5)),
            (Trouble::CutOneWay, share(5)),
            (Trouble::Clog, share(10)),
            (Trouble::Reset, share(10)),
            (Trouble::Heal, 15),
        ];
        let within = [100, 400, 1_500][usize::try_from(prng.below(3)).expect("below three")];
        let clocks = ClockFaults {
            apart_us: 1 << prng.below(30),
            drift_ppm: prng.below(200),
            jump_us: 1 << prng.below(31),
        };
        Self {
            trouble_within: Duration::from_millis(within),
            troubles,
            clocks,
            weather: Weather::drawn(&mut prng),
            slowness_max: 1 + prng.below(20),
            disks: DiskFaults::drawn(&mut prng),
            read_odds: 10 + prng.below(100),
            ..self
        }
    }

    /// What comes next, if anything does.
    pub(crate) fn next_trouble(&self, prng: &mut Prng) -> Option<Trouble> {
        let sum: u64 = self.troubles.iter().map(|(_, share)| share).sum();
        if self.trouble_within.is_zero() || sum == 0 {
            return None;
        }
        let mut at = prng.below(sum);
        for (trouble, share) in &self.troubles {
            if at < *share {
                return Some(*trouble);
            }
            at -= share;
        }
        unreachable!("the draw is below the sum")
    }
}

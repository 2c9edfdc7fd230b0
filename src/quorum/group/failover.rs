//! An election without waiting for a timeout, when the leader's process is known to be gone.
//!
//! Every follower learns of it at about the same time. They stand one after the other, in the order
//! of their numbers: the first has won before the second begins. Only a pre-vote is asked for, so a
//! false alarm (a link that is gone, not a leader) changes nobody's term: the others still hear their
//! leader and stay silent.

/// Between two ranks: a pre-vote there and back, a vote made durable on both sides, with room.
const RANK_TICKS: u64 = 3;

/// After this many ticks without an answer the pre-vote is asked for again: somebody who had not
/// noticed yet stayed silent.
const RETRY_TICKS: u64 = 5;

/// How often it is asked for in all. The ordinary timeout is near by then.
const TRIES: u8 = 3;

/// A second alarm in one term counts only after 5 s (SOUNDNESS 22), each further one after twice
/// as long: a link that breaks again and again is no leader that dies.
const PAUSE_TICKS: u64 = 500;

/// The longest of these pauses: 80 s.
const PAUSE_TICKS_MAX: u64 = 16 * PAUSE_TICKS;

#[derive(Debug, Default)]
pub(crate) struct Failover {
    /// Ticks to go, and how often to stand yet.
    countdown: Option<(u64, u8)>,
    /// The last alarm: in which term, when the next one in it counts, and the pause after that.
    last: Option<(u64, u64, u64)>,
}

impl Failover {
    /// The leader is gone; true when that counts. `now` is in ticks.
    pub(crate) fn on_leader_gone(&mut self, term: u64, rank: usize, now: u64) -> bool {
        let pause = match self.last {
            Some((last, next, _)) if last == term && now < next => return false,
            Some((last, _, pause)) if last == term => pause,
            _ => PAUSE_TICKS,
        };
        self.last = Some((term, now + pause, (2 * pause).min(PAUSE_TICKS_MAX)));
        let rank = u64::try_from(rank).expect("a small number");
        // One is taken off at once.
        self.countdown = Some((rank * RANK_TICKS + 1, TRIES));
        true
    }

    /// True when it is time to stand.
    pub(crate) fn on_tick(&mut self) -> bool {
        let Some((ticks, tries)) = &mut self.countdown else { return false };
        *ticks -= 1;
        if *ticks > 0 {
            return false;
        }
        *ticks = RETRY_TICKS;
        *tries -= 1;
        if *tries == 0 {
            self.countdown = None;
        }
        true
    }

    /// Somebody else stands already.
    pub(crate) fn give_way(&mut self) {
        if let Some((ticks, _)) = &mut self.countdown {
            *ticks = (*ticks).max(RANK_TICKS);
        }
    }

    /// There is a leader, or another term.
    pub(crate) fn cancel(&mut self) {
        self.countdown = None;
    }
}

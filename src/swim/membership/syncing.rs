//! Views compared and made equal: by joining, from time to time, and after a network was cut.

use super::{Due, Effect, Membership};
use crate::bridge::UPDATES_MAX;
use crate::config::jittered;
use crate::datagram::{Addressee, NEWS_BYTES_MAX, Talk};
use crate::identity::{Identity, UPDATE_BYTES, Update};
use crate::member::State;
use crate::table::BUCKETS;
use base::{Instant, Now, Outbox};
use std::net::SocketAddr;
use std::time::Duration;
use wire::Kind;
use wire::tlv::ELEMENT_BYTES;

/// How often one that failed is called, as long as any is remembered.
pub(super) const CALL_EVERY: Duration = Duration::from_secs(5);

/// How often a seed is asked at first by one that knows nobody; then twice as rarely each time.
const JOIN_EVERY: Duration = Duration::from_secs(1);

/// How often at least.
const JOIN_EVERY_MAX: Duration = Duration::from_secs(10);

/// How often one that knows others asks a seed that it does not know.
const SEED_EVERY: Duration = Duration::from_secs(30);

/// How many seeds are asked at once.
const SEEDS_AT_ONCE: usize = 3;

/// How soon one that is joining compares again.
const JOIN_SYNC_EVERY: Duration = Duration::from_millis(300);

/// How often one that is joining compares before it takes itself for one that has joined: in a
/// cluster that changes all the time two views may never be equal.
const JOIN_SYNCS_MAX: u32 = 32;

/// How many periods a member is suspected until this one asks another how it ended: by then most
/// are failed, or have objected, and who has not heard of it has missed it.
pub(super) const DOUBTS_AFTER: u32 = 2;

/// By how much the next comparison comes sooner after somebody has joined.
const SOON: u32 = 5;

/// How many pages one comparison may bring: the largest view takes several.
const PAGES_MAX: usize = 24;

/// How far this member has come.
#[derive(Debug, Default)]
pub(super) struct Joining {
    /// How often it has asked seeds in vain.
    attempts: u32,
    /// How often it has compared.
    syncs: u32,
    has_joined: bool,
    /// Somebody has joined since the last comparison.
    has_grown: bool,
    /// When the next comparison is due; timers before it were overtaken.
    next_sync: Instant,
}

impl Joining {
    /// Whether its view was once equal to another's: from then on what it learns may be news to all.
    pub(super) fn has_joined(&self) -> bool {
        self.has_joined
    }

    #[cfg(test)]
    pub(super) fn acquaint(&mut self) {
        self.has_joined = true;
    }
}

impl Membership {
    /// Other seeds: names may lead elsewhere by now, or more are known. Who is new among them is
    /// asked at once.
    pub fn on_seeds(&mut self, now: Now, seeds: Vec<SocketAddr>, out: &mut Outbox<Effect>) {
        let before = std::mem::replace(&mut self.config.seeds, seeds);
        let takes_part = self.told_at.is_some() && self.goodbyes.is_none();
        if !takes_part {
            return;
        }
        let new: Vec<_> = self.absent_seeds().filter(|seed| !before.contains(seed)).collect();
        for seed in new.into_iter().take(SEEDS_AT_ONCE) {
            self.ask_seed(now, seed, out);
        }
        self.settle(now, out);
    }

    /// Those that are no active member, as far as this one knows.
    fn absent_seeds(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let own = self.config.address;
        let is_known = |seed: &SocketAddr| {
            self.table
                .iter()
                .any(|known| known.state.is_active() && known.identity.address == *seed)
        };
        let seeds = self.config.seeds.iter().map(canonical);
        seeds.filter(move |seed| *seed != own && !is_known(seed))
    }

    fn ask_seed(&mut self, now: Now, address: SocketAddr, out: &mut Outbox<Effect>) {
        let nobody = Identity { member: 0, boot: 0, renewal: 0, address, leaving: false };
        self.sync_with(now, nobody, false, out);
    }

    /// Sees whether somebody is there, and whether the seeds are. Goes on for ever: two halves that
    /// were founded apart, or cut for longer than they remember each other, find together by it.
    pub(super) fn join(&mut self, now: Now, out: &mut Outbox<Effect>) {
        let mut seeds: Vec<_> = self.absent_seeds().collect();
        let is_alone = self.table.others() == 0;
        for _ in 0..if is_alone { SEEDS_AT_ONCE } else { 1 } {
            if seeds.is_empty() {
                break;
            }
            let at = usize::try_from(self.prng.below(seeds.len() as u64)).expect("below a length");
            self.ask_seed(now, seeds[at], out);
            seeds.swap_remove(at);
        }
        let next = if is_alone {
            self.joining.attempts += 1;
            let doubled = JOIN_EVERY * (1 << (self.joining.attempts - 1).min(4));
            doubled.min(JOIN_EVERY_MAX)
        } else {
            self.joining.attempts = 0;
            SEED_EVERY
        };
        let next = jittered(next, &mut self.prng);
        self.after(now, next, Due::Join);
    }

    /// Calls one that failed. If it hears, each tells the other that it is taken for failed, and
    /// both come back under new names.
    pub(super) fn on_call(&mut self, now: Now, out: &mut Outbox<Effect>) {
        if let Some(failed) = self.table.draw_failed(&mut self.prng) {
            self.sync_with(now, failed, false, out);
        }
        let next = jittered(CALL_EVERY, &mut self.prng);
        self.after(now, next, Due::Call);
    }

    /// The next comparison comes so late, whatever was set before.
    pub(super) fn sync_after(&mut self, now: Now, delay: Duration) {
        let delay = jittered(delay, &mut self.prng);
        self.joining.next_sync = now.instant + delay;
        self.after(now, delay, Due::Sync);
    }

    /// Somebody is suspected for long. Others may know how it ended, and this member have missed it:
    /// what is only pushed misses one in 10^5.
    pub(super) fn on_doubt(&mut self, now: Now, out: &mut Outbox<Effect>) {
        let long = self.config.pace.period * DOUBTS_AFTER;
        let suspects = self.table.iter().filter(|known| known.state == State::Suspected);
        let Some(longest) = suspects.min_by_key(|known| known.since) else {
            self.is_doubting = false;
            return;
        };
        let is_long = now.instant.since(longest.since) >= long;
        let suspect = longest.identity.member;
        let other = self.table.draw(1, suspect, &mut self.prng).first().copied();
        if let Some(other) = other.filter(|_| is_long) {
            self.sync_with(now, other.identity, false, out);
        }
        self.after(now, self.config.pace.period, Due::Doubt);
    }

    /// Somebody has joined: at such times views differ most, and what is missed is missed by those
    /// who need it.
    pub(super) fn sync_soon(&mut self, now: Now) {
        self.joining.has_grown = true;
        let soon = self.config.pace.sync / SOON;
        // With the jitter of both, so that it is not put off for ever.
        if now.instant + soon * 2 < self.joining.next_sync {
            self.sync_after(now, soon);
        }
    }

    pub(super) fn on_sync_due(&mut self, now: Now, out: &mut Outbox<Effect>) {
        if now.instant < self.joining.next_sync {
            return;
        }
        self.table.forget_unknown();
        if let Some(other) = self.table.draw(1, 0, &mut self.prng).first() {
            self.sync_with(now, other.identity, false, out);
        }
        let has_grown = std::mem::take(&mut self.joining.has_grown);
        let next = match (self.joining.has_joined, self.table.others()) {
            (false, 1..) => JOIN_SYNC_EVERY,
            _ if has_grown => self.config.pace.sync / SOON,
            _ => self.config.pace.sync,
        };
        self.sync_after(now, next);
    }

    /// Says how this member's view looks, and what it is itself.
    pub(super) fn sync_with(
        &mut self,
        now: Now,
        to: Identity,
        is_answer: bool,
        out: &mut Outbox<Effect>,
    ) {
        let mut talk = Talk::new(Kind::GOSSIP_SYNC, self.own(), to);
        talk.flag = is_answer;
        let digests = self.table.digests();
        // Whatever name it has by now.
        let addressee = Addressee { member: to.member, boot: 0, renewal: 0 };
        let own = self.config.member.0;
        self.post_to(now, &talk, addressee, &[], &[own], &digests, out);
    }

    /// Another's view.
    pub(super) fn on_sync(
        &mut self,
        now: Now,
        sender: &Update,
        digests: &[u8],
        is_answer: bool,
        out: &mut Outbox<Effect>,
    ) {
        self.counts.syncs += 1;
        let differing = self.table.differing(digests);
        if !differing.is_empty() {
            self.counts.differences += 1;
        }
        if !is_answer {
            self.sync_with(now, sender.identity, true, out);
        }
        self.send_pages(now, sender.identity, &differing, out);
        if is_answer && !self.joining.has_joined {
            self.joining.syncs += 1;
            self.joining.has_joined = differing.is_empty() || self.joining.syncs >= JOIN_SYNCS_MAX;
            if self.joining.syncs == 1 && !self.joining.has_joined {
                // The regular comparison is far off yet.
                self.sync_after(now, JOIN_SYNC_EVERY);
            }
        }
    }

    /// Sends what this member knows of the members in these buckets, beginning anywhere: what does
    /// not fit comes with another comparison.
    fn send_pages(&mut self, now: Now, to: Identity, buckets: &[usize], out: &mut Outbox<Effect>) {
        let start = usize::try_from(self.prng.below(BUCKETS as u64)).expect("below 32");
        let (behind, ahead) = buckets.split_at(buckets.partition_point(|bucket| *bucket < start));
        let buckets = ahead.iter().chain(behind);
        let members: Vec<u64> = buckets.flat_map(|bucket| self.table.in_bucket(*bucket)).collect();
        let mut talk = Talk::new(Kind::MEMBERSHIP_UPDATE, self.own(), to);
        talk.flag = true;
        let (mut updates, mut about, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut pages = 0;
        for member in members {
            let update = match self.table.get(member) {
                Some(known) => known.update(),
                None => self.own(),
            };
            let data = self.table.said(member).map_or(0, |said| said.record.len() + ELEMENT_BYTES);
            let is_full = bytes + UPDATE_BYTES + data > NEWS_BYTES_MAX
                || updates.len() == UPDATES_MAX * UPDATE_BYTES;
            if is_full {
                self.post(now, &talk, &updates, &about, b"", out);
                (updates, about, bytes) = (Vec::new(), Vec::new(), 0);
                pages += 1;
                if pages == PAGES_MAX {
                    return;
                }
            }
            updates.extend_from_slice(&update.encode());
            about.push(member);
            bytes += UPDATE_BYTES + data;
        }
        if !updates.is_empty() {
            self.post(now, &talk, &updates, &about, b"", out);
        }
    }
}

fn canonical(address: &SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

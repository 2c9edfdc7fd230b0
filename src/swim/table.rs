//! The view: every member that is known, the ring that says who watches whom, and digests by which
//! two views are compared.
//!
//! foca has a list of its own. What is said goes through this one first, which keeps what is old
//! from it (most of what gossip brings), by the same rule; that both say the same is tested.
//!
//! Invariants:
//! - an update is new by the order of SWIM (Das et al. 2002, section 4.2), and the newer name wins;
//! - the ring has exactly the active members and this one;
//! - a digest is the combination of its bucket's active members, whatever happened before.

use crate::data::Said;
use crate::identity::{Identity, Update};
use crate::member::{Member, MemberId, State};
use crate::membership::MEMBERS_MAX;
use base::{BootId, Instant, Prng, hash64};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many digests there are: so few that they fit a datagram with all else, so many that a
/// difference costs the exchange of a thirty-second of the members.
pub(crate) const BUCKETS: usize = 32;

/// What is known of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) identity: Identity,
    pub(crate) incarnation: u16,
    pub(crate) state: State,
    pub(crate) since: Instant,
}

impl Known {
    pub(crate) fn update(&self) -> Update {
        let leaving = self.state == State::Left;
        Update {
            identity: Identity { leaving, ..self.identity },
            incarnation: self.incarnation,
            state: self.state,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    own: u64,
    own_boot: u64,
    known: BTreeMap<u64, Known>,
    said: BTreeMap<u64, Arc<Said>>,
    ring: BTreeSet<(u64, u64)>,
    digests: [u64; BUCKETS],
}

/// Where a member stands on the ring.
fn place(member: u64) -> u64 {
    hash64(&member.to_be_bytes())
}

fn bucket(member: u64) -> usize {
    usize::try_from(place(member) % BUCKETS as u64).expect("below 32")
}

impl Table {
    pub(crate) fn new(own: u64, own_boot: u64) -> Self {
        let mut table = Self {
            own,
            own_boot,
            known: BTreeMap::new(),
            said: BTreeMap::new(),
            ring: BTreeSet::from([(place(own), own)]),
            digests: [0; BUCKETS],
        };
        table.toggle(own);
        table
    }

    pub(crate) fn get(&self, member: u64) -> Option<&Known> {
        self.known.get(&member)
    }

    pub(crate) fn said(&self, member: u64) -> Option<&Arc<Said>> {
        self.said.get(&member)
    }

    /// All members but this one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// How many active members there are besides this one.
    pub(crate) fn others(&self) -> usize {
        self.ring.len() - 1
    }

    /// Whether this very name is known, and active.
    pub(crate) fn is_active(&self, identity: &Identity) -> bool {
        self.get(identity.member)
            .is_some_and(|known| known.identity == *identity && known.state.is_active())
    }

    /// Whether an update says something new.
    pub(crate) fn is_news(&self, update: &Update) -> bool {
        let Some(known) = self.get(update.identity.member) else { return true };
        match update.identity.age().cmp(&known.identity.age()) {
            std::cmp::Ordering::Less => return false,
            std::cmp::Ordering::Greater => return true,
            std::cmp::Ordering::Equal => {}
        }
        match (known.state, update.state) {
            (State::Failed | State::Left, _) => false,
            (_, State::Failed | State::Left) => true,
            (State::Alive, State::Suspected) => update.incarnation >= known.incarnation,
            (_, State::Alive | State::Suspected) => update.incarnation > known.incarnation,
        }
    }

    /// Takes an update that says something new; what was known before comes back.
    pub(crate) fn apply(&mut self, update: &Update, now: Instant) -> Option<Known> {
        let member = update.identity.member;
        assert!(member != self.own, "nobody else says what this member is");
        let before = self.get(member).copied();
        let is_same = before
            .is_some_and(|known| known.identity == update.identity && known.state == update.state);
        let since = before.filter(|_| is_same).map_or(now, |known| known.since);
        self.toggle(member);
        let known = Known {
            identity: update.identity,
            incarnation: update.incarnation,
            state: update.state,
            since,
        };
        self.known.insert(member, known);
        self.toggle(member);
        if update.state.is_active() {
            self.ring.insert((place(member), member));
        } else {
            self.ring.remove(&(place(member), member));
        }
        before
    }

    /// Forgets a member that is down under this name.
    pub(crate) fn forget(&mut self, identity: &Identity) {
        let member = identity.member;
        let is_down = |known: &Known| known.identity == *identity && !known.state.is_active();
        if self.get(member).is_some_and(is_down) {
            self.known.remove(&member);
            self.said.remove(&member);
        }
    }

    /// Takes what a member said; whether it is newer than what was known. A word may come before
    /// the news that there is somebody who said it.
    pub(crate) fn hear(&mut self, said: Arc<Said>) -> bool {
        let member = said.member;
        let is_newer = self.said(member).is_none_or(|last| last.age() < said.age());
        let has_room = self.said.len() < MEMBERS_MAX || self.said.contains_key(&member);
        if !is_newer || !has_room {
            return false;
        }
        self.toggle(member);
        self.said.insert(member, said);
        self.toggle(member);
        true
    }

    /// Forgets what was said by those who never came.
    pub(crate) fn forget_unknown(&mut self) {
        let (known, own) = (&self.known, self.own);
        self.said.retain(|member, _| *member == own || known.contains_key(member));
    }

    /// Adds a member to the digest of its bucket, or takes it out again. Renewals and incarnations
    /// are left out: whoever talks to a member has the latest ones.
    fn toggle(&mut self, member: u64) {
        let name = if member == self.own {
            Some(self.own_boot)
        } else {
            let known = self.get(member).filter(|known| known.state.is_active());
            known.map(|known| known.identity.boot)
        };
        let Some(boot) = name else { return };
        let said = self.said(member).filter(|said| said.boot == boot);
        let version = said.map_or(0, |said| said.version);
        let mut item = [0; 24];
        item[..8].copy_from_slice(&member.to_be_bytes());
        item[8..16].copy_from_slice(&boot.to_be_bytes());
        item[16..].copy_from_slice(&version.to_be_bytes());
        self.digests[bucket(member)] ^= hash64(&item);
    }

    pub(crate) fn digests(&self) -> Vec<u8> {
        self.digests.iter().flat_map(|digest| digest.to_be_bytes()).collect()
    }

    /// The buckets in which another's view differs; all of them when it does not say.
    pub(crate) fn differing(&self, digests: &[u8]) -> Vec<usize> {
        let (theirs, rest) = digests.as_chunks::<8>();
        let all = theirs.len() != BUCKETS || !rest.is_empty();
        let differs =
            |bucket: &usize| all || u64::from_be_bytes(theirs[*bucket]) != self.digests[*bucket];
        (0..BUCKETS).filter(differs).collect()
    }

    /// The members of one bucket, this one among them if it belongs there.
    pub(crate) fn in_bucket(&self, wanted: usize) -> impl Iterator<Item = u64> + '_ {
        let members = self.known.keys().copied().chain([self.own]);
        members.filter(move |member| bucket(*member) == wanted)
    }

    /// The `count` active members behind a place on the ring, without this one.
    fn behind(&self, place: u64, count: usize) -> impl Iterator<Item = &Known> {
        let from = (place, u64::MAX);
        let around = self.ring.range(from..).chain(self.ring.range(..from));
        let others = around.filter(|(_, member)| *member != self.own);
        others.filter_map(|(_, member)| self.known.get(member)).take(count)
    }

    /// Whom this member watches.
    pub(crate) fn watched(&self, count: usize) -> Vec<Update> {
        self.behind(place(self.own), count).map(Known::update).collect()
    }

    /// Who else watches a member.
    pub(crate) fn watchers(&self, of: u64, count: usize) -> Vec<Update> {
        let at = (place(of), of);
        let before = self.ring.range(..at).rev().chain(self.ring.range(at..).rev());
        let before = before.filter(|(_, member)| *member != of).take(count);
        before.filter_map(|(_, member)| self.known.get(member)).map(Known::update).collect()
    }

    /// Active members drawn at random, without this one and without `except`.
    pub(crate) fn draw(&self, count: usize, except: u64, prng: &mut Prng) -> Vec<Update> {
        let mut drawn: Vec<Update> = Vec::with_capacity(count);
        let wanted = count.min(self.others());
        // A draw that hits one again is not repeated for ever: a few too few do no harm.
        for _ in 0..2 * wanted {
            if drawn.len() == wanted {
                break;
            }
            let Some(known) = self.behind(prng.next_u64(), 1).next() else { break };
            let is_new = drawn.iter().all(|other| other.identity != known.identity);
            if known.identity.member != except && is_new {
                drawn.push(known.update());
            }
        }
        drawn
    }

    /// One that failed, drawn at random.
    pub(crate) fn draw_failed(&self, prng: &mut Prng) -> Option<Identity> {
        let failed = || self.iter().filter(|known| known.state == State::Failed);
        let count = failed().count() as u64;
        if count == 0 {
            return None;
        }
        let at = usize::try_from(prng.below(count)).expect("below a length");
        failed().nth(at).map(|known| known.identity)
    }

    /// A member as the house sees it.
    pub(crate) fn member(&self, known: &Known) -> Member {
        let identity = known.identity;
        let said = self.said(identity.member).filter(|said| said.boot == identity.boot);
        Member {
            id: MemberId(identity.member),
            boot: BootId(identity.boot),
            address: identity.address,
            state: known.state,
            since: known.since,
            data: said.map(|said| said.data.clone()).unwrap_or_default(),
            data_version: said.map_or(0, |said| said.version),
        }
    }
}

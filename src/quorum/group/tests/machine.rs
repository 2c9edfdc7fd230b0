//! One node of the world: its group, its disk, its state, and what drives them.

use crate::group::{Config, Group};
use crate::{Change, Effect, Entry, EntryKind, HardState, Membership, SnapshotMark};
use base::{BootId, NodeId, Outbox, Prng, StoreId, hash64};
use std::collections::VecDeque;

/// A snapshot, whole.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) mark: SnapshotMark,
    pub(crate) digest: u64,
}

/// A write on its way to the disk.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Vote(u64, u64),
    /// Entries, the commit index along, and the last index that stands once it is durable.
    Append(Vec<Entry>, u64, u64),
    Install(Image),
}

/// What a power cut leaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) vote: (u64, u64),
    pub(crate) commit: u64,
    /// The last entry that the journal no longer has.
    pub(crate) begin: (u64, u64),
    pub(crate) log: Vec<Entry>,
    pub(crate) image: Option<Image>,
}

impl Disk {
    pub(crate) fn last(&self) -> (u64, u64) {
        self.log.last().map_or(self.begin, |entry| (entry.index, entry.term))
    }

    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.begin.0 {
            return Some(self.begin.1);
        }
        let at = index.checked_sub(self.begin.0 + 1)?;
        self.log.get(usize::try_from(at).unwrap()).map(|entry| entry.term)
    }

    /// Whether what was committed at `index` in `term` is safe here.
    pub(crate) fn holds(&self, index: u64, term: u64) -> bool {
        let image = self.image.as_ref().map_or(0, |image| image.mark.index);
        index <= image.max(self.begin.0) || self.term_at(index) == Some(term)
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Vote(term, vote) => self.vote = (term, vote),
            Write::Append(entries, commit, _) => {
                append(&mut self.log, self.begin.0, entries);
                self.commit = self.commit.max(commit);
            }
            Write::Install(image) => {
                self.begin = (image.mark.index, image.mark.term);
                self.log.clear();
                self.commit = image.mark.index;
                self.image = Some(image);
            }
        }
    }

    fn compact(&mut self, through: u64) {
        let term = self.term_at(through).expect("what is compacted is durable");
        self.log.retain(|entry| entry.index > through);
        self.begin = (through, term);
    }
}

pub(crate) fn append(log: &mut Vec<Entry>, begin: u64, entries: Vec<Entry>) {
    let Some(first) = entries.first() else { return };
    log.retain(|entry| entry.index < first.index);
    assert_eq!(log.last().map_or(begin, |entry| entry.index) + 1, first.index, "no gap");
    log.extend(entries);
}

/// What the entries make.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) applied: (u64, u64),
    pub(crate) digest: u64,
    pub(crate) membership: Membership,
    /// Before the last change.
    pub(crate) previous: Membership,
}

impl State {
    pub(crate) fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.index, self.applied.0 + 1, "entries are handed out in order");
        self.applied = (entry.index, entry.term);
        let mut bytes = self.digest.to_le_bytes().to_vec();
        bytes.extend(entry.index.to_le_bytes());
        bytes.extend(entry.term.to_le_bytes());
        bytes.extend(&entry.data);
        self.digest = hash64(&bytes);
        if entry.kind == EntryKind::Membership {
            let change = Change::from_bytes(&entry.data).unwrap();
            if let Ok(next) = self.membership.changed(&change) {
                self.previous = std::mem::replace(&mut self.membership, next);
            }
        }
    }
}

/// A node.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) node: NodeId,
    pub(crate) store: StoreId,
    pub(crate) boot: u64,
    pub(crate) founded: Membership,
    pub(crate) up: Option<Group>,
    pub(crate) disk: Disk,
    /// In order; the first is on its way.
    pub(crate) writes: VecDeque<Write>,
    /// The log as the driver sees it, with what is not durable.
    pub(crate) log: Vec<Entry>,
    pub(crate) state: State,
    /// What was fetched and not installed.
    pub(crate) fetched: Option<Image>,
    /// Applied, and not yet told to the group.
    pub(crate) untold: u64,
    pub(crate) out: Outbox<Effect>,
}

impl Machine {
    pub(crate) fn new(node: u64, store: u64, founded: Membership) -> Self {
        Self {
            node: NodeId(node),
            store: StoreId(store),
            boot: 0,
            founded,
            up: None,
            disk: Disk::default(),
            writes: VecDeque::new(),
            log: Vec::new(),
            state: State::default(),
            fetched: None,
            untold: 0,
            out: Outbox::new(),
        }
    }

    pub(crate) fn group(&mut self) -> &mut Group {
        self.up.as_mut().expect("the node is up")
    }

    /// Starts from what the disk has: the snapshot, and the entries behind it, of which up to
    /// `replayed` are applied before the group starts.
    pub(crate) fn start(&mut self, seed: u64, replayed: u64) {
        self.boot += 1;
        let image = self.disk.image.clone();
        self.state = match &image {
            Some(image) => State {
                applied: (image.mark.index, image.mark.term),
                digest: image.digest,
                membership: image.mark.membership.clone(),
                previous: image.mark.membership.clone(),
            },
            None => State {
                membership: self.founded.clone(),
                previous: self.founded.clone(),
                ..State::default()
            },
        };
        let last = self.disk.last();
        let commit = self.disk.commit.min(last.0);
        for entry in &self.disk.log {
            if entry.index > self.state.applied.0 && entry.index <= replayed.min(commit) {
                self.state.apply(entry);
            }
        }
        let applied = self.state.applied;
        let mut terms = vec![self.disk.begin];
        for entry in self.disk.log.iter().filter(|entry| entry.index <= applied.0) {
            if terms.last().unwrap().1 != entry.term {
                terms.push((entry.index, entry.term));
            }
        }
        let above = self.disk.log.iter().filter(|entry| entry.index > applied.0);
        let config = Config {
            boot: BootId(self.boot),
            seed,
            hard_state: HardState { term: self.disk.vote.0, vote: self.disk.vote.1, commit },
            applied,
            terms,
            entries: above.cloned().collect(),
            snapshot: image.map(|image| image.mark),
            ..Config::new(self.node, self.store, self.state.membership.clone())
        };
        self.log = self.disk.log.clone();
        self.untold = applied.0;
        self.fetched = None;
        self.out = Outbox::new();
        self.up = Some(Group::new(config));
    }

    /// The power goes. Of what was on its way to the disk, some is there.
    pub(crate) fn crash(&mut self, dice: &mut Prng) {
        self.up = None;
        let mut survive = dice.below(self.writes.len() as u64 + 1);
        while let Some(mut write) = self.writes.pop_front() {
            if survive == 0 {
                if let Write::Append(entries, ..) = &mut write {
                    let some = dice.below(entries.len() as u64 + 1);
                    entries.truncate(usize::try_from(some).unwrap());
                    self.disk.write(write);
                }
                break;
            }
            survive -= 1;
            self.disk.write(write);
        }
        self.writes.clear();
    }

    /// The first write is durable: what the group is told, and the effects are in `out`.
    pub(crate) fn on_written(&mut self) {
        let write = self.writes.pop_front().expect("a write was on its way");
        self.disk.write(write.clone());
        let Self { up: Some(group), out, .. } = self else { unreachable!("crashes drop writes") };
        match write {
            Write::Vote(..) => group.on_vote_durable(out),
            Write::Append(_, _, stands) => group.on_durable(stands, out),
            Write::Install(image) => {
                self.state = State {
                    applied: (image.mark.index, image.mark.term),
                    digest: image.digest,
                    membership: image.mark.membership.clone(),
                    previous: image.mark.membership.clone(),
                };
                self.untold = image.mark.index;
                self.log.clear();
                group.on_snapshot_installed(image.mark.index, out);
            }
        }
    }

    /// Queues a write; what it supersedes of those before counts no more.
    pub(crate) fn write(&mut self, write: Write) {
        if let Write::Append(entries, ..) = &write {
            let first = entries[0].index;
            for before in &mut self.writes {
                if let Write::Append(_, _, stands) = before {
                    *stands = (*stands).min(first - 1);
                }
            }
            let begin = self.disk_begin();
            append(&mut self.log, begin, entries.clone());
        }
        self.writes.push_back(write);
    }

    fn disk_begin(&self) -> u64 {
        let installing = self.writes.iter().rev().find_map(|write| match write {
            Write::Install(image) => Some(image.mark.index),
            _ => None,
        });
        installing.unwrap_or(self.disk.begin.0)
    }

    /// Takes a snapshot of what was applied; keeps `keep` entries before it.
    pub(crate) fn take_snapshot(&mut self, keep: u64) {
        let index = self.state.applied.0;
        if index == 0 || !self.is_durable(index) {
            return;
        }
        self.untold = index;
        let mark = SnapshotMark {
            index,
            term: self.state.applied.1,
            membership: self.state.membership.clone(),
        };
        self.disk.image = Some(Image { mark, digest: self.state.digest });
        let begin = self.disk.begin.0;
        let group = self.up.as_mut().expect("the node is up");
        group.on_applied(index);
        group.on_snapshot_taken(index);
        let through = index.saturating_sub(keep);
        if through > begin {
            group.on_compacted(through);
            self.disk.compact(through);
            self.log.retain(|entry| entry.index > through);
        }
    }

    fn is_durable(&self, index: u64) -> bool {
        !self.writes.iter().any(|write| matches!(write, Write::Install(_)))
            && self.disk.last().0 >= index
            && self.disk.term_at(index) == Some(self.state.applied.1)
    }
}

//! A journal whose orders are carried out when, and in the order in which, a test says so.

use super::world::read;
use crate::{
    BLOCK_BYTES, Buffers, Config, Corrupt, Effect, Entry, File, Journal, Recovered, Recovery,
};
use base::{Instant, Outbox};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Counts its buffers, and leaves rubbish in them.
#[derive(Debug, Default)]
pub(crate) struct CountingBuffers {
    pub(crate) count: usize,
}

impl Buffers for CountingBuffers {
    type Buffer = Vec<u8>;

    fn allocate(&mut self, bytes: usize) -> Vec<u8> {
        assert_eq!(bytes % BLOCK_BYTES, 0, "buffers are whole blocks");
        self.count += 1;
        vec![0xaa; bytes]
    }
}

pub(crate) struct Rig {
    pub(crate) config: Config,
    pub(crate) journal: Journal<CountingBuffers>,
    pub(crate) files: BTreeMap<File, Vec<u8>>,
    /// Orders handed out and not carried out.
    pub(crate) orders: VecDeque<Effect<Vec<u8>>>,
    pub(crate) durable: u64,
    pub(crate) votes_durable: usize,
    pub(crate) snapshot: (u64, u64),
    is_installed: bool,
    pub(crate) now: Instant,
    out: Outbox<Effect<Vec<u8>>>,
}

impl Rig {
    /// A fresh journal with one segment ready.
    pub(crate) fn new(config: Config) -> Self {
        let mut rig = Self::unready(config);
        rig.finish();
        rig
    }

    /// A fresh journal whose first orders wait.
    pub(crate) fn unready(config: Config) -> Self {
        let mut out = Outbox::new();
        let journal = Journal::create(config.clone(), CountingBuffers::default(), &mut out);
        let mut rig = Self {
            config,
            journal,
            files: [(File::Vote, vec![0; 2 * BLOCK_BYTES])].into(),
            orders: VecDeque::new(),
            durable: 0,
            votes_durable: 0,
            snapshot: (0, 0),
            is_installed: false,
            now: Instant(1),
            out,
        };
        rig.collect();
        rig
    }

    fn collect(&mut self) {
        for effect in self.out.take() {
            match effect {
                Effect::Durable { through } => self.durable = through,
                Effect::VoteDurable => self.votes_durable += 1,
                order => self.orders.push_back(order),
            }
        }
    }

    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        self.append_and_commit(entries, 0);
    }

    pub(crate) fn append_and_commit(&mut self, entries: Vec<Entry>, commit: u64) {
        self.journal.on_append(self.now, entries, commit, &mut self.out);
        self.collect();
    }

    /// Appends one entry of so much data.
    pub(crate) fn append_bytes(&mut self, data_bytes: usize) {
        let index = self.journal.last() + 1;
        self.append(vec![entry(index, 0, data_bytes)]);
    }

    pub(crate) fn vote(&mut self, term: u64, vote: u64) {
        self.journal.on_vote(term, vote, &mut self.out);
        self.collect();
    }

    pub(crate) fn compact(&mut self, through: u64) {
        self.snapshot = (through, 0);
        self.journal.compact(through, &mut self.out);
        self.collect();
    }

    /// A snapshot from elsewhere is durable, and the journal hears of it.
    pub(crate) fn install(&mut self, index: u64, term: u64) {
        self.snapshot = (index, term);
        self.is_installed = true;
        self.journal.on_installed(index, &mut self.out);
        self.collect();
    }

    /// What a reader finds from this entry on.
    pub(crate) fn read_back(&self, from: u64) -> Option<Vec<Entry>> {
        let stretch = self.journal.find(from)?;
        let at = usize::try_from(stretch.offset()).unwrap();
        let bytes = &self.files[&stretch.file()];
        let read = &bytes[at..at + usize::try_from(stretch.bytes()).unwrap()];
        Some(stretch.entries(read).expect("nothing was overwritten"))
    }

    pub(crate) fn wait(&mut self, by: Duration) {
        self.now = self.now + by;
        self.journal.on_deadline(self.now, &mut self.out);
        self.collect();
    }

    /// Carries out the order at this place among those that wait.
    pub(crate) fn carry_out(&mut self, at: usize) {
        let order = self.orders.remove(at).expect("it waits");
        let token = match order {
            Effect::Write { token, file, offset, bytes } => {
                let at = usize::try_from(offset).unwrap();
                let content = self.files.get_mut(&file).expect("it was prepared");
                content[at..at + bytes.len()].copy_from_slice(&bytes);
                token
            }
            Effect::Sync { token, .. } => token,
            Effect::Prepare { token, slot, bytes } => {
                let zeros = vec![0; usize::try_from(bytes).unwrap()];
                self.files.insert(File::Segment(slot), zeros);
                token
            }
            Effect::Remove { slot } => {
                self.files.remove(&File::Segment(slot)).expect("it is there");
                return;
            }
            Effect::Durable { .. } | Effect::VoteDurable => unreachable!("news, not an order"),
        };
        self.journal.on_done(self.now, token, &mut self.out);
        self.collect();
    }

    /// Carries out what waits, until nothing does.
    pub(crate) fn finish(&mut self) {
        while !self.orders.is_empty() {
            self.carry_out(0);
        }
    }

    /// Carries out all but preparations.
    pub(crate) fn finish_writes(&mut self) {
        let is_write = |order: &Effect<_>| !matches!(order, Effect::Prepare { .. });
        while let Some(at) = self.orders.iter().position(is_write) {
            self.carry_out(at);
        }
    }

    /// The preparation that waits fails.
    pub(crate) fn fail_preparation(&mut self) {
        let preparing = |order: &Effect<_>| matches!(order, Effect::Prepare { .. });
        let at = self.orders.iter().position(preparing).expect("a preparation waits");
        let Some(Effect::Prepare { token, .. }) = self.orders.remove(at) else { unreachable!() };
        self.journal.on_prepare_failed(self.now, token, &mut self.out);
        self.collect();
    }

    /// Recovers what is in the files, without a change to anything.
    pub(crate) fn read(&self) -> Result<(Recovered, Vec<Entry>), Corrupt> {
        let config = self.config.clone();
        let recovery = if self.is_installed {
            Recovery::of_installed(config, self.snapshot)
        } else {
            Recovery::new(config, self.snapshot)
        };
        read(recovery, &self.files)
    }

    /// The process ends and starts again; orders that wait are lost.
    pub(crate) fn restart(&mut self) -> Vec<Entry> {
        self.orders.clear();
        self.durable = 0;
        let (recovered, entries) = self.read().unwrap_or_else(|fault| panic!("{fault}"));
        let buffers = CountingBuffers::default();
        self.journal = Journal::resume(self.config.clone(), buffers, recovered, &mut self.out);
        self.collect();
        entries
    }

    /// What waits, in words.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.orders.iter().map(describe).collect()
    }

    /// Damages one byte.
    pub(crate) fn damage(&mut self, file: File, at: usize) {
        self.files.get_mut(&file).expect("it is there")[at] ^= 0x10;
    }

    pub(crate) fn segment_files(&self) -> usize {
        self.files.len() - 1
    }
}

fn describe(order: &Effect<Vec<u8>>) -> String {
    let name = |file: &File| match file {
        File::Vote => "vote".to_owned(),
        File::Segment(slot) => slot.to_string(),
    };
    match order {
        Effect::Write { file, offset, bytes, .. } => {
            format!("write {} {}+{}", name(file), offset / 4096, bytes.len() / 4096)
        }
        Effect::Sync { file, .. } => format!("sync {}", name(file)),
        Effect::Prepare { slot, .. } => format!("prepare {slot}"),
        Effect::Remove { slot } => format!("remove {slot}"),
        Effect::Durable { .. } | Effect::VoteDurable => unreachable!("news, not an order"),
    }
}

pub(crate) fn entry(index: u64, term: u64, data_bytes: usize) -> Entry {
    Entry { index, term, kind: 0, data: Bytes::from(vec![index.to_le_bytes()[0]; data_bytes]) }
}

pub(crate) fn entries(indexes: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    indexes.map(|index| entry(index, 0, 10)).collect()
}

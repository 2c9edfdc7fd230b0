//! One node's journal on the model disk, and the judge of what a crash leaves.

use super::disk::{Crash, Disk, draw};
use crate::{
    Config, Corrupt, Effect, Entry, File, HeapBuffers, Journal, Recovered, Recovery,
    WRITES_IN_FLIGHT_MAX,
};
use base::{Instant, Outbox, Prng, StoreId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) fn small_config(merge_bytes_max: u64) -> Config {
    Config {
        segment_bytes: 16 * 4096,
        spare_segments_max: 2,
        entry_bytes_max: 9000,
        frame_bytes_max: 12 * 1024,
        merge_bytes_max,
        ..Config::new(StoreId(0x5707_e1d5))
    }
}

/// Reads an image as a driver does.
pub(crate) fn recover(
    config: &Config,
    snapshot: (u64, u64),
    image: &BTreeMap<File, Vec<u8>>,
) -> Result<(Recovered, Vec<Entry>), Corrupt> {
    read(Recovery::new(config.clone(), snapshot), image)
}

/// Reads an image with this recovery.
pub(crate) fn read(
    mut recovery: Recovery,
    image: &BTreeMap<File, Vec<u8>>,
) -> Result<(Recovered, Vec<Entry>), Corrupt> {
    for (file, bytes) in image {
        match file {
            File::Vote => recovery.on_vote_file(bytes),
            File::Segment(slot) => recovery.on_header(*slot, &bytes[..bytes.len().min(4096)]),
        }
    }
    // As a node does that applies what is committed while it reads.
    let mut applied = Vec::new();
    let mut out = Vec::new();
    while let Some(slot) = recovery.next_segment() {
        recovery.on_segment(slot, &image[&File::Segment(slot)], &mut out);
        let commit = recovery.commit();
        let committed = out.iter().take_while(|entry| entry.index <= commit).count();
        applied.extend(out.drain(..committed));
    }
    let recovered = recovery.finish(&mut out)?;
    applied.append(&mut out);
    Ok((recovered, applied))
}

/// What was asked of the journal, and what it promised.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Every entry that was ever appended and can still be there, in the order of the appends.
    pub(crate) appended: Vec<Entry>,
    /// How many of them were promised.
    pub(crate) promised: usize,
    /// Every vote that can still be there, the first of them promised.
    votes: Vec<(u64, u64)>,
    votes_promised: usize,
    pub(crate) commit: u64,
    pub(crate) snapshot: (u64, u64),
    /// The append that brought the entry at `snapshot`.
    snapshot_at: usize,
    /// Whether the snapshot came from elsewhere.
    installed: bool,
    /// What was appended goes on behind this snapshot, index and term: the last that was installed.
    base: (u64, u64),
}

impl Judge {
    /// The log after the first `count` appends.
    pub(crate) fn log(&self, count: usize) -> Vec<Entry> {
        let mut log: Vec<Entry> = Vec::new();
        for entry in &self.appended[..count] {
            log.truncate(usize::try_from(entry.index - 1 - self.base.0).unwrap());
            log.push(entry.clone());
        }
        log
    }

    /// Which append brought the entry that now has this index.
    fn appended_at(&self, index: u64) -> usize {
        self.appended.iter().rposition(|entry| entry.index == index).map_or(0, |at| at + 1)
    }

    fn on_durable(&mut self, through: u64) {
        self.promised = self.promised.max(self.appended_at(through));
    }

    /// Goes on from what was recovered, if that is what may be left.
    pub(crate) fn judge(&mut self, recovered: &Recovered, entries: &[Entry]) {
        let kept = match entries.last() {
            Some(last) => self.appended.iter().position(|entry| entry == last).map(|at| at + 1),
            None => Some(self.snapshot_at),
        };
        let kept = kept.expect("nothing that was not appended is ever recovered");
        assert!(kept >= self.promised, "what was reported durable is recovered");
        let log = self.log(kept);
        let above = usize::try_from(self.snapshot.0 - self.base.0).unwrap();
        assert!(log[above..] == *entries, "the log is recovered in order");
        let last = log.last().map_or(self.base, |entry| (entry.index, entry.term));
        assert_eq!(recovered.last, last, "the last entry is known");
        assert!(recovered.commit <= self.commit, "nobody committed more");
        assert!(recovered.commit >= self.snapshot.0, "a snapshot is committed");
        assert!(recovered.commit <= recovered.last.0, "the stored commit is at most what is there");
        if let Some(cut) = recovered.cut {
            assert_eq!(cut.at_index, last.0 + 1, "a cut is where the log ends");
            assert!(cut.dropped_frames > 0 && cut.dropped_bytes >= 4096 * cut.dropped_frames);
        }
        let vote = (recovered.term, recovered.vote);
        let at = self.votes.iter().rposition(|known| *known == vote);
        let at = at.expect("nobody voted otherwise");
        assert!(at >= self.votes_promised, "a vote that was reported durable is recovered");
        self.appended.truncate(kept);
        self.votes.truncate(at + 1);
    }
}

pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) prng: Prng,
    pub(crate) disk: Disk,
    pub(crate) journal: Journal<HeapBuffers>,
    pub(crate) judge: Judge,
    pub(crate) now: Instant,
    out: Outbox<Effect<Vec<u8>>>,
    serial: u64,
    /// How large entries get here.
    data_bytes_max: usize,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let config = small_config([0, 20_000, 1 << 20][draw(&mut prng, 3)]);
        let mut out = Outbox::new();
        let journal = Journal::create(config.clone(), HeapBuffers, &mut out);
        let data_bytes_max = [30, 3000, 9001][draw(&mut prng, 3)];
        let judge = Judge { votes: vec![(0, 0)], ..Judge::default() };
        let mut world = Self {
            config,
            prng,
            disk: Disk::new(),
            journal,
            judge,
            now: Instant(0),
            out,
            serial: 0,
            data_bytes_max,
        };
        world.carry_out();
        world
    }

    fn carry_out(&mut self) {
        for effect in self.out.take() {
            match effect {
                Effect::Durable { through } => {
                    assert_eq!(through, self.journal.durable());
                    self.judge.on_durable(through);
                }
                Effect::VoteDurable => {
                    self.judge.votes_promised = self.judge.votes.len() - 1;
                }
                order => self.disk.submit(order),
            }
        }
        assert!(self.journal.writes_in_flight() <= WRITES_IN_FLIGHT_MAX);
        assert!(self.journal.durable() <= self.journal.last());
    }

    pub(crate) fn append(&mut self) {
        let last = self.journal.last();
        let first = if self.prng.chance(1, 12) {
            self.judge.commit + 1 + self.prng.below(last + 1 - self.judge.commit)
        } else {
            last + 1
        };
        let count = 1 + self.prng.below(4);
        let term = self.judge.votes.last().unwrap().0;
        let entries: Vec<Entry> =
            (first..first + count).map(|index| self.entry(index, term)).collect();
        self.judge.appended.extend(entries.iter().cloned());
        // What is superseded is not durable any more, but may only be replaced by what did it.
        let commit = self.judge.commit;
        self.journal.on_append(self.now, entries, commit, &mut self.out);
        self.carry_out();
    }

    fn entry(&mut self, index: u64, term: u64) -> Entry {
        self.serial += 1;
        let length = draw(&mut self.prng, self.data_bytes_max).max(8);
        let mut data = vec![self.serial.to_le_bytes()[0]; length.min(self.config.entry_bytes_max)];
        data[..8].copy_from_slice(&self.serial.to_le_bytes());
        Entry { index, term, kind: u8::from(index % 2 == 1), data: Bytes::from(data) }
    }

    pub(crate) fn vote(&mut self) {
        let term = self.judge.votes.last().unwrap().0 + self.prng.below(2) + 1;
        let vote = self.prng.below(4);
        self.judge.votes.push((term, vote));
        self.journal.on_vote(term, vote, &mut self.out);
        self.carry_out();
    }

    fn compact(&mut self) {
        self.judge.commit = self.judge.commit.max(self.journal.durable());
        let index = self.judge.snapshot.0.max(self.prng.below(self.judge.commit + 1));
        if index > self.judge.snapshot.0 {
            let at = self.judge.appended_at(index);
            let term =
                at.checked_sub(1).map_or(self.judge.base.1, |at| self.judge.appended[at].term);
            self.judge.snapshot = (index, term);
            self.judge.snapshot_at = at;
            self.judge.installed = false;
        }
        self.journal.compact(index, &mut self.out);
        self.carry_out();
    }

    /// A snapshot from elsewhere is durable: ahead of the log, or of another one.
    fn install(&mut self) {
        self.vote();
        let term = self.judge.votes.last().unwrap().0;
        let (commit, last) = (self.judge.commit, self.journal.last());
        let index = commit + 1 + self.prng.below(last + 8 - commit);
        self.judge.appended.clear();
        self.judge.promised = 0;
        self.judge.snapshot = (index, term);
        self.judge.snapshot_at = 0;
        self.judge.base = (index, term);
        self.judge.installed = true;
        self.judge.commit = index;
        // A crash before the journal hears of it is as good as one right after.
        if self.prng.chance(9, 10) {
            self.journal.on_installed(index, &mut self.out);
            self.carry_out();
        } else {
            self.crash(Crash::Kill);
            self.start();
        }
    }

    pub(crate) fn complete(&mut self) {
        if let Some(token) = self.disk.preparing()
            && self.prng.chance(1, 30)
        {
            self.disk.fail_preparation(&mut self.prng);
            self.journal.on_prepare_failed(self.now, token, &mut self.out);
            assert!(self.journal.is_disk_full());
        } else if let Some(token) = self.disk.complete(&mut self.prng) {
            self.journal.on_done(self.now, token, &mut self.out);
        }
        self.carry_out();
    }

    /// Everything ends, time passes, and that again until nothing happens any more.
    pub(crate) fn quiesce(&mut self) {
        loop {
            while !self.disk.is_idle() {
                let token = self.disk.complete(&mut self.prng).unwrap();
                self.journal.on_done(self.now, token, &mut self.out);
                self.carry_out();
            }
            let Some(at) = self.journal.deadline() else { return };
            self.now = at;
            self.journal.on_deadline(at, &mut self.out);
            self.carry_out();
        }
    }

    /// Entries that are durable are read back as they were appended, and in their order.
    fn read_back(&mut self) {
        let (below, durable) = (self.judge.base.0, self.journal.durable());
        if durable <= below {
            return;
        }
        let from = below + 1 + self.prng.below(durable - below);
        let Some(stretch) = self.journal.find(from) else { return };
        let image = self.disk.image();
        let at = usize::try_from(stretch.offset()).unwrap();
        let bytes = &image[&stretch.file()][at..at + usize::try_from(stretch.bytes()).unwrap()];
        let found = stretch.entries(bytes).expect("nothing has been recycled meanwhile");
        assert_eq!(found[0].index, from, "it begins where it was asked to");
        let log = self.judge.log(self.judge.appended.len());
        let at = usize::try_from(from - 1 - below).unwrap();
        assert!(found == log[at..at + found.len()], "the log is read back as it is");
        assert!(found.last().expect("it is not empty").index <= durable);
    }

    pub(crate) fn step(&mut self) {
        match self.prng.below(20) {
            0..5 => self.append(),
            5 if self.prng.chance(1, 3) => self.vote(),
            6 if self.prng.chance(1, 4) => self.compact(),
            6 if self.prng.chance(1, 8) => self.install(),
            7 => {
                self.now = self.now + Duration::from_millis(self.prng.below(40));
                self.journal.on_deadline(self.now, &mut self.out);
                self.carry_out();
            }
            8 if self.prng.chance(1, 2) => self.read_back(),
            8 => self.judge.commit = self.judge.commit.max(self.journal.durable()),
            _ => self.complete(),
        }
    }

    pub(crate) fn crash(&mut self, crash: Crash) {
        self.out.take();
        self.disk.crash(crash, &mut self.prng);
    }

    /// What a start makes of an image of the disk.
    pub(crate) fn read(
        &self,
        image: &BTreeMap<File, Vec<u8>>,
    ) -> Result<(Recovered, Vec<Entry>), Corrupt> {
        let (config, snapshot) = (self.config.clone(), self.judge.snapshot);
        if self.judge.installed {
            read(Recovery::of_installed(config, snapshot), image)
        } else {
            read(Recovery::new(config, snapshot), image)
        }
    }

    pub(crate) fn start(&mut self) {
        let image = self.disk.image();
        let (recovered, entries) = self.read(&image).unwrap_or_else(|fault| panic!("{fault}"));
        self.judge.judge(&recovered, &entries);
        let last = recovered.last.0;
        self.journal = Journal::resume(self.config.clone(), HeapBuffers, recovered, &mut self.out);
        assert_eq!(self.journal.last(), last, "the journal goes on where the log ends");
        self.carry_out();
    }
}

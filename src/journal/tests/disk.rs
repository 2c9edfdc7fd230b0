//! A disk of 512-byte sectors that keeps a promise only after fdatasync: of every write before it,
//! a crash keeps any subset of sectors, and may leave rubbish in one.

use crate::{Effect, File, Token};
use base::Prng;
use std::collections::BTreeMap;

const SECTOR: usize = 512;

/// How the machine ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process dies: what it wrote stays visible, and is still not durable.
    Kill,
    /// The power fails.
    Power,
}

#[derive(Clone, Debug)]
struct Dirty {
    token: Token,
    offset: usize,
    bytes: Vec<u8>,
    finished: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    durable: Vec<u8>,
    dirty: Vec<Dirty>,
}

impl Content {
    fn visible(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for dirty in self.dirty.iter().filter(|dirty| dirty.finished) {
            put(&mut bytes, dirty.offset, &dirty.bytes);
        }
        bytes
    }
}

#[derive(Clone, Debug)]
enum Op {
    Write(File),
    Sync { file: File, covers: Vec<Token> },
    Prepare { slot: u32, bytes: usize },
}

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    files: BTreeMap<File, Content>,
    /// Removed, but not yet for good.
    removed: BTreeMap<u32, Vec<u8>>,
    pending: Vec<(Token, Op)>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        let vote = Content { durable: vec![0; 8192], dirty: Vec::new() };
        Self { files: [(File::Vote, vote)].into(), removed: BTreeMap::new(), pending: Vec::new() }
    }

    pub(crate) fn submit(&mut self, effect: Effect<Vec<u8>>) {
        match effect {
            Effect::Write { token, file, offset, bytes } => {
                assert_eq!(offset % 4096, 0, "offsets are aligned");
                assert_eq!(bytes.len() % 4096, 0, "lengths are aligned");
                let content = self.files.get_mut(&file).expect("the file was prepared");
                let offset = usize::try_from(offset).unwrap();
                assert!(offset + bytes.len() <= content.durable.len(), "writes stay in the file");
                content.dirty.push(Dirty { token, offset, bytes, finished: false });
                self.pending.push((token, Op::Write(file)));
            }
            Effect::Sync { token, file } => {
                let finished = self.files[&file].dirty.iter().filter(|dirty| dirty.finished);
                let covers = finished.map(|dirty| dirty.token).collect();
                self.pending.push((token, Op::Sync { file, covers }));
            }
            Effect::Prepare { token, slot, bytes } => {
                assert!(!self.pending.iter().any(|(_, op)| matches!(op, Op::Prepare { .. })));
                let bytes = usize::try_from(bytes).unwrap();
                self.pending.push((token, Op::Prepare { slot, bytes }));
            }
            Effect::Remove { slot } => {
                let content = self.files.remove(&File::Segment(slot)).expect("the file exists");
                self.removed.insert(slot, content.durable);
            }
            Effect::Durable { .. } | Effect::VoteDurable => unreachable!("news, not an order"),
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    pub(crate) fn preparing(&self) -> Option<Token> {
        let is_prepare = |(_, op): &&(Token, Op)| matches!(op, Op::Prepare { .. });
        self.pending.iter().find(is_prepare).map(|(token, _)| *token)
    }

    /// Ends one order, any of them.
    pub(crate) fn complete(&mut self, prng: &mut Prng) -> Option<Token> {
        if self.pending.is_empty() {
            return None;
        }
        let (token, op) = self.pending.swap_remove(draw(prng, self.pending.len()));
        match op {
            Op::Write(file) => {
                let dirty = &mut self.files.get_mut(&file).expect("it is there").dirty;
                dirty.iter_mut().find(|dirty| dirty.token == token).unwrap().finished = true;
            }
            Op::Sync { file, covers } => {
                let Content { durable, dirty } = self.files.get_mut(&file).expect("it is there");
                for dirty in dirty.iter().filter(|dirty| covers.contains(&dirty.token)) {
                    put(durable, dirty.offset, &dirty.bytes);
                }
                dirty.retain(|dirty| !covers.contains(&dirty.token));
            }
            Op::Prepare { slot, bytes } => {
                let content = Content { durable: vec![0; bytes], dirty: Vec::new() };
                self.files.insert(File::Segment(slot), content);
                self.removed.clear();
            }
        }
        Some(token)
    }

    /// A preparation found no space: it left a part of the file.
    pub(crate) fn fail_preparation(&mut self, prng: &mut Prng) {
        let at = self.pending.iter().position(|(_, op)| matches!(op, Op::Prepare { .. })).unwrap();
        let (_, Op::Prepare { slot, bytes }) = self.pending.swap_remove(at) else { unreachable!() };
        self.leave_part(slot, bytes, prng);
    }

    fn leave_part(&mut self, slot: u32, bytes: usize, prng: &mut Prng) {
        if prng.chance(2, 3) {
            let durable = vec![0; draw(prng, bytes + 1)];
            let content = Content { durable, dirty: Vec::new() };
            self.files.insert(File::Segment(slot), content);
        }
    }

    pub(crate) fn crash(&mut self, crash: Crash, prng: &mut Prng) {
        for (_, op) in std::mem::take(&mut self.pending) {
            if let Op::Prepare { slot, bytes } = op {
                self.leave_part(slot, bytes, prng);
            }
        }
        let odds = [0, 1, 5, 9, 10][draw(prng, 5)];
        for Content { durable, dirty } in self.files.values_mut() {
            let mut kept = Vec::new();
            for write in std::mem::take(dirty) {
                if crash == Crash::Kill && write.finished {
                    kept.push(write);
                    continue;
                }
                for (number, sector) in write.bytes.chunks(SECTOR).enumerate() {
                    if !prng.chance(odds, 10) {
                        continue;
                    }
                    let (offset, mut bytes) = (write.offset + number * SECTOR, sector.to_vec());
                    if crash == Crash::Kill {
                        kept.push(Dirty { token: write.token, offset, bytes, finished: true });
                        continue;
                    }
                    if prng.chance(1, 40) {
                        bytes[draw(prng, SECTOR)..].fill_with(|| prng.next_u64().to_le_bytes()[0]);
                    }
                    put(durable, offset, &bytes);
                }
            }
            *dirty = kept;
        }
        // The tokens of the next run start over.
        for content in self.files.values_mut() {
            for (number, dirty) in (0..).zip(&mut content.dirty) {
                dirty.token = Token(u64::MAX - number);
            }
        }
        if crash == Crash::Power {
            for (slot, durable) in std::mem::take(&mut self.removed) {
                if prng.chance(1, 2) {
                    let content = Content { durable, dirty: Vec::new() };
                    self.files.entry(File::Segment(slot)).or_insert(content);
                }
            }
        }
    }

    /// Every file, as a start would read it.
    pub(crate) fn image(&self) -> BTreeMap<File, Vec<u8>> {
        self.files.iter().map(|(file, content)| (*file, content.visible())).collect()
    }
}

fn put(bytes: &mut [u8], offset: usize, part: &[u8]) {
    bytes[offset..offset + part.len()].copy_from_slice(part);
}

pub(crate) fn draw(prng: &mut Prng, bound: usize) -> usize {
    usize::try_from(prng.below(bound as u64)).unwrap()
}

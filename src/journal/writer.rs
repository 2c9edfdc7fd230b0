//! The running journal: what is written where, and when it counts.
//!
//! Invariants:
//! - A frame is built when a place among the writes in flight is free, from everything queued by
//!   then: one fdatasync's duration decides how much the next one carries.
//! - Behind every frame of entries its segment has room for a seal.
//! - A segment is given up only when its successor's header is durable, or nothing in it is needed
//!   any more, and when it is stored that the log begins behind it.

mod places;
mod space;

pub(crate) use places::Places;
pub use places::{Overwritten, Stretch};
pub(crate) use space::{Free, Segment};

use crate::buffers::Buffers;
use crate::config::Config;
use crate::format::{
    BLOCK_BYTES, ENTRY_HEADER_BYTES, FRAME_HEADER_BYTES, FrameHeader, FrameKind, SegmentHeader,
    frame_bytes, whole_blocks,
};
use crate::frame;
use crate::recovery::Recovered;
use crate::vote::{Tokens, VoteFile};
use crate::{Effect, Entry, File, Token};
use base::{Instant, Outbox};
use space::Space;
use std::collections::VecDeque;
use std::time::Duration;

/// Frames on their way to the disk. Two keep it busy while one waits for its fdatasync; more would
/// only make frames smaller and the tail that a crash leaves longer.
pub const WRITES_IN_FLIGHT_MAX: usize = 2;

/// After this long without a write, what is durable is written down, so that the tail about which
/// a start has to guess is short.
pub const SEAL_AFTER: Duration = Duration::from_millis(20);

/// How long after a failed [`Effect::Prepare`] it is tried again.
pub const PREPARE_RETRY: Duration = Duration::from_secs(1);

/// Kept out of [`Journal::room`] for what nobody asks room for: seals, and the empty entry with
/// which a leader takes office.
const RESERVE_BYTES: u64 = 8 * BLOCK_BYTES as u64;

/// A write on its way, then its fdatasync.
#[derive(Debug)]
struct Flight {
    token: Token,
    stage: Stage,
    load: Load,
    slot: u32,
    sequence: u64,
    /// The last index of the log that stands when this and all before it are durable.
    last_index: u64,
    /// The position behind it.
    end: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Writing,
    Syncing,
    Done,
}

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// A frame of entries, with its segment's header in front where it is the first.
    Entries,
    /// A frame of the tail that is copied: it does not count before the header.
    Copied,
    /// The header that vouches for the copied tail.
    Opening,
    /// A seal.
    Seal,
}

/// The copy of the tail that the run before left. Frames first, then the header that vouches for
/// them; until that is durable nothing else is written, and nothing of it counts.
#[derive(Debug)]
struct Copying {
    /// What is still to be written.
    entries: VecDeque<Entry>,
    /// The last index of the tail; less when it was superseded meanwhile.
    last_index: u64,
    /// The slot and the header that is held back, from the first frame on.
    header: Option<(u32, SegmentHeader)>,
}

/// A log that gives way to a snapshot that was installed.
#[derive(Clone, Copy, Debug)]
struct Reset {
    /// The snapshot's.
    index: u64,
    /// Where the log is stored to begin anew, once nothing is on its way to what it gives up.
    begins: Option<u64>,
}

/// The journal of one node. Entries and votes in, writes out.
#[derive(Debug)]
pub struct Journal<A: Buffers> {
    config: Config,
    buffers: A,
    tokens: Tokens,
    vote: VoteFile,
    space: Space,
    places: Places,
    /// The last index of the last frame of entries: one that begins there or below supersedes.
    framed: u64,
    copying: Option<Copying>,
    resetting: Option<Reset>,
    queue: VecDeque<Entry>,
    /// What the queue and the tail to copy take on disk at most.
    queued_cost: u64,
    flights: VecDeque<Flight>,
    /// The position behind the last frame that was handed out.
    position: u64,
    /// Where the log continues when the next segment is opened, if not at `position`.
    joins: Option<u64>,
    chain: u32,
    sequence: u64,
    last: u64,
    /// The last index handed out in a frame.
    written: u64,
    commit: u64,
    durable: u64,
    durable_position: u64,
    /// Whether the log on disk says itself that all of it is durable.
    sealed: bool,
    seal_at: Option<Instant>,
}

impl<A: Buffers> Journal<A> {
    /// The journal of a fresh directory, with an empty `vote` file in it.
    pub fn create(config: Config, buffers: A, out: &mut Outbox<Effect<A::Buffer>>) -> Self {
        let recovered = Recovered::fresh(config.store);
        Self::resume(config, buffers, recovered, out)
    }

    /// The journal that [`crate::Recovery`] found, also a fresh one. The driver has synced the
    /// directory before, since a file may be there that no crash would leave.
    ///
    /// What was not known to be durable is copied into a new segment first; appends wait
    /// behind that copy.
    pub fn resume(
        config: Config,
        buffers: A,
        recovered: Recovered,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) -> Self {
        config.check();
        let Recovered { commit, last: (last, _), state, .. } = recovered;
        let space = Space::new(state.segments, state.held, state.free, state.next_slot);
        let copying = state.tail.last().map(|entry| entry.index).map(|last_index| Copying {
            entries: state.tail.into(),
            last_index,
            header: None,
        });
        let cost = |entry: &Entry| frame_bytes(entry.data.len());
        let mut journal = Self {
            queued_cost: copying.iter().flat_map(|copy| &copy.entries).map(cost).sum(),
            config,
            buffers,
            tokens: Tokens::default(),
            vote: VoteFile::new(state.vote, state.newest_copy),
            space,
            places: state.places,
            framed: 0,
            queue: VecDeque::new(),
            flights: VecDeque::new(),
            position: state.position,
            joins: Some(state.joins),
            chain: state.chain,
            sequence: state.sequence,
            last,
            written: copying.as_ref().map_or(last, |copy| copy.entries[0].index - 1),
            commit,
            durable: state.durable_index,
            durable_position: state.durable_position,
            sealed: true,
            seal_at: None,
            copying,
            resetting: state.replaced_by.map(|index| Reset { index, begins: None }),
        };
        // What is copied lies elsewhere from now on.
        journal.places.cut(state.joins);
        journal.vote.claim_epoch(state.epoch, &mut journal.tokens, out);
        if journal.durable > 0 {
            out.push(Effect::Durable { through: journal.durable });
        }
        journal
    }

    /// Appends entries: contiguous, and right behind [`Self::last`] or at or below it, where they
    /// supersede what was there. `commit` is written along. The caller asked [`Self::room`] before;
    /// what does not fit waits for space and is not lost.
    pub fn on_append(
        &mut self,
        _now: Instant,
        entries: Vec<Entry>,
        commit: u64,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        if let Some(first) = entries.first() {
            assert!(first.index > self.commit, "a committed entry is never superseded");
            assert!(first.index <= self.last + 1, "the log has no gap");
            if first.index <= self.last {
                self.supersede(first.index);
            }
        }
        for entry in entries {
            assert_eq!(entry.index, self.last + 1, "entries are contiguous");
            assert!(entry.term <= self.vote.term(), "a term is stored before its entries");
            assert!(entry.data.len() <= self.config.entry_bytes_max, "an entry fits a segment");
            self.last = entry.index;
            self.queued_cost += frame_bytes(entry.data.len());
            self.queue.push_back(entry);
        }
        self.commit = self.commit.max(commit);
        self.pump(out);
    }

    /// Drops everything from `index` on: what is queued is forgotten, what is on its way no longer
    /// counts, what is durable is so only below.
    fn supersede(&mut self, index: u64) {
        while let Some(entry) = self.queue.pop_back_if(|entry| entry.index >= index) {
            self.queued_cost -= frame_bytes(entry.data.len());
        }
        let below = index - 1;
        for flight in &mut self.flights {
            flight.last_index = flight.last_index.min(below);
        }
        if let Some(copying) = &mut self.copying {
            copying.last_index = copying.last_index.min(below);
        }
        self.space.supersede(below);
        self.written = self.written.min(below);
        self.durable = self.durable.min(below);
        self.last = below;
    }

    /// A snapshot of `index` from elsewhere is durable in this directory, and the log, which does not
    /// lead up to it, gives way: all of it is dropped, and goes on behind the snapshot. Entries may
    /// be appended at once; they wait. [`Effect::Durable`] through `index` follows once no start can
    /// take the old log for ours again. Until then [`crate::Recovery::of_installed`] drops it anew.
    pub fn on_installed(&mut self, index: u64, out: &mut Outbox<Effect<A::Buffer>>) {
        assert!(
            index > self.commit,
            "a snapshot is installed only over what is not committed here"
        );
        self.queue.clear();
        self.queued_cost = 0;
        self.copying = None;
        for flight in &mut self.flights {
            flight.last_index = 0;
        }
        (self.last, self.written, self.commit) = (index, index, index);
        self.durable = self.durable.min(index);
        self.space.close();
        self.resetting = Some(Reset { index, begins: None });
        self.pump(out);
    }

    /// Carries a reset on. Whether entries have to wait for it.
    fn reset(&mut self, out: &mut Outbox<Effect<A::Buffer>>) -> bool {
        let Some(Reset { index, begins }) = self.resetting else { return false };
        match begins {
            // What is on its way to the files that are given up must not end in new ones.
            None if !self.flights.is_empty() => {}
            None => {
                let begins = self.position;
                self.resetting = Some(Reset { index, begins: Some(begins) });
                self.vote.begin_bare(begins, index, &mut self.tokens, &mut self.buffers, out);
            }
            Some(begins) if self.vote.is_bare(begins, index) => {
                self.resetting = None;
                self.space.clear(&self.config, out);
                self.places.clear();
                self.joins = None;
                self.durable = index;
                self.durable_position = begins;
                self.sealed = true;
                self.seal_at = None;
                out.push(Effect::Durable { through: index });
                return false;
            }
            Some(_) => {}
        }
        true
    }

    /// Stores term and vote; [`Effect::VoteDurable`] follows. Entries appended meanwhile wait.
    pub fn on_vote(&mut self, term: u64, vote: u64, out: &mut Outbox<Effect<A::Buffer>>) {
        self.vote.set(term, vote, &mut self.tokens, &mut self.buffers, out);
    }

    /// A write, a sync or a preparation ended well. One that failed never comes here: after a
    /// failed write or fdatasync the process ends, and a failed preparation goes to
    /// [`Self::on_prepare_failed`].
    pub fn on_done(&mut self, now: Instant, token: Token, out: &mut Outbox<Effect<A::Buffer>>) {
        if self.vote.on_done(token, &mut self.tokens, &mut self.buffers, out) {
            self.space.release(self.vote.begins(), &self.config, out);
            self.places.release(self.space.first_position());
            self.pump(out);
            return;
        }
        if self.space.on_prepared(token) {
            self.pump(out);
            return;
        }
        let flight = self.flights.iter_mut().find(|flight| flight.token == token);
        let flight = flight.expect("a token comes back once");
        match flight.stage {
            Stage::Writing => {
                flight.token = self.tokens.next();
                flight.stage = Stage::Syncing;
                let file = File::Segment(flight.slot);
                out.push(Effect::Sync { token: flight.token, file });
            }
            Stage::Syncing => {
                flight.stage = Stage::Done;
                self.settle(out);
                self.pump(out);
                if self.flights.is_empty() && !self.sealed {
                    self.seal_at = Some(now + SEAL_AFTER);
                }
            }
            Stage::Done => unreachable!("a token comes back once"),
        }
    }

    /// There was no space for a segment. [`Self::room`] shrinks as the open one fills; it is tried
    /// again at [`Self::deadline`].
    pub fn on_prepare_failed(
        &mut self,
        now: Instant,
        token: Token,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        self.space.on_prepare_failed(token, now + PREPARE_RETRY);
        self.pump(out);
    }

    /// When [`Self::on_deadline`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        [self.seal_at, self.space.retry_at()].into_iter().flatten().min()
    }

    /// Time has passed. Early calls do no harm.
    pub fn on_deadline(&mut self, now: Instant, out: &mut Outbox<Effect<A::Buffer>>) {
        self.space.on_time(now);
        if self.seal_at.is_some_and(|at| at <= now) {
            self.seal_at = None;
            if !self.vote.holds_entries() {
                self.seal(out);
            } else if !self.sealed {
                self.seal_at = Some(now + SEAL_AFTER);
            }
        }
        self.pump(out);
    }

    /// How much data an entry may have that is accepted now and needs no further segment. What is
    /// queued, headers, padding and unusable ends of segments are subtracted, each at its worst.
    /// Ask again for the next entry after this one's [`Self::on_append`]; who wants several at once
    /// subtracts [`BLOCK_BYTES`] for each but the first. At 0 not even an empty one has room. Unit:
    /// bytes.
    pub fn room(&self) -> u64 {
        let free = self.space.free_bytes(&self.config);
        let free = free.saturating_sub(self.queued_cost).saturating_sub(RESERVE_BYTES);
        free.saturating_sub((FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES) as u64)
    }

    /// Whether the last attempt to get another segment failed for lack of space: then no room means
    /// a full disk, and not merely a segment that is not ready yet.
    pub fn is_disk_full(&self) -> bool {
        self.space.is_full()
    }

    /// The highest durable index. It goes back only where entries are superseded.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// The last index appended.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Entries up to `through` are no longer needed, for a durable snapshot holds them: segments
    /// with nothing else are recycled or removed.
    pub fn compact(&mut self, through: u64, out: &mut Outbox<Effect<A::Buffer>>) {
        self.space.compact(through);
        if self.resetting.is_none() {
            self.begin(out);
        }
    }

    /// Where durable entries from `from` on lie, for whoever reads them back: a part of one segment's
    /// file. None where the journal does not have that entry, or not durably.
    pub fn find(&self, from: u64) -> Option<Stretch> {
        if from > self.durable || self.resetting.is_some() || self.copying.is_some() {
            return None;
        }
        let (place, next) = self.places.find(from)?;
        let segment = self.space.segment_at(place.position)?;
        let end = (segment.position + segment.end).min(self.durable_position);
        let end = next.map_or(end, |next| end.min(next.position));
        Some(Stretch {
            slot: segment.slot,
            offset: place.position - segment.position,
            bytes: end.checked_sub(place.position).filter(|bytes| *bytes > 0)?,
            store: self.config.store,
            sequence: segment.sequence,
            position: place.position,
            from,
            below: next.map_or(u64::MAX, |next| next.index).min(self.durable + 1),
        })
    }

    /// What the frames in live segments take. Unit: bytes.
    pub fn bytes(&self) -> u64 {
        self.space.live_bytes()
    }

    /// Frames handed out and not yet durable, at most [`WRITES_IN_FLIGHT_MAX`].
    pub fn writes_in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Has the log begin at the first segment that is needed. Those before it are given up once that
    /// is stored: a start must not take one that is half overwritten for the first.
    fn begin(&mut self, out: &mut Outbox<Effect<A::Buffer>>) {
        let begins = self.space.begins();
        self.vote.begin(begins, &mut self.tokens, &mut self.buffers, out);
    }

    /// Takes what is done off the front of the flights, in order, and says what became durable.
    fn settle(&mut self, out: &mut Outbox<Effect<A::Buffer>>) {
        let before = self.durable;
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.stage == Stage::Done) {
            if flight.load == Load::Copied {
                continue;
            }
            if flight.load == Load::Opening {
                self.copying = None;
            }
            self.durable = self.durable.max(flight.last_index);
            self.durable_position = flight.end;
            self.space.on_headers_durable(flight.sequence, &self.config, out);
            if self.resetting.is_none() {
                self.vote.on_first_segment(&mut self.tokens, &mut self.buffers, out);
                self.begin(out);
            }
        }
        if self.durable > before {
            out.push(Effect::Durable { through: self.durable });
        }
    }

    /// Hands out what can be written now.
    fn pump(&mut self, out: &mut Outbox<Effect<A::Buffer>>) {
        // Entries wait for the vote that came before them, and a first segment is not made before
        // the vote file is whole: a directory with segments and without a vote is refused.
        if self.vote.holds_entries() || self.reset(out) {
            return;
        }
        self.space.use_found(&self.config, out);
        while self.flights.len() < WRITES_IN_FLIGHT_MAX && self.write_next(out) {}
        self.space.prepare(&self.config, &mut self.tokens, out);
    }

    /// Hands out one more write, if there is something to write and space for it.
    fn write_next(&mut self, out: &mut Outbox<Effect<A::Buffer>>) -> bool {
        let source = match &self.copying {
            Some(copying) if copying.entries.is_empty() => return self.write_opening(out),
            Some(copying) => &copying.entries,
            None => &self.queue,
        };
        let Some(first) = source.front() else { return false };
        let first_index = first.index;
        let fitting = |free| fitting(source, free, self.config.frame_bytes_max);
        let fit = self.space.open_bytes(&self.config).and_then(fitting);
        if let Some(fit) = fit {
            self.write_entries(None, fit, out);
            return true;
        }
        let fit = fitting(space::fresh_bytes(&self.config)).expect("an entry fits a segment");
        let Some(slot) = self.space.take_spare() else { return false };
        let header = self.open(slot, first_index);
        self.write_entries(header, fit, out);
        true
    }

    /// Opens a segment. Its header goes out with its first frame, but that of a copied tail is
    /// held back until all of the copy is on disk.
    fn open(&mut self, slot: u32, first_index: u64) -> Option<SegmentHeader> {
        let header = SegmentHeader {
            store: self.config.store,
            epoch: self.vote.epoch(),
            sequence: self.sequence,
            position: self.position,
            joins: self.joins.take().unwrap_or(self.position),
            first_index,
            durable_through: self.durable,
            durable_position: self.durable_position,
            chain: self.chain,
        };
        self.sequence += 1;
        self.position += BLOCK_BYTES as u64;
        self.space.open(Segment {
            slot,
            sequence: header.sequence,
            position: header.position,
            joins: header.joins,
            first_index,
            last_index: 0,
            end: BLOCK_BYTES as u64,
            header_durable: false,
            reusable: true,
            inherited: false,
        });
        match &mut self.copying {
            Some(copying) if copying.header.is_none() => {
                copying.header = Some((slot, header));
                None
            }
            _ => Some(header),
        }
    }

    /// Hands out a frame of the first `count` entries that wait, in the open segment.
    fn write_entries(
        &mut self,
        segment: Option<SegmentHeader>,
        Fit { count, bytes }: Fit,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        let (source, load) = match &mut self.copying {
            Some(copying) => (&mut copying.entries, Load::Copied),
            None => (&mut self.queue, Load::Entries),
        };
        let header_bytes = segment.map_or(0, |_| BLOCK_BYTES);
        let mut buffer = self.buffers.allocate(header_bytes + bytes);
        let (block, rest) = buffer.as_mut().split_at_mut(header_bytes);
        if let Some(segment) = segment {
            segment.write(block);
        }
        let header = FrameHeader {
            kind: FrameKind::Entries,
            store: self.config.store,
            epoch: self.vote.epoch(),
            sequence: self.sequence - 1,
            position: self.position,
            first_index: source[0].index,
            last_index: source[count - 1].index,
            durable_through: self.durable,
            durable_position: self.durable_position,
            commit: self.commit,
            payload_bytes: 0,
            payload_crc: 0,
            chain: self.chain,
        };
        self.chain = frame::write(header, source.iter().take(count), rest);
        let supersedes = header.first_index <= self.framed;
        let of_its_own = supersedes || self.space.is_open_segment_empty();
        self.framed = header.last_index;
        self.places.push(header.position, header.first_index, of_its_own);
        for entry in source.drain(..count) {
            self.queued_cost -= frame_bytes(entry.data.len());
        }
        self.written = header.last_index;
        self.sealed = false;
        self.hand_out(load, header_bytes, bytes, buffer, out);
    }

    /// Hands out the header of a copied tail, once all of the copy is on disk: then it vouches for
    /// the copy, and supersedes what was copied.
    fn write_opening(&mut self, out: &mut Outbox<Effect<A::Buffer>>) -> bool {
        let copying = self.copying.as_mut().expect("called for a copy");
        if !self.flights.is_empty() {
            return false;
        }
        let (slot, mut header) = copying.header.expect("a copy holds at least one entry");
        header.durable_through = copying.last_index;
        header.durable_position = self.position;
        let mut bytes = self.buffers.allocate(BLOCK_BYTES);
        header.write(bytes.as_mut());
        let token = self.tokens.next();
        self.flights.push_back(Flight {
            token,
            stage: Stage::Writing,
            load: Load::Opening,
            slot,
            sequence: self.sequence - 1,
            last_index: copying.last_index,
            end: self.position,
        });
        out.push(Effect::Write { token, file: File::Segment(slot), offset: 0, bytes });
        // The place beside it stays free: nothing is written before the header is durable.
        false
    }

    /// Writes down what is durable, when all is quiet.
    fn seal(&mut self, out: &mut Outbox<Effect<A::Buffer>>) {
        let busy = self.copying.is_some() || self.resetting.is_some();
        if self.sealed || busy || !self.flights.is_empty() {
            return;
        }
        let mut buffer = self.buffers.allocate(BLOCK_BYTES);
        let header = FrameHeader {
            kind: FrameKind::Seal,
            store: self.config.store,
            epoch: self.vote.epoch(),
            sequence: self.sequence - 1,
            position: self.position,
            first_index: self.written + 1,
            last_index: self.written,
            durable_through: self.durable,
            durable_position: self.durable_position,
            commit: self.commit,
            payload_bytes: 0,
            payload_crc: 0,
            chain: self.chain,
        };
        self.chain = frame::write(header, std::iter::empty(), buffer.as_mut());
        self.sealed = true;
        self.hand_out(Load::Seal, 0, BLOCK_BYTES, buffer, out);
    }

    /// Hands out the write of a frame at the end of the open segment, behind its header block if
    /// that is part of it.
    fn hand_out(
        &mut self,
        load: Load,
        header_bytes: usize,
        frame_bytes: usize,
        bytes: A::Buffer,
        out: &mut Outbox<Effect<A::Buffer>>,
    ) {
        let token = self.tokens.next();
        let segment = self.space.grow(frame_bytes as u64, self.written);
        self.position += frame_bytes as u64;
        self.seal_at = None;
        let offset = segment.end - (header_bytes + frame_bytes) as u64;
        self.flights.push_back(Flight {
            token,
            stage: Stage::Writing,
            load,
            slot: segment.slot,
            sequence: segment.sequence,
            last_index: self.written,
            end: self.position,
        });
        assert_eq!(segment.position + segment.end, self.position, "positions follow the file");
        out.push(Effect::Write { token, file: File::Segment(segment.slot), offset, bytes });
    }
}

/// What goes into the next frame.
#[derive(Clone, Copy, Debug)]
struct Fit {
    count: usize,
    /// Of the frame, whole blocks.
    bytes: usize,
}

/// The entries from the front that make one frame of at most `free` bytes, if one does. It takes no
/// more of them once its payload has `payload_bytes_max`.
fn fitting(entries: &VecDeque<Entry>, free: u64, payload_bytes_max: usize) -> Option<Fit> {
    let mut payload = 0;
    let mut fit = None;
    for (count, entry) in (1..).zip(entries) {
        if count > 1 && payload >= payload_bytes_max {
            break;
        }
        payload += frame::entry_bytes(entry);
        let bytes = whole_blocks(FRAME_HEADER_BYTES + payload);
        if bytes as u64 > free {
            break;
        }
        fit = Some(Fit { count, bytes });
    }
    fit
}

#[cfg(test)]
mod tests;

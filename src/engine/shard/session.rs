//! The session of one ingress core: what it has gathered, what is on its way, who waits for what.
//!
//! Invariants (SOUNDNESS 11):
//! - batches are numbered from 1 without a gap and leave in that order;
//! - a batch is kept until each of its records has its outcome, so that it can go again;
//! - a refusal of an earlier round is not answered twice.

use super::limits::{RETRY_MS, SECTION_BYTES, SECTIONS_IN_FLIGHT_MAX, UNANSWERED_BYTES_MAX};
use super::{RequestId, ShardConfig, ShardEffect};
use crate::batch::{Section, SectionHeader};
use crate::message::ToConsensus;
use base::{BootId, CoreId, Instant, NodeId, Now, Outbox};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// Who waits for a record's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// Nobody: the record is the shard's own and must not be lost.
    Own,
    /// A single message's client.
    Message(RequestId),
    /// One line of a batch: the request and the line's place.
    Line(RequestId, u32),
    /// Whoever changed the catalogue: the ids stored and deleted.
    Catalogue(RequestId),
    /// Whoever cancelled an instance.
    Cancel(RequestId, base::InstanceId),
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) section: Bytes,
    records: u32,
    /// By the record's place; taken out as outcomes come.
    pub(super) waiters: Vec<Option<Waiter>>,
    left: usize,
}

/// The session.
#[derive(Debug)]
pub(super) struct Session {
    node: NodeId,
    boot: BootId,
    core: CoreId,
    next_number: u64,
    pub(super) round: u32,
    open: Section,
    open_waiters: Vec<Option<Waiter>>,
    sent: VecDeque<Sent>,
    unanswered_bytes: usize,
    /// The shard's own records of refused batches, until they are tried again.
    held_back: Vec<Section>,
    retry_at: Option<Instant>,
}

impl Session {
    pub(super) fn new(config: &ShardConfig) -> Self {
        Self {
            node: config.node,
            boot: config.boot,
            core: config.core,
            next_number: 1,
            round: 0,
            open: Section::new(4096),
            open_waiters: Vec::new(),
            sent: VecDeque::new(),
            unanswered_bytes: 0,
            held_back: Vec::new(),
            retry_at: None,
        }
    }

    /// Whether a header is one of this session.
    pub(super) fn is_mine(&self, header: &SectionHeader) -> bool {
        self.is_of_this_run(header) && header.core == self.core
    }

    /// Whether a header is of this node's present run.
    pub(super) fn is_of_this_run(&self, header: &SectionHeader) -> bool {
        header.node == self.node && header.boot == self.boot
    }

    /// Whether a client's record of this size may still be gathered.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.unanswered_bytes + self.open.len() + bytes <= UNANSWERED_BYTES_MAX
    }

    /// The batch that is being gathered. Every record pushed needs its [`Self::wait`].
    pub(super) fn open(&mut self) -> &mut Section {
        &mut self.open
    }

    /// Names who waits for the record just pushed.
    pub(super) fn wait(&mut self, slot: u32, waiter: Waiter) {
        assert_eq!(slot as usize, self.open_waiters.len(), "every record has its waiter");
        self.open_waiters.push(Some(waiter));
    }

    /// Whether the open batch should go before another record of this size joins it, so that what
    /// must not be split fits one batch.
    pub(super) fn is_full_for(&self, bytes: usize) -> bool {
        !self.open.is_empty() && self.open.len() + bytes > SECTION_BYTES
    }

    /// Sends the open batch, if there is one and the way is free.
    pub(super) fn flush(&mut self, catalogue: u64, out: &mut Outbox<ShardEffect>) {
        if self.open.is_empty() || self.sent.len() >= SECTIONS_IN_FLIGHT_MAX {
            return;
        }
        self.seal(catalogue, out);
    }

    /// Sends the open batch, whatever is on its way. The caller has asked [`Self::has_room`].
    pub(super) fn seal(&mut self, catalogue: u64, out: &mut Outbox<ShardEffect>) {
        let capacity = self.open.len();
        let open = std::mem::replace(&mut self.open, Section::new(capacity));
        let waiters = std::mem::take(&mut self.open_waiters);
        let number = self.next_number;
        self.next_number += 1;
        let records = open.records();
        let section = open.seal(&self.header(number, catalogue));
        self.unanswered_bytes += section.len();
        let left = waiters.len();
        let sent = Sent { number, section, records, waiters, left };
        out.push(sent.submit(self.round));
        self.sent.push_back(sent);
    }

    /// An outcome has come: who waited for it.
    pub(super) fn take(&mut self, number: u64, slot: u32) -> Option<Waiter> {
        let first = self.sent.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        let sent = self.sent.get_mut(at)?;
        let waiter = sent.waiters.get_mut(slot as usize)?.take()?;
        sent.left -= 1;
        while let Some(front) = self.sent.front()
            && front.left == 0
        {
            self.unanswered_bytes -= front.section.len();
            self.sent.pop_front();
        }
        Some(waiter)
    }

    /// Starts over from batch `number`: gives out every batch from there on and begins a new
    /// round. The caller makes them anew and hands them to [`Self::resend`].
    pub(super) fn start_over(&mut self, number: u64) -> Vec<Sent> {
        self.round += 1;
        let keep = self.sent.iter().take_while(|sent| sent.number < number).count();
        let again: Vec<Sent> = self.sent.drain(keep..).collect();
        for sent in &again {
            self.unanswered_bytes -= sent.section.len();
        }
        self.next_number = number;
        again
    }

    /// Sends a batch again, made anew, under its old number.
    pub(super) fn resend(
        &mut self,
        section: Section,
        waiters: Vec<Option<Waiter>>,
        catalogue: u64,
        out: &mut Outbox<ShardEffect>,
    ) {
        let number = self.next_number;
        self.next_number += 1;
        let records = section.records();
        let section = section.seal(&self.header(number, catalogue));
        self.unanswered_bytes += section.len();
        let left = waiters.iter().flatten().count();
        let sent = Sent { number, section, records, waiters, left };
        out.push(sent.submit(self.round));
        self.sent.push_back(sent);
    }

    /// Takes the open batch back as well: its records and who waits for them.
    pub(super) fn take_open(&mut self) -> (Section, Vec<Option<Waiter>>) {
        (std::mem::replace(&mut self.open, Section::new(0)), std::mem::take(&mut self.open_waiters))
    }

    /// Puts a batch made anew in the open one's place.
    pub(super) fn put_open(&mut self, section: Section, waiters: Vec<Option<Waiter>>) {
        self.open = section;
        self.open_waiters = waiters;
    }

    /// Seals records that only this shard will read.
    pub(super) fn seal_aside(&self, section: Section) -> Bytes {
        section.seal(&self.header(0, 0))
    }

    /// Keeps own records of refused batches until `RETRY_MS` have passed.
    pub(super) fn hold_back(&mut self, now: Now, section: Section) {
        if !section.is_empty() {
            self.held_back.push(section);
            self.retry_at = Some(now.instant + Duration::from_millis(RETRY_MS));
        }
    }

    /// Gathers again what was held back.
    pub(super) fn retry(&mut self) {
        self.retry_at = None;
        for section in std::mem::take(&mut self.held_back) {
            let sealed = self.seal_aside(section);
            let view = crate::batch::SectionView::of(&sealed).expect("the shard wrote it");
            for record in view.records() {
                let slot = self.open.push_raw(&record.expect("the shard wrote it"));
                self.wait(slot, Waiter::Own);
            }
        }
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Whether every record has its outcome and nothing waits to go.
    pub(super) fn is_drained(&self) -> bool {
        self.sent.is_empty() && self.open.is_empty()
    }

    /// Clients' records without an outcome.
    pub(super) fn waiting(&self) -> usize {
        let sent = self.sent.iter().flat_map(|sent| &sent.waiters);
        sent.chain(&self.open_waiters).flatten().filter(|w| **w != Waiter::Own).count()
    }

    /// Bytes that wait for their outcome.
    pub(super) fn unanswered_bytes(&self) -> usize {
        self.unanswered_bytes + self.open.len()
    }

    fn header(&self, number: u64, catalogue: u64) -> SectionHeader {
        SectionHeader {
            node: self.node,
            boot: self.boot,
            core: self.core,
            number,
            catalogue,
            round: self.round,
        }
    }
}

impl Sent {
    fn submit(&self, round: u32) -> ShardEffect {
        ShardEffect::ToConsensus(ToConsensus::Submit {
            number: self.number,
            round,
            records: self.records,
            section: self.section.clone(),
        })
    }
}

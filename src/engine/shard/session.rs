//! The session of one ingress core: what it has gathered, what is on its way, who waits for what.
//!
//! Invariants (SOUNDNESS 11):
//! - batches are numbered from 1 without a gap and leave in that order;
//! - a batch is kept until each of its records has its outcome, so that it can go again;
//! - a refusal of an earlier round is not answered twice.

use super::limits::{
    GROUP_BYTES_MAX, RETRY_MS, SECTION_BYTES, SECTIONS_IN_FLIGHT_MAX, UNANSWERED_BYTES_MAX,
};
use super::passing::OnItsWay;
use super::{RequestId, ShardConfig, ShardEffect};
use crate::batch::{Mark, Section, SectionHeader};
use crate::globals::Prepared;
use crate::message::ToConsensus;
use base::{BootId, CoreId, Instant, NodeId, Now, Outbox};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How a submission's client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// By an answer of the REST API.
    Json,
    /// By values.
    Results,
}

/// Who waits for a record's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    /// Nobody: the record is the shard's own and must not be lost.
    Own,
    /// Nobody: an order of a partition, which goes again if it is lost.
    Order(OnItsWay),
    /// A single message's client.
    Message(RequestId, Form),
    /// One message of several: the request and the message's place.
    Line(RequestId, u32),
    /// Whoever changed the catalogue: the ids stored and deleted.
    Catalogue(RequestId),
    /// Whoever cancelled an instance.
    Cancel(RequestId, base::InstanceId),
}

impl Waiter {
    /// Whether a client waits.
    pub(super) fn is_client(&self) -> bool {
        !matches!(self, Self::Own | Self::Order(_))
    }
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    /// The round it was last sent in.
    round: u32,
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

    /// Begins a group: records that stay together. They are written straight into the open batch,
    /// [`Self::group`], and then either kept or abandoned. The open batch goes first when they will
    /// not fit it, whatever is on its way: what is gathered is bounded by [`Self::has_room`] for
    /// clients, by the calls under way for the shard's own, and for orders between partitions by
    /// those on their way. `bytes_min` is what the group takes
    /// at least; where it turns out to take more, [`Self::keep`] sees to it.
    pub(super) fn begin_group(
        &mut self,
        bytes_min: usize,
        catalogue: u64,
        out: &mut Outbox<ShardEffect>,
    ) -> Mark {
        if !self.open.is_empty() && self.open.len() + bytes_min > SECTION_BYTES {
            self.seal(catalogue, out);
        }
        self.open.mark()
    }

    /// Where a group's records are written.
    pub(super) fn group(&mut self) -> &mut Section {
        &mut self.open
    }

    /// What the group begun at `mark` takes so far. Unit: bytes.
    pub(super) fn group_bytes(&self, mark: Mark) -> usize {
        self.open.len() - mark.len()
    }

    /// Leaves nothing of the group begun at `mark`.
    pub(super) fn abandon(&mut self, mark: Mark) {
        self.open.truncate(mark);
    }

    /// Keeps the group begun at `mark`, each record with whoever waits for it.
    pub(super) fn keep(
        &mut self,
        mark: Mark,
        waiters: impl IntoIterator<Item = Waiter>,
        catalogue: u64,
        out: &mut Outbox<ShardEffect>,
    ) {
        assert!(self.group_bytes(mark) <= GROUP_BYTES_MAX, "whoever writes a group bounds it");
        if !mark.is_empty() && self.open.len() > SECTION_BYTES {
            let group = self.open.split_off(mark);
            self.seal_before(group, catalogue, None, out);
        }
        self.open_waiters.extend(waiters.into_iter().map(Some));
        let records = self.open.records() as usize;
        assert_eq!(records, self.open_waiters.len(), "every record has its waiter");
    }

    /// Whether batch `number` is on its way and was last sent in this round: its refusal by apply
    /// is news then, whatever was refused behind it meanwhile.
    pub(super) fn is_on_its_way(&self, number: u64, round: u32) -> bool {
        self.sent.iter().any(|sent| sent.number == number && sent.round == round)
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
        self.seal_before(Section::new(self.open.len()), catalogue, None, out);
    }

    /// Sends the open batch behind a change of the catalogue, with what was made ready of it.
    pub(super) fn seal_change(
        &mut self,
        catalogue: u64,
        prepared: Arc<Prepared>,
        out: &mut Outbox<ShardEffect>,
    ) {
        self.seal_before(Section::new(0), catalogue, Some(prepared), out);
    }

    /// Sends the open batch; `next` takes its place.
    fn seal_before(
        &mut self,
        next: Section,
        catalogue: u64,
        prepared: Option<Arc<Prepared>>,
        out: &mut Outbox<ShardEffect>,
    ) {
        let open = std::mem::replace(&mut self.open, next);
        let waiters = std::mem::take(&mut self.open_waiters);
        let number = self.next_number;
        self.next_number += 1;
        let records = open.records();
        let section = open.seal(&self.header(number, catalogue));
        self.unanswered_bytes += section.len();
        let left = waiters.len();
        let sent = Sent { number, round: self.round, section, records, waiters, left };
        out.push(sent.submit(prepared));
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
        let sent = Sent { number, round: self.round, section, records, waiters, left };
        out.push(sent.submit(None));
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

    /// Gathers again what was held back, record by record.
    pub(super) fn retry(&mut self, catalogue: u64, out: &mut Outbox<ShardEffect>) {
        self.retry_at = None;
        for section in std::mem::take(&mut self.held_back) {
            let sealed = self.seal_aside(section);
            let view = crate::batch::SectionView::of(&sealed).expect("the shard wrote it");
            for record in view.records() {
                let record = record.expect("the shard wrote it");
                let mark = self.begin_group(record.body.len(), catalogue, out);
                self.open.push_raw(&record);
                self.keep(mark, [Waiter::Own], catalogue, out);
            }
        }
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Clients' records without an outcome.
    pub(super) fn waiting(&self) -> usize {
        let sent = self.sent.iter().flat_map(|sent| &sent.waiters);
        sent.chain(&self.open_waiters).flatten().filter(|waiter| waiter.is_client()).count()
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
    fn submit(&self, prepared: Option<Arc<Prepared>>) -> ShardEffect {
        ShardEffect::ToConsensus(ToConsensus::Submit {
            number: self.number,
            round: self.round,
            records: self.records,
            section: self.section.clone(),
            prepared,
        })
    }
}

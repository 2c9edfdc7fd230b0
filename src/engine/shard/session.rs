//! The session of one ingress core: what it has gathered, what is on its way, who waits for what.
//!
//! Invariants (SOUNDNESS 11):
//! - batches are numbered from 1 without a gap and leave in that order;
//! - a batch is kept until each of its records has its outcome, so that it can go again;
//! - number and catalogue version name one content: a batch that may be in some leader's log is made
//!   anew only when the catalogue has moved past it, so that no copy of it can be admitted;
//! - a refusal of an earlier round is not answered twice.

use super::limits::{
    CHECK_MS, GROUP_BYTES_MAX, NO_LEADER_GRACE_MS, OUTCOME_MAX_MS, RESEND_MS, RETRY_MS,
    SECTION_BYTES, SECTIONS_IN_FLIGHT_MAX, UNANSWERED_BYTES_MAX,
};
use super::passing::OnItsWay;
use super::{RequestId, ShardConfig, ShardEffect};
use crate::batch::{Mark, Section, SectionHeader, SectionView, with_round};
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
    /// Nobody any more: the client was told that the outcome is not known.
    Gone,
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
    /// Whoever wishes that a worker gets no tasks, or gets them again.
    Worker(RequestId, base::WorkerId, bool),
}

impl Waiter {
    /// Whether a client waits.
    pub(super) fn is_client(&self) -> bool {
        !matches!(self, Self::Own | Self::Gone | Self::Order(_))
    }
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    /// The catalogue version that it was matched with.
    catalogue: u64,
    /// The round it was first sent in, if it was. Sent in one round alone, its refusal says that it
    /// is nowhere.
    first_round: Option<u32>,
    pub(super) section: Bytes,
    records: u32,
    /// What was made ready of the change that closes it.
    prepared: Option<Arc<Prepared>>,
    /// When it was first looked at.
    since: Option<Instant>,
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
    /// When everything is sent again; until then nothing is.
    again_at: Option<Instant>,
    /// When what waits is looked at next, and when something was last heard or sent again.
    check_at: Instant,
    moved_at: Option<Instant>,
    open_since: Option<Instant>,
    /// The node belongs to the group no more.
    is_removed: bool,
}

/// What a look at the session found.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// Sent, and its outcome is not known in time.
    pub(super) unknown: Vec<Waiter>,
    /// Never sent.
    pub(super) unsent: Vec<Waiter>,
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
            again_at: None,
            check_at: Instant(0),
            moved_at: None,
            open_since: None,
            is_removed: false,
        }
    }

    /// Whether the node belongs to the group no more: nobody takes anything of it then. What was sent
    /// before may be in the log, and its outcome comes soon or never.
    pub(super) fn on_removed(&mut self, is_removed: bool) {
        self.is_removed = is_removed;
    }

    /// See [`Self::on_removed`].
    pub(super) fn is_removed(&self) -> bool {
        self.is_removed
    }

    /// So long clients wait for an outcome.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(if self.is_removed { NO_LEADER_GRACE_MS } else { OUTCOME_MAX_MS })
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

    /// Whether batch `number` is on its way as matched with this version: its refusal by apply is
    /// news then, in whichever round the copy was sent that apply has found.
    pub(super) fn is_on_its_way(&self, number: u64, catalogue: u64) -> bool {
        self.sent.iter().any(|sent| sent.number == number && sent.catalogue == catalogue)
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
        self.open_since = None;
        self.send(open, waiters, (catalogue, prepared), out);
    }

    fn send(
        &mut self,
        section: Section,
        waiters: Vec<Option<Waiter>>,
        (catalogue, prepared): (u64, Option<Arc<Prepared>>),
        out: &mut Outbox<ShardEffect>,
    ) {
        let number = self.next_number;
        self.next_number += 1;
        let records = section.records();
        let section = section.seal(&self.header(number, catalogue));
        self.unanswered_bytes += section.len();
        let left = waiters.iter().flatten().count();
        // What waits before it goes first.
        let is_held = self.again_at.is_some();
        let first_round = (!is_held).then_some(self.round);
        let since = None;
        let sent = Sent {
            number,
            catalogue,
            first_round,
            section,
            records,
            prepared,
            since,
            waiters,
            left,
        };
        if !is_held {
            out.push(sent.submit(self.round));
        }
        self.sent.push_back(sent);
    }

    /// Everything unanswered goes again, in order, in a new round: there is another leader, or what
    /// was on its way to it may be lost.
    pub(super) fn send_again(&mut self, out: &mut Outbox<ShardEffect>) {
        self.again_at = None;
        self.moved_at = None;
        if self.next_number == 1 {
            return;
        }
        self.round += 1;
        for sent in &mut self.sent {
            sent.first_round.get_or_insert(self.round);
            sent.section = with_round(std::mem::take(&mut sent.section), self.round);
            out.push(sent.submit(self.round));
        }
    }

    /// The log did not take batch `number`, nor anything behind it in this round. Gives out those
    /// that are nowhere; others may be in the log of an earlier leader, and go again later.
    pub(super) fn refused(&mut self, now: Now, number: u64) -> Vec<Sent> {
        let round = self.round;
        let refused = |sent: &&Sent| sent.number >= number;
        let is_nowhere = |sent: &Sent| sent.first_round.is_none_or(|first| first == round);
        let exposed = self.sent.iter().filter(refused).any(|sent| !is_nowhere(sent));
        let nowhere = self.sent.iter().filter(refused).find(|sent| is_nowhere(sent));
        let from = nowhere.map_or(self.next_number, |sent| sent.number);
        let again = self.start_over(from);
        if exposed {
            self.again_at = Some(now.instant + Duration::from_millis(RETRY_MS));
        }
        again
    }

    /// Of a snapshot that was installed in place: everything up to `last` was admitted in what it
    /// skipped. Whoever still waits for that is given out.
    pub(super) fn skip_through(&mut self, last: u64) -> Vec<Waiter> {
        let mut waiters = Vec::new();
        while let Some(sent) = self.sent.pop_front_if(|sent| sent.number <= last) {
            self.unanswered_bytes -= sent.section.len();
            waiters.extend(sent.waiters.into_iter().flatten());
        }
        waiters
    }

    /// Looks at what waits, now and then. Gives out clients whose time is up. `leads`: nothing is lost
    /// on the way to a leader on this very node.
    pub(super) fn check(
        &mut self,
        now: Now,
        leads: bool,
        out: &mut Outbox<ShardEffect>,
    ) -> Overdue {
        let now = now.instant;
        self.check_at = now + Duration::from_millis(CHECK_MS);
        let mut overdue = Overdue::default();
        let patience = self.patience();
        for sent in &mut self.sent {
            // Each counts from the first look at it, however long those before it wait.
            let since = *sent.since.get_or_insert(now);
            if now.since(since) < patience {
                continue;
            }
            for waiter in sent.waiters.iter_mut().flatten() {
                if waiter.is_client() {
                    overdue.unknown.push(std::mem::replace(waiter, Waiter::Gone));
                }
            }
        }
        if !self.open.is_empty() && now.since(*self.open_since.get_or_insert(now)) >= patience {
            overdue.unsent = self.take_unsent();
        }
        let moved = *self.moved_at.get_or_insert(now);
        let is_stuck = now.since(moved) >= Duration::from_millis(RESEND_MS);
        if is_stuck && !leads && !self.sent.is_empty() {
            self.send_again(out);
        }
        overdue
    }

    /// Takes what was never sent, but for the shard's own records.
    fn take_unsent(&mut self) -> Vec<Waiter> {
        self.open_since = None;
        let (open, waiters) = self.take_open();
        let sealed = self.seal_aside(open);
        let section = SectionView::of(&sealed).expect("the shard wrote it");
        let (mut own, mut own_waiters, mut unsent) = (Section::new(0), Vec::new(), Vec::new());
        for (record, waiter) in section.records().zip(waiters) {
            match waiter {
                Some(waiter) if waiter.is_client() => unsent.push(waiter),
                waiter => {
                    own.push_raw(&record.expect("the shard wrote it"));
                    own_waiters.push(waiter);
                }
            }
        }
        self.put_open(own, own_waiters);
        unsent
    }

    /// Whether a change of the catalogue is on its way.
    pub(super) fn holds_change(&self) -> bool {
        self.sent.iter().any(|sent| sent.prepared.is_some())
    }

    /// When [`Self::check`] is due, if anything waits.
    fn check_at(&self) -> Option<Instant> {
        (!self.sent.is_empty() || !self.open.is_empty()).then_some(self.check_at)
    }

    /// When [`Self::on_deadline`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.retry_at, self.again_at, self.check_at()].into_iter().flatten().min()
    }

    /// An outcome has come: who waited for it.
    pub(super) fn take(&mut self, number: u64, slot: u32) -> Option<Waiter> {
        let first = self.sent.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        let sent = self.sent.get_mut(at)?;
        let waiter = sent.waiters.get_mut(slot as usize)?.take()?;
        sent.left -= 1;
        self.moved_at = None;
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
        self.again_at = None;
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
        self.send(section, waiters, (catalogue, None), out);
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
            let view = SectionView::of(&sealed).expect("the shard wrote it");
            for record in view.records() {
                let record = record.expect("the shard wrote it");
                let mark = self.begin_group(record.body.len(), catalogue, out);
                self.open.push_raw(&record);
                self.keep(mark, [Waiter::Own], catalogue, out);
            }
        }
    }

    /// Whether own records of refused batches may be tried again.
    pub(super) fn may_retry(&self, now: Now) -> bool {
        self.retry_at.is_some_and(|due| due <= now.instant)
    }

    /// Whether it is time to send everything again.
    pub(super) fn is_again_due(&self, now: Now) -> bool {
        self.again_at.is_some_and(|due| due <= now.instant)
    }

    /// Whether it is time for [`Self::check`].
    pub(super) fn is_check_due(&self, now: Now) -> bool {
        self.check_at().is_some_and(|due| due <= now.instant)
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
    fn submit(&self, round: u32) -> ShardEffect {
        ShardEffect::ToConsensus(ToConsensus::Submit {
            number: self.number,
            round,
            records: self.records,
            section: self.section.clone(),
            prepared: self.prepared.clone(),
        })
    }
}

//! Committed entries: applied to the globals and to the partitions hosted here, their outcomes
//! handed to whoever waits.

use super::limits::GROUP_BYTES_MAX;
use super::session::Waiter;
use super::submit::{not_taken, push_matched};
use super::{Asked, ShardCore, ShardEffect};
use crate::batch::{BatchView, GLOBAL, RecordView, Section, SectionHeader, SectionView};
use crate::events::EventKind;
use crate::globals::{Admission, Globals};
use crate::message::{Committed, NotTaken, Place, ToConsensus, ToShard};
use crate::partition::{Outcome, Partition, PartitionEffect};
use crate::record::{
    Accepted, AcceptedView, Born, Cancelled, Checksum, RecordType, TaskAssigned, TaskEnded,
    TaskReleased, TaskStopped, WorkerDrained, WorkerJoined, WorkerLeft, WorkerLost,
};
use api::{ApiError, Code};
use base::{CoreId, Now, Outbox, PartitionId};
use bytes::Bytes;
use std::collections::BTreeSet;

impl ShardCore {
    pub(super) fn restore(
        &mut self,
        globals: Globals,
        partitions: &[Bytes],
        out: &mut Outbox<ShardEffect>,
    ) {
        self.globals = globals;
        if let Err(reason) = self.restored(partitions) {
            out.push(ShardEffect::Fatal(format!(
                "the snapshot does not check: {reason}; restore the data directory from a backup"
            )));
        }
    }

    fn restored(&mut self, partitions: &[Bytes]) -> Result<(), String> {
        let Some(born) = self.globals.born.clone() else {
            // It was taken of the first entries alone: the birth is yet to come out of the log.
            let is_whole = partitions.is_empty();
            return is_whole.then_some(()).ok_or_else(|| "partitions without a birth".into());
        };
        self.make_partitions()?;
        for image in partitions {
            let partition = Partition::from_image(image, &born, self.globals.applied)?;
            let slot = self
                .partitions
                .get_mut(usize::from(partition.id().0))
                .filter(|slot| slot.is_some())
                .ok_or_else(|| format!("partition {} is not hosted here", partition.id()))?;
            *slot = Some(partition);
        }
        Ok(())
    }

    /// Makes this core's share of the partitions, empty.
    fn make_partitions(&mut self) -> Result<(), String> {
        let born = self.globals.born.as_ref().ok_or("the cluster is not born")?;
        let mine = self.config.core;
        self.partitions = (0..born.partitions)
            .map(|number| {
                let id = PartitionId(number);
                (self.host(id) == mine).then(|| Partition::new(id, born, self.globals.applied))
            })
            .collect();
        self.hosted = self.partitions.iter().flatten().map(Partition::id).collect();
        if self.hosted.is_empty() {
            return Err(format!(
                "core {mine} hosts none of {} partitions; use fewer cores",
                born.partitions
            ));
        }
        Ok(())
    }

    pub(super) fn on_committed(&mut self, entries: Vec<Committed>, out: &mut Outbox<ShardEffect>) {
        self.backlog.entries.extend(entries);
        self.apply_backlog(out);
    }

    /// Applies what is committed, as far as its changes of the catalogue are ready.
    pub(super) fn apply_backlog(&mut self, out: &mut Outbox<ShardEffect>) {
        if self.is_halted() {
            return;
        }
        let mut remote = Outbox::new();
        while let Some(entry) = self.backlog.entries.pop_front() {
            let from = self.backlog.halted.take();
            if from.is_none() {
                if entry.index <= self.globals.applied {
                    continue;
                }
                assert_eq!(entry.index, self.globals.applied + 1, "entries come in order");
                self.globals.applied = entry.index;
            }
            match self.apply(&entry, from, &mut remote, out) {
                Ok(None) => {}
                Ok(halted) => {
                    self.backlog.halted = halted;
                    self.backlog.entries.push_front(entry);
                    break;
                }
                Err(reason) => {
                    out.push(ShardEffect::Fatal(format!(
                        "entry {} of the log cannot be applied: {reason}",
                        entry.index
                    )));
                    return;
                }
            }
            if self.role.leading && !self.role.in_office && entry.term == self.role.term {
                self.take_office(out);
                self.on_office(out);
            }
        }
        self.send_outcomes(&mut remote, out);
        if !self.serving {
            self.consider_serving(out);
        }
        self.tell_full(out);
        let index = self.applied();
        self.answer_applied(index, out);
        out.push(ShardEffect::ToConsensus(ToConsensus::Applied { index }));
        self.tell_wake(out);
        if self.backlog.halted.is_none() {
            self.take_images(out);
        }
    }

    /// The term's first entry is applied: an empty log means that the cluster is to be born.
    fn on_office(&mut self, out: &mut Outbox<ShardEffect>) {
        if self.globals.born.is_some() {
            self.serve(out);
        } else if self.config.core == CoreId(0) && !std::mem::replace(&mut self.birth_asked, true) {
            let catalogue = std::mem::take(&mut self.config.birth.catalogue);
            if catalogue.is_empty() {
                self.push_birth(out);
                self.on_flush(out);
            } else {
                // The birth goes with its catalogue: nobody is served between the two.
                self.ask_change(Waiter::Own, Asked::at_birth(catalogue), out);
            }
        }
    }

    pub(super) fn push_birth(&mut self, out: &mut Outbox<ShardEffect>) {
        let born = self.config.birth.born.clone();
        self.push_one(RecordType::Born, GLOBAL, Waiter::Own, |body| born.write(body), out);
    }

    pub(super) fn serve(&mut self, out: &mut Outbox<ShardEffect>) {
        if !self.serving {
            self.serving = true;
            out.push(ShardEffect::Serving);
            self.answer_early(out);
        }
    }

    /// Applies an entry, from where apply halted in it. Says where it halts now, if it does.
    fn apply(
        &mut self,
        entry: &Committed,
        from: Option<Place>,
        remote: &mut Outbox<(CoreId, u64, u32, Outcome)>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<Option<Place>, String> {
        if entry.data.is_empty() {
            self.begin(entry.index, out);
            return Ok(None);
        }
        let batch = BatchView::parse(&entry.data).map_err(|error| error.to_string())?;
        if from.is_none() {
            assert!(batch.stamp >= self.globals.stamp, "the log's time never goes back");
            self.globals.stamp = batch.stamp;
            self.begin(entry.index, out);
        }
        let first = from.map_or(0, |place| place.section);
        for (section, at) in batch.sections().zip(0..).skip(first) {
            let section = section.map_err(|error| error.to_string())?;
            // It was admitted before apply halted in it.
            let halted = from.filter(|place| place.section == at);
            let admission =
                halted.map_or_else(|| self.globals.admit(&section.header), |_| Admission::Admitted);
            match admission {
                Admission::Admitted => {
                    let slot = halted.map_or(0, |place| place.slot);
                    let from = Place { index: entry.index, section: at, slot };
                    let halt = self.apply_section(entry, from, &section, remote, out)?;
                    if halt.is_some() {
                        return Ok(halt);
                    }
                }
                Admission::OutOfOrder => {}
                Admission::Gap => {
                    let is_mine = self.session.is_mine(&section.header);
                    if is_mine && section.header.round == self.session.round {
                        self.session.send_again(out);
                    }
                }
                Admission::OtherCatalogue => {
                    let SectionHeader { number, catalogue, .. } = section.header;
                    if self.session.is_mine(&section.header)
                        && self.session.is_on_its_way(number, catalogue)
                    {
                        self.match_again(number, out);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Begins the entry on every partition: those that have it already skip it.
    fn begin(&mut self, index: u64, out: &mut Outbox<ShardEffect>) {
        let stamp = self.globals.stamp;
        for partition in self.partitions.iter_mut().flatten() {
            partition.begin(index, stamp, &mut self.partition_out);
        }
        self.drain_partitions(out);
    }

    pub(super) fn drain_partitions(&mut self, out: &mut Outbox<ShardEffect>) {
        if self.partition_out.is_empty() {
            return;
        }
        for effect in self.partition_out.take() {
            match effect {
                PartitionEffect::Flow(effect) => self.on_flow(effect, out),
                // What is replayed was counted by the run that saw it.
                PartitionEffect::Ended { status, took } if self.role.in_office => {
                    self.metrics.ended(status, took);
                }
                PartitionEffect::TaskFailed { instance, definition, task, attempts, error }
                    if self.role.in_office =>
                {
                    let kind = EventKind::TaskFailed {
                        instance,
                        workflow: definition.id.clone(),
                        task: definition.tasks[task.index()].id.clone(),
                        attempts,
                        error,
                    };
                    self.on_event(self.globals.stamp, kind, out);
                }
                PartitionEffect::Started if self.role.in_office => {
                    self.metrics.started.increment();
                }
                PartitionEffect::Assigned { order, worker, boot } if self.role.in_office => {
                    self.on_assigned(order, (worker, boot));
                }
                PartitionEffect::NotAssigned { order, worker, boot, term }
                    if self.role.in_office && self.role.term == term =>
                {
                    self.on_not_assigned(order, (worker, boot));
                }
                PartitionEffect::Unassigned { order, worker, boot } if self.role.in_office => {
                    self.on_unassigned(order, (worker, boot));
                }
                PartitionEffect::Started
                | PartitionEffect::Ended { .. }
                | PartitionEffect::TaskFailed { .. }
                | PartitionEffect::Assigned { .. }
                | PartitionEffect::NotAssigned { .. }
                | PartitionEffect::Unassigned { .. } => {}
            }
        }
    }

    fn apply_section(
        &mut self,
        entry: &Committed,
        from: Place,
        section: &SectionView<'_>,
        remote: &mut Outbox<(CoreId, u64, u32, Outcome)>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<Option<Place>, String> {
        let header = section.header;
        let ours = self.session.is_of_this_run(&header);
        let mine = self.session.is_mine(&header);
        for (record, slot) in section.records().zip(0..).skip(from.slot as usize) {
            let record = record.map_err(|error| error.to_string())?;
            let outcome = if record.kind == RecordType::CatalogueChanged {
                let place = Place { slot, ..from };
                let Some(prepared) = self.prepared_at(entry, place, &record, out) else {
                    return Ok(Some(place));
                };
                Outcome::Catalogue(self.apply_change(&prepared, out))
            } else if record.kind == RecordType::Checksum {
                let place = Place { slot, ..from };
                let body = Checksum::read(record.body).map_err(|error| error.to_string())?;
                if !self.hash_at(place, &header, body, out) {
                    return Ok(Some(place));
                }
                Outcome::Done
            } else {
                let applied = self.apply_record((entry.index, entry.term), &record, out)?;
                let Some(outcome) = applied else { continue };
                outcome
            };
            // Everyone applies a global record; its session's own core answers.
            if mine {
                self.resolve(header.number, slot, outcome, out);
            } else if ours && record.partition != GLOBAL {
                remote.push((header.core, header.number, slot, outcome));
            }
        }
        Ok(None)
    }

    /// Applies one record, if it is this core's.
    fn apply_record(
        &mut self,
        (index, term): (u64, u64),
        record: &RecordView<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<Option<Outcome>, String> {
        let stamp = self.globals.stamp;
        if record.partition == GLOBAL {
            return self.apply_global((index, term), record, out).map(Some);
        }
        if record.kind == RecordType::Passed {
            return self.apply_passed(index, record, out);
        }
        let Some(partition) = self.partitions.get_mut(usize::from(record.partition.0)) else {
            return Err(format!("partition {} does not exist", record.partition));
        };
        // Of another core.
        let Some(partition) = partition.as_mut() else { return Ok(None) };
        if !partition.is_applying(index) {
            // It is in the image that this core went on from.
            return Ok(Some(Outcome::Skipped));
        }
        let effects = &mut self.partition_out;
        let text = |error: crate::record::BadBody| error.to_string();
        let outcome = match record.kind {
            RecordType::Accepted => {
                let body = AcceptedView::read(record.version, record.body).map_err(text)?;
                partition.apply_accepted(&self.globals, stamp, &body, effects)
            }
            RecordType::TaskEnded => {
                let body = TaskEnded::read(record.body).map_err(text)?;
                partition.apply_task_ended(stamp, body, effects)
            }
            RecordType::TaskStopped => {
                let body = TaskStopped::read(record.body).map_err(text)?;
                partition.apply_task_stopped(stamp, &body, effects)
            }
            RecordType::Cancelled => {
                let body = Cancelled::read(record.body).map_err(text)?;
                partition.apply_cancelled(stamp, body.instance, effects)
            }
            RecordType::TaskAssigned => {
                let body = TaskAssigned::read(record.body).map_err(text)?;
                partition.apply_task_assigned(&self.globals, (term, stamp), &body, effects);
                Outcome::Done
            }
            RecordType::TaskReleased => {
                let body = TaskReleased::read(record.body).map_err(text)?;
                partition.apply_task_released(stamp, &body, effects);
                Outcome::Done
            }
            RecordType::Born
            | RecordType::CatalogueChanged
            | RecordType::Checksum
            | RecordType::WorkerJoined
            | RecordType::WorkerLost
            | RecordType::WorkerLeft
            | RecordType::WorkerDrained
            | RecordType::Passed => {
                return Err(format!("a {:?} record belongs to no one partition", record.kind));
            }
        };
        self.drain_partitions(out);
        Ok(Some(outcome))
    }

    fn apply_global(
        &mut self,
        (index, term): (u64, u64),
        record: &RecordView<'_>,
        out: &mut Outbox<ShardEffect>,
    ) -> Result<Outcome, String> {
        let text = |error: crate::record::BadBody| error.to_string();
        match record.kind {
            RecordType::WorkerJoined => {
                let body = WorkerJoined::read(record.body).map_err(text)?;
                Ok(self.apply_worker_joined(index, body, out))
            }
            RecordType::WorkerLost => {
                let body = WorkerLost::read(record.body).map_err(text)?;
                Ok(self.apply_worker_lost((index, term), body, out))
            }
            RecordType::WorkerLeft => {
                let body = WorkerLeft::read(record.body).map_err(text)?;
                Ok(self.apply_worker_left(index, body, out))
            }
            RecordType::WorkerDrained => {
                let body = WorkerDrained::read(record.body).map_err(text)?;
                Ok(self.apply_worker_drained(body, out))
            }
            RecordType::Born => {
                let born = Born::read(record.body).map_err(|error| error.to_string())?;
                if self.globals.born.is_none() {
                    self.globals.apply_born(born);
                    self.make_partitions()?;
                    if self.role.in_office {
                        self.serve(out);
                    }
                }
                Ok(Outcome::Done)
            }
            _ => Err(format!("a {:?} record belongs to a partition", record.kind)),
        }
    }

    /// A batch was refused because the catalogue changed under it: it and all after it are
    /// matched again and sent under their old numbers (SOUNDNESS 8).
    fn match_again(&mut self, number: u64, out: &mut Outbox<ShardEffect>) {
        let again = self.session.start_over(number);
        let catalogue = self.globals.catalogue.version;
        for sent in again {
            let (section, waiters) = self.rematched(&sent.section, sent.waiters, out);
            // One of which nothing is left takes no number.
            if !section.is_empty() {
                self.session.resend(section, waiters, catalogue, out);
            }
        }
        self.metrics.rematched.increment();
    }

    /// The catalogue changed: what is gathered but not yet sent is matched again.
    pub(super) fn match_open_again(&mut self, out: &mut Outbox<ShardEffect>) {
        let (open, waiters) = self.session.take_open();
        if !open.is_empty() {
            let sealed = self.session.seal_aside(open);
            let (section, waiters) = self.rematched(&sealed, waiters, out);
            self.session.put_open(section, waiters);
        }
    }

    /// The same records, each message with what it wakes now. A message that the new catalogue
    /// refuses (it repeats a key that a rule now asks for) is refused, with its whole request.
    fn rematched(
        &mut self,
        section: &Bytes,
        waiters: Vec<Option<Waiter>>,
        out: &mut Outbox<ShardEffect>,
    ) -> (Section, Vec<Option<Waiter>>) {
        let section = SectionView::of(section).expect("the shard wrote it");
        let records: Vec<RecordView<'_>> =
            section.records().map(|record| record.expect("the shard wrote it")).collect();
        let mut refused = BTreeSet::new();
        for (record, waiter) in records.iter().zip(&waiters) {
            if record.kind != RecordType::Accepted {
                continue;
            }
            let body = accepted(record);
            let (waiter, request) = match waiter {
                Some(Waiter::Gone) => continue,
                Some(waiter @ (Waiter::Message(id, _) | Waiter::Line(id, _))) => (waiter, *id),
                other => unreachable!("a client waits for a message, not {other:?}"),
            };
            if let Err(error) = self.check_message(body.payload)
                && refused.insert(request)
            {
                self.refuse(waiter, &error, out);
            }
        }
        let (mut again, mut left) = (Section::new(0), Vec::with_capacity(waiters.len()));
        for (record, waiter) in records.iter().zip(waiters) {
            if let Some(Waiter::Message(id, _) | Waiter::Line(id, _)) = waiter
                && refused.contains(&id)
            {
                continue;
            }
            // Nobody waits for it, and it was said that it may be lost.
            if waiter == Some(Waiter::Gone) {
                continue;
            }
            // An order may name its definition or bring it, as the catalogue has it or not: it is
            // made anew with the batch that goes next.
            if let Some(Waiter::Order(order)) = waiter {
                self.passing.dropped(order);
                continue;
            }
            // It is made ready again, and goes into the log on its own.
            if record.kind == RecordType::CatalogueChanged {
                self.change_again(out);
                continue;
            }
            left.push(waiter);
            if record.kind != RecordType::Accepted {
                again.push_raw(record);
                continue;
            }
            let body = accepted(record);
            // It was checked a moment ago, with this catalogue.
            self.matcher.matches_trusted(
                &self.globals.catalogue.compiled,
                body.payload,
                &mut self.matches,
            );
            let message = Accepted {
                namespace: body.namespace,
                key: body.key,
                matches: &[],
                payload: body.payload,
                producer: body.producer,
                trace: body.trace,
            };
            let compiled = &self.globals.catalogue.compiled;
            push_matched(&mut again, record.partition, message, compiled, &self.matches);
        }
        if again.len() > GROUP_BYTES_MAX {
            return self.own_records_of(&records, &again, left, out);
        }
        (again, left)
    }

    /// The new catalogue wakes so many rules that the batch fits no entry: its clients are told,
    /// the shard's own records stay.
    fn own_records_of(
        &mut self,
        records: &[RecordView<'_>],
        grown: &Section,
        waiters: Vec<Option<Waiter>>,
        out: &mut Outbox<ShardEffect>,
    ) -> (Section, Vec<Option<Waiter>>) {
        let detail = format!(
            "under the catalogue that came meanwhile the rules woken take {} bytes of the log, at \
             most {GROUP_BYTES_MAX} are allowed",
            grown.len()
        );
        let error = ApiError::new(Code::TooLarge, detail);
        let mut own = Section::new(0);
        for waiter in waiters.into_iter().flatten().filter(Waiter::is_client) {
            self.refuse(&waiter, &error, out);
        }
        let is_own = |record: &&RecordView<'_>| {
            use RecordType::{
                Checksum, TaskAssigned, TaskEnded, TaskReleased, TaskStopped, WorkerJoined,
                WorkerLeft, WorkerLost,
            };
            matches!(
                record.kind,
                TaskEnded
                    | TaskStopped
                    | TaskAssigned
                    | TaskReleased
                    | WorkerJoined
                    | WorkerLost
                    | WorkerLeft
                    | Checksum
            )
        };
        for record in records.iter().filter(is_own) {
            own.push_raw(record);
        }
        let waiters = (0..own.records()).map(|_| Some(Waiter::Own)).collect();
        (own, waiters)
    }

    /// The log did not take a batch: clients are told, own records are tried again later.
    pub(super) fn on_refused(
        &mut self,
        now: Now,
        number: u64,
        round: u32,
        why: NotTaken,
        out: &mut Outbox<ShardEffect>,
    ) {
        if round != self.session.round {
            return;
        }
        if why == NotTaken::Gap {
            self.session.send_again(out);
            return;
        }
        let again = self.session.refused(now, number);
        let mut own = Section::new(0);
        for sent in again {
            let section = SectionView::of(&sent.section).expect("the shard wrote it");
            for (record, waiter) in section.records().zip(sent.waiters) {
                let record = record.expect("the shard wrote it");
                match waiter.expect("a refused batch has no outcome yet") {
                    Waiter::Own => {
                        own.push_raw(&record);
                    }
                    Waiter::Gone => {}
                    Waiter::Order(order) => {
                        self.passing.dropped(order);
                        self.passing.hold_back(now);
                    }
                    waiter => self.refuse(&waiter, &not_taken(why), out),
                }
            }
        }
        self.session.hold_back(now, own);
    }

    fn send_outcomes(
        &mut self,
        remote: &mut Outbox<(CoreId, u64, u32, Outcome)>,
        out: &mut Outbox<ShardEffect>,
    ) {
        if remote.is_empty() {
            return;
        }
        let mut by_core = vec![Vec::new(); usize::from(self.config.shards)];
        for (core, number, slot, outcome) in remote.drain() {
            by_core[usize::from(core.0)].push((number, slot, outcome));
        }
        for (outcomes, core) in by_core.into_iter().zip(0..) {
            if !outcomes.is_empty() {
                let message = ToShard::Outcomes(outcomes);
                out.push(ShardEffect::ToShard { to: CoreId(core), message });
            }
        }
    }

    /// Tells the consensus core about the next timer, when that changed.
    pub(super) fn tell_wake(&mut self, out: &mut Outbox<ShardEffect>) {
        let due = self.partitions.iter().flatten().filter_map(Partition::deadline).min();
        if due != self.wake {
            self.wake = due;
            out.push(ShardEffect::ToConsensus(ToConsensus::Wake { due }));
        }
    }
}

/// The message of a record of this shard.
fn accepted<'a>(record: &RecordView<'a>) -> AcceptedView<'a> {
    AcceptedView::read(record.version, record.body).expect("the shard wrote it")
}

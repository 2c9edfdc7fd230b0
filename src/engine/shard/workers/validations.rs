//! What plugins say to their configurations: core 0 of the node that leads asks workers, before a
//! workflow that holds those goes into the log.
//!
//! One worker after the other is asked for one configuration after the other: it takes a plugin's own
//! time, which is milliseconds, and nobody waits but whoever sends the workflow.
//!
//! Invariants:
//! - every question is answered once: with what is wrong, or with why nobody could say;
//! - a worker is asked once for one configuration, and one that says nothing in time is passed over.

use crate::cluster::PluginConfig;
use crate::globals::Workers;
use crate::message::ToConsensus;
use crate::shard::workers::Desk;
use crate::shard::{ShardCore, ShardEffect};
use crate::workers::{ToWorker, Verdict, WorkerLink};
use api::{ApiError, Code};
use base::{Instant, Outbox, WorkerId};
use bytes::Bytes;
use document::FAULTS_MAX;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A worker says within this time what its plugin says, or is passed over: its host gives a plugin 5 s.
const WORKER_MAX: Duration = Duration::from_secs(6);
/// A worker that is needed is waited for: after a start, or when the lead has changed, they connect
/// within a second.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// All configurations of a question are looked at within this time, or it is given up. Shorter than
/// another node waits for its leader.
const QUESTION_MAX: Duration = Duration::from_secs(12);

/// The questions under way, each by the ticket of what a worker was asked last.
#[derive(Debug, Default)]
pub(super) struct Validations {
    last: u64,
    asked: BTreeMap<u64, Asked>,
    /// They wait for a worker to connect.
    waiting: Vec<Question>,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    worker: WorkerId,
    link: WorkerLink,
    due: Instant,
}

#[derive(Debug)]
struct Question {
    /// The consensus core's.
    ticket: u64,
    configs: Vec<PluginConfig>,
    /// Which of them is looked at.
    at: usize,
    faults: Vec<(u32, String)>,
    /// How long it waits for a worker to connect.
    connect_until: Instant,
    /// When it is given up.
    until: Instant,
    /// Who could not say.
    tried: BTreeSet<WorkerId>,
    /// And why, of the last one.
    why: String,
}

impl Validations {
    /// When a worker has said nothing for too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|question| question.connect_until);
        self.asked.values().map(|asked| asked.due).chain(waiting).min()
    }

    /// Takes out what these were asked.
    fn take(&mut self, is_one: impl Fn(&Asked) -> bool) -> Vec<Asked> {
        self.asked.extract_if(.., |_, asked| is_one(asked)).map(|(_, asked)| asked).collect()
    }
}

impl Desk {
    /// Who can be asked about a plugin: one that gossip does not doubt before one that it does.
    fn whom(
        &self,
        workers: &Workers,
        plugin: &str,
        tried: &BTreeSet<WorkerId>,
    ) -> Option<(WorkerId, WorkerLink)> {
        let has = |worker: &WorkerId| {
            let known = workers.find(*worker);
            known.is_some_and(|known| known.plugins.iter().any(|one| one.name == plugin))
        };
        let peers = self.dispatcher.peers().filter(|(worker, _)| !tried.contains(worker));
        let linked = peers.filter_map(|(worker, peer)| Some((worker, peer.link?)));
        linked
            .filter(|(worker, _)| has(worker))
            .min_by_key(|(worker, _)| (self.dispatcher.is_suspected(*worker), *worker))
    }
}

impl ShardCore {
    /// Whether plugins take these configurations.
    pub(in crate::shard) fn on_validate(
        &mut self,
        ticket: u64,
        configs: Vec<PluginConfig>,
        out: &mut Outbox<ShardEffect>,
    ) {
        let now = self.workers.desk_mut().now;
        let question = Question {
            ticket,
            configs,
            at: 0,
            faults: Vec::new(),
            connect_until: now + CONNECT_MAX,
            until: now + QUESTION_MAX,
            tried: BTreeSet::new(),
            why: String::new(),
        };
        self.go_on(question, out);
    }

    /// Asks a worker for the next configuration, or answers.
    fn go_on(&mut self, question: Question, out: &mut Outbox<ShardEffect>) {
        let is_over = match self.role.in_office {
            _ if self.stopping => Some(ApiError::stopping()),
            true => None,
            false => Some(leads_no_more()),
        };
        let desk = self.workers.desk.as_deref_mut().expect("workers speak to the first core");
        let Some(wanted) = question.wanted() else {
            return answer(question.ticket, Ok(question.faults), out);
        };
        if let Some(error) = is_over {
            return answer(question.ticket, Err(error), out);
        }
        let is_late = desk.now >= question.until;
        let whom = desk.whom(&self.globals.workers, &wanted.plugin, &question.tried);
        let Some((worker, link)) = whom.filter(|_| !is_late) else {
            if question.tried.is_empty() && desk.now < question.connect_until {
                desk.validations.waiting.push(question);
            } else {
                answer(question.ticket, Err(question.given_up(is_late)), out);
            }
            return;
        };
        let (plugin, config) = (wanted.plugin.clone(), Bytes::from(wanted.config.clone()));
        desk.validations.last += 1;
        let ticket = desk.validations.last;
        out.push(ShardEffect::ToWorker {
            link,
            message: ToWorker::Validate { ticket, plugin, config },
        });
        let due = question.until.min(desk.now + WORKER_MAX);
        desk.validations.asked.insert(ticket, Asked { question, worker, link, due });
    }

    /// A worker says what its plugin says.
    pub(super) fn on_verdict(
        &mut self,
        link: WorkerLink,
        ticket: u64,
        verdict: Verdict,
        out: &mut Outbox<ShardEffect>,
    ) {
        // Of another one it would be late, or made up.
        let asked = &mut self.workers.desk_mut().validations.asked;
        if asked.get(&ticket).is_none_or(|asked| asked.link != link) {
            return;
        }
        let asked = asked.remove(&ticket).expect("it was just there");
        self.on_said(asked, verdict, out);
    }

    fn on_said(&mut self, asked: Asked, verdict: Verdict, out: &mut Outbox<ShardEffect>) {
        let Asked { mut question, worker, .. } = asked;
        let place = u32::try_from(question.at).expect("a workflow has fewer tasks");
        match verdict {
            Verdict::Unsaid(why) => {
                question.tried.insert(worker);
                question.why = format!("worker {worker}: {why}");
            }
            Verdict::Valid => question.next(),
            Verdict::Invalid(fault) => {
                question.faults.push((place, fault));
                question.next();
            }
        }
        self.go_on(question, out);
    }

    /// A worker's connection has ended.
    pub(super) fn on_link_of_validations_down(
        &mut self,
        link: WorkerLink,
        out: &mut Outbox<ShardEffect>,
    ) {
        let lost = self.workers.desk_mut().validations.take(|asked| asked.link == link);
        for asked in lost {
            self.on_said(asked, Verdict::Unsaid("its connection broke".into()), out);
        }
    }

    /// A worker has connected.
    pub(super) fn on_worker_to_ask(&mut self, out: &mut Outbox<ShardEffect>) {
        for question in std::mem::take(&mut self.workers.desk_mut().validations.waiting) {
            self.go_on(question, out);
        }
    }

    /// The clock was read: whoever has said nothing for too long is passed over.
    pub(super) fn watch_validations(&mut self, out: &mut Outbox<ShardEffect>) {
        let Some(desk) = self.workers.desk.as_deref_mut() else { return };
        let now = desk.now;
        let late = desk.validations.take(|asked| asked.due <= now);
        let waiting = &mut desk.validations.waiting;
        let alone: Vec<Question> =
            waiting.extract_if(.., |question| question.connect_until <= now).collect();
        for question in alone {
            self.go_on(question, out);
        }
        for asked in late {
            let why = format!("it said nothing within {} s", WORKER_MAX.as_secs());
            self.on_said(asked, Verdict::Unsaid(why), out);
        }
    }

    /// The office has ended: whoever leads next can be asked.
    pub(super) fn end_validations(&mut self, out: &mut Outbox<ShardEffect>) {
        let Some(desk) = self.workers.desk.as_deref_mut() else { return };
        let asked = desk.validations.take(|_| true).into_iter().map(|asked| asked.question);
        for question in asked.chain(std::mem::take(&mut desk.validations.waiting)) {
            answer(question.ticket, Err(leads_no_more()), out);
        }
    }
}

impl Question {
    /// What is to be looked at next; nothing where all was, or enough is wrong.
    fn wanted(&self) -> Option<&PluginConfig> {
        self.configs.get(self.at).filter(|_| self.faults.len() < FAULTS_MAX)
    }

    fn next(&mut self) {
        self.at += 1;
        self.tried.clear();
    }

    /// Why nobody could say.
    fn given_up(&self, is_late: bool) -> ApiError {
        let plugin = self.wanted().map_or("", |wanted| &wanted.plugin);
        let detail = if !self.tried.is_empty() {
            let (count, why) = (self.tried.len(), &self.why);
            format!(
                "no worker could say whether the plugin `{plugin}` takes its configuration: \
                 {count} asked, the last was {why}"
            )
        } else if is_late {
            let (seconds, at, of) = (QUESTION_MAX.as_secs(), self.at, self.configs.len());
            format!(
                "plugins looked at {at} of {of} configurations within {seconds} s; the next was one \
                 of `{plugin}`"
            )
        } else {
            format!("no worker that has the plugin `{plugin}` is connected")
        };
        ApiError::new(Code::NotValidated, detail).with_retry_after(1)
    }
}

fn leads_no_more() -> ApiError {
    ApiError::new(Code::NoLeader, "the lead is changing; nothing was changed").with_retry_after(1)
}

fn answer(
    ticket: u64,
    result: Result<Vec<(u32, String)>, ApiError>,
    out: &mut Outbox<ShardEffect>,
) {
    out.push(ShardEffect::ToConsensus(ToConsensus::Validated { ticket, result }));
}

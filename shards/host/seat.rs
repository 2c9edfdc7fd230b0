//! One plugin on this node: its pool, its processes, and the jobs that they have.

use crate::child::own_bytes;
use crate::copy::copy;
use crate::cpu::{LOOK_EVERY, Watch};
use crate::pending::Answer;
use crate::process::{Process, Stage};
use crate::{Finished, Job, Options, PluginInfo, PluginMetrics, TaskError};
use base::{Instant, Outbox, TokenBucket};
use bytes::Bytes;
use plugin::abi::ABI_VERSION;
use plugin::frame::{FrameReader, FromChild, Load, Run, Ticket, ToChild};
use plugin::pool::{Child, Effect, End, Pool, Work};
use plugin::{Manifest, Network, VERSION_BYTES_MAX, code};
use rustix::fd::OwnedFd;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Lines of one plugin that are logged: per second, and at once after a pause.
const LINES_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("it is not zero");
const LINES_BURST: NonZeroU32 = NonZeroU32::new(500).expect("it is not zero");

/// How long a process may live on that closed its end: it is ending, as a rule.
const DEAF_MAX: Duration = Duration::from_secs(1);

/// How often it is looked at what a process holds of the machine.
const HELD_EVERY: Duration = Duration::from_secs(1);

/// Threads of a process beside those that run tasks.
const THREADS_BESIDE: u64 = 256;

/// What a process holds when it is shut in, and more than it ever does. Unit: bytes.
const START_BYTES: u64 = 64 << 20;

/// What lies in a socket at most, in reads: those of a process that has ended. A socket's buffer is
/// less than a quarter of that, unless the machine's limits were raised.
const LAST_READS_MAX: usize = 16;

/// Works that a line of the log names.
const NAMED_MAX: usize = 8;

/// Where a process is ended for its memory, whatever the kernel's own limits let it have.
fn memory_bytes_max(manifest: &Manifest) -> u64 {
    manifest.memory_max.saturating_add(own_bytes(manifest.threads) + START_BYTES)
}

struct Kept {
    job: Job,
    taken: Instant,
}

/// A plugin and all that belongs to it.
pub(crate) struct Seat {
    name: String,
    file: PathBuf,
    /// The file as it was at the start. `None`: it could not be copied.
    library: Option<OwnedFd>,
    manifest: Manifest,
    options: Arc<Options>,
    pool: Pool,
    out: Outbox<Effect>,
    processes: BTreeMap<Child, Process>,
    /// What every process was told of the node's lease.
    keep_until: Option<Instant>,
    /// Those that closed their end, and when they must have ended.
    deaf: BTreeMap<Child, Instant>,
    jobs: HashMap<u64, Kept>,
    questions: HashMap<u64, (Bytes, Answer<Result<(), TaskError>>)>,
    next_question: u64,
    info: Option<PluginInfo>,
    refused: Option<TaskError>,
    cpu: Watch,
    cpu_due: Instant,
    held_due: Instant,
    bucket: TokenBucket,
    metrics: PluginMetrics,
    /// Since the last line that was logged.
    lines_dropped: u64,
    finished: Vec<Finished>,
}

impl Seat {
    pub(crate) fn new(
        name: String,
        file: PathBuf,
        manifest: Manifest,
        options: Arc<Options>,
    ) -> Self {
        let pool = Pool::new(&manifest, options.start_limit);
        let metrics = PluginMetrics { plugin: name.clone(), ..PluginMetrics::default() };
        let library = copy(&file, &name).inspect_err(|error| {
            let (plugin, file) = (name.as_str(), file.display());
            tracing::warn!(
                plugin,
                %file,
                %error,
                "a plugin's library is not copied: who writes over its file changes what runs"
            );
        });
        Self {
            name,
            file,
            library: library.ok(),
            manifest,
            options,
            pool,
            out: Outbox::new(),
            processes: BTreeMap::new(),
            keep_until: None,
            deaf: BTreeMap::new(),
            jobs: HashMap::new(),
            questions: HashMap::new(),
            next_question: 0,
            info: None,
            refused: None,
            cpu: Watch::default(),
            cpu_due: Instant(0),
            held_due: Instant(0),
            bucket: TokenBucket::new(LINES_PER_SECOND, LINES_BURST, Instant(0)),
            metrics,
            lines_dropped: 0,
            finished: Vec::new(),
        }
    }

    /// Starts the first process.
    pub(crate) fn open(&mut self, now: Instant) {
        self.pool.on_open(now, &mut self.out);
        self.settle(now);
    }

    /// Whether it is known to be there, or not.
    pub(crate) fn is_decided(&self) -> bool {
        self.info.is_some() || self.refused.is_some()
    }

    /// Which of the two.
    pub(crate) fn verdict(&self) -> Result<PluginInfo, TaskError> {
        let undecided = || TaskError::passing(code::MISSING, "it is not known yet");
        self.info.clone().ok_or_else(|| self.refused.clone().unwrap_or_else(undecided))
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = (Child, &Process)> {
        self.processes.iter().map(|(child, process)| (*child, process))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.pool.is_over() && self.processes.is_empty()
    }

    pub(crate) fn run(&mut self, now: Instant, job: Job, taken: Instant) {
        let key = job.key;
        let timeout = job.timeout.or(self.manifest.timeout);
        self.jobs.insert(key, Kept { job, taken });
        self.pool.on_wanted(now, Work::Task(key), timeout, &mut self.out);
        self.settle(now);
    }

    pub(crate) fn stop(&mut self, now: Instant, key: u64, at_once: bool) {
        self.pool.on_stop(now, Work::Task(key), at_once, &mut self.out);
        self.settle(now);
    }

    pub(crate) fn keep(&mut self, until: Instant) {
        self.keep_until = Some(until);
        let children: Vec<Child> = self.processes.keys().copied().collect();
        for child in children {
            self.send(child, 0, &ToChild::Keep { until: until.0 });
        }
    }

    pub(crate) fn stop_all(&mut self, now: Instant, at_once: bool) {
        let mut keys: Vec<u64> = self.jobs.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            self.stop(now, key, at_once);
        }
    }

    pub(crate) fn validate(
        &mut self,
        now: Instant,
        config: Bytes,
        answer: Answer<Result<(), TaskError>>,
    ) {
        let question = self.next_question;
        self.next_question += 1;
        self.questions.insert(question, (config, answer));
        self.pool.on_wanted(now, Work::Question(question), None, &mut self.out);
        self.settle(now);
    }

    pub(crate) fn close(&mut self, now: Instant, grace: Duration) {
        self.pool.on_close(now, grace, &mut self.out);
        self.settle(now);
    }

    /// When [`Seat::on_time`] is to be called.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        let cpu = (!self.cpu.is_empty()).then_some(self.cpu_due);
        let deaf = self.deaf.values().min().copied();
        let held = (!self.processes.is_empty()).then_some(self.held_due);
        self.pool.deadline().into_iter().chain(cpu).chain(held).chain(deaf).min()
    }

    /// Time may have come.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if !self.cpu.is_empty() && self.cpu_due <= now {
            self.cpu_due = now + LOOK_EVERY;
            let limit = self.manifest.cpu_time.unwrap_or(Duration::MAX);
            for (child, ticket) in self.cpu.beyond(limit) {
                self.cpu.ended(child, ticket);
                self.pool.on_overran(now, child, ticket, limit, &mut self.out);
            }
        }
        if !self.processes.is_empty() && self.held_due <= now {
            self.held_due = now + HELD_EVERY;
            self.look_at_held(now);
        }
        let deaf: Vec<Child> =
            self.deaf.iter().filter(|(_, by)| **by <= now).map(|(child, _)| *child).collect();
        for child in deaf {
            self.deaf.remove(&child);
            self.pool.on_nonsense(now, child, "it closed its socket", &mut self.out);
        }
        if self.pool.deadline().is_some_and(|deadline| deadline <= now) {
            self.pool.on_deadline(now, &mut self.out);
        }
        self.settle(now);
    }

    /// Ends processes that hold more of the machine than the limits of their own kernel can say.
    fn look_at_held(&mut self, now: Instant) {
        let threads_max = u64::from(self.manifest.threads) + THREADS_BESIDE;
        let memory_max = memory_bytes_max(&self.manifest);
        for (&child, process) in &self.processes {
            let held = process.held();
            if held.threads > threads_max {
                let what = format!("it has {} threads, at most {threads_max}", held.threads);
                self.pool.on_excess(now, child, &what, &mut self.out);
            } else if held.memory_bytes > memory_max {
                let (held, most) = (held.memory_bytes >> 20, memory_max >> 20);
                let what = format!("it holds {held} MiB of memory, at most {most}");
                self.pool.on_excess(now, child, &what, &mut self.out);
            }
        }
    }

    /// Sends what is to be sent.
    pub(crate) fn flush(&mut self, now: Instant) {
        let mut broken = Vec::new();
        for (&child, process) in &mut self.processes {
            if process.transport.has_unsent()
                && !process.is_deaf
                && process.transport.flush().is_err()
            {
                // It is ending: the poll tells so next.
                process.is_deaf = true;
                broken.push(child);
            }
        }
        for child in broken {
            self.deaf.entry(child).or_insert(now + DEAF_MAX);
        }
    }

    pub(crate) fn take_finished(&mut self, into: &mut Vec<Finished>) {
        into.append(&mut self.finished);
    }

    pub(crate) fn metrics(&self) -> PluginMetrics {
        let memory_bytes = self.processes.values().map(Process::memory_bytes).sum();
        PluginMetrics { counts: self.pool.counts(), memory_bytes, ..self.metrics.clone() }
    }

    /// A process said something.
    pub(crate) fn receive(&mut self, now: Instant, child: Child) {
        let Some(process) = self.processes.get_mut(&child) else { return };
        let nonsense = match process.transport.receive(&mut process.frames) {
            Ok(true) => None,
            Ok(false) => {
                process.is_deaf = true;
                self.deaf.entry(child).or_insert(now + DEAF_MAX);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if process.is_distrusted {
            return;
        }
        // Taken out, so that its frames can be looked at while everything else is used.
        let mut frames = std::mem::take(&mut process.frames);
        let read = self.on_frames(now, child, &mut frames);
        let nonsense = read.err().or(nonsense);
        if let Some(process) = self.processes.get_mut(&child) {
            process.frames = frames;
            process.is_distrusted = nonsense.is_some();
            process.is_deaf |= process.is_distrusted;
        }
        if let Some(what) = nonsense {
            self.pool.on_nonsense(now, child, &what, &mut self.out);
        }
        self.settle(now);
    }

    fn on_frames(
        &mut self,
        now: Instant,
        child: Child,
        frames: &mut FrameReader,
    ) -> Result<(), String> {
        while let Some(raw) = frames.next().map_err(|fault| fault.to_string())? {
            let frame = raw.from_child().map_err(|fault| fault.to_string())?;
            self.on_frame(now, child, raw.ticket, frame)?;
        }
        Ok(())
    }

    /// A frame of a process. The error: what about it is nonsense.
    fn on_frame(
        &mut self,
        now: Instant,
        child: Child,
        ticket: Ticket,
        frame: FromChild<'_>,
    ) -> Result<(), String> {
        let Some(process) = self.processes.get_mut(&child) else { return Ok(()) };
        match frame {
            FromChild::ShutIn { enforced } => {
                if !matches!(process.stage, Stage::Started) {
                    return Err("it tells again how it is shut in".to_owned());
                }
                process.stage = Stage::ShutIn(enforced.to_owned());
            }
            FromChild::Ready { name, version, abi } => {
                let before = std::mem::replace(&mut process.stage, Stage::Ready);
                let Stage::ShutIn(enforced) = before else {
                    return Err("it is not to be ready now".to_owned());
                };
                self.on_ready(name, version, abi, enforced)?;
                self.pool.on_ready(now, child, &mut self.out);
            }
            FromChild::Failed(error) if ticket == 0 => {
                if matches!(process.stage, Stage::Ready) {
                    return Err("it was ready, and now cannot be".to_owned());
                }
                let error = error.received();
                self.pool.on_not_loaded(now, child, &error, &mut self.out);
                self.refuse(now, error);
            }
            FromChild::Failed(_) | FromChild::Done { .. }
                if self.pool.work(child, ticket).is_none() =>
            {
                return Err("a task ends that it was not given, or for a second time".to_owned());
            }
            FromChild::Failed(error) => self.on_result(now, child, ticket, Err(error.received())),
            FromChild::Done { output } => {
                let output = self.check(output);
                self.on_result(now, child, ticket, output);
            }
            FromChild::Begun { thread } => {
                let process = process.id();
                let is_awaited =
                    self.manifest.cpu_time.is_some() && self.pool.work(child, ticket).is_some();
                if self.cpu.is_empty() {
                    self.cpu_due = now + LOOK_EVERY;
                }
                if !is_awaited || !self.cpu.begun(child, ticket, process, thread) {
                    return Err(
                        "a task begins that it was not given, or for a second time".to_owned()
                    );
                }
            }
            FromChild::Log { level, line } => {
                let work = self.pool.work(child, ticket);
                self.log(now, level.clamp(1, 4), line, work);
            }
            FromChild::Pong => self.pool.on_pong(now, child),
        }
        Ok(())
    }

    /// A library is loaded, as its process says: which may be the word of the library.
    fn on_ready(
        &mut self,
        name: &str,
        version: &str,
        abi: u32,
        enforced: String,
    ) -> Result<(), String> {
        if name != self.name || abi != ABI_VERSION {
            return Err("it is ready as another plugin".to_owned());
        }
        if version.len() > VERSION_BYTES_MAX || version.contains(char::is_control) {
            return Err("its version is no text for people".to_owned());
        }
        if let Some(info) = &self.info {
            if info.version != version {
                let (plugin, before) = (self.name.as_str(), info.version.as_str());
                tracing::warn!(
                    plugin,
                    version,
                    before,
                    "the plugin's library has been replaced: start the node again to have all know"
                );
            }
            return Ok(());
        }
        self.info = Some(PluginInfo {
            name: self.name.clone(),
            version: version.to_owned(),
            abi,
            file: self.file.clone(),
            slots: self.manifest.slots(),
            enforced,
            manifest: self.manifest.clone(),
        });
        Ok(())
    }

    /// Remembers why it cannot be used, while that is still the question.
    fn refuse(&mut self, now: Instant, why: TaskError) {
        if !self.is_decided() {
            self.refused = Some(why);
            self.pool.on_close(now, Duration::ZERO, &mut self.out);
        }
    }

    /// Holds an output against what it has to be. Here and not in the process, which may send anything.
    fn check(&self, output: &[u8]) -> Result<Vec<u8>, TaskError> {
        let most = self.manifest.output_max;
        if output.len() > most {
            let message = format!("the output has more than {most} bytes");
            return Err(TaskError::lasting(code::OUTPUT_TOO_LARGE, message));
        }
        // By the reader that the node's workflows have: what it refuses never comes to them.
        expr::Value::parse_json(output).map_err(|error| {
            let message = format!("the output is no JSON: {error}");
            TaskError::lasting(code::BAD_OUTPUT, message)
        })?;
        Ok(output.to_vec())
    }

    fn on_result(
        &mut self,
        now: Instant,
        child: Child,
        ticket: Ticket,
        result: Result<Vec<u8>, TaskError>,
    ) {
        self.cpu.ended(child, ticket);
        self.pool.on_result(now, child, ticket, result, &mut self.out);
    }

    pub(crate) fn read_stdout(&mut self, now: Instant, child: Child) {
        let Some(process) = self.processes.get_mut(&child) else { return };
        let Some(mut lines) = process.stdout.take() else { return };
        let goes_on = lines.receive(|line| self.log(now, 2, line, None)).unwrap_or(false);
        if let Some(process) = self.processes.get_mut(&child)
            && goes_on
        {
            process.stdout = Some(lines);
        }
    }

    pub(crate) fn read_stderr(&mut self, now: Instant, child: Child) {
        let Some(process) = self.processes.get_mut(&child) else { return };
        let Some(mut lines) = process.stderr.take() else { return };
        let goes_on = lines.receive(|line| self.log(now, 3, line, None)).unwrap_or(false);
        if let Some(process) = self.processes.get_mut(&child) {
            process.last_words = process.last_words.or(lines.last_words);
            process.told_of_memory |= lines.told_of_memory;
            if goes_on {
                process.stderr = Some(lines);
            }
        }
    }

    /// A process has ended: all that it said is read, then it is reaped.
    pub(crate) fn on_ended(&mut self, now: Instant, child: Child) {
        for _ in 0..LAST_READS_MAX {
            if self.processes.get(&child).is_none_or(|process| process.is_deaf) {
                break;
            }
            self.receive(now, child);
        }
        self.read_stdout(now, child);
        self.read_stderr(now, child);
        let Some(process) = self.processes.get_mut(&child) else { return };
        let end = match process.reap() {
            Ok(Some(end)) => end,
            Ok(None) => return,
            Err(error) => End { how: format!("it cannot be reaped: {error}"), ..End::default() },
        };
        self.processes.remove(&child);
        self.deaf.remove(&child);
        self.cpu.forget(child);
        self.pool.on_ended(now, child, &end, &mut self.out);
        let why = format!("its process ended while it loaded: {}", end.how);
        self.refuse(now, TaskError::passing(code::CRASHED, why));
        self.settle(now);
    }

    /// Carries out all that the pool wants.
    fn settle(&mut self, now: Instant) {
        while !self.out.is_empty() {
            for effect in self.out.take() {
                self.carry_out(now, effect);
            }
        }
    }

    fn carry_out(&mut self, now: Instant, effect: Effect) {
        match effect {
            Effect::Start(child) => self.start(now, child),
            Effect::Run { child, ticket, work, left } => self.send_work(child, ticket, work, left),
            Effect::Cancel { child, ticket } => self.send(child, ticket, &ToChild::Cancel),
            Effect::Ping(child) => self.send(child, 0, &ToChild::Ping),
            Effect::Quit(child) => self.send(child, 0, &ToChild::Quit),
            Effect::Kill(child) => {
                if let Some(process) = self.processes.get_mut(&child) {
                    process.kill();
                }
            }
            Effect::Ended { work: Work::Task(key), outcome } => self.end(now, key, outcome),
            Effect::Ended { work: Work::Question(number), outcome } => {
                if let Some((_, answer)) = self.questions.remove(&number) {
                    answer.give(outcome.map(|_| ()));
                }
            }
            Effect::Crashed { how, works, culprit, wait, .. } => {
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let (plugin, tasks) = (self.name.as_str(), self.named(&works));
                let culprit = culprit.and_then(|work| self.named(&[work]));
                tracing::warn!(
                    plugin,
                    how,
                    culprit,
                    tasks,
                    wait_ms,
                    "a plugin's process ended by itself"
                );
            }
            Effect::Killed { why, works, .. } => {
                let (plugin, tasks) = (self.name.as_str(), self.named(&works));
                tracing::warn!(plugin, why, tasks, "a plugin's process is killed");
                self.refuse(now, TaskError::passing(code::MISSING, why));
            }
        }
    }

    fn start(&mut self, now: Instant, child: Child) {
        let (program, library) = (&self.options.program, self.library.as_ref());
        match Process::start(program, &self.name, &self.manifest, library) {
            Ok(process) => {
                if self.processes.is_empty() {
                    self.held_due = now + HELD_EVERY;
                }
                self.processes.insert(child, process);
                let load = Load {
                    file: self.file.display().to_string(),
                    name: self.name.clone(),
                    threads: self.manifest.threads,
                    memory_max: self.manifest.memory_max,
                    output_max: self.manifest.output_max as u64,
                    network: self.manifest.network == Network::Allow,
                    tell_begun: self.manifest.cpu_time.is_some(),
                    read: self.manifest.read.clone(),
                    parent: std::process::id(),
                };
                self.send(child, 0, &ToChild::Load(load));
                if let Some(until) = self.keep_until {
                    self.send(child, 0, &ToChild::Keep { until: until.0 });
                }
            }
            Err(error) => {
                let how = format!("no process can be started: {error}");
                let refused = TaskError::passing(code::MISSING, how.clone());
                self.pool.on_not_loaded(now, child, &refused, &mut self.out);
                // There is none to be reaped.
                self.pool.on_ended(now, child, &End { how, ..End::default() }, &mut self.out);
                self.refuse(now, refused);
            }
        }
    }

    fn send(&mut self, child: Child, ticket: Ticket, frame: &ToChild<'_>) {
        if let Some(process) = self.processes.get_mut(&child) {
            frame.write(ticket, process.transport.unsent());
        }
    }

    fn send_work(&mut self, child: Child, ticket: Ticket, work: Work, left: Option<Duration>) {
        let Some(process) = self.processes.get_mut(&child) else { return };
        let to = process.transport.unsent();
        let text = |bytes| std::str::from_utf8(bytes).expect("it was text when it was taken");
        match work {
            Work::Task(key) => {
                let Kept { job, .. } = &self.jobs[&key];
                let left =
                    left.map_or(0, |left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
                let run = Run {
                    config: text(&job.config),
                    input: text(&job.input),
                    instance: &job.instance,
                    workflow: &job.workflow,
                    task: &job.task,
                    idempotency_key: &job.idempotency_key,
                    trace: &job.trace,
                    attempt: job.attempt,
                    timeout_ms: left,
                };
                ToChild::Run(run).write(ticket, to);
            }
            Work::Question(number) => {
                let (config, _) = &self.questions[&number];
                ToChild::Validate { config: text(config) }.write(ticket, to);
            }
        }
    }

    fn end(&mut self, now: Instant, key: u64, outcome: Result<Vec<u8>, TaskError>) {
        let Some(Kept { taken, .. }) = self.jobs.remove(&key) else { return };
        let outcome = outcome.map(Bytes::from);
        if let Err(error) = &outcome {
            let known = code::ALL.iter().find(|known| **known == error.code);
            let known = known.copied().unwrap_or(code::FAILED);
            *self.metrics.failures.entry(known).or_default() += 1;
        }
        self.finished.push(Finished { key, outcome, took: now.since(taken) });
    }

    /// Works as people know them: the instance, and the task in it. `None`: there is none.
    fn named(&self, works: &[Work]) -> Option<String> {
        let mut names = String::new();
        for (index, work) in works.iter().take(NAMED_MAX).enumerate() {
            names.push_str(if index == 0 { "" } else { ", " });
            match work {
                Work::Task(key) => {
                    let Kept { job: Job { instance, task, .. }, .. } = &self.jobs[key];
                    names.extend([instance, "/", task]);
                }
                Work::Question(_) => names.push_str("a validation"),
            }
        }
        if works.len() > NAMED_MAX {
            names.push_str(", ...");
        }
        Some(names).filter(|names| !names.is_empty())
    }

    /// Puts a line of the plugin into the node's log, unless there are too many. `work`: whose line it
    /// is, where that is known.
    fn log(&mut self, now: Instant, level: u8, line: &str, work: Option<Work>) {
        if self.bucket.take(now, 1).is_err() {
            self.metrics.lines_dropped += 1;
            self.lines_dropped += 1;
            return;
        }
        self.metrics.lines += 1;
        if let Some(line_of) = self.options.line {
            line_of(&self.name, level, line);
            return;
        }
        let plugin = self.name.as_str();
        let job = match work {
            Some(Work::Task(key)) => self.jobs.get(&key).map(|kept| &kept.job),
            Some(Work::Question(_)) | None => None,
        };
        let instance = job.map(|job| job.instance.as_str());
        let task_id = job.map(|job| job.task.as_str());
        let attempt = job.map(|job| job.attempt);
        let dropped = std::mem::take(&mut self.lines_dropped);
        let lines_dropped = (dropped > 0).then_some(dropped);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "plugin",
                    plugin,
                    instance,
                    task_id,
                    attempt,
                    lines_dropped,
                    "{line}"
                )
            };
        }
        match level {
            1 => line!(debug),
            2 => line!(info),
            3 => line!(warn),
            _ => line!(error),
        }
    }
}

//! Any workflow, whatever comes of its tasks.

use super::*;
use crate::status::TaskStatus;
use base::Prng;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One task of a random workflow.
#[derive(Clone, Debug)]
struct Spec {
    kind: u8,
    /// Bits: which of the earlier tasks it waits for.
    before: u16,
    run_if: u8,
    when: u8,
    retry: u8,
    timeout: bool,
}

fn spec() -> impl Strategy<Value = Spec> {
    (0..8_u8, any::<u16>(), 0..6_u8, 0..6_u8, 0..3_u8, any::<bool>()).prop_map(
        |(kind, before, run_if, when, retry, timeout)| Spec {
            kind,
            before,
            run_if,
            when,
            retry,
            timeout,
        },
    )
}

/// The specs as the text of a workflow, its lines turned round where `backwards` says so.
fn workflow_text(specs: &[Spec], proceed: bool, limit: bool, backwards: bool) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (task, spec) in specs.iter().enumerate() {
        let before: Vec<String> = (0..task)
            .filter(|earlier| spec.before & (1 << (earlier % 16)) != 0)
            .map(|earlier| format!("t{earlier}"))
            .collect();
        let work = match spec.kind {
            0 => "type: transform, with: { n: '${ input.n }' }".to_owned(),
            1 => "type: transform, with: '${ input.missing }'".to_owned(),
            2 => "type: fail, with: { code: F }".to_owned(),
            3 => "type: log, with: { message: 'n is ${ input.n }' }".to_owned(),
            4 => "type: delay, with: { for: '${ input.n }' }".to_owned(),
            5 => "type: plug, config: { a: 1 }, with: { n: '${ input.n }' }".to_owned(),
            _ => format!("type: http, with: {{ url: 'http://t{task}' }}"),
        };
        let run_if = match spec.run_if {
            4 if !before.is_empty() => ", run_if: failure",
            5 => ", run_if: always",
            _ => "",
        };
        let when = match (spec.when, before.first()) {
            (0, _) => ", when: '${ input.n > 3 }'".to_owned(),
            (1, Some(id)) => format!(", when: \"${{ tasks.{id}.status == 'completed' }}\""),
            _ => String::new(),
        };
        let timeout = if spec.timeout { ", timeout: 2s" } else { "" };
        lines.push(format!(
            "    - {{ id: t{task}, {work}, depends_on: [{}], retry: {}{run_if}{when}{timeout} }}\n",
            before.join(", "),
            spec.retry
        ));
    }
    if backwards {
        lines.reverse();
    }
    let on_failure = if proceed { "continue" } else { "stop" };
    let limit = if limit { "  timeout: 20s\n" } else { "" };
    format!("workflow:\n  id: w\n  on_failure: {on_failure}\n{limit}  tasks:\n{}", lines.concat())
}

/// The world around an instance, as far as the instance can tell.
struct World<'d> {
    definition: &'d Definition,
    prng: Prng,
    now: UnixMicros,
    out: Outbox<Effect>,
    instance: Instance,
    /// Attempts that are carried out outside.
    outside: BTreeSet<(TaskIndex, u32)>,
    /// Those of them that the instance told to stop.
    withdrawn: BTreeSet<(TaskIndex, u32)>,
    ordered: BTreeSet<(TaskIndex, u32)>,
    recorded: BTreeSet<(TaskIndex, u32)>,
    ended: u32,
    /// Everything that came out, as text.
    journal: String,
}

impl<'d> World<'d> {
    fn new(definition: &'d Definition, n: i64, seed: u64) -> Self {
        let mut out = Outbox::new();
        let start = Start {
            id: ID,
            definition,
            message: Value::map([("n", Value::Int(n))]),
            params: Value::Null,
            now: START,
            timeout: None,
            retry: None,
        };
        let instance = Instance::start(start, &mut out);
        let mut world = Self {
            definition,
            prng: Prng::new(seed),
            now: START,
            out,
            instance,
            outside: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            ordered: BTreeSet::new(),
            recorded: BTreeSet::new(),
            ended: 0,
            journal: String::new(),
        };
        world.carry_out();
        world
    }

    /// Takes the effects and checks them against what they promise.
    fn carry_out(&mut self) {
        for effect in self.out.take() {
            writeln!(self.journal, "{}", shown_effect(self.definition, &effect)).unwrap();
            assert_eq!(self.ended, 0, "nothing follows the end of an instance");
            match effect {
                Effect::Order(order) => {
                    let attempt = (order.task, order.attempt);
                    assert!(self.ordered.insert(attempt), "an attempt is ordered once");
                    let busy = self.outside.iter().any(|(task, _)| *task == order.task);
                    assert!(!busy, "an attempt starts after the one before it has stopped");
                    self.outside.insert(attempt);
                }
                Effect::Withdraw { task, attempt, .. } => {
                    assert!(self.outside.contains(&(task, attempt)), "what runs is withdrawn");
                    self.withdrawn.insert((task, attempt));
                }
                Effect::TaskFailed { task, attempts, .. } => {
                    let status = self.instance.task_status(task);
                    assert!(status.is_unsuccessful(), "a task that failed for good is {status}");
                    assert_eq!(attempts, self.instance.task_attempt(task));
                }
                Effect::Log(_) => {}
                Effect::Ended { status, .. } => {
                    assert_eq!(status, self.instance.status());
                    self.ended += 1;
                }
            }
        }
        let image = self.instance.image();
        let read = Instance::from_image(&image).expect("an image is an instance");
        assert_eq!(read, self.instance, "an image changes nothing");
        assert_eq!(read.bytes_estimate(), self.instance.bytes_estimate());
        self.instance = read;
        self.check_orders();
    }

    /// What an instance says to be outstanding is what was ordered and neither ended nor withdrawn.
    fn check_orders(&self) {
        let said: BTreeSet<(TaskIndex, u32)> = self
            .instance
            .orders(self.definition)
            .map(|order| (order.task, order.attempt))
            .collect();
        let known: BTreeSet<_> = self.outside.difference(&self.withdrawn).copied().collect();
        assert_eq!(said, known);
        let stopping: BTreeSet<_> = self.instance.stopping().collect();
        assert!(stopping.is_subset(&self.withdrawn));
    }

    fn any_outside(&mut self) -> Option<(TaskIndex, u32)> {
        let count = self.outside.len() as u64;
        (count > 0).then(|| {
            let place = usize::try_from(self.prng.below(count)).unwrap();
            *self.outside.iter().nth(place).expect("below the count")
        })
    }

    fn step(&mut self) {
        let (definition, choice) = (self.definition, self.prng.below(20));
        match choice {
            0..=7 => {
                let Some((task, attempt)) = self.any_outside() else { return self.tick() };
                let result = match self.prng.below(5) {
                    0 | 1 => Ok(Value::Int(1)),
                    2 => Err(TaskError::lasting("http_404", "no")),
                    3 => Err(TaskError::passing("timeout", "too slow")),
                    _ => Err(TaskError::passing("http_503", "busy")),
                };
                let (now, out) = (self.now, &mut self.out);
                let outcome = self.instance.on_result(definition, task, attempt, result, now, out);
                self.outside.remove(&(task, attempt));
                let withdrawn = self.withdrawn.remove(&(task, attempt));
                assert_eq!(outcome != Outcome::Recorded, withdrawn, "only what is wanted counts");
                if outcome == Outcome::Recorded {
                    assert!(self.recorded.insert((task, attempt)), "a result is recorded once");
                }
            }
            8..=11 => {
                let Some((task, attempt)) = self.withdrawn.pop_first() else { return self.tick() };
                self.outside.remove(&(task, attempt));
                self.instance.on_stopped(definition, task, attempt, self.now, &mut self.out);
            }
            12 => {
                // Whatever else arrives is of an attempt that nobody waits for.
                let task = TaskIndex(u16::try_from(self.prng.below(20)).unwrap());
                let attempt = u32::try_from(self.prng.below(5)).unwrap();
                if self.outside.contains(&(task, attempt)) {
                    return;
                }
                let before = self.instance.clone();
                let (now, out, result) = (self.now, &mut self.out, Ok(Value::Null));
                let outcome = self.instance.on_result(definition, task, attempt, result, now, out);
                assert_eq!(outcome, Outcome::Stale);
                assert_eq!(self.instance, before, "what is stale changes nothing");
            }
            13..=15 if !self.outside.is_empty() => self.of_worker(choice),
            16 if self.prng.chance(1, 10) => {
                self.instance.cancel(definition, self.now, &mut self.out);
            }
            _ => return self.tick(),
        }
        self.carry_out();
    }

    /// A worker takes an attempt, is lost with it, or gives it back.
    fn of_worker(&mut self, choice: u64) {
        let (definition, now) = (self.definition, self.now);
        let (task, attempt) = self.any_outside().expect("something runs");
        if !definition.tasks[task.index()].work.is_assigned() {
            return;
        }
        let withdrawn = self.withdrawn.contains(&(task, attempt));
        if choice == 13 {
            let taken = self.instance.on_assigned(definition, task, attempt, now, &mut self.out);
            assert_eq!(taken, !withdrawn, "a worker gets what is wanted");
            return;
        }
        self.outside.remove(&(task, attempt));
        self.withdrawn.remove(&(task, attempt));
        let charged_before = self.instance.tasks[task.index()].charged();
        let out = &mut self.out;
        if choice == 14 {
            self.instance.on_lost(definition, task, attempt, now, out);
        } else {
            self.instance.on_released(definition, task, attempt, now, out);
        }
        let state = &self.instance.tasks[task.index()];
        let is_free = state.charged() <= charged_before;
        assert!(withdrawn || is_free, "what is lost is not charged to `retry`");
        assert!(state.losses <= LOSSES_MAX);
    }

    /// Time goes on, to the next timer or to a little before it.
    fn tick(&mut self) {
        let deadline = self.instance.deadline().unwrap_or(self.now).max(self.now);
        let early = std::time::Duration::from_micros(self.prng.below(2) * self.prng.below(500_000));
        self.now = (deadline - early).max(self.now);
        self.instance.on_time(self.definition, self.now, &mut self.out);
        if let Some(deadline) = self.instance.deadline() {
            assert!(deadline > self.now || self.instance.is_finished(), "what is due has fired");
        }
        self.carry_out();
    }

    /// Goes on until the instance has ended; gives all that came out.
    fn run(mut self) -> (Instance, String) {
        // Each of 16 tasks has at most three attempts, each of them at most a handful of steps;
        // what is random about a step finds its way within a few hundred.
        const STEPS_MAX: u32 = 20_000;
        let mut steps = 0;
        while !self.instance.is_finished() {
            steps += 1;
            assert!(steps < STEPS_MAX, "every instance ends: {}", self.journal);
            self.step();
        }
        assert_eq!(self.ended, 1, "the end is told once");
        (self.instance, self.journal)
    }
}

/// How often a task or the instance came to a final status.
fn endings(instance: &Instance, of: Option<TaskIndex>) -> usize {
    let ends = |step: &&Step| match (step.change, of) {
        (Change::Instance(status), None) => status.is_final(),
        (Change::Task { task, status, .. }, Some(of)) => task == of && status.is_final(),
        _ => false,
    };
    instance.history().filter(ends).count()
}

fn check_end(definition: &Definition, instance: &Instance) {
    assert_eq!(instance.deadline(), None, "what has ended has no timer");
    assert_eq!(instance.orders(definition).count(), 0, "what has ended wants nothing");
    assert_eq!(instance.stopping().count(), 0);
    assert_eq!(endings(instance, None), 1);
    let mut unsuccessful = false;
    for task in (0..definition.tasks.len()).map(TaskIndex::new) {
        let status = instance.task_status(task);
        assert!(status.is_final(), "every task ends");
        assert_eq!(endings(instance, Some(task)), 1, "a task ends once");
        unsuccessful |= matches!(status, TaskStatus::Failed | TaskStatus::Timeout);
        let defined = &definition.tasks[task.index()];
        let ran = instance.task_attempt(task) > 0;
        let before: Vec<TaskStatus> = definition
            .graph
            .dependencies(task)
            .iter()
            .map(|before| instance.task_status(*before))
            .collect();
        if ran && defined.run_if == RunIf::Success {
            let completed = before.iter().filter(|s| **s == TaskStatus::Completed).count();
            let skipped = before.iter().filter(|s| **s == TaskStatus::Skipped).count();
            assert_eq!(completed + skipped, before.len(), "it ran after success alone");
            assert!(before.is_empty() || completed > 0, "it ran after some success");
        }
    }
    if definition.on_failure == OnFailure::Stop && unsuccessful {
        assert_ne!(instance.status(), InstanceStatus::Completed);
    }
    assert_eq!(
        unsuccessful || instance.status() == InstanceStatus::Timeout,
        instance.error().is_some()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_instance_ends_each_task_once_and_a_replay_gives_equal_bytes(
        specs in prop::collection::vec(spec(), 1..16),
        proceed in any::<bool>(),
        limit in any::<bool>(),
        backwards in any::<bool>(),
        n in 0..6_i64,
        seed in any::<u64>(),
    ) {
        let text = workflow_text(&specs, proceed, limit, backwards);
        let definition = definition_of(&text);
        let (instance, journal) = World::new(&definition, n, seed).run();
        check_end(&definition, &instance);
        let (again, journal_again) = World::new(&definition, n, seed).run();
        prop_assert_eq!(journal, journal_again);
        prop_assert_eq!(instance.image(), again.image());
        let json: serde_json::Value = serde_json::from_str(&instance.to_json(&definition, &())).unwrap();
        prop_assert_eq!(json["tasks"].as_array().unwrap().len(), specs.len());
        prop_assert_eq!(json["status"].as_str().unwrap(), instance.status().name());
    }
}

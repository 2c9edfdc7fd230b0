//! The rules of a run as scripts: a workflow, what is done to an instance of it, and everything
//! that comes of it. One function drives them all; the scripts are data.
//!
//! ```text
//! # a sentence that the script shows to be true
//! - { id: a, type: http, with: { url: 'http://x' } }      the tasks, or a whole `workflow:`
//! > start {"amount": 5} params={"p": 1} timeout=10s retry=2
//!   a running 1                                           a transition: task, status, attempt
//!   -> order a 1 GET http://x                             an effect
//!   deadline +30s                                         the next timer, counted from the start
//! > +5s err a 1 http_503                                  5 s later an attempt failed
//! ```
//!
//! After every line the instance goes through an image, and at the end everything is done again:
//! both must make no difference.

use super::*;
use crate::{HttpRequest, OnFailure, OrderKind, PluginCall, Plugins, RunIf, load};
use base::MessageId;
use std::fmt::Write as _;

mod properties;

const START: UnixMicros = UnixMicros(1_700_000_000_000_000);

const ID: InstanceId = InstanceId { message: MessageId(0x0030_0000_0000_00a1), ordinal: 1 };

struct Driver<'d> {
    definition: &'d Definition,
    now: UnixMicros,
    instance: Option<Instance>,
    steps_seen: usize,
    out: Outbox<Effect>,
}

fn value(json: &str) -> Value {
    Value::parse_json(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

fn since_start(at: UnixMicros) -> String {
    let since = at.since(START);
    format!("+{since:?}")
}

impl<'d> Driver<'d> {
    fn new(definition: &'d Definition) -> Self {
        Self { definition, now: START, instance: None, steps_seen: 0, out: Outbox::new() }
    }

    /// Does what a line says and tells what came of it.
    fn line(&mut self, line: &str) -> String {
        let mut text = String::new();
        let mut rest = line;
        if let Some(after) = rest.strip_prefix('+') {
            let (span, command) = after.split_once(' ').expect("a command after the time");
            self.now = self.now + document::parse_duration(span).expect("a duration");
            rest = command;
        }
        let (command, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
        if command == "start" {
            self.start(arguments);
        } else {
            self.input(command, arguments, &mut text);
        }
        self.transcript(&mut text);
        text
    }

    fn start(&mut self, arguments: &str) {
        let mut start = Start {
            id: ID,
            definition: self.definition,
            message: Value::Null,
            params: Value::Null,
            now: self.now,
            timeout: None,
            retry: None,
        };
        for argument in arguments.split_whitespace() {
            match argument.split_once('=') {
                Some(("params", json)) => start.params = value(json),
                Some(("timeout", text)) => {
                    start.timeout = Some(document::parse_duration(text).expect("a duration"));
                }
                Some(("retry", count)) => start.retry = Some(count.parse().expect("a number")),
                _ => start.message = value(argument),
            }
        }
        self.instance = Some(Instance::start(start, &mut self.out));
    }

    fn input(&mut self, command: &str, arguments: &str, text: &mut String) {
        let mut words = arguments.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (definition, now, out) = (self.definition, self.now, &mut self.out);
        let instance = self.instance.as_mut().expect("the first line starts it");
        let task = |id: &str| definition.task(id).unwrap_or_else(|| panic!("no task `{id}`"));
        match command {
            "time" => instance.on_time(definition, now, out),
            "cancel" => {
                if !instance.cancel(definition, now, out) {
                    text.push_str("  had ended\n");
                }
            }
            "stopped" => {
                let (task, attempt) = (task(word()), word().parse().expect("an attempt"));
                if !instance.on_stopped(definition, task, attempt, now, out) {
                    text.push_str("  nobody waited\n");
                }
            }
            "assigned" | "lost" | "released" => {
                let (task, attempt) = (task(word()), word().parse().expect("an attempt"));
                let awaited = match command {
                    "assigned" => instance.on_assigned(definition, task, attempt, now, out),
                    "lost" => instance.on_lost(definition, task, attempt, now, out),
                    _ => instance.on_released(definition, task, attempt, now, out),
                };
                if !awaited {
                    text.push_str("  nobody waited\n");
                }
            }
            "ok" | "err" | "lasting" => {
                let (task, attempt, rest) = (task(word()), word(), word());
                let result = match command {
                    "ok" => Ok(value(rest)),
                    "err" => Err(TaskError::passing(rest, "it said")),
                    _ => Err(TaskError::lasting(rest, "it said")),
                };
                let attempt = attempt.parse().expect("an attempt");
                let outcome = instance.on_result(definition, task, attempt, result, now, out);
                if outcome != Outcome::Recorded {
                    writeln!(text, "  {outcome:?}").unwrap();
                }
            }
            "orders" => {
                for order in instance.orders(definition) {
                    writeln!(text, "  again {}", shown_order(definition, &order)).unwrap();
                }
                for (task, attempt) in instance.stopping() {
                    let id = &definition.tasks[task.index()].id;
                    writeln!(text, "  stopping {id} {attempt}").unwrap();
                }
            }
            "output" => writeln!(text, "  {}", instance.output().to_json()).unwrap(),
            "error" => {
                let error = instance.error().map(|failure| failure.to_value(definition).to_json());
                writeln!(text, "  {}", error.as_deref().unwrap_or("none")).unwrap();
            }
            "outputs" => {
                for (task, state) in definition.tasks.iter().zip(&instance.tasks) {
                    writeln!(text, "  {} {}", task.id, state.output.to_json()).unwrap();
                }
            }
            other => panic!("unknown command `{other}`"),
        }
    }

    fn transcript(&mut self, text: &mut String) {
        let definition = self.definition;
        let instance = self.instance.as_mut().expect("the first line starts it");
        for step in instance.history().skip(self.steps_seen) {
            assert_eq!(step.at, self.now, "a transition has the stamp of its input");
            let reason = step.reason.as_ref().map_or(String::new(), |why| format!(" ({why})"));
            match step.change {
                Change::Instance(status) => writeln!(text, "  WORKFLOW {status}{reason}"),
                Change::Task { task, attempt, status } => {
                    let id = &definition.tasks[task.index()].id;
                    writeln!(text, "  {id} {status} {attempt}{reason}")
                }
            }
            .unwrap();
        }
        self.steps_seen = instance.history().len();
        for effect in self.out.drain() {
            if let Effect::TaskFailed { task, attempts, .. } = effect {
                // The transition above has told it.
                assert!(instance.task_status(task).is_unsuccessful());
                assert_eq!(instance.task_attempt(task), attempts);
                continue;
            }
            writeln!(text, "  -> {}", shown_effect(definition, &effect)).unwrap();
        }
        if let Some(deadline) = instance.deadline() {
            writeln!(text, "  deadline {}", since_start(deadline)).unwrap();
        }
        let image = instance.image();
        let read = Instance::from_image(&image).expect("an image is an instance");
        assert_eq!(read, *instance, "an image changes nothing");
        assert_eq!(read.image(), image, "equal instances have equal images");
        assert_eq!(read.bytes_estimate(), instance.bytes_estimate());
        self.instance = Some(read);
    }
}

fn shown_effect(definition: &Definition, effect: &Effect) -> String {
    let id = |task: &TaskIndex| &definition.tasks[task.index()].id;
    match effect {
        Effect::Order(order) => format!("order {}", shown_order(definition, order)),
        Effect::Withdraw { instance, task, attempt } => {
            assert_eq!(*instance, ID);
            format!("withdraw {} {attempt}", id(task))
        }
        Effect::Log(line) => {
            format!(
                "log {} {} {:?} {}",
                id(&line.task),
                line.level.name(),
                line.message,
                line.fields.to_json()
            )
        }
        Effect::Ended { instance, status } => {
            assert_eq!(*instance, ID);
            format!("ended {status}")
        }
        Effect::TaskFailed { instance, task, attempts, error } => {
            assert_eq!(*instance, ID);
            format!("failed {} {attempts} {}", id(task), error.code)
        }
    }
}

fn shown_order(definition: &Definition, order: &Order) -> String {
    let id = &definition.tasks[order.task.index()].id;
    assert_eq!(order.instance, ID);
    assert_eq!(order.idempotency_key, format!("00300000000000a1-1/{id}"));
    let HttpRequest { method, url, headers, body, timeout } = match &order.kind {
        OrderKind::Http(request) => request,
        OrderKind::Plugin(call) => {
            assert_eq!((call.workflow.as_str(), call.task_id.as_str()), ("w", id.as_str()));
            let PluginCall { plugin, config, input, timeout, priority, .. } = call;
            let input = String::from_utf8_lossy(input);
            let within = timeout.map_or(String::new(), |timeout| format!(" within {timeout:?}"));
            return format!(
                "{id} {} {plugin} {config} {input} priority {priority}{within}",
                order.attempt
            );
        }
    };
    let headers: Vec<String> =
        headers.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let headers = headers.concat();
    let body =
        body.as_ref().map_or(String::new(), |body| format!(" {}", String::from_utf8_lossy(body)));
    format!("{id} {} {method} {url}{headers}{body} within {timeout:?}", order.attempt)
}

/// One script: its title, the text of its workflow, its lines.
struct Script<'t> {
    title: &'t str,
    workflow: String,
    lines: Vec<&'t str>,
}

fn scripts(text: &str) -> Vec<Script<'_>> {
    let mut scripts: Vec<Script<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            scripts.push(Script { title, workflow: String::new(), lines: Vec::new() });
            continue;
        }
        let Some(script) = scripts.last_mut() else { continue };
        if let Some(command) = line.strip_prefix("> ") {
            script.lines.push(command);
        } else if script.lines.is_empty() {
            script.workflow.push_str(line);
            script.workflow.push('\n');
        }
    }
    scripts
}

fn definition_of(text: &str) -> Definition {
    let whole = if text.trim_start().starts_with("workflow:") {
        text.to_owned()
    } else {
        let tasks: Vec<String> = text.lines().map(|line| format!("    {line}\n")).collect();
        format!("workflow:\n  id: w\n  tasks:\n{}", tasks.concat())
    };
    let source = document::Source { name: "script", text: &whole };
    let mut definitions =
        load::parse(source, Plugins::Any).unwrap_or_else(|faults| panic!("{faults}"));
    definitions.remove(0)
}

/// The only workflow of a file.
fn definition_of_file(text: &str) -> Definition {
    let source = document::Source { name: "example.yaml", text };
    let mut definitions =
        load::parse(source, Plugins::Any).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(definitions.len(), 1);
    definitions.remove(0)
}

/// Plays every script of a text; gives the text with what really came of each line.
fn play(text: &str, definition_of: &dyn Fn(&str) -> Definition) -> String {
    let mut played = String::new();
    for Script { title, workflow, lines } in scripts(text) {
        let definition = definition_of(&workflow);
        let mut driver = Driver::new(&definition);
        let mut again = Driver::new(&definition);
        write!(played, "# {title}\n{workflow}").unwrap();
        for line in &lines {
            write!(played, "> {line}\n{}", driver.line(line)).unwrap();
        }
        for line in &lines {
            again.line(line);
        }
        let images = [driver, again].map(|driver| driver.instance.expect("started").image());
        assert_eq!(images[0], images[1], "{title}: the same calls give the same bytes");
        played.push('\n');
    }
    played
}

fn check(text: &str, definition_of: &dyn Fn(&str) -> Definition) {
    let played = play(text, definition_of);
    if played.trim_end() != text.trim_end() {
        let differs = played.lines().zip(text.lines()).position(|(left, right)| left != right);
        panic!("line {:?} differs; what came of it is:\n{played}", differs.map(|line| line + 1));
    }
}

#[test]
fn tasks_join_as_their_dependencies_ended() {
    check(include_str!("scripts/join.txt"), &definition_of);
}

#[test]
fn a_failure_decides_what_still_runs() {
    check(include_str!("scripts/failure.txt"), &definition_of);
}

#[test]
fn attempts_follow_one_another_as_the_policy_says() {
    check(include_str!("scripts/retry.txt"), &definition_of);
}

#[test]
fn a_task_of_a_plugin_moves_when_its_worker_is_lost() {
    check(include_str!("scripts/workers.txt"), &definition_of);
}

#[test]
fn timers_fire_in_their_order() {
    check(include_str!("scripts/time.txt"), &definition_of);
}

#[test]
fn each_type_does_its_work() {
    check(include_str!("scripts/types.txt"), &definition_of);
}

#[test]
fn the_examples_do_what_they_say() {
    let examples = [
        include_str!("../../../config/workflows/fraud_check.yaml"),
        include_str!("../../../config/workflows/order_fulfilment.yaml"),
        include_str!("../../../config/workflows/user_onboarding.yaml"),
        include_str!("../../../config/workflows/incident_alert.yaml"),
    ];
    let files: Vec<Definition> = examples.into_iter().map(definition_of_file).collect();
    let text = include_str!("scripts/examples.txt");
    let named = |name: &str| files.iter().find(|file| file.id == name).expect("an example").clone();
    check(text, &|workflow| named(workflow.trim()));
}

#[test]
fn the_largest_history_forgets_its_oldest_steps_and_says_how_many() {
    let tasks: Vec<String> = (0..crate::TASKS_MAX)
        .map(|n| {
            let retry = "{ max: 3, backoff: fixed, first: 1s, jitter: none }";
            format!("- {{ id: t{n}, type: http, retry: {retry}, with: {{ url: http://a }} }}\n")
        })
        .collect();
    let definition = definition_of(&tasks.concat());
    let mut driver = Driver::new(&definition);
    driver.line("start");
    for attempt in 1..=4 {
        for task in 0..crate::TASKS_MAX {
            driver.line(&format!("err t{task} {attempt} http_503"));
        }
        driver.line("+1s time");
    }
    let instance = driver.instance.expect("started");
    assert_eq!(instance.status(), InstanceStatus::Failed);
    assert_eq!(instance.history().len(), crate::HISTORY_STEPS_MAX);
    // One start and one end, and of every task four attempts, three waits and one end.
    let all = 2 + crate::TASKS_MAX * 8;
    assert_eq!(instance.history.forgotten as usize, all - crate::HISTORY_STEPS_MAX);
    let last = instance.history().last().expect("it is full");
    assert_eq!(last.change, Change::Instance(InstanceStatus::Failed));
}

/// A value that takes about `bytes` in memory.
fn text_of(bytes: usize) -> Value {
    Value::text("x".repeat(bytes))
}

#[test]
fn an_output_that_is_too_large_fails_its_task() {
    let definition = definition_of("- { id: a, type: http, retry: 3, with: { url: 'http://a' } }");
    let mut driver = Driver::new(&definition);
    driver.line("start");
    let mut instance = driver.instance.expect("started");
    let (task, mut out) = (TaskIndex(0), Outbox::new());
    let result = Ok(text_of(OUTPUT_BYTES_MAX));
    instance.on_result(&definition, task, 1, result, START, &mut out);
    assert_eq!(instance.status(), InstanceStatus::Failed);
    let error = &instance.error().expect("it failed").error;
    assert_eq!(error.code, "too_large");
    assert!(error.message.contains("a task's may take 1048576"), "{}", error.message);
}

#[test]
fn what_nests_too_deep_to_be_read_back_fails_its_task() {
    let definition = definition_of(
        "- { id: a, type: log, with: { message: m, fields: { f: '${ input.f }' } } }",
    );
    let nested = |levels: usize| format!("{{\"f\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    // The fields are in a map, which is in the input.
    for (levels, status) in [(126, InstanceStatus::Completed), (127, InstanceStatus::Failed)] {
        let mut driver = Driver::new(&definition);
        driver.line(&format!("start {}", nested(levels)));
        assert_eq!(driver.instance.expect("started").status(), status, "{levels}");
    }
}

#[test]
fn durations_are_spelled_in_their_largest_exact_unit() {
    let spelled = |millis| crate::step::spelled(Duration::from_millis(millis));
    let rows = [(0, "0ms"), (999, "999ms"), (1_000, "1s"), (90_000, "90s"), (3_600_000, "1h")];
    for (millis, text) in rows {
        assert_eq!(spelled(millis), text);
    }
    assert_eq!(spelled(86_400_000 * 30), "30d");
}

#[test]
fn an_instance_takes_no_more_than_its_bound() {
    let tasks: Vec<String> = (0..12)
        .map(|n| format!("- {{ id: t{n}, type: http, with: {{ url: http://a }} }}\n"))
        .collect();
    let definition = definition_of(&tasks.concat());
    let mut driver = Driver::new(&definition);
    driver.line("start");
    let mut instance = driver.instance.expect("started");
    let mut out = Outbox::new();
    for task in (0..12).map(TaskIndex) {
        let result = Ok(text_of(OUTPUT_BYTES_MAX - 1_000));
        instance.on_result(&definition, task, 1, result, START, &mut out);
        assert!(instance.bytes_estimate() < INSTANCE_BYTES_MAX + 64 * 1024);
    }
    assert_eq!(instance.task_status(TaskIndex(7)), TaskStatus::Completed);
    assert_eq!(instance.task_status(TaskIndex(8)), TaskStatus::Failed);
    let error = &instance.error().expect("it failed").error;
    assert!(error.message.contains("all of an instance's may take 8388608"), "{}", error.message);
}

#[test]
fn an_instance_reads_as_json() {
    let definition = definition_of(include_str!("scripts/view.yaml"));
    let mut driver = Driver::new(&definition);
    driver.line("start {\"n\":\"\\u0001\"} params={\"level\":\"high\"} timeout=1m");
    driver.line("+250ms err call 1 http_503");
    let instance = driver.instance.expect("started");
    let json: serde_json::Value =
        serde_json::from_str(&instance.to_json(&definition, &())).unwrap();
    let shown = format!("{json:#}\n");
    assert!(shown == include_str!("scripts/view.json"), "what is shown is:\n{shown}");
}

#[test]
fn an_instance_that_cannot_be_given_its_input_ends_before_anything_of_it_begins() {
    let text = "- { id: a, type: http, with: { url: http://a } }\n\
                - { id: b, type: log, depends_on: [a], run_if: failure, with: { message: m } }";
    let definition = definition_of(text);
    let start = Start {
        id: InstanceId { message: MessageId(7), ordinal: 2 },
        definition: &definition,
        message: Value::Null,
        params: Value::Null,
        now: START,
        timeout: Some(Duration::from_secs(1)),
        retry: None,
    };
    let mut out = Outbox::new();
    let error = TaskError::lasting("expression", "`key`: there is no `msg.k`");
    let instance = Instance::start_failed(start, error.clone(), &mut out);
    let status = InstanceStatus::Failed;
    assert_eq!(out.take(), [Effect::Ended { instance: instance.id(), status }]);
    assert_eq!((instance.status(), instance.deadline()), (status, None));
    assert_eq!(
        instance.error().map(|failure| (failure.task, &failure.error)),
        Some((None, &error))
    );
    for task in [TaskIndex(0), TaskIndex(1)] {
        assert_eq!(instance.task_status(task), TaskStatus::Cancelled);
    }
    assert_eq!(Instance::from_image(&instance.image()).unwrap(), instance);
    let shown = instance.to_json_of_key(&definition, (MessageId(9), "k"), &());
    assert!(shown.contains(r#""message_id":"0000000000000009","key":"k","#), "{shown}");
}

#[test]
#[should_panic(expected = "was handed definition w (")]
fn an_instance_refuses_another_definition() {
    let definition = definition_of("- { id: a, type: delay, with: { for: 1s } }");
    let other = definition_of("- { id: a, type: delay, with: { for: 2s } }");
    let mut driver = Driver::new(&definition);
    driver.line("start");
    driver.instance.expect("started").on_time(&other, START, &mut Outbox::new());
}

#[test]
fn expressions_see_what_has_ended() {
    check(include_str!("scripts/expressions.txt"), &definition_of);
}

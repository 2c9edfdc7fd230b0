//! An instance as people and programs read it: JSON.

use crate::definition::{Definition, TaskIndex, Work};
use crate::effect::TaskError;
use crate::history::{Change, Step};
use crate::instance::{Failure, Instance};
use crate::rfc3339::rfc3339;
use crate::status::TaskStatus;
use base::{MessageId, UnixMicros, WorkerId};
use expr::Value;

/// Who has which attempt of an instance's tasks.
pub trait Holders {
    /// The worker that has an attempt; none where it waits for one.
    fn worker_of(&self, task: TaskIndex, attempt: u32) -> Option<WorkerId>;
}

/// No worker has anything: of an instance that has ended, or has no task of a plugin.
impl Holders for () {
    fn worker_of(&self, _: TaskIndex, _: u32) -> Option<WorkerId> {
        None
    }
}

impl Instance {
    /// Everything about the instance as one JSON object. It begins with the keys that a list of
    /// instances has, in the same order, so that what reads one reads the other:
    ///
    /// | key | what |
    /// |---|---|
    /// | `instance`, `workflow`, `version` | which run of which workflow |
    /// | `status`, `started_at`, `ended_at` | where it is; times as RFC 3339 |
    /// | `message_id` | the message that caused it |
    /// | `deadline_at` | when it has taken too long; null without a timeout, and once it has ended |
    /// | `definition` | the hash of the definition that it keeps |
    /// | `error` | null, or `{task, code, message}` of the first failure |
    /// | `params`, `output` | what the rule handed over, what the workflow made |
    /// | `tasks` | each `{id, type, status, attempts, input, output, error, started_at, ended_at}` |
    /// | `history` | each `{at, task, attempt, status, reason}`, oldest first |
    /// | `history_forgotten` | how many older transitions were dropped |
    ///
    /// While a task is under way it also has `deadline_at`, `next_attempt_at` (between two
    /// attempts), `wakes_at` (a delay) or `stopping` (its last attempt is not known to have
    /// stopped). A task that was lost with its worker has `losses`. One that a worker has, as `holders` says,
    /// has `worker`; one of a plugin that none has is `ready`, and `waits_for` names the plugin. A transition of
    /// the instance itself has a null `task` and no `attempt`. The message is not shown here: whoever holds it
    /// shows it.
    pub fn to_json(&self, definition: &Definition, holders: &dyn Holders) -> String {
        self.json(definition, (self.id.message, None), holders)
    }

    /// The same of an instance that was started for a key, by this message: its own name tells
    /// neither. `key` follows `message_id`.
    pub fn to_json_of_key(
        &self,
        definition: &Definition,
        (cause, key): (MessageId, &str),
        holders: &dyn Holders,
    ) -> String {
        self.json(definition, (cause, Some(key)), holders)
    }

    fn json(
        &self,
        definition: &Definition,
        (cause, key): (MessageId, Option<&str>),
        holders: &dyn Holders,
    ) -> String {
        self.expect(definition);
        let mut json = Writer::default();
        json.open(b'{');
        json.text("instance", &self.id.to_string());
        json.text("workflow", &definition.id);
        json.value("version", &Value::from(definition.version));
        json.text("status", self.status.name());
        json.time("started_at", Some(self.started));
        json.time("ended_at", self.ended);
        json.text("message_id", &cause.to_string());
        if let Some(key) = key {
            json.text("key", key);
        }
        json.time("deadline_at", self.limit);
        json.text("definition", &format!("{:016x}", self.definition_hash));
        json.key("error");
        json.failure(self.error.as_ref(), definition);
        json.value("params", &self.params);
        json.value("output", &self.output);
        json.key("tasks");
        json.open(b'[');
        for task in (0..self.tasks.len()).map(TaskIndex::new) {
            json.separate();
            self.write_task(definition, task, holders, &mut json);
        }
        json.close(b']');
        json.key("history");
        json.open(b'[');
        for step in self.history() {
            json.separate();
            json.step(step, definition);
        }
        json.close(b']');
        json.value("history_forgotten", &Value::from(self.history.forgotten));
        json.close(b'}');
        String::from_utf8(json.out).expect("all parts written are UTF-8")
    }

    fn write_task(
        &self,
        definition: &Definition,
        task: TaskIndex,
        holders: &dyn Holders,
        json: &mut Writer,
    ) {
        let state = &self.tasks[task.index()];
        let defined = &definition.tasks[task.index()];
        let is_under_way = state.status == TaskStatus::Running || state.stopping;
        let plugin = defined.plugin().filter(|_| is_under_way).map(|(plugin, _)| plugin);
        let holder = plugin.and_then(|_| holders.worker_of(task, state.attempt));
        let waits_for = plugin.filter(|_| holder.is_none() && !state.stopping);
        let status = if waits_for.is_some() { TaskStatus::Ready } else { state.status };
        let input = match defined.work {
            Work::Transform { .. } => &state.output,
            _ => &state.input,
        };
        json.open(b'{');
        json.text("id", &defined.id);
        json.text("type", defined.type_name());
        json.text("status", status.name());
        json.value("attempts", &Value::from(state.attempt));
        json.value("input", input);
        json.value("output", &state.output);
        json.key("error");
        json.error(state.error.as_ref());
        json.time("started_at", state.started);
        json.time("ended_at", state.ended);
        // Only a task under way has these.
        if let Some(wake) = state.wake {
            let between = state.status == TaskStatus::Ready;
            json.time(if between { "next_attempt_at" } else { "wakes_at" }, Some(wake));
        }
        if state.limit.is_some() {
            json.time("deadline_at", state.limit);
        }
        if state.losses > 0 {
            json.value("losses", &Value::from(state.losses));
        }
        if state.stopping {
            json.value("stopping", &Value::Bool(true));
        }
        if let Some(worker) = holder {
            json.text("worker", &worker.to_string());
        }
        if let Some(plugin) = waits_for {
            json.text("waits_for", &format!("a worker that has the plugin {plugin} and room"));
        }
        json.close(b'}');
    }
}

/// Writes JSON with its keys in the order in which people look for them.
#[derive(Default)]
struct Writer {
    out: Vec<u8>,
}

impl Writer {
    fn open(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
    }

    /// A comma, unless this is the first of a list or an object.
    fn separate(&mut self) {
        if !matches!(self.out.last(), Some(b'[' | b'{')) {
            self.out.push(b',');
        }
    }

    fn key(&mut self, key: &str) {
        self.separate();
        Value::text(key).write_json(&mut self.out);
        self.out.push(b':');
    }

    fn value(&mut self, key: &str, value: &Value) {
        self.key(key);
        value.write_json(&mut self.out);
    }

    fn text(&mut self, key: &str, text: &str) {
        self.value(key, &Value::text(text));
    }

    fn time(&mut self, key: &str, time: Option<UnixMicros>) {
        self.value(key, &time.map_or(Value::Null, |time| Value::text(rfc3339(time))));
    }

    fn error(&mut self, error: Option<&TaskError>) {
        error.map_or(Value::Null, TaskError::to_value).write_json(&mut self.out);
    }

    fn failure(&mut self, failure: Option<&Failure>, definition: &Definition) {
        let value = failure.map_or(Value::Null, |failure| failure.to_value(definition));
        value.write_json(&mut self.out);
    }

    fn step(&mut self, step: &Step, definition: &Definition) {
        self.open(b'{');
        self.time("at", Some(step.at));
        match step.change {
            Change::Instance(status) => {
                self.value("task", &Value::Null);
                self.text("status", status.name());
            }
            Change::Task { task, attempt, status } => {
                self.text("task", &definition.tasks[task.index()].id);
                self.value("attempt", &Value::from(attempt));
                self.text("status", status.name());
            }
        }
        if let Some(reason) = &step.reason {
            self.text("reason", reason);
        }
        self.close(b'}');
    }
}

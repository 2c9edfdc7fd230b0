//! `GET /api/v1/workflows` and `/api/v1/workflows/{instance}`

use crate::json::{self, Object};
use crate::page::Cursor;
use base::{InstanceId, UnixMicros};

/// An instance in a list.
#[derive(Clone, Debug)]
pub struct InstanceSummary<'a> {
    /// Its id, which names its message too.
    pub instance: InstanceId,
    /// The workflow that it runs.
    pub workflow: &'a str,
    /// The definition's version.
    pub version: u64,
    /// Its state.
    pub status: &'a str,
    /// When it started.
    pub started_at: UnixMicros,
    /// When it ended.
    pub ended_at: Option<UnixMicros>,
}

impl InstanceSummary<'_> {
    pub(super) fn fields(&self, o: &mut Object<'_>) {
        o.display("instance", self.instance);
        o.text("workflow", self.workflow);
        o.number("version", self.version);
        o.text("status", self.status);
        o.time("started_at", Some(self.started_at));
        o.time("ended_at", self.ended_at);
        o.display("message_id", self.instance.message);
    }

    /// The cursor of a page that begins behind this instance.
    pub fn cursor(&self) -> Cursor {
        Cursor { started_at: self.started_at, instance: self.instance }
    }
}

/// A page of instances, newest first.
#[derive(Clone, Debug)]
pub struct InstancesView<'a> {
    /// The page.
    pub instances: &'a [InstanceSummary<'a>],
    /// Where the next page begins; nothing when this is the last.
    pub next: Option<Cursor>,
}

impl InstancesView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.array("workflows", |list| {
                for instance in self.instances {
                    list.object(|o| instance.fields(o));
                }
            });
            match self.next {
                Some(cursor) => o.display("next", cursor),
                None => o.null("next"),
            }
        });
    }
}

/// Why a task or an instance failed.
#[derive(Clone, Debug)]
pub struct Failure<'a> {
    /// The stable part: `expression`, `timeout`, a code of the task's own.
    pub code: &'a str,
    /// What happened.
    pub message: &'a str,
    /// The task at fault, where the failure is an instance's.
    pub task: Option<&'a str>,
}

impl Failure<'_> {
    fn fields(&self, o: &mut Object<'_>) {
        o.text("code", self.code);
        o.text("message", self.message);
        o.text_if("task", self.task);
    }
}

/// A task of an instance.
#[derive(Clone, Debug)]
pub struct TaskView<'a> {
    /// Its id in the definition.
    pub id: &'a str,
    /// Its type: `http`, `transform` …
    pub kind: &'a str,
    /// Its state.
    pub status: &'a str,
    /// Attempts begun so far.
    pub attempts: u32,
    /// What its last attempt was given, JSON.
    pub input: Option<&'a [u8]>,
    /// What it gave back, JSON.
    pub output: Option<&'a [u8]>,
    /// Why its last attempt failed.
    pub error: Option<Failure<'a>>,
    /// When its first attempt began.
    pub started_at: Option<UnixMicros>,
    /// When it ended.
    pub ended_at: Option<UnixMicros>,
    /// When its next attempt is due.
    pub next_attempt_at: Option<UnixMicros>,
}

impl TaskView<'_> {
    fn fields(&self, o: &mut Object<'_>) {
        o.text("id", self.id);
        o.text("type", self.kind);
        o.text("status", self.status);
        o.number("attempts", u64::from(self.attempts));
        o.raw("input", self.input.unwrap_or(b"null"));
        o.raw("output", self.output.unwrap_or(b"null"));
        if let Some(error) = &self.error {
            o.object("error", |o| error.fields(o));
        }
        o.time("started_at", self.started_at);
        o.time("ended_at", self.ended_at);
        if self.next_attempt_at.is_some() {
            o.time("next_attempt_at", self.next_attempt_at);
        }
    }
}

/// One transition of an instance or of one of its tasks.
#[derive(Clone, Debug)]
pub struct HistoryLine<'a> {
    /// When.
    pub at: UnixMicros,
    /// Which task; nothing when it was the instance itself.
    pub task: Option<&'a str>,
    /// The state before; nothing for the first.
    pub from: Option<&'a str>,
    /// The state after.
    pub to: &'a str,
    /// The attempt it belongs to.
    pub attempt: Option<u32>,
    /// What else is to be said.
    pub detail: Option<&'a str>,
}

impl HistoryLine<'_> {
    fn fields(&self, o: &mut Object<'_>) {
        o.time("at", Some(self.at));
        o.text_if("task", self.task);
        o.text_if("from", self.from);
        o.text("to", self.to);
        if let Some(attempt) = self.attempt {
            o.number("attempt", u64::from(attempt));
        }
        o.text_if("detail", self.detail);
    }
}

/// One instance with all there is to say about it.
#[derive(Clone, Debug)]
pub struct InstanceView<'a> {
    /// What a list says of it.
    pub summary: InstanceSummary<'a>,
    /// The rule whose action started it, and that rule's version.
    pub rule: Option<(&'a str, u64)>,
    /// The parameters that the action handed over, JSON.
    pub params: Option<&'a [u8]>,
    /// What the workflow gave back, JSON.
    pub output: Option<&'a [u8]>,
    /// Why it failed.
    pub error: Option<Failure<'a>>,
    /// Its tasks, in the definition's order.
    pub tasks: &'a [TaskView<'a>],
    /// What happened, oldest first.
    pub history: &'a [HistoryLine<'a>],
    /// Transitions that are no longer kept, all older than those in `history`.
    pub history_dropped: u64,
}

impl InstanceView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            self.summary.fields(o);
            if let Some((rule, version)) = self.rule {
                o.text("rule", rule);
                o.number("rule_version", version);
            }
            if let Some(params) = self.params {
                o.raw("params", params);
            }
            o.raw("output", self.output.unwrap_or(b"null"));
            if let Some(error) = &self.error {
                o.object("error", |o| error.fields(o));
            }
            o.array("tasks", |list| {
                for task in self.tasks {
                    list.object(|o| task.fields(o));
                }
            });
            o.array("history", |list| {
                for line in self.history {
                    list.object(|o| line.fields(o));
                }
            });
            if self.history_dropped > 0 {
                o.number("history_dropped", self.history_dropped);
            }
        });
    }
}

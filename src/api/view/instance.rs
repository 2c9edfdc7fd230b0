//! `GET /api/v1/workflows`. One instance with its tasks and its history is written by `flow`, which
//! alone knows what is in it.

use crate::json::{self, Object};
use crate::page::Cursor;
use base::{InstanceId, MessageId, UnixMicros};

/// An instance in a list.
#[derive(Clone, Debug)]
pub struct InstanceSummary<'a> {
    /// Its id.
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
    /// The message that caused it.
    pub message: MessageId,
    /// The key that it was started for.
    pub key: Option<&'a str>,
}

impl InstanceSummary<'_> {
    pub(super) fn fields(&self, o: &mut Object<'_>) {
        o.display("instance", self.instance);
        o.text("workflow", self.workflow);
        o.number("version", self.version);
        o.text("status", self.status);
        o.time("started_at", Some(self.started_at));
        o.time("ended_at", self.ended_at);
        o.display("message_id", self.message);
        o.text_if("key", self.key);
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

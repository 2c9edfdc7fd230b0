//! `GET /api/v1/messages/{id}`

use super::instance::InstanceSummary;
use crate::json;
use crate::route::percent_encoded;
use base::{MessageId, UnixMicros};

/// A message, what it woke and how far that has come.
#[derive(Clone, Debug)]
pub struct MessageView<'a> {
    /// Its id.
    pub message_id: MessageId,
    /// How far it has come: `accepted` while an instance of it runs, then `completed` (or `failed`,
    /// when an instance did not end well).
    pub status: &'a str,
    /// The stamp of its batch.
    pub accepted_at: UnixMicros,
    /// The key that it came with.
    pub idempotency_key: Option<&'a str>,
    /// The rules that it matched, in their order of priority.
    pub rules: &'a [RuleMatch<'a>],
    /// The instances that it started, in the order of the matches.
    pub instances: &'a [InstanceSummary<'a>],
    /// What it asked an instance for by a key, in the order of the matches.
    pub keyed: &'a [KeyedStart<'a>],
    /// The message itself, JSON as it was sent.
    pub message: &'a [u8],
}

/// A rule that a message matched.
#[derive(Clone, Debug)]
pub struct RuleMatch<'a> {
    /// The rule's id.
    pub rule: &'a str,
    /// The version that was matched.
    pub version: u64,
    /// The workflows that its actions name.
    pub workflows: &'a [&'a str],
}

/// An action with a key: its instance was there before, or another message's action made it, or this
/// one's did.
#[derive(Clone, Copy, Debug)]
pub struct KeyedStart<'a> {
    /// The workflow.
    pub workflow: &'a str,
    /// The key.
    pub key: &'a str,
}

impl KeyedStart<'_> {
    /// Where the instance is found as long as it is kept.
    fn path(&self) -> String {
        let mut path = String::from("/api/v1/workflows?workflow=");
        percent_encoded(self.workflow, &mut path);
        path.push_str("&key=");
        percent_encoded(self.key, &mut path);
        path
    }
}

impl MessageView<'_> {
    /// Writes the body.
    pub fn write(&self, out: &mut Vec<u8>) {
        json::object(out, |o| {
            o.display("message_id", self.message_id);
            o.text("status", self.status);
            o.time("accepted_at", Some(self.accepted_at));
            o.text_if("idempotency_key", self.idempotency_key);
            o.array("rules", |list| {
                for matched in self.rules {
                    list.object(|o| {
                        o.text("rule", matched.rule);
                        o.number("version", matched.version);
                        o.texts("workflows", matched.workflows);
                    });
                }
            });
            o.array("instances", |list| {
                for instance in self.instances {
                    list.object(|o| instance.fields(o));
                }
            });
            if !self.keyed.is_empty() {
                o.array("keyed", |list| {
                    for start in self.keyed {
                        list.object(|o| {
                            o.text("workflow", start.workflow);
                            o.text("key", start.key);
                            o.text("instances", &start.path());
                        });
                    }
                });
            }
            o.raw("message", self.message);
        });
    }
}

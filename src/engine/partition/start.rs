//! What a message starts: instances of its own, and orders to the partitions of its keys.
//!
//! Everything is planned before anything is done: a message that is refused has changed nothing.

use super::answer::Workflows;
use super::keyed::partition_of_key;
use super::live::{KeyedAction, Live, Run};
use super::passing::Waiting;
use super::{Partition, PartitionEffect, hand_out};
use crate::globals::{Globals, StoredRule};
use crate::record::{AcceptedView, KeyedStart};
use base::{InstanceId, MessageId, Outbox, UnixMicros};
use expr::Value;
use flow::{Instance, TaskError};
use rules::{ActionError, Started};
use smallvec::SmallVec;
use std::sync::Arc;

/// What an action may hand to a workflow by a key, input and parameters as JSON. Unit: bytes. With a
/// definition's text it fits a record. What is larger fails the start.
const START_BYTES_MAX: usize = 1024 * 1024;

/// What the actions of one message may hand over by keys together. Unit: bytes. The starts beyond it
/// fail: otherwise one message that wakes all rules there are could fill the log.
const STARTS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A workflow that a record's matches start.
pub(super) struct Start<'a> {
    name: &'a Arc<str>,
    definition: &'a Arc<flow::Definition>,
    rule: &'a rules::Rule,
    action: &'a rules::Action,
    /// What is handed over beside the message, where nothing is calculated.
    params: Option<&'a Value>,
    id: InstanceId,
}

/// What is to become of a start.
enum Planned {
    /// An instance of the message.
    Own { input: Value, params: Value },
    /// The same, that ends at once: what it was to be given could not be made.
    Failed(TaskError),
    /// An order to the partition of the key.
    Keyed(Box<Waiting>),
}

/// The workflows that a record's matches start, in order.
pub(super) fn starts<'a>(
    globals: &'a Globals,
    record: &AcceptedView<'_>,
    message: MessageId,
) -> Vec<Start<'a>> {
    let mut starts = Vec::new();
    for matched in record.matches {
        let StoredRule { rule, params, .. } = &*globals.catalogue.rules[&*matched.rule];
        assert_eq!(
            rule.version,
            matched.version.to_native(),
            "a section is applied only under the catalogue it was matched with"
        );
        for (action, params) in rule.actions.iter().zip(params) {
            let stored = &globals.catalogue.definitions[&*action.workflow];
            let ordinal = u16::try_from(starts.len() + 1).expect("matches and actions are bounded");
            starts.push(Start {
                name: &stored.name,
                definition: &stored.definition,
                rule,
                action,
                params: params.as_ref(),
                id: InstanceId { message, ordinal },
            });
        }
    }
    starts
}

/// The names of the workflows.
pub(super) fn names(starts: &[Start<'_>]) -> Workflows {
    starts.iter().map(|start| Arc::clone(start.name)).collect()
}

/// What a message starts, decided.
pub(super) struct Plan {
    planned: SmallVec<[Planned; 4]>,
    /// What the orders take. Unit: bytes.
    pub(super) order_bytes: usize,
    /// How many orders there are.
    pub(super) keyed: usize,
}

/// Works on the starts of one message.
struct Planner<'a, 'r> {
    globals: &'a Globals,
    record: &'a AcceptedView<'r>,
    message: &'a Value,
    /// The rule that was looked at last, and the message as its actions see it.
    seen: Option<(&'a str, Value)>,
    /// What may still be handed over by keys. Unit: bytes.
    left: usize,
}

impl<'a> Planner<'a, '_> {
    fn plan(&mut self, start: &Start<'a>) -> Planned {
        if let Some(params) = start.params {
            return Planned::Own { input: self.message.clone(), params: params.clone() };
        }
        let started = start.action.start(self.seen_by(start.rule));
        match started {
            Ok(Started { input, params, key: None }) => {
                Planned::Own { input: settled(&input), params: settled(&params) }
            }
            Ok(Started { input, params, key: Some(key) }) => {
                self.order(start, &input, &params, key)
            }
            Err(error) => Planned::Failed(TaskError::lasting(ActionError::CODE, error.to_string())),
        }
    }

    fn seen_by(&mut self, rule: &'a rules::Rule) -> &Value {
        if self.seen.as_ref().is_none_or(|(id, _)| *id != rule.id) {
            let find = |id: &str| self.globals.catalogue.rules.get(id).map(|stored| &*stored.rule);
            let seen = rules::seen_by(rule, self.message, &find);
            self.seen = Some((&rule.id, rule.enrich.apply(&seen)));
        }
        let (_, seen) = self.seen.as_ref().expect("it was just put there");
        seen
    }

    fn order(&mut self, start: &Start<'a>, input: &Value, params: &Value, key: String) -> Planned {
        let (input, params) = (input.to_json().into_bytes(), params.to_json().into_bytes());
        let bytes = input.len() + params.len();
        let (what, bytes_max) = match () {
            () if bytes > START_BYTES_MAX => ("a start by key", START_BYTES_MAX),
            () if bytes > self.left => ("all starts by key of one message", STARTS_BYTES_MAX),
            () => {
                self.left -= bytes;
                let timeout = start.action.timeout.map(|timeout| {
                    u64::try_from(timeout.as_micros()).expect("a rule's timeout is bounded")
                });
                let asked = KeyedStart {
                    cause: start.id,
                    namespace: self.record.namespace.into(),
                    workflow: start.definition.id.clone(),
                    key,
                    definition: start.definition.hash,
                    input,
                    params,
                    timeout_us: timeout,
                    retry: start.action.retry,
                    trace: self.record.trace.map(|context| (context.trace, context.span)),
                };
                let definition = Arc::clone(start.definition);
                return Planned::Keyed(Box::new(Waiting { start: asked, definition }));
            }
        };
        let message = format!("{bytes} bytes are handed over; {what} may take {bytes_max}");
        Planned::Failed(TaskError::lasting("too_large", message))
    }
}

/// A value as it comes back from an image, whatever kind of number an expression made.
fn settled(value: &Value) -> Value {
    Value::parse_json(value.to_json().as_bytes()).expect("what an expression gives is JSON")
}

/// Decides what becomes of each start.
pub(super) fn plan<'a>(
    globals: &'a Globals,
    record: &'a AcceptedView<'_>,
    message: &'a Value,
    starts: &[Start<'a>],
) -> Plan {
    let mut decider = Planner { globals, record, message, seen: None, left: STARTS_BYTES_MAX };
    let planned: SmallVec<[Planned; 4]> = starts.iter().map(|start| decider.plan(start)).collect();
    let orders = planned.iter().filter_map(|planned| match planned {
        Planned::Keyed(order) => Some(order.bytes()),
        Planned::Own { .. } | Planned::Failed(_) => None,
    });
    let (keyed, order_bytes) = orders.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
    Plan { planned, order_bytes, keyed }
}

impl Partition {
    /// Does what was planned.
    pub(super) fn start(
        &mut self,
        id: MessageId,
        stamp: UnixMicros,
        record: &AcceptedView<'_>,
        (starts, plan): (&[Start<'_>], Plan),
        out: &mut Outbox<PartitionEffect>,
    ) {
        let mut live = Live::new(record, stamp);
        for (start, planned) in starts.iter().zip(plan.planned) {
            let begun = |message, params| flow::Start {
                id: start.id,
                definition: start.definition,
                message,
                params,
                now: stamp,
                timeout: start.action.timeout,
                retry: start.action.retry,
            };
            let instance = match planned {
                Planned::Own { input, params } => {
                    Instance::start(begun(input, params), &mut self.flow_out)
                }
                Planned::Failed(error) => {
                    let start = begun(Value::Null, Value::Null);
                    Instance::start_failed(start, error, &mut self.flow_out)
                }
                Planned::Keyed(order) => {
                    let KeyedStart { namespace, workflow, key, .. } = &order.start;
                    let to = partition_of_key(self.partitions, namespace, workflow, key);
                    live.keyed.push(KeyedAction {
                        ordinal: start.id.ordinal,
                        workflow: Arc::clone(start.name),
                        key: key.as_str().into(),
                    });
                    self.passing.give(to, *order);
                    continue;
                }
            };
            live.runs.push(Run { definition: Arc::clone(start.definition), instance });
        }
        self.begin_live(id.sequence(), live, stamp, out);
    }

    /// Keeps what has just begun: on the shelf if it has ended already.
    pub(super) fn begin_live(
        &mut self,
        sequence: u64,
        mut live: Live,
        stamp: UnixMicros,
        out: &mut Outbox<PartitionEffect>,
    ) {
        for run in &live.runs {
            if let Some(due) = run.instance.deadline() {
                self.timers.insert((due, sequence, run.instance.id().ordinal));
            }
        }
        hand_out(&mut self.flow_out, &live, out);
        if live.is_finished() {
            self.shelve(sequence, &live, stamp);
        } else {
            self.live_bytes += live.recount();
            self.live.insert(sequence, live);
        }
    }
}

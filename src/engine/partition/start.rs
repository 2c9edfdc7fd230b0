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
use expr::{EvalError, Steps, Value};
use flow::{Instance, TaskError};
use rules::{ActionError, STARTS_STEPS_MAX, Started};
use smallvec::SmallVec;
use std::sync::Arc;

/// What an action may hand to a workflow by a key, input and parameters as JSON. Unit: bytes. With a
/// definition's text it fits a record. What is larger fails the start.
const START_BYTES_MAX: usize = 1024 * 1024;

/// What the actions of one message may hand over by keys together. Unit: bytes. The starts beyond it
/// fail: otherwise one message that wakes all rules there are could fill the log.
const STARTS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of JSON that count as one step where what is handed over is written. Unit: bytes.
const STEP_JSON_BYTES: usize = 8;

// The largest message is handed over many times.
const _: () =
    assert!(STARTS_STEPS_MAX as usize / (base::limits::MESSAGE_BYTES_MAX / STEP_JSON_BYTES) >= 128);

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
    /// What may still be calculated and written.
    steps: Steps,
}

impl<'a> Planner<'a, '_> {
    fn plan(&mut self, start: &Start<'a>) -> Planned {
        if let Some(params) = start.params {
            return Planned::Own { input: self.message.clone(), params: params.clone() };
        }
        self.calculate(start).unwrap_or_else(|error| {
            Planned::Failed(TaskError::lasting(ActionError::CODE, error.to_string()))
        })
    }

    fn calculate(&mut self, start: &Start<'a>) -> Result<Planned, ActionError> {
        let seen = self.seen_by(start.rule).map_err(ActionError::Together)?;
        let Started { input, params, key } = start.action.start(&seen, &mut self.steps)?;
        let (input, params) = (self.written(&input)?, self.written(&params)?);
        Ok(match key {
            None => Planned::Own { input: settled(&input), params: settled(&params) },
            Some(key) => self.order(start, input, params, key),
        })
    }

    fn seen_by(&mut self, rule: &'a rules::Rule) -> Result<Value, EvalError> {
        if let Some((id, seen)) = &self.seen
            && *id == rule.id
        {
            return Ok(seen.clone());
        }
        let find = |id: &str| self.globals.catalogue.rules.get(id).map(|stored| &*stored.rule);
        let seen = rules::seen_by(rule, self.message, &find, &mut self.steps)?;
        let seen = rule.enrich.apply_paid(&seen, &mut self.steps)?;
        self.seen = Some((&rule.id, seen.clone()));
        Ok(seen)
    }

    /// A value as JSON.
    fn written(&mut self, value: &Value) -> Result<String, ActionError> {
        let json = value.to_json();
        self.steps.spend(json.len() / STEP_JSON_BYTES).map_err(ActionError::Together)?;
        Ok(json)
    }

    fn order(&mut self, start: &Start<'a>, input: String, params: String, key: String) -> Planned {
        let (input, params) = (input.into_bytes(), params.into_bytes());
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
fn settled(json: &str) -> Value {
    Value::parse_json(json.as_bytes()).expect("what an expression gives is JSON")
}

/// Decides what becomes of each start.
pub(super) fn plan<'a>(
    globals: &'a Globals,
    record: &'a AcceptedView<'_>,
    message: &'a Value,
    starts: &[Start<'a>],
) -> Plan {
    let (left, steps) = (STARTS_BYTES_MAX, Steps::new(STARTS_STEPS_MAX));
    let mut decider = Planner { globals, record, message, seen: None, left, steps };
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

#[cfg(test)]
mod tests;

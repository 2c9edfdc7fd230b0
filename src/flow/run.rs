//! What each type does when one of its tasks begins.

use crate::definition::{Case, Definition, Level, Span, TaskIndex, Work};
use crate::effect::{LogLine, OrderKind, PluginCall, TaskError, cut};
use crate::http::{self, BODY_BYTES_MAX};
use crate::scope::Scope;
use crate::step::spelled;
use document::{DURATION_MAX, parse_duration};
use expr::{Template, Tree, Value};
use std::time::Duration;

/// The longest text of a line that a workflow logs. Unit: bytes. What is longer is cut.
const LOG_MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// The largest fields of such a line, as they are held in memory. Unit: bytes. A log is for people:
/// what is larger belongs into an output.
const LOG_FIELDS_BYTES_MAX: usize = 64 * 1024;

/// What came of beginning a task. `input` is what it was given, null where that says nothing new.
pub(crate) enum Began {
    /// It is done.
    Done { input: Value, output: Value },
    /// It is done, and so is a line of the log.
    Logged { input: Value, line: LogLine },
    /// It failed, as it was meant to.
    Failed { input: Value, error: TaskError },
    /// It is done after some time.
    Waits { input: Value, span: Duration },
    /// Somebody has to carry it out.
    Ordered { input: Value, kind: OrderKind },
}

/// Begins a task. Fails where an expression of it does.
pub(crate) fn begin(
    definition: &Definition,
    task: TaskIndex,
    scope: &Scope<'_>,
) -> Result<Began, TaskError> {
    match &definition.tasks[task.index()].work {
        Work::Transform { with } => {
            // The output is the input, and is kept once.
            Ok(Began::Done { input: Value::Null, output: tree(with, "`with`", scope)? })
        }
        Work::Branch { cases, otherwise } => {
            let output = branch(cases, otherwise.as_ref(), scope)?;
            Ok(Began::Done { input: Value::Null, output })
        }
        Work::Fail { code, message } => {
            let code = text(code, "`code`", scope)?;
            let message = text(message, "`message`", scope)?;
            let error = TaskError::lasting(code, message);
            let input = error.to_value();
            Ok(Began::Failed { input, error })
        }
        Work::Log { level, message, fields } => log(scope, task, *level, message, fields.as_ref()),
        Work::Delay { span } => {
            let span = match span {
                Span::Fixed(span) => *span,
                Span::Computed(template) => duration(template, scope)?,
            };
            let input = Value::map([("for", Value::text(spelled(span)))]);
            Ok(Began::Waits { input, span })
        }
        Work::Http { with } => {
            let input = tree(with, "`with`", scope)?;
            let kind = order_kind(definition, task, &input)?;
            Ok(Began::Ordered { input, kind })
        }
        Work::Plugin(work) => {
            let input = tree(&work.with, "`with`", scope)?;
            let kind = order_kind(definition, task, &input)?;
            Ok(Began::Ordered { input, kind })
        }
    }
}

/// What is to be done outside for a task that was given `input`.
pub(crate) fn order_kind(
    definition: &Definition,
    task: TaskIndex,
    input: &Value,
) -> Result<OrderKind, TaskError> {
    let defined = &definition.tasks[task.index()];
    match &defined.work {
        Work::Http { .. } => http::request(input, defined.timeout)
            .map(OrderKind::Http)
            .map_err(|error| TaskError::lasting("invalid_request", error.to_string())),
        Work::Plugin(work) => {
            let mut json = Vec::new();
            input.write_json(&mut json);
            if json.len() > BODY_BYTES_MAX {
                let bytes = json.len();
                let why = format!("`with` takes {bytes} bytes, the limit is {BODY_BYTES_MAX}");
                return Err(TaskError::lasting("too_large", why));
            }
            Ok(OrderKind::Plugin(PluginCall {
                plugin: work.plugin.clone(),
                config: work.config.clone(),
                input: json,
                timeout: defined.timeout,
                priority: work.priority,
                workflow: definition.id.clone(),
                task_id: defined.id.clone(),
            }))
        }
        work => unreachable!("a task of type {} is done on the spot", work.type_name()),
    }
}

fn tree(tree: &Tree, what: &str, scope: &Scope<'_>) -> Result<Value, TaskError> {
    tree.evaluate(scope).map_err(|error| TaskError::expression(what, &error))
}

/// A value as text: a text as it is, all else as JSON.
fn text(template: &Template, what: &str, scope: &Scope<'_>) -> Result<String, TaskError> {
    let value = template.evaluate(scope).map_err(|error| TaskError::expression(what, &error))?;
    Ok(match value {
        Value::Text(text) => text.to_string(),
        other => other.to_json(),
    })
}

fn branch(cases: &[Case], otherwise: Option<&Tree>, scope: &Scope<'_>) -> Result<Value, TaskError> {
    for (number, case) in (1..).zip(cases) {
        let holds = case
            .when
            .evaluate_bool(scope)
            .map_err(|error| TaskError::expression(&format!("`when` of case {number}"), &error))?;
        if holds {
            return tree(&case.then, "`then`", scope);
        }
    }
    otherwise.map_or(Ok(Value::Null), |otherwise| tree(otherwise, "`else`", scope))
}

fn log(
    scope: &Scope<'_>,
    task: TaskIndex,
    level: Level,
    message: &Template,
    fields: Option<&Tree>,
) -> Result<Began, TaskError> {
    let mut message = text(message, "`message`", scope)?;
    cut(&mut message, LOG_MESSAGE_BYTES_MAX);
    let fields = fields.map_or(Ok(Value::Null), |fields| tree(fields, "`fields`", scope))?;
    let bytes = fields.bytes_estimate();
    if bytes > LOG_FIELDS_BYTES_MAX {
        let why = format!("`fields` take {bytes} bytes, the limit is {LOG_FIELDS_BYTES_MAX}");
        return Err(TaskError::lasting("too_large", why));
    }
    let input = Value::map([
        ("level", Value::text(level.name())),
        ("message", Value::text(message.as_str())),
        ("fields", fields.clone()),
    ]);
    let line = LogLine { instance: scope.instance.id, task, level, message, fields };
    Ok(Began::Logged { input, line })
}

fn duration(template: &Template, scope: &Scope<'_>) -> Result<Duration, TaskError> {
    let value = template.evaluate(scope).map_err(|error| TaskError::expression("`for`", &error))?;
    let wrong = |why: &str| TaskError::no_value("`for`", why);
    match &value {
        Value::Text(text) => parse_duration(text).map_err(|error| wrong(&error.to_string())),
        Value::Int(seconds) => u64::try_from(*seconds)
            .map(Duration::from_secs)
            .ok()
            .filter(|span| *span <= DURATION_MAX)
            .ok_or_else(|| wrong("the number of seconds is negative or too large")),
        other => Err(wrong(&format!(
            "a duration or a whole number of seconds was expected, this is {}",
            other.kind_name()
        ))),
    }
}

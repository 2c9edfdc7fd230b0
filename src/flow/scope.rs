//! The names that the expressions of a workflow see.

use crate::definition::{Definition, TaskIndex};
use crate::effect::TaskError;
use crate::instance::Instance;
use crate::rfc3339::rfc3339;
use expr::{Found, Value};

/// Every first name, as an expression writes it. `secrets`, `item` and `index` are refused where
/// the workflow is loaded.
pub(crate) const ROOTS: [&str; 5] = ["input", "msg", "params", "tasks", "workflow"];

/// What can follow `tasks.ID`.
pub(crate) const TASK_FIELDS: [&str; 4] = ["output", "status", "error", "attempts"];

/// What can follow `workflow`.
pub(crate) const WORKFLOW_FIELDS: [&str; 5] = ["id", "instance", "version", "started", "error"];

/// What can follow `error`.
pub(crate) const ERROR_FIELDS: [&str; 2] = ["code", "message"];

static NULL: Value = Value::Null;

/// An instance seen from one of its expressions.
pub(crate) struct Scope<'a> {
    pub(crate) instance: &'a Instance,
    pub(crate) definition: &'a Definition,
    /// The attempt's error, in `unless` alone.
    pub(crate) error: Option<&'a TaskError>,
}

impl Scope<'_> {
    fn task(&self, task: TaskIndex, field: &str) -> Option<Found<'_>> {
        let state = &self.instance.tasks[task.index()];
        Some(match field {
            "output" => Found::borrowed(&state.output, 3),
            "status" => Found::owned(Value::text(state.status.name()), 3),
            "error" => match &state.error {
                Some(error) => Found::owned(error.to_value(), 3),
                None => Found::borrowed(&NULL, 3),
            },
            "attempts" => Found::owned(Value::from(state.attempt), 3),
            _ => return None,
        })
    }

    fn workflow(&self, field: &str) -> Option<Found<'_>> {
        let value = match field {
            "id" => Value::text(self.definition.id.as_str()),
            "instance" => Value::text(self.instance.id.to_string()),
            "version" => Value::from(self.definition.version),
            "started" => Value::text(rfc3339(self.instance.started)),
            "error" => match &self.instance.error {
                Some(failure) => failure.to_value(self.definition),
                None => Value::Null,
            },
            _ => return None,
        };
        Some(Found::owned(value, 2))
    }
}

impl expr::Scope for Scope<'_> {
    fn resolve(&self, path: &[&str]) -> Option<Found<'_>> {
        match path {
            ["input" | "msg", ..] => Some(Found::borrowed(&self.instance.message, 1)),
            ["params", ..] => Some(Found::borrowed(&self.instance.params, 1)),
            ["tasks", id, field, ..] => self.task(self.definition.task(id)?, field),
            ["workflow", field, ..] => self.workflow(field),
            ["error", ..] => Some(Found::owned(self.error?.to_value(), 1)),
            _ => None,
        }
    }
}

//! Reads the expressions of a definition and checks what they refer to.
//!
//! An expression sees only what is certain to be there when it is evaluated: the tasks before its
//! own have ended, others may not have begun.

use crate::definition::TaskIndex;
use crate::graph::Graph;
use crate::load::Loader;
use crate::scope::{ERROR_FIELDS, ROOTS, TASK_FIELDS, WORKFLOW_FIELDS};
use document::{Fault, Kind, Node};
use expr::{Expression, ParseError, Reference, Template, Tree, Value};

/// Which tasks an expression can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Those before a task.
    Before(TaskIndex),
    /// The same, and the attempt's `error`: an `unless`.
    Failed(TaskIndex),
    /// All: the workflow's `output`.
    All,
    /// None: the workflow's `defaults`.
    Nothing,
    /// The same, and the attempt's `error`.
    NothingFailed,
}

impl Seen {
    pub(crate) fn with_error(self) -> Self {
        match self {
            Self::Before(task) => Self::Failed(task),
            Self::Nothing => Self::NothingFailed,
            other => other,
        }
    }

    fn has_error(self) -> bool {
        matches!(self, Self::Failed(_) | Self::NothingFailed)
    }
}

/// What the expressions of one workflow can refer to.
pub(crate) struct Reader<'r> {
    pub(crate) ids: &'r [&'r str],
    /// None where the dependencies have faults: then nothing is said about what comes before what.
    pub(crate) graph: Option<&'r Graph>,
}

impl Reader<'_> {
    /// A condition: `true`, `false`, or one `${ }`.
    pub(crate) fn condition(
        &self,
        loader: &mut Loader<'_>,
        key: &str,
        node: &Node,
        seen: Seen,
    ) -> Option<Expression> {
        let always = |truth: bool| {
            expr::parse(if truth { "true" } else { "false" }).expect("a literal is an expression")
        };
        let text = match &node.kind {
            Kind::Bool(truth) => return Some(always(*truth)),
            // A block of YAML ends with a line break.
            Kind::Text { value, .. } => value.trim_end(),
            _ => {
                let what = format!("`{key}` must be an expression, this is {}", node.kind_name());
                loader.fault(node.span, what);
                return None;
            }
        };
        let template = self.template(loader, node, text, seen)?;
        if let Some(expression) = template.single() {
            return Some(expression.clone());
        }
        let fault = match template.constant() {
            Some(Value::Bool(truth)) => return Some(always(*truth)),
            Some(Value::Text(_)) if !text.contains("${") => {
                Fault::at(loader.source, node.span, format!("`{key}` must be an expression"))
                    .hint(format!("put it in ${{ }}, as in `{key}: ${{ {text} }}`"))
            }
            Some(other) => Fault::at(
                loader.source,
                node.span,
                format!("`{key}` must be true or false, this is always {}", other.kind_name()),
            ),
            None => Fault::at(
                loader.source,
                node.span,
                format!("`{key}` must be true or false, text around a ${{ }} makes it text"),
            )
            .hint("put everything into one ${ }"),
        };
        loader.faults.push(fault);
        None
    }

    /// A text that may hold `${ }`.
    pub(crate) fn template(
        &self,
        loader: &mut Loader<'_>,
        node: &Node,
        text: &str,
        seen: Seen,
    ) -> Option<Template> {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(error) => {
                let fault = parse_fault(loader, node, text, &error);
                loader.faults.push(fault);
                return None;
            }
        };
        let faults_before = loader.faults.len();
        for reference in template.references() {
            self.check(loader, node, text, reference, seen);
        }
        (loader.faults.len() == faults_before).then_some(template)
    }

    /// Any value, whose texts may hold `${ }`. Recursion: a document nests at most `NESTING_MAX`
    /// deep.
    pub(crate) fn tree(&self, loader: &mut Loader<'_>, node: &Node, seen: Seen) -> Option<Tree> {
        let scalar = match &node.kind {
            Kind::Null => Value::Null,
            Kind::Bool(truth) => Value::Bool(*truth),
            Kind::Int(number) => Value::Int(*number),
            Kind::Float(number) => Value::Double(*number),
            Kind::Number(text) => match Value::parse_json(text.as_bytes()) {
                Ok(number) => number,
                Err(error) => {
                    loader.fault(node.span, error.to_string());
                    return None;
                }
            },
            Kind::Text { value, .. } => {
                let template = self.template(loader, node, value, seen)?;
                return Some(match template.constant() {
                    Some(constant) => Tree::from(constant.clone()),
                    None => Tree::Template(template),
                });
            }
            Kind::List(nodes) => {
                // Every element is read, so that every fault is found.
                let elements: Vec<Option<Tree>> =
                    nodes.iter().map(|node| self.tree(loader, node, seen)).collect();
                return elements.into_iter().collect::<Option<Vec<_>>>().map(Tree::list);
            }
            Kind::Map(entries) => {
                let entries: Vec<Option<(&str, Tree)>> = entries
                    .iter()
                    .map(|entry| Some((entry.key.as_str(), self.tree(loader, &entry.value, seen)?)))
                    .collect();
                return entries.into_iter().collect::<Option<Vec<_>>>().map(Tree::map);
            }
        };
        Some(Tree::from(scalar))
    }

    fn check(
        &self,
        loader: &mut Loader<'_>,
        node: &Node,
        text: &str,
        reference: &Reference,
        seen: Seen,
    ) {
        let span = loader.source.place_in(node, text, reference.at).unwrap_or(node.span);
        let names: Vec<&str> = reference.names.iter().map(|name| &**name).collect();
        let wrong = match names[0] {
            "input" | "msg" | "params" => return,
            "tasks" => self.check_task(&names[1..], reference.open, seen),
            "workflow" => check_field("workflow", &names[1..], &WORKFLOW_FIELDS),
            "error" if seen.has_error() && names.len() == 1 => return,
            "error" if seen.has_error() => check_field("error", &names[1..], &ERROR_FIELDS),
            "error" => Some(Wrong::hinted(
                "`error` is known in `unless` alone",
                "a task's error is `tasks.ID.error`, the workflow's is `workflow.error`",
            )),
            "secrets" => Some(Wrong::new("`secrets` is not supported yet")),
            "item" | "index" => Some(Wrong::new(format!(
                "`{}` belongs to `for_each`, which is not supported yet",
                names[0]
            ))),
            other => {
                let wrong = Wrong::new(format!("there is no `{other}`"));
                Some(wrong.expecting(other, &ROOTS))
            }
        };
        if let Some(wrong) = wrong {
            let mut fault = Fault::at(loader.source, span, wrong.what);
            fault.hint = wrong.hint;
            loader.faults.push(fault);
        }
    }

    /// Checks what follows `tasks`.
    fn check_task(&self, names: &[&str], open: bool, seen: Seen) -> Option<Wrong> {
        let Some(id) = names.first() else {
            let wrong = Wrong::new("`tasks` alone is not supported yet");
            return Some(wrong.hint("name the task and what of it, as in `tasks.ID.output`"));
        };
        if matches!(seen, Seen::Nothing | Seen::NothingFailed) {
            return Some(Wrong::new("`defaults` hold for every task and cannot refer to one"));
        }
        let Some(place) = self.ids.iter().position(|known| known == id) else {
            let wrong = Wrong::new(format!("there is no task `{id}`"));
            let beginning = |known: &&&str| {
                known.strip_prefix(id).is_some_and(|rest| rest.starts_with(['-', '.']))
            };
            return Some(match self.ids.iter().find(beginning) {
                Some(meant) => wrong.hint(format!(
                    "an id with `-` or `.` is written in brackets: tasks[\"{meant}\"]"
                )),
                None => wrong.expecting(id, self.ids),
            });
        };
        let earlier = TaskIndex::new(place);
        if let (Seen::Before(task) | Seen::Failed(task), Some(graph)) = (seen, self.graph)
            && !graph.is_ancestor(earlier, task)
        {
            let own = self.ids[task.index()];
            let wrong = Wrong::new(format!("`{id}` need not have ended when `{own}` runs"));
            let hint = if earlier == task {
                "a task cannot refer to itself".to_owned()
            } else if graph.is_ancestor(task, earlier) {
                format!("`{id}` comes after `{own}`")
            } else {
                format!("add `{id}` to the `depends_on` of `{own}`")
            };
            return Some(wrong.hint(hint));
        }
        if names.len() == 1 && open {
            let wrong = Wrong::new("what of a task is meant must be known when it is loaded");
            return Some(wrong.hint(format!("one of: {}", TASK_FIELDS.join(", "))));
        }
        check_field(&format!("tasks.{id}"), &names[1..], &TASK_FIELDS)
    }
}

/// What is wrong with a reference.
struct Wrong {
    what: String,
    hint: Option<String>,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    fn hinted(what: &str, hint: &str) -> Self {
        Self::new(what).hint(hint)
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn expecting(self, word: &str, known: &[&str]) -> Self {
        match document::did_you_mean(word, known.iter().copied()) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => self.hint(format!("known here: {}", known.join(", "))),
        }
    }
}

/// Checks the first of `names`, which follow `whole`, against what there is.
fn check_field(whole: &str, names: &[&str], known: &[&str]) -> Option<Wrong> {
    let Some(name) = names.first() else {
        let wrong = Wrong::new(format!("say what of `{whole}` is meant"));
        return Some(wrong.hint(format!("one of: {}", known.join(", "))));
    };
    if known.contains(name) {
        return None;
    }
    Some(Wrong::new(format!("`{whole}` has no `{name}`")).expecting(name, known))
}

fn parse_fault(loader: &Loader<'_>, node: &Node, text: &str, error: &ParseError) -> Fault {
    match loader.source.place_in(node, text, error.at) {
        Some(span) => Fault::at(loader.source, span, error.problem.to_string()),
        // The text was not written as it is: its place in it is all that can be said.
        None => Fault::at(loader.source, node.span, error.to_string()),
    }
}

//! `rules explain`: why a rule matches a message, or does not, condition by condition.

use crate::Trouble;
use crate::check::{self, Checked};
use crate::files::{self, input};
use crate::matching::read_message;
use crate::table::plain;
use anyhow::anyhow;
use rules::{Catalogue, Explained, Explanation, Matcher, Matches, Need, Rule, Seen};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The most rules that are explained when none is named: more than people read, and each takes time
/// in the number of all.
const RULES_MAX: usize = 50;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    path: PathBuf,
    id: Option<String>,
}

impl Named {
    /// `FILE`, or `FILE#ID`. A file whose name has a `#` is a file all the same.
    fn of(text: &str) -> Self {
        match text.rsplit_once('#') {
            Some((path, id)) if !Path::new(text).exists() => {
                Self { path: path.into(), id: Some(id.to_owned()) }
            }
            _ => Self { path: text.into(), id: None },
        }
    }
}

/// A rule, explained.
struct Told<'c> {
    rule: &'c Rule,
    /// As it stands in the file.
    is_enabled: bool,
    explanation: Explanation,
    /// A rule that matches first and says `stop`.
    stopped_by: Option<&'c str>,
    file: &'c str,
}

/// `rules explain`
pub(crate) fn explain(
    rule: &str,
    message: &Path,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let named = Named::of(rule);
    let bytes = read_message(&named.path, message)?;
    let files = check::rules_of(std::slice::from_ref(&named.path))?;
    let asked = choose(&named, &files)?;
    let refuse = |error| input(anyhow!("{}: {error}", files::name(message)));

    // Those that are asked about can match here, even if they are disabled where they will run.
    let all = files.iter().flat_map(|file| &file.items);
    let with_asked = all.clone().map(|rule| {
        let is_asked = asked.iter().any(|(_, other)| other.id == rule.id);
        Rule { enabled: rule.enabled || is_asked, ..rule.clone() }
    });
    let catalogue = Catalogue::compile(with_asked.collect());
    let enabled = Catalogue::compile(all.cloned().collect());
    let mut matches = Matches::new();
    Matcher::new().matches(&enabled, &bytes, &mut matches).map_err(refuse)?;
    let last = matches.last().map(|index| enabled.rule(*index)).filter(|rule| rule.stop);

    let mut told = Vec::new();
    for (file, rule) in asked {
        let index = catalogue.find(&rule.id).expect("it is enabled there");
        let explanation = rules::explain(&catalogue, index, &bytes).map_err(refuse)?;
        let is_below = |first: &Rule| {
            (first.priority, &rule.id) > (rule.priority, &first.id) && first.id != rule.id
        };
        let stopped_by = last.filter(|first| is_below(first)).map(|first| first.id.as_str());
        let file = &file.text.name;
        told.push(Told { rule, is_enabled: rule.enabled, explanation, stopped_by, file });
    }
    if json {
        let rules: Vec<_> = told.iter().map(Told::to_json).collect();
        writeln!(out, "{}", json!({ "rules": rules }))?;
        return Ok(());
    }
    for (at, told) in told.iter().enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        told.write(out)?;
    }
    Ok(())
}

type Chosen<'f> = Vec<(&'f Checked<Rule>, &'f Rule)>;

fn choose<'f>(named: &Named, files: &'f [Checked<Rule>]) -> Result<Chosen<'f>, Trouble> {
    let mut all: Chosen<'f> =
        files.iter().flat_map(|file| file.items.iter().map(move |rule| (file, rule))).collect();
    let path = files::name(&named.path);
    if let Some(id) = &named.id {
        let near = document::did_you_mean(id, all.iter().map(|(_, rule)| rule.id.as_str()));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        all.retain(|(_, rule)| rule.id == *id);
        if all.is_empty() {
            return Err(input(anyhow!("{path}: there is no rule `{id}`{hint}")));
        }
    }
    if all.len() > RULES_MAX {
        let count = all.len();
        return Err(input(anyhow!(
            "{path}: {count} rules are too many to explain at once: name one, as in {path}#{}",
            all[0].1.id
        )));
    }
    all.sort_by(|(_, a), (_, b)| b.priority.cmp(&a.priority).then_with(|| a.id.cmp(&b.id)));
    Ok(all)
}

impl Told<'_> {
    /// `matches`, or why it does not act.
    fn verdict(&self) -> String {
        let lacks = self.explanation.needs.iter().find(|need| !need.holds);
        match (self.explanation.matches, self.is_enabled, self.stopped_by) {
            (false, ..) if self.explanation.conditions_hold => {
                let need = lacks.expect("something keeps it from matching");
                format!("would match, but needs `{}`, which {}", need.id, held(need))
            }
            (false, ..) => "does not match".to_owned(),
            (true, false, _) => "would match, but is disabled".to_owned(),
            (true, true, Some(first)) => {
                format!("would match, but `{first}` matches first and says `stop`")
            }
            (true, true, None) => "matches".to_owned(),
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "rule {}: {}", self.rule.id, plain(&self.verdict()))?;
        let found_by = &self.explanation.found_by;
        if found_by.is_empty() {
            writeln!(out, "  found by: nothing; it is looked at for every message")?;
        } else {
            writeln!(out, "  found by: {}", plain(&found_by.join(", ")))?;
        }
        for need in &self.explanation.needs {
            let how = if need.continues { "continues from" } else { "requires" };
            writeln!(out, "  {how} {}, which {}", need.id, held(need))?;
        }
        for (word, fields) in [("sees", &self.explanation.sees), ("adds", &self.explanation.adds)] {
            for field in fields {
                writeln!(out, "  {}", plain(&self.field(word, field)))?;
            }
        }
        let texts = self.explanation.conditions.iter().map(|c| indented(c).chars().count());
        let width = texts.max().unwrap_or_default().min(60);
        for (at, condition) in self.explanation.conditions.iter().enumerate() {
            let verdict = if condition.holds { "yes" } else { "no" };
            let text = indented(condition);
            let line = match condition.span {
                None if self.is_split(at) => {
                    format!("  {verdict:3}  {text}: each holds, but for no element all at once")
                }
                None => format!("  {verdict:3}  {text}"),
                Some(span) => format!(
                    "  {verdict:3}  {text:width$}  {}  ({}:{}:{})",
                    seen(condition),
                    self.file,
                    span.line,
                    span.column
                ),
            };
            writeln!(out, "{}", plain(&line).replace(['\n', '\t'], " "))?;
        }
        Ok(())
    }

    /// `sees risk.level = 5, from base`
    fn field(&self, word: &str, field: &Seen) -> String {
        let line = match &field.value {
            Ok(value) => format!("{word} {} = {value}", field.field),
            Err(why) => format!("{word} no {}: {why}", field.field),
        };
        if field.rule == self.rule.id { line } else { format!("{line}, from {}", field.rule) }
    }

    /// Whether the members of a group hold one by one, but for different elements of an array.
    fn is_split(&self, at: usize) -> bool {
        let group = &self.explanation.conditions[at];
        let inside = self.explanation.conditions[at + 1..].iter();
        let mut inside = inside.take_while(|member| member.depth > group.depth);
        group.text == "all of"
            && !group.holds
            && inside.all(|member| member.holds || member.depth > group.depth + 1)
    }

    fn to_json(&self) -> Value {
        let conditions: Vec<_> = self.explanation.conditions.iter().map(condition_json).collect();
        json!({
            "rule": self.rule.id,
            "file": self.file,
            "enabled": self.is_enabled,
            "conditions_hold": self.explanation.conditions_hold,
            "needs": self.explanation.needs.iter().map(need_json).collect::<Vec<_>>(),
            "sees": self.explanation.sees.iter().map(seen_json).collect::<Vec<_>>(),
            "adds": self.explanation.adds.iter().map(seen_json).collect::<Vec<_>>(),
            "matches": self.explanation.matches && self.is_enabled && self.stopped_by.is_none(),
            "stopped_by": self.stopped_by,
            "found_by": self.explanation.found_by,
            "conditions": conditions,
        })
    }
}

fn held(need: &Need) -> &'static str {
    match (need.is_there, need.holds) {
        (false, _) => "is not there, or is disabled",
        (true, false) => "does not hold",
        (true, true) => "holds",
    }
}

fn need_json(need: &Need) -> Value {
    json!({
        "rule": need.id,
        "continues": need.continues,
        "is_there": need.is_there,
        "holds": need.holds,
    })
}

fn seen_json(field: &Seen) -> Value {
    let (value, missing) = match &field.value {
        Ok(value) => (Some(value), None),
        Err(why) => (None, Some(why)),
    };
    json!({ "rule": field.rule, "field": field.field, "value": value, "missing": missing })
}

fn indented(condition: &Explained) -> String {
    format!("{:depth$}{}", "", condition.text, depth = condition.depth * 2)
}

fn seen(condition: &Explained) -> String {
    match (&condition.outcome, condition.seen.as_slice()) {
        (Some(outcome), _) => format!("it is {outcome}"),
        (None, []) => "it is not there".to_owned(),
        (None, some) => format!("it is {}", some.join(", ")),
    }
}

fn condition_json(condition: &Explained) -> Value {
    let mut value = json!({
        "depth": condition.depth,
        "condition": condition.text,
        "holds": condition.holds,
    });
    if let Some(span) = condition.span {
        match &condition.outcome {
            Some(outcome) => value["outcome"] = json!(outcome),
            None => value["seen"] = json!(condition.seen),
        }
        value["line"] = json!(span.line);
        value["column"] = json!(span.column);
    }
    value
}

#[cfg(test)]
mod tests;

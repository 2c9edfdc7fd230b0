//! Why a rule matches a message, or does not.
//!
//! Every verdict is the matcher's own: each condition is compiled as a rule by itself and held
//! against the message. That takes time nobody should spend per message: it is for people.

use crate::bad_message::BadMessage;
use crate::catalogue::{Catalogue, Matches, RuleIndex};
use crate::chains;
use crate::enrichment::Enriched;
use crate::enrichment::text::splice;
use crate::expression::MessageScope;
use crate::matcher::Matcher;
use crate::operator::{End, Operator};
use crate::paths::Paths;
use crate::pattern::Folded;
use crate::rule::{Condition, ExpressionCondition, Predicate, Quantifier, Rule};
use crate::scan::{CellKind, Tape};
use crate::value::{Bound, Value};
use document::Span;
use std::fmt::Write;

/// The most values of a field that are shown.
const SEEN_MAX: usize = 5;

/// The longest piece of a value that is shown. Unit: characters.
const SEEN_CHARACTERS_MAX: usize = 60;

/// Why a rule matches a message, or does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether its conditions hold, and all that it needs. A rule in front that says `stop` is not
    /// looked at here.
    pub matches: bool,
    /// Whether its own conditions hold.
    pub conditions_hold: bool,
    /// How the rule is found: the fields, and what is looked up of them. Empty if it is looked at
    /// for every message that it sees.
    pub found_by: Vec<String>,
    /// The rules that it needs, what it continues from first.
    pub needs: Vec<Need>,
    /// What the rules that it continues from have added to the message, the first one first.
    pub sees: Vec<Seen>,
    /// What it adds itself, for its actions and for rules that continue from it.
    pub adds: Vec<Seen>,
    /// The conditions in the order of the text.
    pub conditions: Vec<Explained>,
}

/// A rule that another one needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which.
    pub id: String,
    /// Whether the message is seen as that rule has enriched it.
    pub continues: bool,
    /// Whether it is in the catalogue: there, and enabled.
    pub is_there: bool,
    /// Whether it holds.
    pub holds: bool,
}

/// A field that an enrichment has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub field: String,
    /// By which rule.
    pub rule: String,
    /// What it is, as JSON, shortened; or why it is missing.
    pub value: Result<String, String>,
}

/// One condition, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// How many groups it stands in.
    pub depth: usize,
    /// The condition: `amount greater_than 1000`, or `all of`.
    pub text: String,
    /// Of a condition: what the field holds. Empty: it is not there.
    pub seen: Vec<String>,
    /// Of an expression: what it came to, or why to nothing.
    pub outcome: Option<String>,
    /// Whether it holds.
    pub holds: bool,
    /// Where it stands, if it is no group.
    pub span: Option<Span>,
}

/// Holds a rule of a catalogue against a message, condition by condition. The conditions are told
/// as the rule would see the message, also where what it continues from does not hold.
pub fn explain(
    catalogue: &Catalogue,
    index: RuleIndex,
    message: &[u8],
) -> Result<Explanation, BadMessage> {
    let rule = catalogue.rule(index);
    let (mut matcher, mut holding) = (Matcher::new(), Matches::new());
    matcher.holding(catalogue, message, &mut holding)?;
    let need = |(id, continues): (&String, bool)| {
        let found = catalogue.find(id);
        let holds = found.is_some_and(|index| holding.contains(&index));
        Need { id: id.clone(), continues, is_there: found.is_some(), holds }
    };
    let continues = rule.continue_from.iter().map(|id| (id, true));
    let requires = rule.requires.iter().map(|id| (id, false));
    let needs: Vec<Need> = continues.chain(requires).map(need).collect();

    let find = |id: &str| Some(catalogue.rule(catalogue.find(id)?));
    let mut enriching = Enriching::of(message);
    for before in chains::continued(rule, &find) {
        enriching.go_on(before);
    }
    let added_before = std::mem::take(&mut enriching.told);
    let seen = enriching.text.clone();
    enriching.go_on(rule);

    let mut alone = Alone { rule, message: &seen, matcher };
    let conditions_hold = alone.holds(&rule.when);
    let mut conditions = Vec::new();
    alone.condition(&rule.when, 0, &mut conditions);
    Ok(Explanation {
        matches: conditions_hold && needs.iter().all(|need| need.holds),
        conditions_hold,
        found_by: catalogue.found_by(index),
        needs,
        sees: added_before,
        adds: enriching.told,
        conditions,
    })
}

/// A message on its way through enrichments.
struct Enriching {
    text: Vec<u8>,
    value: Option<expr::Value>,
    told: Vec<Seen>,
}

impl Enriching {
    fn of(message: &[u8]) -> Self {
        let value = expr::Value::parse_json(message).ok();
        Self { text: message.to_vec(), value, told: Vec::new() }
    }

    fn go_on(&mut self, rule: &Rule) {
        let told = rule.enrich.explain(self.value.as_ref()).into_iter().map(|(field, enriched)| {
            let value = match enriched {
                Enriched::Value(value) => Ok(shorten(&value.to_json())),
                Enriched::Missing(why) => Err(why),
            };
            Seen { field: field.to_string(), rule: rule.id.clone(), value }
        });
        self.told.extend(told);
        let mut text = Vec::new();
        splice(&self.text, &rule.enrich.edits(self.value.as_ref()), &mut text);
        self.text = text;
        self.value = match self.value.take() {
            Some(value) => Some(rule.enrich.apply(&value)),
            // What it could not be read for may be gone.
            None => expr::Value::parse_json(&self.text).ok(),
        };
    }
}

/// A rule whose parts are looked at alone.
struct Alone<'m> {
    rule: &'m Rule,
    /// As the rule sees it: made of one that was checked, and perhaps larger than a message may be.
    message: &'m [u8],
    matcher: Matcher,
}

impl Alone<'_> {
    fn compile(&self, condition: &Condition) -> Catalogue {
        let rule = Rule {
            enabled: true,
            when: condition.clone(),
            requires: Vec::new(),
            continue_from: None,
            ..self.rule.clone()
        };
        Catalogue::compile(vec![rule])
    }

    fn holds(&mut self, condition: &Condition) -> bool {
        let mut matches = Matches::new();
        self.matcher.matches_trusted(&self.compile(condition), self.message, &mut matches);
        !matches.is_empty()
    }

    fn outcome(&mut self, condition: &ExpressionCondition) -> String {
        let catalogue = self.compile(&Condition::Expression(condition.clone()));
        self.matcher.matches_trusted(&catalogue, self.message, &mut Matches::new());
        let (paths, tape) = (&catalogue.base.root.program.paths, self.matcher.tape());
        let scope = MessageScope::new(paths, tape, self.message);
        outcome(condition.expression.evaluate(&scope))
    }

    /// Recursion: bounded by the nesting of the rule's text.
    fn condition(&mut self, condition: &Condition, depth: usize, out: &mut Vec<Explained>) {
        let holds = self.holds(condition);
        let (word, members) = match condition {
            Condition::All(members) => ("all of", members),
            Condition::Any(members) => ("any of", members),
            Condition::None(members) => ("none of", members),
            Condition::Predicate(predicate) => {
                let catalogue = self.compile(condition);
                self.matcher.matches_trusted(&catalogue, self.message, &mut Matches::new());
                let paths = &catalogue.base.root.program.paths;
                let seen = seen(self.matcher.tape(), paths, self.message, predicate);
                let (text, span) = (describe(predicate), Some(predicate.span));
                out.push(Explained { depth, text, seen, outcome: None, holds, span });
                return;
            }
            Condition::Expression(condition) => {
                out.push(Explained {
                    depth,
                    text: format!("${{ {} }}", condition.expression.source().trim()),
                    seen: Vec::new(),
                    outcome: Some(self.outcome(condition)),
                    holds,
                    span: Some(condition.span),
                });
                return;
            }
        };
        let (text, seen) = (word.to_owned(), Vec::new());
        out.push(Explained { depth, text, seen, outcome: None, holds, span: None });
        for member in members {
            self.condition(member, depth + 1, out);
        }
    }
}

/// What an expression comes to.
fn outcome(value: Result<expr::Value, expr::EvalError>) -> String {
    match value {
        Ok(expr::Value::Bool(value)) => value.to_string(),
        Ok(other) => format!("{}, neither true nor false", other.kind_name()),
        Err(error) => format!("an error: {error}"),
    }
}

/// What a field holds, as JSON.
fn seen(tape: &Tape, paths: &Paths, message: &[u8], predicate: &Predicate) -> Vec<String> {
    let Some(path) = paths.find(&predicate.field) else { return Vec::new() };
    let show = |bytes: &[u8]| shorten(&String::from_utf8_lossy(bytes));
    let cells = tape.cells_of(path).take(SEEN_MAX).map(|cell| match cell.kind {
        CellKind::Null => "null".to_owned(),
        CellKind::Bool(value) => value.to_string(),
        CellKind::Number => show(tape.text(message, cell)),
        CellKind::Text | CellKind::Unescaped => format!("{:?}", show(tape.text(message, cell))),
        CellKind::Object => "an object".to_owned(),
        CellKind::Array => "an array".to_owned(),
    });
    let mut seen: Vec<String> = cells.collect();
    let more = tape.cells_of(path).count() - seen.len();
    if more > 0 {
        seen.push(format!("{more} more"));
    }
    seen
}

fn shorten(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(SEEN_CHARACTERS_MAX).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short
}

/// A condition in words: `items.quantity greater_than 1, of all`.
pub(crate) fn describe(predicate: &Predicate) -> String {
    let mut text = format!("{} {}", predicate.field, predicate.operator.name());
    let value = operand(&predicate.operator);
    if !value.is_empty() {
        write!(text, " {value}").expect("a String takes all");
    }
    text.push_str(match predicate.quantifier {
        Quantifier::Any => "",
        Quantifier::All => ", of all",
        Quantifier::None => ", of none",
    });
    text
}

fn operand(operator: &Operator) -> String {
    let list = |values: &[Value]| {
        let values: Vec<String> = values.iter().map(constant).collect();
        format!("[{}]", values.join(", "))
    };
    match operator {
        Operator::Exists | Operator::NotExists => String::new(),
        Operator::Equals(value) | Operator::NotEquals(value) | Operator::Contains(value) => {
            constant(value)
        }
        Operator::In(values) | Operator::NotIn(values) => list(values),
        Operator::Greater(at)
        | Operator::GreaterOrEqual(at)
        | Operator::Less(at)
        | Operator::LessOrEqual(at) => bound(at),
        Operator::InRange { low, high } => {
            let end = |end: &Option<End>, included: &str, excluded: &str| {
                end.as_ref().map(|End { bound: at, included: is_included }| {
                    format!("{} {}", if *is_included { included } else { excluded }, bound(at))
                })
            };
            let ends = [end(low, ">=", ">"), end(high, "<=", "<")];
            ends.into_iter().flatten().collect::<Vec<_>>().join(" and ")
        }
        Operator::StartsWith(text)
        | Operator::EndsWith(text)
        | Operator::EqualsIgnoreCase(Folded::Ascii(text)) => format!("{text:?}"),
        Operator::Wildcard(wildcard) => format!("{:?}", wildcard.to_string()),
        Operator::Regex(pattern) | Operator::EqualsIgnoreCase(Folded::Unicode(pattern)) => {
            format!("{:?}", pattern.as_str())
        }
        Operator::Cidr(networks) => {
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            networks.join(", ")
        }
    }
}

fn constant(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => String::from_utf8_lossy(number.number().text).into_owned(),
        Value::Text(text) => format!("{:?}", shorten(text)),
    }
}

fn bound(bound: &Bound) -> String {
    match bound {
        Bound::Number(number) => String::from_utf8_lossy(number.number().text).into_owned(),
        Bound::Text(text) => format!("{:?}", shorten(text)),
    }
}

#[cfg(test)]
mod tests;

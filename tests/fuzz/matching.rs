//! Messages and rules from bytes that anybody may send, against the judges of src/rules: they are
//! the same files that its own tests use.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each fuzz target calls one of the bodies; what the judges take for granted is a test's to break"
)]

use chance::Prng;
use json::Judgement;
use naive::Condition;
use random::quoted;
use rules::{BadMessage, Catalogue, Matcher, Matches, Rule, parse};
use std::cell::RefCell;
use tree::Tree;
use world::World;

#[path = "../../src/rules/oracle/chains.rs"]
mod chains;
#[path = "chance.rs"]
pub(crate) mod chance;
#[path = "../../src/rules/oracle/formula.rs"]
mod formula;
#[path = "../../src/rules/oracle/json.rs"]
mod json;
#[path = "../../src/rules/oracle/naive.rs"]
mod naive;
#[path = "../../src/rules/oracle/random.rs"]
pub(crate) mod random;
#[path = "../../src/rules/oracle/texts.rs"]
pub(crate) mod texts;
#[path = "../../src/rules/oracle/tree.rs"]
mod tree;
#[path = "../../src/rules/oracle/world.rs"]
mod world;

/// The fields that rules ask for while bytes are read as a message.
/// An index asks for no key that the others do not.
const FIELDS: [&str; 9] = [
    "a",
    "b.c",
    "é",
    "a.b.c",
    r"x\.y",
    "a key of more than sixteen bytes.d",
    "a[0]",
    "a[1].b.c",
    "b.c[0][1]",
];

/// Values of a field that rules are made of: the first ones.
const VALUES_MAX: usize = 4;

thread_local! {
    /// One for all inputs, so that what one message leaves behind would show in the next.
    static SCANNER: RefCell<Scanner> = RefCell::new(Scanner::new());
}

struct Scanner {
    catalogue: Catalogue,
    /// The keys that lead to each field.
    fields: Vec<Vec<String>>,
    matcher: Matcher,
    keeps_digits: bool,
}

impl Scanner {
    fn new() -> Self {
        let rules = FIELDS.map(|field| rule(field, "exists", None)).join(",");
        let keys = |field: &str| {
            let keys = field.replace("\\.", "\u{1}");
            let keys = keys.split('.').map(|key| key.split('[').next().unwrap_or_default());
            keys.map(|key| key.replace('\u{1}', ".")).collect()
        };
        Self {
            catalogue: Catalogue::compile(world::read(&format!("[{rules}]"))),
            fields: FIELDS.map(keys).to_vec(),
            matcher: Matcher::new(),
            // Its feature `arbitrary_precision`: cargo-fuzz has it, the workspace's tests do not.
            keeps_digits: serde_json::from_str::<serde_json::Value>("1e999").is_ok(),
        }
    }

    fn check(&mut self, data: &[u8]) {
        let mut found = Matches::new();
        let answer = self.matcher.matches(&self.catalogue, data, &mut found);
        let judgement = Judgement::of(data, &self.fields);
        assert!(judgement.allows(&answer), "{answer:?}, {judgement:?}");
        self.check_judge(data, &judgement);
        if let Judgement::Accepted(message) = judgement {
            let is_there = |field: &&&str| {
                Condition::of(&Tree::parse(&condition(field, "exists", None))).holds(&message)
            };
            let expected: Vec<&str> = FIELDS.iter().filter(is_there).copied().collect();
            let there = |found: &Matches| -> Vec<&str> {
                let mut there: Vec<usize> =
                    found.iter().map(|at| position(&self.catalogue.rule(*at).id)).collect();
                there.sort_unstable();
                there.into_iter().map(|at| FIELDS[at]).collect()
            };
            assert_eq!(there(&found), expected, "the fields that are there are found");
            self.matcher.matches_trusted(&self.catalogue, data, &mut found);
            assert_eq!(there(&found), expected, "also by who does not check the message");
            self.check_values(data, &message);
        }
    }

    /// The judge asks serde_json for raw texts: what it says of values is held against that.
    fn check_judge(&self, data: &[u8], judgement: &Judgement) {
        match (serde_json::from_slice::<serde_json::Value>(data), judgement) {
            (Ok(value), Judgement::Refused) => assert!(!value.is_object(), "it is valid"),
            // It cannot know of keys that rules ask for.
            (Ok(_), _) | (Err(_), Judgement::Refused | Judgement::Excepted(_)) => {}
            (Err(error), Judgement::Accepted(_)) => {
                let said = error.to_string();
                let is_one_level_less = said.starts_with("recursion limit exceeded");
                let is_too_large = said.starts_with("number out of range");
                // A name that it uses within itself.
                let is_its_own = data.windows(12).any(|bytes| bytes == b"$serde_json:");
                assert!(
                    is_one_level_less || (is_too_large && !self.keeps_digits) || is_its_own,
                    "serde_json refuses it: {said}"
                );
            }
        }
    }

    /// Each value that a rule asks for is what it is: rules made of the message's own values hold
    /// or do not hold as the naive evaluator says.
    fn check_values(&mut self, data: &[u8], message: &Tree) {
        let mut all = Vec::new();
        for (field, keys) in FIELDS.iter().zip(&self.fields) {
            let mut values = Vec::new();
            values_of(message, keys, &mut values);
            for value in values {
                all.extend(conditions(field, value));
            }
        }
        if all.is_empty() {
            return;
        }
        let texts: Vec<String> =
            all.iter().enumerate().map(|(at, condition)| with_id(at, condition)).collect();
        let catalogue = Catalogue::compile(world::read(&format!("[{}]", texts.join(","))));
        let mut found = Matches::new();
        self.matcher.matches(&catalogue, data, &mut found).expect("was accepted before");
        let mut trusted = Matches::new();
        self.matcher.matches_trusted(&catalogue, data, &mut trusted);
        assert_eq!(trusted, found, "the same without checking");
        let found: Vec<&str> = found.iter().map(|at| &*catalogue.rule(*at).id).collect();
        for (at, condition) in all.iter().enumerate() {
            let expected = Condition::of(&Tree::parse(condition)).holds(message);
            let holds = found.contains(&&*format!("r{at}"));
            assert_eq!(holds, expected, "{condition}");
        }
    }
}

fn condition(field: &str, operator: &str, value: Option<&str>) -> String {
    let value = value.map(|value| format!(",\"value\":{value}")).unwrap_or_default();
    format!("[{{\"field\":{},\"op\":\"{operator}\"{value}}}]", quoted(field))
}

fn with_id(at: usize, conditions: &str) -> String {
    format!("{{\"id\":\"r{at}\",\"conditions\":{conditions},\"actions\":[{{\"workflow\":\"w\"}}]}}")
}

/// A rule of one condition, named after its field.
fn rule(field: &str, operator: &str, value: Option<&str>) -> String {
    let at = FIELDS.iter().position(|other| *other == field).unwrap_or_default();
    with_id(at, &condition(field, operator, value))
}

/// Conditions about a field that tell one of its values from others.
fn conditions(field: &str, value: &Tree) -> Vec<String> {
    let (text, operators): (String, &[&str]) = match value {
        Tree::Null => ("null".to_owned(), &["equals", "not_equals", "contains"]),
        Tree::Bool(value) => (value.to_string(), &["equals", "not_equals", "contains"]),
        Tree::Number(number) => (
            number.clone(),
            &["equals", "not_equals", "contains", "greater_than", "less_than", "greater_or_equal"],
        ),
        Tree::Text(text) => (
            quoted(text),
            &["equals", "not_equals", "contains", "starts_with", "ends_with", "less_or_equal"],
        ),
        Tree::Array(_) | Tree::Object(_) => return Vec::new(),
    };
    let one = operators.iter().map(|operator| condition(field, operator, Some(&text)));
    let many = ["in", "not_in"];
    let many = many.map(|operator| condition(field, operator, Some(&format!("[{text}]"))));
    one.chain(many).collect()
}

/// The first values at the end of a path; arrays are entered.
fn values_of<'m>(at: &'m Tree, keys: &[String], out: &mut Vec<&'m Tree>) {
    if let Some(elements) = at.elements() {
        for element in elements {
            values_of(element, keys, out);
        }
        return;
    }
    match keys.split_first() {
        None if out.len() < VALUES_MAX => out.push(at),
        None => {}
        Some((key, rest)) => {
            if let Some(value) = at.get(key) {
                values_of(value, rest, out);
            }
        }
    }
}

/// Which of the fields a rule is named after.
fn position(id: &str) -> usize {
    id[1..].parse().unwrap()
}

/// Bytes as a message: taken or refused as the judge says, and each value that rules ask for is
/// what the judge reads.
pub(crate) fn scanner(data: &[u8]) {
    SCANNER.with_borrow_mut(|scanner| scanner.check(data));
}

/// Bytes that choose rules, messages and changes of the catalogue: what matches is what the naive
/// evaluator says, in its order.
pub(crate) fn matcher(data: &[u8]) {
    /// More than are filed together under one key.
    const RULES_MAX: u8 = 24;
    let Some((count, rest)) = data.split_first() else { return };
    let mut world = World::new(Prng::new(rest));
    world.compile(1 + u64::from(count % RULES_MAX));
    for _ in 0..4 {
        world.meet();
        world.change();
        world.meet();
    }
}

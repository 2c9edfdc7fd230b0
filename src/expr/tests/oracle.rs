//! Ours against another implementation of CEL: the same expressions over the same data.
//!
//! Where the two differ, the expression is taken apart until there is one operation whose operands
//! they agree on and whose result they do not. Either a rule knows this very operation on these
//! operands, as a departure that the front page of this crate tells of or as a fault of the oracle,
//! or the test fails.

mod engines;
mod phrase;
mod rules;
mod sample;

use engines::{Binding, Said, ours, ours_as_json, theirs};
use phrase::{Form, Phrase};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rules::{Operation, RULES, Rule, Why};
use sample::Sample;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// As many as take about two seconds. `PROPTEST_CASES` asks for more.
const CASES_MIN: u32 = 2_000;

/// How many numbers one sample is made of at most: enough for the data and a screen of expression.
const CHOICES_MAX: usize = 400;

/// How the samples were compared.
#[derive(Debug, Default)]
struct Tally {
    samples: usize,
    /// Both came to a value, the same.
    values: usize,
    /// Both failed.
    failures: usize,
    /// How many needed each rule.
    ruled: BTreeMap<&'static str, usize>,
    /// How many needed any.
    excused: usize,
}

#[test]
fn ours_and_another_engine_agree_but_for_what_the_front_page_tells() {
    let usual = ProptestConfig::default();
    let config =
        ProptestConfig { cases: usual.cases.max(CASES_MIN), failure_persistence: None, ..usual };
    let tally = RefCell::new(Tally::default());
    let result = TestRunner::new(config).run(&choices(), |choices| {
        let sample = Sample::from_choices(&choices);
        let rules = compare(&sample).map_err(TestCaseError::fail)?;
        tally.borrow_mut().count(&sample, &rules);
        Ok(())
    });
    let tally = tally.into_inner();
    println!("{tally:#?}");
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(tally.excused * 10 < tally.samples, "most are compared without any rule: {tally:?}");
    assert!(tally.values * 2 > tally.samples, "most come to a value: {tally:?}");
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..CHOICES_MAX)
}

/// Expressions that mostly come to a value, and the names in them.
pub(super) fn samples() -> impl Strategy<Value = (String, Vec<(String, crate::Value)>)> {
    choices().prop_map(|choices| {
        let sample = Sample::from_choices(&choices);
        let names = sample.names.into_iter().map(|known| (known.name, known.ours)).collect();
        (sample.phrase.text(), names)
    })
}

impl Tally {
    fn count(&mut self, sample: &Sample, rules: &[&'static Rule]) {
        self.samples += 1;
        if rules.is_empty() {
            match ours(&sample.phrase.text(), &sample.names) {
                Ok(_) => self.values += 1,
                Err(_) => self.failures += 1,
            }
        } else {
            self.excused += 1;
        }
        let mut names: Vec<_> = rules.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            *self.ruled.entry(name).or_default() += 1;
        }
    }
}

/// The rules that were needed; else what no rule knows.
fn compare(sample: &Sample) -> Result<Vec<&'static Rule>, String> {
    let text = sample.phrase.text();
    let inside = ours(&text, &sample.names);
    let outside = ours_as_json(&text, &sample.names);
    let settled = inside.clone().map(|value| {
        crate::transient::settle(std::borrow::Cow::Owned(value)).unwrap().into_owned()
    });
    if settled != outside {
        return Err(format!("`{text}`: inside {inside:?}, outside {outside:?}"));
    }
    blame(&sample.phrase, &sample.names).map_err(|what| {
        let names: Vec<_> = sample
            .names
            .iter()
            .filter(|known| text.contains(&known.name))
            .map(|known| format!("{} = {}", known.name, known.ours.to_json()))
            .collect();
        format!("{what}\nin `{text}`\nwhere {}", names.join(", "))
    })
}

/// Finds the operations that the engines differ on and the rules that know them.
fn blame(phrase: &Phrase, names: &[Binding]) -> Result<Vec<&'static Rule>, String> {
    let text = phrase.text();
    let (our_result, their_result) = (ours(&text, names), theirs(&text, names));
    let (our_said, their_said) = (Said::ours(&our_result), Said::theirs(&their_result));
    if our_said.is(&their_said) {
        return Ok(Vec::new());
    }
    let mut rules = Vec::new();
    let mut operands = Vec::new();
    let outside = if matches!(phrase.form, Form::Macro { .. }) { 1 } else { phrase.parts.len() };
    for part in &phrase.parts[..outside] {
        rules.extend(blame(part, names)?);
        operands.push(Said::theirs(&theirs(&part.text(), names)));
    }
    if let Form::Macro { variable, .. } = &phrase.form
        && rules.is_empty()
    {
        for names in each_element(&phrase.parts[0], names) {
            let own = names.last().expect("the element has a name").name.clone();
            for body in &phrase.parts[1..] {
                rules.extend(blame(&body.renamed(variable, &own), &names)?);
            }
        }
    }
    if !rules.is_empty() {
        return Ok(rules);
    }
    let operation = Operation { form: &phrase.form, operands, ours: our_said, theirs: their_said };
    match RULES.iter().find(|rule| (rule.knows)(&operation)) {
        Some(rule) => Ok(vec![rule]),
        None => Err(format!(
            "`{text}` of {:?} is {our_result:?} here and {their_result:?} there",
            operation.operands
        )),
    }
}

/// The names that each run of a macro's body knows: the last is its variable, under a name that no
/// other has.
fn each_element(range: &Phrase, names: &[Binding]) -> Vec<Vec<Binding>> {
    let text = range.text();
    let (Ok(ours), Ok(theirs)) = (ours(&text, names), theirs(&text, names)) else {
        return Vec::new();
    };
    let name = format!("variable{}", names.len());
    let elements: Vec<(crate::Value, cel::Value)> = match (&ours, &theirs) {
        (crate::Value::List(ours), cel::Value::List(theirs)) => {
            ours.iter().cloned().zip(theirs.iter().cloned()).collect()
        }
        (crate::Value::Map(map), _) => map
            .iter()
            .map(|(key, _)| (crate::Value::Text(key.clone()), cel::Value::from(&**key)))
            .collect(),
        _ => Vec::new(),
    };
    elements
        .into_iter()
        .map(|(ours, theirs)| {
            let element = Binding { name: name.clone(), ours, theirs };
            names.iter().cloned().chain([element]).collect()
        })
        .collect()
}

#[test]
fn every_departure_that_a_rule_knows_is_told_on_the_front_page() {
    let page = super::front_page();
    for rule in RULES {
        match rule.why {
            Why::Departure(told) => assert!(page.contains(told), "{}: {told}", rule.name),
            Why::Fault(source) => assert!(!source.is_empty(), "{}", rule.name),
        }
    }
}

#[test]
fn every_rule_has_an_example_that_the_engines_differ_on() {
    for rule in RULES {
        let ours = Said::ours(&ours(rule.example, &[]));
        let theirs = Said::theirs(&theirs(rule.example, &[]));
        assert!(!ours.is(&theirs), "{}: both say {ours:?}", rule.name);
    }
}

#[test]
fn the_samples_have_every_operator_macro_and_function() {
    // `max` and `min` are of ours alone.
    let ours_alone = ["max", "min"];
    let operators = ["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"];
    let macros = ["all", "exists", "exists_one", "filter", "map"];
    let mut wanted: BTreeSet<String> = ["?".to_owned(), "!".to_owned(), "has(".to_owned()].into();
    wanted.extend(operators.map(|operator| format!(" {operator} ")));
    wanted.extend(macros.map(|name| format!(".{name}(")));
    for method in [false, true] {
        let names = crate::functions::names(method).filter(|name| !ours_alone.contains(name));
        wanted.extend(names.map(|name| format!("{}{name}(", if method { "." } else { "" })));
    }
    let mut runner = TestRunner::deterministic();
    let choices = prop::collection::vec(any::<u16>(), CHOICES_MAX);
    for _ in 0..CASES_MIN {
        let choices = choices.new_tree(&mut runner).unwrap().current();
        let text = Sample::from_choices(&choices).phrase.text();
        wanted.retain(|piece| !text.contains(piece.as_str()));
    }
    assert!(wanted.is_empty(), "no sample has {wanted:?}");
}

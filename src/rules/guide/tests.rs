//! docs/RULES.md is held to the code: its rules are read, their tests run, its tables compared.

use crate::{
    ACTIONS_MAX, CHAIN_RULES_MAX, ENRICH_BYTES_MAX, ENRICH_FIELDS_MAX, Findings, OPERATORS,
    REQUIRES_MAX, STARTS_STEPS_MAX, lint, parse,
};
use base::limits::{KEY_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, NESTING_MAX};
use document::Source;
use expr::limits::STEPS_MAX;

const GUIDE: &str = include_str!("../../../docs/RULES.md");

fn blocks() -> impl Iterator<Item = &'static str> {
    let ends = |rest: &'static str| rest.split_once("```").expect("the block has an end").0;
    GUIDE.split("```yaml\n").skip(1).map(ends)
}

#[test]
fn every_rule_of_the_guide_is_read_without_a_doubt_and_its_tests_pass() {
    assert!(blocks().count() >= 4, "the guide has its examples");
    for text in blocks() {
        let source = Source { name: "docs/RULES.md", text };
        let rules = parse(source).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        let Findings { faults, doubts, .. } = lint(&[(source, &rules)]);
        let warnings: Vec<String> = faults.iter().chain(&doubts).map(ToString::to_string).collect();
        assert!(warnings.is_empty(), "{}", warnings.join("\n"));
    }
}

#[test]
fn every_operator_stands_in_the_guide() {
    for operator in OPERATORS {
        let is_there = GUIDE.lines().any(|line| {
            let first = line.strip_prefix("| `").and_then(|rest| rest.split(" | ").next());
            first.is_some_and(|names| names.replace('`', "").split(", ").any(|n| n == operator))
        });
        assert!(is_there, "{operator}");
    }
}

#[test]
fn the_fault_that_the_guide_shows_is_the_one_that_is_said() {
    let text = "rules:
  - id: large-payment
    conditions:
      - { field: event_type, op: equal, value: payment_received }
    actions:
      - workflow: fraud_check
";
    let said = parse(Source { name: "pay.yaml", text }).unwrap_err().to_string();
    assert!(GUIDE.contains(&format!("```text\n{said}\n```")), "{said}");
}

#[test]
fn the_bounds_that_the_guide_names_are_those_of_the_code() {
    let shared = crate::program::SHARED_MAX;
    let pattern = crate::pattern::PATTERN_BYTES_MAX / 1024;
    let enrich = ENRICH_BYTES_MAX / 1024;
    let steps = |steps: u32| {
        let (thousands, rest) = (steps / 1_000, steps % 1_000);
        match (thousands / 1_000, thousands % 1_000) {
            (0, thousands) => format!("{thousands},{rest:03}"),
            (millions, thousands) => format!("{millions},{thousands:03},{rest:03}"),
        }
    };
    let bounds = [
        format!("| `id` | 1 to {NAME_BYTES_MAX} of"),
        format!("at most {} KiB, nested at most {NESTING_MAX} deep", MESSAGE_BYTES_MAX / 1024),
        format!("| actions of a rule | {ACTIONS_MAX} |"),
        format!("| rules that one `requires` | {REQUIRES_MAX} |"),
        format!("| rules in a row, each needing the next | {CHAIN_RULES_MAX} |"),
        format!("| fields of one `enrich` | {ENRICH_FIELDS_MAX}, and {enrich} KiB |"),
        format!("| steps of one expression, `params` or `transform` | {} |", steps(STEPS_MAX)),
        format!("| steps of all that one message starts | {} |", steps(STARTS_STEPS_MAX)),
        format!("one message starts shares {} steps", steps(STARTS_STEPS_MAX)),
        format!("text, a number, or true or false, 1 to {KEY_BYTES_MAX} bytes"),
        format!("| conditions of one group that ask about the same first key | {shared} |"),
        format!("| keys and indexes of a field path | {} |", crate::path::KEYS_MAX),
        format!(
            "| indexes of a field path, and the largest | {}, and {},{} |",
            crate::path::INDEXES_MAX,
            crate::path::INDEX_MAX / 1_000,
            crate::path::INDEX_MAX % 1_000
        ),
        format!("| a pattern | {pattern} KiB, and"),
        format!("| nesting of a file | {NESTING_MAX} |"),
        format!("| faults that are told at once | {} |", document::FAULTS_MAX),
    ];
    for bound in bounds {
        assert!(GUIDE.contains(&bound), "{bound}");
    }
}

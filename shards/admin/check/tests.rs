use super::*;
use crate::tests::{directory, text};

const RULES: &str = "
rules:
  - id: large
    priority: 100
    conditions:
      - { field: amount, op: greater_than, value: 1000 }
    actions: [{ workflow: fraud_check }]
    tests:
      - { message: { amount: 5000 }, fires: true }
  - id: any-payment
    priority: 5
    conditions:
      - { field: event_type, op: equals, value: payment }
    actions: [{ workflow: audit }, { workflow: score }]
";

fn asked(paths: &[PathBuf], json: bool) -> Asked<'_> {
    Asked { paths, plugins: &[], strict: false, json }
}

#[test]
fn a_rule_file_is_checked_with_its_tests() {
    let failing = RULES.replace("fires: true", "fires: false");
    let directory = directory(&[("good.yaml", RULES), ("failing.yaml", &failing)]);
    let good = vec![directory.path().join("good.yaml")];
    let (outcome, out) = text(|out| check::<Rule>(&asked(&good, false), out));
    assert_eq!(outcome, Ok(()));
    assert!(out.ends_with("good.yaml: 2 rules, 1 of 1 test passed\n"), "{out}");

    let failing = vec![directory.path().join("failing.yaml")];
    let (outcome, out) = text(|out| check::<Rule>(&asked(&failing, false), out));
    assert_eq!(outcome, Err(String::new()));
    assert!(out.contains("should not fire and does"), "{out}");
    assert!(out.ends_with("failing.yaml: 2 rules, 0 of 1 test passed\n"), "{out}");
}

#[test]
fn a_test_whose_rule_needs_one_that_is_nowhere_has_not_passed() {
    let chained = RULES.replace("    priority: 100\n", "    requires: [elsewhere]\n");
    let directory = directory(&[("chained.yaml", &chained)]);
    let file = directory.path().join("chained.yaml");
    let (outcome, out) = text(|out| check::<Rule>(&asked(std::slice::from_ref(&file), false), out));
    assert_eq!(outcome, Ok(()), "a node may have that rule");
    assert!(out.contains("2 rules, 0 of 1 test passed, 1 could not run, 1 warning"), "{out}");
    let (_, out) = text(|out| crate::matching::test(&file, None, true, out));
    assert_eq!(out, "{\"passed\":0,\"failed\":[],\"not_run\":1}\n");
}

#[test]
fn a_rule_id_in_two_files_is_a_warning() {
    let directory = directory(&[("a.yaml", RULES), ("b.yaml", RULES)]);
    let files: Vec<_> = ["a.yaml", "b.yaml"].map(|name| directory.path().join(name)).to_vec();
    let (outcome, out) = text(|out| check::<Rule>(&asked(&files, true), out));
    assert_eq!(outcome, Ok(()));
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["files"][0]["warnings"], json!([]));
    let what = value["files"][1]["warnings"][0]["what"].as_str().unwrap();
    assert!(
        what.starts_with("the rule id `large` is in ") && what.ends_with("a.yaml too"),
        "{what}"
    );
    assert_eq!(value["files"][1]["ids"], json!(["large", "any-payment"]));
}

#[test]
fn definitions_are_checked_with_the_place_of_every_fault() {
    let good =
        "workflow: { id: w, version: 3, tasks: [{ id: a, type: log, with: { message: x } }] }";
    let bad = "workflow:\n  id: w\n  tasks:\n    - { id: a, type: logg }\n";
    let directory = directory(&[("good.yaml", good), ("bad.yaml", bad)]);
    let path = |name: &str| vec![directory.path().join(name)];
    let (outcome, out) =
        text(|out| check::<flow::Definition>(&asked(&path("good.yaml"), false), out));
    assert_eq!(outcome, Ok(()), "{out}");
    assert!(out.ends_with("good.yaml: 1 workflow: w version 3 with 1 task\n"), "{out}");
    let (outcome, out) =
        text(|out| check::<flow::Definition>(&asked(&path("bad.yaml"), false), out));
    assert!(outcome.is_err());
    assert!(out.contains("bad.yaml:4:") && out.contains("logg"), "{out}");
}

#[test]
fn an_id_that_is_twice_in_one_folder_is_a_fault() {
    let directory = directory(&[("a.yaml", RULES), ("b.yaml", RULES)]);
    let folder = [directory.path().to_owned()];
    let (outcome, out) = text(|out| check::<Rule>(&asked(&folder, false), out));
    assert!(outcome.is_err());
    assert!(out.contains("b.yaml:3:5: the rule id `large` is in "), "{out}");
    assert!(out.ends_with("b.yaml: 2 faults\n"), "{out}");
}

#[test]
fn strict_makes_a_doubt_a_failure_and_nothing_else() {
    let doubtful = "- id: x\n  conditions: [{ field: a, op: equals, value: \"5\" }]\n  \
                    actions: [{ workflow: w }]\n";
    let directory =
        directory(&[("good.yaml", RULES), ("doubtful.yaml", doubtful), ("bad.yaml", "rules: 5")]);
    let rows = [
        ("good.yaml", "done", "done"),
        ("doubtful.yaml", "done", "doubt"),
        ("bad.yaml", "fault", "fault"),
    ];
    for (file, expected, expected_strictly) in rows {
        for (strict, expected) in [(false, expected), (true, expected_strictly)] {
            let paths = [directory.path().join(file)];
            let outcome = check::<Rule>(
                &Asked { paths: &paths, plugins: &[], strict, json: false },
                &mut Vec::new(),
            );
            let outcome = match outcome {
                Ok(()) => "done",
                Err(Trouble::Doubt) => "doubt",
                Err(Trouble::Input(None)) => "fault",
                other => panic!("{other:?}"),
            };
            assert_eq!(outcome, expected, "{file}, strict: {strict}");
        }
    }
}

#[test]
fn a_workflow_names_plugins_that_are_taken_to_be_there() {
    let workflow = "id: w\ntasks: [{ id: a, type: payment_validator, config: { limit: 3 } }]\n";
    let directory = directory(&[("w.yaml", workflow)]);
    let paths = vec![directory.path().join("w.yaml")];
    let known = ["payment_validator".to_owned()];
    let of = |plugins| Asked { plugins, ..asked(&paths, false) };
    let (outcome, out) = text(|out| check::<flow::Definition>(&of(&known), out));
    assert_eq!(outcome, Ok(()), "{out}");
    let (outcome, out) = text(|out| check::<flow::Definition>(&of(&[]), out));
    assert_eq!(outcome, Err(String::new()));
    assert!(out.contains("no plugin of that name is known"), "{out}");
    assert!(out.contains("; where it is a plugin's, say so: --plugins NAME,…"), "{out}");
}

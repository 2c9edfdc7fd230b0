//! What is kept of a message while it is held against one rule after the other.

use super::{matched, rules};
use crate::catalogue::Catalogue;
use crate::matcher::Matcher;
use crate::program::Step;

/// Rules that the same value leads to, whatever else they ask for; one condition and two expressions are asked by two.
const RULES: &str = "
- id: r1
  conditions: [{field: k, op: equals, value: 1}, {field: a, op: greater_than, value: 5, quantifier: none}]
  actions: [{workflow: w}]
- id: r2
  conditions: [{field: k, op: equals, value: 1}, {field: a, op: greater_than, value: 5, quantifier: none}, {field: b, op: exists}]
  actions: [{workflow: w}]
- id: r3
  conditions: [{field: k, op: equals, value: 1}, {field: c, op: less_than, value: 5}]
  actions: [{workflow: w}]
- id: r4
  conditions: [{field: k, op: equals, value: 1}, {expr: '${ msg.d < 5 }'}, {expr: '${ msg.e < 5 }'}]
  actions: [{workflow: w}]
- id: r5
  conditions: [{field: k, op: equals, value: 1}, {expr: '${ msg.d < 5 }'}, {expr: '${ msg.e < 5 }'}, {field: b, op: exists}]
  actions: [{workflow: w}]
";

/// Where the verdict of the condition on a field is kept, and whether several rules ask for it.
fn place(catalogue: &Catalogue, field: &str) -> (usize, bool) {
    let program = &catalogue.base.root.program;
    let path = program.paths.find(&crate::FieldPath::parse(field).unwrap()).unwrap();
    let atoms = program.steps.iter().filter_map(|step| match step {
        Step::Atom(atom) => Some(*atom),
        _ => None,
    });
    let mut of_field = atoms.filter(|atom| program.atoms[atom.index()].path == path);
    let atom = of_field.next().unwrap();
    (atom.index(), program.is_repeated(atom))
}

#[test]
fn a_condition_that_several_rules_ask_for_is_evaluated_once_for_a_message() {
    let catalogue = Catalogue::compile(rules(RULES));
    let mut matcher = Matcher::new();
    let ((shared, is_shared), (own, is_shared_too)) =
        (place(&catalogue, "a"), place(&catalogue, "c"));
    assert!(is_shared && !is_shared_too);
    let expression = catalogue.base.root.program.atoms.len();
    // (message, rules, whether the condition holds, whether the second expression does)
    let rows: [(&str, &[&str], bool, bool); 3] = [
        (r#"{"k":1,"a":3,"b":1,"c":9,"d":3,"e":9}"#, &["r1", "r2"], true, false),
        (r#"{"k":1,"a":9,"b":1,"c":3,"d":3,"e":3}"#, &["r3", "r4", "r5"], false, true),
        (r#"{"k":1,"a":3,"b":1,"c":3,"d":3,"e":3}"#, &["r1", "r2", "r3", "r4", "r5"], true, true),
    ];
    for (message, expected, holds, is_true) in rows {
        assert_eq!(matched(&catalogue, &mut matcher, message), expected, "{message}");
        let kept = |verdict: bool| matcher.number << 1 | u64::from(verdict);
        let verdicts = &matcher.base.verdicts;
        assert_eq!(verdicts[shared], kept(holds), "{message}");
        assert_eq!(verdicts[expression], kept(true), "{message}");
        assert_eq!(verdicts[expression + 1], kept(is_true), "{message}");
        assert_eq!(verdicts[own], 0, "nobody else asks for it");
    }

    // What is known of a message is not looked at again, even were it wrong.
    let message = r#"{"k":1,"a":9,"b":1,"c":9,"d":9,"e":9}"#;
    for verdict in [true, false] {
        let next = matcher.number + 1;
        for place in [shared, expression, expression + 1] {
            matcher.base.verdicts[place] = next << 1 | u64::from(verdict);
        }
        let expected: &[&str] = if verdict { &["r1", "r2", "r4", "r5"] } else { &[] };
        assert_eq!(matched(&catalogue, &mut matcher, message), expected, "{verdict}");
    }
    assert!(matched(&catalogue, &mut matcher, message).is_empty(), "it is of no other message");
}

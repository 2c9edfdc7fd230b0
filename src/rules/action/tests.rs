//! What an action hands over.

use super::*;
use crate::parse;
use document::Source;

fn steps() -> Steps {
    Steps::new(10_000)
}

fn start(action: &str, message: &str) -> Result<String, String> {
    let text = format!(
        "{{id: r, conditions: [{{field: a, op: exists}}], actions: [{{workflow: w, {action}}}]}}"
    );
    let rules = parse(Source { name: "r", text: &text }).unwrap_or_else(|said| panic!("{said}"));
    let message = Value::parse_json(message.as_bytes()).unwrap();
    let started = rules[0].actions[0].start(&message, &mut steps());
    started
        .map(|Started { input, params, key }| {
            format!("{} {} {}", input.to_json(), params.to_json(), key.unwrap_or_default())
        })
        .map_err(|error| error.to_string())
}

#[test]
fn an_action_hands_over_what_its_expressions_give_or_says_where_they_fail() {
    let message = r#"{"a":1,"b":{"c":"x"},"secret":"hunter2"}"#;
    let rows = [
        ("retry: 1", Ok(format!("{message} {{}} "))),
        ("transform: { n: '${ msg.a }' }", Ok(r#"{"n":1} {} "#.to_owned())),
        ("transform: '${ msg.b }'", Ok(r#"{"c":"x"} {} "#.to_owned())),
        ("transform: { n: 5 }, key: k", Ok(r#"{"n":5} {} k"#.to_owned())),
        (
            "enrich: { b.d: '${ msg.a + 1 }' }, transform: '${ msg.b }', params: { d: '${ msg.b.d }' }, key: '${ msg.b.d }-x'",
            Ok(r#"{"c":"x","d":2} {"d":2} 2-x"#.to_owned()),
        ),
        // What fails in an enrichment is missing, and that is no failure of the action.
        ("enrich: { b: '${ msg.z }', secret: 1 }", Ok(r#"{"a":1,"secret":1} {} "#.to_owned())),
        ("key: '${ msg.a == 1 }'", Ok(format!("{message} {{}} true"))),
        ("key: '${ 1.5 }'", Ok(format!("{message} {{}} 1.5"))),
        ("transform: '${ msg.a }'", Err("`transform` gives int, a map was expected")),
        ("transform: { x: { y: '${ msg.z }' } }", Err("`transform.x.y`: there is no `msg.z`")),
        (
            "params: { l: [1, '${ msg.secret + 1 }'] }",
            Err("`params.l[1]`: `+` cannot take string and int"),
        ),
        ("key: '${ msg.z }'", Err("`key`: there is no `msg.z`")),
        (
            "key: '${ msg.b }'",
            Err("`key` gives map; a string, a number, true or false were expected"),
        ),
        ("key: \"${ msg.a == 1 ? '' : 'x' }\"", Err("`key` gives 0 bytes; 1 to 256 are allowed")),
    ];
    for (action, expected) in rows {
        assert_eq!(start(action, message), expected.map_err(str::to_owned), "{action}");
    }
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(257));
    let said = start("key: '${ msg.a }'", &long).unwrap_err();
    assert_eq!(said, "`key` gives 257 bytes; 1 to 256 are allowed");
}

#[test]
fn actions_that_share_steps_fail_where_these_end_and_say_so() {
    let text = "{id: r, conditions: [{field: a, op: exists}], actions: [
        {workflow: w, enrich: {b: '${ msg.a + 1 }'}, key: '${ msg.b }', transform: {n: '${ msg.b }'}},
        {workflow: w, params: {d: '${ msg.l.exists(x, msg.l.exists(y, x + y < 0)) }'}},
        {workflow: w, params: {p: 1}, retry: 1}]}";
    let rules = parse(Source { name: "r", text }).unwrap();
    let list: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let message = format!(r#"{{"a":1,"l":[{}]}}"#, list.join(","));
    let message = Value::parse_json(message.as_bytes()).unwrap();
    let start = |at: usize, steps: &mut Steps| rules[0].actions[at].start(&message, steps);
    let together = |steps_max| ActionError::Together(EvalError::TooManyStepsTogether { steps_max });

    // The first takes few, the second many.
    let mut steps = Steps::new(1_000);
    assert!(start(0, &mut steps).is_ok());
    assert!((900..1_000).contains(&steps.left()), "{}", steps.left());
    let error = start(1, &mut steps).unwrap_err();
    assert_eq!(error, together(1_000));
    assert_eq!(
        error.to_string(),
        "all that the message starts: the evaluations take more than 1000 steps together"
    );
    assert_eq!(start(0, &mut steps), Err(together(1_000)));
    assert_eq!(start(2, &mut steps), Err(together(1_000)));

    // Wherever the steps end, it is the same failure, and never half of what an action hands over.
    let mut whole = Steps::new(1_000);
    let expected = start(0, &mut whole);
    let taken = 1_000 - whole.left();
    for steps_max in 0..taken {
        assert_eq!(start(0, &mut Steps::new(steps_max)), Err(together(steps_max)), "{steps_max}");
    }
    assert_eq!(start(0, &mut Steps::new(taken)), expected);
}

#[test]
fn what_is_wrong_is_told_less_narrowly_when_no_steps_are_left_to_look_for_it() {
    let text = "{id: r, conditions: [{field: a, op: exists}], actions: [
        {workflow: w, params: {a: ['${ msg.l.exists(x, x < 0) }', '${ msg.z }']}}]}";
    let rules = parse(Source { name: "r", text }).unwrap();
    let message = Value::parse_json(br#"{"l":[1,2,3,4,5,6,7,8,9]}"#).unwrap();
    let start = |steps| rules[0].actions[0].start(&message, &mut Steps::new(steps)).unwrap_err();
    assert_eq!(start(1_000).to_string(), "`params.a[1]`: there is no `msg.z`");
    let mut fewest = 0;
    while matches!(start(fewest), ActionError::Together(_)) {
        fewest += 1;
    }
    assert_eq!(start(fewest).to_string(), "`params`: there is no `msg.z`");
}

//! What an action hands over.

use super::*;
use crate::parse;
use document::Source;

fn start(action: &str, message: &str) -> Result<String, String> {
    let text = format!(
        "{{id: r, conditions: [{{field: a, op: exists}}], actions: [{{workflow: w, {action}}}]}}"
    );
    let rules = parse(Source { name: "r", text: &text }).unwrap_or_else(|said| panic!("{said}"));
    let message = Value::parse_json(message.as_bytes()).unwrap();
    let started = rules[0].actions[0].start(&message);
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

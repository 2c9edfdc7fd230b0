use super::*;
use crate::files::Text;
use crate::{check, tests::directory};
use flow::Definition;
use serde_json::json;

/// What a node that knows no plugin says of files, as `apply` tells it.
fn told(files: &[(&str, &str)]) -> String {
    let folder = directory(files);
    let read = check::read::<Definition>(&[folder.path().to_owned()], true, flow::Plugins::Any);
    let files: Vec<Checked<Definition>> = read.unwrap();
    let sources: Vec<&str> =
        files.iter().flat_map(|file| &file.items).map(|item| item.source.as_str()).collect();
    let body = format!("{{\"workflows\":[{}]}}", sources.join(","));
    let text = Text { name: "body".into(), argument: 0, body: body.clone(), fault: None };
    let Err(found) = Definition::parse(&text, flow::Plugins::Known(&["greeter"])) else {
        panic!("a node takes it")
    };
    let listed = check::faults_json(&found.0);
    let refused = Refused::new(json!({ "detail": "so", "hint": "do it", "faults": listed }));
    let faults = faults(&refused, &body, &files).expect("each has its place");
    faults.to_string().replace(&folder.path().display().to_string(), "")
}

const ONE: &str = "\
workflow:
  id: one
  tasks:
    - id: first   # a comment
      type: naughty
      with: { ä: 1 }
";

const SEVERAL: &str = "\
workflows:
  - id: two
    tasks: [{ id: a, type: log, with: { message: hi } }]
  - { id: three, tasks: [{ id: a, type: greeter }, { id: b, type: greter }] }
";

#[test]
fn what_a_node_refuses_is_told_at_its_place_in_the_file() {
    let said = told(&[("one.yaml", ONE), ("several.yaml", SEVERAL)]);
    let expected = "\
/one.yaml:5:13: `naughty` is no built-in type, and no plugin of that name is known
  5 |       type: naughty
    |             ^
    = built in: transform, branch, fail, log, delay, http; plugins: greeter
/several.yaml:4:67: there is no type `greter`
  4 |   - { id: three, tasks: [{ id: a, type: greeter }, { id: b, type: greter }] }
    |                                                                   ^
    = did you mean `greeter`?";
    assert_eq!(said, expected);
}

#[test]
fn a_place_within_a_text_is_that_of_the_text_and_a_key_is_found_as_one() {
    let source = Source { name: "a", text: "{\"a\":[{\"key\":\"text\",\"b\":[1,2]}]}" };
    let tree = document::parse(source).unwrap();
    let other = document::parse(Source {
        name: "b",
        text: "a:\n  - key: text\n    b:\n    - 1\n    - 2\n",
    });
    let other = other.unwrap();
    for (column, line, at) in [(8, 2, 5), (16, 2, 10), (21, 3, 5), (28, 5, 7), (1, 1, 1)] {
        let (mut node, mut is_key, mut path) = (&tree, false, Vec::new());
        while let Some((next, key)) = step_towards(node, Span { line: 1, column }, &mut path) {
            (node, is_key) = (next, key);
        }
        assert_eq!(follow(&other, &path, is_key), Span { line, column: at }, "column {column}");
    }
}

//! A message that is trusted matches as one that is checked; bytes that are none do no harm.

use super::{matched, rules};
use crate::{Catalogue, Matcher, Matches};

/// Rules that ask for much, in many ways.
fn curious() -> Catalogue {
    let conditions = [
        "{field: a, op: regex, value: '^é+|x'}",
        "{field: a, op: equals_ignore_case, value: 'ks'}",
        "{field: a.b, op: contains, value: abcd}",
        "{field: 'a[0]', op: greater_than, value: 0}",
        "{field: 'a[1].b', op: in_range, value: [1, 5]}, {field: a.c, op: not_exists}",
        "{field: b, op: wildcard, value: 'a?c*'}",
        "{field: b, op: cidr, value: 10.0.0.0/8}",
        "{field: a.b, op: less_than, value: 9, quantifier: all}",
        "{field: c.d.e, op: exists}",
        "{field: c, op: not_exists}",
        "{expr: '${ size(msg) == 2 }'}, {field: b, op: exists}",
        "{expr: '${ msg.a + msg.b > 1 || msg.c.d.e == null }'}",
        "{expr: '${ msg.a[0] == msg.b }'}",
    ];
    let rule = |(n, condition): (usize, &&str)| {
        format!("- {{id: r{n}, conditions: [{condition}], actions: [{{workflow: w}}]}}\n")
    };
    Catalogue::compile(rules(&conditions.iter().enumerate().map(rule).collect::<String>()))
}

const CURIOUS: [&str; 7] = [
    r#"{"a":[1,{"b":3,"c":[]},"x"],"b":"abc","c":{"d":{"e":null}}}"#,
    r#" { "z" : [ { "a" : "]" } , "}" , 5 ] , "a" : { "b" : "xabcdx" } , "b" : 10.5e0 }  "#,
    r#"{"c":{"x":{"y":[]},"d":{"f":"\"}","e":[1]},"z":"{"},"b":"10.1.2.3","y":[[[]]],"a":"\u212aS"}"#,
    r#"{"\u0061":[[2,{"b":1}],{"b":2}],"b":[2,{"b":1}],"zz":{"a":1,"b":[{"c":"[{\"["}]}}"#,
    r#"{"b":1,"a":1}"#,
    r#"{"a":"ééé","long":"a text of more than sixteen bytes { and [ in it","c":0}"#,
    "{}",
];

fn trusted(catalogue: &Catalogue, matcher: &mut Matcher, bytes: &[u8]) -> Vec<String> {
    let mut found = Matches::new();
    matcher.matches_trusted(catalogue, bytes, &mut found);
    found.iter().map(|index| catalogue.rule(*index).id.clone()).collect()
}

#[test]
fn what_was_checked_before_matches_the_same_when_it_is_trusted() {
    let (catalogue, mut matcher) = (curious(), Matcher::new());
    let mut total = 0;
    for message in CURIOUS {
        let expected = matched(&catalogue, &mut matcher, message);
        assert_eq!(trusted(&catalogue, &mut matcher, message.as_bytes()), expected, "{message}");
        total += expected.len();
    }
    assert!(total > 15, "{total}");
}

#[test]
fn a_trusted_message_is_read_as_far_as_is_asked_and_its_first_key_counts() {
    let text = "
- {id: one, conditions: [{field: a.b, op: equals, value: 1}], actions: [{workflow: w}]}
- {id: two, conditions: [{field: a.b, op: equals, value: 2}], actions: [{workflow: w}]}
";
    let (catalogue, mut matcher) = (Catalogue::compile(rules(text)), Matcher::new());
    let rows = [
        (r#"{"a":{"b":1,"b":2},"a":{"b":2}}"#, "one"),
        (r#"{"a":{"b":1,"c":[{}]}, nobody comes here"#, "one"),
        (r#"{"c":{"b":1},"a":[{"c":"}"},{"b":2}],"#, "two"),
    ];
    for (message, expected) in rows {
        let found = trusted(&catalogue, &mut matcher, message.as_bytes());
        assert_eq!(found, [expected], "{message}");
    }
}

#[test]
fn where_rules_continue_from_others_a_trusted_message_is_checked_and_matches_the_same() {
    let text = "
- {id: base, enrich: {a: '${ msg.b + 1 }'}, conditions: [{field: b, op: exists}]}
- {id: next, continue_from: base, conditions: [{expr: '${ msg.a == msg.b + 1 }'}], actions: [{workflow: w}]}
- {id: last, continue_from: base, conditions: [{field: a, op: equals, value: 2}], actions: [{workflow: w}]}
";
    let (catalogue, mut matcher) = (Catalogue::compile(rules(text)), Matcher::new());
    let rows: [(&str, &[&str]); 5] = [
        (r#"{"b":1}"#, &["base", "last", "next"]),
        (r#"{"c":{},"b":5,"a":7}"#, &["base", "next"]),
        (r#"{"b":"x","a":2}"#, &["base"]),
        // The first key counts, also in what is written anew.
        (r#"{"b":1,"b":5,"c":1,"c":2}"#, &["base", "last", "next"]),
        (r#"{"b":1,"c":"#, &[]),
    ];
    for (message, expected) in rows {
        let found = trusted(&catalogue, &mut matcher, message.as_bytes());
        assert_eq!(found, expected, "{message}");
    }
}

#[test]
fn whatever_is_trusted_is_read_to_an_end() {
    let (catalogue, mut matcher) = (curious(), Matcher::new());
    let mut found = Matches::new();
    for message in CURIOUS {
        let bytes = message.as_bytes();
        for at in 0..bytes.len() {
            let (before, after) = (&bytes[..at], &bytes[at + 1..]);
            let mut changes = vec![before.to_vec(), bytes[at..].to_vec(), [before, after].concat()];
            for byte in [b'"', b'\\', b'{', b'}', b'[', b']', b',', b':', b'0', 0xe9, 0] {
                changes.push([before, &[byte], after].concat());
                changes.push([before, &[byte], &bytes[at..]].concat());
            }
            for changed in changes {
                let trusted = trusted(&catalogue, &mut matcher, &changed);
                if matcher.matches(&catalogue, &changed, &mut found).is_ok() {
                    let text = String::from_utf8(changed).unwrap();
                    assert_eq!(trusted, matched(&catalogue, &mut matcher, &text), "{text}");
                }
            }
        }
    }
    let mut prng = base::Prng::new(7);
    for _ in 0..2_000 {
        let count = prng.below(40);
        let any: Vec<u8> = (0..count).map(|_| u8::try_from(prng.below(256)).unwrap()).collect();
        trusted(&catalogue, &mut matcher, &any);
        trusted(&catalogue, &mut matcher, &[b"{\"a\":".as_slice(), &any].concat());
        trusted(&catalogue, &mut matcher, &[b"{\"a\":[\"".as_slice(), &any].concat());
    }
    let deep = "[".repeat(300);
    trusted(&catalogue, &mut matcher, format!("{{\"a\":{deep}").as_bytes());
    let large = format!("{{\"x\":\"{}\",\"a\":\"x\"}}", "x".repeat(300 * 1024));
    trusted(&catalogue, &mut matcher, large.as_bytes());
}

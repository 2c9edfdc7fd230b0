//! Macros: what they give, what their variables mean, what they cost.

use super::json;
use crate::limits::LIST_ELEMENTS_MAX;
use crate::{EvalError, Names, Value, parse};

const SCOPE: &str = r#"{
    "items": [{"id": "a", "price": 3, "tags": ["x"]}, {"id": "b", "price": 40, "tags": []}],
    "list": [1, 2, 3], "empty": [], "mixed": [1, "two", 3], "map": {"b": 2, "a": 1},
    "x": "outer", "limit": 2, "text": "abc", "nested": [[1, 2], [3]]
}"#;

/// An expression and its value as JSON.
const VALUES: &[(&str, &str)] = &[
    ("list.all(x, x > 0)", "true"),
    ("list.all(x, x > 1)", "false"),
    ("empty.all(x, x > 1)", "true"),
    ("list.exists(x, x == 2)", "true"),
    ("list.exists(x, x == 9)", "false"),
    ("empty.exists(x, true)", "false"),
    ("list.exists_one(x, x > 2)", "true"),
    ("list.exists_one(x, x > 1)", "false"),
    ("list.existsOne(x, x == 1)", "true"),
    ("empty.exists_one(x, true)", "false"),
    ("list.filter(x, x != 2)", "[1,3]"),
    ("empty.filter(x, true)", "[]"),
    ("list.map(x, x * x)", "[1,4,9]"),
    ("list.map(x, x > 1, x * 10)", "[20,30]"),
    ("list.map(x, [x, x])", "[[1,1],[2,2],[3,3]]"),
    ("list.map(x, {'n': x})", r#"[{"n":1},{"n":2},{"n":3}]"#),
    ("[1, 2,].map(x, x + 1,)", "[2,3]"),
    // of a map: its keys, in their order
    ("map.map(k, k)", r#"["a","b"]"#),
    ("map.map(k, map[k])", "[1,2]"),
    ("map.filter(k, map[k] > 1)", r#"["b"]"#),
    ("map.all(k, k < 'c')", "true"),
    ("map.exists(k, map[k] == 2)", "true"),
    ("map.exists_one(k, k == 'a')", "true"),
    ("{}.map(k, k)", "[]"),
    // of paths and whatever else is a list
    ("items.map(i, i.price)", "[3,40]"),
    ("items.filter(i, i.price > 10)[0].id", r#""b""#),
    ("items.exists(i, 'x' in i.tags)", "true"),
    ("items.all(i, has(i.id) && !has(i.name))", "true"),
    ("items.map(i, i.tags.size())", "[1,0]"),
    ("items.map(i, i['id'] + '!')", r#"["a!","b!"]"#),
    ("items.filter(i, i.price < 10).map(i, i.id)", r#"["a"]"#),
    ("(list + [4]).filter(x, x > 3)", "[4]"),
    ("nested.map(l, l.map(n, n * 2))", "[[2,4],[6]]"),
    ("items[0].tags.map(t, t + t)", r#"["xx"]"#),
    ("size(list.filter(x, x > 1))", "2"),
    ("list.map(x, x).size() == 3", "true"),
    ("2 in list.map(x, x + 1)", "true"),
    ("list.map(n, text.charAt(n - 1)).join()", r#""abc""#),
    ("[1, 2].map(a, [10, 20].map(b, a + b))", "[[11,21],[12,22]]"),
    ("list.all(x, list.exists(y, y == x))", "true"),
    // the nearest variable of a name counts; around the macro the name is the scope's
    ("list.map(x, x)[0] == 1 && x == 'outer'", "true"),
    ("nested.map(x, x.map(x, x + 1))", "[[2,3],[4]]"),
    ("list.map(limit, limit + 1)", "[2,3,4]"),
    ("list.filter(y, y > limit)", "[3]"),
    ("list.map(list, list)", "[1,2,3]"),
    ("list.map(x, [x].map(y, [y, x]))[2]", "[[3,3]]"),
    ("items.map(x, x.id) + [x]", r#"["a","b","outer"]"#),
    ("list.map(size, size + 1)", "[2,3,4]"),
    ("list.map(size, size(text))", "[3,3,3]"),
    ("list.map(all, all)", "[1,2,3]"),
    ("list.map(int, int)", "[1,2,3]"),
    ("list.map(math, math + 1)", "[2,3,4]"),
    // a dot in front reaches over the macros
    (".x", r#""outer""#),
    (".items[0].price", "3"),
    ("list.map(x, .x)", r#"["outer","outer","outer"]"#),
    (".list.map(list, .list[0] + list)", "[2,3,4]"),
    (".size(text)", "3"),
    // as with && and ||, what decides absorbs the errors of others
    ("mixed.exists(x, x > 2)", "true"),
    ("mixed.all(x, x > 1)", "false"),
    ("[1, 0].exists(x, 1 / x == 1)", "true"),
    ("[0, 1].exists(x, 1 / x == 1)", "true"),
    ("[0, 2].all(x, 1 / x == 1)", "false"),
    ("items.exists(i, i.missing || i.price == 3)", "true"),
    // names of fields that are also macros
    ("{'all': 1}.all + {'map': 2}.map", "3"),
];

/// An expression and the message of its failure.
const FAILURES: &[(&str, &str)] = &[
    ("mixed.all(x, x > 0)", "`>` cannot take string and int"),
    ("mixed.exists(x, x > 5)", "`>` cannot take string and int"),
    ("mixed.exists_one(x, x > 2)", "`>` cannot take string and int"),
    ("mixed.filter(x, x > 2)", "`>` cannot take string and int"),
    ("mixed.map(x, x + 1)", "`+` cannot take string and int"),
    ("list.all(x, x)", "`all` cannot take int"),
    ("list.exists(x, 'yes')", "`exists` cannot take string"),
    ("list.exists_one(x, null)", "`exists_one` cannot take null"),
    ("list.filter(x, x)", "`filter` cannot take int"),
    ("list.map(x, x, x)", "`map` cannot take int"),
    ("text.all(x, true)", "`all` cannot take string"),
    ("limit.map(x, x)", "`map` cannot take int"),
    ("missing.map(x, x)", "there is no `missing`"),
    ("items.map(i, i.nope)", "there is no `i.nope`"),
    ("items.map(i, i.tags[0])", "there is no `i.tags[0]`: the list has 0 element(s)"),
    (
        "items.filter(i, i.price > 100)[0].id",
        "there is no `items.filter(i, i.price > 100)[0]`: the list has 0 element(s)",
    ),
    // a variable is known inside of its macro alone
    ("list.map(y, y) == [y]", "there is no `y`"),
    ("y.map(y, y)", "there is no `y`"),
    ("list.map(y, .y)", "there is no `y`"),
    ("dyn(items).nope", "there is no `dyn(items).nope`: what stands before is list, not a map"),
];

#[test]
fn every_macro_has_the_value_beside_it() {
    let scope = json(SCOPE);
    for (text, expected) in VALUES {
        let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let value = expression.evaluate(&scope).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value.to_json(), *expected, "{text}");
    }
}

#[test]
fn every_failing_macro_says_what_the_table_says() {
    let scope = json(SCOPE);
    for (text, expected) in FAILURES {
        let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = expression.evaluate(&scope).expect_err(text);
        assert_eq!(error.to_string(), *expected, "{text}");
    }
}

#[test]
fn references_name_what_the_scope_must_have_and_no_variable() {
    for (text, expected) in [
        ("items.map(i, i.price)", vec!["items"]),
        ("a.b.filter(x, x.c > d.e)", vec!["a.b", "d.e"]),
        ("a.map(x, x.map(y, x + y + z))", vec!["a", "z"]),
        ("a.map(x, x) + [x]", vec!["a", "x"]),
        ("a.map(x, .x.y)", vec!["a", "x.y"]),
        ("x.map(x, x)", vec!["x"]),
        ("a.map(x, b.c, d[x])", vec!["a", "b.c", "d"]),
        ("math.greatest(a.b, math.abs(c))", vec!["a.b", "c"]),
        ("math.pi", vec!["math.pi"]),
        ("type(a.b) == int || type(c) == google.protobuf.Timestamp", vec!["a.b", "c"]),
        ("a.matches('x') || matches(b, c)", vec!["a", "b", "c"]),
        ("int.a + list[0]", vec!["int.a", "list"]),
        ("dyn(a).b", vec!["a"]),
        ("a.`b-c`.d", vec!["a.b-c.d"]),
    ] {
        let expression = parse(text).unwrap();
        let found: Vec<String> = expression.references().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }
    let open = |text: &str| parse(text).unwrap().references().next().unwrap().open;
    assert!(!open("a.b.map(x, x)") && open("a.b[0].map(x, x)") && !open("a.b.matches('x')"));
}

#[test]
fn macros_are_stopped_when_they_cost_too_much_and_nothing_absorbs_that() {
    let thousand = Value::list((0..1_000_i64).map(Value::from));
    let wide = Value::list(vec![Value::Null; LIST_ELEMENTS_MAX + 1]);
    let big = Value::text("x".repeat(100_000));
    let roots = [("l", &thousand), ("wide", &wide), ("big", &big)];
    let scope = Names(&roots);
    let evaluate = |text: &str| parse(text).unwrap().evaluate(&scope);
    assert_eq!(evaluate("l.all(a, a >= 0)"), Ok(Value::Bool(true)));
    for text in [
        "l.all(a, l.all(b, a + b >= 0))",
        "l.exists(a, l.exists(b, a + b < 0)) || true",
        "l.map(a, l.map(b, l.map(c, a)))",
        "l.map(a, big + 'x')",
        "l.map(a, big.matches('y$'))",
        "l.map(a, 'x'.matches(big.substring(0, 1)))",
        "l.map(a, big.replace('x', 'y'))",
    ] {
        assert_eq!(evaluate(text), Err(EvalError::TooManySteps), "{text}");
    }
    assert_eq!(evaluate("wide.filter(x, true)"), Err(EvalError::ListTooLong));
    assert_eq!(evaluate("wide.map(x, x)"), Err(EvalError::ListTooLong));
    // Small to hold, huge to write.
    assert_eq!(evaluate("l.map(a, big)"), Err(EvalError::TooLarge));
    assert_eq!(evaluate("l.map(a, [big, b'x'])"), Err(EvalError::TooLarge));
    assert_eq!(
        evaluate("l.map(a, l.map(b, b)).map(x, [l, l, l]).size()"),
        Err(EvalError::TooManySteps)
    );
}

#[test]
fn macros_nest_as_deep_as_brackets() {
    let nested =
        |levels: usize| format!("{}true{}", "l.all(x, ".repeat(levels - 1), ")".repeat(levels - 1));
    let list = Value::list([Value::Int(1)]);
    let roots = [("l", &list)];
    let deepest = parse(&nested(crate::limits::EXPRESSION_DEPTH_MAX)).unwrap();
    assert_eq!(deepest.evaluate(&Names(&roots)), Ok(Value::Bool(true)));
    let deeper = parse(&nested(crate::limits::EXPRESSION_DEPTH_MAX + 1)).expect_err("too deep");
    assert_eq!(deeper.problem, crate::Problem::TooDeep);
}

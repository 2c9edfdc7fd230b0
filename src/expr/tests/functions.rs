//! Functions, and the kinds that only an evaluation knows, as tables.

use super::json;
use crate::{EvalError, Names, Template, Tree, Value, parse};

const SCOPE: &str = r#"{
    "big": 18446744073709551615, "min": -9223372036854775808, "text": "ta©o©αT", "list": [1, 2, 3],
    "at": "2026-01-31T09:15:00.250Z", "offset": "+02:00", "pattern": "^a+$", "half": 0.5,
    "times": ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"], "a": {"b-c": 1, "d/e f": 2}
}"#;

/// An expression and its value as JSON.
const VALUES: &[(&str, &str)] = &[
    // unsigned literals
    ("1u", "1"),
    ("0xFFu", "255"),
    ("18446744073709551615u", "18446744073709551615"),
    ("5U + 5u", "10"),
    ("type(5u + 5u) == uint", "true"),
    ("type(5u + 5) == int", "true"),
    ("1u - 2u", "-1"),
    ("7u / 2u", "3"),
    ("7u % 4u", "3"),
    ("-5u", "-5"),
    ("1u == 1 && 1u == 1.0 && 1u < 1.5", "true"),
    ("18446744073709551615u == big", "true"),
    ("[1u, [2u], {'k': 3u}]", r#"[1,[2],{"k":3}]"#),
    ("list[1u]", "2"),
    ("list.map(x, uint(x))", "[1,2,3]"),
    ("1u in list", "true"),
    ("true ? [1u] : list", "[1]"),
    // bytes
    ("b'abc'", r#""YWJj""#),
    (r"b'\x00\377\n'", r#""AP8K""#),
    ("b'ÿ' == b'\\303\\277'", "true"),
    (r"'\377' == string(b'\303\277')", "true"),
    (r#"br'\n' == b"\\n""#, "true"),
    ("B'''a'b''' + b'c'", r#""YSdiYw==""#),
    ("b'a' < b'b' && b'a' <= b'a' && b'ab' > b'a'", "true"),
    ("b'a' == 'a'", "false"),
    ("size(b'häß')", "5"),
    ("b''.size()", "0"),
    ("string(bytes('häß'))", r#""häß""#),
    ("bytes(b'a') == b'a'", "true"),
    ("[b'a', 'x']", r#"["YQ==","x"]"#),
    // types
    ("type(1)", r#""int""#),
    ("type(null)", r#""null_type""#),
    ("type(big) == uint && type(1.0) == double && type(true) == bool", "true"),
    ("type('') == string && type(b'') == bytes && type({}) == map", "true"),
    ("type(type(1)) == type && type(int) == type", "true"),
    ("type(timestamp(0)) == google.protobuf.Timestamp", "true"),
    ("type(duration('1s')) == google.protobuf.Duration", "true"),
    ("type(1) == type(1u)", "false"),
    ("type(1) in [int, double]", "true"),
    ("[1, 'a', null].map(x, type(x))", r#"["int","string","null_type"]"#),
    ("int", r#""int""#),
    // the scope's own names come before those of types
    ("list", "[1,2,3]"),
    ("type([]) == list", "false"),
    ("size(list)", "3"),
    ("(list)[0]", "1"),
    ("dyn(1) + 1", "2"),
    ("dyn(list)[0]", "1"),
    // conversions
    ("bool('true') && bool('1') && bool('t') && bool('True') && bool('TRUE') && bool('T')", "true"),
    (
        "bool('false') || bool('0') || bool('f') || bool('False') || bool('FALSE') || bool('F')",
        "false",
    ),
    ("bool(true)", "true"),
    ("int(5u)", "5"),
    ("int(9223372036854775807u)", "9223372036854775807"),
    ("int(timestamp('2009-02-13T23:31:30.999Z'))", "1234567890"),
    ("int(timestamp('1969-12-31T23:59:59.5Z'))", "-1"),
    ("uint(5)", "5"),
    ("uint(5.9)", "5"),
    ("uint(-0.0)", "0"),
    ("uint('18446744073709551615') == big", "true"),
    ("uint(big) == big", "true"),
    ("double(5u)", "5.0"),
    ("string(5u)", r#""5""#),
    ("string(b'abc')", r#""abc""#),
    ("string(timestamp('2026-01-31T10:15:00.500+01:00'))", r#""2026-01-31T09:15:00.5Z""#),
    ("string(duration('1h1.5s'))", r#""3601.5s""#),
    // times
    ("timestamp('2026-01-31T09:15:00Z')", r#""2026-01-31T09:15:00Z""#),
    ("timestamp(1234567890)", r#""2009-02-13T23:31:30Z""#),
    ("timestamp(timestamp(0)) == timestamp(0)", "true"),
    ("timestamp(at) > timestamp('2026-01-31T10:00:00+01:00')", "true"),
    ("timestamp('2026-01-31T09:15:00Z') == timestamp('2026-01-31T11:15:00+02:00')", "true"),
    ("duration('90m')", r#""5400s""#),
    ("duration(duration('1s'))", r#""1s""#),
    ("duration('60s') == duration('1m') && duration('1ms') < duration('1s')", "true"),
    ("timestamp(at) + duration('24h')", r#""2026-02-01T09:15:00.25Z""#),
    ("duration('1s') + timestamp(0)", r#""1970-01-01T00:00:01Z""#),
    ("timestamp(0) - duration('1ns')", r#""1969-12-31T23:59:59.999999999Z""#),
    ("timestamp(times[0]) - timestamp(times[1])", r#""86400s""#),
    ("timestamp(times[1]) - timestamp(times[0]) < duration('0s')", "true"),
    ("duration('1m') - duration('90s') + duration('1ms')", r#""-29.999s""#),
    ("times.map(t, timestamp(t)).all(t, t < timestamp('2026-01-03T00:00:00Z'))", "true"),
    ("max(times.map(t, timestamp(t)))", r#""2026-01-02T00:00:00Z""#),
    (
        "{'at': timestamp(0), 'for': [duration('1s')]}",
        r#"{"at":"1970-01-01T00:00:00Z","for":["1s"]}"#,
    ),
    ("timestamp(at).getFullYear()", "2026"),
    ("timestamp(at).getMonth()", "0"),
    ("timestamp(at).getDate()", "31"),
    ("timestamp(at).getDayOfMonth()", "30"),
    ("timestamp(at).getDayOfWeek()", "6"),
    ("timestamp(at).getDayOfYear()", "30"),
    ("timestamp(at).getHours()", "9"),
    ("timestamp(at).getMinutes()", "15"),
    ("timestamp(at).getSeconds()", "0"),
    ("timestamp(at).getMilliseconds()", "250"),
    ("timestamp(at).getHours('UTC')", "9"),
    ("timestamp(at).getHours(offset)", "11"),
    ("timestamp(at).getDate('-09:30')", "30"),
    ("timestamp(at).getMinutes('05:45')", "0"),
    ("timestamp(0).getFullYear('-00:01')", "1969"),
    ("timestamp('2024-12-31T00:00:00Z').getDayOfYear()", "365"),
    ("duration('3h59m').getHours()", "3"),
    ("duration('-90s').getMinutes()", "-1"),
    ("duration('3730s').getSeconds()", "3730"),
    ("duration('123.321456789s').getMilliseconds()", "321"),
    // numbers
    ("max(1, 2.5, 2)", "2.5"),
    ("min([3, 1, 2])", "1"),
    ("max('a', 'b')", r#""b""#),
    ("min(false, true)", "false"),
    ("max(5)", "5"),
    ("max(1, 1.0)", "1"),
    ("max(9007199254740993, 9007199254740992.0)", "9007199254740993"),
    ("min(big, -1u, min)", "-9223372036854775808"),
    ("math.greatest(1, 2u, 1.5)", "2"),
    ("math.least([-0.5, 3])", "-0.5"),
    ("math.greatest(7)", "7"),
    ("math.abs(-5)", "5"),
    ("math.abs(-2.5)", "2.5"),
    ("math.abs(5u)", "5"),
    ("math.sign(-7)", "-1"),
    ("math.sign(-0.1)", "-1.0"),
    ("math.sign(-0.0)", "0.0"),
    ("math.sign(0) + math.sign(9u)", "1"),
    ("math.ceil(1.2)", "2.0"),
    ("math.floor(-1.2)", "-2.0"),
    ("math.round(2.5)", "3.0"),
    ("math.round(-2.5)", "-3.0"),
    ("math.round(0.49999999999999994)", "0.0"),
    ("math.trunc(-1.9)", "-1.0"),
    ("math.round(3)", "3"),
    ("math.floor(big) == big", "true"),
    // texts
    ("text.charAt(2)", r#""©""#),
    ("text.charAt(7)", r#""""#),
    ("text.indexOf('©')", "2"),
    ("text.indexOf('©', 3)", "4"),
    ("text.indexOf('©', 5)", "-1"),
    ("text.indexOf('')", "0"),
    ("text.indexOf('', 7)", "7"),
    ("text.indexOf('T', 7)", "-1"),
    ("text.lastIndexOf('©')", "4"),
    ("text.lastIndexOf('©', 3)", "2"),
    ("text.lastIndexOf('©α', 4)", "4"),
    ("text.lastIndexOf('')", "7"),
    ("text.lastIndexOf('', 3)", "3"),
    ("text.lastIndexOf('a', 0)", "-1"),
    ("text.lastIndexOf('αT', 7)", "5"),
    ("'é'.lastIndexOf('x', 0)", "-1"),
    ("text.substring(5)", r#""αT""#),
    ("text.substring(2, 5)", r#""©o©""#),
    ("text.substring(7)", r#""""#),
    ("text.substring(3u, 3u)", r#""""#),
    ("'TacoCÆt'.lowerAscii()", r#""tacocÆt""#),
    ("'tacoCαt'.upperAscii()", r#""TACOCαT""#),
    ("text.reverse()", r#""Tα©o©at""#),
    ("' \\u00a0\\t x y \\n'.trim()", r#""x y""#),
    ("'\\u200bx'.trim() == 'x'", "false"),
    ("'a-b-c'.replace('-', '+')", r#""a+b+c""#),
    ("'a-b-c'.replace('-', '', 1)", r#""ab-c""#),
    ("'a-b-c'.replace('-', '+', 0)", r#""a-b-c""#),
    ("'a-b-c'.replace('-', '+', -1)", r#""a+b+c""#),
    ("'äb'.replace('', '.')", r#"".ä.b.""#),
    ("'äb'.replace('', '.', 2)", r#"".ä.b""#),
    ("'a,b,,c'.split(',')", r#"["a","b","","c"]"#),
    ("'a,b,c'.split(',', 2)", r#"["a","b,c"]"#),
    ("'a,b'.split(',', 1)", r#"["a,b"]"#),
    ("'a,b'.split(',', 0)", "[]"),
    ("'a,b'.split(',', -1)", r#"["a","b"]"#),
    ("'häß'.split('')", r#"["h","ä","ß"]"#),
    ("'häß'.split('', 2)", r#"["h","äß"]"#),
    ("''.split('')", "[]"),
    ("''.split(',')", r#"[""]"#),
    ("','.split(',')", r#"["",""]"#),
    ("['a', 'b'].join()", r#""ab""#),
    ("['a', 'b', 'c'].join(', ')", r#""a, b, c""#),
    ("[].join('x')", r#""""#),
    ("'a,b'.split(',').join('-')", r#""a-b""#),
    // regular expressions
    ("'aaa'.matches('a+')", "true"),
    ("'xaaay'.matches('a+')", "true"),
    ("'xaaay'.matches('^a+$')", "false"),
    ("matches('aaa', pattern)", "true"),
    ("'aab'.matches(pattern)", "false"),
    ("matches('häß', '^h.ß$')", "true"),
    ("'a\\nb'.matches('(?s)^a.b$')", "true"),
    ("'A'.matches('(?i)a')", "true"),
    // names in backticks
    ("a.`b-c`", "1"),
    ("a.`d/e f` + a.`b-c`", "3"),
    ("has(a.`b-c`) && !has(a.`x`)", "true"),
    // presence
    ("has({'t': timestamp(0)}.t)", "true"),
];

/// An expression and the message of its failure.
const FAILURES: &[(&str, &str)] = &[
    ("18446744073709551615u + 1u", "the result of `+` is out of the range of whole numbers"),
    ("1u / 0u", "`/` by zero"),
    ("-18446744073709551615u", "the result of `-` is out of the range of whole numbers"),
    (
        "list[18446744073709551615u]",
        "there is no `list[18446744073709551615u]`: the list has 3 element(s)",
    ),
    ("b'a' + 'a'", "`+` cannot take bytes and string"),
    ("b'a'.contains('a')", "`contains` cannot take bytes and string"),
    ("string(b'\\xff')", "string() was given bytes that are not UTF-8"),
    ("string(type(1))", "`string` cannot take type"),
    ("int < string", "`<` cannot take type and type"),
    ("bool('yes')", "bool() was given a string that is not true or false"),
    ("bool(1)", "`bool` cannot take int"),
    ("uint(-1)", "the result of `uint` is out of the range of whole numbers"),
    ("uint(-0.9)", "the result of `uint` is out of the range of whole numbers"),
    ("uint(-1.0)", "the result of `uint` is out of the range of whole numbers"),
    ("uint(1e20)", "the result of `uint` is out of the range of whole numbers"),
    ("uint('-1')", "uint() was given a string that is not such a number"),
    ("uint('1.5')", "uint() was given a string that is not such a number"),
    ("uint('18446744073709551616')", "the result of `uint` is out of the range of whole numbers"),
    ("bytes(1)", "`bytes` cannot take int"),
    (
        "timestamp('yesterday')",
        "timestamp() was given a string that is not a time by RFC 3339, like 2026-01-31T09:15:00Z",
    ),
    ("timestamp(253402300800)", "the result of `timestamp` is out of the range of times"),
    ("timestamp(-62135596801)", "the result of `timestamp` is out of the range of times"),
    ("timestamp(1.5)", "`timestamp` cannot take double"),
    ("duration('soon')", "duration() was given a string that is not a duration, like 90s or 1h30m"),
    ("duration('9999999h')", "the result of `duration` is out of the range of times"),
    ("duration(5)", "`duration` cannot take int"),
    ("timestamp(0) + timestamp(0)", "`+` cannot take timestamp and timestamp"),
    ("duration('1s') - timestamp(0)", "`-` cannot take duration and timestamp"),
    ("timestamp(0) + 1", "`+` cannot take timestamp and int"),
    ("-duration('1s')", "`-` cannot take duration"),
    ("duration('1s') * 2", "`*` cannot take duration and int"),
    ("timestamp(0) < duration('1s')", "`<` cannot take timestamp and duration"),
    (
        "timestamp('9999-12-31T23:59:59Z') + duration('1s')",
        "the result of `+` is out of the range of times",
    ),
    (
        "timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')",
        "the result of `-` is out of the range of times",
    ),
    ("at.getHours()", "`getHours` cannot take string"),
    ("at.getHours('UTC')", "`getHours` cannot take string and string"),
    ("duration('1s').getDate()", "`getDate` cannot take duration"),
    ("duration('1s').getHours('UTC')", "`getHours` cannot take duration and string"),
    ("timestamp(0).getHours(1)", "`getHours` cannot take timestamp and int"),
    (
        "timestamp(0).getHours(at)",
        "a time zone that is neither \"UTC\" nor an offset like \"+02:00\"",
    ),
    ("max(1, 'a')", "`max` cannot take int and string"),
    ("min(null, null)", "`min` cannot take null"),
    ("max([])", "`max` was given an empty list"),
    ("math.least([])", "`math.least` was given an empty list"),
    ("math.greatest('a', 'b')", "`math.greatest` cannot take string"),
    ("math.greatest(1, 'b')", "`math.greatest` cannot take string"),
    ("math.abs(min)", "the result of `math.abs` is out of the range of whole numbers"),
    ("math.abs('a')", "`math.abs` cannot take string"),
    ("math.ceil(true)", "`math.ceil` cannot take bool"),
    ("text.charAt(8)", "`charAt` was given a position outside of the string"),
    ("text.charAt(-1)", "`charAt` was given a position outside of the string"),
    ("text.charAt(big)", "`charAt` was given a position outside of the string"),
    ("text.charAt('1')", "`charAt` cannot take string and string"),
    ("text.indexOf('a', 8)", "`indexOf` was given a position outside of the string"),
    ("text.indexOf('a', -1)", "`indexOf` was given a position outside of the string"),
    ("text.lastIndexOf('a', 8)", "`lastIndexOf` was given a position outside of the string"),
    ("text.substring(8)", "`substring` was given a position outside of the string"),
    ("text.substring(2, 8)", "`substring` was given a position outside of the string"),
    ("text.substring(3, 2)", "`substring` was given a position outside of the string"),
    ("text.substring(1, half)", "`substring` cannot take double"),
    ("text.replace('a', 1)", "`replace` cannot take int"),
    ("list.join(',')", "`join` cannot take int"),
    ("text.join(',')", "`join` cannot take string and string"),
    ("list.reverse()", "`reverse` cannot take list"),
    ("'a'.matches(at + '(')", "matches() was given a string that is no regular expression"),
    ("list.matches('a')", "`matches` cannot take list and string"),
    ("'a'.matches(half)", "`matches` cannot take string and double"),
    ("matches('a', 1)", "`matches` cannot take string and int"),
    ("math.pi", "there is no `math.pi`"),
    ("dyn(a).nope", "there is no `dyn(a).nope`"),
];

#[test]
fn every_function_has_the_value_beside_it() {
    let scope = json(SCOPE);
    for (text, expected) in VALUES {
        let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let value = expression.evaluate(&scope).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value.to_json(), *expected, "{text}");
        assert_eq!(json(expected), value, "{text}: the result is JSON");
    }
}

#[test]
fn every_failing_function_says_what_the_table_says() {
    let scope = json(SCOPE);
    for (text, expected) in FAILURES {
        let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = expression.evaluate(&scope).expect_err(text);
        assert_eq!(error.to_string(), *expected, "{text}");
    }
}

#[test]
fn what_only_an_evaluation_knows_leaves_it_as_json_by_every_door() {
    let scope = json(SCOPE);
    for (text, expected) in [
        ("${ timestamp(at) }", r#""2026-01-31T09:15:00.25Z""#),
        ("at ${ timestamp(at) }", r#""at 2026-01-31T09:15:00.25Z""#),
        ("${ b'abc' } ${ type(1) } ${ 5u } ${ [1u, b'a'] }", r#""YWJj int 5 [1,\"YQ==\"]""#),
        ("${ 5u }", "5"),
        ("${ [5u] }", "[5]"),
    ] {
        let template = Template::parse(text).unwrap();
        assert_eq!(template.evaluate(&scope).unwrap().to_json(), expected, "{text}");
        let tree = Tree::list(vec![Tree::text(text).unwrap()]);
        let expected = format!("[{expected}]");
        assert_eq!(tree.evaluate(&scope).unwrap().to_json(), expected, "{text}");
    }
    assert_eq!(parse("[b'abc', 1u]").unwrap().constant().unwrap().to_json(), r#"["YWJj",1]"#);
    assert_eq!(parse("1u").unwrap().constant(), Some(&Value::Int(1)));
    assert_eq!(Tree::text("${ 1u }").unwrap().constant(), Some(&Value::Int(1)));
}

#[test]
fn no_error_of_a_function_shows_what_the_data_was() {
    let secret = Value::text("hunter2(");
    let number = Value::Int(4_711_004_711);
    let list = Value::list([Value::text("hunter2")]);
    let roots = [("secret", &secret), ("number", &number), ("list", &list)];
    for text in [
        "secret.matches(secret)",
        "timestamp(secret)",
        "timestamp(number * 1000000)",
        "duration(secret)",
        "bool(secret)",
        "uint(secret)",
        "secret.charAt(number)",
        "secret.substring(number)",
        "timestamp(0).getHours(secret)",
        "list.all(x, x)",
        "list.map(x, x + 1)",
        "list.map(x, x.y)",
        "list.join(number)",
        "max(secret, number)",
        "math.greatest(secret)",
        "string(b'\\xff' + bytes(secret))",
    ] {
        let shown = parse(text).unwrap().evaluate(&Names(&roots)).expect_err(text);
        let message = format!("{shown} {shown:?}");
        assert!(!message.contains("hunter2") && !message.contains("4711"), "{text}: {message}");
    }
}

#[test]
fn functions_build_no_more_than_the_bounds() {
    let long = Value::text("x".repeat(crate::limits::TEXT_BYTES_MAX / 2));
    let roots = [("long", &long)];
    for (text, expected) in [
        ("long.replace('', 'ab')", EvalError::TooManySteps),
        ("long.replace('xx', 'xxxxxxxxx')", EvalError::TextTooLong),
        ("[long, long].join('.')", EvalError::TextTooLong),
        ("bytes(long) + bytes(long) + b'x'", EvalError::TextTooLong),
        // As base64 it is longer.
        ("bytes(long) + bytes(long)", EvalError::TextTooLong),
        ("long.split('')", EvalError::ListTooLong),
        ("[1, 2, 3].map(x, long).map(x, bytes(x))", EvalError::TooLarge),
    ] {
        assert_eq!(parse(text).unwrap().evaluate(&Names(&roots)), Err(expected), "{text}");
    }
}

#[test]
fn folding_gives_up_where_it_would_cost_too_much() {
    // The text grows ninefold with every call.
    let text = format!("'x'{}", ".replace('', 'xxxxxxxx')".repeat(20));
    let expression = parse(&text).unwrap();
    assert_eq!(expression.constant(), None);
    assert_eq!(expression.evaluate(&crate::Empty), Err(EvalError::TextTooLong));
}

//! The language as a table.

use super::json;
use crate::limits::{
    EXPRESSION_BYTES_MAX, EXPRESSION_DEPTH_MAX, LIST_ELEMENTS_MAX, TEXT_BYTES_MAX,
};
use crate::{Empty, EvalError, Names, Problem, Value, parse};

const SCOPE: &str = r#"{
    "input": {
        "amount": 5000, "country": "DE", "vip": true, "nothing": null, "ratio": 0.5,
        "user": {"name": "Ann", "tags": ["a", "b"], "in": 1, "two words": 2},
        "items": [{"price": 3}, {"price": 4}], "big": 18446744073709551615, "key": "amount",
        "empty": {}, "umlaut": "häß"
    },
    "zero": 0, "one": 1, "half": 0.5, "yes": true, "no": false, "name": "x", "list": [1, 2, 3]
}"#;

/// An expression and its value as JSON.
const VALUES: &[(&str, &str)] = &[
    // literals
    ("1", "1"),
    ("-1", "-1"),
    ("0x1F", "31"),
    ("-0x10", "-16"),
    ("0X0f", "15"),
    ("9223372036854775807", "9223372036854775807"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("007", "7"),
    ("2.5", "2.5"),
    (".5", "0.5"),
    ("1e3", "1000.0"),
    ("1E-3", "0.001"),
    ("1.5e+2", "150.0"),
    ("-2.0", "-2.0"),
    ("true", "true"),
    ("false", "false"),
    ("null", "null"),
    ("'a'", r#""a""#),
    ("\"a\"", r#""a""#),
    (r#"'"'"#, r#""\"""#),
    (r#""it's""#, r#""it's""#),
    ("''", r#""""#),
    (r"'\a\b\f\n\r\t\v'", r#""\u0007\b\f\n\r\t\u000b""#),
    (r#"'\\\?\"\'\`'"#, r#""\\?\"'`""#),
    (r"'\x41\X42'", r#""AB""#),
    (r"'\xff'", "\"ÿ\""),
    (r"'\101\377'", "\"Aÿ\""),
    (r"'\u00e9'", "\"é\""),
    (r"'\U0001F600'", "\"😀\""),
    (r"'\uD83D\uDE00'", "\"😀\""),
    (r"r'\n'", r#""\\n""#),
    (r#"R"\""#, r#""\\""#),
    ("'''x''x'''", r#""x''x""#),
    ("\"\"\"two\nlines\"\"\"", r#""two\nlines""#),
    ("r'''\\'''", r#""\\""#),
    ("[]", "[]"),
    ("[1, 'a', [true]]", r#"[1,"a",[true]]"#),
    ("[1, 2,]", "[1,2]"),
    ("{}", "{}"),
    ("{'b': 1, 'a': 2}", r#"{"a":2,"b":1}"#),
    ("{'a': {'b': []},}", r#"{"a":{"b":[]}}"#),
    ("{name: one}", r#"{"x":1}"#),
    ("{'a' + 'b': 1}", r#"{"ab":1}"#),
    // blanks and comments
    ("  1\t+\n2\r\n", "3"),
    ("1 // one\n + 2", "3"),
    ("1 + 2 // three", "3"),
    // paths
    ("one", "1"),
    ("input.amount", "5000"),
    ("input.user.name", r#""Ann""#),
    ("input . user . name", r#""Ann""#),
    ("input['amount']", "5000"),
    ("input[\"user\"]['two words']", "2"),
    ("input[input.key]", "5000"),
    ("input['am' + 'ount']", "5000"),
    ("input.user.tags[1]", r#""b""#),
    ("input.items[0].price", "3"),
    ("input.items[one].price", "4"),
    ("input.items[2 - 1]['price']", "4"),
    ("(input).amount", "5000"),
    ("(input.user).tags[0]", r#""a""#),
    ("input.user['in']", "1"),
    ("{'for': 1}.for", "1"),
    ("{'a': 1}.a", "1"),
    ("[[1, 2], [3]][0][1]", "2"),
    ("list[1.0]", "2"),
    ("input.nothing", "null"),
    ("list", "[1,2,3]"),
    // comparisons of numbers, exact over all kinds
    ("1 == 1", "true"),
    ("1 == 1.0", "true"),
    ("1 != 1.0", "false"),
    ("1 < 1.5", "true"),
    ("2 > 1.5", "true"),
    ("-1 < -0.5", "true"),
    ("-1 > -1.5", "true"),
    ("1 <= 1.0", "true"),
    ("1.0 >= 1", "true"),
    ("9007199254740993 == 9007199254740992.0", "false"),
    ("9007199254740993 > 9007199254740992.0", "true"),
    ("9223372036854775807 == 9223372036854775808.0", "false"),
    ("9223372036854775807 < 9223372036854775808.0", "true"),
    ("-9223372036854775808 == -9223372036854775808.0", "true"),
    ("input.big == 18446744073709551616.0", "false"),
    ("input.big < 18446744073709551616.0", "true"),
    ("input.big > 9223372036854775807", "true"),
    ("input.big > -1e300", "true"),
    ("input.big < 1e300", "true"),
    ("0.0 == -0.0", "true"),
    ("0 == -0.0", "true"),
    // other comparisons
    ("'a' == 'a'", "true"),
    ("'a' < 'b'", "true"),
    ("'a' < 'B'", "false"),
    ("'ab' <= 'a'", "false"),
    ("'' < 'a'", "true"),
    ("'\u{ffff}' < '\u{10000}'", "true"),
    ("false < true", "true"),
    ("true >= true", "true"),
    ("null == null", "true"),
    ("null != null", "false"),
    ("1 == '1'", "false"),
    ("1 != '1'", "true"),
    ("null == 0", "false"),
    ("true == 1", "false"),
    ("[] == {}", "false"),
    ("[1, 2] == [1.0, 2]", "true"),
    ("[1, 2] == [2, 1]", "false"),
    ("[1] == [1, 1]", "false"),
    ("{'a': 1, 'b': 2} == {'b': 2.0, 'a': 1}", "true"),
    ("{'a': 1} == {'b': 1}", "false"),
    ("{'a': 1} == {'a': 1, 'b': 1}", "false"),
    ("input.user.tags == ['a', 'b']", "true"),
    ("1 == 1 == true", "true"),
    // in
    ("2 in list", "true"),
    ("2.0 in list", "true"),
    ("4 in list", "false"),
    ("'2' in list", "false"),
    ("input.country in ['DE', 'FR']", "true"),
    ("'amount' in input", "true"),
    ("'nope' in input", "false"),
    ("1 in {'a': 1}", "false"),
    ("[1] in [[1]]", "true"),
    ("!(1 in [])", "true"),
    ("1 in list == true", "true"),
    // logic
    ("true && true", "true"),
    ("true && false", "false"),
    ("false || true", "true"),
    ("false || false", "false"),
    ("!true", "false"),
    ("!!true", "true"),
    ("!!!yes", "false"),
    ("true || false && false", "true"),
    ("(true || false) && false", "false"),
    ("!no && yes", "true"),
    ("!(one == 1)", "false"),
    ("true && true && true && false", "false"),
    // an operand that decides absorbs the other's error, on either side
    ("false && 1 / zero > 0", "false"),
    ("1 / zero > 0 && false", "false"),
    ("true || 1 / zero > 0", "true"),
    ("1 / zero > 0 || true", "true"),
    ("1 / 0 > 0 || true", "true"),
    ("missing.a && no", "false"),
    ("missing || yes", "true"),
    ("missing && yes && no", "false"),
    ("'text' && false", "false"),
    ("1 || true", "true"),
    // ?:
    ("yes ? 1 : 2", "1"),
    ("no ? 1 : 2", "2"),
    ("no ? 1 : no ? 2 : 3", "3"),
    ("no ? 1 : yes ? 2 : 3", "2"),
    ("yes ? 1 : 1 / zero", "1"),
    ("no ? missing : 'else'", r#""else""#),
    ("one > 0 && yes ? 'a' : 'b'", r#""a""#),
    ("yes ? (no ? 1 : 2) : 3", "2"),
    // arithmetic
    ("1 + 2 * 3", "7"),
    ("(1 + 2) * 3", "9"),
    ("10 - 2 - 3", "5"),
    ("10 - (2 - 3)", "11"),
    ("100 / 10 / 5", "2"),
    ("7 / 2", "3"),
    ("-7 / 2", "-3"),
    ("7 % 3", "1"),
    ("-7 % 3", "-1"),
    ("7 % -3", "1"),
    ("2 * 3 % 4", "2"),
    ("-one", "-1"),
    ("--one", "1"),
    ("---one", "-1"),
    ("- 5", "-5"),
    ("--5", "5"),
    ("1 - -1", "2"),
    ("1 --1", "2"),
    ("1-1", "0"),
    ("-(1 + 1)", "-2"),
    ("-half", "-0.5"),
    ("1.5 + 1.5", "3.0"),
    ("1 / 2.0", "0.5"),
    ("1.0 / 2", "0.5"),
    ("one + half", "1.5"),
    ("3 * 0.5", "1.5"),
    ("2.0 - 2", "0.0"),
    ("input.amount * 1.2", "6000.0"),
    ("0.1 + 0.2", "0.30000000000000004"),
    ("input.big - 1", "18446744073709551614"),
    ("input.big - input.big", "0"),
    ("input.big / 2", "9223372036854775807"),
    ("input.big % 10", "5"),
    ("input.big * 0.5", "9.223372036854776e18"),
    ("input.big + -1", "18446744073709551614"),
    ("-(input.big - 9223372036854775807)", "-9223372036854775808"),
    ("1 < 2 == true", "true"),
    ("1 + 1 == 2 && 2 * 2 == 4", "true"),
    // joining
    ("'a' + 'b'", r#""ab""#),
    ("'a' + 'b' + name + 'c'", r#""abxc""#),
    ("[1] + [2, 3]", "[1,2,3]"),
    ("list + [4] + list", "[1,2,3,4,1,2,3]"),
    ("[] + []", "[]"),
    // functions
    ("size('')", "0"),
    ("size('abc')", "3"),
    ("size(input.umlaut)", "3"),
    ("size('😀')", "1"),
    ("size(list)", "3"),
    ("size({'a': 1})", "1"),
    ("list.size()", "3"),
    ("'abc'.size() + 1", "4"),
    ("input.user.tags.size() == 2", "true"),
    ("string(1)", r#""1""#),
    ("string(-1.5)", r#""-1.5""#),
    ("string(2.0)", r#""2.0""#),
    ("string(true)", r#""true""#),
    ("string('x')", r#""x""#),
    ("string(input.big)", r#""18446744073709551615""#),
    ("int(2.9)", "2"),
    ("int(-2.9)", "-2"),
    ("int('42')", "42"),
    ("int('-42')", "-42"),
    ("int(7)", "7"),
    ("double(1)", "1.0"),
    ("double('1e3')", "1000.0"),
    ("double('.5')", "0.5"),
    ("double(0.5)", "0.5"),
    ("double(input.big)", "1.8446744073709552e19"),
    ("'hello'.startsWith('he')", "true"),
    ("'hello'.startsWith('lo')", "false"),
    ("'hello'.endsWith('lo')", "true"),
    ("'hello'.contains('ell')", "true"),
    ("'hello'.contains('')", "true"),
    ("'a'.contains('hello')", "false"),
    ("input.user.name.startsWith('A') && !input.country.endsWith('X')", "true"),
    ("(name + 'y').endsWith('xy')", "true"),
    ("input.user.tags[0].startsWith('a')", "true"),
    ("string(one).size()", "1"),
    ("size(string(one) + 'a')", "2"),
    // has
    ("has(input.amount)", "true"),
    ("has(input.nope)", "false"),
    ("has(input.user.name)", "true"),
    ("has(input.user.nope)", "false"),
    ("has(input.nope.deeper)", "false"),
    ("has(nope.deeper)", "false"),
    ("has(input.nothing)", "true"),
    ("has(input.nothing.deeper)", "false"),
    ("has(input.amount.deeper)", "false"),
    ("has(input['two words'])", "false"),
    ("has(input.user['two words'])", "true"),
    ("has(input.items[0].price)", "true"),
    ("has(input.items[0].nope)", "false"),
    ("has(input.items[9].price)", "false"),
    ("has(input[input.key].x)", "false"),
    ("has({'a': one}.a)", "true"),
    ("has({'a': one}.b)", "false"),
    ("!has(input.nope) || input.nope > 1", "true"),
    ("has(input.nope) ? input.nope : 'none'", r#""none""#),
    // names
    ("{'has': 1}.has", "1"),
    ("{'size': 1}.size", "1"),
    ("{'true_': 1}.true_", "1"),
    ("[1, one, [one]][2]", "[1]"),
];

/// An expression and the message of its failure.
const FAILURES: &[(&str, &str)] = &[
    ("missing", "there is no `missing`"),
    ("missing.a.b", "there is no `missing.a.b`"),
    ("input.nope", "there is no `input.nope`"),
    ("input.nope.deeper", "there is no `input.nope`"),
    ("input['nope']", "there is no `input['nope']`"),
    ("input[name]", "there is no `input[name]`"),
    ("input.items[0].nope", "there is no `input.items[0].nope`"),
    ("input.items[2]", "there is no `input.items[2]`: the list has 2 element(s)"),
    ("input.items[-1].price", "there is no `input.items[-1]`: the list has 2 element(s)"),
    ("[][0]", "there is no `[][0]`: the list has 0 element(s)"),
    ("{'a': 1}.b", "there is no `{'a': 1}.b`"),
    ("(input).nope", "there is no `(input).nope`"),
    ("input.amount.x", "there is no `input.amount.x`: what stands before is int, not a map"),
    ("input.nothing.x.y", "there is no `input.nothing.x`: what stands before is null, not a map"),
    ("list.x", "there is no `list.x`: what stands before is list, not a map"),
    ("list['x' + name]", "`[]` cannot take list and string"),
    ("list[0.5]", "`[]` cannot take list and double"),
    ("list[-1.0]", "there is no `list[-1.0]`: the list has 3 element(s)"),
    ("list[1e300]", "there is no `list[1e300]`: the list has 3 element(s)"),
    ("name[0]", "`[]` cannot take string and int"),
    ("input[0]", "`[]` cannot take map and int"),
    ("1 + 'a'", "`+` cannot take int and string"),
    ("'a' + 1", "`+` cannot take string and int"),
    ("'a' + 'b' + 1", "`+` cannot take string and int"),
    ("[1] + 1", "`+` cannot take list and int"),
    ("[1] + [2] + 1", "`+` cannot take list and int"),
    ("null + null", "`+` cannot take null and null"),
    ("'a' - 'a'", "`-` cannot take string and string"),
    ("true * 2", "`*` cannot take bool and int"),
    ("1.5 % 2", "`%` cannot take double and int"),
    ("-'a'", "`-` cannot take string"),
    ("!1", "`!` cannot take int"),
    ("1 && true", "`&&` cannot take int"),
    ("true && 'x'", "`&&` cannot take string"),
    ("false || null", "`||` cannot take null"),
    ("yes && missing", "there is no `missing`"),
    ("missing && also_missing", "there is no `missing`"),
    ("no || missing || no", "there is no `missing`"),
    ("1 ? 2 : 3", "`?:` cannot take int"),
    ("missing ? 2 : 3", "there is no `missing`"),
    ("1 < 'a'", "`<` cannot take int and string"),
    ("null <= null", "`<=` cannot take null and null"),
    ("[1] > [0]", "`>` cannot take list and list"),
    ("true >= 1", "`>=` cannot take bool and int"),
    ("1 < 2 < 3", "`<` cannot take bool and int"),
    ("1 in 2", "`in` cannot take int and int"),
    ("'a' in 'abc'", "`in` cannot take string and string"),
    ("1 / zero", "`/` by zero"),
    ("1 % zero", "`%` by zero"),
    ("input.big / 0", "`/` by zero"),
    ("1.0 / 0", "the result of `/` is no finite number"),
    ("0.0 / 0.0", "the result of `/` is no finite number"),
    ("1e308 * 10", "the result of `*` is no finite number"),
    ("1e308 + 1e308", "the result of `+` is no finite number"),
    ("9223372036854775807 + 1", "the result of `+` is out of the range of whole numbers"),
    ("-9223372036854775808 - 1", "the result of `-` is out of the range of whole numbers"),
    ("9223372036854775807 * 2", "the result of `*` is out of the range of whole numbers"),
    ("-9223372036854775808 / -1", "the result of `/` is out of the range of whole numbers"),
    ("-9223372036854775808 % -1", "the result of `%` is out of the range of whole numbers"),
    ("input.big + 1", "the result of `+` is out of the range of whole numbers"),
    ("input.big * input.big", "the result of `*` is out of the range of whole numbers"),
    ("-input.big", "the result of `-` is out of the range of whole numbers"),
    ("size(1)", "`size` cannot take int"),
    ("null.size()", "`size` cannot take null"),
    ("string(null)", "`string` cannot take null"),
    ("string([])", "`string` cannot take list"),
    ("int(true)", "`int` cannot take bool"),
    ("int('x')", "int() was given a string that is not such a number"),
    ("int('')", "int() was given a string that is not such a number"),
    ("int('1.5')", "int() was given a string that is not such a number"),
    ("int('9223372036854775808')", "the result of `int` is out of the range of whole numbers"),
    ("int(1e19)", "the result of `int` is out of the range of whole numbers"),
    ("int(-9223372036854775808.0)", "the result of `int` is out of the range of whole numbers"),
    ("-(-9223372036854775808)", "the result of `-` is out of the range of whole numbers"),
    ("int(9223372036854775808.0)", "the result of `int` is out of the range of whole numbers"),
    ("int(input.big)", "the result of `int` is out of the range of whole numbers"),
    ("double('x')", "double() was given a string that is not such a number"),
    ("double('nan')", "double() was given a string that is not such a number"),
    ("double('1e999')", "the result of `double` is no finite number"),
    ("double([])", "`double` cannot take list"),
    ("(1).startsWith('a')", "`startsWith` cannot take int and string"),
    ("'a'.contains(1)", "`contains` cannot take string and int"),
    ("{name: 1, 'x': 2}", "a key stands twice in a map"),
    ("{one: 1}", "`{key: value}` cannot take int"),
    ("has(input[1 / zero].x)", "`/` by zero"),
];

/// A text, where it is wrong (in bytes), and how.
const REFUSALS: &[(&str, usize, &str)] = &[
    ("", 0, "expected a value, found the end"),
    ("   ", 3, "expected a value, found the end"),
    ("1 +", 3, "expected a value, found the end"),
    ("1 2", 2, "expected an operator or the end, found `2`"),
    (
        "1 'a string of more than 32 characters'",
        2,
        "expected an operator or the end, found `'a string of more than 32 charac…`",
    ),
    ("a b", 2, "expected an operator or the end, found `b`"),
    ("(1", 2, "expected an operator or `)`, found the end"),
    ("1)", 1, "expected an operator or the end, found `)`"),
    ("[1", 2, "expected `,` or `]`, found the end"),
    ("[1 2]", 3, "expected `,` or `]`, found `2`"),
    ("[,]", 1, "expected a value, found `,`"),
    ("{'a'}", 4, "expected `:`, found `}`"),
    ("{'a': }", 6, "expected a value, found `}`"),
    ("a[0", 3, "expected `]`, found the end"),
    ("a.", 2, "expected the name of a field, found the end"),
    ("a.1", 1, "expected an operator or the end, found `.1`"),
    ("a.'b'", 2, "expected the name of a field, found `'b'`"),
    ("a ? b", 5, "expected `:`, found the end"),
    ("a ? b ? c : d : e", 6, "expected `:`, found `?`"),
    ("a = 1", 2, "expected `==`, found `=`"),
    ("a & b", 2, "expected `&&`, found `&`"),
    ("a | b", 2, "expected `||`, found `|`"),
    ("a # b", 2, "expected a value or an operator, found `#`"),
    ("ä", 0, "expected a value or an operator, found `ä`"),
    ("!-1", 1, "expected a value, found `-`"),
    ("-!a", 1, "expected a value, found `!`"),
    ("* 2", 0, "expected a value, found `*`"),
    ("in [1]", 0, "expected a value, found `in`"),
    ("a in", 4, "expected a value, found the end"),
    ("1abc", 0, "expected a number, found `1a`"),
    ("0x", 0, "expected a number, found `0x`"),
    ("1.", 2, "expected the name of a field, found the end"),
    ("'abc", 0, "the string that begins here has no end"),
    ("'a\nb'", 0, "the string that begins here has no end"),
    ("'''a''", 0, "the string that begins here has no end"),
    ("1 + \"", 4, "the string that begins here has no end"),
    (r"'\q'", 1, r"`\q` is no escape sequence"),
    (r"'\u12'", 1, r"`\u` is no escape sequence"),
    (r"'\ud800'", 1, r"`\u` is no escape sequence"),
    (r"'\ud800\u0041'", 1, r"`\u` is no escape sequence"),
    (r"'\udc00'", 1, r"`\u` is no escape sequence"),
    (r"'\U00110000'", 1, r"`\U` is no escape sequence"),
    (r"'\400'", 1, r"`\4` is no escape sequence"),
    (r"'\x+1'", 1, r"`\x` is no escape sequence"),
    ("9223372036854775808", 0, "the number is out of range"),
    ("-9223372036854775809", 1, "the number is out of range"),
    ("99999999999999999999", 0, "the number is out of range"),
    ("1e999", 0, "the number is out of range"),
    ("for", 0, "`for` is a reserved word; a key of that name is reached with [\"for\"]"),
    ("a.in", 2, "`in` is a reserved word; a key of that name is reached with [\"in\"]"),
    ("a.true", 2, "`true` is a reserved word; a key of that name is reached with [\"true\"]"),
    ("{'a': 1, 'a': 2}", 9, "the key \"a\" stands twice in this map"),
    ("size()", 4, "`size` takes 1 argument(s), not 0"),
    ("size(1, 2)", 4, "`size` takes 1 argument(s), not 2"),
    ("'a'.size(1)", 8, "`size` takes 0 argument(s), not 1"),
    ("'a'.contains()", 12, "`contains` takes 1 argument(s), not 0"),
    ("size(1", 6, "expected `,` or `)`, found the end"),
    ("has(a)", 0, "has() takes a path with a field, like `has(input.user)`"),
    ("has(1)", 0, "has() takes a path with a field, like `has(input.user)`"),
    ("has(a.b + 1)", 0, "has() takes a path with a field, like `has(input.user)`"),
    ("has(a.b, a.c)", 7, "expected `)`, found `,`"),
    ("siz(1)", 0, "there is no function `siz`; did you mean `size`?"),
    ("a.startWith('x')", 2, "there is no function `startWith`; did you mean `startsWith`?"),
    ("a.exist(x, true)", 2, "there is no function `exist`; did you mean `exists`?"),
    ("math.ceiling(1)", 5, "there is no function `math.ceiling`; did you mean `math.ceil`?"),
    ("contains('a', 'b')", 0, "there is no function `contains`; it is called as `x.contains(…)`"),
    ("all(a, b)", 0, "there is no function `all`; it is called as `x.all(…)`"),
    ("a.int()", 2, "there is no function `int`; it is called as `int(x)`"),
    (
        "zzzzzzzzzz(1)",
        0,
        "there is no function `zzzzzzzzzz`; there are bool, bytes, double, duration, dyn, int, \
         string, timestamp, type, uint, max, min, math.abs, math.ceil, math.floor, math.greatest, \
         math.least, math.round, math.sign, math.trunc, size, matches, has",
    ),
    // macros
    ("a.all()", 6, "`all` begins with the name of a variable, as in `list.all(x, x > 0)`"),
    ("a.all(1, true)", 6, "`all` begins with the name of a variable, as in `list.all(x, x > 0)`"),
    ("a.map(x.y, x)", 7, "`map` begins with the name of a variable, as in `list.map(x, x + 1)`"),
    (
        "a.filter(true, x)",
        9,
        "`filter` begins with the name of a variable, as in `list.filter(x, x > 0)`",
    ),
    ("a.exists(x)", 8, "`exists` takes 2 argument(s), not 1"),
    ("a.exists_one(x, y, z)", 12, "`exists_one` takes 2 argument(s), not 3"),
    ("a.map(x)", 5, "`map` takes 2 or 3 argument(s), not 1"),
    ("a.map(x, y, z, w)", 5, "`map` takes 2 or 3 argument(s), not 4"),
    ("a.all(x, x", 10, "expected `,` or `)`, found the end"),
    // arguments
    ("'a'.replace('b')", 11, "`replace` takes 2 or 3 argument(s), not 1"),
    ("max()", 3, "`max` takes at least 1 argument(s), not 0"),
    ("'a'.matches('b', 'c')", 11, "`matches` takes 1 argument(s), not 2"),
    ("matches('a')", 7, "`matches` takes 2 argument(s), not 1"),
    ("a.matches('(')", 10, "no regular expression: unclosed group"),
    ("matches(a, 'x{2')", 11, "no regular expression: unclosed counted repetition"),
    (
        "a.matches('(?=b)')",
        10,
        "no regular expression: look-around, including look-ahead and look-behind, is not supported",
    ),
    (
        "a.matches('\\\\w{1000}')",
        10,
        "no regular expression: Compiled regex exceeds size limit of 524288 bytes.",
    ),
    (
        "a.getHours('Europe/Berlin')",
        11,
        "time zones are \"UTC\" or an offset like \"+02:00\"; their names are not known here",
    ),
    // literals
    (r"b'\u0041'", 2, r"`\u` is no escape sequence"),
    (r"b'\U00000041'", 2, r"`\U` is no escape sequence"),
    ("b'abc", 0, "the string that begins here has no end"),
    ("5ux", 0, "expected a number, found `5x`"),
    ("18446744073709551616u", 0, "the number is out of range"),
    ("1.5u", 0, "expected a number, found `1.5u`"),
    ("a.``", 3, "expected letters, digits, `_.-/` or blanks, and then a backtick, found ```"),
    ("a.`b", 4, "expected letters, digits, `_.-/` or blanks, and then a backtick, found the end"),
    ("`a`", 0, "expected a value, found ``a``"),
    (".for", 1, "`for` is a reserved word; a key of that name is reached with [\"for\"]"),
    (". 'a'", 2, "expected a name, found `'a'`"),
    (
        "a.b{c: 1}",
        3,
        "there are no message types (`Name{field: value}`); a map is written {\"field\": value}",
    ),
    // what other implementations of CEL have and we do not
    ("a.transformList(i, x, x)", 2, "`transformList()` is not supported yet"),
    ("'%d'.format([1])", 5, "`format()` is not supported yet"),
    ("{1: 2}", 1, "a key that is not a string is not supported yet"),
    ("[?a]", 1, "an optional element ([?a]) is not supported yet"),
    ("{?'a': 1}", 1, "an optional entry ({?a: b}) is not supported yet"),
    ("a[?0]", 2, "an optional index (a[?b]) is not supported yet"),
];

#[test]
fn every_expression_has_the_value_beside_it() {
    let scope = json(SCOPE);
    for (text, expected) in VALUES {
        let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let value = expression.evaluate(&scope).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value.to_json(), *expected, "{text}");
        assert_eq!(value.to_json(), json(expected).to_json(), "{text}: the row is canonical");
    }
}

#[test]
fn every_failure_says_what_the_table_says() {
    let scope = json(SCOPE);
    for (text, expected) in FAILURES {
        let expression = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = expression.evaluate(&scope).expect_err(text);
        assert_eq!(error.to_string(), *expected, "{text}");
    }
}

#[test]
fn every_refused_text_is_refused_at_the_place_and_for_the_reason_in_the_table() {
    for (text, at, expected) in REFUSALS {
        let error = parse(text).expect_err(text);
        assert_eq!(error.problem.to_string(), *expected, "{text}");
        assert_eq!(error.at, *at, "{text}");
        assert_eq!(error.column, text[..*at].chars().count() + 1, "{text}");
    }
}

#[test]
fn a_column_counts_characters_and_not_bytes() {
    let error = parse("'äöü' + ?").expect_err("no value");
    assert_eq!((error.at, error.column), (11, 9));
    assert_eq!(error.to_string(), "expected a value, found `?` (at character 9)");
}

#[test]
fn a_constant_expression_is_known_without_a_scope() {
    for (text, folded) in [
        ("['DE', 'FR']", true),
        ("1 + 2 * 3 == 7 && !false", true),
        ("{'a': size('abc')}.a > 2 ? 'x' : 'y'", true),
        ("input.country in ['DE']", false),
        ("[input]", false),
        // An error is not folded: it may never be reached.
        ("1 / 0", false),
    ] {
        assert_eq!(parse(text).unwrap().constant().is_some(), folded, "{text}");
    }
}

/// Each is deepest at `levels`.
fn nested(levels: usize) -> Vec<String> {
    let wrap = |open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(levels - 1), close.repeat(levels - 1))
    };
    vec![
        wrap("(", "1", ")"),
        wrap("[", "1", "]"),
        wrap("{'a': ", "1", "}"),
        wrap("size(", "1", ")"),
        wrap("list[", "1", "]"),
        wrap("!(", "yes", ")"),
        wrap("-(", "one", ")"),
        wrap("(yes ? ", "one", " : 2)"),
        wrap("'a'.contains(", "name", ")"),
    ]
}

#[test]
fn brackets_nest_up_to_the_bound_and_no_deeper() {
    for text in nested(EXPRESSION_DEPTH_MAX) {
        // Some fail, none exhausts the stack.
        let _ = parse(&text).unwrap().evaluate(&json(SCOPE));
    }
    for text in nested(EXPRESSION_DEPTH_MAX + 1) {
        assert_eq!(parse(&text).expect_err(&text).problem, Problem::TooDeep);
    }
}

#[test]
fn chains_of_every_kind_may_be_as_long_as_an_expression() {
    let scope = json(SCOPE);
    let chain = |piece: &str, last: &str| {
        piece.repeat((EXPRESSION_BYTES_MAX - last.len()) / piece.len()) + last
    };
    for text in [
        chain("one + ", "1"),
        chain("one - ", "1"),
        chain("one*", "1"),
        chain("yes && ", "yes"),
        chain("no || ", "yes"),
        chain("no ? 1 : ", "2"),
        chain("!", "yes"),
        chain("-", "one"),
        chain("1 == ", "1"),
        chain("name + ", "name"),
        chain("1+", "1"),
        chain("!", "true"),
    ] {
        parse(&text).unwrap().evaluate(&scope).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let indices = format!("list{}", "[0]".repeat(1_000));
    parse(&indices).unwrap().evaluate(&scope).expect_err("a list of ints has no depth");
    let fields = format!("input{}", ".a".repeat(1_000));
    parse(&fields).unwrap().evaluate(&scope).expect_err("there is no such path");
}

#[test]
fn a_text_longer_than_the_bound_is_refused() {
    let fits = format!("'{}'", "x".repeat(EXPRESSION_BYTES_MAX - 2));
    assert_eq!(fits.len(), EXPRESSION_BYTES_MAX);
    parse(&fits).unwrap();
    for longer in [
        format!("'{}'", "x".repeat(EXPRESSION_BYTES_MAX - 1)),
        format!("{}1", " ".repeat(EXPRESSION_BYTES_MAX)),
        "a+".repeat(EXPRESSION_BYTES_MAX) + "a",
        "x".repeat(EXPRESSION_BYTES_MAX * 100),
    ] {
        assert_eq!(parse(&longer).expect_err("too long").problem, Problem::TooLong);
    }
}

#[test]
fn what_an_evaluation_builds_is_bounded_and_the_bound_is_not_absorbed() {
    let long = Value::text("x".repeat(TEXT_BYTES_MAX / 2 + 1));
    let wide = Value::list(vec![Value::Null; LIST_ELEMENTS_MAX / 2 + 1]);
    let big = Value::list(vec![Value::text("x".repeat(1_000)); 500]);
    let mut deep = Value::Null;
    for _ in 0..base::limits::NESTING_MAX {
        deep = Value::list([deep]);
    }
    let roots = [("long", &long), ("wide", &wide), ("big", &big), ("deep", &deep)];
    let scope = Names(&roots);
    for (text, expected) in [
        ("long + long", EvalError::TextTooLong),
        ("long + long == '' || true", EvalError::TextTooLong),
        ("wide + wide", EvalError::ListTooLong),
        ("[big, big, big]", EvalError::TooLarge),
        ("{'a': big, 'b': [big, big]}", EvalError::TooLarge),
        ("[deep]", EvalError::TooDeep),
        ("{'a': deep}", EvalError::TooDeep),
    ] {
        assert_eq!(parse(text).unwrap().evaluate(&scope), Err(expected), "{text}");
    }
    for fits in ["long", "wide", "deep", "[big, big]", "[deep[0]]", "long + ''"] {
        let value = parse(fits).unwrap().evaluate(&scope).unwrap();
        assert_eq!(Value::parse_json(value.to_json().as_bytes()).unwrap(), value);
    }
}

#[test]
fn an_evaluation_that_looks_at_too_much_is_stopped() {
    let long = Value::text("x".repeat(TEXT_BYTES_MAX));
    let other = Value::text("x".repeat(TEXT_BYTES_MAX));
    let wide = Value::list(vec![Value::Int(1); LIST_ELEMENTS_MAX]);
    let roots = [("a", &long), ("b", &other), ("wide", &wide)];
    let scope = Names(&roots);
    for piece in ["a == b && ", "size(a) > 0 && ", "a.contains(b) && ", "!(2 in wide) && "] {
        let few = format!("{}true", piece.repeat(2));
        assert_eq!(parse(&few).unwrap().evaluate(&scope), Ok(Value::Bool(true)), "{few}");
        let many = format!("{}true", piece.repeat(100));
        assert_eq!(parse(&many).unwrap().evaluate(&scope), Err(EvalError::TooManySteps), "{piece}");
    }
}

#[test]
fn a_condition_must_be_true_or_false() {
    let scope = json(SCOPE);
    assert_eq!(parse("one == 1").unwrap().evaluate_bool(&scope), Ok(true));
    let error = parse("one").unwrap().evaluate_bool(&scope).expect_err("no truth value");
    assert_eq!(error.to_string(), "`condition` cannot take int");
}

#[test]
fn no_error_shows_what_the_data_was() {
    let secret = Value::text("hunter2");
    let number = Value::Int(4_711_004_711);
    let map = json(r#"{"hunter2": {}}"#);
    let roots = [("secret", &secret), ("number", &number), ("map", &map)];
    for text in [
        "secret + 1",
        "-secret",
        "secret.x",
        "map[secret].x",
        "map[secret + secret]",
        "[1][number]",
        "int(secret)",
        "double(secret)",
        "secret ? 1 : 2",
        "number.x",
        "{secret: 1, 'hunter' + '2': 2}",
        "secret < number",
        "1 / (number - number)",
        "9223372036854775807 + number",
        "!secret",
    ] {
        let shown = parse(text).unwrap().evaluate(&Names(&roots)).expect_err(text);
        let message = format!("{shown} {shown:?}");
        assert!(!message.contains("hunter2") && !message.contains("4711"), "{text}: {message}");
    }
}

#[test]
fn an_expression_without_names_needs_no_scope() {
    assert_eq!(parse("1 + 1").unwrap().evaluate(&Empty), Ok(Value::Int(2)));
}

#[test]
fn what_is_parsed_once_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<crate::Expression>();
    shared::<crate::Tree>();
    shared::<Value>();
}

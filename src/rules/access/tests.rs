//! What is known to be necessary of a rule, and what looking it up is expected to cost.

use super::{
    COST_ALWAYS, Clause, Clauses, Estimates, FOLDED_BYTES_MAX, Key, end_class, folded_hash,
    network_hash, number_hash, text_key, word_hash,
};
use crate::number::Double;
use crate::parse;
use crate::paths::Paths;
use crate::program::Program;
use document::Source;

/// A program of rules with these conditions.
fn program(rules: &[&str]) -> Program {
    let mut program = Program::new(Paths::new());
    for conditions in rules {
        let text = format!("id: r\nactions: [{{workflow: w}}]\nconditions: {conditions}\n");
        let rules = parse(Source { name: "rule", text: &text });
        program.add(&rules.unwrap_or_else(|faults| panic!("{faults}"))[0].when);
    }
    program.finish();
    program
}

/// The clauses of each rule.
fn clauses(program: &Program) -> Vec<Vec<Clause>> {
    let estimates = Estimates::of(program);
    let clauses = Clauses::new(program, &estimates);
    program.starts.iter().map(|start| clauses.of(*start as usize)).collect()
}

fn shown(program: &Program, clause: &Clause) -> String {
    let key = |key: &Key| match key {
        Key::Prefix { bytes, .. } | Key::Suffix { bytes, .. } => {
            format!("{} of {bytes}", key.name())
        }
        Key::Part(part) => format!("{} {part}", key.name()),
        Key::Network { is_v4, prefix, .. } => format!("{} {is_v4} {prefix}", key.name()),
        Key::Range { is_text, low, high } => {
            let end = |key: u64| match (key, is_text) {
                (0 | u64::MAX, _) => String::new(),
                (_, true) => String::from_utf8_lossy(&key.to_be_bytes()).replace('\0', ""),
                _ => f64::from_bits(if key >> 63 == 1 { key ^ 1 << 63 } else { !key }).to_string(),
            };
            format!("{} {}..{}", key.name(), end(*low), end(*high))
        }
        Key::Present | Key::Equal { .. } | Key::Folded { .. } => key.name().to_owned(),
    };
    let keys = clause.keys.iter();
    let keys = keys.map(|(path, of)| format!("{}: {}", program.paths.name(*path), key(of)));
    let mut keys: Vec<String> = keys.collect();
    keys.sort();
    keys.join(" or ")
}

/// Conditions, and what must be true of a message: each of these.
const NEEDS: &[(&str, &[&str])] = &[
    ("[{field: a, op: equals, value: 1}]", &["a: a value"]),
    ("[{field: a, op: not_equals, value: 1}]", &["a: that it is there"]),
    ("[{field: a, op: in, value: [1, x, null]}]", &["a: a value or a: a value or a: a value"]),
    ("[{field: a, op: in, value: []}]", &[""]),
    ("[{field: a, op: not_in, value: [1]}]", &["a: that it is there"]),
    ("[{field: a, op: exists}]", &["a: that it is there"]),
    ("[{field: a, op: not_exists}]", &[]),
    ("[{field: a, op: greater_than, value: 5}]", &["a: a range 5.."]),
    ("[{field: a, op: greater_or_equal, value: -5}]", &["a: a range -5.."]),
    ("[{field: a, op: less_than, value: 5}]", &["a: a range ..5"]),
    ("[{field: a, op: less_or_equal, value: x}]", &["a: a range ..x"]),
    ("[{field: a, op: in_range, value: [1, 2]}]", &["a: a range 1..2"]),
    ("[{field: a, op: in_range, value: {gt: a}}]", &["a: a range a.."]),
    ("[{field: a, op: in_range, value: {lt: 3}}]", &["a: a range ..3"]),
    ("[{field: a, op: contains, value: bc}]", &["a: a part bc"]),
    ("[{field: a, op: contains, value: 5}]", &["a: a value"]),
    ("[{field: a, op: contains, value: ''}]", &["a: that it is there"]),
    ("[{field: a, op: starts_with, value: bcd}]", &["a: a beginning of 3"]),
    ("[{field: a, op: starts_with, value: ''}]", &["a: that it is there"]),
    ("[{field: a, op: ends_with, value: bcd}]", &["a: an end of 3"]),
    ("[{field: a, op: ends_with, value: ''}]", &["a: that it is there"]),
    ("[{field: a, op: equals_ignore_case, value: Ab}]", &["a: a text without case"]),
    ("[{field: a, op: equals_ignore_case, value: É}]", &["a: that it is there"]),
    (
        // One byte more than is folded whole.
        "[{field: a, op: equals_ignore_case, value: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}]",
        &["a: that it is there"],
    ),
    ("[{field: a, op: cidr, value: 10.0.0.0/8}]", &["a: a network true 8"]),
    (
        "[{field: a, op: cidr, value: ['::/3', 10.0.0.1]}]",
        &["a: a network false 3 or a: a network true 32"],
    ),
    ("[{field: a, op: regex, value: 'bc|de'}]", &["a: a part bc or a: a part de"]),
    ("[{field: a, op: regex, value: '[bc]'}]", &["a: that it is there"]),
    // Of a wildcard the ends are quicker to find than a part, unless the part is far longer.
    ("[{field: a, op: wildcard, value: bc}]", &["a: a value"]),
    ("[{field: a, op: wildcard, value: 'bc*'}]", &["a: a beginning of 2"]),
    ("[{field: a, op: wildcard, value: '*bc'}]", &["a: an end of 2"]),
    ("[{field: a, op: wildcard, value: '*bc*'}]", &["a: a part bc"]),
    ("[{field: a, op: wildcard, value: '*'}]", &["a: that it is there"]),
    ("[{field: a, op: wildcard, value: 'b*c'}]", &["a: a beginning of 1"]),
    ("[{field: a, op: wildcard, value: 'b*cd'}]", &["a: an end of 2"]),
    ("[{field: a, op: wildcard, value: 'b*cd*e'}]", &["a: a beginning of 1"]),
    ("[{field: a, op: wildcard, value: 'b*cde*f'}]", &["a: a part cde"]),
    ("[{field: a, op: wildcard, value: 'bc*defg*h'}]", &["a: a beginning of 2"]),
    ("[{field: a, op: wildcard, value: 'bc*defgh*i'}]", &["a: a part defgh"]),
    ("[{field: a, op: wildcard, value: '*bc*de*'}]", &["a: a part de"]),
    ("[{field: a, op: wildcard, value: 'b?cd'}]", &["a: a part cd"]),
    ("[{field: a, op: wildcard, value: '??'}]", &["a: that it is there"]),
    // A condition that no value may fulfil says nothing of what is there.
    ("[{field: a, op: equals, value: 1, quantifier: none}]", &[]),
    ("[{field: a, op: equals, value: 1, quantifier: all}]", &["a: a value"]),
    // All of a list.
    (
        "[{field: a, op: equals, value: 1}, {field: b, op: exists}, {field: c, op: not_exists}]",
        &["a: a value", "b: that it is there"],
    ),
    // One of a list: the best of each.
    (
        "{any: [{field: a, op: equals, value: 1}, {field: b, op: exists}]}",
        &["a: a value or b: that it is there"],
    ),
    ("{any: [{field: a, op: equals, value: 1}, {field: b, op: not_exists}]}", &[]),
    (
        "{any: [{all: [{field: a, op: exists}, {field: b, op: equals, value: 1}]}, {field: c, op: exists}]}",
        &["b: a value or c: that it is there"],
    ),
    // The same one counts once, wherever it stands.
    (
        "{any: [{all: [{field: a, op: exists}]}, {any: [{field: b, op: exists}, {field: a, op: exists}]}, {field: b, op: exists}]}",
        &["a: that it is there or b: that it is there"],
    ),
    // What must not hold.
    ("{none: [{field: a, op: exists}]}", &[]),
    ("{none: [{field: a, op: not_exists}]}", &["a: that it is there"]),
    (
        "{none: [{field: a, op: not_exists}, {field: b, op: not_exists}]}",
        &["a: that it is there", "b: that it is there"],
    ),
    (
        "{none: [{any: [{field: a, op: not_exists}, {field: b, op: not_exists}]}]}",
        &["a: that it is there", "b: that it is there"],
    ),
    (
        "{none: [{all: [{field: a, op: not_exists}, {field: b, op: not_exists}]}]}",
        &["a: that it is there or b: that it is there"],
    ),
    ("{none: [{all: [{field: a, op: not_exists}, {field: b, op: exists}]}]}", &[]),
    ("{none: [{all: [{field: a.x, op: not_exists}, {field: a.y, op: not_exists}]}]}", &[]),
    (
        "{none: [{none: [{field: a, op: equals, value: 1}, {field: b, op: exists}]}]}",
        &["a: a value or b: that it is there"],
    ),
    ("{none: [{none: [{field: a, op: equals, value: 1}, {field: b, op: not_exists}]}]}", &[]),
    // Ends that hold for one value make one range; of texts and of numbers they are two.
    (
        "[{field: a, op: greater_than, value: 1}, {field: a, op: less_than, value: 5}]",
        &["a: a range 1..5"],
    ),
    (
        "[{field: a, op: in_range, value: [1, 5]}, {field: a, op: in_range, value: [3, 9]}]",
        &["a: a range 3..5"],
    ),
    (
        "[{field: a, op: in_range, value: [3, 9]}, {field: a, op: in_range, value: [1, 5]}]",
        &["a: a range 3..5"],
    ),
    (
        "[{field: a, op: in_range, value: [1, 5]}, {field: a, op: in_range, value: [5, 9]}]",
        &["a: a range 5..5"],
    ),
    ("[{field: a, op: greater_than, value: 5}, {field: a, op: less_than, value: 3}]", &[""]),
    (
        "[{field: a, op: greater_than, value: 5}, {field: a, op: less_than, value: x}]",
        &["a: a range ..x", "a: a range 5.."],
    ),
    (
        "[{field: a.x, op: greater_than, value: 5}, {field: a.y, op: less_than, value: 3}]",
        &["a.x: a range 5..", "a.y: a range ..3"],
    ),
    (
        "[{field: a.x, op: equals, value: 5}, {field: a.y, op: not_exists}, {field: a.z, op: exists}]",
        &["a.x: a value", "a.z: that it is there"],
    ),
];

#[test]
fn what_a_rule_needs_follows_from_its_conditions() {
    for (conditions, expected) in NEEDS {
        // A rule behind it, so that a step too far would be seen.
        let program = program(&[conditions, "[{field: zzz, op: equals, value: 1}]"]);
        let mut shown: Vec<String> =
            clauses(&program)[0].iter().map(|clause| shown(&program, clause)).collect();
        shown.sort();
        assert_eq!(shown, *expected, "{conditions}");
    }
}

/// The cost of the only clause of the first of these rules.
fn cost(rules: &[&str]) -> u64 {
    let program = program(rules);
    let clauses = clauses(&program);
    assert_eq!(clauses[0].len(), 1, "{}", rules[0]);
    clauses[0][0].cost
}

#[test]
fn what_is_looked_up_costs_what_it_is_expected_to_find() {
    // The rule, and how many of a million messages it is looked at for when it is alone: what
    // takes longer to look up has some more.
    let rows = [
        ("[{field: a, op: exists}]", COST_ALWAYS),
        ("[{field: a, op: equals, value: 1}]", 100_001),
        ("[{field: a, op: equals_ignore_case, value: bcde}]", 101_001),
        ("[{field: a, op: cidr, value: 10.0.0.0/8}]", 102_001),
        ("[{field: a, op: starts_with, value: bcde}]", 101_001),
        ("[{field: a, op: starts_with, value: bcd}]", 121_001),
        ("[{field: a, op: starts_with, value: bc}]", 161_001),
        ("[{field: a, op: starts_with, value: b}]", 301_001),
        ("[{field: a, op: ends_with, value: b}]", 301_001),
        ("[{field: a, op: contains, value: bcde}]", 110_001),
        ("[{field: a, op: contains, value: bcd}]", 130_001),
        ("[{field: a, op: contains, value: b}]", 310_001),
        ("[{field: a, op: in, value: []}]", 0),
        // One of two is found as often as both together.
        ("[{field: a, op: in, value: [1, 2]}]", 200_002),
        ("{any: [{field: a, op: exists}, {field: b, op: equals, value: 1}]}", 1_100_001),
        // A range of which nothing is known.
        ("[{field: a, op: greater_than, value: 5}]", 300_000),
    ];
    for (conditions, expected) in rows {
        assert_eq!(cost(&[conditions]), expected, "{conditions}");
    }
}

#[test]
fn the_more_values_rules_ask_for_the_fewer_rules_one_value_finds() {
    let of = |operator: &str, count: u64| -> Vec<String> {
        let rule = |n| format!("[{{field: a, op: {operator}, value: long{n:02}}}]");
        (0..count).map(rule).collect()
    };
    for (operator, more) in [
        ("equals", 0),
        ("equals_ignore_case", 1_000),
        ("starts_with", 1_000),
        ("ends_with", 1_000),
        ("contains", 10_000),
    ] {
        for (count, expected) in [(1, 100_000), (10, 100_000), (20, 50_000), (100, 10_000)] {
            let mut rules = of(operator, count);
            // What is asked for again, or of another field, is no other value.
            rules.push(rules[0].clone());
            rules.push(
                "[{field: b, op: in, value: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}]".to_owned(),
            );
            let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            assert_eq!(cost(&rules), expected + more + 1, "{operator}, {count}");
        }
    }
}

#[test]
fn a_range_costs_its_share_of_all_that_ranges_ask_for() {
    let range = |ends: &str| format!("[{{field: a, op: in_range, value: {ends}}}]");
    // The range, the range of others, and the cost.
    let rows = [
        ("[10, 20]", "[0, 100]", 90_000),
        ("[0, 100]", "[10, 20]", 900_000),
        ("{gte: 50}", "[0, 100]", 450_000),
        ("{lte: 25}", "[0, 100]", 225_000),
        ("[-50, -40]", "[-100, 100]", 45_000),
        ("[-50, 50]", "[-100, 100]", 450_000),
        ("{lt: -50}", "[-100, 100]", 225_000),
        ("{gt: 50}", "[-100, 100]", 225_000),
        ("[-50, -40]", "[-100, -20]", 112_500),
        // Not less than what a range can be divided into.
        ("[10, 10.001]", "[0, 100]", 2_000),
        ("[10, 10]", "[0, 100]", 2_000),
        ("[b, c]", "[a, e]", 225_000),
        ("{gte: d}", "[a, e]", 225_000),
        // Wider than any number: nothing is known of all, and what is less has no share in it.
        ("[-1e308, 1e308]", "[1, 2]", 300_000),
        ("[1, 2]", "[-1e308, 1e308]", 2_000),
    ];
    for (own, others, expected) in rows {
        assert_eq!(cost(&[&range(own), &range(others)]), expected, "{own} of {others}");
    }
}

#[test]
fn a_text_key_is_its_first_eight_bytes_in_order() {
    assert_eq!(text_key(b""), 0);
    assert_eq!(text_key(b"ab"), 0x6162_0000_0000_0000);
    assert_eq!(text_key(b"abcdefghi"), 0x6162_6364_6566_6768);
    let ascending: [&[u8]; 7] = [b"", b"a", b"a\x01", b"ab", b"b", b"\xc3\xa9", b"\xff\xff"];
    for pair in ascending.windows(2) {
        assert!(text_key(pair[0]) < text_key(pair[1]), "{pair:?}");
    }
}

#[test]
fn the_outermost_bytes_of_texts_fall_into_64_classes_of_about_the_same_size() {
    let mut counts = [0_u32; 64];
    for (first, second) in (0..=u8::MAX).flat_map(|first| (0..=u8::MAX).map(move |b| (first, b))) {
        let class = end_class(first, Some(second));
        assert_eq!(class.count_ones(), 1);
        counts[class.trailing_zeros() as usize] += 1;
    }
    // 65,536 pairs.
    assert!(counts.iter().all(|count| (512..2_048).contains(count)), "{counts:?}");
    assert_eq!(end_class(b'a', None), u64::MAX, "one byte may be any text's");
}

#[test]
fn what_is_equal_has_one_hash_and_what_is_not_another() {
    let number = |text: &str| number_hash(Double::of(text.as_bytes()));
    let numbers = ["0", "1", "-1", "2", "1e300", "0.5"].map(number);
    let words = [None, Some(false), Some(true)].map(word_hash);
    let network = |text: &str, prefix: u8| {
        let (bits, _) = crate::network::address(text.as_bytes()).unwrap();
        network_hash(bits, prefix)
    };
    let networks = [
        network("2001:db8::", 32),
        network("2001:db9::", 32),
        network("2001:db8::", 33),
        network("::", 0),
    ];
    let folded = ["a", "b", "ab", ""].map(|text| folded_hash(text.as_bytes()).unwrap());
    let mut all: Vec<u64> = [&numbers[..], &words, &networks, &folded].concat();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "different values, different hashes");

    assert_eq!(number("1"), number("10e-1"));
    assert_eq!(number("0"), number("-0.0"));
    assert_eq!(network("2001:db8:1:2::3", 32), networks[0], "what lies in it");
    assert_eq!(network("ffff::", 0), networks[3]);
}

#[test]
fn a_text_without_case_is_hashed_as_what_it_folds_into() {
    let hash = |text: &str| folded_hash(text.as_bytes());
    let most = "x".repeat(FOLDED_BYTES_MAX);
    let (above, more) = (most.to_uppercase(), most.clone() + "x");
    let kelvins = "\u{212a}".repeat(FOLDED_BYTES_MAX);
    let rows: &[(&str, &str)] = &[
        ("AbC", "abc"),
        ("\u{212a}\u{17f}", "ks"),
        ("x\u{212a}y", "xky"),
        (&above, &most),
        (&kelvins, &"k".repeat(FOLDED_BYTES_MAX)),
    ];
    for (text, folded) in rows {
        assert_eq!(hash(text), hash(folded), "{text}");
        assert!(hash(text).is_some(), "{text}");
    }
    let too_many = "\u{212a}".repeat(FOLDED_BYTES_MAX + 1);
    for text in ["é", "aé", "ß", &more, &too_many] {
        assert_eq!(hash(text), None, "{text}");
    }
    assert_eq!(folded_hash(b"\xff"), None);
}

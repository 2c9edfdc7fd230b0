use super::*;

#[test]
fn only_lines_that_mean_something_else_are_shown() {
    let rows: [(&str, &str, &[&str]); 6] = [
        (r#"{"a":1}"#, r#"{"a":1}"#, &[]),
        ("{ \"a\": 1 }", r#"{"a":1}"#, &[]),
        (
            r#"{"a":1,"b":2,"c":3,"d":4}"#,
            r#"{"a":1,"b":5,"c":3,"d":4}"#,
            &[" a: 1", "-b: 2", "+b: 5", " c: 3"],
        ),
        (
            r#"{"id":"x","conditions":[{"field":"a"},{"field":"b"}]}"#,
            r#"{"id":"x","conditions":[{"field":"b"},{"field":"c"}]}"#,
            &[
                " conditions:",
                "-  - {\"field\":\"a\"}",
                "   - {\"field\":\"b\"}",
                "+  - {\"field\":\"c\"}",
            ],
        ),
        // Digits beyond a double are digits.
        (
            r#"{"n":9007199254740993}"#,
            r#"{"n":9007199254740992}"#,
            &["-n: 9007199254740993", "+n: 9007199254740992"],
        ),
        ("{\"a\"", r#"{"a":1}"#, &["-{\"a\"", "+a: 1"]),
    ];
    for (old, new, expected) in rows {
        assert_eq!(diff(old, new), expected, "{old} {new}");
    }
}

#[test]
fn a_long_value_is_laid_out_in_lines_of_its_own() {
    let long = |end: &str| {
        format!(
            r#"{{"with":{{"a":"{}","b":{{"c":["{}","{end}"]}}}}}}"#,
            "x".repeat(60),
            "y".repeat(100)
        )
    };
    assert_eq!(
        diff(&long("old"), &long("new")),
        [&format!("       - \"{}\"", "y".repeat(100)), "-      - \"old\"", "+      - \"new\"",]
    );
}

#[test]
fn a_long_difference_is_cut() {
    let list = |from: u32| {
        let elements: Vec<_> = (from..from + 100).map(|n| format!("{{\"n\":{n}}}")).collect();
        format!("{{\"list\":[{}]}}", elements.join(","))
    };
    let shown = diff(&list(0), &list(1_000));
    assert_eq!(shown.len(), LINES_MAX + 1);
    assert_eq!(shown[LINES_MAX], " ... and 161 more lines");
}

/// What of the steps belongs to one of the texts.
fn of(steps: &[Step<'_>], old: bool) -> Vec<String> {
    let line = |step: &Step<'_>| match step {
        Step::Same(line) => Some((*line).to_owned()),
        Step::Old(line) => old.then(|| (*line).to_owned()),
        Step::New(line) => (!old).then(|| (*line).to_owned()),
    };
    steps.iter().filter_map(line).collect()
}

#[test]
fn the_steps_lead_from_the_old_text_to_the_new_one() {
    let words: Vec<Vec<String>> = ["", "a", "ab", "abc", "xbz", "bca", "aab", "cab", "zzzz"]
        .iter()
        .map(|word| word.chars().map(String::from).collect())
        .collect();
    for old in &words {
        for new in &words {
            let steps = steps(old, new);
            assert_eq!((&of(&steps, true), &of(&steps, false)), (old, new));
        }
    }
}

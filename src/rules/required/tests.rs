//! Expressions, and what a text must hold to match them.

use super::{PARTS_MAX, parts};

#[test]
fn a_text_that_matches_has_one_of_the_parts() {
    let many = |count: u8| -> (String, Vec<String>) {
        let parts =
            (b'a'..).take(count.into()).map(|letter| char::from(letter).to_string().repeat(2));
        let parts: Vec<String> = parts.collect();
        (parts.join("|"), parts)
    };
    let most = u8::try_from(PARTS_MAX).unwrap();
    let (all, all_parts) = many(most);
    let (too_many, _) = many(most + 1);
    let all_parts: Vec<&str> = all_parts.iter().map(String::as_str).collect();
    let rows: &[(&str, &[&str])] = &[
        ("abc", &["abc"]),
        ("^abc$", &["abc"]),
        ("(abc)", &["abc"]),
        ("(?P<name>abc)", &["abc"]),
        ("", &[]),
        ("^$", &[]),
        (".", &[]),
        ("[ab]", &[]),
        (r"\d+", &[]),
        ("(?i)abc", &[]),
        // The longest is the rarest; of two that are as long the first.
        ("ab[xy]cdef", &["cdef"]),
        ("abcd[xy]ef", &["abcd"]),
        ("ab[xy]cd", &["ab"]),
        // What may be there no time is not needed.
        ("x*", &[]),
        ("x?", &[]),
        ("x{0,3}", &[]),
        ("(abcd)?ef", &["ef"]),
        ("(abcd)*ef", &["ef"]),
        ("x+", &["x"]),
        ("(abcd)+ef", &["abcd"]),
        ("(abcd){2,}", &["abcd"]),
        ("(abcd){1,5}[xy]", &["abcd"]),
        // One of many is as good as its shortest.
        ("ab|cd", &["ab", "cd"]),
        ("(ab|cd)[xy]", &["ab", "cd"]),
        ("(ab|cdefg)[xy]hij", &["hij"]),
        ("(abcd|efgh)[xy]ijk", &["abcd", "efgh"]),
        ("ab|", &[]),
        ("ab|[xy]", &[]),
        ("ab|(cd)?", &[]),
        (&all, &all_parts),
        (&too_many, &[]),
        ("é😀", &["é😀"]),
        // No expression: nothing is known of it.
        ("(ab", &[]),
    ];
    for (expression, expected) in rows {
        assert_eq!(parts(expression), *expected, "{expression}");
    }
}

#[test]
fn the_parts_of_an_expression_are_in_whatever_it_matches() {
    let rows = [
        ("ab[xy]cdef", "abxcdef"),
        ("(abcd)?ef", "ef"),
        ("(abcd)+ef", "zabcdabcdefz"),
        ("(ab|cd)[xy]", "cdy"),
        ("^(a|bc)d{2}e*$", "bcdd"),
        ("(?s)a.b", "a\nb"),
    ];
    for (expression, text) in rows {
        assert!(regex::Regex::new(expression).unwrap().is_match(text), "{expression}: {text}");
        let parts = parts(expression);
        assert!(parts.is_empty() || parts.iter().any(|part| text.contains(part)), "{expression}");
    }
}

//! Rust source without what is no code: enough of the language to tell a call from a comment.

/// The text with comments, strings and characters blanked, line by line as it was.
pub(crate) fn code_only(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let length = blank_length(&characters, at);
        for character in &characters[at..at + length.max(1)] {
            let is_shown = length == 0 || *character == '\n';
            out.push(if is_shown { *character } else { ' ' });
        }
        at += length.max(1);
    }
    out
}

/// How many characters from `at` on are one comment, string or character; 0 when it is code.
fn blank_length(text: &[char], at: usize) -> usize {
    let rest = &text[at..];
    match rest {
        ['/', '/', ..] => rest.iter().take_while(|character| **character != '\n').count(),
        ['/', '*', ..] => block_comment_length(rest),
        ['"', ..] => quoted_length(rest, '"'),
        ['r', ..] if begins_a_word(text, at) => raw_string_length(rest),
        ['\'', '\\', ..] => quoted_length(rest, '\''),
        // Anything else with a quote in front is a lifetime.
        ['\'', _, '\'', ..] => 3,
        _ => 0,
    }
}

/// Whether no name goes on at `at`; `b` and `c` in front of a string belong to it.
fn begins_a_word(text: &[char], at: usize) -> bool {
    let before = |at: usize| at.checked_sub(1).map(|before| text[before]);
    match before(at) {
        Some('b' | 'c') => before(at - 1).is_none_or(|character| !is_name(character)),
        other => other.is_none_or(|character| !is_name(character)),
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn block_comment_length(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted_length(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            character if character == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string_length(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|character| **character == '#').count();
    let opening = 1 + hashes;
    if rest.get(opening) != Some(&'"') {
        // A name like `r#type`, or any word with an r.
        return 0;
    }
    let mut closing = vec!['"'];
    closing.resize(1 + hashes, '#');
    let inside = &rest[opening + 1..];
    let end = inside.windows(closing.len()).position(|window| window == closing);
    end.map_or(rest.len(), |end| opening + 1 + end + closing.len())
}

/// The numbers of the lines that hold `word` by itself, not as a part of a longer name.
pub(crate) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let holds = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let touches = |next: Option<char>, edge: Option<char>| {
                next.is_some_and(is_name) && edge.is_some_and(is_name)
            };
            let (before, after) = (&line[..at], &line[at + word.len()..]);
            !touches(before.chars().next_back(), word.chars().next())
                && !touches(after.chars().next(), word.chars().next_back())
        })
    };
    code.lines().enumerate().filter(|(_, line)| holds(line)).map(|(at, _)| at + 1).collect()
}

#[test]
fn comments_strings_and_characters_are_blanked_and_code_is_not() {
    // A dot stands for what is blanked.
    for (text, expected) in [
        ("a // b", "a ...."),
        ("a /* b /* c */ d */ e", "a ................. e"),
        ("f(\"a \\\" b\") c", "f(........) c"),
        ("b\"x\" y", "b... y"),
        ("r\"a\\\" b", "..... b"),
        ("r#\"a \" b\"# c", ".......... c"),
        ("br##\"a\"# b\"## c", "b............ c"),
        ("let r#type = 1;", "let r#type = 1;"),
        ("for r in \"x\"", "for r in ..."),
        ("'a' b '\\'' c '\\u{7f}' d", "... b .... c ........ d"),
        ("&'static str; 'outer: loop", "&'static str; 'outer: loop"),
        ("'\"' a \"'\" b", "... a ... b"),
        ("\"two\nlines\" c", "....\n...... c"),
    ] {
        let blanked = expected.replace('.', " ");
        assert_eq!(code_only(text), blanked, "{text}");
    }
}

#[test]
fn a_word_is_found_by_itself_alone() {
    for (line, word, is_found) in [
        ("unsafe { x }", "unsafe", true),
        ("#![forbid(unsafe_code)]", "unsafe", false),
        ("use std::thread;", "std::thread", true),
        ("use std::thread::sleep;", "std::thread", true),
        ("std::threads", "std::thread", false),
        ("base::Instant::nowhere()", "Instant::now", false),
        ("MyInstant::now()", "Instant::now", false),
        ("todo!(\"x\")", "todo!", true),
        ("my_todo!()", "todo!", false),
        ("#[ignore = \"x\"]", "#[ignore", true),
    ] {
        assert_eq!(!lines_with(line, word).is_empty(), is_found, "{word} in {line}");
    }
}

use super::*;

fn lines(bytes: &[u8]) -> (Vec<String>, Option<LastWords>) {
    let mut lines = Lines::new(bytes);
    let mut taken = Vec::new();
    while lines.receive(|line| taken.push(line.to_owned())).unwrap() {}
    (taken, lines.last_words)
}

#[test]
fn lines_come_whole_and_the_last_one_without_its_end() {
    assert_eq!(lines(b"a\nb\n\n  \nc").0, ["a", "b", "c"]);
    assert_eq!(lines(b"").0, [""; 0]);
    assert_eq!(lines(b"\xff\n").0, ["\u{fffd}"]);
}

#[test]
fn a_line_without_end_is_cut() {
    let long = vec![b'x'; 3 * READ_BYTES];
    let (taken, _) = lines(&[&long[..], b"\nnext\n"].concat());
    assert_eq!(taken[0].len(), LINE_BYTES_MAX);
    assert_eq!(taken[1], "next");
}

#[test]
fn last_words_are_no_line_and_the_first_count() {
    let text = format!("half\n{MARK}signal 11 7 1\n{MARK}exit 0 8 0\n");
    let words = LastWords { ticket: 7, signal: 11, is_full: true };
    assert_eq!(lines(text.as_bytes()), (vec!["half".to_owned()], Some(words)));
    for wrong in ["", "signal", "signal x 1 0", "signal 11 -1 0", "burp 11 1 0"] {
        assert_eq!(lines(format!("{MARK}{wrong}\n").as_bytes()), (vec![], None), "{wrong}");
    }
}

#[test]
fn a_runtime_that_tells_of_memory_is_heard() {
    for text in ["memory allocation of 99 bytes failed\n", "what():  std::bad_alloc\n"] {
        let mut lines = Lines::new(text.as_bytes());
        while lines.receive(|_| {}).unwrap() {}
        assert!(lines.told_of_memory, "{text}");
    }
}

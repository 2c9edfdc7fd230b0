use super::*;

fn known(sequence: u64, body: &[u8]) -> Known {
    Known { sequence, body: fingerprint(body), workflows: Arc::new([]) }
}

#[test]
fn a_repeat_is_told_the_first_message_and_another_body_is_a_conflict() {
    let mut table = KeyTable::new(Duration::from_secs(1), 2);
    assert_eq!(table.look("a", fingerprint(b"x")), Verdict::New);
    table.remember("a", UnixMicros(0), known(1, b"x"));
    assert_eq!(table.look("a", fingerprint(b"x")), Verdict::Repeat(known(1, b"x")));
    assert_eq!(table.look("a", fingerprint(b"y")), Verdict::Conflict(known(1, b"x")));
}

#[test]
fn a_full_table_refuses_a_new_key_and_keeps_the_old_until_they_expire() {
    let mut table = KeyTable::new(Duration::from_secs(1), 2);
    table.remember("a", UnixMicros(0), known(1, b""));
    table.remember("b", UnixMicros(500_000), known(2, b""));
    assert_eq!(table.look("c", fingerprint(b"")), Verdict::Full);
    assert_eq!(table.look("a", fingerprint(b"")), Verdict::Repeat(known(1, b"")));
    table.expire(UnixMicros(999_999));
    assert_eq!(table.iter().count(), 2);
    table.expire(UnixMicros(1_000_000));
    assert_eq!(table.look("a", fingerprint(b"")), Verdict::New);
    assert_eq!(table.look("b", fingerprint(b"")), Verdict::Repeat(known(2, b"")));
}

use super::*;

#[test]
fn known_instants_have_their_known_texts() {
    // `date -u -d @SECONDS +%FT%TZ`.
    let rows = [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_399_999_999, "2000-02-28T23:59:59.999999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (951_868_800_000_001, "2000-03-01T00:00:00.000001Z"),
        (1_709_164_800_000_000, "2024-02-29T00:00:00.000000Z"),
        (1_735_689_599_500_000, "2024-12-31T23:59:59.500000Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
    ];
    for (micros, text) in rows {
        assert_eq!(rfc3339(UnixMicros(micros)), text);
    }
}

#[test]
fn the_last_time_there_is_has_a_text() {
    assert!(rfc3339(UnixMicros(u64::MAX)).ends_with('Z'));
}

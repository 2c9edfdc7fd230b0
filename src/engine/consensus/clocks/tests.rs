use super::*;

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;
/// The own clock; the others' a second ago; how many vote; what is agreed on.
type Row = (u64, &'static [(u64, u64)], u64, Option<u64>);

/// What clocks say of which a few have been told, at an age of a second.
fn agreed(own: u64, told: &[(u64, u64)], voters: u64) -> Option<u64> {
    let mut clocks = Clocks::default();
    let at = |seconds, wall| Now {
        instant: Instant(0) + Duration::from_secs(seconds),
        wall: UnixMicros(wall),
    };
    for (node, wall) in told {
        clocks.on_told(at(1, 0), NodeId(*node), UnixMicros(*wall));
    }
    let voters: Vec<NodeId> = (1..=voters).map(NodeId).collect();
    let agreed = clocks.agreed(at(2, own), NodeId(1), voters.into_iter());
    agreed.map(|agreed| agreed.0)
}

#[test]
fn the_lower_median_of_a_majority_of_the_voters_is_the_time() {
    let rows: &[Row] = &[
        (HOUR, &[], 1, Some(HOUR)),
        (HOUR, &[], 2, None),
        (HOUR, &[], 3, None),
        (HOUR, &[(2, 5)], 3, Some(5 + SECOND)),
        (5, &[(2, HOUR)], 3, Some(5)),
        (9 * HOUR, &[(2, 4 * HOUR), (3, 5 * HOUR)], 3, Some(5 * HOUR + SECOND)),
        (4 * HOUR, &[(2, 9 * HOUR), (3, 5 * HOUR)], 3, Some(5 * HOUR + SECOND)),
        // Who has no vote has no say.
        (HOUR, &[(4, 5), (5, 6)], 3, None),
    ];
    for (own, told, voters, expected) in rows {
        assert_eq!(agreed(*own, told, *voters), *expected, "{own} {told:?} of {voters}");
    }
}

#[test]
fn what_was_told_long_ago_counts_no_more() {
    let mut clocks = Clocks::default();
    clocks.on_told(Now::default(), NodeId(2), UnixMicros(HOUR));
    let voters = || [NodeId(1), NodeId(2), NodeId(3)].into_iter();
    let at = |ms| Now { instant: Instant(0) + Duration::from_millis(ms), wall: UnixMicros(HOUR) };
    assert!(clocks.agreed(at(4_999), NodeId(1), voters()).is_some());
    assert!(clocks.agreed(at(5_000), NodeId(1), voters()).is_none());
}

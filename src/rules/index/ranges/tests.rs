//! What a table of ranges is made of. That ranges are found is tested beside the other tables of
//! the index.

use super::Ranges;

/// So many points, and ranges over all of them and what lies between.
fn points_below(points: u64, wide: u32) -> Ranges {
    let points = (0..points).map(|n| (10 * n + 5, 10 * n + 5, 0));
    Ranges::of(&points.chain((0..wide).map(|n| (0, u64::MAX, n + 1))).collect::<Vec<_>>())
}

#[test]
fn ranges_over_few_stretches_each_stand_at_the_leaves_and_others_in_a_tree() {
    // A point covers one stretch, a wide range two for each point and two more. (points, wide
    // ranges, stretches that they cover, whether these are more than 8 for each range and 64)
    let rows =
        [(1, 0, 1, false), (88, 4, 800, false), (89, 4, 809, true), (2_000, 4, 18_008, true)];
    for (points, wide, covered, is_tree) in rows {
        let table = points_below(points, wide);
        assert_eq!(table.has_inner, is_tree, "{points} and {wide}");
        if is_tree {
            // A wide one stands at two nodes of a level at the most.
            let most = usize::try_from(points).unwrap() + 4 * 2 * 13;
            assert!(table.rules.len() <= most, "{points} and {wide}: {}", table.rules.len());
        } else {
            assert_eq!(table.rules.len(), covered, "{points} and {wide}");
        }
    }
}

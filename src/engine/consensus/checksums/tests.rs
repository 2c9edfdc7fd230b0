use super::*;

fn parts(globals: u64, partitions: &[(u16, u64)]) -> Parts {
    let partitions = partitions.iter().map(|(id, sum)| (PartitionId(*id), *sum)).collect();
    Parts { shards: 1, globals: Some(globals), partitions, refused: None }
}

#[test]
fn another_sum_of_any_part_is_another_checksum_and_the_order_of_the_cores_is_none() {
    let all = parts(1, &[(0, 5), (1, 6)]).checksum();
    assert_eq!(parts(1, &[(1, 6), (0, 5)]).checksum(), all);
    for other in [parts(2, &[(0, 5), (1, 6)]), parts(1, &[(0, 6), (1, 5)]), parts(1, &[(0, 5)])] {
        assert_ne!(other.checksum(), all);
    }
    // Of what nodes of two releases say, one would be wrong: it is frozen.
    assert_eq!(all, Ok(12_951_375_071_688_449_858));
}

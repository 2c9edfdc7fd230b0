use super::*;

#[test]
fn the_same_seed_gives_the_same_stream_and_a_fork_its_own() {
    let draw = |mut p: Prng| (0..64).map(|_| p.next_u64()).collect::<Vec<_>>();
    assert_eq!(draw(Prng::new(7)), draw(Prng::new(7)));
    assert_ne!(draw(Prng::new(7)), draw(Prng::new(8)));
    let mut one = Prng::new(7);
    assert_ne!(draw(one.clone().fork("disk")), draw(one.fork("network")));
}

#[test]
fn the_stream_is_the_published_one() {
    // Reference: the authors' C code with state {1, 2, 3, 4}.
    let mut prng = Prng { state: [1, 2, 3, 4] };
    let first: Vec<u64> = (0..3).map(|_| prng.next_u64()).collect();
    assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223]);
}

#[test]
fn a_draw_stays_below_its_bound_and_reaches_every_outcome() {
    let mut prng = Prng::new(1);
    let mut seen = [0_u32; 10];
    for _ in 0..10_000 {
        seen[usize::try_from(prng.below(10)).unwrap()] += 1;
    }
    assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
}

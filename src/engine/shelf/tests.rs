use super::*;
use proptest::prelude::*;

fn plain(bytes: &[u8]) -> Entry<'_> {
    Entry { bytes, linked: false }
}

#[test]
fn the_oldest_entries_are_dropped_first_and_the_newest_is_always_kept() {
    let entry = [7; 36];
    let mut shelf = Shelf::new(3 * (36 + ENTRY_OVERHEAD_BYTES));
    for sequence in 1..=5 {
        shelf.put(sequence, plain(&entry), |_| {});
    }
    assert_eq!(shelf.oldest_first().map(|(s, _)| s).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(shelf.find(2), None);
    assert_eq!(shelf.find(3), Some(plain(&entry)));
    shelf.put(6, plain(&[1; 10_000]), |_| {});
    assert_eq!(
        shelf.oldest_first().map(|(s, e)| (s, e.bytes.len())).collect::<Vec<_>>(),
        [(6, 10_000)]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_shelf_holds_what_a_plain_list_would(
        puts in prop::collection::vec((0_usize..70_000, 0_usize..6), 1..120),
        budget in 0_usize..400_000,
    ) {
        let mut shelf = Shelf::new(budget);
        let mut list: Vec<(u64, Vec<u8>)> = Vec::new();
        let (mut sum, mut before) = (ShelfSum::default(), None);
        // Some finish late.
        let mut sequences: Vec<u64> = (1..=puts.len() as u64).collect();
        for (at, (_, late)) in puts.iter().enumerate() {
            sequences.swap(at, at.saturating_sub(*late));
        }
        for (sequence, (size, _)) in sequences.iter().copied().zip(&puts) {
            let size = *size;
            let bytes = vec![u8::try_from(sequence % 251).unwrap(); size];
            // Of those with a link it is told when they are dropped.
            let (linked, mut dropped) = (sequence % 3 == 0, Vec::new());
            shelf.put(sequence, Entry { bytes: &bytes, linked }, |gone| dropped.push(gone.to_vec()));
            list.push((sequence, bytes));
            let cost = |l: &[(u64, Vec<u8>)]| {
                l.iter().map(|(_, b)| b.len() + ENTRY_OVERHEAD_BYTES).sum::<usize>()
            };
            while cost(&list) > budget && list.len() > 1 {
                let (sequence, bytes) = list.remove(0);
                if sequence % 3 == 0 {
                    prop_assert_eq!(dropped.first(), Some(&bytes));
                    dropped.remove(0);
                }
            }
            prop_assert!(dropped.is_empty());
            prop_assert_eq!(shelf.used(), cost(&list));
            if size % 3 > 0 {
                let now = shelf.sum(&mut sum);
                prop_assert_eq!(now, shelf.sum(&mut ShelfSum::default()), "step by step");
                prop_assert_ne!(before.replace(now), Some(now), "each put changes it");
            }
        }
        let kept: Vec<(u64, Vec<u8>)> =
            shelf.oldest_first().map(|(s, entry)| (s, entry.bytes.to_vec())).collect();
        for sequence in &sequences {
            let expected = list.iter().find(|(kept, _)| kept == sequence).map(|(_, b)| Entry {
                bytes: b,
                linked: sequence % 3 == 0,
            });
            prop_assert_eq!(shelf.find(*sequence), expected);
        }
        prop_assert_eq!(shelf.find(0), None);
        prop_assert_eq!(shelf.find(puts.len() as u64 + 1), None);
        prop_assert_eq!(kept, list);
    }
}

#[test]
fn a_shelfs_sum_tells_bytes_sequences_layouts_and_order() {
    let shelf = |entries: &[(u64, &[u8], bool)]| {
        let mut shelf = Shelf::new(1 << 20);
        for (sequence, bytes, linked) in entries {
            shelf.put(*sequence, Entry { bytes, linked: *linked }, |_| {});
        }
        shelf.sum(&mut ShelfSum::default())
    };
    let usual = [(1, &b"one"[..], false), (2, b"two", false), (3, b"one", true)];
    let first = shelf(&usual);
    assert_eq!(shelf(&usual), first);
    let others = [
        shelf(&usual[..2]),
        shelf(&usual[1..]),
        shelf(&[usual[1], usual[0], usual[2]]),
        shelf(&[(1, b"one", true), usual[1], usual[2]]),
        shelf(&[(1, b"onE", false), usual[1], usual[2]]),
        shelf(&[(1, b"one", false), (4, b"two", false), usual[2]]),
        shelf(&[]),
    ];
    assert!(!others.contains(&first));
}
